"""Reading what spans projects, and ringing again. Nothing here writes a project."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from redis import Redis

from winslow_nomad.core.admit import Waiting
from winslow_nomad.core.client import Summary
from winslow_nomad.store.breaker import awake, blocked
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.queue import Doorbells
from winslow_nomad.store.transaction import as_dict, ask, scored, texts

RING_AFTER = 2.0  # seconds that a project may stay dirty before it is rung again
AT_ONCE = 200  # rings of one call

CHUNK = 200  # summaries read at once

# Moves the scores of those that are still there, and of nobody else: a commit may have come in between.
PUSH = """
for i = 2, #ARGV do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) < tonumber(ARGV[1]) then redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i]) end
end
"""


Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page:
    """`next`: give it as `after` for what follows; empty: there is no more."""

    rows: tuple[Summary, ...]
    next: str = ""


class Lists:
    """core.ledger.Ledger, and the lists for screens."""

    def __init__(self, client: Redis, keys: Keys, bells: Doorbells) -> None:
        self.__client = client
        self.__keys = keys
        self.__bells = bells
        self.__waiting: Editions[Waiting] = Editions(Waiting.model_validate_json)
        self.__at_driver: Editions[tuple[Waiting, bool]] = Editions(_read_at_driver)

    def projects(self) -> Sequence[str]:
        return texts(ask(self.__client, ("ZRANGE", self.__keys.updated, 0, -1))[0])

    def dirty(self) -> Sequence[str]:
        return texts(ask(self.__client, ("ZRANGE", self.__keys.dirty, 0, -1))[0])

    def waiting(self, driver: str) -> Sequence[Waiting]:
        return self.__waiting.read(self.__client, self.__keys, self.__keys.waiting(driver))

    def at_driver(self, driver: str) -> Sequence[tuple[Waiting, bool]]:
        return self.__at_driver.read(self.__client, self.__keys, self.__keys.at_driver(driver))

    def open_projects(self) -> Sequence[str]:
        return sorted(texts(ask(self.__client, ("SMEMBERS", self.__keys.open))[0]))

    def page(
        self,
        *,
        state: str = "",
        tag: str = "",
        author: str = "",
        text: str = "",
        after: str = "",
        limit: int = 50,
    ) -> Page:
        """Summaries, last changed first. `text` is looked for in names, whatever its case; `after` is the `next`
        of the page before. A project that changes between two pages moves to the front and is not met again."""
        keys = self.__keys
        filters = [
            *([keys.state(state)] if state else []),
            *([keys.tag(tag)] if tag else []),
            *([keys.author(author)] if author else []),
        ]
        found: list[Summary] = []
        last = ""
        for chunk in self._newest_first(filters, after):
            for position, row in zip(chunk, self._summaries([p for _, p in chunk]), strict=True):
                if row is None or text.casefold() not in row.name.casefold():
                    continue
                if len(found) == limit:
                    return Page(rows=tuple(found), next=last)
                found.append(row)
                last = f"{position[0]}-{position[1]}"
        return Page(rows=tuple(found))

    def due(self, now: datetime, *, again: float = 5.0) -> list[str]:
        """Projects whose timers have run out. Each is named again after `again` seconds unless a commit has
        settled it by then."""
        limit = now.timestamp()
        found = texts(ask(self.__client, ("ZRANGE", self.__keys.timers, "-inf", limit, "BYSCORE"))[0])
        if found:
            self._push(self.__keys.timers, limit + again, found)
        return found

    def timers(self) -> list[str]:
        """Projects that wait for a time, due or not."""
        return texts(ask(self.__client, ("ZRANGE", self.__keys.timers, 0, -1))[0])

    def ring_again(self, now: datetime) -> list[str]:
        """Ring for what stays dirty, as long as the queue is shorter than the dirty set: with no worker about, it
        would grow without end. Projects that wait for a breaker are left in peace until one of them is due
        to try."""
        dirty = self.__keys.dirty
        limit = now.timestamp() - RING_AFTER
        ahead = now.timestamp() + RING_AFTER  # such a mark was made before the clock was put back
        past, future, total = ask(
            self.__client,
            ("ZRANGE", dirty, "-inf", limit, "BYSCORE"),
            ("ZRANGE", dirty, ahead, "+inf", "BYSCORE"),
            ("ZCARD", dirty),
        )
        stale = [*past, *future]
        if not stale:
            return []
        room = min(max(int(total) - self.__bells.length(), 0), AT_ONCE)
        at_rest = blocked(self.__client, self.__keys)
        tries = awake(self.__client, self.__keys, now) if at_rest else set()
        chosen = [p for p in texts(stale) if p not in at_rest or p in tries][:room]
        if chosen:
            ask(self.__client, *(c for p in chosen for c in self.__bells.commands(p)))
            scores = (x for p in chosen for x in (now.timestamp(), p))
            ask(self.__client, ("ZADD", dirty, "XX", *scores))
        return chosen

    def _push(self, key: str, score: float, members: Sequence[str]) -> None:
        ask(self.__client, ("EVAL", PUSH, 1, key, score, *members))

    def _newest_first(self, filters: Sequence[str], after: str) -> Iterator[list[tuple[int, str]]]:
        """(milliseconds, project) in descending order, from behind `after`."""
        limit: tuple[int, str] | None = None
        if after:
            score, project = after.split("-", 1)
            limit = (int(score), project)
        if filters:
            everything = self._intersection(filters)
            ordered = sorted((p for p in everything if limit is None or p < limit), reverse=True)
            for start in range(0, len(ordered), CHUNK):
                yield ordered[start : start + CHUNK]
            return
        start = 0
        top: str | int = "+inf" if limit is None else limit[0]
        while True:
            wanted = ("ZRANGE", self.__keys.updated, top, "-inf", "BYSCORE", "REV")
            reply = ask(self.__client, (*wanted, "LIMIT", start, CHUNK, "WITHSCORES"))[0]
            chunk = [(int(score), member) for member, score in scored(reply)]
            if not chunk:
                return
            start += len(chunk)
            yield [p for p in chunk if limit is None or p < limit]

    def _intersection(self, filters: Sequence[str]) -> list[tuple[int, str]]:
        # members of plain sets count as 1; with weight 0 only the time remains
        sets = (self.__keys.updated, *filters)
        weights = (1, *[0] * len(filters))
        reply = ask(self.__client, ("ZINTER", len(sets), *sets, "WEIGHTS", *weights, "WITHSCORES"))[0]
        return [(int(score), member) for member, score in scored(reply)]

    def _summaries(self, projects: Sequence[str]) -> list[Summary | None]:
        if not projects:
            return []
        found = ask(self.__client, *(("HGET", self.__keys.project(p), "summary") for p in projects))
        return [None if t is None else Summary.model_validate_json(t) for t in found]


class Editions(Generic[Row]):
    """Lists read again only after they have changed, and of those only the rows that are new: admission
    looks at them after every step of every project."""

    def __init__(self, parse: Callable[[bytes], Row]) -> None:
        self._parse = parse
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[bytes | None, dict[bytes, tuple[bytes, Row]], tuple[Row, ...]]] = {}

    def read(self, client: Redis, keys: Keys, key: str) -> tuple[Row, ...]:
        """In the order of project and stage."""
        edition_key = keys.edition(key)
        edition = ask(client, ("GET", edition_key))[0]
        with self._lock:
            known = self._kept.get(key)
        if known is not None and known[0] == edition:
            return known[2]
        # the edition is asked for first: rows may be newer than it says, never older
        edition, reply = ask(client, ("GET", edition_key), ("HGETALL", key))
        old = known[1] if known is not None else {}
        parsed: dict[bytes, tuple[bytes, Row]] = {}
        for field, text in sorted(as_dict(reply).items()):
            row = old.get(field)
            parsed[field] = row if row is not None and row[0] == text else (text, self._parse(text))
        rows = tuple(row for _, row in parsed.values())
        with self._lock:
            self._kept[key] = (edition, parsed, rows)
        return rows


def _read_at_driver(text: bytes) -> tuple[Waiting, bool]:
    return Waiting.model_validate_json(text[1:]), text[:1] == b"1"
