"""Where the lines of a log are: a sparse index over both streams in the order of time, built as the log grows.

A line begins where a stream stands at its beginning or behind a newline, and is numbered when its first byte comes.
Every few hundred lines or megabyte a place is noted from which one can walk on. What the index file does not cover
(a runner that was killed) comes last, once the log is final: the rest of out, then the rest of err, without time.

Pure but for reading through LogFiles; nothing here knows projects.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from winslow_nomad.resources.log_files import BLOCK, INDEX, NEWLINE, LogFiles, Window
from winslow_nomad.resources.logs import RECORD

PIECE = 4096  # bytes looked at as a whole
LINES = 128  # about so many lines between two places, at most half as many more
BYTES = 1024 * 1024  # and so many bytes
RUN = 64 * 1024  # bytes that are taken apart at once
RECORDS = 4096  # index records read at once
WIDTH = 8  # numbers of a place
HEAD = struct.Struct("<8sII")
MAGIC = b"WNlines1"
UNKNOWN = 1 << 62  # a length without limit


class Place(NamedTuple):
    """A point between two bytes of the log. `record`: the index record that comes next, `within`: how much of it is
    behind us. `*_start`: where the line began that this stream is in; equal to its position: in none."""

    record: int = 0
    within: int = 0
    out: int = 0
    err: int = 0
    out_start: int = 0
    err_start: int = 0
    out_lines: int = 0
    err_lines: int = 0

    def position(self, stream: int) -> int:
        return self[2 + stream]

    def start(self, stream: int) -> int:
        return self[4 + stream]

    def lines(self, stream: int | None) -> int:
        """Lines begun before it."""
        return self[6] + self[7] if stream is None else self[6 + stream]

    @property
    def bytes(self) -> int:
        return self.out + self.err


class Begun(NamedTuple):
    """A line: where it begins. `n` counts over both streams, `own` within its stream; micros 0: time unknown.
    `other`: how much of the other stream comes before it. `text`: all of it, if it was in one piece."""

    n: int
    own: int
    stream: int
    offset: int
    micros: int
    other: int
    text: bytes | None


class Places(NamedTuple):
    """What is known at one moment; stays as it is while the log grows. `known`: places noted. `reached`: the end of
    what was looked at. `covered`: where the index file ended, once the log was final; None: it is not."""

    numbers: array[int]
    known: int
    reached: Place
    covered: Place | None

    def place(self, number: int) -> Place:
        """The one after the last is where we have got to."""
        if number >= self.known:
            return self.reached
        return Place(*self.numbers[number * WIDTH : (number + 1) * WIDTH])

    def before_line(self, line: int, stream: int | None) -> int:
        """The last place that lies before the beginning of that line."""
        return self._last(lambda p: p.lines(stream), line)

    def before_byte(self, stream: int | None, position: int) -> int:
        """The last place at or before that byte of a stream, or of both in order."""
        return self._last(lambda p: p.bytes if stream is None else p.position(stream), position)

    def line_end(self, window: Window, stream: int, offset: int) -> int:
        """Where the line that begins at `offset` ends, its newline excluded; -1: it has no end yet."""
        end = self.reached.position(stream)
        found = window.newline(offset, min(offset + BLOCK, end))
        if found >= 0 or offset + BLOCK >= end:
            return found
        inside = self.place(self._last(lambda p: p.start(stream), offset))
        skipped = inside.position(stream) if inside.start(stream) == offset else offset
        return window.newline(max(skipped, offset + BLOCK), end)

    def _last(self, key: Callable[[Place], int], value: int) -> int:
        return max(0, bisect_right(range(self.known), value, key=lambda i: key(self.place(i))) - 1)


class LineIndex:
    """Grows by `advance`. Not safe between threads; what `places` answers is."""

    def __init__(self) -> None:
        self.inodes = [0, 0, 0]
        self.last = b""  # the last record that is behind us: tells this log from another one at its place
        self._numbers: array[int] = array("Q", Place())
        self._now = list(Place())
        self._noted = [0, 0]  # lines and bytes at the last place noted
        self._covered: list[int] | None = None  # where we were when the rest began that no record covers
        self._known = 0  # places noted until then
        self._seen = 0  # bytes of the index file then

    def places(self) -> Places:
        covered = Place(*self._covered) if self._covered is not None else None
        return Places(self._numbers, len(self._numbers) // WIDTH, Place(*self._now), covered)

    def dump(self) -> bytes:
        """All that is known, for `load`."""
        covered = self._covered or []
        numbers = array("Q", [*self.inodes, *self._now, *self._noted, self._known, self._seen, *covered])
        head = HEAD.pack(MAGIC, len(covered), len(self.last)) + self.last + numbers.tobytes()
        body = self._numbers.tobytes()
        return head + body + zlib.crc32(head + body).to_bytes(4, "little")

    @classmethod
    def load(cls, text: bytes) -> LineIndex | None:
        """None: it is torn, or of another format."""
        if len(text) < HEAD.size + 4 or zlib.crc32(text[:-4]) != int.from_bytes(text[-4:], "little"):
            return None
        magic, covered, last = HEAD.unpack_from(text)
        if magic != MAGIC:
            return None
        numbers = array("Q")
        numbers.frombytes(text[HEAD.size + last : -4])
        made = cls()
        made.last = text[HEAD.size : HEAD.size + last]
        made.inodes, made._now, made._noted = list(numbers[:3]), list(numbers[3:11]), list(numbers[11:13])
        made._known, made._seen = numbers[13:15]
        made._covered = list(numbers[15 : 15 + covered]) or None
        made._numbers = numbers[15 + covered :]
        return made

    def fits(self, files: LogFiles) -> bool:
        """Whether it is an index of these files: the same ones, grown or as they were."""
        behind = (self._covered or self._now)[0]
        needed = (self._now[2], self._now[3], behind * RECORD.size)
        if any(size < need for size, need in zip(files.sizes, needed, strict=True)):
            return False
        if any(need and self.inodes[i] != files.inodes[i] for i, need in enumerate(needed)):
            return False
        return not self.last or files.read(INDEX, (behind - 1) * RECORD.size, RECORD.size) == self.last

    def advance(self, files: LogFiles, *, final: bool, budget: int) -> bool:
        """Look at up to about `budget` more bytes. True: there is nothing more now. `final`: nothing more will come."""
        self.inodes = list(files.inodes)
        if self._covered is not None and self._grown(files, self._covered):
            self._take_back()
        windows = (Window(files, 0, BYTES), Window(files, 1, BYTES))
        if self._covered is None:
            if not self._with_records(files, windows, budget):
                return False
            if not final:
                return True
            self._covered, self._known = list(self._now), len(self._numbers) // WIDTH
            self._now[0], self._now[1], self._seen = self._covered[0] + 1, 0, files.sizes[INDEX]
        return self._without_records(files, windows, self._covered[0] + 1, budget)

    def _grown(self, files: LogFiles, covered: list[int]) -> bool:
        """Although the attempt has ended: what is missing on the share may be brought from its node later."""
        done = self._now[0] == covered[0] + 3
        return files.sizes[INDEX] > self._seen or (done and files.sizes[:2] != self._now[2:4])

    def _with_records(self, files: LogFiles, windows: tuple[Window, Window], budget: int) -> bool:
        now = self._now
        stop = now[2] + now[3] + budget
        there = files.sizes[INDEX] // RECORD.size
        while now[0] < there:
            block = files.read(INDEX, now[0] * RECORD.size, min(RECORDS, there - now[0]) * RECORD.size)
            for at in range(0, len(block) - RECORD.size + 1, RECORD.size):
                _, length, number = RECORD.unpack_from(block, at)
                stream = number - 1
                if stream in (0, 1) and now[1] < length:
                    end = min(now[2 + stream] + length - now[1], files.sizes[stream])
                    self._consume(windows[stream], stream, end)
                    if now[1] < length:
                        return True  # the stream is behind its index
                now[0] += 1
                now[1] = 0
                self.last = block[at : at + RECORD.size]
                if now[2] + now[3] >= stop:
                    return now[0] >= there
            budget -= len(block)
            if budget <= 0 or not block:
                break
        return now[0] >= there

    def _without_records(self, files: LogFiles, windows: tuple[Window, Window], number: int, budget: int) -> bool:
        """As if there were two records more, from `number` on."""
        now = self._now
        for stream in (0, 1):
            if now[0] != number + stream:
                continue
            end = min(files.sizes[stream], now[2 + stream] + budget)
            budget -= end - now[2 + stream]
            self._consume(windows[stream], stream, end)
            if end < files.sizes[stream]:
                return False
            now[0], now[1] = now[0] + 1, 0
        return True

    def _take_back(self) -> None:
        """What was not covered is numbered anew."""
        assert self._covered is not None
        self._now, self._covered = self._covered, None
        self._numbers = self._numbers[: self._known * WIDTH]
        last = self.places().place(self._known - 1)
        self._noted = [last.lines(None), last.bytes]

    def _consume(self, window: Window, stream: int, end: int) -> None:
        """The bytes of the stream up to `end` come next."""
        now, noted = self._now, self._noted
        position, start, lines = 2 + stream, 4 + stream, 6 + stream
        while now[position] < end:
            data = window.take(now[position], min(now[position] + BYTES, end))
            if not data:
                return  # shorter than it was a moment ago
            for a in range(0, len(data), PIECE):
                b = min(a + PIECE, len(data))
                newlines = data.count(NEWLINE, a, b)
                closed = data[b - 1] == 10
                now[lines] += newlines - closed + (now[start] == now[position])
                now[position] += b - a
                now[1] += b - a
                if closed:
                    now[start] = now[position]
                elif newlines:
                    now[start] = now[position] - (b - 1 - data.rfind(NEWLINE, a, b))
                if now[6] + now[7] - noted[0] >= LINES or now[2] + now[3] - noted[1] >= BYTES:
                    self._numbers.extend(now)
                    noted[0], noted[1] = now[6] + now[7], now[2] + now[3]


def walk(files: LogFiles, windows: tuple[Window, Window], places: Places, start: Place, end: Place) -> Iterator[Begun]:
    """The lines that begin between two places, in order."""
    lines = [start.out_lines, start.err_lines]
    position = [start.out, start.err]
    inside = [start.start(s) != start.position(s) for s in (0, 1)]
    within = start.within
    for micros, length, stream, limit in records(files, places, start, end):
        last = min(position[stream] + length - within, limit.position(stream))
        within = 0
        at, other, window = position[stream], position[1 - stream], windows[stream]
        n, own = lines[0] + lines[1], lines[stream]
        while at < last:
            if inside[stream]:  # of a line that was begun before
                behind = window.newline(at, last) + 1
                inside[stream] = not behind
                at = behind or last
                continue
            *whole, rest = window.take(at, min(at + RUN, last)).split(NEWLINE)
            if not whole and not rest:
                break  # shorter than it was
            for line in whole:
                yield Begun(n, own, stream, at, micros, other, line)
                at += len(line) + 1
                n, own = n + 1, own + 1
            if rest:
                yield Begun(n, own, stream, at, micros, other, None)
                at += len(rest)
                n, own = n + 1, own + 1
                inside[stream] = True
        lines[stream] = own
        position[stream] = last


def records(files: LogFiles, places: Places, start: Place, end: Place) -> Iterator[tuple[int, int, int, Place]]:
    """(microseconds, length, stream, a place that ends before) of the index records between two places, both included,
    and of the two that stand for what the index does not cover."""
    covered = places.covered
    limit = end if covered is None or end.record <= covered.record else covered
    number = start.record
    while number <= limit.record:
        block = files.read(INDEX, number * RECORD.size, min(RECORDS, limit.record + 1 - number) * RECORD.size)
        for at in range(0, len(block) - RECORD.size + 1, RECORD.size):
            micros, length, stream = RECORD.unpack_from(block, at)
            if stream in (1, 2):
                yield micros, length, stream - 1, limit
            number += 1
        if len(block) < RECORD.size:
            break  # the one that is begun is not there yet
    if covered is not None:
        for stream in (0, 1):
            if start.record <= covered.record + 1 + stream <= end.record:
                yield 0, UNKNOWN, stream, end
