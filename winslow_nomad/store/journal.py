"""What the mirror has not written to the share yet. Commits add the lines (store.commit); the one process
that mirrors takes them in order and removes them when they are on the share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis

from winslow_nomad.core.ports import Clock
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import as_dict, ask


@dataclass(frozen=True, slots=True)
class Lag:
    """`lines` that wait, the oldest for `seconds`."""

    lines: int
    seconds: float


class JournalFeed:
    def __init__(self, client: Redis, clock: Clock, keys: Keys | None = None) -> None:
        self._client = client
        self._clock = clock
        self._key = (keys or Keys()).journal

    def pending(self, count: int = 500) -> list[tuple[str, str, str]]:
        """(cursor, project, line) of the oldest lines; a line is a core.journal.Line as JSON, without an end of
        line. The same again until they are `done`. Raises StoreUnavailable."""
        found: list[tuple[str, str, str]] = []
        for cursor, raw in ask(self._client, ("XRANGE", self._key, "-", "+", "COUNT", count))[0]:
            fields = as_dict(raw)
            found.append((cursor.decode(), fields[b"p"].decode(), fields[b"l"].decode()))
        return found

    def newest(self, project: str, count: int = 2000) -> list[str]:
        """Lines of a project that are not on the share yet, the newest first; looks at so many of all."""
        found = ask(self._client, ("XREVRANGE", self._key, "+", "-", "COUNT", count))[0]
        rows = (as_dict(raw) for _, raw in found)
        return [fields[b"l"].decode() for fields in rows if fields[b"p"].decode() == project]

    def done(self, cursors: Sequence[str]) -> None:
        """These are on the share, synced. Doing it twice is harmless."""
        if cursors:
            ask(self._client, ("XDEL", self._key, *cursors))

    def lag(self) -> Lag:
        lines, oldest = ask(self._client, ("XLEN", self._key), ("XRANGE", self._key, "-", "+", "COUNT", 1))
        if not oldest:
            return Lag(0, 0.0)
        since = int(oldest[0][0].split(b"-")[0]) / 1000
        return Lag(int(lines), max(0.0, self._clock.now().timestamp() - since))
