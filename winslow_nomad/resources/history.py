"""Reading a project's journals on the share from their ends, so that the newest page costs the same however long
the history is. Only reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from winslow_nomad.core.history import Told
from winslow_nomad.core.messages import Entry
from winslow_nomad.resources import journals

BLOCK = 256 * 1024  # bytes


def newest_first(folder: Path, before: int, limit: int) -> list[Told]:
    """See core.history.History. `folder`: with the journals. Where the same version stands twice, the higher epoch
    counts, as in everything that reads journals."""
    found: list[Told] = []
    seen: set[int] = set()
    for _, path in reversed(journals.files(folder)):
        for line in backwards(path):
            told = read(line)
            if told is None or told.version in seen or (before and told.version >= before):
                continue
            seen.add(told.version)
            if told.entries:
                found.append(told)
            if len(found) >= limit:
                return found
    return found


def backwards(path: Path) -> Iterator[bytes]:
    """The lines of a file, the last first; one without its end of line is not complete and left out."""
    with path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        rest = b""
        while at > 0:
            size = min(BLOCK, at)
            at -= size
            file.seek(at)
            rest = file.read(size) + rest
            first, *lines = rest.split(b"\n")
            for line in reversed(lines):
                if line:
                    yield line
            rest = first if at else b""
            if at == 0 and first:
                yield first


def read(line: bytes | str) -> Told | None:
    """None: it is torn, or none of ours."""
    try:
        raw: dict[str, Any] = json.loads(line)
        entries = tuple(Entry.model_validate(e) for e in raw.get("entries", ()))
        return Told(
            version=raw["version"],
            at=datetime.fromisoformat(raw["time"]),
            actor=raw.get("actor", ""),
            entries=entries,
        )
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError):
        return None
