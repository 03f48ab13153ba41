"""Who is let in, and what those learn who are not; with the rules of `core.admit` as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from winslow_nomad.core import messages as m
from winslow_nomad.core.admit import Waiting
from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.core.inventory import Inventory, Node
from winslow_nomad.events.admission import Admission

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONE = Waiting(project="p", stage=1, queued=NOW)


class World:
    """Clock, ledger, sender and driver in one: what waits, and what was done about it."""

    def __init__(self) -> None:
        self.time = NOW
        self.in_line: list[Waiting] = []
        self.admitted: list[tuple[str, int]] = []
        self.told: list[m.AnyFact] = []
        self.nodes: Callable[[], Inventory] = lambda: Inventory(
            driver="d", nodes=(Node(name="n", cpu=4, memory=1 << 40),), seen=self.time
        )
        self.admission = Admission({"d": self}, self, self, self)  # type: ignore[dict-item, arg-type]

    def now(self) -> datetime:
        return self.time

    def waiting(self, driver: str) -> Sequence[Waiting]:
        return tuple(self.in_line)

    def at_driver(self, driver: str) -> Sequence[tuple[Waiting, bool]]:
        return ()

    def admit(self, project: str, fact: m.Admitted, prepare: object, *, quiet: bool = False) -> None:
        self.admitted.append((project, fact.stage))
        self.in_line = [w for w in self.in_line if w.key != (project, fact.stage)]

    def facts(self, project: str, facts: Sequence[m.AnyFact], *, quiet: bool = False) -> None:
        self.told += facts

    def inventory(self) -> Inventory:
        return self.nodes()


@pytest.fixture
def world() -> World:
    return World()


def test_a_stage_that_comes_back_for_another_attempt_is_let_in_though_nothing_has_changed(world: World) -> None:
    for attempt in (1, 2, 3):
        world.in_line = [LONE]
        assert world.admission.run() == 1, f"attempt {attempt}"
        world.time += timedelta(seconds=30)
        assert world.admission.run() == 0


def test_while_the_driver_cannot_be_asked_what_waits_says_why(world: World) -> None:
    def away() -> Inventory:
        raise DriverUnavailable("Nomad cannot be reached: Connection refused.")

    world.nodes = away
    world.in_line = [LONE]
    assert world.admission.run() == 0
    (held,) = world.told
    assert isinstance(held, m.HeldBack)
    assert held.reason.kind == "driver_away"
    assert held.reason.text.endswith("show its nodes: Nomad cannot be reached: Connection refused")


def test_a_reason_is_told_once_whatever_other_drivers_have_to_do(world: World) -> None:
    """A driver for which nothing waits made all others forget what they had told."""
    world.admission = Admission({"idle": world, "d": world}, world, world, world)  # type: ignore[dict-item, arg-type]
    large = LONE.but(resources=LONE.resources.but(cpu=400))
    world.waiting = lambda driver: (large,) if driver == "d" else ()  # type: ignore[method-assign]
    for second in range(5):
        world.time = NOW + timedelta(seconds=2 * second)
        node = Node(name="n", cpu=4, memory=(1 << 40) + second)  # something is new at each look
        world.nodes = lambda node=node: Inventory(driver="d", nodes=(node,), seen=world.time)  # type: ignore[misc]
        world.admission.run()
    assert [fact.kind for fact in world.told] == ["became_impossible"]
