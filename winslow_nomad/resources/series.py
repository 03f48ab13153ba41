"""Tables (CSV) as thinned series for charts: of millions of rows those that show all of them.

Rows are read once, in order, in memory that does not grow with them. They are gathered into buckets of equal numbers
of rows; of a bucket those are kept that hold the least and the greatest value of each column asked for, so that no
peak is lost, and every point that is answered was in the file. When there are too many buckets, pairs of them become
one.

What a file needs for this (a good second of a core for each million rows) is done in a process of its own, which gets
the file as its standard input and nothing else: `python -m winslow_nomad.resources.series`.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from winslow_nomad.core.errors import Invalid, ShareUnavailable
from winslow_nomad.core.filing import Column, Opened, Series
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.texts import MARKS, guessed

MOST_COLUMNS = 512
MOST_SERIES = 16
MOST_POINTS = 20_000
SAMPLE = 1000  # rows that tell the types of columns
FIELD = 64 * 1024  # characters
LONGEST = 60.0  # seconds
KEPT = 128  # answers
FRESH = 5.0  # seconds after which nobody is in the middle of a line any more
DELIMITERS = (",", ";", "\t", "|")
MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "nil"})

Kind = Literal["number", "time", "text"]
Row = tuple[float | None, ...]


class Thinned:
    """Answers by file as it is now and by question; a file that has changed is read anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[object, ...], Series] = OrderedDict()

    def series(self, opened: Opened, *, x: str, y: Sequence[str], points: int) -> Series:
        key = (opened.entry.path, opened.entry.tag, x, tuple(y), points)
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                return found
        made = _in_a_process(opened, x, y, points)
        with self._lock:
            self._known[key] = made
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return made


def _in_a_process(opened: Opened, x: str, y: Sequence[str], points: int) -> Series:
    fresh = time.time() - opened.entry.modified.timestamp() < FRESH
    question = json.dumps({"x": x, "y": list(y), "points": points, "bytes": opened.entry.bytes, "fresh": fresh})
    os.lseek(opened.descriptor, 0, os.SEEK_SET)
    child = subprocess.Popen(
        [sys.executable, "-m", "winslow_nomad.resources.series", question],
        stdin=opened.descriptor,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        output, _ = child.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired as error:
        raise Invalid(
            f"{shown(opened.entry.name)} has more rows than can be read in {LONGEST:.0f} seconds.",
            hint="Draw a smaller file.",
            code="series.too_long",
        ) from error
    finally:
        child.kill()
    if child.returncode != 0 or not output:
        raise ShareUnavailable(
            f"{shown(opened.entry.name)} was not read to its end.", hint="Try again.", code="series.ended"
        )
    answer = json.loads(output)
    if "invalid" in answer:
        raise Invalid(answer["invalid"], hint=answer["hint"], code=answer["code"])
    return Series.model_validate(answer)


class _Bucket:
    """Some rows of a table in order. Of each series (value, number of the row) of its least and its greatest; of all
    rows, those that hold one of them, or had held one when they came."""

    def __init__(self, number: int, row: Row) -> None:
        self.first = number
        self.rows: dict[int, Row] = {number: row}
        self.least: list[tuple[float, int] | None] = [None if v is None else (v, number) for v in row[1:]]
        self.most = list(self.least)

    def add(self, number: int, row: Row) -> None:
        holds = False
        for n, value in enumerate(row[1:]):
            if value is None:
                continue
            least, most = self.least[n], self.most[n]
            if least is None or value < least[0]:
                self.least[n] = (value, number)
                holds = True
            if most is None or value > most[0]:
                self.most[n] = (value, number)
                holds = True
        if holds:
            self.rows[number] = row
            if len(self.rows) > 8 * len(row):
                self.tidy()

    def take(self, other: _Bucket) -> None:
        """`other` comes behind."""
        self.least = [_better(a, b, least=True) for a, b in zip(self.least, other.least, strict=True)]
        self.most = [_better(a, b, least=False) for a, b in zip(self.most, other.most, strict=True)]
        self.rows.update(other.rows)
        self.tidy()

    def tidy(self) -> None:
        """Let go of what holds no extreme any more; a bucket without any value keeps its first row."""
        wanted = {found[1] for found in (*self.least, *self.most) if found is not None} or {self.first}
        self.rows = {n: r for n, r in self.rows.items() if n in wanted}


def _better(a: tuple[float, int] | None, b: tuple[float, int] | None, *, least: bool) -> tuple[float, int] | None:
    if a is None or b is None:
        return a or b
    return b if (b[0] < a[0] if least else b[0] > a[0]) else a


class Thinning:
    """Takes rows (x first) and keeps at most `points` of them, or a few for each column where that is more."""

    def __init__(self, series: int, points: int) -> None:
        self._most = max(2, points // max(1, 2 * series) // 2 * 2)  # buckets; of an even number, to be paired
        self._points = points
        self._whole: list[Row] | None = []
        self._buckets: list[_Bucket] = []
        self._width = 1
        self._filled = 0  # rows in the last bucket
        self.rows = 0
        self._ends: tuple[Row, Row] | None = None

    def add(self, row: Row) -> None:
        number = self.rows
        self.rows += 1
        self._ends = (self._ends[0] if self._ends else row, row)
        if self._whole is not None:
            self._whole.append(row)
            if len(self._whole) <= self._points:
                return
            whole, self._whole = self._whole, None
            for earlier, kept in enumerate(whole):
                self._put(earlier, kept)
            return
        self._put(number, row)

    def _put(self, number: int, row: Row) -> None:
        if self._buckets and self._filled < self._width:
            self._buckets[-1].add(number, row)
            self._filled += 1
            return
        if len(self._buckets) >= self._most:
            pairs = zip(self._buckets[0::2], self._buckets[1::2], strict=True)
            merged = []
            for first, second in pairs:
                first.take(second)
                merged.append(first)
            self._buckets = merged
            self._width *= 2
        self._buckets.append(_Bucket(number, row))
        self._filled = 1

    def kept(self) -> list[Row]:
        """In order; the first and the last row are always there."""
        if self._whole is not None:
            return self._whole
        assert self._ends is not None
        rows: dict[int, Row] = {0: self._ends[0], self.rows - 1: self._ends[1]}
        for bucket in self._buckets:
            bucket.tidy()
            rows.update(bucket.rows)
        return [rows[n] for n in sorted(rows)]


# --- reading a table


def thinned(lines: Iterable[str], *, x: str, y: Sequence[str], points: int) -> Series:
    """`lines` of a CSV file, the last one whole. x: a column, empty: the first that is a time or ever grows, else
    the number of the row. y: columns, empty: all numbers up to MOST_SERIES. Raises Invalid."""
    csv.field_size_limit(FIELD)
    try:
        return _thinned(iter(lines), x, y, min(max(points, 2), MOST_POINTS))
    except csv.Error as error:
        raise Invalid(f"This is not a table: {error}.", hint="Draw a CSV file.", code="series.not_a_table") from error


def _thinned(rows: Iterator[str], x: str, y: Sequence[str], points: int) -> Series:
    head = list(itertools.islice(rows, SAMPLE))
    if not any(line.strip() for line in head):
        return Series(columns=(), x_name="", x_type="row", x=(), y={}, rows=0, thinned=False)
    dialect = _dialect(head)
    table = csv.reader(itertools.chain(head, rows), delimiter=dialect.delimiter, skipinitialspace=True)
    return _series(table, dialect, x, y, points)


@dataclass
class _Dialect:
    delimiter: str
    comma: bool  # numbers are written 1,5


def _dialect(head: Sequence[str]) -> _Dialect:
    """The sign that parts the first lines into the same number of fields, more than one."""
    best, score = ",", 0
    for sign in DELIMITERS:
        counts = [len(r) for r in csv.reader(head[:50], delimiter=sign, skipinitialspace=True) if r]
        alike = counts.count(counts[0]) if counts else 0
        if counts and counts[0] > 1 and alike * counts[0] > score and alike >= 0.8 * len(counts):
            best, score = sign, alike * counts[0]
    return _Dialect(best, best != ",")


@dataclass
class _Made:
    name: str
    kind: Kind = "number"
    missing: int = 0
    unreadable: int = 0


def _series(table: Iterator[list[str]], dialect: _Dialect, x: str, y: Sequence[str], points: int) -> Series:
    rows = (row for row in table if row and any(cell.strip() for cell in row))
    sample = list(itertools.islice(rows, SAMPLE))
    width = max(len(row) for row in sample)
    if width > MOST_COLUMNS:
        raise Invalid(f"The table has more than {MOST_COLUMNS} columns.", code="series.too_wide")
    columns, body = _columns(sample, width, dialect)
    chosen = _chosen(columns, body, dialect, x, y)
    thinning = Thinning(len(chosen.y), points)
    readers = [chosen.x, *chosen.y]
    for row in itertools.chain(body, rows):
        values: list[float | None] = []
        for place in readers:
            if place < 0:
                values.append(float(thinning.rows))
                continue
            values.append(_value(row[place] if place < len(row) else "", columns[place], dialect))
        thinning.add(tuple(values))
    kept = thinning.kept()
    x_kind = columns[chosen.x].kind if chosen.x >= 0 else "row"
    return Series(
        columns=tuple(Column(name=c.name, type=c.kind, missing=c.missing, unreadable=c.unreadable) for c in columns),
        x_name=columns[chosen.x].name if chosen.x >= 0 else "",
        x_type=x_kind,
        x=tuple(row[0] for row in kept),
        y={columns[place].name: tuple(row[n] for row in kept) for n, place in enumerate(chosen.y, 1)},
        rows=thinning.rows,
        thinned=len(kept) < thinning.rows,
    )


def _columns(sample: list[list[str]], width: int, dialect: _Dialect) -> tuple[list[_Made], list[list[str]]]:
    first = sample[0]
    headed = not any(_number(cell, dialect) is not None or _time(cell) is not None for cell in first)
    body = sample[1:] if headed else sample
    names: list[str] = []
    for place in range(width):
        name = first[place].strip() if headed and place < len(first) else ""
        name = name[:200] or f"column {place + 1}"
        names.append(name if name not in names else f"{name} ({place + 1})")
    return [_Made(name, _kind([r[n] for r in body if n < len(r)], dialect)) for n, name in enumerate(names)], body


def _kind(cells: Sequence[str], dialect: _Dialect) -> Kind:
    there = [c for c in cells if c.strip().lower() not in MISSING]
    if not there:
        return "number"
    numbers = sum(_float(c, dialect) is not None for c in there)
    if numbers > 0.8 * len(there):
        return "number"
    return "time" if sum(_time(c) is not None for c in there) > 0.8 * len(there) else "text"


@dataclass
class _Chosen:
    x: int
    y: list[int]


def _chosen(
    columns: Sequence[_Made], body: Sequence[Sequence[str]], dialect: _Dialect, x: str, y: Sequence[str]
) -> _Chosen:
    places = {c.name: n for n, c in enumerate(columns)}
    for name in (*([x] if x else []), *y):
        if name not in places:
            there = ", ".join(shown(n) for n in list(places)[:20])
            raise Invalid(f"There is no column {shown(name)}.", hint=f"There are {there}.", code="series.no_column")
    if len(y) > MOST_SERIES:
        raise Invalid(f"At most {MOST_SERIES} columns can be drawn at once.", code="series.too_many")
    at = places[x] if x else _guessed_x(columns, body, dialect)
    wanted = list(dict.fromkeys(places[name] for name in y))
    if not wanted:
        wanted = [n for n, c in enumerate(columns) if c.kind == "number" and n != at][:MOST_SERIES]
    return _Chosen(at, wanted)


def _guessed_x(columns: Sequence[_Made], body: Sequence[Sequence[str]], dialect: _Dialect) -> int:
    for place, column in enumerate(columns):
        if column.kind == "time":
            return place
    if columns[0].kind != "number" or len(columns) == 1:
        return -1
    values = [_number(row[0], dialect) for row in body if row]
    growing = all(a is not None and b is not None and a <= b for a, b in itertools.pairwise(values))
    return 0 if growing else -1


def _value(cell: str, column: _Made, dialect: _Dialect) -> float | None:
    text = cell.strip()
    if text.lower() in MISSING:
        column.missing += 1
        return None
    found = _time(text) if column.kind == "time" else _number(text, dialect)
    if found is None:
        column.unreadable += 1
    return found


def _number(cell: str, dialect: _Dialect) -> float | None:
    """Finite ones; others cannot be drawn, nor written as JSON."""
    value = _float(cell, dialect)
    return value if value is not None and math.isfinite(value) else None


def _float(cell: str, dialect: _Dialect) -> float | None:
    text = cell.strip()
    if dialect.comma and "," in text and "." not in text:
        text = text.replace(",", ".", 1)
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _time(cell: str) -> float | None:
    """Seconds since 1970; UTC where nothing else is said."""
    text = cell.strip()
    if len(text) < 8 or not text[:4].isdigit():
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


# --- the process


class _Whole:
    """Lines of a file up to a size. The last one only if it is whole: whoever writes it may be in the middle of it.
    `fresh`: the file has just changed; then a last line without an end is not taken for whole."""

    def __init__(self, file: io.BufferedReader, size: int, fresh: bool) -> None:
        self._file = file
        self._left = size
        self._fresh = fresh
        beginning = file.peek(4096)[: min(4096, size)]
        self._encoding = next((name for mark, name in MARKS if beginning.startswith(mark)), "")
        self._encoding = self._encoding or guessed(beginning, True)
        if not self._encoding:
            raise Invalid("This is not text.", hint="Draw a CSV file.", code="file.not_text")

    def __iter__(self) -> Iterator[str]:
        raw = io.BufferedReader(_Limited(self._file, self._left), 1 << 20)
        text = io.TextIOWrapper(raw, self._encoding, "replace", newline="")
        first = ""
        while line := text.readline(4 * FIELD):
            whole = line.endswith(("\n", "\r"))
            if not whole and first and (self._fresh or any(line.count(s) < first.count(s) for s in DELIMITERS)):
                return
            first = first or line
            yield line


class _Limited(io.RawIOBase):
    def __init__(self, file: io.BufferedReader, size: int) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._file.read(min(len(buffer), self._left))
        buffer[: len(block)] = block
        self._left -= len(block)
        return len(block)


def main() -> None:
    question = json.loads(sys.argv[1])
    os.nice(5)
    try:
        lines = _Whole(sys.stdin.buffer, question["bytes"], question["fresh"])  # type: ignore[arg-type]
        found = thinned(lines, x=question["x"], y=question["y"], points=question["points"])
        print(found.model_dump_json())
    except Invalid as error:
        print(json.dumps({"invalid": error.message, "hint": error.hint, "code": error.code}))


if __name__ == "__main__":
    main()
