"""What is not in the stream of commits and is looked at while somebody follows it: logs, nodes, transfers. One feed for
all who follow the same."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from winslow_nomad.api.following import ENDED_EVERY, LogLanes, Watcher
from winslow_nomad.api.lanes import Lane
from winslow_nomad.api.services import Services
from winslow_nomad.core.errors import NotFound, WinslowError
from winslow_nomad.core.logs import AttemptLog, LogLine
from winslow_nomad.core.ports import AttemptRef

log = logging.getLogger(__name__)
AWAY = 1.0  # seconds until the next try when share or store do not answer
FEW, PAUSE, LONG_PAUSE = 50, 0.05, 0.1  # seconds between two messages about a log: of few lines, of many
MOST = 500  # new lines that are sent; more are asked for by those who show them
SHARE, LONGEST = 20, 30.0  # the pause behind a look: so many times what the look took, up to so many seconds
Item = TypeVar("Item")


class Grew(NamedTuple):
    """`lines`: new ones and those that were open, as JSON by number; None: there are too many."""

    total: int
    ended: bool
    complete: bool
    lines: dict[int, str] | None


class LogFeed:
    """One attempt's log, from where it stands when the feed begins."""

    def __init__(self, given: Services, lanes: LogLanes, ref: AttemptRef, over: Callable[[], None]) -> None:
        self._given = given
        self._lane = lanes.read
        self._ref = ref
        self._over = over
        self._listeners: set[Callable[[Grew], None]] = set()
        self._open: dict[int, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        self._total = 0

    async def join(self, listener: Callable[[Grew], None], cursor: int | None) -> Grew:
        """What there is from line `cursor` on (None: only how much); the listener is told of what comes, and may be
        told before this answers."""
        self._listeners.add(listener)
        opened = await self._lane(self._opened)
        async with self._beginning:  # of several who come at once one begins it, or there would be several of it
            if self._task is None:
                self._total = (await self._lane(partial(opened.page, 0, 0))).total
                self._open = _texts(await self._lane(opened.unfinished))
                self._task = asyncio.create_task(self._run(opened))
        page = await self._lane(partial(opened.page, 0, 0))
        start = page.total if cursor is None else min(cursor, page.total)
        if page.total - start > MOST:
            return Grew(page.total, page.ended, page.complete, None)
        missed = await self._lane(partial(opened.page, start, page.total - start))
        complete = start + len(missed.lines) == page.total
        return Grew(page.total, page.ended, page.complete, _texts(missed.lines) if complete else None)

    def leave(self, listener: Callable[[Grew], None]) -> None:
        if listener not in self._listeners:
            return
        self._listeners.discard(listener)
        if not self._listeners:
            if self._task is not None:
                self._task.cancel()
                self._task = None
            self._over()

    def _opened(self) -> AttemptLog:
        return self._given.logs.open(self._given.client.project(self._ref.project), self._ref.stage, self._ref.attempt)

    async def _run(self, opened: AttemptLog) -> None:
        watcher = Watcher(self._given, opened)
        loop = asyncio.get_running_loop()
        next_ended = 0.0
        try:
            while True:
                try:
                    if loop.time() >= next_ended:
                        next_ended = loop.time() + ENDED_EVERY
                        opened = await self._lane(self._opened)
                    grew = await self._look(opened)
                except NotFound:
                    return  # the project is gone; the stream of commits tells
                except (WinslowError, OSError) as error:
                    log.warning("a log that is followed: %s", error)
                    await asyncio.sleep(AWAY)
                    continue
                except Exception:
                    log.exception("a log that is followed: a look failed; it is tried again")
                    await asyncio.sleep(AWAY)
                    continue
                if grew is not None:
                    for listener in list(self._listeners):
                        listener(grew)
                    if grew.ended:
                        return
                    await asyncio.sleep(PAUSE if grew.lines is not None and len(grew.lines) < FEW else LONG_PAUSE)
                if grew is None or grew.complete:
                    await watcher.wait(max(0.0, next_ended - loop.time()))
        finally:
            watcher.close()

    async def _look(self, opened: AttemptLog) -> Grew | None:
        """None: nothing new."""
        page = await self._lane(partial(opened.page, self._total, MOST))
        lines: dict[int, str] | None = {}
        if page.total > self._total + len(page.lines):
            lines = None
            self._open = _texts(await self._lane(opened.unfinished))
        else:
            known, self._open, lines = self._open, {}, _texts(page.lines)
            self._open = {line.n: lines[line.n] for line in page.lines if line.open}
            for number, text in known.items():
                for line in (await self._lane(partial(opened.page, number, 1))).lines:
                    now = line.model_dump_json()
                    if now != text:
                        lines[number] = now
                    if line.open:
                        self._open[number] = now
        changed = lines is None or lines or page.total != self._total or page.ended
        self._total = page.total
        return Grew(page.total, page.ended, page.complete, lines) if changed else None


def _texts(lines: Sequence[LogLine]) -> dict[int, str]:
    return {line.n: line.model_dump_json() for line in lines}


class Changes(NamedTuple, Generic[Item]):
    """Since the last look."""

    changed: Mapping[str, Item]
    removed: Sequence[str]


class ItemsFeed(Generic[Item]):
    """Things with names, looked at every so often. `look` may take a while and raise WinslowError; the longer it takes,
    the longer the pause behind it."""

    def __init__(
        self, lane: Lane, look: Callable[[], Mapping[str, Item]], seconds: float, over: Callable[[], None]
    ) -> None:
        self._lane = lane
        self._look = look
        self._seconds = seconds
        self._over = over
        self._listeners: set[Callable[[Changes[Item]], None]] = set()
        self._known: Mapping[str, Item] | None = None
        self._task: asyncio.Task[None] | None = None

    async def join(self, listener: Callable[[Changes[Item]], None]) -> Mapping[str, Item]:
        """All there is now. The listener may be told before this answers."""
        self._listeners.add(listener)
        if self._known is None:
            found = await self._lane(self._look)
            self._known = self._known if self._known is not None else found
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return self._known

    def leave(self, listener: Callable[[Changes[Item]], None]) -> None:
        if listener not in self._listeners:
            return
        self._listeners.discard(listener)
        if not self._listeners:
            if self._task is not None:
                self._task.cancel()
                self._task = None
            self._over()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        took = 0.0
        while True:
            await asyncio.sleep(max(self._seconds, min(LONGEST, took * SHARE)))
            begun = loop.time()
            try:
                found = await self._lane(self._look)
            except WinslowError as error:
                log.warning("live updates: %s", error)
                continue
            except Exception:  # once it ends nobody would be told any more
                log.exception("live updates: a look failed; it is tried again")
                continue
            finally:
                took = loop.time() - begun
            known = self._known or {}
            changed = {name: item for name, item in found.items() if known.get(name) != item}
            removed = [name for name in known if name not in found]
            self._known = found
            if changed or removed:
                for listener in list(self._listeners):
                    listener(Changes(changed, removed))
