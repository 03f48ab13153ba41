"""Sees that something was written to a log, for all who look at it: one thread, one look at each log for everybody.

Only logs that somebody watches cost anything. Each look opens the index anew, since a file server tells what another
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
from winslow_nomad.resources.reader import Reader

log = logging.getLogger(__name__)
EVERY = 0.025  # seconds between two looks
SHARE = 0.25  # of the time at most is spent looking
ABSENT_EVERY = 0.2  # seconds between two looks for what is not there yet
AGAIN = (0.1, 0.5)  # seconds after news at which it is told once more: bytes may be seen later than their index
AWAY = 1.0  # seconds until the next look after the share did not answer


@dataclass
class _Watched:
    path: Path
    listeners: list[Callable[[], None]] = field(default_factory=list)
    size: int = -1  # of the index; -1: it is not there
    next: float = 0.0
    again: list[float] = field(default_factory=list)


class LogWatch:
    """`watch` begins, the function that it answers ends. The thread lives as long as somebody watches."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._change = threading.Condition()
        self._watched: dict[str, _Watched] = {}
        self._running = False

    def watch(self, directory: str, tell: Callable[[], None]) -> Callable[[], None]:
        """`directory`: of the attempt, relative to the share. `tell` is called from the thread that looks."""
        with self._change:
            one = self._watched.setdefault(directory, _Watched(self._reader.root / directory / "log"))
            one.listeners.append(tell)
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

    def _run(self) -> None:
        pause = EVERY
        while True:
            with self._change:
                self._change.wait(pause)
                if not self._watched:
                    self._running = False
                    return
                watched = list(self._watched.values())
            began = time.monotonic()
            try:
                due = [one for one in watched if one.next <= began]
                sizes = self._reader.call(partial(_sizes, due), "logs that are watched")
            except (Unavailable, OSError) as error:
                log.warning("logs that are watched: %s", error)
                pause = AWAY
                continue
            self._tell(watched, dict(zip(map(id, due), sizes, strict=True)), time.monotonic())
            pause = max(EVERY, (time.monotonic() - began) / SHARE)

    def _tell(self, watched: list[_Watched], sizes: dict[int, int], now: float) -> None:
        for one in watched:
            size = sizes.get(id(one), one.size)
            news = size != one.size
            if news:
                one.size, one.again = size, [now + pause for pause in AGAIN]
            elif one.again and one.again[0] <= now:
                one.again.pop(0)
                news = True
            one.next = now + ABSENT_EVERY if size < 0 else 0.0
            for tell in list(one.listeners) if news else ():
                tell()


def _sizes(watched: list[_Watched]) -> list[int]:
    return [_size(one) for one in watched]


def _size(one: _Watched) -> int:
    try:
        if one.size < 0 and "index" not in os.listdir(one.path):  # noqa: PTH208 - names are enough
            return -1
        descriptor = os.open(one.path / "index", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return -1
        raise
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
