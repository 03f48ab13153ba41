"""One attempt's log by lines: pages, the end, what was said when. Also while it is written.

A large log is looked through in slices, each with the deadline of the share's reader; what was learned is kept in
memory and, beyond a few megabytes, in the home's cache. Nothing is ever written beside the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from winslow_nomad.core.logs import LogLine, Stream
from winslow_nomad.resources.log_ahead import LogAhead
from winslow_nomad.resources.log_cache import LogCache
from winslow_nomad.resources.log_files import LogFiles, Window, opened
from winslow_nomad.resources.log_index import Begun, LineIndex, Places, walk
from winslow_nomad.resources.log_text import SHOWN, Masker, shown, shown_whole
from winslow_nomad.resources.reader import Reader

T = TypeVar("T")
SLICE = 32 * 1024 * 1024  # bytes looked through in one call of the reader
PATIENCE = 1.0  # seconds that a page waits for an index that is behind
FIELDS = set(LogLine.model_fields)
LARGEST_PAGE = 4 * 1024 * 1024  # bytes of text


class Lines:
    """The lines of the log in `directory` (of the attempt, relative to the share). Shared by all who read it."""

    def __init__(self, reader: Reader, directory: str, cache: LogCache) -> None:
        self.directory = directory
        self._reader = reader
        self._path = reader.root / directory
        self._cache = cache
        self._lock = threading.Lock()
        self._index: LineIndex | None = None
        self._kept = 0  # bytes looked at when the index was last kept
        self.ahead: LogAhead | None = None  # where the share shows late what is written

    def call(self, work: Callable[[LogFiles], T], reader: Reader | None = None) -> T:
        """With the files opened for it, within the reader's deadline. `reader`: another one than usual."""

        def opened_for() -> T:
            with opened(self._path) as files:
                return work(files if self.ahead is None else self.ahead.over(files))

        return (reader or self._reader).call(opened_for, f"{self.directory}/log")

    def refresh(self, *, final: bool, seconds: float = PATIENCE) -> tuple[Places, bool]:
        """What is known now; False: there was more than could be looked at in that time."""
        deadline = time.monotonic() + seconds
        with self._lock:
            if self._index is None:
                self._index = self._cache.load(self.directory) or LineIndex()
                self._kept = self._index.places().reached.bytes
            while True:
                index = self._index
                try:
                    done = self.call(partial(_advanced, index, final))
                except BaseException:
                    self._index = None  # whoever hangs in the share may still be at work on it
                    raise
                if done is None:
                    self._index, self._kept = LineIndex(), 0
                elif done or time.monotonic() > deadline:
                    places = index.places()
                    self._keep(index, places, done)
                    return places, done

    def _keep(self, index: LineIndex, places: Places, done: bool) -> None:
        new = places.reached.bytes - self._kept
        if new >= self._cache.worth * (1 if done else 8):
            self._cache.keep(self.directory, index.dump())
            self._kept = places.reached.bytes


def _advanced(index: LineIndex, final: bool, files: LogFiles) -> bool | None:
    """None: it is an index of another log."""
    return index.advance(files, final=final, budget=SLICE) if index.fits(files) else None


class Page:
    """Reads lines out of one opened log."""

    def __init__(self, files: LogFiles, places: Places, masker: Masker) -> None:
        self.files = files
        self.places = places
        self.masker = masker
        self.windows = (Window(files, 0), Window(files, 1))

    def begun(self, start: int, count: int, stream: int | None) -> list[Begun]:
        """Lines `start` .. `start + count - 1` of both streams or of one."""
        found: list[Begun] = []
        end = min(start + count, self.places.reached.lines(stream))
        while start < end:
            number = self.places.before_line(start, stream)
            upto = self.places.place(number + 1)
            for line in walk(self.files, self.windows, self.places, self.places.place(number), upto):
                own = line.n if stream is None else line.own
                if start <= own < end and stream in (None, line.stream):
                    found.append(line)
            if upto.lines(stream) <= start:
                break  # the log is not what it was
            start = upto.lines(stream)
        return found

    def line(self, begun: Begun) -> LogLine:
        if begun.text is not None and len(begun.text) <= SHOWN:
            return made(begun, shown_whole(begun.text, self.masker), 0, ended=True)
        end = self.places.line_end(self.windows[begun.stream], begun.stream, begun.offset)
        last = end if end >= 0 else self.places.reached.position(begun.stream)
        length = last - begun.offset
        window, most = self.windows[begun.stream], SHOWN + self.masker.longest
        if end < 0 and not self.places.covered:
            length -= self.masker.held(window.take(max(begun.offset, last - most), last))
            last = begun.offset + length
        head = window.take(begun.offset, min(last, begun.offset + most))
        tail = head if length <= most else self.files.read(begun.stream, last - most, most)
        text, more = shown(head, tail, length, self.masker)
        return made(begun, text, more, ended=end >= 0)

    def lines(self, begun: Sequence[Begun]) -> Iterator[LogLine]:
        """As many as fit in an answer, at least one."""
        size = 0
        for one in begun:
            line = self.line(one)
            size += len(line.text)
            if size > LARGEST_PAGE and size > len(line.text):
                return
            yield line


def made(begun: Begun, text: str, more: int, *, ended: bool) -> LogLine:
    """Of parts that need no checking: there are hundreds in a page."""
    name: Stream = "err" if begun.stream else "out"
    at = datetime.fromtimestamp(begun.micros / 1e6, UTC) if begun.micros else None
    line = LogLine.__new__(LogLine)
    fields = {"n": begun.n, "stream": name, "at": at, "text": text, "more_bytes": more, "open": not ended}
    object.__setattr__(line, "__dict__", fields)
    object.__setattr__(line, "__pydantic_fields_set__", FIELDS)
    object.__setattr__(line, "__pydantic_extra__", None)
    object.__setattr__(line, "__pydantic_private__", None)
    return line
