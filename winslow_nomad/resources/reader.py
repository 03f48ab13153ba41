"""All reading from the share, with a deadline: a few threads that may hang in the kernel for as long as the
share does, while whoever asked is told in time.

Once one has hung, the next look first whether the share answers at all, one at a time; if not, all others are
told at once: a hundred readings one after the other must not take a hundred deadlines.

Every call opens, reads and closes; nothing is cached, and whether a name has appeared is learned by listing
its directory, since NFS remembers missing names for up to a minute. Never writes.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.resources.layout import MARK
from winslow_nomad.resources.work import condition

T = TypeVar("T")
PROBE = 0.5  # seconds that a share which has hung gets for showing that it answers again
TRIAL_EVERY = 1.0  # seconds between two tries of a share that hangs
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})


class _Task:
    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.answered = threading.Event()  # the share did, before the work
        self.done = threading.Event()
        self.dropped = False
        self.result: Any = None
        self.error: BaseException | None = None


class Reader:
    """Reads below `root`. `deadline`: seconds a call may take; `threads`: how many may hang at once."""

    def __init__(self, root: Path, *, deadline: float = 2.0, threads: int = 6) -> None:
        self.root = root
        self._deadline = deadline
        self._limit = threads
        self._change = threading.Condition()
        self._line: deque[_Task] = deque()
        self._running = 0
        self._idle = 0
        self._late = 0  # threads at work for somebody who has left
        self._hangs = False  # the last one that came back, or should have, was late
        self._trying = False
        self._next_trial = 0.0
        self._owner = os.getpid()

    def read(self, path: str, limit: int = 16 * 1024 * 1024) -> bytes | None:
        """The first `limit` bytes of a file; None where there is none. Links are not followed."""
        return self.call(lambda: _read(self.root / path, limit), path)

    def names(self, path: str) -> list[str]:
        """The names in a directory, unsorted; none where there is no such directory."""
        return self.call(lambda: _names(self.root / path), path)

    def call(self, work: Callable[[], T], what: str, deadline: float | None = None) -> T:
        """Any piece of reading. Raises ShareUnavailable (share.stalled ...), and what `work` raises."""
        patience = self._deadline if deadline is None else deadline
        until = time.monotonic() + patience
        task = _Task(work)
        with self._change:
            if self._owner != os.getpid():  # after a fork there are no threads
                self._owner, self._running, self._idle, self._late = os.getpid(), 0, 0, 0
                self._trying = False
                self._line.clear()
            trial = self._may_try(until, what)
            if trial:
                task.work = self._after_a_look(task)
            self._line.append(task)
            if self._idle < len(self._line) and self._running < self._limit:
                self._running += 1
                threading.Thread(target=self._serve, name="share-reader", daemon=True).start()
            self._change.notify_all()
        in_time = not trial or task.answered.wait(min(PROBE, patience))
        in_time = in_time and task.done.wait(until - time.monotonic())
        with self._change:
            self._trying = self._trying and not trial
            self._change.notify_all()
            if not in_time and not task.done.is_set():
                self._leave(task)
                raise self._stalled(what)
            self._hangs = False
        if task.error is not None:
            known = condition(task.error) if isinstance(task.error, OSError) else None
            raise known or task.error
        result: T = task.result
        return result

    def _may_try(self, until: float, what: str) -> bool:
        """Whether this call is the one that finds out if the share answers again. Raises ShareUnavailable."""
        while self._hangs and self._trying:
            if not self._change.wait(until - time.monotonic()):
                raise self._stalled(what)
        if self._late >= self._limit or (self._hangs and time.monotonic() < self._next_trial):
            raise self._stalled(what)
        self._trying = self._hangs
        return self._hangs

    def _after_a_look(self, task: _Task) -> Callable[[], Any]:
        work = task.work

        def tried() -> Any:
            with suppress(OSError):
                _read(self.root / MARK, 1)  # opening asks the server, whatever is remembered here
            task.answered.set()
            return work()

        return tried

    def _leave(self, task: _Task) -> None:
        """Nobody waits for it any more."""
        task.dropped = True
        trial_failed = self._hangs and not task.answered.is_set()
        self._next_trial = time.monotonic() + TRIAL_EVERY if trial_failed else 0.0
        self._hangs = True
        if task in self._line:
            self._line.remove(task)
        else:
            self._late += 1

    def _serve(self) -> None:
        while True:
            with self._change:
                self._idle += 1
                while not self._line:
                    self._change.wait()
                self._idle -= 1
                task = self._line.popleft()
            try:
                task.result = task.work()
            except BaseException as error:  # noqa: BLE001 - carried over to the thread that asked
                task.error = error
            with self._change:
                task.done.set()
                if task.dropped:
                    self._late -= 1
                    self._next_trial = 0.0

    def _stalled(self, what: str) -> ShareUnavailable:
        return ShareUnavailable(
            f"The share {self.root} does not answer: {what[:200]} was not read.",
            hint="Look at its server and the network; what waits goes on by itself.",
            code="share.stalled",
        )


def _read(path: Path, limit: int) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        parts = bytearray()
        while len(parts) < limit:
            part = os.read(fd, min(1 << 20, limit - len(parts)))
            if not part:
                break
            parts += part
        return bytes(parts)
    finally:
        os.close(fd)


def _names(path: Path) -> list[str]:
    try:
        return os.listdir(path)  # noqa: PTH208 - names, not paths
    except OSError as error:
        if error.errno in ABSENT:
            return []
        raise
