"""Logs as the runner writes them, and what a plain reading of them gives."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

START = 1_700_000_000_000_000


class LogWriter:
    """`log/` of an attempt. Its time counts up by a millisecond with every record, or is that of `clock`."""

    def __init__(self, attempt: Path, clock: Callable[[], float] | None = None) -> None:
        self.log = attempt / "log"
        self.log.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        self.micros = START
        self.records: list[tuple[int, int, bytes]] = []

    def write(self, stream: int, data: bytes, *, indexed: bool = True) -> None:
        """stream: 0 out, 1 err."""
        with (self.log / ("out", "err")[stream]).open("ab") as file:
            file.write(data)
        if indexed:
            self.note(stream, len(data))
            self.records.append((self.micros, stream, data))

    def note(self, stream: int, length: int) -> None:
        self.micros = self.micros + 1000 if self.clock is None else round(self.clock() * 1e6)
        with (self.log / "index").open("ab") as file:
            file.write(struct.pack("<QII", self.micros, length, stream + 1))


@dataclass
class Plain:
    stream: int
    micros: int
    raw: bytes
    open: bool = True


def plain_lines(records: list[tuple[int, int, bytes]], rest: tuple[bytes, bytes] = (b"", b"")) -> list[Plain]:
    """One piece after the other: where a line begins, and what it holds."""
    lines: list[Plain] = []
    current: list[Plain | None] = [None, None]
    for micros, stream, data in [*records, (0, 0, rest[0]), (0, 1, rest[1])]:
        parts = data.split(b"\n")
        for number, part in enumerate(parts):
            ends = number < len(parts) - 1
            line = current[stream]
            if line is None and (part or ends):
                line = Plain(stream, micros, b"")
                lines.append(line)
            if line is not None:
                line.raw += part
                line.open = not ends
            current[stream] = None if ends else line
    return lines


def merged(records: list[tuple[int, int, bytes]]) -> bytes:
    return b"".join(data for _, _, data in records)
