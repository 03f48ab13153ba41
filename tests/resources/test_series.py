"""A thinned table shows all that the whole one would: no peak is lost, nothing is made up."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.filing import Entry, Series
from winslow_nomad.resources.series import Thinned, Thinning, thinned
from winslow_nomad.resources.tree import OpenedFile, modified
from winslow_nomad.resources.uploads import tag_of

VALUES = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=32))


def of(text: str, *, x: str = "", y: tuple[str, ...] = (), points: int = 1000) -> Series:
    return thinned(text.splitlines(keepends=True), x=x, y=y, points=points)


@settings(max_examples=100)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=600), st.integers(2, 60))
def test_the_rows_that_are_kept_are_rows_of_the_table_and_hold_its_extremes(
    rows: list[tuple[float | None, float | None]], points: int
) -> None:
    thinning = Thinning(2, points)
    for number, row in enumerate(rows):
        thinning.add((float(number), *row))
    kept = thinning.kept()
    assert all(row == (row[0], *rows[int(row[0] or 0)]) for row in kept)
    numbers = [row[0] for row in kept]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (0.0, float(len(rows) - 1))
    for column in (1, 2):
        there = [r[column - 1] for r in rows if r[column - 1] is not None]
        if there:
            mine = [r[column] for r in kept if r[column] is not None]
            assert (min(mine), max(mine)) == (min(there), max(there))
    assert len(kept) <= max(points, 2 * 4 * 2 + 2) + 2 * 4


def test_every_part_of_a_long_table_keeps_its_own_extremes() -> None:
    thinning = Thinning(1, 400)
    count = 100_000
    for n in range(count):
        spike = 50.0 if n % 1000 == 500 else 0.0
        thinning.add((float(n), math.sin(n / 500) + spike))
    kept = thinning.kept()
    assert len(kept) <= 402
    assert sum(row[1] is not None and row[1] > 40 for row in kept) >= 75, "single peaks survive"


def test_many_rows_take_little_memory(tmp_path: Path) -> None:
    place = tmp_path / "t.csv"
    with place.open("w") as file:
        file.write("second,vehicles\n")
        for n in range(150_000):
            file.write(f"{n / 25},{n % 17}\n")
    # In a process of its own: a child counts the memory of who started it, and this one has run other tests.
    asked = [sys.executable, "-c", MEASURED, str(place)]
    told = subprocess.run(asked, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    rows, points, kib = map(int, told.stdout.split())
    assert rows == 150_000
    assert points <= 500
    assert kib <= 400_000


ROOT = Path(__file__).parents[2]
MEASURED = """
import resource, sys
from pathlib import Path
from tests.resources.test_series import opened
from winslow_nomad.resources.series import Thinned
with opened(Path(sys.argv[1])) as file:
    found = Thinned().series(file, x="", y=(), points=500)
print(found.rows, len(found.x), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


class opened:  # noqa: N801 - reads as a function
    def __init__(self, place: Path) -> None:
        found = place.stat()
        entry = Entry(
            name=place.name, path=place.name, kind="file", bytes=found.st_size, modified=modified(found),
            tag=tag_of(found),
        )  # fmt: skip
        self.file = OpenedFile(entry, os.open(place, os.O_RDONLY))

    def __enter__(self) -> OpenedFile:
        return self.file

    def __exit__(self, *_: object) -> None:
        self.file.close()


@pytest.mark.parametrize(("text", "x", "y"), [
    ("a,b\n1,2\n2,3\n", [1.0, 2.0], {"b": [2.0, 3.0]}),
    ("1,2\n2,3\n", [1.0, 2.0], {"column 2": [2.0, 3.0]}),  # without a line of names
    ("a;b\n1,5;2,25\n2,5;3,75\n", [1.5, 2.5], {"b": [2.25, 3.75]}),  # as German programs write it
    ("a\tb\n1\t2\n2\t3\n", [1.0, 2.0], {"b": [2.0, 3.0]}),
    ('a,"b, c"\n1,2\n2,3\n', [1.0, 2.0], {"b, c": [2.0, 3.0]}),
    ("b\n2\n3\n", [0.0, 1.0], {"b": [2.0, 3.0]}),  # one column: by the number of the row
    ("a,b\n2,2\n1,3\n", [0.0, 1.0], {"a": [2.0, 1.0], "b": [2.0, 3.0]}),  # what does not grow is no x
    ("a,b\n1,\n2,NaN\n3,null\n4,7\n", [1.0, 2.0, 3.0, 4.0], {"b": [None, None, None, 7.0]}),
    ("a,b\n1,2\n2\n3,4,5\n", [1.0, 2.0, 3.0], {"b": [2.0, None, 4.0], "column 3": [None, None, 5.0]}),
    ("a,a\n1,2\n2,3\n", [1.0, 2.0], {"a (2)": [2.0, 3.0]}),
    ("a,b\r\n1,2\r\n\r\n2,3\r\n", [1.0, 2.0], {"b": [2.0, 3.0]}),
    ("a,b\n1,inf\n2,3\n3,1e400\n", [1.0, 2.0, 3.0], {"b": [None, 3.0, None]}),
    ("a,b\n", [], {"b": []}), ("\n\n", [], {}), ("", [], {}),
])  # fmt: skip
def test_tables_of_all_kinds_are_understood(text: str, x: list[float], y: dict[str, list[float | None]]) -> None:
    found = of(text)
    assert list(found.x) == x
    assert {name: list(values) for name, values in found.y.items()} == y


def test_times_are_seconds_of_the_epoch(tmp_path: Path) -> None:
    found = of("when,v\n2026-03-04T05:06:07Z,1\n2026-03-04 05:06:08,2\n2026-03-04T06:06:09+01:00,3\n")
    begin = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC).timestamp()
    assert (found.x_name, found.x_type) == ("when", "time")
    assert list(found.x) == [begin, begin + 1, begin + 2]


def test_what_is_missing_is_told_from_what_cannot_be_read() -> None:
    rows = "".join(f"{n},{n}\n" for n in range(20))
    found = of(f"a,b\n{rows}20,\n21,oops\n22,-\n")
    (_, b) = found.columns
    assert (b.type, b.missing, b.unreadable) == ("number", 2, 1)


@pytest.mark.parametrize(("text", "question", "code"), [
    ("a,b\n1,2\n", {"y": ("c",)}, "series.no_column"), ("a,b\n1,2\n", {"x": "c"}, "series.no_column"),
    (",".join(f"c{n}" for n in range(600)) + "\n", {}, "series.too_wide"),
    ("a,b\n1," + "9" * 70_000 + "\n", {}, "series.not_a_table"),
])  # fmt: skip
def test_what_is_no_table_says_so(text: str, question: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        of(text, **question)  # type: ignore[arg-type]
    assert refusal.value.code == code


@pytest.mark.parametrize(("raw", "rows"), [
    (b"a,b\n1,2\n2,3\n3", 2), (b"a,b\n1,2\n2,3\n3,", 3), (b"a,b\n1,2\n2,3\n3,4", 3), (b"a,b\n1,2\n", 1), (b"a,b", 0),
])  # fmt: skip
def test_a_line_that_somebody_is_writing_is_not_taken_for_whole(tmp_path: Path, raw: bytes, rows: int) -> None:
    place = tmp_path / "t.csv"
    place.write_bytes(raw)
    old = time.time() - 100
    os.utime(place, (old, old))
    with opened(place) as file:
        assert Thinned().series(file, x="", y=(), points=10).rows == rows
    os.utime(place)
    with opened(place) as file:
        fresh = Thinned().series(file, x="", y=(), points=10).rows
    assert fresh == (rows if raw.endswith(b"\n") or raw == b"a,b" else 2)


def test_an_answer_is_kept_until_the_file_changes(tmp_path: Path) -> None:
    place = tmp_path / "t.csv"
    place.write_text("a,b\n1,2\n")
    series = Thinned()

    def ask(points: int = 10) -> Series:
        with opened(place) as file:
            return series.series(file, x="", y=(), points=points)

    first = ask()
    assert ask() is first
    assert ask(20) is not first
    place.write_text("a,b\n1,3\n")
    assert list(ask().y["b"]) == [3.0]


def test_what_is_no_text_is_no_table(tmp_path: Path) -> None:
    place = tmp_path / "t.csv"
    place.write_bytes(bytes(range(256)))
    with opened(place) as file, pytest.raises(Invalid) as refusal:
        Thinned().series(file, x="", y=(), points=10)
    assert refusal.value.code == "file.not_text"


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before + 1
