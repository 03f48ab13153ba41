"""Sees that something was written to a log, for all who look at it: one thread, one look at each log for everybody.

Only logs that somebody watches cost anything. A share that shows late what is written is noticed by the times in the
index, and told to whoever wants to know. Each look opens the index anew, since a file server tells what another
machine has appended only then; a name that is not there yet is looked for in its directory."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from winslow_nomad.core.errors import Unavailable
from winslow_nomad.resources.logs import RECORD
from winslow_nomad.resources.reader import Reader

log = logging.getLogger(__name__)
EVERY = 0.025  # seconds between two looks
SHARE = 0.25  # of the time at most is spent looking
ABSENT_EVERY = 0.2  # seconds between two looks for what is not there yet
AGAIN = (0.1, 0.5)  # seconds after news at which it is told once more: bytes may be seen later than their index
AWAY = 1.0  # seconds until the next look after the share did not answer
LATE = 0.3  # seconds that bytes had been written at a look which did not show them
OFTEN = 3  # times in a row
TOO_LATE = 1.0  # seconds; once is enough
ABSENT_LATE = (1.0, 10.0)  # seconds without an index, at first and at last, after which it may be there all the same


@dataclass
class _Watched:
    path: Path
    listeners: list[Callable[[], None]] = field(default_factory=list)
    size: int = -1  # of the index; -1: it is not there
    looked: float = 0.0  # when, by the clock on the wall
    next: float = 0.0
    again: list[float] = field(default_factory=list)
    is_late: Callable[[], None] | None = None
    late: int = 0  # how often in a row
    absent: tuple[float, float] = (0.0, ABSENT_LATE[0])  # since when, and for how long until it is told


class LogWatch:
    """`watch` begins, the function that it answers ends. The thread lives as long as somebody watches."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._change = threading.Condition()
        self._watched: dict[str, _Watched] = {}
        self._running = False

    def watch(
        self, directory: str, tell: Callable[[], None], is_late: Callable[[], None] | None = None
    ) -> Callable[[], None]:
        """`directory`: of the attempt, relative to the share. `tell` is called from the thread that looks; so is
        `is_late`, again and again while the share shows late what is written, or may do so."""
        with self._change:
            one = self._watched.setdefault(directory, _Watched(self._reader.root / directory / "log"))
            one.listeners.append(tell)
            one.is_late = is_late or one.is_late
            one.absent = one.absent if one.absent[0] else (time.monotonic(), ABSENT_LATE[0])
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="log-watch", daemon=True).start()
            self._change.notify_all()

        def end() -> None:
            with self._change:
                if tell in one.listeners:
                    one.listeners.remove(tell)
                if not one.listeners and self._watched.get(directory) is one:
                    del self._watched[directory]
                self._change.notify_all()

        return end

    def watches(self, directory: str) -> bool:
        with self._change:
            return directory in self._watched

    def news(self, directory: str) -> None:
        """Somebody else has seen that there is more."""
        with self._change:
            one = self._watched.get(directory)
            listeners = list(one.listeners) if one is not None else []
        for tell in listeners:
            tell()

    def _run(self) -> None:
        pause = EVERY
        while True:
            with self._change:
                self._change.wait(pause)
                if not self._watched:
                    self._running = False
                    return
                watched = list(self._watched.values())
            began, looks = time.monotonic(), time.time()
            try:
                due = [one for one in watched if one.next <= began]
                seen = self._reader.call(partial(_all_seen, due), "logs that are watched")
            except (Unavailable, OSError) as error:
                log.warning("logs that are watched: %s", error)
                pause = AWAY
                continue
            self._tell(watched, dict(zip(map(id, due), seen, strict=True)), time.monotonic())
            for one in due:
                one.looked = looks
            pause = max(EVERY, (time.monotonic() - began) / SHARE)

    def _tell(self, watched: list[_Watched], seen: dict[int, tuple[int, float]], now: float) -> None:
        for one in watched:
            size, written = seen.get(id(one), (one.size, 0.0))
            news = size != one.size
            if self._shown_late(one, size, written, now) and one.is_late is not None:
                one.is_late()
            if news:
                one.size, one.again = size, [now + pause for pause in AGAIN]
            elif one.again and one.again[0] <= now:
                one.again.pop(0)
                news = True
            if id(one) in seen:
                one.next = now + ABSENT_EVERY if size < 0 else 0.0
            for tell in list(one.listeners) if news else ():
                tell()

    @staticmethod
    def _shown_late(one: _Watched, size: int, written: float, now: float) -> bool:
        """Clocks that differ make it look late or early: the first costs some requests, the second nothing."""
        if size < 0:
            since, patience = one.absent
            if now - since < patience:
                return False
            one.absent = now, min(2 * patience, ABSENT_LATE[1])
            return True
        if size > one.size >= 0 and written:
            by = one.looked - written
            one.late = OFTEN if by > TOO_LATE else one.late + 1 if by > LATE else 0
        return one.late >= OFTEN


def _all_seen(watched: list[_Watched]) -> list[tuple[int, float]]:
    return [_seen(one) for one in watched]


def _seen(one: _Watched) -> tuple[int, float]:
    """The size of the index, -1 where there is none; and when the first of what is new in it was written."""
    try:
        if one.size < 0 and "index" not in os.listdir(one.path):  # noqa: PTH208 - names are enough
            return -1, 0.0
        descriptor = os.open(one.path / "index", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return -1, 0.0
        raise
    try:
        size = os.fstat(descriptor).st_size
        if size <= one.size:
            return size, 0.0
        new = os.pread(descriptor, RECORD.size, max(one.size, 0) // RECORD.size * RECORD.size)
        return size, RECORD.unpack(new)[0] / 1e6 if len(new) == RECORD.size else 0.0
    finally:
        os.close(descriptor)
