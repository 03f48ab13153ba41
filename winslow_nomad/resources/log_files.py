"""The three files of an attempt's log, opened for one look: what another machine appends is only seen by opening
anew. Never follows a link, never writes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = ("out", "err", "index")
OUT, ERR, INDEX = range(3)
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})
BLOCK = 128 * 1024  # bytes read at once where little is wanted
NEWLINE = b"\n"
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LogFiles:
    """`sizes` and `inodes` of out, err, index; 0 where a file is missing."""

    def __init__(self, descriptors: list[int]) -> None:
        self._descriptors = descriptors
        found = [os.fstat(d) if d >= 0 else None for d in descriptors]
        if any(f is not None and not stat.S_ISREG(f.st_mode) for f in found):
            raise OSError(errno.EINVAL, "not a file")
        self.sizes = [f.st_size if f is not None else 0 for f in found]
        self.inodes = [f.st_ino if f is not None else 0 for f in found]

    def read(self, which: int, offset: int, length: int) -> bytes:
        """What there is of it, up to `length` bytes."""
        descriptor = self._descriptors[which]
        if descriptor < 0 or length <= 0:
            return b""
        data = os.pread(descriptor, length, offset)
        while 0 < len(data) < length:
            more = os.pread(descriptor, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data


@contextmanager
def opened(attempt: Path) -> Iterator[LogFiles]:
    """The files in `log/` of the attempt's directory."""
    descriptors: list[int] = []
    folder = _open(attempt / "log", os.O_DIRECTORY)
    try:
        for name in NAMES:
            descriptors.append(-1 if folder < 0 else _open(name, folder=folder))
        yield LogFiles(descriptors)
    finally:
        for descriptor in (folder, *descriptors):
            if descriptor >= 0:
                os.close(descriptor)


def _open(path: str | Path, more: int = 0, folder: int | None = None) -> int:
    """-1: there is none."""
    try:
        return os.open(path, FLAGS | more, dir_fd=folder)
    except OSError as error:
        if error.errno in ABSENT:
            return -1
        raise


class Window:
    """One stream, read in blocks as they are needed."""

    def __init__(self, files: LogFiles, stream: int, block: int = BLOCK) -> None:
        self._files = files
        self._stream = stream
        self._block = block
        self._base = 0
        self._data = b""

    def newline(self, start: int, end: int) -> int:
        """Where the first newline in [start, end) is; -1: there is none."""
        while start < end:
            data, at = self._at(start)
            found = data.find(NEWLINE, at, at + end - start)
            if found >= 0:
                return self._base + found
            if at >= len(data):
                return -1  # shorter than it was
            start = self._base + len(data)
        return -1

    def take(self, start: int, end: int) -> bytes:
        data, at = self._at(start)
        if at + end - start <= len(data):
            return data[at : at + end - start]
        return self._files.read(self._stream, start, end - start)

    def _at(self, position: int) -> tuple[bytes, int]:
        if not self._base <= position < self._base + len(self._data):
            self._base, self._data = position, self._files.read(self._stream, position, self._block)
        return self._data, position - self._base
