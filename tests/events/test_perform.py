"""Carrying out effects when the outside is away, and facts that follow from what drivers say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from tests.core.world import World, chain
from winslow_nomad.core import messages as m
from winslow_nomad.core.effects import PrepareWorkspace, StopAttempt, SubmitAttempt
from winslow_nomad.core.errors import DriverRejected, DriverUnavailable, Invalid, Refused, ShareUnavailable
from winslow_nomad.core.inventory import Inventory
from winslow_nomad.core.ports import AttemptRef, AttemptSpec, Observation
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Cause, Outcome
from winslow_nomad.driver.simulated.attempts import MemoryAttempts
from winslow_nomad.events.perform import Parked, Performer, facts_of
from winslow_nomad.events.pinning import Pinning

REF = AttemptRef(project="p1", stage=1, attempt=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Driver:
    """Accepts everything, unless told to raise; remembers what it was asked to stop."""

    name = "local"

    def __init__(self, trouble: Exception | None = None) -> None:
        self.trouble = trouble
        self.stopped: list[str] = []

    def submit(self, spec: AttemptSpec) -> Observation:
        if self.trouble is not None:
            raise self.trouble
        return Observation(ref=spec.ref, phase="running", started=NOW, node="n1")

    def stop(self, ref: AttemptRef, how: str) -> None:
        self.stopped.append(how)

    def observe(self, refs: Iterable[AttemptRef]) -> list[Observation]:
        return [Observation(ref=r, phase="absent") for r in refs]

    def follow(self, report: object, stopping: object) -> None: ...

    def inventory(self) -> Inventory:
        return Inventory(driver="local")

    def forget(self, ref: AttemptRef) -> None: ...


class Attempts(MemoryAttempts):
    """In memory; the share raises `trouble` when it is written to."""

    def __init__(self, trouble: Exception | None = None) -> None:
        super().__init__(lambda: 0.0)
        self.trouble = trouble

    def prepare(self, project: Project, stage: int, attempt: int) -> str | None:
        if self.trouble is not None:
            raise self.trouble
        return super().prepare(project, stage, attempt)

    def cancel(self, ref: AttemptRef) -> Outcome | None:
        if self.trouble is not None:
            raise self.trouble
        return super().cancel(ref)


class Operations:
    def cancel(self, operation: str) -> None: ...


def performer(driver: Driver, attempts: Attempts) -> Performer:
    pinning = Pinning(attempts, {}, lambda name: Inventory(driver=name), lambda: 0.0)
    return Performer({"local": driver}, attempts, Operations(), pinning)  # type: ignore[arg-type]


def under_way(ready: bool = True) -> Project:
    world = World(chain("a"))
    world.send(m.StartProject())
    world.admit()
    if ready:
        world.fact(m.WorkspaceReady(stage=1, attempt=1))
    return world.project


def test_a_driver_that_is_away_parks_the_submission_with_the_reason():
    away = performer(Driver(DriverUnavailable("nobody answers")), Attempts())
    with pytest.raises(Parked) as caught:
        away(under_way(), SubmitAttempt(stage=1, attempt=1))
    assert caught.value.what == "local"
    assert [f.reason.kind for f in caught.value.facts] == ["driver_away"]


def test_a_share_that_is_full_parks_the_preparation_with_the_reason():
    full = performer(Driver(), Attempts(ShareUnavailable("the share is full", code="share.full")))
    with pytest.raises(Parked) as caught:
        full(under_way(ready=False), PrepareWorkspace(stage=1, attempt=1))
    assert caught.value.what == "share"
    assert "full" in caught.value.facts[0].reason.text


@pytest.mark.parametrize("trouble", [Refused("its source is gone"), Invalid("X refers to itself")])
def test_what_can_never_be_prepared_fails_the_stage_for_ever(trouble):
    facts = performer(Driver(), Attempts(trouble))(under_way(ready=False), PrepareWorkspace(stage=1, attempt=1))
    assert facts == [m.WorkspaceFailed(stage=1, attempt=1, text=str(trouble), for_ever=True)]


def test_what_the_driver_rejects_fails_the_stage():
    facts = performer(Driver(DriverRejected("no such image")), Attempts())(
        under_way(), SubmitAttempt(stage=1, attempt=1)
    )
    assert facts == [m.AttemptRejected(stage=1, attempt=1, text="no such image")]


def test_a_stop_reaches_the_driver_though_the_share_hangs_and_stays_outstanding():
    driver = Driver()
    stalled = performer(driver, Attempts(ShareUnavailable("it hangs", code="share.stalled")))
    with pytest.raises(Parked):
        stalled(under_way(), StopAttempt(stage=1, attempt=1, how="terminate"))
    assert driver.stopped == ["terminate"]


def test_a_withdrawal_never_reaches_the_driver():
    driver = Driver()
    stalled = performer(driver, Attempts(ShareUnavailable("it hangs", code="share.stalled")))
    with pytest.raises(Parked):
        stalled(under_way(), StopAttempt(stage=1, attempt=1, how="withdraw"))
    assert driver.stopped == []


def test_a_stop_before_the_start_takes_the_claim_and_asks_nobody():
    driver = Driver()
    facts = performer(driver, Attempts())(under_way(), StopAttempt(stage=1, attempt=1, how="terminate"))
    assert [f.outcome.cause for f in facts] == [Cause.CANCELLED]
    assert driver.stopped == []


def test_absence_is_never_an_outcome():
    assert facts_of(Observation(ref=REF, phase="absent")) == []


def test_an_end_that_was_never_seen_to_start_brings_its_start_along():
    outcome = Outcome(cause=Cause.EXIT, code=0, started=NOW, ended=NOW)
    kinds = [f.kind for f in facts_of(Observation(ref=REF, phase="ended", outcome=outcome))]
    assert kinds == ["attempt_started", "attempt_ended"]
