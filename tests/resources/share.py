"""A share for tests that write it directly: a folder with the mark."""

from __future__ import annotations

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
