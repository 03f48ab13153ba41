"""All of Winslow's moving parts over a simulated cluster and a store in memory, on a virtual clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from winslow_nomad.core import messages as m
from winslow_nomad.core.allowance import Allowance
from winslow_nomad.core.inventory import GpuGroup, Node
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.pipeline import GIB, Pipeline
from winslow_nomad.core.ports import Observation
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import StageState
from winslow_nomad.driver.simulated.attempts import MemoryAttempts
from winslow_nomad.driver.simulated.clock import VirtualClock
from winslow_nomad.driver.simulated.driver import SimulatedDriver
from winslow_nomad.driver.simulated.script import Faults, Script
from winslow_nomad.events.admission import Admission
from winslow_nomad.events.advance import Advance, Sender
from winslow_nomad.events.contact import Heartbeats
from winslow_nomad.events.perform import Performer, facts_of
from winslow_nomad.events.pinning import Pinning
from winslow_nomad.events.sweep import Sweep
from winslow_nomad.store.memory import MemoryStore


class NoOperations:
    """Workspaces in memory are ready at once, so there is never an operation."""

    def cancel(self, operation: str) -> None: ...

    def get(self, operation: str) -> Operation | None:
        return None


class Breaker:
    """Closed for ever but for what the test opens: tries again at every bell."""

    def __init__(self) -> None:
        self.parked: dict[str, set[str]] = {}

    def allows(self, what: str) -> bool:
        return True

    def why(self, what: str) -> str:
        return ""

    def failed(self, what: str, project: str, text: str = "", *, at_once: bool = False) -> None:
        self.parked.setdefault(what, set()).add(project)

    def succeeded(self, what: str) -> None:
        self.parked.pop(what, None)


def nodes(count: int, gpus: int = 2) -> list[Node]:
    group = (GpuGroup(model="RTX 2080 Ti", memory=11 * GIB, count=gpus),) if gpus else ()
    return [Node(name=f"n{i}", cpu=16, memory=64 * GIB, gpus=group) for i in range(count)]


class Simulation:
    def __init__(self, cluster: Sequence[Node], script: Script, *, seed: int = 0, faults: Faults | None = None) -> None:
        self.clock = VirtualClock()
        self.store = MemoryStore(self.clock)
        self.attempts = MemoryAttempts(lambda: self.clock.seconds)
        self.driver = SimulatedDriver(
            cluster, script, clock=self.clock, attempts=self.attempts, seed=seed, faults=faults
        )
        drivers = {"simulated": self.driver}
        self.sender = Sender(self.store, self.clock)
        self.breaker = Breaker()
        self.limits: dict[str, Allowance] = {}
        self.admission = Admission(drivers, self.store, self.clock, self.sender, limits=lambda _: self.limits)
        pinning = Pinning(self.attempts, {}, self.admission.inventory, lambda: self.clock.seconds)
        performer = Performer(drivers, self.attempts, NoOperations(), pinning)  # type: ignore[arg-type]
        self.advance = Advance(self.store, self.sender, performer, self.admission, self.breaker)
        self.sweep = Sweep(
            self.store,
            self.store,
            drivers,
            self.attempts,
            NoOperations(),  # type: ignore[arg-type]
            Heartbeats(self.attempts, lambda: self.clock.seconds),
            self.admission.inventory,
            pinning,
            self.sender.facts,
            lambda _: self.limits,
        )
        self.sweep_every = timedelta(seconds=30)
        self.next_sweep = self.clock.now() + self.sweep_every

    def create(self, project: str, pipeline: Pipeline, **fields: object) -> Project:
        message = m.CreateProject.model_validate(
            {"project": project, "name": project, "pipeline": pipeline, "driver": "simulated", "start": True, **fields}
        )
        return self.send(project, message)

    def send(self, project: str, command: m.AnyCommand) -> Project:
        return self.sender(project, [command], actor=command.actor)

    def report(self, seen: Observation) -> None:
        facts = facts_of(seen)
        if facts:
            self.sender.facts(seen.ref.project, facts)

    def answer_bells(self) -> None:
        while (project := self.store.answer()) is not None:
            self.advance(project)

    def step(self) -> bool:
        """Let time pass until something happens or the next sweep is due, and all that follows. False: nothing
        is left to happen, in the cluster or by the passing of time."""
        self.answer_bells()
        moment = self.driver.next_event
        if moment is None and self.at_rest():
            return False
        for seen in self.driver.advance(self.next_sweep if moment is None else min(moment, self.next_sweep)):
            self.report(seen)
        now = self.clock.now()
        for project in self.store.due(now):
            self.sender.facts(project, [m.TimerFired()])
        if now >= self.next_sweep:
            self.look(now)
        return True

    def at_rest(self) -> bool:
        """No stage is under way and no time is waited for."""
        if self.store.dirty() or self.store.waiting("simulated"):
            return False
        projects = [p for i in self.store.projects() if (p := self.store.load(i)) is not None]
        open_stages = [s for p in projects for s in p.stages.values()]
        return all(s.state is StageState.QUEUED and s.retry_at is None for s in open_stages)

    def look(self, now: datetime) -> None:
        self.next_sweep = now + self.sweep_every
        self.sweep(0)
        self.admission.run(self.advance.perform)
        self.store.ring_again(now + timedelta(seconds=10))
        self.answer_bells()

    def run(self, events: int = 10_000_000) -> None:
        """Until nothing is left to happen."""
        for _ in range(events):
            if not self.step():
                return
        raise AssertionError("it does not come to rest")

    def project(self, project: str) -> Project:
        found = self.store.load(project)
        assert found is not None
        return found
