"""Reading what spans projects, and ringing again. Nothing here writes a project."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from redis import Redis

from winslow_nomad.core.admit import Waiting
from winslow_nomad.core.lists import Counts, Page, Query
from winslow_nomad.store.breaker import awake, blocked
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.listing import Lister
from winslow_nomad.store.queue import Doorbells
from winslow_nomad.store.transaction import as_dict, ask, texts

RING_AFTER = 2.0  # seconds that a project may stay dirty before it is rung again
AT_ONCE = 200  # rings of one call

# Moves the scores of those that are still there, and of nobody else: a commit may have come in between.
PUSH = """
for i = 2, #ARGV do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) < tonumber(ARGV[1]) then redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i]) end
end
"""


Row = TypeVar("Row")


class Lists:
    """core.ledger.Ledger and core.lists.Listing."""

    def __init__(self, client: Redis, keys: Keys, bells: Doorbells) -> None:
        self.__client = client
        self.__keys = keys
        self.__bells = bells
        self.__lister = Lister(client, keys)
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
        of the page before. What is in the trash is left out. A project that changes between two pages moves to the
        front and is not met again."""
        query = Query(
            states=(state,) if state else (),
            tags=(tag,) if tag else (),
            authors=(author,) if author else (),
            text=text,
            after=after,
            limit=limit,
        )
        return self.find(query)

    def find(self, query: Query) -> Page:
        return self.__lister.find(query)

    def text(self, query: Query) -> tuple[bytes, str]:
        return self.__lister.text(query)

    def counts(self, who: frozenset[str] | None, author: str = "") -> Counts:
        return self.__lister.counts(who, author)

    def used_pipelines(self, who: frozenset[str] | None) -> dict[str, int]:
        return self.__lister.used_pipelines(who)

    def used_tags(self, who: frozenset[str] | None) -> dict[str, int]:
        return self.__lister.used_tags(who)

    def place(self, project: str) -> str:
        """Where a project stands in the list, to give as `after`; empty: there is no such project."""
        score = ask(self.__client, ("ZSCORE", self.__keys.updated, project))[0]
        return "" if score is None else f"{int(float(score))}-{project}"

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
