"""How this driver reaches an attempt's files on the share, which may hang: everything through here has a deadline
where the share is a network's. Never used for the driver's own directory, which is on a local disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")


class Files(Protocol):
    """Raises ShareUnavailable when the share does not answer in time, or OSError."""

    def read(self, path: Path) -> bytes | None:
        """None where there is no such file."""
        ...

    def look(self, work: Callable[[], T]) -> T:
        """Any piece of reading."""
        ...

    def put(self, path: Path, data: bytes | None, empty: Sequence[Path]) -> None:
        """Replace `path` whole, mode 0600, unless `data` is None; make each of `empty` that is not there."""
        ...


class PlainFiles:
    """Waits as long as the file system does."""

    def read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def look(self, work: Callable[[], T]) -> T:
        return work()

    def put(self, path: Path, data: bytes | None, empty: Sequence[Path]) -> None:
        if data is not None:
            made = path.with_name(f".{path.name}-local")
            made.unlink(missing_ok=True)
            with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
            made.rename(path)
        for file_path in empty:
            file_path.touch()
