"""Sizes and durations as people write them, both ways. Nothing is guessed: a number without a unit, or a
unit that means two things (G: 1000 or 1024?), is refused with the two ways to write it."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

from winslow_nomad.core.errors import Invalid

UNITS = {
    "B": 1,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
MAX_SIZE = 2**60
MAX_SECONDS = 10 * 366 * 86_400

SIZE = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)", re.ASCII)
DURATION = re.compile(
    r"(?:([0-9]{1,9})d)? ?(?:([0-9]{1,9})h)? ?(?:([0-9]{1,9})m(?:in)?)? ?(?:([0-9]{1,9}(?:\.[0-9]{1,20})?)s)?", re.ASCII
)
_DECIMAL = re.compile(r"([0-9]+\.[0-9]{1,9}) ?(d|h|m|min)", re.ASCII)
_SPACED = re.compile(r"([0-9.]) +([dhms])", re.ASCII)


def parse_size(text: str) -> int:
    """Bytes. Raises Invalid (size.invalid)."""
    found = SIZE.fullmatch(text)
    number, unit = (found[1], found[2]) if found else ("", "")
    units = {name.lower(): factor for name, factor in UNITS.items()}
    if found is None or (unit.lower() not in units and number != "0"):
        raise _wrong("size", text, "a size", _units_of(number or "4", unit))
    size = int((Decimal(number) * units.get(unit.lower(), 1)).to_integral_value(ROUND_HALF_UP))
    if size > MAX_SIZE:
        raise _wrong("size", text, "a size that exists", "the limit is 1048576 TiB")
    return size


def _units_of(number: str, unit: str) -> str:
    letter = unit[:1].upper()
    if letter not in ("K", "M", "G", "T"):
        letter = "M" if Decimal(number) >= 128 else "G"  # people leave out MiB more often than GiB
    return f"write {number} {letter}iB (or {number} {letter.replace('K', 'k')}B)"


def format_size(size: int) -> str:
    """The shortest text that reads back as exactly this number of bytes."""
    exact = [(size // factor, name) for name, factor in UNITS.items() if size and size % factor == 0]
    number, name = min(exact, key=lambda e: (len(str(e[0])), e[1] != "B"), default=(0, "B"))
    return f"{number} {name}"


def parse_duration(text: str) -> float:
    """Seconds. `90s`, `2m`, `6h`, `1d`, `1h30m`, `1.5h`. Raises Invalid (duration.invalid)."""
    close = _SPACED.sub(r"\1\2", text)
    single = _DECIMAL.fullmatch(close)
    if single is not None:
        seconds = Decimal(single[1]) * SECONDS[single[2][0]]
    else:
        found = DURATION.fullmatch(close)
        if found is None or not any(found.groups()) or close != close.strip():
            raise _wrong("duration", text, "a duration", f"write {_meant(text)}")
        seconds = sum((Decimal(g or 0) * SECONDS[u] for g, u in zip(found.groups(), "dhms", strict=True)), Decimal(0))
    if seconds > MAX_SECONDS:
        raise _wrong("duration", text, "a duration that anybody waits for", "the limit is 10 years")
    return float(seconds)


def _meant(text: str) -> str:
    if re.fullmatch(r"[0-9]{1,6}", text):
        return f"{text}s for seconds, or {text}m for minutes"
    clock = re.fullmatch(r"([0-9]{1,4}):([0-9]{2})(?::([0-9]{2}))?", text)
    if clock is not None:
        parts = zip(clock.groups(), "hms" if clock[3] else "hm", strict=False)
        return "".join(f"{int(n)}{u}" for n, u in parts if n)
    return "90s, 2m, 6h, 1d or 1h30m"


def format_duration(seconds: float) -> str:
    """A text that reads back as the same number of seconds."""
    left = Decimal(repr(seconds))
    parts: list[str] = []
    for unit, factor in SECONDS.items():
        count, rest = divmod(left, factor)
        if unit == "s":
            count = left
        elif not count:
            continue
        else:
            left = rest
        if count or not parts:
            parts.append(f"{count.normalize():f}{unit}" if unit == "s" else f"{int(count)}{unit}")
    return "".join(parts)


def _wrong(code: str, text: str, what: str, hint: str) -> Invalid:
    shown = text if len(text) <= 40 else text[:37] + "..."
    return Invalid(f"{shown!r} is not {what}", hint=hint, code=f"{code}.invalid")
