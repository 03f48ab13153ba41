"""Reading an attempt's log: both streams in the order in which the process wrote them.

The runner writes `out` and `err` exactly, and `index`: records of 16 bytes, little-endian {u64 microseconds
since 1970, u32 length, u32 stream (1 out, 2 err)}. Another machine may be writing: every look opens the
files anew, and what the index promises but the stream does not show yet is waited for."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from winslow_nomad.core.client import LogChunk
from winslow_nomad.resources.reader import Reader

RECORD = struct.Struct("<QII")
STREAMS: dict[int, Literal["out", "err"]] = {1: "out", 2: "err"}
LARGEST = 1024 * 1024  # bytes read at once


class LogReader:
    """`directory`: the attempt's, relative to the share. Answers what is new at each call."""

    def __init__(self, reader: Reader, directory: str) -> None:
        self._reader = reader
        self._log = reader.root / directory / "log"
        self._index = 0
        self._offsets = {"out": 0, "err": 0}
        self._owed: tuple[Literal["out", "err"], int, datetime] | None = None  # the rest of a record begun

    def more(self) -> list[LogChunk]:
        """What has come since the last call, at most about a megabyte; empty: nothing now."""
        return self._reader.call(self._more, str(self._log))

    def rest(self) -> list[LogChunk]:
        """Bytes that no index record covers: what a runner that was killed did not get to note."""
        return self._reader.call(self._uncovered, str(self._log))

    def _more(self) -> list[LogChunk]:
        chunks: list[LogChunk] = []
        room = LARGEST
        records = read_from(self._log / "index", self._index, 64 * 1024)
        usable = len(records) - len(records) % RECORD.size
        position = 0
        while room > 0:
            if self._owed is None:
                if position >= usable:
                    break
                micros, length, stream = RECORD.unpack_from(records, position)
                position += RECORD.size
                self._index += RECORD.size
                name = STREAMS.get(stream)
                if name is None or not length:
                    continue
                self._owed = (name, length, datetime.fromtimestamp(micros / 1e6, UTC))
            name, length, at = self._owed
            data = read_from(self._log / name, self._offsets[name], min(length, room))
            if data:
                chunks.append(LogChunk(stream=name, data=data, at=at))
                self._offsets[name] += len(data)
                room -= len(data)
            self._owed = (name, length - len(data), at) if len(data) < length else None
            if self._owed is not None:
                break  # the stream is behind its index, or the room is used up
        return chunks

    def _uncovered(self) -> list[LogChunk]:
        found: list[LogChunk] = []
        for name in STREAMS.values():
            data = read_from(self._log / name, self._offsets[name], LARGEST)
            if data:
                self._offsets[name] += len(data)
                found.append(LogChunk(stream=name, data=data))
        return found


def read_from(path: Path, offset: int, limit: int) -> bytes:
    """Nothing where the file is missing or shorter."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(limit)
    except FileNotFoundError:
        return b""


def chunks(log: LogReader, follow: bool, ended: Callable[[], bool], wait: Callable[[], None]) -> Iterator[LogChunk]:
    """The whole log; with `follow`, until `ended` and everything is read. `wait`: between two looks."""
    while True:
        over = not follow or ended()
        new = log.more()
        yield from new
        if new:
            continue
        if over:
            while rest := log.rest():
                yield from rest
            return
        wait()
