"""The simulated cluster: what only it can show (cuts, dead nodes, lost reports, an absent driver), repeatably."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.driver_cases import Does, SimulatedCase
from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.core.inventory import GpuGroup, Node
from winslow_nomad.core.pipeline import GIB, Gpu, Resources
from winslow_nomad.core.ports import AttemptRef, AttemptSpec, Observation
from winslow_nomad.core.stage import Cause, Outcome
from winslow_nomad.driver.simulated.attempts import MemoryAttempts
from winslow_nomad.driver.simulated.clock import START, VirtualClock
from winslow_nomad.driver.simulated.driver import SimulatedDriver
from winslow_nomad.driver.simulated.script import Act, Faults, Script, random_acts

_SPECS = SimulatedCase()
FAST, BIG = GpuGroup(model="RTX 2080 Ti", memory=11 * GIB, count=1), GpuGroup(model="A5000", memory=24 * GIB, count=1)


@dataclass
class World:
    nodes: tuple[Node, ...] = (Node(name="alder", cpu=2, memory=8 * GIB),)
    script: Script = lambda spec, random: Act(seconds=100.0, starting=1.0)
    faults: Faults | None = None
    seed: int = 0
    reports: list[Observation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.attempts = MemoryAttempts(lambda: self.clock.seconds)
        self.driver = SimulatedDriver(
            self.nodes, self.script, clock=self.clock, attempts=self.attempts, seed=self.seed, faults=self.faults
        )

    def submit(self, number: int = 1, attempt: int = 1, **resources: object) -> AttemptSpec:
        shape = Resources(**({"cpu": 1.0, "memory": GIB} | resources))  # type: ignore[arg-type]
        ref = AttemptRef(project="p", stage=number, attempt=attempt)
        spec = _SPECS.prepared(Does(), ref=ref, resources=shape)
        self.driver.submit(spec)
        return spec

    def at(self, seconds: float) -> None:
        self.reports += self.driver.advance(START + timedelta(seconds=seconds))

    def phase(self, spec: AttemptSpec) -> str:
        return self.driver.observe([spec.ref])[0].phase


def test_a_cut_node_works_on_and_its_end_is_on_the_share_before_the_driver_hears_of_it() -> None:
    world = World()
    spec, other = world.submit(1), world.submit(2)
    world.at(10)
    world.driver.cut("alder", 200)
    world.at(50)
    assert world.phase(spec) == "out_of_contact"
    assert not world.driver.inventory().nodes[0].ready
    assert world.attempts.heartbeat(spec.ref).counter == 5, "its heart beats on the share"
    third = world.submit(3)
    world.at(150)
    assert world.phase(third) == "waiting"
    assert world.attempts.end(spec.ref).succeeded
    assert not [r for r in world.reports if r.phase == "ended"], "the driver could not say so"
    world.at(211)
    assert {r.ref for r in world.reports if r.phase == "ended"} == {spec.ref, other.ref}
    world.at(212)
    assert world.phase(third) == "running"


def test_a_dead_node_falls_silent_and_what_ran_there_is_lost_when_it_is_back() -> None:
    world = World()
    spec = world.submit()
    world.at(50)
    world.driver.lose("alder", 300)
    world.at(120)
    assert world.phase(spec) == "out_of_contact"
    before = world.attempts.heartbeat(spec.ref)
    world.at(300)
    assert world.attempts.heartbeat(spec.ref) == before
    assert world.attempts.end(spec.ref) is None
    world.at(351)
    assert world.attempts.end(spec.ref).cause is Cause.NODE_LOST
    assert world.driver.inventory().nodes[0].cpu_used == 0


def test_an_end_that_winslow_published_meanwhile_stays_when_the_node_is_back() -> None:
    world = World()
    spec = world.submit()
    world.at(50)
    world.driver.cut("alder", 300)
    world.attempts.publish_end(spec.ref, Outcome(cause=Cause.SUPERSEDED))
    world.at(1000)
    assert world.attempts.end(spec.ref).cause is Cause.SUPERSEDED
    assert world.driver.observe([spec.ref])[0].outcome.cause is Cause.SUPERSEDED


def test_while_the_driver_is_away_nobody_is_answered_and_attempts_go_on() -> None:
    world = World()
    spec = world.submit()
    world.at(10)
    world.driver.away(500)
    for call in (
        lambda: world.driver.observe([spec.ref]),
        lambda: world.driver.submit(spec),
        lambda: world.driver.stop(spec.ref, "kill"),
        lambda: world.driver.forget(spec.ref),
        world.driver.inventory,
    ):
        with pytest.raises(DriverUnavailable):
            call()
    world.at(511)
    assert world.phase(spec) == "ended"
    assert not [r for r in world.reports if r.phase == "ended"]


def test_a_submit_whose_answer_was_lost_has_been_applied() -> None:
    world = World(faults=Faults(reply_lost=1.0))
    with pytest.raises(DriverUnavailable):
        world.submit()
    world.at(200)
    ref = AttemptRef(project="p", stage=1, attempt=1)
    assert world.driver.observe([ref])[0].outcome.succeeded
    assert world.driver.started[ref] == 1


def test_preemption_ends_an_attempt_that_nobody_asked_to_stop() -> None:
    world = World()
    spec = world.submit()
    world.at(10)
    world.driver.preempt(spec.ref)
    assert world.driver.observe([spec.ref])[0].outcome.message == "preempted"


def test_the_smallest_gpu_that_suffices_is_taken_so_that_the_big_one_stays_free() -> None:
    world = World(nodes=(Node(name="alder", cpu=8, memory=64 * GIB, gpus=(BIG, FAST)),))
    world.submit(1, gpu=Gpu())
    world.submit(2, gpu=Gpu(memory=16 * GIB))
    world.at(5)
    assert [g.used for g in world.driver.inventory().nodes[0].gpus] == [1, 1]


def test_a_node_that_lost_it_is_taken_only_where_there_is_no_other() -> None:
    world = World(nodes=tuple(Node(name=name, cpu=1, memory=GIB) for name in ("n1", "n2")))
    specs = [_SPECS.prepared(Does(), avoid=("n1",), resources=Resources(cpu=1.0, memory=GIB)) for _ in range(3)]
    for spec in specs:
        world.driver.submit(spec)
    world.at(5)
    seen = world.driver.observe([spec.ref for spec in specs])
    assert [(o.node, o.phase) for o in seen] == [("n2", "running"), ("n1", "running"), ("", "waiting")]


def test_what_was_impossible_starts_when_a_fitting_node_joins() -> None:
    world = World()
    spec = world.submit(1, gpu=Gpu(memory=16 * GIB))
    assert world.driver.observe([spec.ref])[0].reason.kind == "impossible"
    world.driver.join(Node(name="birch", cpu=4, memory=8 * GIB, gpus=(BIG,)))
    world.at(2)
    assert world.driver.observe([spec.ref])[0].node == "birch"


def test_advancing_from_event_to_event_comes_to_an_end() -> None:
    world = World(script=random_acts(300, 0.2), faults=Faults(delay=7))
    specs = [world.submit(number) for number in range(1, 20)]
    for _ in range(1000):
        moment = world.driver.next_event
        if moment is None:
            break
        before = world.driver.next_event
        world.driver.advance(moment)
        assert world.driver.next_event != before, "what was due has happened"
    assert {world.phase(s) for s in specs} == {"ended"}


def history(seed: int) -> list[tuple[str, int, str, int]]:
    nodes = tuple(Node(name=f"n{i}", cpu=2, memory=8 * GIB) for i in range(3))
    world = World(nodes, random_acts(300, 0.2), Faults(lost=0.1, twice=0.1, delay=30), seed)
    for number in range(1, 30):
        world.submit(number)
    world.at(100)
    world.driver.cut("n0", 100)
    world.driver.lose("n1", 100)
    world.at(100_000)
    return [(r.phase, r.ref.stage, r.node, r.index) for r in world.reports]


def test_a_seed_tells_everything_that_happens() -> None:
    assert history(3) == history(3)
    assert history(3) != history(4)


NODES = tuple(Node(name=f"n{i}", cpu=2, memory=8 * GIB, gpus=(FAST,)) for i in range(3))
TROUBLES = st.lists(
    st.tuples(
        st.sampled_from(["cut", "lose", "away", "stop", "kill", "cancel", "supersede", "resubmit"]),
        st.integers(0, 20),
        st.floats(1, 900),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(TROUBLES, st.integers(0, 10_000))
def test_whatever_happens_each_attempt_runs_once_at_most_ends_once_and_frees_its_place(troubles, seed) -> None:
    world = World(NODES, random_acts(300, 0.2), Faults(lost=0.2, twice=0.2, delay=60), seed)
    specs = [world.submit(number, gpu=Gpu() if number % 3 else None) for number in range(1, 22)]
    ends: dict[AttemptRef, Outcome] = {}
    for number, (trouble, which, seconds) in enumerate(troubles):
        world.at(number * 60.0)
        spec, node = specs[which], f"n{which % 3}"
        try:
            if trouble == "cut":
                world.driver.cut(node, seconds)
            elif trouble == "lose":
                world.driver.lose(node, seconds)
            elif trouble == "away":
                world.driver.away(seconds)
            elif trouble == "cancel":
                world.attempts.cancel(spec.ref)
            elif trouble == "supersede":
                world.attempts.control(spec.ref, "superseded")
                world.attempts.publish_end(spec.ref, Outcome(cause=Cause.SUPERSEDED))
            elif trouble == "resubmit":
                world.driver.submit(spec)
            else:
                how = "kill" if trouble == "kill" else "terminate"
                world.attempts.control(spec.ref, how)
                world.driver.stop(spec.ref, how)
        except DriverUnavailable:
            pass
        for s in specs:
            end = world.attempts.end(s.ref)
            assert ends.setdefault(s.ref, end) == end if end is not None else s.ref not in ends
    world.at(1e6)
    seen = world.driver.observe([s.ref for s in specs])
    assert {o.phase for o in seen} == {"ended"}
    assert max(world.driver.started.values(), default=0) <= 1
    for node in world.driver.inventory().nodes:
        assert (node.ready, node.cpu_used, node.memory_used, node.gpus[0].used) == (True, 0.0, 0, 0)
    for report in world.reports:
        last = seen[report.ref.stage - 1]
        assert report.index <= last.index, "what is asked last is the newest"
