"""The stream of what has just changed, for screens. It is trimmed: who was away too long is told of the gap
and reads the state anew. Never a source for decisions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from redis import Redis

from winslow_nomad.core.client import Happened
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.live import Batch
from winslow_nomad.store.client import LONGEST_BLOCK
from winslow_nomad.store.commit import ENTRIES
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import as_dict, ask

START = "0-0"
CURSOR = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


class Live:
    """core.live.Stream. `reader`: a client for blocking reads (store.client.reader_client)."""

    def __init__(self, reader: Redis, keys: Keys | None = None) -> None:
        self._reader = reader
        self._keys = keys or Keys()
        self._key = self._keys.live

    def now(self) -> str:
        """A cursor behind everything that has happened. Raises StoreUnavailable."""
        newest = ask(self._reader, ("XREVRANGE", self._key, "+", "-", "COUNT", 1))[0]
        return newest[0][0].decode() if newest else START

    def read(self, cursor: str, *, timeout: float = 0.0, count: int = 200) -> Batch:
        """What came after `cursor`, waiting up to `timeout` seconds for something. Raises Invalid, StoreUnavailable."""
        if CURSOR.fullmatch(cursor) is None:
            raise Invalid(
                f"{cursor[:60]!r} is no place in the stream of events.",
                hint="Give a cursor that was answered, or none.",
                code="live.cursor",
            )
        block = ("BLOCK", max(1, round(min(timeout, LONGEST_BLOCK) * 1000))) if timeout > 0 else ()
        reply = ask(self._reader, ("XREAD", "COUNT", count, *block, "STREAMS", self._key, cursor))[0]
        gap = self._gap(cursor)  # asked afterwards: what is still there now was there when we read
        if not reply:
            return Batch(happened=(), cursor=self.now() if gap else cursor, gap=gap)
        records = reply[self._key.encode()] if isinstance(reply, dict) else reply[0][1]
        happened = tuple(h for identifier, fields in records for h in _read(identifier.decode(), as_dict(fields)))
        return Batch(happened=happened, cursor=records[-1][0].decode(), gap=gap)

    def rows(self, projects: Sequence[str]) -> Mapping[str, bytes]:
        """Those that there are, as lists show them, as JSON. Raises StoreUnavailable."""
        if not projects:
            return {}
        found = ask(self._reader, *(("HGET", self._keys.project(p), "summary") for p in projects))
        return {p: text for p, text in zip(projects, found, strict=True) if text is not None}

    def _gap(self, cursor: str) -> bool:
        if cursor == START:
            exists = ask(self._reader, ("EXISTS", self._key))[0]
            if not exists:
                return False
            about: dict[bytes, Any] = as_dict(ask(self._reader, ("XINFO", "STREAM", self._key))[0])
            return int(about[b"entries-added"]) != int(about[b"length"])
        return not ask(self._reader, ("XRANGE", self._key, cursor, cursor))[0]


def _read(cursor: str, fields: dict[bytes, bytes]) -> list[Happened]:
    project, version = fields[b"p"].decode(), int(fields[b"v"])
    at = datetime.fromisoformat(fields[b"t"].decode())
    return [
        Happened(cursor=cursor, project=project, version=version, at=at, entry=e)
        for e in ENTRIES.validate_json(fields[b"e"])
    ]
