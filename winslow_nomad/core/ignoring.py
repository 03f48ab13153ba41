"""What of a pipeline folder is not part of it: names that its `.winslowignore` lists, one a line. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

FILE = ".winslowignore"
ALWAYS = ("__pycache__", ".git")


def patterns(text: str) -> tuple[str, ...]:
    """Of names that are left out wherever they occur. Raises ValueError with the line that is none: names have no /."""
    lines = [line.strip() for line in text.splitlines()]
    found = [line.rstrip("/") for line in lines if line and not line.startswith("#")]
    for pattern in found:
        if "/" in pattern:
            raise ValueError(pattern)
    return (*ALWAYS, *found)


def left_out(name: str, ignored: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in ignored)
