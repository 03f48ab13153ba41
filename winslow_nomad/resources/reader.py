"""All reading from the share, with a deadline: a few threads that may hang in the kernel for as long as the
share does, while whoever asked is told in time.

Every call opens, reads and closes; nothing is cached, and whether a name has appeared is learned by listing
its directory, since NFS remembers missing names for up to a minute. Never writes.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.resources.work import condition

T = TypeVar("T")
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})


class _Task:
    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
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
        task = _Task(work)
        with self._change:
            if self._owner != os.getpid():  # after a fork there are no threads
                self._owner, self._running, self._idle, self._late = os.getpid(), 0, 0, 0
                self._line.clear()
            if self._late >= self._limit:
                raise self._stalled(what)
            self._line.append(task)
            if self._idle < len(self._line) and self._running < self._limit:
                self._running += 1
                threading.Thread(target=self._serve, name="share-reader", daemon=True).start()
            self._change.notify()
        if not task.done.wait(patience):
            with self._change:
                if not task.done.is_set():
                    task.dropped = True
                    if task in self._line:
                        self._line.remove(task)
                    else:
                        self._late += 1
                    raise self._stalled(what)
        if task.error is not None:
            known = condition(task.error) if isinstance(task.error, OSError) else None
            raise known or task.error
        result: T = task.result
        return result

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
