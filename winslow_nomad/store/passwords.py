"""Hashing of passwords by argon2id (RFC 9106, its second recommendation with one lane: 64 MiB and some 100 ms of one
core each). Whoever calls it bounds how many run at once."""

from __future__ import annotations

import secrets
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from winslow_nomad.core.errors import Invalid

SHORTEST = 10
LONGEST = 1024


class Passwords:
    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)
        self._nobodys = ""
        self._lock = threading.Lock()

    def hash(self, password: str) -> str:
        return self._hasher.hash(_normal(password))

    def matches(self, hashed: str, password: str) -> bool:
        """Takes as long without a hash (nobody of that name, or no password) as with one."""
        try:
            return self._hasher.verify(hashed or self._nobody(), _normal(password)) and bool(hashed)
        except (VerificationError, InvalidHashError):
            return False

    def outdated(self, hashed: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def _nobody(self) -> str:
        with self._lock:
            if not self._nobodys:
                self._nobodys = self._hasher.hash(secrets.token_urlsafe(32))
            return self._nobodys


def checked_password(password: str, user: str) -> str:
    """Length is what counts; what stands in every list of guesses is refused. Raises Invalid."""
    normal = _normal(password)
    text = ""
    if len(normal) < SHORTEST:
        text = f"A password needs {SHORTEST} characters at least"
    elif len(normal) > LONGEST:
        text = f"A password may have {LONGEST} characters at most"
    elif len(set(normal)) < 4 or (user in normal.lower() and len(normal) < len(user) + 6):
        text = "This password is too easy to guess"
    if text:
        raise Invalid(f"{text}; nothing was changed.", hint="Take a few unrelated words.", code="password.weak")
    return password


def _normal(password: str) -> str:
    """The same signs typed on two keyboards are the same password."""
    return unicodedata.normalize("NFKC", password.encode("utf-8", "replace").decode())
