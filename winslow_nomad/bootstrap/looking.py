"""What screens show beside a project's state: its history and its sizes, from the share and from what is not there
yet."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core.history import Part, Told
from winslow_nomad.resources import history, layout
from winslow_nomad.resources.usage import Usage

PATIENCE = 5.0  # seconds for reading a page of history


class InstalledHistory:
    """core.history.History."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def read(self, project: str, before: int = 0, limit: int = 100) -> Sequence[Told]:
        fresh = [history.read(line) for line in self._installation.journal.newest(project)]
        found = {t.version: t for t in fresh if t is not None and t.entries and (not before or t.version < before)}
        folder = self._installation.reader.root / layout.project_folder(project) / "journal"
        older = self._installation.reader.call(
            lambda: history.newest_first(folder, before, limit), f"the history of {project}", PATIENCE
        )
        found |= {t.version: t for t in older}
        return [found[v] for v in sorted(found, reverse=True)][:limit]


class InstalledSizes:
    """core.history.Sizes, by what the process for files has counted last."""

    def __init__(self, installation: Installation) -> None:
        self._share = installation.settings.share
        self._cache = installation.settings.home / "usage.json"
        self._lock = threading.Lock()
        self._seen: tuple[int, Usage] | None = None

    def of_project(self, project: str) -> tuple[Part, ...]:
        below = layout.project_folder(project)
        return tuple(
            Part(
                path=path,
                bytes=m.size.bytes,
                files=m.size.files,
                inside=m.size.inside,
                complete=m.size.complete,
                final=m.final,
                at=datetime.fromtimestamp(m.at, UTC),
            )
            for path, m in self.usage().below(below).items()
        )

    def usage(self) -> Usage:
        """Read again when it was written since."""
        try:
            written = self._cache.stat().st_mtime_ns
        except OSError:
            written = 0
        with self._lock:
            if self._seen is None or self._seen[0] != written:
                self._seen = (written, Usage(self._share, self._cache))
            return self._seen[1]
