"""Nodes with what works on them, from drivers and store."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core.errors import DriverUnavailable, NotFound, Refused
from winslow_nomad.core.forecast import end_of
from winslow_nomad.core.inventory import Inventory
from winslow_nomad.core.nodes import Busy, Load, Loads, NodeNow, Sample
from winslow_nomad.core.progress import Told
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import AttemptState, Stage
from winslow_nomad.store.progress import RedisProgresses
from winslow_nomad.store.samples import Samples
from winslow_nomad.store.statistics import Statistics

FRESH = 1.0  # seconds that an answer is good for: many pages ask at once


class InstalledNodes:
    """core.nodes.Nodes."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._progress = RedisProgresses(installation.state, installation.keys)
        self._durations = Statistics(installation.state, installation.keys)
        self._samples = Samples(installation.state, installation.keys)
        self._lock = threading.Lock()
        self._known: tuple[float, list[NodeNow]] | None = None

    def inventory(self, driver: str) -> Inventory:
        if driver not in self._installation.drivers:
            raise DriverUnavailable(f"The driver {driver} is not part of this installation.")
        return self._installation.admission.inventory(driver)

    def all(self) -> Sequence[NodeNow]:
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] >= FRESH:
                self._known = (time.monotonic(), self._look())
            return self._known[1]

    def get(self, node: str) -> NodeNow:
        for found in self.all():
            if found.node.name == node:
                return found
        raise NotFound(f"There is no node {node[:100]!r}.", hint="`GET /nodes` lists them.", code="node.not_found")

    def waiting(self) -> int:
        store = self._installation.store
        drivers = self._installation.drivers
        unplaced = sum(u for d in drivers for _, u in store.at_driver(d))
        return unplaced + sum(len(store.waiting(d)) for d in drivers)

    def samples(self, node: str, since: datetime, until: datetime) -> Sequence[Sample]:
        self.get(node)
        return self._samples.read(node, since, until)

    def drain(self, node: str, text: str) -> NodeNow:
        self._loads(self.get(node).driver).drain(node, text)
        return self._anew(node)

    def undrain(self, node: str) -> NodeNow:
        self._loads(self.get(node).driver).undrain(node)
        return self._anew(node)

    def _anew(self, node: str) -> NodeNow:
        with self._lock:
            self._known = None
        return self.get(node)

    def _loads(self, driver: str) -> Loads:
        found = self._installation.loads.get(driver)
        if found is None:
            raise Refused(f"The driver {driver} cannot drain a node. Nothing was changed.", code="driver.no_drain")
        return found

    def _look(self) -> list[NodeNow]:
        used = self._samples.last_used()
        found = []
        for name in self._installation.drivers:
            busy = self._busy(name)
            loads, draining = self._told(name)
            for node in self.inventory(name).nodes:
                mine = tuple(busy.get(node.name, ()))
                found.append(
                    NodeNow(
                        driver=name,
                        node=node,
                        load=loads.get(node.name),
                        busy=mine,
                        draining=(draining or {}).get(node.name),
                        can_drain=draining is not None,
                        idle_since=None if mine else used.get(node.name),
                    )
                )
        return sorted(found, key=lambda n: n.node.name)

    def _told(self, driver: str) -> tuple[Mapping[str, Load], Mapping[str, str] | None]:
        told = self._installation.loads.get(driver)
        if told is None:
            return {}, None
        try:
            return told.loads(), told.draining()
        except DriverUnavailable:
            return {}, {}  # the inventory is remembered, how busy they are is not

    def _busy(self, driver: str) -> dict[str, list[Busy]]:
        """By node, what was given to it."""
        projects = {waiting.project for waiting, unplaced in self._installation.store.at_driver(driver) if not unplaced}
        progress = self._progress.all()
        usual: dict[str, dict[str, float]] = {}
        now = self._installation.clock.now()
        found: dict[str, list[Busy]] = {}
        for name in sorted(projects):
            project = self._installation.store.load(name)
            for stage in project.stages.values() if project is not None else ():
                last = stage.attempt
                if project is None or last is None or last.state is not AttemptState.RUNNING:
                    continue
                pipeline = project.pipeline.name
                if pipeline not in usual:
                    typical = self._durations.typical(pipeline)
                    usual[pipeline] = {i: t.median for i, t in typical.items() if t.median is not None}
                told = progress.get((project.id, stage.number))
                found.setdefault(last.node, []).append(_busy(project, stage, told, usual[pipeline], now))
        return found


def _busy(project: Project, stage: Stage, told: Told | None, usual: Mapping[str, float], now: datetime) -> Busy:
    resources = stage.overrides.resources or stage.definition.resources
    attempt = stage.attempts[-1]
    percent = told.percent if told is not None and told.attempt == attempt.number else None
    since = attempt.started or stage.started
    return Busy(
        project=project.id,
        name=project.name,
        stage=stage.number,
        id=stage.definition.id,
        attempt=attempt.number,
        cpu=resources.cpu,
        memory=max(resources.memory, resources.memory_max or 0),
        gpus=resources.gpu.count if resources.gpu is not None else 0,
        since=since,
        percent=percent,
        expected=end_of(since, now, percent, usual.get(stage.definition.id)) if since is not None else None,
        cut_off=attempt.out_of_contact,
    )
