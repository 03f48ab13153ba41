"""A pattern for GPU models as core.admit understands it, said in the regular expressions of Nomad (Go's RE2)."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[\x20-\x7e]{1,128}")


def pattern(glob: str) -> str:
    """Matches the models that `core.admit.model_matches(glob, model)` does: the glob without regard to case
    against the name or its end, from the start of a word. Raises ValueError for what is not plain text."""
    if not _PLAIN.fullmatch(glob):
        raise ValueError(f"{glob[:80]!r} cannot be a pattern for GPU models")
    return f"(?i)^(?:.* )?{_translated(glob.lower())}$"


def _translated(glob: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            parts.append(".*")
        elif char == "?":
            parts.append(".")
        elif char == "[" and (end := _end_of_set(glob, at)) is not None:
            parts.append(_set(glob[at:end]))
            at = end + 1
        else:
            parts.append(_literal(char))
    return "".join(parts)


def _end_of_set(glob: str, start: int) -> int | None:
    """Where its `]` is; one that comes first belongs to the set."""
    first = start + 1 if glob[start : start + 1] == "!" else start
    end = glob.find("]", first + 1)
    return end if end >= 0 else None


def _set(inner: str) -> str:
    """Member by member: a range whose letters differ in case from its ends would mean something else there."""
    negated, members = inner.startswith("!"), set[str]()
    inner = inner.removeprefix("!")
    at = 0
    while at < len(inner):
        if at + 2 < len(inner) and inner[at + 1] == "-":
            members |= {chr(c) for c in range(ord(inner[at]), ord(inner[at + 2]) + 1)}
            at += 3
        else:
            members.add(inner[at])
            at += 1
    members -= {chr(c) for c in range(ord("A"), ord("Z") + 1)}  # what it is compared with has none
    if not members:
        return "." if negated else r"[^\x00-\x{10FFFF}]"
    return f"[{'^' if negated else ''}{''.join(_literal(m) for m in sorted(members))}]"


def _literal(char: str) -> str:
    return char if char.isalnum() or char in " _" else f"\\{char}"
