"""Personal and trigger tokens: `wn_<id>_<256 random bits>`. One is found by its id and compared by its hash."""

from __future__ import annotations

import secrets
import string
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from redis import Redis

from winslow_nomad.core.access import Principal, Scope
from winslow_nomad.core.errors import NotFound, Refused
from winslow_nomad.core.people import Token
from winslow_nomad.core.ports import Clock
from winslow_nomad.store import codec
from winslow_nomad.store.commit import Command
from winslow_nomad.store.directory import Book, Directory
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.sessions import digest
from winslow_nomad.store.transaction import as_dict, ask

PREFIX = "wn_"
LETTERS = string.ascii_letters + string.digits
ID, SECRET = 10, 43  # letters; 62 ** 43 is more than 2 ** 256
TOUCH = 60  # seconds between two writes that one was used
MOST = 200  # of one person


class StoredToken(Token):
    digest: str


class Tokens:
    def __init__(self, client: Redis, clock: Clock, keys: Keys, directory: Directory) -> None:
        self._client = client
        self._clock = clock
        self._keys = keys
        self._directory = directory
        self._touched: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def principal(self, secret: str) -> Principal | None:
        identifier = secret.removeprefix(PREFIX).partition("_")[0]
        if not secret.startswith(PREFIX) or not secret.isascii() or not identifier.isalnum():
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

    def rows(self, *, user: str, project: str) -> Sequence[Token]:
        all_texts, used = ask(self._client, ("HGETALL", self._keys.tokens), ("HGETALL", self._keys.tokens_used))
        when = as_dict(used)
        found = []
        for identifier, text in as_dict(all_texts).items():
            token = StoredToken.model_validate_json(text)
            if token.project == project and (not user or token.user == user):
                at = when.get(identifier)
                shown = Token.model_validate(token.model_dump(exclude={"digest"}))
                found.append(shown.but(used=datetime.fromtimestamp(int(at), UTC) if at is not None else None))
        return sorted(found, key=lambda t: (t.made, t.id))

    def add(
        self, user: str, name: str, scopes: frozenset[Scope], project: str, expires: datetime | None
    ) -> tuple[Token, str]:
        """Raises NotFound, Refused."""
        identifier = _random(ID)
        secret = f"{PREFIX}{identifier}_{_random(SECRET)}"
        token = Token(
            id=identifier,
            user=user,
            name=name,
            scopes=scopes,
            project=project,
            made=self._clock.now(),
            expires=expires,
        )
        stored = StoredToken(**token.model_dump(), digest=digest(secret))

        def step(book: Book, replies: Sequence[object]) -> list[Command]:
            if book.principal(user) is None:
                raise NotFound(f"There is no active user {user[:60]!r}; no token was made.", code="user.not_found")
            if len(self.of(user, replies[0])) >= MOST:
                raise Refused(
                    f"{user} has {MOST} tokens; no other was made.", hint="Withdraw some first.", code="token.too_many"
                )
            return [("HSET", self._keys.tokens, identifier, codec.write_record(stored))]

        self._directory.change(step, self.all)
        return token, secret

    def remove(self, token: str) -> None:
        removed, _ = ask(self._client, ("HDEL", self._keys.tokens, token), ("HDEL", self._keys.tokens_used, token))
        if not removed:
            raise NotFound(f"There is no token {token[:60]!r}; nothing was done.", code="token.not_found")

    def withdraw(self, secret: str) -> None:
        """By who has it. Raises NotFound."""
        if self.principal(secret) is None:
            raise NotFound("There is no such token (any more); nothing was done.", code="token.not_found")
        self.remove(secret.removeprefix(PREFIX).partition("_")[0])

    @property
    def all(self) -> Command:
        """Reads what `of` sorts out."""
        return ("HGETALL", self._keys.tokens)

    def of(self, user: str, reply: object) -> list[str]:
        """The ids of a person's tokens, trigger tokens too, in the reply to `all`."""
        assert isinstance(reply, dict | list)
        return [k.decode() for k, v in as_dict(reply).items() if StoredToken.model_validate_json(v).user == user]

    def removal(self, identifiers: Sequence[str]) -> list[Command]:
        keys = (self._keys.tokens, self._keys.tokens_used)
        return [("HDEL", key, *identifiers) for key in keys] if identifiers else []

    def _due(self, identifier: str, now: datetime) -> bool:
        with self._lock:
            last = self._touched.get(identifier)
            if last is not None and abs((now - last).total_seconds()) < TOUCH:
                return False
            self._touched[identifier] = now
            return True


def _random(length: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(length))
