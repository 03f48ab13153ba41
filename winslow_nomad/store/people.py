"""core.people.People on the store. Of every secret only a hash is kept; 256 random bits need no slow one."""

from __future__ import annotations

import hashlib
import secrets
import string
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from redis import Redis

from winslow_nomad.core.access import EVERYONE, Principal, Scope
from winslow_nomad.core.errors import NotFound, Refused
from winslow_nomad.core.people import Group, GroupRole, Opened, Person, Session, Token, checked_name
from winslow_nomad.core.ports import Clock
from winslow_nomad.store import codec
from winslow_nomad.store.commit import Command
from winslow_nomad.store.directory import Account, Book, Directory
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import as_dict, ask

IDLE = 3 * 24 * 3600  # seconds without a request after which a session has ended: a week-end is survived
LONGEST = 30 * 24 * 3600  # seconds after which it has ended in any case
TOUCH = 60  # seconds between two writes that something was used
TOKEN = "wn_"
LETTERS = string.ascii_letters + string.digits


class StoredSession(Session):
    generation: int = 0


class StoredToken(Token):
    digest: str


class RedisPeople:
    """Safe to share between threads."""

    def __init__(self, client: Redis, clock: Clock, keys: Keys | None = None) -> None:
        self._client = client
        self._clock = clock
        self._keys = keys or Keys()
        self._directory = Directory(client, self._keys)
        self._touched: dict[str, datetime] = {}
        self._lock = threading.Lock()

    # --- who asks

    def of_session(self, secret: str) -> Principal | None:
        found = self._session(secret)
        return found[1].principal(found[0].user) if found is not None else None

    def of_token(self, secret: str) -> Principal | None:
        identifier = secret.removeprefix(TOKEN).partition("_")[0]
        if not secret.startswith(TOKEN) or not identifier.isalnum() or not secret.isascii():
            return None
        book, (text,) = self._directory.read(("HGET", self._keys.tokens, identifier))
        if text is None:
            return None
        token = StoredToken.model_validate_json(text)
        now = self._clock.now()
        if not secrets.compare_digest(token.digest, digest(secret)) or (token.expires and token.expires <= now):
            return None
        principal = book.principal(token.user)
        if principal is None:
            return None
        if self._due(identifier, now):
            ask(self._client, ("HSET", self._keys.tokens_used, identifier, int(now.timestamp())))
        return principal.but(scopes=token.scopes, project=token.project, token=token.name)

    # --- sessions

    def open_session(self, user: str, by: Literal["password", "link"]) -> Opened:
        book, _ = self._directory.read()
        if book.principal(user) is None:
            raise NotFound(f"There is no active user {user[:60]!r}; nothing was done.", code="user.not_found")
        secret = secrets.token_urlsafe(32)
        now = self._clock.now()
        stored = StoredSession(
            user=user,
            by=by,
            made=now,
            until=now + timedelta(seconds=LONGEST),
            generation=book.account(user).generation,
        )
        ask(self._client, ("SET", self._keys.session(digest(secret)), codec.write_record(stored), "EX", IDLE))
        return Opened(secret=secret, session=_shown(stored))

    def session(self, secret: str) -> Session | None:
        found = self._session(secret)
        return _shown(found[0]) if found is not None else None

    def close_session(self, secret: str) -> None:
        ask(self._client, ("DEL", self._keys.session(digest(secret))))

    def _session(self, secret: str) -> tuple[StoredSession, Book] | None:
        key = self._keys.session(digest(secret))
        book, (text, left) = self._directory.read(("GET", key), ("TTL", key))
        if text is None:
            return None
        stored = StoredSession.model_validate_json(text)
        account = book.accounts.get(stored.user)
        remaining = int((stored.until - self._clock.now()).total_seconds())
        if account is None or not account.person.active or account.generation != stored.generation or remaining <= 0:
            return None
        if int(left) < min(IDLE, remaining) - TOUCH:
            ask(self._client, ("EXPIRE", key, min(IDLE, remaining)))
        return stored, book

    # --- persons

    def persons(self) -> Sequence[Person]:
        book, _ = self._directory.read()
        return sorted((a.person for a in book.accounts.values()), key=lambda p: p.name)

    def person(self, name: str) -> Person:
        return self._directory.read()[0].account(name).person

    def add(self, person: Person) -> Person:
        checked_name(person.name, "user")

        def step(book: Book) -> list[Command]:
            if person.name in book.accounts:
                raise _taken("user", person.name)
            return [self._directory.put_account(Account(person=person))]

        self._directory.change(step)
        return person

    # --- groups

    def groups(self) -> Sequence[Group]:
        book, _ = self._directory.read()
        return sorted(book.groups.values(), key=lambda g: g.name)

    def group(self, name: str) -> Group:
        return self._directory.read()[0].group(name)

    def add_group(self, group: Group) -> Group:
        checked_name(group.name, "group")

        def step(book: Book) -> list[Command]:
            if group.name in book.groups or group.name == EVERYONE:
                raise _taken("group", group.name)
            for member in group.members:
                book.account(member)
            return [self._directory.put_group(group)]

        self._directory.change(step)
        return group

    def set_member(self, group: str, user: str, role: GroupRole | None) -> Group:
        def step(book: Book) -> list[Command]:
            found = book.group(group)
            book.account(user)
            members = {k: v for k, v in found.members.items() if k != user}
            changed = found.but(members={**members, user: role} if role is not None else members)
            return [self._directory.put_group(changed)] if changed != found else []

        self._directory.change(step)
        return self.group(group)

    # --- tokens

    def tokens(self, *, user: str = "", project: str = "") -> Sequence[Token]:
        texts, used = ask(self._client, ("HGETALL", self._keys.tokens), ("HGETALL", self._keys.tokens_used))
        when = as_dict(used)
        found = []
        for identifier, text in as_dict(texts).items():
            token = StoredToken.model_validate_json(text)
            if token.project == project and (not user or token.user == user):
                at = when.get(identifier)
                fields = token.model_dump(exclude={"digest"})
                fields["used"] = datetime.fromtimestamp(int(at), UTC) if at is not None else None
                found.append(Token(**fields))
        return sorted(found, key=lambda t: (t.made, t.id))

    def add_token(
        self, user: str, name: str, scopes: frozenset[Scope], *, project: str = "", expires: datetime | None = None
    ) -> tuple[Token, str]:
        identifier = _random(10)
        secret = f"{TOKEN}{identifier}_{_random(43)}"
        fields = {"id": identifier, "user": user, "name": name, "scopes": scopes, "project": project}
        token = Token(**fields, made=self._clock.now(), expires=expires)
        stored = StoredToken(**token.model_dump(), digest=digest(secret))

        def step(book: Book) -> list[Command]:
            if not book.account(user).person.active:
                raise Refused(f"{user} is not active; no token was made.", code="user.inactive")
            return [("HSET", self._keys.tokens, identifier, codec.write_record(stored))]

        self._directory.change(step)
        return token, secret

    def remove_token(self, token: str) -> None:
        removed, _ = ask(self._client, ("HDEL", self._keys.tokens, token), ("HDEL", self._keys.tokens_used, token))
        if not removed:
            raise NotFound(f"There is no token {token[:60]!r}.", code="token.not_found")

    def _due(self, identifier: str, now: datetime) -> bool:
        with self._lock:
            last = self._touched.get(identifier)
            if last is not None and abs((now - last).total_seconds()) < TOUCH:
                return False
            self._touched[identifier] = now
            return True


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def _shown(stored: StoredSession) -> Session:
    return Session(**stored.model_dump(exclude={"generation"}))


def _taken(what: str, name: str) -> Refused:
    text = f"There is or was a {what} {name!r}; nothing was done."
    return Refused(text, hint="Take another name.", code="people.name_taken")
