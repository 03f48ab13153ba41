"""Finding lines in a log, in either direction and for a time.

Secrets cannot be found: what matches must still match once they are masked. Of a line of many megabytes the first ones
are searched; with an expression that RE2 is slow at, less of it.

A search ends soon after its time is over, whatever the expression: a piece that cannot be searched in time is gone
through line by line, so that each search comes further, and the next one goes on there."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from typing import NamedTuple

from winslow_nomad.resources.log_files import NEWLINE, LogFiles
from winslow_nomad.resources.log_index import Begun, Place, Places, walk
from winslow_nomad.resources.log_lines import Page
from winslow_nomad.resources.log_patterns import LinePattern
from winslow_nomad.resources.log_text import Masker

GROUP = 1024 * 1024  # bytes searched as one piece: fits into a cache of the processor
SLICE = 8 * 1024 * 1024  # bytes searched in one call of the reader
AHEAD = 2  # slices of one search at once
DEEP = 4 * 1024 * 1024  # bytes of a line that are searched, at least
LINE_BY_LINE = 0.5  # seconds


class Wanted(NamedTuple):
    """`start`: forwards the first line that counts, backwards the first that does not."""

    pattern: LinePattern
    backwards: bool
    start: int
    limit: int
    stream: int | None


class Searched(NamedTuple):
    """What is found in a slice. `border`: number of the line where to go on in it; None: it was searched whole."""

    lines: list[Begun]
    border: int | None = None


class Found(NamedTuple):
    """`next`: where to go on; None: there is nothing more in that direction."""

    lines: list[Begun]
    next: int | None


Call = Callable[[Callable[[LogFiles], Searched]], Searched]


def search(
    call: Call,
    places: Places,
    masker: Masker,
    wanted: Wanted,
    seconds: float,
    helpers: Executor,
) -> Found:
    """`call`: opens the log for one piece of work, again and again. `helpers` look ahead meanwhile."""
    deadline = time.monotonic() + seconds
    found: list[Begun] = []
    for first, last, (lines, border) in _ahead_of_us(call, places, masker, wanted, deadline, helpers):
        found += lines
        if len(found) >= wanted.limit:
            del found[wanted.limit :]
            return Found(found, found[-1].n + (not wanted.backwards))
        stopped = border is not None
        if border is None:
            border = places.place(first if wanted.backwards else last).lines(None)
        over = border <= 0 if wanted.backwards else border >= places.reached.lines(None)
        if not over and (stopped or time.monotonic() > deadline):
            return Found(found, border)
    return Found(found, None)


def _ahead_of_us(
    call: Call, places: Places, masker: Masker, wanted: Wanted, deadline: float, helpers: Executor
) -> Iterator[tuple[int, int, Searched]]:
    """What is found in slice after slice, while the next ones are already looked at."""
    slices = _slices(places, wanted)
    under_way: deque[tuple[int, int, Future[Searched]]] = deque()
    try:
        while True:
            for first, last in itertools.islice(slices, AHEAD - len(under_way)):
                work = partial(in_slice, places, masker, wanted, first, last, deadline)
                under_way.append((first, last, helpers.submit(call, work)))
            if not under_way:
                return
            first, last, future = under_way.popleft()
            yield first, last, future.result()
    finally:
        for _, _, future in under_way:
            future.cancel()


def _slices(places: Places, wanted: Wanted) -> Iterator[tuple[int, int]]:
    """Numbers of places between which is searched at once, in the direction asked for."""
    begin = places.before_line(max(0, wanted.start - wanted.backwards), None)
    if wanted.backwards:
        last = begin + 1
        while last > 0:
            first = last - 1
            floor = places.place(last).bytes - SLICE
            while first > 0 and places.place(first).bytes > floor:
                first -= 1
            yield first, last
            last = first
        return
    first = begin
    while first < places.known:
        last = _ahead(places, first, SLICE, places.known)
        yield first, last
        first = last


def _ahead(places: Places, first: int, size: int, end: int) -> int:
    """The place about `size` bytes further."""
    last = places.before_byte(None, places.place(first).bytes + size)
    return min(max(first + 1, last), end)


def in_slice(
    places: Places, masker: Masker, wanted: Wanted, first: int, last: int, deadline: float, files: LogFiles
) -> Searched:
    """Until `deadline` (of the monotonic clock), and a little further so that it never stays where it is."""
    page = Page(files, places, masker)
    found: list[Begun] = []
    groups = []
    while first < last:
        upto = _ahead(page.places, first, GROUP, last)
        groups.append((first, upto))
        first = upto
    for number, upto in reversed(groups) if wanted.backwards else groups:
        try:
            found += _in_group(page, wanted, number, upto, deadline)
        except TimeoutError:
            lines, border = _line_by_line(page, wanted, number, upto)
            return Searched([*found, *lines], border)
        if len(found) >= wanted.limit:
            break
    return Searched(found)


def _in_group(page: Page, wanted: Wanted, number: int, upto: int, deadline: float) -> list[Begun]:
    """All that is found in the lines that begin between two places, in the direction asked for. Raises TimeoutError."""
    begin, end = page.places.place(number), page.places.place(upto)
    offsets: list[tuple[int, int]] = []
    for stream in (0, 1) if wanted.stream is None else (wanted.stream,):
        a, b = _behind_open_line(page, begin, stream), _behind_open_line(page, end, stream)
        if a < b:
            data = page.files.read(stream, a, min(b - a, GROUP + DEEP))
            offsets += [(stream, a + at) for at in _matching(data, wanted.pattern, page.masker, deadline)]
    if not offsets:
        return []
    found = [line for line in _numbered(page, offsets) if (line.n < wanted.start) == wanted.backwards]
    return sorted(found, key=lambda line: line.n, reverse=wanted.backwards)


def _line_by_line(page: Page, wanted: Wanted, number: int, upto: int) -> Searched:
    """The same, as far as half a second reaches."""
    deadline = time.monotonic() + LINE_BY_LINE
    start, end = page.places.place(number).lines(None), page.places.place(upto).lines(None)
    lines = [b for b in page.begun(start, end - start, None) if (b.n < wanted.start) == wanted.backwards]
    found: list[Begun] = []
    for line in reversed(lines) if wanted.backwards else lines:
        if wanted.stream in (None, line.stream) and wanted.pattern.in_line(_searched(page, wanted, line)):
            found.append(line)
        if time.monotonic() > deadline:
            return Searched(found, line.n + (not wanted.backwards))
    return Searched(found, start if wanted.backwards else end)


def _searched(page: Page, wanted: Wanted, line: Begun) -> bytes:
    reach = wanted.pattern.reach
    text = line.text
    if text is None:
        end = page.places.line_end(page.windows[line.stream], line.stream, line.offset)
        last = end if end >= 0 else page.places.reached.position(line.stream)
        text = page.files.read(line.stream, line.offset, min(last - line.offset, reach + page.masker.longest))
    return page.masker.same_length(text, cut=len(text) > reach)[:reach]


def _behind_open_line(page: Page, place: Place, stream: int) -> int:
    """Where the first line begins that begins behind the place."""
    if place.start(stream) == place.position(stream):
        return place.position(stream)
    end = page.places.line_end(page.windows[stream], stream, place.start(stream))
    return end + 1 if end >= 0 else page.places.reached.position(stream)


def _matching(data: bytes, pattern: LinePattern, masker: Masker, deadline: float) -> Iterator[int]:
    """Where the lines begin. Raises TimeoutError."""
    for begin, end in pattern.lines(data, lambda: time.monotonic() > deadline):
        cut = data[end : end + 1] != NEWLINE
        if not masker.longest or pattern.in_line(masker.same_length(data[begin:end], cut=cut)):
            yield begin


def _numbered(page: Page, offsets: list[tuple[int, int]]) -> Iterator[Begun]:
    """Lines by stream and where they begin."""
    places = page.places
    wanted: dict[int, set[tuple[int, int]]] = {}
    for stream, offset in offsets:
        wanted.setdefault(places.before_byte(stream, offset), set()).add((stream, offset))
    for number, some in sorted(wanted.items()):
        for line in walk(page.files, page.windows, places, places.place(number), places.place(number + 1)):
            if (line.stream, line.offset) in some:
                yield line
