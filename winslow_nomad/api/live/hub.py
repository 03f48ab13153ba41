"""One for a process: follows the stream of commits in a thread of its own as long as somebody listens, and tells all
who do, in the event loop. A burst is told at once, with every project as it is after it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import TypeAdapter

from winslow_nomad.api.lanes import Lane
from winslow_nomad.api.live.messages import StageProgress
from winslow_nomad.api.services import Services
from winslow_nomad.api.views.projects import Row
from winslow_nomad.core.access import Principal, visible
from winslow_nomad.core.client import Happened
from winslow_nomad.core.errors import Unavailable
from winslow_nomad.core.forecast import end_of
from winslow_nomad.core.progress import Told
from winslow_nomad.core.rows import Summary

log = logging.getLogger(__name__)
BLOCK = 1.0  # seconds that the store is asked to wait for something new
GATHER = 0.02  # seconds in which what follows belongs to the same burst
MOST = 1000  # entries of one burst
AWAY = 0.5  # seconds until the next try when the store does not answer
REPLAYED = 3000  # entries that are looked at for somebody who was away; more: a gap
PROGRESS = 3.0  # seconds between two looks at how far running stages are
REMEMBERED = 5000  # rows in memory


@dataclass
class Changed:
    """A project in a burst. `row`: None: it is gone; `before`: as it was told last, None: not known. `left`: who had
    it before and has not any more."""

    row: Row | None
    happened: tuple[Happened, ...] = ()
    left: frozenset[str] = frozenset()
    before: Row | None = None

    def seen_by(self, who: Principal) -> bool:
        return self.row is not None and sees(who, self.row)

    def was_seen_by(self, who: Principal) -> bool:
        return bool(self.left & who.names) or (self.before is not None and sees(who, self.before))

    @cached_property
    def happened_json(self) -> str:
        return HAPPENED.dump_json(self.happened).decode()


@dataclass
class News:
    """`gap`: something before is missing. `progress`: of projects of which running stages have said something new."""

    cursor: str
    gap: bool
    changed: dict[str, Changed]
    progress: dict[str, list[StageProgress]] = field(default_factory=dict)


HAPPENED: TypeAdapter[Sequence[Happened]] = TypeAdapter(Sequence[Happened])
Listener = Callable[[News], None]


class Hub:
    def __init__(self, given: Services) -> None:
        self.given = given
        self.loop = asyncio.get_running_loop()
        self.lane = Lane("live", 4, waiting=4000, deadline=20.0)
        self.rows: OrderedDict[str, Row] = OrderedDict()
        self._listeners: set[Listener] = set()
        self._change = threading.Condition()
        self._running = False
        self._cursor = ""
        self._told: dict[str, dict[int, Told]] = {}
        self._encoded: OrderedDict[tuple[str, str], tuple[Row, str]] = OrderedDict()

    async def listen(self, listener: Listener) -> str:
        """From the cursor on that is answered it is told of everything, until `leave`."""
        self._listeners.add(listener)
        try:
            while True:  # the thread may end between the two looks at it
                cursor = "" if self._running else await self.lane(self.given.live.now)
                with self._change:
                    if not self._running and cursor:
                        self._running, self._cursor = True, cursor
                        threading.Thread(target=self._run, name="live", daemon=True).start()
                    if self._running:
                        return self._cursor
        except BaseException:
            self._listeners.discard(listener)
            raise

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    # --- in the thread

    def _run(self) -> None:
        next_progress = 0.0
        while True:
            with self._change:
                if not self._listeners or self.loop.is_closed():
                    self._running = False
                    return
                cursor = self._cursor
            try:
                news = self._read(cursor)
                if time.monotonic() >= next_progress:
                    next_progress = time.monotonic() + PROGRESS
                    self._add_progress(news)
            except Unavailable as error:
                log.warning("live updates wait: %s", error)
                time.sleep(AWAY)
                continue
            except Exception:
                log.exception("live updates: a burst was left out")
                news = self._lost()
            with self._change:
                self._cursor = news.cursor
            if news.changed or news.gap or news.progress:
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    self.loop.call_soon_threadsafe(self._tell, news)

    def _read(self, cursor: str) -> News:
        batch = self.given.live.read(cursor, timeout=BLOCK, count=MOST)
        happened = list(batch.happened)
        gap = batch.gap
        if happened:
            time.sleep(GATHER)
            more = self.given.live.read(batch.cursor, count=MOST)
            happened += more.happened
            batch, gap = more, gap or more.gap
        return News(batch.cursor, gap, self._gathered(happened))

    def _lost(self) -> News:
        """A burst that nobody understands is no reason to be silent for ever."""
        while True:
            try:
                return News(self.given.live.now(), True, {})
            except Unavailable:
                time.sleep(AWAY)

    def missed(self, cursor: str) -> News:
        """What came since, for somebody who was away. Raises Invalid (live.cursor), Unavailable."""
        happened: list[Happened] = []
        while True:
            batch = self.given.live.read(cursor, count=MOST)
            if batch.gap or len(happened) > REPLAYED:
                return News(self.given.live.now(), True, {})
            if not batch.happened:
                return News(cursor, False, self._gathered(happened))
            happened += batch.happened
            cursor = batch.cursor

    def _gathered(self, happened: Sequence[Happened]) -> dict[str, Changed]:
        by_project: dict[str, list[Happened]] = {}
        for one in happened:
            by_project.setdefault(one.project, []).append(one)
        rows = self._rows(list(by_project))
        return {p: Changed(rows.get(p), tuple(some), _left(some)) for p, some in by_project.items()}

    def _rows(self, projects: Sequence[str]) -> dict[str, Row]:
        texts = self.given.live.rows(projects)
        rows = {project: Row.model_validate_json(text) for project, text in texts.items()}
        running = {(p, r.current.stage): r for p, r in rows.items() if r.current and r.current.state == "running"}
        told = self.given.progress.read(running) if running else {}
        for key, row in running.items():
            rows[row.id] = self._with_end(row, told.get(key))
        return rows

    def _with_end(self, row: Row, told: Told | None) -> Row:
        current = row.current
        if current is None or current.since is None:
            return row
        percent = told.percent if told is not None and told.attempt == current.attempt else None
        usual = self.given.durations.typical(row.pipeline).get(current.id)
        expected = end_of(current.since, self.given.clock.now(), percent, usual.median if usual is not None else None)
        return row.model_copy(update={"percent": percent, "expected": expected})

    def _add_progress(self, news: News) -> None:
        """And the rows of projects whose running stages have come further."""
        told: dict[str, dict[int, Told]] = {}
        for (project, stage), one in self.given.progress.all().items():
            told.setdefault(project, {})[stage] = one
        moved = []
        for project, found in told.items():
            before = self._told.get(project, {})
            if found != before:
                news.progress[project] = [_progress(stage, one) for stage, one in sorted(found.items())]
            if any(one.percent != (before[n].percent if n in before else None) for n, one in found.items()):
                moved.append(project)
        self._told = told
        for project, row in self._rows([p for p in moved if p not in news.changed]).items():
            news.changed[project] = Changed(row)

    # --- in the loop

    def _tell(self, news: News) -> None:
        self.remember(news)
        for listener in list(self._listeners):
            listener(news)

    def remember(self, news: News) -> None:
        for project, changed in news.changed.items():
            known = changed.before = self.rows.pop(project, None)
            row = changed.row
            if row is not None:
                self.rows[project] = known if known is not None and known.version > row.version else row
        while len(self.rows) > REMEMBERED:
            self.rows.popitem(last=False)

    def encoded(self, row: Row, role: str) -> str:
        """As JSON for somebody who is `role` in the project; the same for all of them."""
        known = self._encoded.pop((row.id, role), None)
        if known is None or known[0] is not row:
            known = (row, row.model_copy(update={"role": role}).model_dump_json())
        self._encoded[row.id, role] = known
        if len(self._encoded) > REMEMBERED:
            self._encoded.popitem(last=False)
        return known[1]


def _left(happened: Sequence[Happened]) -> frozenset[str]:
    texts = (str(h.entry.data.get("left", "")) for h in happened if h.entry.what == "described")
    return frozenset(name for text in texts for name in text.split())


def _progress(stage: int, told: Told) -> StageProgress:
    return StageProgress(
        stage=stage,
        attempt=told.attempt,
        percent=told.percent,
        cpu_seconds=told.cpu_seconds,
        memory_bytes=told.memory_bytes,
    )


def sees(who: Principal, row: Summary) -> bool:
    return visible(who, row.author, row.participants, row.id)


def forward(cursor: str, news: News) -> str:
    """Where somebody who was at `cursor` is after `news`. Not back, although what was held while something else was
    asked for may be older: whoever went on from there would be told again."""
    if news.gap or not cursor:
        return news.cursor
    return max(cursor, news.cursor, key=place)


def place(cursor: str) -> tuple[int, int]:
    """Cursors in their order."""
    first, _, second = cursor.partition("-")
    return (int(first), int(second))
