"""Sessions and links in the store, under the hash of their secret: whoever reads the store learns no secret. 256
random bits need no slow hash.

Each carries the generation of its person; when that has moved on (another password, deactivation) it has ended."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from redis import Redis

from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.model import Record
from winslow_nomad.core.people import How, Opened, Session
from winslow_nomad.core.ports import Clock
from winslow_nomad.store import codec
from winslow_nomad.store.directory import Book, Directory
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import ask

IDLE = 3 * 24 * 3600  # seconds without a request after which a session has ended: a week-end is survived
LONGEST = 30 * 24 * 3600  # seconds after which it has ended in any case
TOUCH = 60  # seconds between two writes that it was used


class StoredSession(Session):
    generation: int = 0


class Link(Record):
    user: str
    generation: int = 0


class Sessions:
    def __init__(self, client: Redis, clock: Clock, keys: Keys, directory: Directory) -> None:
        self._client = client
        self._clock = clock
        self._keys = keys
        self._directory = directory

    def open(self, user: str, by: How, generation: int) -> Opened:
        """`generation`: of when the right to it was shown; a password changed since then makes it worth nothing."""
        secret = secrets.token_urlsafe(32)
        now = self._clock.now()
        until = now + timedelta(seconds=LONGEST)
        stored = StoredSession(user=user, by=by, made=now, until=until, generation=generation)
        ask(self._client, ("SET", self._keys.session(digest(secret)), codec.write_record(stored), "EX", IDLE))
        return Opened(secret=secret, session=_shown(stored))

    def find(self, secret: str) -> tuple[Session, Book] | None:
        """None: unknown, ended or expired. What is found was used just now."""
        key = self._keys.session(digest(secret))
        book, (text, left) = self._directory.read(("GET", key), ("TTL", key))
        if text is None:
            return None
        stored = StoredSession.model_validate_json(text)
        remaining = int((stored.until - self._clock.now()).total_seconds())
        if remaining <= 0 or not _current(book, stored.user, stored.generation):
            return None
        if int(left) < min(IDLE, remaining) - TOUCH:
            ask(self._client, ("EXPIRE", key, min(IDLE, remaining)))
        return _shown(stored), book

    def close(self, secret: str) -> None:
        ask(self._client, ("DEL", self._keys.session(digest(secret))))

    def make_link(self, user: str, seconds: int) -> str:
        """Raises NotFound for who is not active."""
        link = Link(user=user, generation=self.generation(user))
        secret = secrets.token_urlsafe(32)
        ask(self._client, ("SET", self._keys.link(digest(secret)), codec.write_record(link), "EX", seconds))
        return secret

    def use_link(self, secret: str) -> Link | None:
        """It is gone afterwards."""
        text = ask(self._client, ("GETDEL", self._keys.link(digest(secret))))[0]
        if text is None:
            return None
        link = Link.model_validate_json(text)
        book, _ = self._directory.read()
        return link if _current(book, link.user, link.generation) else None

    def generation(self, user: str) -> int:
        """Raises NotFound for who is not active."""
        book, _ = self._directory.read()
        if book.principal(user) is None:
            raise NotFound(f"There is no active user {user[:60]!r}; nothing was done.", code="user.not_found")
        return book.account(user).generation


def _current(book: Book, user: str, generation: int) -> bool:
    account = book.accounts.get(user)
    return account is not None and account.person.active and account.generation == generation


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _shown(stored: StoredSession) -> Session:
    return Session(user=stored.user, by=stored.by, made=stored.made, until=stored.until)
