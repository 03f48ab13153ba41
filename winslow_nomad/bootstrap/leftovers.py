"""What of a project's files nothing needs any more, as it lies on the share now. Sizes come from what housekeeping has
counted; what it has not come to yet is counted here, as far as somebody waits for it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from winslow_nomad.bootstrap.housekeeping import policy
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.looking import InstalledSizes
from winslow_nomad.core.leftovers import InTrash, Leftover, Leftovers
from winslow_nomad.core.project import Project
from winslow_nomad.core.retention import Removal, useless
from winslow_nomad.resources.trash import TrashEntry
from winslow_nomad.resources.usage import measure

PATIENCE = 5.0  # seconds for all of it
COUNTING = 2.5  # seconds of these for counting

T = TypeVar("T")
Count = Callable[[str], int | None]


class InstalledLeftovers:
    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._sizes = InstalledSizes(installation)
        self._share = installation.settings.share

    def of(self, project: Project) -> Leftovers:
        """Raises ShareUnavailable."""
        settings = self._installation.choices.now()
        rule = policy(settings)
        ids = {n: s.id for n, s in project.ended.items()}
        ids |= {s.number: s.definition.id for s in (*project.stages.values(), *project.sealing.values())}

        def look() -> Leftovers:
            count = self._counting()
            found = useless(project, rule.of(project), self._installation.trash.restored(project.id))
            there = [each for each in found if os.path.lexists(self._share / each[0].path)]
            return Leftovers(
                items=tuple(item(removal, ids[removal.stage], goes, count) for removal, goes in there),
                trash=tuple(held(e, rule.trash, count) for e in self._installation.trash.obsolete_of(project.id)),
                trash_days=settings.keep_trash_days,
                failed_days=settings.keep_failed_days,
                superseded_days=settings.keep_superseded_days,
            )

        return self._read(look, project.id)

    def holds(self, project: str, entry: str) -> bool:
        """Whether the trash has that entry of what was cleaned up in a project. Raises ShareUnavailable."""
        return self._read(lambda: any(e.id == entry for e in self._installation.trash.obsolete_of(project)), project)

    def _read(self, look: Callable[[], T], project: str) -> T:
        return self._installation.reader.call(look, f"the leftovers of {project}", PATIENCE)

    def _counting(self) -> Count:
        """By path relative to the share."""
        until = time.monotonic() + COUNTING
        known = self._sizes.usage()

        def count(path: str) -> int | None:
            size = known.size_of(path)
            if size is None:
                found = measure(self._share / path, until)
                size = found.bytes if found.complete else None
            return size

        return count


def item(removal: Removal, definition: str, goes: datetime | None, count: Count) -> Leftover:
    return Leftover(
        stage=removal.stage,
        id=definition,
        attempt=removal.attempt,
        kind=removal.kind,
        why=removal.why,
        since=removal.since,
        goes=goes,
        bytes=count(removal.path),
    )


def held(entry: TrashEntry, patience: timedelta | None, count: Count) -> InTrash:
    return InTrash(
        entry=entry.id,
        why=entry.why,
        actor=entry.actor,
        at=entry.at,
        until=entry.at + patience if patience is not None else None,
        directories=len(entry.paths),
        bytes=count(f"trash/{entry.id}/content"),
    )
