"""The end of a log that is being written, taken from its node while the share shows it late: the same bytes at the same
places, in memory, put over what the share has. Only for logs that somebody looks at.

The spool is asked for what has come every few hundredths of a second; what the share has caught up with is forgotten.
Must never write anything, and never be the only place where a byte is looked for: where it fails, the share serves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from winslow_nomad.core.errors import Unavailable
from winslow_nomad.core.ports import LogStream, Spool
from winslow_nomad.resources.log_files import LogFiles

log = logging.getLogger(__name__)
STREAMS: tuple[LogStream, ...] = ("out", "err", "index")  # in the order of LogFiles
EVERY = 0.05  # seconds between two looks
SHARE = 0.3  # of the time at most is spent asking
AT_ONCE = 256 * 1024  # bytes of a stream
MOST = 8 * 1024 * 1024  # bytes of a stream that are held; a stage that writes faster is read from the share
FORGOTTEN = 1024 * 1024  # bytes that the share must have before they are
AWAY = 1.0  # seconds until the next look when the node did not answer
REST = 2.0  # seconds after which a spool that was not there, or is gone, is asked for again


@dataclass(slots=True)
class Tail:
    base: int = 0
    data: bytes = b""

    @property
    def end(self) -> int:
        return self.base + len(self.data)


class LogAhead:
    """Of one attempt. `find`: its spool, None while there is none; `wanted`: whether anybody still looks; `tell`:
    something has come."""

    def __init__(self, find: Callable[[], Spool | None], wanted: Callable[[], bool], tell: Callable[[], None]) -> None:
        self._find, self._wanted, self._tell = find, wanted, tell
        self._lock = threading.Lock()
        self._tails: list[Tail] | None = None  # None: what the share has is not known yet
        self._running = False
        self._next = 0.0
        self._owed = False  # a stream has more than was fetched at once

    def start(self) -> None:
        """Nothing where it is at work, or where there was no spool a moment ago."""
        with self._lock:
            if self._running or time.monotonic() < self._next:
                return
            self._running = True
        threading.Thread(target=self._run, name="log-ahead", daemon=True).start()

    def over(self, files: LogFiles) -> LogFiles:
        """What the share has, and what has come since. Any number of threads may have one."""
        with self._lock:
            if self._tails is None:
                self._tails = [Tail(size) for size in files.sizes]
            for tail, size in zip(self._tails, files.sizes, strict=True):
                there = min(size, tail.end) - tail.base
                if there >= FORGOTTEN or (there == len(tail.data) and not self._running):
                    tail.base, tail.data = tail.base + there, tail.data[there:]
                if not tail.data and size > tail.base:
                    tail.base = size
            tails = [(t.base, t.data) for t in self._tails]
        return _Over(files, tails) if any(data for _, data in tails) else files

    def _run(self) -> None:
        spool: Spool | None = None
        try:
            while self._wanted():
                began = time.monotonic()
                pause = EVERY
                try:
                    spool = spool or self._find()
                    if spool is None or not self._look(spool):
                        self._next = time.monotonic() + REST  # not started yet, or over: the share has it all then
                        return
                except Unavailable as error:
                    log.info("the log on its node: %s", error)
                    spool, pause = None, AWAY
                time.sleep(max(pause, (time.monotonic() - began) / SHARE))
        finally:
            with self._lock:
                self._running = False

    def _look(self, spool: Spool) -> bool:
        """False: there is no spool any more. The index first: what it tells of is in the streams then."""
        with self._lock:
            known = None if self._tails is None else [tail.end for tail in self._tails]
            full = self._tails is not None and any(len(tail.data) >= MOST for tail in self._tails)
        index = spool.size("index")
        if index is None:
            return False
        if known is None:
            self._tell()  # whoever looks then says by `over` where the share ends
            return True
        if full or (index <= known[2] and not self._owed):
            return True
        self._owed = False
        fetched = [b"", b"", b""]
        for which, size in ((2, index), (0, spool.size("out")), (1, spool.size("err"))):
            if size is not None and size > known[which]:
                fetched[which] = spool.read(STREAMS[which], known[which], min(size - known[which], AT_ONCE))
                self._owed = self._owed or known[which] + len(fetched[which]) < size
        with self._lock:
            for tail, begin, data in zip(self._tails or (), known, fetched, strict=True):
                tail.data += data[tail.end - begin :]  # the share may have come further meanwhile
        self._tell()
        return True


class _Over(LogFiles):
    """Files of the share with the tails put over them."""

    def __init__(self, files: LogFiles, tails: list[tuple[int, bytes]]) -> None:
        self._files, self._tails = files, tails
        self.sizes = [max(size, base + len(data)) for size, (base, data) in zip(files.sizes, tails, strict=True)]
        self.inodes = files.inodes

    def read(self, which: int, offset: int, length: int) -> bytes:
        base, data = self._tails[which]
        end = base + len(data)
        if not data or offset >= end or offset + length <= base:
            return self._files.read(which, offset, length)
        if offset < base:
            head = self._files.read(which, offset, base - offset)
            return head if len(head) < base - offset else head + self.read(which, base, length - len(head))
        part = data[offset - base : offset - base + length]
        return part if len(part) == length else part + self._files.read(which, end, length - len(part))
