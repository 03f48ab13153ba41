"""What is worth keeping of large logs: files below the home of this machine, made anew when they are lost.

Any of them may be missing, old or torn; whoever loads one checks it. Several processes may keep the same at once: the
last one wins, and all are right. Never on the share."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from winslow_nomad.resources.log_index import LineIndex

WORTH = 8 * 1024 * 1024  # bytes of a log that are looked through in no time
FILES = 2000  # kept at most; the ones used least recently go first


class LogCache:
    def __init__(self, folder: Path, *, worth: int = WORTH, files: int = FILES) -> None:
        self._folder = folder
        self._files = files
        self.worth = worth

    def load(self, directory: str) -> LineIndex | None:
        """`directory`: of the attempt, relative to the share."""
        path = self._path(directory)
        try:
            text = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return LineIndex.load(text)

    def keep(self, directory: str, text: bytes) -> None:
        """A full disk is no reason to fail: it is a cache."""
        fresh = self._folder / f".{secrets.token_hex(6)}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_bytes(text)
            fresh.rename(self._path(directory))
            self._thin_out()
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink()

    def _path(self, directory: str) -> Path:
        return self._folder / directory.removeprefix("projects/").replace("/", ",")

    def _thin_out(self) -> None:
        names = os.listdir(self._folder)  # noqa: PTH208 - names are enough
        if len(names) <= self._files:
            return
        paths = [self._folder / name for name in names]
        ages = []
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                ages.append((path.stat().st_mtime, path))
        for _, path in sorted(ages)[: len(ages) - self._files * 9 // 10]:
            path.unlink(missing_ok=True)
