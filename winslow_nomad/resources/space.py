"""Whether there is room on the share to begin anything. Reads only."""

from __future__ import annotations

import os
from collections.abc import Callable

from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.resources.reader import Reader

KEPT_FREE = 0.05  # of the file system; below it nothing starts
ROOM = 1.1  # times the size of what is copied, where blocks cannot be shared

Largest = Callable[[], str]
"""A sentence that names the largest things that may go; empty where nothing is known."""


def check_free(reader: Reader, largest: Largest) -> int:
    """Bytes free. Raises ShareUnavailable (share.full) below 5 %."""
    found = reader.call(lambda: os.statvfs(reader.root), "the free space")
    free = found.f_bavail * found.f_frsize
    total = found.f_blocks * found.f_frsize
    if free < total * KEPT_FREE:
        raise full(f"Less than {KEPT_FREE:.0%} of the share is free ({size(free)}); nothing was started.", largest)
    return free


def check_room(reader: Reader, needed: int, largest: Largest) -> None:
    """Raises ShareUnavailable (share.full) unless 1.1 times `needed` bytes are free."""
    free = check_free(reader, largest)
    if free < needed * ROOM:
        raise full(
            f"A copy of {size(needed)} needs {size(int(needed * ROOM))} on the share, and {size(free)} are free; "
            "nothing was copied.",
            largest,
        )


def full(message: str, largest: Largest) -> ShareUnavailable:
    hint = largest() or "Free space on it."
    return ShareUnavailable(message, hint=f"{hint} What waits goes on by itself.", code="share.full")


def size(count: int) -> str:
    """Bytes as people read them."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1024 or unit == "PiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
