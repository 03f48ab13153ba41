"""Persons and groups as they are stored. Needed for every request, so a process reads them again only when their
edition has changed, which it asks together with whatever else it asks.

Every change is one transaction over the edition, so that no two of them cross. Names are never given again, since
projects and folders remember them: what is removed leaves its name behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from redis import Redis
from redis.exceptions import WatchError

from winslow_nomad.core.access import Principal
from winslow_nomad.core.errors import NotFound, OutcomeUnknown, StoreUnavailable
from winslow_nomad.core.model import Record
from winslow_nomad.core.people import Group, Person
from winslow_nomad.store import codec
from winslow_nomad.store.commit import Command
from winslow_nomad.store.faults import AWAY, translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import Transaction, as_dict, texts


class Account(Record):
    """`password`: as the hashing library writes it. `generation`: sessions of an earlier one have ended."""

    person: Person
    password: str = ""
    generation: int = 0


@dataclass(frozen=True)
class Book:
    """`gone`: names of groups that were removed."""

    edition: int = -1
    accounts: Mapping[str, Account] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()

    def account(self, name: str) -> Account:
        found = self.accounts.get(name)
        if found is None:
            raise NotFound(f"There is no user {name[:60]!r}; nothing was done.", code="user.not_found")
        return found

    def group(self, name: str) -> Group:
        found = self.groups.get(name)
        if found is None:
            raise NotFound(f"There is no group {name[:60]!r}; nothing was done.", code="group.not_found")
        return found

    def principal(self, user: str) -> Principal | None:
        """None: not there or not active."""
        account = self.accounts.get(user)
        if account is None or not account.person.active:
            return None
        groups = frozenset(g.name for g in self.groups.values() if user in g.members)
        return Principal(user=user, role=account.person.role, groups=groups)


class Directory:
    """Safe to share between threads."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._book = Book()
        self._lock = threading.Lock()

    def read(self, *also: Command) -> tuple[Book, list[Any]]:
        """The book, and the replies to `also`, which come in the same round trip. Raises StoreUnavailable."""
        with translated(), Transaction.on(self._client) as transaction:
            replies = transaction.read([*also, ("GET", self._keys.people_edition)])
            return self._current(transaction, int(replies.pop() or 0)), replies

    def change(self, step: Callable[[Book, list[Any]], Sequence[Command]], *also: Command) -> None:
        """`step` gets the book and the replies to `also`, and may be called several times; no commands: nothing
        changes. Raises what it raises, OutcomeUnknown, StoreUnavailable."""
        edition_key = self._keys.people_edition
        with translated():
            while True:
                try:
                    with Transaction.on(self._client) as transaction:
                        replies = transaction.read([*also, ("GET", edition_key)], watch=[edition_key])
                        commands = step(self._current(transaction, int(replies.pop() or 0)), replies)
                        if commands:
                            _commit(transaction, [*commands, ("INCR", edition_key)])
                        return
                except WatchError:
                    continue

    def put_account(self, account: Account) -> Command:
        return ("HSET", self._keys.people, account.person.name, codec.write_record(account))

    def put_group(self, group: Group) -> Command:
        return ("HSET", self._keys.groups, group.name, codec.write_record(group))

    def _current(self, transaction: Transaction, edition: int) -> Book:
        while True:
            with self._lock:
                if self._book.edition == edition:
                    return self._book
            keys = self._keys
            people, groups, gone, now = transaction.read(
                [
                    ("HGETALL", keys.people),
                    ("HGETALL", keys.groups),
                    ("SMEMBERS", keys.groups_gone),
                    ("GET", keys.people_edition),
                ]
            )
            if int(now or 0) != edition:
                edition = int(now or 0)
                continue
            try:
                book = Book(
                    edition,
                    {k.decode(): Account.model_validate_json(v) for k, v in as_dict(people).items()},
                    {k.decode(): Group.model_validate_json(v) for k, v in as_dict(groups).items()},
                    frozenset(texts(gone)),
                )
            except ValidationError as error:
                raise _unreadable(error) from None  # its text would show what was read
            with self._lock:
                self._book = book
            return book


def _unreadable(error: ValidationError) -> StoreUnavailable:
    places = ", ".join(".".join(str(p) for p in e["loc"]) for e in error.errors(include_input=False))
    return StoreUnavailable(
        f"The store's record of people and groups cannot be read ({places}). It was left as it is.",
        hint="Upgrade this Winslow if a newer one wrote it, else bring back a backup.",
        code="store.unreadable",
    )


def _commit(transaction: Transaction, commands: Sequence[Command]) -> None:
    try:
        transaction.commit(commands)
    except AWAY as error:
        raise OutcomeUnknown(
            f"The store went away in the middle of a change: {error}. It was made completely or not at all.",
            hint="Look, then repeat it.",
        ) from error
