"""Reading from the share in tests that are not about one that hangs: a busy machine is no fault of it."""

from __future__ import annotations

from pathlib import Path

from winslow_nomad.resources.reader import Reader


def patient(root: Path) -> Reader:
    return Reader(root, deadline=30)
