"""Tables made of logs by log parsers, when somebody looks at them: read on from where the last look ended, kept in the
home of this machine and made anew when lost. Nothing is written to a stage: it is not slowed down while it runs and
never changes once it has ended, and parsers that are defined later read its log as well.

Lines are taken in the order of time. One that has no end yet is taken once it has."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.filing import Entry, Series
from winslow_nomad.core.logs import AttemptLog
from winslow_nomad.core.pipeline import PARSED, LogParser
from winslow_nomad.core.tables import Sample, SampleRow, Table, Tables
from winslow_nomad.resources.log_files import LogFiles
from winslow_nomad.resources.log_index import Begun, Places
from winslow_nomad.resources.log_lines import Lines, Page
from winslow_nomad.resources.log_rows import LineOf, Row, Rows, as_csv
from winslow_nomad.resources.log_search import SLICE, Wanted, in_slice
from winslow_nomad.resources.log_text import NOTHING, Masker
from winslow_nomad.resources.series import Thinned
from winslow_nomad.resources.share_logs import ShareLog, ShareLogs

SECONDS = 2.0  # of one look
LONGEST_LINE = 64 * 1024  # bytes of a line that are looked at
AT_ONCE = 4000  # lines read one by one in one go
MOST_TABLES = 100  # of one stage
LARGEST = 256 * 1024 * 1024  # bytes of one table
KEPT = 300  # logs whose tables are kept; those looked at least recently go first
FORMAT = 1
NUMBERS: dict[str, int | None] = {"": None, "out": 0, "err": 1}
State = dict[str, Any]


class ShareTables:
    """core.tables.LogTables"""

    def __init__(self, logs: ShareLogs, folder: Path, *, keep: int = KEPT) -> None:
        self._logs = logs
        self._folder = folder
        self._keep = keep
        self._thinned = Thinned()

    def make(self, log: AttemptLog, parsers: Sequence[LogParser], variables: Mapping[str, str]) -> Tables:
        if not isinstance(log, ShareLog) or log.lines is None or not parsers:
            return Tables(tables=(), complete=True)
        with self._kept(log.lines, parsers, variables) as kept:
            deadline = time.monotonic() + SECONDS
            places, whole = log.lines.refresh(final=log.ended)
            masker = self._logs.masks.now()
            done = True
            for parser, state in zip(parsers, kept.parsers, strict=True):
                reading = _Reading(
                    self._logs, log.lines, places, masker, Rows(parser, variables), state, kept, log.ended
                )
                done = reading.go_on(deadline) and done
            kept.save()
            return Tables(tables=kept.tables(), complete=done and whole)

    def open(
        self, log: AttemptLog, parsers: Sequence[LogParser], variables: Mapping[str, str], path: str
    ) -> LocalFile:
        if isinstance(log, ShareLog) and log.lines is not None and parsers:
            with self._kept(log.lines, parsers, variables) as kept:
                found = kept.open(path)
            if found is not None:
                return found
        raise NotFound(f"No log parser has made a table {path[:200]!r} of this log (yet).", code="table.not_found")

    def sample(self, log: AttemptLog, parser: LogParser, variables: Mapping[str, str], *, limit: int) -> Sample:
        rows = Rows(parser, variables)
        if not isinstance(log, ShareLog) or log.lines is None:
            return Sample(header=rows.header, rows=(), found=0, read=0, total=0)
        deadline = time.monotonic() + SECONDS
        places, _ = log.lines.refresh(final=log.ended)
        first, state = _First(limit), dict[str, Any]()
        masker = self._logs.masks.now()
        _Reading(self._logs, log.lines, places, masker, rows, state, first, log.ended).go_on(deadline)
        total = places.reached.lines(None)
        return Sample(
            header=rows.header, rows=tuple(first.rows), found=first.found, read=min(state["next"], total), total=total
        )

    def series(
        self,
        log: AttemptLog,
        parsers: Sequence[LogParser],
        variables: Mapping[str, str],
        path: str,
        *,
        x: str,
        y: Sequence[str],
        points: int,
    ) -> Series:
        opened = self.open(log, parsers, variables, path)
        try:
            return self._thinned.series(opened, x=x, y=y, points=points)
        finally:
            opened.close()

    @contextlib.contextmanager
    def _kept(self, lines: Lines, parsers: Sequence[LogParser], variables: Mapping[str, str]) -> Iterator[_Kept]:
        """Locked against other threads and processes."""
        question = json.dumps([[p.model_dump() for p in parsers], dict(variables)], sort_keys=True)
        top = self._folder / lines.directory.removeprefix("projects/").replace("/", ",")
        folder = top / hashlib.sha256(question.encode()).hexdigest()[:32]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(top)
        with (folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield _Kept(folder, len(parsers))
        self._thin_out()

    def _thin_out(self) -> None:
        ages = []
        with contextlib.suppress(OSError):
            for entry in os.scandir(self._folder):
                ages.append((entry.stat().st_mtime, entry.path))
        for _, path in sorted(ages)[: max(0, len(ages) - self._keep)]:
            shutil.rmtree(path, ignore_errors=True)


class LocalFile:
    """core.filing.Opened"""

    def __init__(self, path: Path, entry: Entry) -> None:
        self.entry = entry
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self.descriptor, max(0, min(count, self.entry.bytes - offset)), offset)

    def close(self) -> None:
        os.close(self.descriptor)


class _Sink(Protocol):
    def add(self, row: Row, header: tuple[str, ...]) -> None: ...


class _First:
    """The first rows, and how many there were."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.found = 0
        self.rows: list[SampleRow] = []

    def add(self, row: Row, header: tuple[str, ...]) -> None:  # noqa: ARG002 - all rows have the same
        self.found += 1
        if len(self.rows) < self._limit:
            self.rows.append(SampleRow(line=row.n, path=row.path, fields=row.fields))


class _Kept:
    """The tables in a folder, and how far each parser has come. What a process that died has added is cut off again."""

    def __init__(self, folder: Path, parsers: int) -> None:
        self._folder = folder
        fresh = {"format": FORMAT, "parsers": [{} for _ in range(parsers)], "tables": {}}
        self._state: State = self._loaded(parsers) or fresh
        self._new: dict[str, list[tuple[str, ...]]] = {}
        self._headers: dict[str, tuple[str, ...]] = {}

    @property
    def parsers(self) -> list[State]:
        found: list[State] = self._state["parsers"]
        return found

    def _loaded(self, parsers: int) -> State | None:
        try:
            state: State = json.loads((self._folder / "state.json").read_bytes())
            if state["format"] != FORMAT or len(state["parsers"]) != parsers:
                return None
            for table in state["tables"].values():
                path = self._folder / table["file"]
                if path.stat().st_size < table["bytes"]:
                    return None
                os.truncate(path, table["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return state

    def add(self, row: Row, header: tuple[str, ...]) -> None:
        known = self._state["tables"]
        if row.path not in known and row.path not in self._headers:
            if len(known) + len(self._headers) >= MOST_TABLES:
                return
            self._headers[row.path] = header
        self._new.setdefault(row.path, []).append(row.fields)

    def save(self) -> None:
        """Rows first, then how far we are: whatever happens in between is cut off and done again."""
        tables = self._state["tables"]
        for path, rows in self._new.items():
            table = tables.setdefault(path, {"file": f"{len(tables)}.csv", "rows": 0, "bytes": 0, "full": False})
            if table["full"]:
                continue
            fresh = not table["bytes"]
            data = as_csv([self._headers[path], *rows] if fresh else rows)
            with (self._folder / table["file"]).open("wb" if fresh else "ab") as file:
                file.write(data)
            table["rows"] += len(rows)
            table["bytes"] += len(data)
            table["full"] = table["bytes"] >= LARGEST
        self._new, self._headers = {}, {}
        draft = self._folder / ".state"
        draft.write_text(json.dumps(self._state))
        draft.rename(self._folder / "state.json")

    def tables(self) -> tuple[Table, ...]:
        found = self._state["tables"].items()
        return tuple(Table(path=p, rows=t["rows"], bytes=t["bytes"], full=t["full"]) for p, t in sorted(found))

    def open(self, path: str) -> LocalFile | None:
        table = self._state["tables"].get(path)
        if table is None:
            return None
        file = self._folder / table["file"]
        modified = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        tag = f"{self._folder.parent.name}-{self._folder.name}-{table['bytes']}"
        name = path.rpartition("/")[2]
        entry = Entry(
            name=name, path=f"{PARSED}/{path}", kind="file", bytes=table["bytes"], modified=modified, tag=tag
        )
        return LocalFile(file, entry)


class _Reading:
    """One parser in one log. `state`: `next` line; `unfinished` lines; `before`: lines by stream that may belong to the
    next match; all by number."""

    def __init__(
        self, logs: ShareLogs, lines: Lines, places: Places, masker: Masker, rows: Rows, state: State, kept: _Sink,
        ended: bool,
    ) -> None:  # fmt: skip
        self._aside = logs.aside
        self._lines = lines
        self._places = places
        self._masker = masker
        self._rows = rows
        self._state = {"next": 0, "unfinished": [], "before": [[], []], **state}
        self._into = state
        self._kept = kept
        self._ended = ended
        self._stream = NUMBERS[rows.parser.stream]
        self._before: list[list[LineOf]] = [[], []]

    def go_on(self, deadline: float) -> bool:
        """True: to the present end of the log."""
        total = self._places.reached.lines(None)
        if self._state["next"] > total:  # another log
            self._state.update(next=0, unfinished=[], before=[[], []])
        spanning = self._rows.parser.lines > 1
        self._before = [self._read(numbers) for numbers in self._state["before"]]
        numbers, self._state["unfinished"] = self._state["unfinished"], []
        self._take(self._read(numbers))
        while self._state["next"] < total:
            start = self._state["next"]
            if spanning:
                end, found = min(start + AT_ONCE, total), self._aside(self._lines, partial(self._all, start))
            else:
                end, found = self._aside(self._lines, partial(self._matching, start))
            self._take(found)
            self._state["next"] = end
            if time.monotonic() > deadline:
                break
        self._state["before"] = [[line.begun.n for line in some] for some in self._before]
        self._into.update(self._state)
        return bool(self._state["next"] >= total)

    def _take(self, lines: Sequence[LineOf]) -> None:
        for line in lines:
            if line.begun.text is None and not self._ended and self._open(line.begun):
                self._state["unfinished"].append(line.begun.n)
                continue
            if self._rows.parser.lines > 1:
                found = self._rows.windows([line], self._before[line.begun.stream])
            else:
                row = self._rows.of_line(line)
                found = iter([row] if row is not None else [])
            for row in found:
                self._kept.add(row, self._rows.header)

    def _open(self, begun: Begun) -> bool:
        reached = self._places.reached
        return begun.offset == reached.start(begun.stream) and begun.offset < reached.position(begun.stream)

    def _read(self, numbers: Sequence[int]) -> list[LineOf]:
        if not numbers:
            return []

        def work(files: LogFiles) -> list[LineOf]:
            page = Page(files, self._places, NOTHING)
            return [self._line(page, begun) for number in numbers for begun in page.begun(number, 1, None)]

        return self._lines.call(work)

    def _all(self, start: int, files: LogFiles) -> list[LineOf]:
        page = Page(files, self._places, NOTHING)
        found = page.begun(start, AT_ONCE, None)
        return [self._line(page, begun) for begun in found if self._stream in (None, begun.stream)]

    def _matching(self, start: int, files: LogFiles) -> tuple[int, list[LineOf]]:
        """The lines of the next megabytes that match, and the number of the line behind them."""
        places = self._places
        first = places.before_line(start, None)
        last = max(first + 1, places.before_byte(None, places.place(first).bytes + SLICE))
        last = min(last, places.known)
        wanted = Wanted(self._rows.pattern, False, start, places.reached.lines(None) + 1, self._stream)
        found = in_slice(places, NOTHING, wanted, first, last, files)
        page = Page(files, places, NOTHING)
        end = places.place(last).lines(None)
        opened = [b for b in self._unfinished_in(page, start, end) if all(b.n != f.n for f in found)]
        lines = sorted([*found, *opened], key=lambda begun: begun.n)
        return end, [self._line(page, begun) for begun in lines]

    def _unfinished_in(self, page: Page, start: int, end: int) -> list[Begun]:
        """They do not match yet, and may when they are complete."""
        reached = self._places.reached
        found: list[Begun] = []
        for stream in (0, 1) if self._stream is None else (self._stream,):
            if not self._ended and reached.start(stream) != reached.position(stream):
                found += page.begun(reached.lines(stream) - 1, 1, stream)
        return [begun for begun in found if start <= begun.n < end]

    def _line(self, page: Page, begun: Begun) -> LineOf:
        text = begun.text
        if text is None:
            end = self._places.line_end(page.windows[begun.stream], begun.stream, begun.offset)
            last = end if end >= 0 else self._places.reached.position(begun.stream)
            text = page.files.read(begun.stream, begun.offset, min(last - begun.offset, LONGEST_LINE))
        return LineOf(begun, self._masker.line(text[:LONGEST_LINE]).rstrip(b"\r"))
