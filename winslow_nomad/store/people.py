"""core.people.People on the store: the rules about persons and groups, over their parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from redis import Redis

from winslow_nomad.core.access import EVERYONE, Principal, Role, Scope
from winslow_nomad.core.errors import NotFound, Refused, Unidentified
from winslow_nomad.core.people import Group, GroupRole, How, Opened, Person, Session, Token, checked_name
from winslow_nomad.core.ports import Clock
from winslow_nomad.store.commit import Command
from winslow_nomad.store.directory import Account, Book, Directory
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.limits import LoginLimits
from winslow_nomad.store.passwords import Passwords, checked_password
from winslow_nomad.store.sessions import Sessions
from winslow_nomad.store.tokens import Tokens

MAY_CHANGE = frozenset({"display_name", "email", "role"})


class RedisPeople:
    """Safe to share between threads."""

    def __init__(
        self, client: Redis, clock: Clock, keys: Keys | None = None, passwords: Passwords | None = None
    ) -> None:
        keys = keys or Keys()
        self._directory = Directory(client, keys)
        self._sessions = Sessions(client, clock, keys, self._directory)
        self._tokens = Tokens(client, clock, keys, self._directory)
        self._limits = LoginLimits(client, keys)
        self._passwords = passwords or Passwords()
        self._groups_gone = keys.groups_gone
        self._groups_key = keys.groups

    # --- who asks

    def of_session(self, secret: str) -> Principal | None:
        found = self._sessions.find(secret)
        return found[1].principal(found[0].user) if found is not None else None

    def of_token(self, secret: str) -> Principal | None:
        return self._tokens.principal(secret)

    # --- coming in

    def log_in(self, user: str, password: str, address: str) -> Opened:
        name = user.strip().lower()
        account = self._verified(name, password, address)
        hashed = account.password
        if self._passwords.outdated(hashed):
            self._hash_anew(name, hashed, self._passwords.hash(password))
        return self._sessions.open(name, "password", account.generation)

    def log_in_by_link(self, secret: str, address: str) -> Opened:
        self._limits.attempt("", address)
        link = self._sessions.use_link(secret)
        if link is None:
            raise Unidentified(
                "This link lets nobody in: it was used, is too old, or never was one. You are not logged in.",
                hint="Ask for another one.",
                code="session.link",
            )
        self._limits.succeeded("", address)
        return self._sessions.open(link.user, "link", link.generation)

    def make_link(self, user: str, seconds: int) -> str:
        return self._sessions.make_link(user, seconds)

    def open_session(self, user: str, by: How) -> Opened:
        return self._sessions.open(user, by, self._sessions.generation(user))

    def session(self, secret: str) -> Session | None:
        found = self._sessions.find(secret)
        return found[0] if found is not None else None

    def close_session(self, secret: str) -> None:
        self._sessions.close(secret)

    def close_sessions(self, user: str) -> None:
        self._change(user, lambda _, account: account.but(generation=account.generation + 1))

    # --- persons

    def persons(self) -> Sequence[Person]:
        book, _ = self._directory.read()
        return sorted((a.person for a in book.accounts.values()), key=lambda p: p.name)

    def person(self, name: str) -> Person:
        return self._directory.read()[0].account(name).person

    def add(self, person: Person, password: str = "") -> Person:
        account = self._new(person, password)

        def step(book: Book, _: object) -> list[Command]:
            if person.name in book.accounts:
                raise _taken("user", person.name)
            return [self._directory.put_account(account)]

        self._directory.change(step)
        return account.person

    def add_first(self, person: Person, password: str) -> bool:
        account = self._new(person, password)
        done = False

        def step(book: Book, _: object) -> list[Command]:
            nonlocal done
            done = not book.accounts
            return [self._directory.put_account(account)] if done else []

        self._directory.change(step)
        return done

    def change(self, name: str, changes: Mapping[str, Any]) -> Person:
        unknown = set(changes) - MAY_CHANGE
        if unknown:
            raise ValueError(f"{sorted(unknown)} cannot be changed so")

        def changed(book: Book, account: Account) -> Account:
            person = account.person.but(**changes)
            if person.role is not Role.ADMIN:
                _check_admins(book, name)
            return account.but(person=person)

        return self._change(name, changed)

    def confirm_password(self, name: str, password: str, address: str) -> None:
        self._verified(name, password, address)

    def set_password(self, name: str, password: str) -> None:
        self._directory.read()[0].account(name)
        hashed = self._passwords.hash(checked_password(password, name))

        def changed(_: Book, account: Account) -> Account:
            person = account.person.but(password=True)
            return account.but(password=hashed, generation=account.generation + 1, person=person)

        self._change(name, changed)

    def deactivate(self, name: str) -> Person:
        def step(book: Book, replies: list[Any]) -> list[Command]:
            account = book.account(name)
            _check_admins(book, name)
            ended = account.but(person=account.person.but(active=False), generation=account.generation + 1)
            return [self._directory.put_account(ended), *self._tokens.removal(self._tokens.of(name, replies[0]))]

        self._directory.change(step, self._tokens.all)
        return self.person(name)

    def activate(self, name: str) -> Person:
        return self._change(name, lambda _, account: account.but(person=account.person.but(active=True)))

    # --- groups

    def groups(self) -> Sequence[Group]:
        book, _ = self._directory.read()
        return sorted(book.groups.values(), key=lambda g: g.name)

    def group(self, name: str) -> Group:
        return self._directory.read()[0].group(name)

    def add_group(self, group: Group) -> Group:
        checked_name(group.name, "group")

        def step(book: Book, _: object) -> list[Command]:
            if group.name in book.groups or group.name in book.gone or group.name == EVERYONE:
                raise _taken("group", group.name)
            for member in group.members:
                book.account(member)
            return [self._directory.put_group(group)]

        self._directory.change(step)
        return group

    def change_group(self, name: str, title: str) -> Group:
        return self._change_group(name, lambda _, group: group.but(title=title))

    def remove_group(self, name: str) -> None:
        def step(book: Book, _: object) -> list[Command]:
            book.group(name)
            return [("HDEL", self._groups_key, name), ("SADD", self._groups_gone, name)]

        self._directory.change(step)

    def set_member(self, group: str, user: str, role: GroupRole | None) -> Group:
        def changed(book: Book, found: Group) -> Group:
            if role is None and user not in found.members:
                raise NotFound(f"{user[:60]!r} is not in the group {group}; nothing was done.", code="group.not_member")
            book.account(user)
            others = {k: v for k, v in found.members.items() if k != user}
            return found.but(members=others if role is None else {**others, user: role})

        return self._change_group(group, changed)

    # --- tokens

    def tokens(self, *, user: str = "", project: str = "") -> Sequence[Token]:
        return self._tokens.rows(user=user, project=project)

    def add_token(
        self, user: str, name: str, scopes: frozenset[Scope], *, project: str = "", expires: datetime | None = None
    ) -> tuple[Token, str]:
        return self._tokens.add(user, name, scopes, project, expires)

    def remove_token(self, token: str) -> None:
        self._tokens.remove(token)

    def withdraw(self, secret: str) -> None:
        self._tokens.withdraw(secret)

    def _verified(self, name: str, password: str, address: str) -> Account:
        """Takes as long, and says the same, whoever is named. Raises TooMany, Unidentified."""
        self._limits.attempt(name, address)
        account = self._directory.read()[0].accounts.get(name)
        usable = account if account is not None and account.person.active else None
        if not self._passwords.matches(usable.password if usable is not None else "", password) or usable is None:
            raise Unidentified(
                "Name and password do not fit together; you are not logged in.",
                hint="Try again, or ask an administrator for a log-in link.",
            )
        self._limits.succeeded(name, address)
        return usable

    # --- how a change is made

    def _new(self, person: Person, password: str) -> Account:
        checked_name(person.name, "user")
        hashed = self._passwords.hash(checked_password(password, person.name)) if password else ""
        return Account(person=person.but(password=bool(hashed)), password=hashed)

    def _hash_anew(self, name: str, old: str, new: str) -> None:
        """The same password with today's parameters, unless it was changed meanwhile."""
        self._change(name, lambda _, account: account.but(password=new) if account.password == old else account)

    def _change(self, name: str, changed: Callable[[Book, Account], Account]) -> Person:
        result: Person | None = None

        def step(book: Book, _: object) -> list[Command]:
            nonlocal result
            account = book.account(name)
            after = changed(book, account)
            result = after.person
            return [self._directory.put_account(after)] if after != account else []

        self._directory.change(step)
        assert result is not None
        return result

    def _change_group(self, name: str, changed: Callable[[Book, Group], Group]) -> Group:
        result: Group | None = None

        def step(book: Book, _: object) -> list[Command]:
            nonlocal result
            group = book.group(name)
            result = changed(book, group)
            return [self._directory.put_group(result)] if result != group else []

        self._directory.change(step)
        assert result is not None
        return result


def _check_admins(book: Book, leaving: str) -> None:
    """Somebody has to be able to let others in."""
    people = [a.person for a in book.accounts.values() if a.person.active and a.person.role is Role.ADMIN]
    if [p.name for p in people] == [leaving]:
        raise Refused(
            f"{leaving} is the last active administrator; nothing was changed.",
            hint="Make somebody else an administrator first.",
            code="people.last_admin",
        )


def _taken(what: str, name: str) -> Refused:
    text = f"There is or was a {what} {name!r}; nothing was done."
    return Refused(text, hint="Take another name.", code="people.name_taken")
