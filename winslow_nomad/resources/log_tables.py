"""Tables made of logs by log parsers, when somebody looks at them: read on from where the last look ended, kept in the
home of this machine and made anew when lost. Nothing is written to a stage: it is not slowed down while it runs and
never changes once it has ended, and parsers that are defined later read its log as well.

Lines are taken in the order of time. One that has no end yet is taken once it has.

Whoever may change a pipeline can ask for tables without end, so all of it has a bound: the time of one look and of each
piece of it, what is held in memory, the bytes of one log's tables and of all, and the disk is never filled."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

from winslow_nomad.core.errors import NotFound, Unavailable
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
from winslow_nomad.resources.space import KEPT_FREE

SECONDS = 2.0  # of one look
AGAIN = 0.02  # seconds until a lock is tried again
LONGEST_LINE = 64 * 1024  # bytes of a line that are looked at
AT_ONCE = 4000  # lines read one by one in one go
BYTES_AT_ONCE = 8 * 1024 * 1024  # of them
SEARCHED_AT_ONCE = 20_000  # lines
PIECE = 0.5  # seconds of one piece of searching
HELD = 4 * 1024 * 1024  # characters of rows until they are written
AT_WORK = 2  # logs read at once: lines become rows in this process, which has others to answer
MOST_TABLES = 100  # of one stage
LARGEST = 256 * 1024 * 1024  # bytes of all tables of one stage
ALL = 4 * 1024 * 1024 * 1024  # bytes of all tables
KEPT = 300  # logs, and ways of parsing them, whose tables are kept; those looked at least recently go first
SETTLED = 64 * 1024 * 1024  # bytes written until what is kept is counted again
FORMAT = 2
NUMBERS: dict[str, int | None] = {"": None, "out": 0, "err": 1}
State = dict[str, Any]


def nearly_full(folder: Path) -> bool:
    """As for the share: what is less than 5 % free has other things to do."""
    found = os.statvfs(folder)
    return found.f_bavail < found.f_blocks * KEPT_FREE


class ShareTables:
    """core.tables.LogTables. `no_room`: whether the disk that a folder is on takes no more."""

    def __init__(
        self,
        logs: ShareLogs,
        folder: Path,
        *,
        keep: int = KEPT,
        largest: int = LARGEST,
        in_all: int = ALL,
        no_room: Callable[[Path], bool] = nearly_full,
    ) -> None:
        self._logs = logs
        self._folder = folder
        self._keep = keep
        self._largest = largest
        self._in_all = in_all
        self._no_room = no_room
        self._uncounted = in_all  # bytes written since all was counted; none of it ever was
        self._thinned = Thinned()
        self._at_work = threading.Semaphore(AT_WORK)

    def make(self, log: AttemptLog, parsers: Sequence[LogParser], variables: Mapping[str, str]) -> Tables:
        if not isinstance(log, ShareLog) or log.lines is None or not parsers:
            return Tables(tables=(), complete=True)
        folder = self._folder_of(log.lines, parsers, variables)
        with self._locked(folder) as ours:
            if not ours:  # somebody else reads on in it
                return Tables(tables=self._kept(folder, parsers).tables(), complete=False)
            kept = self._kept(folder, parsers, to_write=True)
            with self._at_work:
                done = self._go_on(log, log.lines, parsers, variables, kept)
            self._uncounted += kept.written
            made = Tables(tables=kept.tables(), complete=done)
        self._thin_out()
        return made

    def _go_on(
        self, log: ShareLog, lines: Lines, parsers: Sequence[LogParser], variables: Mapping[str, str], kept: _Kept
    ) -> bool:
        """What has come least far first, so that one that is slow holds up no other."""
        places, whole = lines.refresh(final=log.ended)
        masker = self._logs.masks.now()
        deadline = time.monotonic() + SECONDS
        done = True
        pairs = zip(parsers, kept.parsers, strict=True)
        for parser, state in sorted(pairs, key=lambda pair: pair[1].get("next", 0)):
            reading = _Reading(self._logs, lines, places, masker, Rows(parser, variables), state, kept, log.ended)
            done = reading.go_on(deadline) and done
        kept.save()
        return done and whole

    def open(self, log: AttemptLog, parsers: Sequence[LogParser], variables: Mapping[str, str], path: str) -> LocalFile:
        if isinstance(log, ShareLog) and log.lines is not None and parsers:
            folder = self._folder_of(log.lines, parsers, variables)
            found = self._kept(folder, parsers).open(path)
            if found is not None:
                return found
        raise NotFound(f"No log parser has made a table {path[:200]!r} of this log (yet).", code="table.not_found")

    def sample(self, log: AttemptLog, parser: LogParser, variables: Mapping[str, str], *, limit: int) -> Sample:
        rows = Rows(parser, variables)
        if not isinstance(log, ShareLog) or log.lines is None:
            return Sample(header=rows.header, rows=(), found=0, read=0, total=0)
        places, _ = log.lines.refresh(final=log.ended)
        first, state = _First(limit), dict[str, Any]()
        masker = self._logs.masks.now()
        with self._at_work:
            deadline = time.monotonic() + SECONDS
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

    def _kept(self, folder: Path, parsers: Sequence[LogParser], *, to_write: bool = False) -> _Kept:
        return _Kept(folder, len(parsers), self._largest, self._no_room, to_write=to_write)

    def _folder_of(self, lines: Lines, parsers: Sequence[LogParser], variables: Mapping[str, str]) -> Path:
        question = json.dumps([lines.directory, [p.model_dump() for p in parsers], dict(variables)], sort_keys=True)
        return self._folder / hashlib.sha256(question.encode()).hexdigest()[:40]

    @contextlib.contextmanager
    def _locked(self, folder: Path) -> Iterator[bool]:
        """Against other threads and processes; False: one of them has had it for longer than a look takes."""
        deadline = time.monotonic() + SECONDS
        while True:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                lock = (folder / "lock").open("a")
            except FileNotFoundError:
                continue  # it has just been taken away
            with lock:
                while not (ours := _taken(lock)) and time.monotonic() < deadline:
                    time.sleep(AGAIN)
                if ours and not _is_still(lock, folder / "lock"):
                    continue
                if ours:
                    os.utime(folder)
                yield ours
                return

    def _thin_out(self) -> None:
        """Away with what was looked at least recently, where there is too much of it or no room left."""
        folders = []
        with contextlib.suppress(OSError):
            folders = sorted((entry.stat().st_mtime, entry.path) for entry in os.scandir(self._folder))
        count = len(folders)
        size = None
        if self._uncounted >= min(SETTLED, self._in_all):
            self._uncounted = 0
            size = sum(map(_size_of, (path for _, path in folders)))
        for _, path in folders:
            if count <= self._keep and (size is None or size <= self._in_all) and not self._no_room(self._folder):
                return
            away = _size_of(path)
            if _taken_away(Path(path)):
                count -= 1
                size = None if size is None else size - away


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(lock: IO[str], path: Path) -> bool:
    try:
        return path.stat().st_ino == os.fstat(lock.fileno()).st_ino
    except FileNotFoundError:
        return False


def _size_of(folder: str) -> int:
    try:
        return sum(entry.stat().st_size for entry in os.scandir(folder))
    except OSError:
        return 0  # it has just been taken away


def _taken_away(folder: Path) -> bool:
    """Not while somebody is at work in it."""
    try:
        with (folder / "lock").open("a") as lock:
            if not _taken(lock):
                return False
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)  # no folder of ours
    return True


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
    """`full`: it takes no more."""

    @property
    def full(self) -> bool: ...

    def add(self, row: Row, header: tuple[str, ...]) -> None: ...


class _First:
    """The first rows, and how many there were."""

    full = False

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.found = 0
        self.rows: list[SampleRow] = []

    def add(self, row: Row, header: tuple[str, ...]) -> None:  # noqa: ARG002 - all rows have the same
        self.found += 1
        if len(self.rows) < self._limit:
            self.rows.append(SampleRow(line=row.n, path=row.path, fields=row.fields))


class _Kept:
    """The tables in a folder, and how far each parser has come. What a process that died has added is cut off again, by
    whoever is `to_write`, which only one may be. Raises Unavailable where there is no room for more."""

    def __init__(
        self, folder: Path, parsers: int, largest: int, no_room: Callable[[Path], bool], *, to_write: bool = False
    ) -> None:
        self._folder = folder
        self._largest = largest
        self._no_room = no_room
        fresh = {"format": FORMAT, "parsers": [{} for _ in range(parsers)], "tables": {}}
        self._state: State = self._loaded(parsers, to_write) or fresh
        self._new: dict[str, list[tuple[str, ...]]] = {}
        self._headers: dict[str, tuple[str, ...]] = {}
        self._held = 0
        self.written = 0

    @property
    def parsers(self) -> list[State]:
        found: list[State] = self._state["parsers"]
        return found

    @property
    def full(self) -> bool:
        known = self._state["tables"].values()
        return bool(known) and all(table["full"] for table in known)

    def _loaded(self, parsers: int, to_write: bool) -> State | None:
        try:
            state: State = json.loads((self._folder / "state.json").read_bytes())
            if state["format"] != FORMAT or len(state["parsers"]) != parsers:
                return None
            for table in state["tables"].values():
                path = self._folder / table["file"]
                if path.stat().st_size < table["bytes"]:
                    return None
                if to_write:
                    os.truncate(path, table["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return state

    def add(self, row: Row, header: tuple[str, ...]) -> None:
        known = self._state["tables"]
        if row.path not in known and row.path not in self._headers:
            if self.full or len(known) + len(self._headers) >= MOST_TABLES:
                return
            self._headers[row.path] = header
        self._new.setdefault(row.path, []).append(row.fields)
        self._held += sum(map(len, row.fields))
        if self._held >= HELD:
            self._write()

    def _write(self) -> None:
        tables = self._state["tables"]
        for path, rows in self._new.items():
            table = tables.setdefault(path, {"file": f"{len(tables)}.csv", "rows": 0, "bytes": 0, "full": self.full})
            if table["full"]:
                continue
            fresh = not table["bytes"]
            data = as_csv([self._headers[path], *rows] if fresh else rows)
            if self._no_room(self._folder):
                raise Unavailable(
                    "The disk with Winslow's own folder has less than 5 % free; tables of logs are not made.",
                    hint="An administrator makes room on it; winslow doctor names the folder.",
                    code="table.no_room",
                )
            with (self._folder / table["file"]).open("wb" if fresh else "ab") as file:
                file.write(data)
            table["rows"] += len(rows)
            table["bytes"] += len(data)
            self.written += len(data)
        if sum(table["bytes"] for table in tables.values()) >= self._largest:
            for table in tables.values():
                table["full"] = True
        self._new, self._headers, self._held = {}, {}, 0

    def save(self) -> None:
        """Rows first, then how far we are: whatever happens in between is cut off and done again."""
        self._write()
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
        tag = f"{self._folder.name}-{table['bytes']}"
        name = path.rpartition("/")[2]
        try:
            modified = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            entry = Entry(
                name=name, path=f"{PARSED}/{path}", kind="file", bytes=table["bytes"], modified=modified, tag=tag
            )
            return LocalFile(file, entry)
        except FileNotFoundError:
            return None  # taken away since others needed the room


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
        """True: to the present end of the log, or nothing more is kept of it. Comes a little further in any case when
        it is not called too late."""
        total = self._places.reached.lines(None)
        if self._state["next"] > total:  # another log
            self._state.update(next=0, unfinished=[], before=[[], []])
        if self._kept.full:
            return True
        if time.monotonic() > deadline:
            return bool(self._state["next"] >= total and not self._state["unfinished"])
        spanning = self._rows.parser.lines > 1
        self._before = [self._read(numbers) for numbers in self._state["before"]]
        numbers, self._state["unfinished"] = self._state["unfinished"], []
        self._take(self._read(numbers))
        while self._state["next"] < total and not self._kept.full:
            work = self._all if spanning else self._matching
            found, end = self._aside(self._lines, partial(work, self._state["next"]))
            left = self._take(found, deadline)
            self._state["next"] = end if left is None else left
            if time.monotonic() > deadline:
                break
        self._state["before"] = [[line.begun.n for line in some] for some in self._before]
        self._into.update(self._state)
        return bool(self._kept.full or self._state["next"] >= total)

    def _take(self, lines: Sequence[LineOf], deadline: float = math.inf) -> int | None:
        """Answers the number of the first line that there was no time for."""
        for number, line in enumerate(lines):
            if number and time.monotonic() > deadline:
                return line.begun.n
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
        return None

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

    def _all(self, start: int, files: LogFiles) -> tuple[list[LineOf], int]:
        """The next lines, and the number of the one behind them."""
        page = Page(files, self._places, NOTHING)
        lines: list[LineOf] = []
        size = 0
        following = start
        for begun in page.begun(start, AT_ONCE, None):
            following = begun.n + 1
            if self._stream in (None, begun.stream):
                lines.append(self._line(page, begun))
                size += len(lines[-1].text)
                if size > BYTES_AT_ONCE:
                    break
        return lines, max(start + 1, following)

    def _matching(self, start: int, files: LogFiles) -> tuple[list[LineOf], int]:
        """The lines of the next megabytes that match, and the number of the line behind them."""
        places = self._places
        total = places.reached.lines(None)
        first = places.before_line(start, None)
        far = min(places.before_byte(None, places.place(first).bytes + SLICE),
                  places.before_line(min(start + SEARCHED_AT_ONCE, total), None))  # fmt: skip
        last = min(max(first + 1, far), places.known)
        wanted = Wanted(self._rows.pattern, False, start, total + 1, self._stream)
        found, border = in_slice(places, NOTHING, wanted, first, last, time.monotonic() + PIECE, files)
        page = Page(files, places, NOTHING)
        end = places.place(last).lines(None) if border is None else border
        opened = [b for b in self._unfinished_in(page, start, end) if all(b.n != f.n for f in found)]
        lines = sorted([*found, *opened], key=lambda begun: begun.n)
        return [self._line(page, begun) for begun in lines], end

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
            most = LONGEST_LINE + self._masker.longest  # a secret that is cut there is hidden as a whole
            text = page.files.read(begun.stream, begun.offset, min(last - begun.offset, most))
        return LineOf(begun, self._masker.line(text, 0, LONGEST_LINE).rstrip(b"\r"))
