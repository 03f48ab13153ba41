"""What a stage of the local driver may touch, as the list that the runner gives to Landlock.

Landlock only knows what is allowed, and everything beneath it. So "everything but Winslow's home and the
other projects" becomes: walk from / towards each forbidden place and allow all that lies beside the way.
Links are left out on the way, since allowing one would allow what it points to."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_CREATE_RULESET = 444
_VERSION = 1


def landlock_version() -> int:
    """The kernel's Landlock ABI; 0: there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(_CREATE_RULESET, None, 0, _VERSION)))


def rules(
    *,
    forbidden: Iterable[Path],
    readable: Iterable[Path],
    writable: Iterable[Path],
) -> bytes:
    """Entries `ro:/path` and `rw:/path`, each ended by NUL.

    forbidden: neither read nor written, with all beneath. readable and writable: exceptions within."""
    hidden = {os.path.realpath(path) for path in forbidden}
    on_the_way = {os.fspath(parent) for path in hidden for parent in Path(path).parents}
    entries = [f"ro:{path}" for path in _beside("/", hidden, on_the_way)]
    entries += [f"ro:{os.path.realpath(path)}" for path in readable]
    entries += [f"rw:{os.path.realpath(path)}" for path in writable]
    return b"".join(os.fsencode(entry) + b"\0" for entry in entries)


def _beside(directory: str, hidden: set[str], on_the_way: set[str]) -> Iterator[str]:
    """All in `directory` but what is hidden, in as few paths as possible. Texts, not Path: it is on the way
    of every start."""
    if directory in hidden:
        return
    if directory not in on_the_way:
        yield directory
        return
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return  # what we may not list need not be allowed by name
    for entry in entries:
        if entry.path in on_the_way:
            yield from _beside(entry.path, hidden, on_the_way)
        elif entry.path not in hidden and not entry.is_symlink():
            yield entry.path
