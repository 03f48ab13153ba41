from __future__ import annotations

from datetime import UTC, datetime

from tests.core.world import chain
from winslow_nomad.core import messages as m
from winslow_nomad.core.decide import decide_all
from winslow_nomad.core.stage import Stage
from winslow_nomad.events.sweep import is_with_driver

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WHERE = {"stage": 1, "attempt": 1}


def after(*messages: m.Message) -> Stage:
    create = m.CreateProject(project="p", name="p", pipeline=chain("a"), actor="ada", start=True)
    begun = [create, m.Admitted(stage=1), m.WorkspaceReady(**WHERE), *messages]
    return decide_all(None, begun, NOW).project.stages[1]


def test_a_driver_is_not_asked_about_what_has_yet_to_be_submitted() -> None:
    assert not is_with_driver(after())
    assert is_with_driver(after(m.AttemptAccepted(**WHERE, driver="local")))


def test_a_driver_is_asked_about_what_may_have_been_submitted_and_will_not_be_again() -> None:
    stopped = after(m.StopStage(stage=1, actor="ada"), m.StopSent(**WHERE, how="terminate"))
    assert is_with_driver(stopped)
