"""Many stages in one project, many projects at once, and names that are not kind."""

from __future__ import annotations

import json
import time

import pytest

from tests.bootstrap.test_whole_installation import at_rest, create, sh
from tests.core.world import pipeline
from tests.waiting import until
from winslow_nomad.bootstrap.engine import Engine
from winslow_nomad.core import messages as m
from winslow_nomad.core.project import ProjectState
from winslow_nomad.store import codec


def sweep_of(engine: Engine, count: int, seconds: float) -> None:
    points = {"X": tuple(str(n) for n in range(count))}
    swept = sh("s", "true", workspace="empty", sweep={"max_running": 16, "on_failure": "continue"})
    made = pipeline(swept, sh("g", 'cp "$WINSLOW_STAGES/s/index.json" "$WINSLOW_OUTPUT"', "s", gather=True))
    project = create(engine, made, sweeps={"s": points})
    busy = (ProjectState.RUNNING, ProjectState.QUEUED)
    until(lambda: engine.client.project(project).state not in busy, seconds=seconds, every=0.1)
    found = engine.client.project(project)
    assert found.state is ProjectState.SUCCEEDED
    assert sorted(int(e.point["X"]) for e in found.ended.values() if e.sweep) == list(range(count))
    assert len(codec.write_head(found)) <= 32 * 1024
    gathered = max(found.ended)
    output = engine.client.output(project, gathered)
    assert output is not None
    index = json.loads((engine.installation.settings.share / output / "index.json").read_text())
    assert len(index) == count
    began = time.monotonic()
    engine.client.send(project, m.AddComment(text="still quick", actor="ada"))
    assert time.monotonic() - began < 5


def test_a_sweep_of_many_stages_runs_to_its_end_and_gathers_all(engine: Engine) -> None:
    sweep_of(engine, 80, seconds=120)


def projects_at_once(engine: Engine, count: int, seconds: float) -> None:
    made = pipeline(sh("a", "true", workspace="empty"), sh("b", "true", "a", workspace="empty"))
    projects = [create(engine, made) for _ in range(count)]
    for project in projects:
        until(lambda p=project: engine.client.project(p).state is ProjectState.SUCCEEDED, seconds=seconds, every=0.05)


def test_many_projects_at_once_all_succeed(engine: Engine) -> None:
    projects_at_once(engine, 25, seconds=60)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_three_hundred_projects_at_once_all_succeed(engine: Engine) -> None:
    projects_at_once(engine, 300, seconds=600)


@pytest.mark.parametrize("name", ["../../etc/passwd", "🚗 ümläut", "x" * 255, "a'b\"c$(d)`e`;f", "-rf"])
def test_hostile_names_are_only_names(engine: Engine, name: str) -> None:
    project = create(engine, pipeline(sh("a", 'printf %s "$WINSLOW_PROJECT_NAME"')), name=name)
    assert at_rest(engine, project).state is ProjectState.SUCCEEDED
    assert b"".join(c.data for c in engine.client.log(project, 1)).decode() == name
    assert engine.client.find(name) == project
