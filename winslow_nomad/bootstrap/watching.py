"""Looks at what runs and at the nodes, for screens and statistics: progress every two seconds, nodes four times a
minute. One process does it, by a lease of its own; when none does, screens show less and nothing else changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.library import InstalledLibrary, InstalledTexts
from winslow_nomad.bootstrap.nodes import InstalledNodes
from winslow_nomad.core.errors import ShareUnavailable, Unavailable, WinslowError
from winslow_nomad.core.lists import Query
from winslow_nomad.core.nodes import NodeNow, Sample
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.core.progress import StageKey, Told
from winslow_nomad.core.stage import AttemptState
from winslow_nomad.core.statistics import QUARTER, Cell
from winslow_nomad.store.notices import Outbox
from winslow_nomad.store.progress import RedisProgresses
from winslow_nomad.store.samples import Samples
from winslow_nomad.store.statistics import Statistics

log = logging.getLogger(__name__)
PROGRESS = 2.0  # seconds
NODES = 15.0
LIBRARY = 60.0


class Watching:
    def __init__(self, installation: Installation, owner: str) -> None:
        self._installation = installation
        self._lease = installation.lease(f"{owner} watch", "watch")
        self._progress = RedisProgresses(installation.state, installation.keys)
        self._samples = Samples(installation.state, installation.keys)
        self._statistics = Statistics(installation.state, installation.keys)
        self._nodes = InstalledNodes(installation)
        self._outbox = Outbox(installation.state, installation.keys)
        self._library = InstalledLibrary(installation, InstalledTexts(installation))
        self._beats: dict[AttemptRef, int] = {}
        self._next = {"progress": 0.0, "nodes": 0.0, "library": 0.0}

    def run(self, stopping: threading.Event) -> None:
        while not stopping.wait(0.5):
            try:
                if self._lease.hold() is not None:
                    self.step()
            except Unavailable as error:
                log.info("watching waits: %s", error)
            except WinslowError as error:  # a share that may not be used, say: it is told where it stops somebody
                log.warning("watching failed: %s; it is tried again", error)
            except Exception:
                log.exception("watching failed; it is tried again")
        try:
            self._lease.release()
        except Unavailable:
            log.info("the lease for watching runs out by itself")

    def step(self) -> None:
        now = time.monotonic()
        for name, every, work in (
            ("progress", PROGRESS, self.progress),
            ("nodes", NODES, self.nodes),
            ("library", LIBRARY, self._library.mirror),
        ):
            if now >= self._next[name]:
                self._next[name] = now + every
                work()

    def progress(self) -> None:
        """Heartbeats of what runs, as far as they have changed."""
        running = self._running()
        told: dict[StageKey, Told] = {}
        for stage, ref in running.items():
            try:
                beat = self._installation.attempts.heartbeat(ref)
            except ShareUnavailable:
                break  # the others would not be read either
            if beat is None or self._beats.get(ref) == beat.counter:
                continue
            self._beats[ref] = beat.counter
            told[stage] = Told(
                attempt=ref.attempt,
                percent=beat.progress,
                cpu_seconds=beat.cpu_seconds,
                memory_bytes=beat.memory_bytes,
                at=self._installation.clock.now(),
            )
        gone = [s for s in self._progress.all() if s not in running]
        self._beats = {r: c for r, c in self._beats.items() if r in set(running.values())}
        self._progress.put(told, gone)

    def _running(self) -> Mapping[StageKey, AttemptRef]:
        store = self._installation.store
        found: dict[StageKey, AttemptRef] = {}
        rows = [w for d in self._installation.drivers for w, unplaced in store.at_driver(d) if not unplaced]
        for row in rows:
            project = store.load(row.project)
            stage = project.stages.get(row.stage) if project is not None else None
            last = stage.attempt if stage is not None else None
            if last is not None and last.state is AttemptState.RUNNING:
                found[row.key] = AttemptRef(project=row.project, stage=row.stage, attempt=last.number)
        return found

    def nodes(self) -> None:
        """A sample of each node, and the seconds since the last one as used or idle, with the reason."""
        now = self._installation.clock.now()
        found = self._nodes.all()
        self._outbox.nodes({n.node.name: n.node.ready or n.draining is not None for n in found}, now)
        reason = self._why_idle()
        for one in found:
            self._samples.put(one.node.name, sample(one, now))
            if one.busy:
                self._samples.used(one.node.name, now)
        self._statistics.sample(now, lambda seconds: cells(found, now, seconds, reason))

    def _why_idle(self) -> str:
        """What a ready GPU that does nothing lacks."""
        if self._nodes.waiting():
            return "unfit"
        asking = self._installation.store.find(Query(asking=True, limit=1))
        return "person" if asking.rows else "nothing"


def sample(now: NodeNow, at: datetime) -> Sample:
    node, load = now.node, now.load
    cards = load.cards if load is not None else ()
    percents = [c.percent for c in cards if c.percent is not None]
    used = [(c.memory_used, c.memory) for c in cards if c.memory_used is not None]
    return Sample(
        at=at,
        cpu=_percent(load.cpu, node.cpu) if load is not None else None,
        memory=_percent(load.memory, node.memory) if load is not None else None,
        gpu=round(sum(percents) / len(percents), 1) if percents else None,
        gpu_memory=_percent(sum(u for u, _ in used), sum(m for _, m in used)) if used else None,
        gpus_used=sum(g.used for g in node.gpus),
        gpus=sum(g.count for g in node.gpus),
    )


def _percent(part: float | None, whole: float) -> float | None:
    return None if part is None or not whole else round(min(100.0, 100.0 * part / whole), 1)


def cells(nodes: Sequence[NodeNow], at: datetime, seconds: int, reason: str) -> dict[Cell, int]:
    """What `seconds` before `at` add to the counters, see core.statistics."""
    quarter = int(at.timestamp()) // QUARTER * QUARTER
    found: dict[Cell, int] = {}
    for one in nodes:
        name = one.node.name
        gpus, used = sum(g.count for g in one.node.gpus), sum(g.used for g in one.node.gpus)
        down = not one.node.ready or one.draining is not None
        if gpus:
            found[Cell(quarter, "gpu_total", name, "")] = gpus * seconds
        if gpus > used:
            found[Cell(quarter, f"gpu_idle_{'down' if down else reason}", name, "")] = (gpus - used) * seconds
        found[Cell(quarter, "node_total", name, "")] = seconds
        if not one.busy:
            found[Cell(quarter, "node_idle", name, "")] = seconds
    return found
