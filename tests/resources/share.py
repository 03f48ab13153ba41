"""A share for tests that write it directly: a folder with the mark."""

from __future__ import annotations

import os
from pathlib import Path

from winslow_nomad.resources.layout import MARK


def make_share(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / MARK).write_text('{"format": 1}\n')
    return root


def tree(root: Path) -> dict[str, bytes | str]:
    """All of a tree: files with their content, links with their target, folders as `/`."""
    found: dict[str, bytes | str] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_dir():
            found[name] = "/"
        else:
            found[name] = path.read_bytes()
    return found


def children(marker: str) -> list[int]:
    """Processes that this one has started and that have `marker` in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker.encode() in (entry / "cmdline").read_bytes():
                status = (entry / "status").read_text()
                if f"PPid:\t{os.getpid()}" in status and "State:\tZ" not in status:
                    found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
