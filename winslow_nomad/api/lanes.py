"""Threads for what may hang with a share, so that it never takes those of other routes: each lane has a few of its
own, and whoever waits is told in time.

A thread that hangs in the kernel cannot be ended. It stays, counts, and is free again when the share is back; while all
of a lane hang, everybody is told at once. Nothing here knows what the work is.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import Request

from winslow_nomad.core.errors import ShareUnavailable, TooMany

T = TypeVar("T")
AS_LONG_AS_IT_TAKES = 30 * 86400.0  # seconds


class _Task:
    def __init__(self, work: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.left = False  # nobody waits for it any more
        self.context = contextvars.copy_context()
        self.unwanted: Callable[[Any], object] | None = None

    def settle(self, result: Any, error: BaseException | None) -> None:
        """In the loop's thread."""
        if self.future.done():
            if error is None:
                self.throw_away(result)
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)

    def throw_away(self, result: Any) -> None:
        if self.unwanted is not None:
            threading.Thread(target=self.unwanted, args=(result,), daemon=True).start()


class Lane:
    """`threads`: how many pieces of work at once; `waiting`: how many more may wait; `deadline`: seconds."""

    def __init__(self, name: str, threads: int, *, waiting: int = 256, deadline: float = 5.0) -> None:
        self._name = name
        self._limit = threads
        self._waiting = waiting
        self._deadline = deadline
        self._change = threading.Condition()
        self._line: deque[_Task] = deque()
        self._running = 0
        self._idle = 0
        self._late = 0

    async def __call__(
        self, work: Callable[[], T], *, deadline: float | None = None, unwanted: Callable[[T], object] | None = None
    ) -> T:
        """Raises what `work` raises, ShareUnavailable (share.stalled) when it takes too long, TooMany. `unwanted` gets
        a result that comes when nobody waits for it any more, to close what it holds."""
        task = _Task(work, asyncio.get_running_loop())
        task.unwanted = unwanted
        self._begin(task)
        try:
            async with asyncio.timeout(self._deadline if deadline is None else deadline):
                result: T = await task.future
                return result
        except TimeoutError as error:
            if task.future.cancelled():
                raise _stalled() from error
            late: T = task.future.result()  # what came with the deadline, or the work's own error
            return late
        except asyncio.CancelledError:
            if task.future.done() and not task.future.cancelled() and task.future.exception() is None:
                task.throw_away(task.future.result())  # it came in the same moment
            raise
        finally:
            if not task.future.done() or task.future.cancelled():
                self._leave(task)

    def _begin(self, task: _Task) -> None:
        with self._change:
            if self._late >= self._limit:
                raise _stalled()
            if len(self._line) >= self._waiting:
                raise TooMany(
                    "Too many requests about files wait at this moment; nothing was done.",
                    hint="It is tried again.",
                    retry_after=2.0,
                    code="files.many",
                )
            self._line.append(task)
            if self._idle < len(self._line) and self._running < self._limit:
                self._running += 1
                threading.Thread(target=self._serve, name=f"files-{self._name}", daemon=True).start()
            self._change.notify()

    def _leave(self, task: _Task) -> None:
        with self._change:
            if task in self._line:
                self._line.remove(task)
            elif not task.left:
                task.left = True
                self._late += 1

    def _serve(self) -> None:
        while True:
            with self._change:
                self._idle += 1
                while not self._line:
                    self._change.wait()
                self._idle -= 1
                task = self._line.popleft()
            result, error = None, None
            try:
                result = task.context.run(task.work)
            except BaseException as raised:  # noqa: BLE001 - carried over to whoever asked
                error = raised
            with self._change:
                if task.left:
                    self._late -= 1
                task.left = True
            with suppress(RuntimeError):  # the loop has ended
                task.loop.call_soon_threadsafe(task.settle, result, error)


def _stalled() -> ShareUnavailable:
    return ShareUnavailable(
        "The share does not answer; perhaps nothing was done.",
        hint="Look at its server and the network, then look at the folder.",
        code="share.stalled",
    )


async def at_last(work: Callable[[], object]) -> None:
    """What has to be done whoever leaves and however many wait, such as closing: by a thread of its own, and to its end
    where it is not waited for. Raises what `work` raises."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as raised:  # noqa: BLE001 - carried over to whoever waits
            done.set_exception(raised)
        else:
            done.set_result(None)

    threading.Thread(target=run, name="files-at-last", daemon=True).start()
    await asyncio.shield(asyncio.wrap_future(done))


class Lanes:
    """Of one file system. look: names and single reads. follow: the same, again and again, of what somebody keeps on a
    screen. flow: content of downloads and archives. count: tables read to their end."""

    def __init__(self) -> None:
        self.look = Lane("look", 8, deadline=5.0)
        self.follow = Lane("follow", 2, waiting=4000, deadline=20.0)
        self.flow = Lane("flow", 16, deadline=30.0)
        self.count = Lane("count", 2, waiting=32, deadline=90.0)


class Roads:
    """Lanes by place: a folder mapped into the pool from a server that hangs leaves the share's own free. change:
    names that change, which are looked at first. write: waits for the processes that write, which have deadlines of
    their own, and touches nothing of the share itself: one thread for each upload."""

    def __init__(self) -> None:
        self.change = Lane("change", 16, deadline=20.0)
        self.write = Lane("write", 64, deadline=AS_LONG_AS_IT_TAKES)
        self._places: dict[str, Lanes] = {}

    def to(self, place: str) -> Lanes:
        return self._places.setdefault(place, Lanes())


def roads(request: Request) -> Roads:
    found: Roads = request.app.state.roads
    return found
