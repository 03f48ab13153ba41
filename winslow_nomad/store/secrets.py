"""Secrets, encrypted before they reach the store. The key is a file of this machine that belongs neither on
the share nor in a backup: without it the store's content says nothing.

Values never appear in records, logs, journal or live stream; those hold `secret:<id>`."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis import Redis

from winslow_nomad.core.errors import Invalid, NotFound, StoreUnavailable
from winslow_nomad.core.ports import Clock
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import as_dict, ask

PREFIX = "secret:"
KEY_BYTES = 32
LARGEST = 64 * 1024  # bytes of a value


@dataclass(frozen=True, slots=True)
class SecretRow:
    reference: str
    name: str
    made: datetime


class Secrets:
    def __init__(self, client: Redis, key_file: Path, clock: Clock, keys: Keys | None = None) -> None:
        """`key_file` is made when the first secret is put; its directory must be there or makeable."""
        self._client = client
        self._key_file = key_file
        self._clock = clock
        self._hash = (keys or Keys()).secrets

    def put(self, name: str, value: str) -> str:
        """`secret:<id>`. Raises Invalid, StoreUnavailable."""
        plain = value.encode()
        if len(plain) > LARGEST:
            raise Invalid(
                f"The secret {name} is larger than {LARGEST // 1024} KiB; it was not stored.", code="secret.size"
            )
        identifier = secrets.token_hex(8)
        nonce = os.urandom(12)
        sealed = AESGCM(self._key(make=True)).encrypt(nonce, plain, identifier.encode())
        record = {
            "format": 1,
            "name": name,
            "made": self._clock.now().isoformat(),
            "sealed": base64.b64encode(nonce + sealed).decode(),
        }
        # a set under an id of our own: sent twice it is still one secret
        ask(self._client, ("HSET", self._hash, identifier, json.dumps(record)))
        return PREFIX + identifier

    def reveal(self, reference: str) -> str:
        """Raises NotFound; StoreUnavailable when the key file is gone or another one."""
        record = self._record(reference)
        raw = base64.b64decode(record["sealed"])
        try:
            plain = AESGCM(self._key(make=False)).decrypt(raw[:12], raw[12:], _identifier(reference).encode())
        except InvalidTag:
            raise StoreUnavailable(
                f"The secret {record['name']} was not encrypted with the key in {self._key_file}. Nothing was changed.",
                hint="Bring back the key file of this installation, or enter the secret again.",
                code="secret.key",
            ) from None
        return plain.decode()

    def list(self) -> list[SecretRow]:
        """All of them without their values, by name."""
        rows = [
            SecretRow(PREFIX + field.decode(), record["name"], datetime.fromisoformat(record["made"]))
            for field, text in as_dict(ask(self._client, ("HGETALL", self._hash))[0]).items()
            for record in [json.loads(text)]
        ]
        return sorted(rows, key=lambda r: (r.name, r.made, r.reference))

    def references(self) -> Sequence[str]:
        """Of all of them; cheap."""
        return [PREFIX + field.decode() for field in ask(self._client, ("HKEYS", self._hash))[0]]

    def delete(self, reference: str) -> None:
        """Raises NotFound."""
        self._record(reference)
        ask(self._client, ("HDEL", self._hash, _identifier(reference)))

    def _record(self, reference: str) -> dict[str, str]:
        text = ask(self._client, ("HGET", self._hash, _identifier(reference)))[0]
        if text is None:
            raise NotFound(
                f"There is no secret {reference}.", hint="It was deleted; enter it again.", code="secret.not_found"
            )
        record: dict[str, str] = json.loads(text)
        return record

    def _key(self, *, make: bool) -> bytes:
        try:
            return self._read_key()
        except FileNotFoundError:
            if not make or ask(self._client, ("HLEN", self._hash))[0]:
                raise StoreUnavailable(
                    f"The key file {self._key_file} is gone, so secrets cannot be read. Nothing was changed.",
                    hint="Bring it back, or delete the secrets and enter them again.",
                    code="secret.key",
                ) from None
        self._make_key()
        return self._read_key()

    def _read_key(self) -> bytes:
        key = self._key_file.read_bytes()
        if len(key) != KEY_BYTES or self._key_file.stat().st_mode & 0o077:
            raise StoreUnavailable(
                f"{self._key_file} is not a private key file of {KEY_BYTES} bytes; it was not used.",
                hint=f"It must have mode 0600: chmod 600 {self._key_file}",
                code="secret.key",
            )
        return key

    def _make_key(self) -> None:
        """Whole or not at all, and never over one that is there."""
        self._key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._key_file.with_name(f".{self._key_file.name}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, os.urandom(KEY_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            self._key_file.hardlink_to(fresh)
        except FileExistsError:
            return  # another process was first
        finally:
            fresh.unlink()
        directory = os.open(self._key_file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _identifier(reference: str) -> str:
    return reference.removeprefix(PREFIX)
