"""When what waits is likely to begin, from lists, progress and statistics of the store. One look serves all who ask
within some seconds; a long line is played through as far as people look."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping

from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.usual import CachedDurations
from winslow_nomad.core import begins
from winslow_nomad.core.admit import Waiting
from winslow_nomad.core.begins import Begin, Running, Standing, Takes
from winslow_nomad.core.durations import Durations
from winslow_nomad.core.forecast import LEAST
from winslow_nomad.core.progress import Told
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import AttemptState, StageState
from winslow_nomad.store.progress import RedisProgresses

FRESH = 5.0  # seconds
TOLD = 64  # stages of a line


class InstalledBegins:
    """core.begins.Begins."""

    def __init__(self, installation: Installation, durations: Durations | None = None) -> None:
        self._installation = installation
        self._durations = durations or CachedDurations(installation)
        self._progress = RedisProgresses(installation.state, installation.keys)
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Mapping[begins.Key, Begin]]] = {}

    def of(self, project: Project) -> Mapping[int, Begin]:
        waiting = [n for n, s in project.stages.items() if s.reason is not None and s.reason.kind == "busy"]
        if not waiting or project.pause is not None or project.driver not in self._installation.drivers:
            return {}
        with self._lock:
            known = self._known.get(project.driver)
            if known is None or time.monotonic() - known[0] >= FRESH:
                known = self._known[project.driver] = (time.monotonic(), self._look(project.driver))
        return {n: found for n in waiting if (found := known[1].get((project.id, n))) is not None}

    def _look(self, driver: str) -> Mapping[begins.Key, Begin]:
        store = self._installation.store
        there = store.at_driver(driver)
        inventory = self._installation.admission.inventory(driver)
        if not inventory.nodes:
            return {}
        projects = _Projects(self._installation)
        running = self._running([w for w, unplaced in there if not unplaced], projects)
        unplaced = [w for w, unplaced in there if unplaced and projects.has_no_place(w)]
        line = begins.line_of(unplaced, store.waiting(driver), Counter(w.actor for w, _ in there))
        standing = [Standing(w, self._takes(w, projects)) for w in line[:TOLD]]
        return begins.begins(standing, running, inventory, self._installation.clock.now())

    def _running(self, rows: list[Waiting], projects: _Projects) -> list[Running]:
        now = self._installation.clock.now()
        told = self._progress.read(w.key for w in rows)
        found = []
        for row in rows:
            project = projects.get(row.project)
            stage = project.stages.get(row.stage) if project is not None else None
            last = stage.attempt if stage is not None else None
            if stage is None or last is None or last.state is not AttemptState.RUNNING or last.started is None:
                continue
            takes = self._takes(row, projects)
            ran = max(0.0, (now - last.started).total_seconds())
            percent = _percent(told.get(row.key), last.number)
            left = begins.by_progress(ran, percent) if percent is not None else begins.left_of(takes, ran)
            found.append(Running(last.node, row.resources, left, takes))
        return found

    def _takes(self, row: Waiting, projects: _Projects) -> Takes | None:
        project = projects.get(row.project)
        stage = project.stages.get(row.stage) if project is not None else None
        if project is None or stage is None:
            return None
        name = stage.definition.id
        return Takes.of(name, self._durations.typical(project.pipeline.name).get(name))


class _Projects:
    """Each is loaded once for one look."""

    def __init__(self, installation: Installation) -> None:
        self._store = installation.store
        self._known: dict[str, Project | None] = {}

    def get(self, project: str) -> Project | None:
        if project not in self._known:
            self._known[project] = self._store.load(project)
        return self._known[project]

    def has_no_place(self, row: Waiting) -> bool:
        """What has been given a node and is starting there stands in nobody's way."""
        project = self.get(row.project)
        stage = project.stages.get(row.stage) if project is not None else None
        if stage is None or stage.state is StageState.PREPARING:
            return stage is not None
        return stage.reason is None or stage.reason.text.startswith("waits")


def _percent(told: Told | None, attempt: int) -> float | None:
    known = told is not None and told.attempt == attempt and told.percent is not None and told.percent >= LEAST
    return told.percent if known and told is not None else None
