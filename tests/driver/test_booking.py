"""Which attempts fit on one machine, and which of them starts next."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.driver_cases import Does, SimulatedCase
from winslow_nomad.core.pipeline import GIB, Gpu, Resources
from winslow_nomad.driver.local.booking import PASSES, Booking, node_of, plan
from winslow_nomad.driver.local.gpus import Card
from winslow_nomad.driver.local.machine import Machine

MACHINE = Machine(host="alder", boot_id="b", cpu=4.0, memory=8 * GIB)
SMALL, BIG = "NVIDIA GeForce RTX 2080 Ti", "NVIDIA RTX A5000"
CARDS = (Card("a", SMALL, 11 * GIB), Card("b", SMALL, 11 * GIB), Card("c", BIG, 24 * GIB))
_WORLD = SimulatedCase()


def booking(sequence: int, *, priority: int = 50, **more: object) -> Booking:
    held = {"state": more.pop("state", "waiting"), "gpus": more.pop("held", ()), "passed": more.pop("passed", 0)}
    resources = Resources(**({"cpu": 1.0, "memory": GIB} | more))  # type: ignore[arg-type]
    spec = _WORLD.prepared(Does(), resources=resources, priority=priority)
    return Booking(spec=spec, sequence=sequence, **held)  # type: ignore[arg-type]


def started(bookings: list[Booking], cards: tuple[Card, ...] = CARDS) -> list[int]:
    return [b.sequence for b, _ in plan(bookings, MACHINE, cards).starts]


def test_the_first_come_starts_first_and_a_smaller_one_fills_the_gap() -> None:
    assert started([booking(1, cpu=3), booking(2, cpu=3), booking(3, cpu=1)]) == [1, 3]


def test_a_higher_priority_starts_first() -> None:
    assert started([booking(1, cpu=3), booking(2, cpu=3, priority=60)]) == [2]


def test_what_was_passed_too_often_gets_what_it_lacks_kept_for_it() -> None:
    holding = booking(1, cpu=2, state="launched")
    line = [holding, booking(2, cpu=4), booking(3, cpu=1)]
    waits = plan(line, MACHINE, CARDS).waits
    assert started(line) == [3]
    assert [(w.sequence, w.passed) for w in waits] == [(2, 1)]
    patient = line[1].but(passed=PASSES)
    assert started([holding, patient, line[2]]) == []


def test_who_waits_for_a_gpu_only_does_not_hold_back_who_needs_none() -> None:
    held = booking(1, gpu=Gpu(count=2), state="launched", held=("a", "b"))
    waits = booking(2, gpu=Gpu(count=2), passed=PASSES)
    assert started([held, waits, booking(3), booking(4, gpu=Gpu())]) == [3]


def test_nothing_is_kept_for_what_could_not_start_on_an_idle_machine() -> None:
    """Its GPU is lost, or the machine was given less since it was submitted."""
    waits = booking(1, gpu=Gpu(count=2, memory=16 * GIB), passed=PASSES)
    assert started([waits, booking(2, gpu=Gpu())]) == [2]


def test_gpus_are_given_one_by_one_the_smallest_that_suffice_and_of_one_model() -> None:
    line = [
        booking(1, gpu=Gpu(memory=8 * GIB)),
        booking(2, gpu=Gpu(memory=8 * GIB)),
        booking(3, gpu=Gpu(memory=16 * GIB)),
        booking(4, gpu=Gpu()),
    ]
    planned = plan(line, MACHINE, CARDS)
    assert [gpus for _, gpus in planned.starts] == [("a",), ("b",), ("c",)]
    assert started([booking(1, gpu=Gpu(count=3))]) == []
    assert plan([booking(1, gpu=Gpu(count=2))], MACHINE, CARDS).starts[0][1] == ("a", "b")


def test_a_card_that_is_lost_is_given_to_nobody_and_does_not_count() -> None:
    left = CARDS[1:]
    assert plan([booking(1, gpu=Gpu())], MACHINE, left).starts[0][1] == ("b",)
    held = booking(1, gpu=Gpu(), state="launched", held=("a",))
    assert [(g.count, g.used) for g in node_of([held], MACHINE, left).gpus] == [(1, 0), (1, 0)]


REQUESTS = st.builds(
    dict,
    cpu=st.sampled_from([0.1, 0.5, 1.0, 2.5, 4.0]),
    memory=st.sampled_from([GIB // 2, 3 * GIB, 8 * GIB]),
    gpu=st.none() | st.builds(Gpu, count=st.integers(1, 3), memory=st.sampled_from([0, 16 * GIB])),
    priority=st.sampled_from([20, 50]),
)


@settings(deadline=None)
@given(st.lists(REQUESTS, max_size=25), st.lists(st.integers(0, 30), max_size=80))
def test_never_more_than_there_is_and_everything_that_can_run_does_run_in_the_end(requests, ends) -> None:
    every = {i: booking(i, **request) for i, request in enumerate(requests)}
    order = iter(ends)
    for _ in range(200):
        planned = plan(every.values(), MACHINE, CARDS)
        for chosen, gpus in planned.starts:
            every[chosen.sequence] = chosen.but(state="launched", gpus=gpus)
        for waits in planned.waits:
            every[waits.sequence] = waits
        held = [b for b in every.values() if b.state == "launched"]
        given_away = [uuid for b in held for uuid in b.gpus]
        assert sum(b.spec.resources.cpu for b in held) <= MACHINE.cpu + 1e-6
        assert sum(b.spec.resources.memory for b in held) <= MACHINE.memory
        assert len(given_away) == len(set(given_away))
        for b in held:
            gpu = b.spec.resources.gpu
            assert len(b.gpus) == (gpu.count if gpu else 0)
        if not held:
            break
        ending = held[next(order, 0) % len(held)]
        every[ending.sequence] = ending.but(state="ended", gpus=())
    left = [b for b in every.values() if b.state == "waiting"]
    for b in left:  # only what no idle machine could start
        assert not plan([b], MACHINE, CARDS).starts
