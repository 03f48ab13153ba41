"""The first or last lines of a file as text, in whatever encoding it is; never more than a megabyte of it."""

from __future__ import annotations

import codecs

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.filing import Encoding, Opened, Text
from winslow_nomad.resources.names import shown

MOST = 1024 * 1024  # bytes
MOST_LINES = 10_000
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text(opened: Opened, *, lines: int, tail: bool, encoding: Encoding = "") -> Text:
    """Raises Invalid (file.not_text) for what is no text, unless an encoding is named."""
    size = opened.entry.bytes
    lines = min(max(lines, 1), MOST_LINES)
    beginning = opened.read(0, min(size, 4096))
    chosen = encoding or guessed(beginning, size > len(beginning))
    if not chosen:
        raise Invalid(
            f"{shown(opened.entry.name)} is not text.",
            hint="Download it, or name the encoding it is in.",
            code="file.not_text",
        )
    exact = _exact(chosen, beginning)
    start = max(0, size - MOST) if tail else 0
    start -= start % _width(exact)
    data = opened.read(start, min(MOST, size - start))
    cut_before, cut_behind = start > 0, start + len(data) < size
    first, kept = _lines(data, lines, tail, exact, cut_before, cut_behind)
    decoded = kept.decode(exact, "replace")
    if start + first == 0:
        decoded = decoded.removeprefix("\ufeff")
    return Text(
        text=decoded,
        lines=len(decoded.splitlines()),
        bytes=len(kept),
        first=start + first,
        size=size,
        encoding=chosen,
        complete=len(kept) == size,
    )


def guessed(beginning: bytes, goes_on: bool) -> Encoding:
    """By its mark, else UTF-8 where that is possible, else the most common of the others; empty: it is no text."""
    for mark, name in MARKS:
        if beginning.startswith(mark):
            return "utf-8" if name == "utf-8-sig" else name  # type: ignore[return-value]
    if b"\0" in beginning:
        return _wide(beginning)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning, final=not goes_on)
        return "utf-8"
    except UnicodeDecodeError:
        controls = sum(b < 9 or 13 < b < 27 for b in beginning)
        return "windows-1252" if controls <= len(beginning) // 100 else ""


def _wide(beginning: bytes) -> Encoding:
    """UTF-16 without a mark: nearly every other byte of most texts is zero."""
    half = max(1, len(beginning) // 2)
    even, odd = beginning[0::2].count(0), beginning[1::2].count(0)
    if odd > 0.7 * half and even < 0.1 * half:
        return "utf-16-le"
    if even > 0.7 * half and odd < 0.1 * half:
        return "utf-16-be"
    return ""


def _lines(data: bytes, count: int, tail: bool, encoding: str, cut_before: bool, cut_behind: bool) -> tuple[int, bytes]:
    """Where the wanted lines begin in `data`, and they themselves: whole ones, if there are any."""
    end = _newline(encoding)
    if tail:
        begin = 0
        if cut_before and (first := _find(data, end)) >= 0:
            begin = first + len(end)
        at = len(data) - (len(end) if data.endswith(end) else 0)
        for _ in range(count):
            found = _rfind(data, end, begin, at)
            if found < 0:
                return begin, data[begin:]
            at = found
        return at + len(end), data[at + len(end) :]
    at = 0
    for _ in range(count):
        found = _find(data, end, at)
        if found < 0:
            whole = at if cut_behind and at else len(data)
            return 0, data[:whole]
        at = found + len(end)
    return 0, data[:at]


def _exact(encoding: str, beginning: bytes) -> str:
    """With the order of bytes, which a mark at the beginning may tell."""
    if encoding not in ("utf-16", "utf-32"):
        return encoding
    return f"{encoding}-{'be' if beginning.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)) else 'le'}"


def _width(encoding: str) -> int:
    return {"utf-16": 2, "utf-32": 4}.get(encoding[:6], 1)


def _newline(encoding: str) -> bytes:
    return b"\n".rjust(_width(encoding), b"\0") if encoding.endswith("-be") else b"\n".ljust(_width(encoding), b"\0")


def _find(data: bytes, what: bytes, at: int = 0) -> int:
    """Only where a character can begin."""
    while (found := data.find(what, at)) >= 0:
        if found % len(what) == 0:
            return found
        at = found + 1
    return -1


def _rfind(data: bytes, what: bytes, begin: int, end: int) -> int:
    while (found := data.rfind(what, begin, end)) >= 0:
        if found % len(what) == 0:
            return found
        end = found + len(what) - 1
    return -1
