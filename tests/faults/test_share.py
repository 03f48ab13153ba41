"""The share in trouble, while a stage runs on it, another is to start, a person answers and one stops."""

from __future__ import annotations

import re
import time

import pytest

from tests.faults.system import System, a_share, a_system
from tests.waiting import until
from winslow_nomad.core import messages as m
from winslow_nomad.core.project import ProjectState

FULL = "of the share is free|The share is full"  # seen before something was tried, or where it failed
WORDS = {
    "stall": "answer",
    "full": FULL,
    "read_only": "read-only",
    "filled": FULL,
    "frozen": "answer",
}


def settle(system: System) -> None:
    """What is under way when the fault begins."""
    for project in ("runs", "stops", "goes"):
        system.create(project, hold=["first"])
    system.create("asks")
    for project in ("runs", "stops", "goes"):
        until(lambda p=project: system.is_running(p, "first"), 15)  # type: ignore[misc]
        until(lambda p=project: system.states(p)["first"] == "running", 15)  # type: ignore[misc]
    system.reaches("asks", ProjectState.WAITING, 15)


def people_go_on(system: System) -> None:
    """Commands are acknowledged at once, whatever the share does."""
    began = time.monotonic()
    system.go("asks")
    system.create("new")
    system.send("runs", m.PauseProject(actor="ann"))
    system.send("runs", m.ResumeProject(actor="ann"))
    system.send("stops", m.StopStage(stage=1))
    system.release("goes", "first")  # its command ends by itself
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("kind", ["stall", "frozen", "full", "filled", "read_only"])
def test_a_share_in_trouble_stops_nobody_loses_nothing_and_is_named_as_the_reason(kind: str) -> None:
    with a_share(kind) as share, a_system(share) as system:
        settle(system)
        share.begin()
        people_go_on(system)

        # who has to act reads why, in words and as a kind
        for project, stage in (("new", "first"), ("asks", "asked")):
            until(lambda p=project, s=stage: s in (r := system.reasons(p)) and r[s].kind == "share", 8)  # type: ignore[misc]
            assert re.search(WORDS[kind], system.reasons(project)[stage].text)
        # what was stopped is no longer at work
        until(lambda: not system.is_running("stops", "first"), 8)
        # and the fault lasts
        shown = system.shown("new")
        assert re.search(WORDS[kind], shown["stages"][0]["reason"])
        system.release("runs", "first")
        until(lambda: not system.is_running("runs", "first"), 5)

        share.end()
        system.reaches("asks", ProjectState.SUCCEEDED, 15)
        for project in ("new", "runs", "goes"):
            found = system.reaches(project, ProjectState.WAITING, 15)
            assert [e.state.value for e in found.ended.values()] == ["succeeded", "succeeded"], found
            system.go(project)
        for project in ("new", "runs", "goes"):
            system.reaches(project, ProjectState.SUCCEEDED, 15)
        until(lambda: system.states("stops")["first"] == "stopped", 10)
        system.check_whole("asks", "new", "runs", "goes", "stops")


def test_in_a_share_that_hangs_everybody_who_waits_says_so_and_all_start_when_it_is_back() -> None:
    names = [f"p{i:02}" for i in range(12)]
    with a_share("stall") as share, a_system(share) as system:
        system.create("runs", hold=["first"])
        until(lambda: system.states("runs").get("first") == "running", 40)  # else it counts as one of the eight
        share.begin()
        for name in names:
            system.create(name)
        first, behind = names[:8], names[8:]  # no more are let on their way at once
        for name in first:
            until(lambda n=name: (r := system.reasons(n).get("first")) is not None and r.kind == "share", 40)  # type: ignore[misc]
            assert "answer" in system.reasons(name)["first"].text
        for name in behind:
            reason = until(lambda n=name: (r := system.reasons(n)["first"]).ahead is not None and r, 20)  # type: ignore[misc]
            assert reason.kind == "busy" and reason.ahead >= 8, reason
        share.end()
        for name in names:
            system.reaches(name, ProjectState.WAITING, 60)
        system.release("runs", "first")
        system.reaches("runs", ProjectState.WAITING, 40)
        system.check_whole("runs", *names)
