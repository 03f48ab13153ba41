"""The points of a sweep: `MIN_AREA=100..500:100` and `MODEL=fast|exact`, and the grid that several make.

Points are computed by number, so that a sweep of a million costs nothing until its stages may run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from winslow_nomad.core.errors import Invalid

MAX_POINTS = 1_000_000
_NUMBER = r"[+-]?(?:\d{1,30}(?:\.\d{1,30})?|\.\d{1,30})"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*(?::\s*({_NUMBER})\s*)?\Z", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def grid_size(grid: Mapping[str, tuple[str, ...]]) -> int:
    """Number of stages that the sweep makes. Raises Invalid (sweep.empty, sweep.too_large)."""
    size = 1
    for name, values in grid.items():
        if not values:
            raise _wrong("empty", f"The sweep over {name} has no values.", "Give at least one.")
        size *= len(values)
    if size > MAX_POINTS:
        raise _too_large(size)
    return size


def point(grid: Mapping[str, tuple[str, ...]], index: int) -> dict[str, str]:
    """The point with this number, from 0; the last name changes fastest. Raises IndexError."""
    left, found = index, dict.fromkeys(grid, "")
    for name in reversed(tuple(grid)):
        values = grid[name]
        left, at = divmod(left, len(values))
        found[name] = values[at]
    if left or index < 0:
        raise IndexError(f"the grid has no point {index}")
    return found


def parse_sweep(text: str) -> tuple[str, tuple[str, ...]]:
    """Name and values of one axis. Both ends of a range are reached, in decimal arithmetic.

    Raises Invalid with a code: sweep.syntax, sweep.empty, sweep.repeated, sweep.step, sweep.direction,
    sweep.end, sweep.too_large."""
    name, equals, rest = text.partition("=")
    name = name.strip()
    if not equals or not _NAME.match(name):
        raise _wrong(
            "syntax",
            f"{text[:80]!r} is not a sweep.",
            "Write NAME=1..10:1 for a range or NAME=a|b|c for a list.",
        )
    if not rest.strip():
        raise _wrong("empty", f"The sweep over {name} has no values.", f"Write {name}=1..10:1 or {name}=a|b|c.")
    if "|" not in rest and ".." in rest:
        return name, _range(name, rest)
    return name, _list(name, rest)


def _list(name: str, text: str) -> tuple[str, ...]:
    values = tuple(v.strip() for v in text.split("|"))
    if "" in values:
        raise _wrong("empty", f"The sweep over {name} has an empty value.", "Remove the | too many.")
    for value in values:
        if _RANGE.match(value):
            raise _wrong(
                "syntax",
                f"The sweep over {name} mixes a range ({value}) with a list.",
                "Write the values of the range out.",
            )
    if len(set(values)) < len(values):
        twice = next(v for i, v in enumerate(values) if v in values[:i])
        raise _wrong(
            "repeated",
            f"The sweep over {name} has {twice!r} twice.",
            "Every value makes a stage; name it once.",
        )
    if len(values) > MAX_POINTS:
        raise _too_large(len(values))
    return values


def _range(name: str, text: str) -> tuple[str, ...]:
    match = _RANGE.match(text)
    if match is None:
        raise _wrong(
            "syntax",
            f"{text.strip()[:80]!r} is not a range for {name}.",
            "Write two decimal numbers and a step, as in 0.1..0.5:0.1; separate texts by |.",
        )
    start, end = Decimal(match[1]), Decimal(match[2])
    if match[3] is None and not _whole(match[1], match[2]):
        raise _wrong(
            "step",
            f"The range over {name} needs a step.",
            f"Write {name}={match[1]}..{match[2]}:0.1, for example.",
        )
    step = Decimal(match[3] or "1")
    if step == 0:
        raise _wrong(
            "step",
            f"The step of the sweep over {name} is zero.",
            "Give a step that leads from one end to the other.",
        )
    if (end - start) * step < 0:
        raise _wrong(
            "direction",
            f"The step {step:+f} of the sweep over {name} leads away from {match[2]}.",
            f"Write {name}={match[1]}..{match[2]}:{-step:f} or exchange the ends.",
        )
    steps = (end - start) / step
    whole = int(steps)
    if whole + 1 > MAX_POINTS:
        raise _too_large(whole + 1)
    if start + whole * step != end:
        before, after = start + whole * step, start + (whole + 1) * step
        raise _wrong(
            "end",
            f"Steps of {step:f} from {match[1]} do not reach {match[2]}, and both ends belong to a sweep.",
            f"Write {name}={match[1]}..{before:f}:{step:f} or {name}={match[1]}..{after:f}:{step:f}.",
        )
    digits = max(-int(d.as_tuple().exponent) for d in (start, end, step))
    return tuple(f"{start + i * step:.{digits}f}" for i in range(whole + 1))


def _whole(*texts: str) -> bool:
    return all("." not in t for t in texts)


def _wrong(code: str, message: str, hint: str) -> Invalid:
    return Invalid(message, hint=hint, code=f"sweep.{code}")


def _too_large(size: int) -> Invalid:
    return _wrong("too_large", f"The sweep has {size} points; {MAX_POINTS} is the limit.", "Take larger steps.")
