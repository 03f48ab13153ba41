from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.core.world import chain, pipeline
from winslow_nomad.core import messages as m
from winslow_nomad.core.decide import decide_all
from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.core.ports import AttemptRef, Observation
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Cause, Outcome, Stage
from winslow_nomad.events.sweep import Sweep, is_with_driver

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WHERE = {"stage": 1, "attempt": 1}


def after(*messages: m.Message) -> Stage:
    create = m.CreateProject(project="p", name="p", pipeline=chain("a"), actor="ada", start=True)
    begun = [create, m.Admitted(stage=1), m.WorkspaceReady(**WHERE), *messages]
    return decide_all(None, begun, NOW).project.stages[1]


def test_a_driver_is_not_asked_about_what_has_yet_to_be_submitted() -> None:
    assert not is_with_driver(after())
    assert is_with_driver(after(m.AttemptAccepted(**WHERE, driver="local")))


class Away:
    """Knows only what has ended; the rest it would have to ask for."""

    def __init__(self, *ended: int) -> None:
        self.ended = ended

    def observe(self, refs: list[AttemptRef]) -> list[Observation]:
        if any(ref.stage not in self.ended for ref in refs):
            raise DriverUnavailable("it is away")
        outcome = Outcome(cause=Cause.EXIT, code=0)
        return [Observation(ref=ref, phase="ended", outcome=outcome) for ref in refs]


def test_an_end_is_seen_though_the_driver_cannot_be_asked_about_another_stage() -> None:
    made = pipeline({"id": "a"}, {"id": "b"})
    facts: list[m.Message] = [m.CreateProject(project="p", name="p", pipeline=made, actor="ada", start=True)]
    for number in (1, 2):
        facts += [m.Admitted(stage=number), m.WorkspaceReady(stage=number, attempt=1)]
        facts += [m.AttemptAccepted(stage=number, attempt=1)]
    project = decide_all(None, facts, NOW).project
    other: Any = None  # not asked for anything here
    sweep = Sweep(other, other, {"local": Away(2)}, other, other, other, other, other, other)
    assert [(type(fact), fact.stage) for fact in sweep.of_attempts(project)] == [(m.AttemptEnded, 2)]


def test_a_driver_is_asked_about_what_may_have_been_submitted_and_will_not_be_again() -> None:
    stopped = after(m.StopStage(stage=1, actor="ada"), m.StopSent(**WHERE, how="terminate"))
    assert is_with_driver(stopped)


class Says:
    """Always the same."""

    def __init__(self, seen: Observation) -> None:
        self.seen = seen

    def observe(self, refs: list[AttemptRef]) -> list[Observation]:
        return [self.seen for _ in refs]


class One:
    """A store, its ledger, and who decides: of one project."""

    def __init__(self, *facts: m.Message) -> None:
        create = m.CreateProject(project="p", name="p", pipeline=chain("a"), actor="ada", start=True)
        begun = [create, m.Admitted(stage=1), m.WorkspaceReady(**WHERE), *facts]
        self.project = decide_all(None, begun, NOW).project

    def load(self, _: str) -> Project:
        return self.project

    def open_projects(self) -> list[str]:
        return ["p"]

    def send(self, _: str, facts: Sequence[m.AnyFact]) -> None:
        self.project = decide_all(self.project, list(facts), NOW).project


def test_a_driver_that_counts_anew_is_believed_at_the_second_look() -> None:
    """A cluster that was restored from a backup has lower indexes than what it said before; one late word has, too."""
    ref = AttemptRef(project="p", stage=1, attempt=1)
    started = m.AttemptStarted(**WHERE, index=900, node="n1", started=NOW)
    one = One(m.AttemptAccepted(**WHERE), started, m.AttemptInContact(**WHERE, index=900))
    assert one.project.stages[1].attempts[0].index == 900
    says: Any = {
        "local": Says(Observation(ref=ref, phase="out_of_contact", index=400, node="n1", text="it is cut off"))
    }
    other: Any = None  # not asked for anything here
    it: Any = one
    sweep = Sweep(it, it, says, other, other, other, other, other, one.send)
    sweep(0)
    assert one.project.stages[1].attempts[0].out_of_contact is None
    sweep(0)
    assert one.project.stages[1].attempts[0].out_of_contact == NOW
