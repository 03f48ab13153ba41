"""Long answers: what is written goes out as it comes, until it ends, the reader goes, may no longer look, or this
process is told to end. While nothing happens they take no thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

from fastapi import Request

from winslow_nomad.api.authority import identify
from winslow_nomad.api.lanes import Lane
from winslow_nomad.api.services import Services
from winslow_nomad.core.access import Principal
from winslow_nomad.core.client import LogChunk
from winslow_nomad.core.errors import Unavailable, WinslowError
from winslow_nomad.core.logs import AttemptLog, LogLine, Stream

T = TypeVar("T")
BLOCK = 256 * 1024  # bytes read at once
LINES = 500
ENDED_EVERY = 0.5  # seconds between two looks whether the attempt has ended
ALLOWED_EVERY = 5.0  # seconds between two looks whether the reader may still read
BEAT = 15.0  # seconds of silence
AWAY = 1.0  # seconds until the next try when share or store do not answer


class LogLanes:
    """Threads for logs and what is drawn of them, apart from those of other requests. Searching takes a good part of a
    core each."""

    def __init__(self) -> None:
        self.read = Lane("log", 6, deadline=20.0)
        self.search = Lane("log-search", 2, waiting=16, deadline=20.0)
        self.chart = Lane("charts", 4, waiting=128, deadline=90.0)


def lanes(request: Request) -> LogLanes:
    found: LogLanes = request.app.state.log_lanes
    return found


class Watcher:
    """Wakes a coroutine when a log has grown."""

    def __init__(self, given: Services, log: AttemptLog) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._end = given.logs.watch(log, self._tell)

    def _tell(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        """Until it was told, or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()

    def close(self) -> None:
        self._end()


class Reading:
    """One reader of one attempt's log. `open_log`: the log as it is now, with whether the attempt has ended. `wait`
    False: what is there now, and no more."""

    def __init__(
        self, given: Services, lane: Lane, stopping: threading.Event, open_log: Callable[[], AttemptLog],
        allowed: Callable[[], bool], *, wait: bool = True,
    ) -> None:  # fmt: skip
        self._given = given
        self._lane = lane
        self._stopping = stopping
        self._open = open_log
        self._allowed = allowed
        self._wait = wait
        self._failed = False
        self.complete = False  # all there is to read was read

    async def chunks(self, start: int, stream: Stream | None, offset: int | None = None) -> AsyncIterator[LogChunk]:
        """Bytes from line `start` on, or from the byte `offset`."""
        position = -1 if offset is None else offset
        async for log in self._looks():
            try:
                if position < 0:
                    position = await self._lane(partial(log.position, start, stream))
                while found := await self._lane(partial(log.read, position, BLOCK, stream)):
                    for chunk in found:
                        position += len(chunk.data)
                        yield chunk
            except Unavailable:
                self._failed = True

    async def lines(self, start: int, stream: Stream | None) -> AsyncIterator[LogLine]:
        """Each once, when it is complete; those that never were, at the end. Their numbers tell the order."""
        following = start
        unfinished: list[int] = []
        async for log in self._looks():
            try:
                for number in list(unfinished):
                    for line in (await self._lane(partial(log.page, number, 1, stream))).lines:
                        if not line.open or log.ended:
                            unfinished.remove(number)
                            yield line
                while (page := await self._lane(partial(log.page, following, LINES, stream))).lines:
                    following = page.start
                    for line in page.lines:
                        if line.open and not log.ended:
                            unfinished.append(following)
                        else:
                            yield line
                        following += 1
                following = max(following, page.start) if following < 0 else following
            except Unavailable:
                self._failed = True

    async def _looks(self) -> AsyncIterator[AttemptLog]:
        """The log again and again, whenever there may be more; for the last time after the attempt has ended."""
        log = await self._lane(self._open)
        watcher = Watcher(self._given, log)
        next_ended = next_allowed = time.monotonic()
        try:
            while not self._stopping.is_set():
                now = time.monotonic()
                try:
                    if now >= next_allowed:
                        next_allowed = now + ALLOWED_EVERY
                        if not await self._lane(self._allowed):
                            return
                    if now >= next_ended and not log.ended:
                        next_ended = now + ENDED_EVERY
                        before, log = log.attempt, await self._lane(self._open)
                        if log.attempt != before:  # there was none before
                            watcher.close()
                            watcher = Watcher(self._given, log)
                except Unavailable:
                    self._failed = True
                else:
                    yield log
                    if (log.ended or not self._wait) and not self._failed:
                        self.complete = True
                        return
                if self._failed:
                    self._failed = False
                    await asyncio.sleep(AWAY)
                else:
                    await watcher.wait(ENDED_EVERY)
        finally:
            watcher.close()


async def with_beats(found: AsyncIterator[T], every: float = BEAT) -> AsyncIterator[T | None]:
    """The same, and None whenever nothing comes for so many seconds: a reader then knows that we are still there."""
    coming: asyncio.Task[T] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(_next(found))
            done, _ = await asyncio.wait({coming}, timeout=every)
            if not done:
                yield None
                continue
            try:
                one, coming = coming.result(), None
            except StopAsyncIteration:
                return
            yield one
    finally:
        if coming is not None and not coming.done():
            coming.cancel()
            await asyncio.wait({coming})


async def _next(found: AsyncIterator[T]) -> T:
    return await anext(found)


def still_allowed(given: Services, request: Request, look: Callable[[Principal], object]) -> Callable[[], bool]:
    """Whether who asked may still do so. `look` raises when not."""

    def check() -> bool:
        who = identify(given, request)
        if who is None:
            return False
        try:
            look(who)
        except Unavailable:
            raise
        except WinslowError:
            return False
        return True

    return check
