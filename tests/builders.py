"""Real values with sensible defaults, for tests. Every builder takes what the test is about by keyword."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from winslow_nomad.core.decision import Decision
from winslow_nomad.core.effects import Effect
from winslow_nomad.core.messages import Entry
from winslow_nomad.core.pipeline import Pipeline, StageDefinition
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Attempt, AttemptState, EndedStage, Stage, StageState

START = datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC)


class HandClock:
    """Time that passes only when told to."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def pass_by(self, seconds: float) -> datetime:
        self.at += timedelta(seconds=seconds)
        return self.at


def a_definition(stage_id: str = "detect", **changes: Any) -> StageDefinition:
    return StageDefinition(**{"id": stage_id, "command": ("python", f"{stage_id}.py"), **changes})


def a_pipeline(*stage_ids: str, name: str = "traffic") -> Pipeline:
    """A chain."""
    ids = stage_ids or ("detect", "track", "report")
    stages = [a_definition(i, needs=(ids[n - 1],) if n else ()) for n, i in enumerate(ids)]
    return Pipeline(name=name, stages=tuple(stages))


def a_project(project: str = "p1", **changes: Any) -> Project:
    values: dict[str, Any] = {
        "id": project,
        "name": f"Project {project}",
        "pipeline": a_pipeline(),
        "author": "ann",
        "created": START,
        "updated": START,
        **changes,
    }
    return Project(**values)


def a_stage(number: int = 1, stage_id: str = "detect", **changes: Any) -> Stage:
    values: dict[str, Any] = {"number": number, "definition": a_definition(stage_id), "made": START, "queued": START}
    return Stage(**{**values, **changes})


def a_running_stage(number: int = 1, stage_id: str = "detect", **changes: Any) -> Stage:
    attempt = Attempt(number=1, state=AttemptState.RUNNING, made=START, started=START, node="castor")
    return a_stage(
        number, stage_id, **{"state": StageState.RUNNING, "attempts": (attempt,), "started": START, **changes}
    )


def an_ended_stage(number: int = 1, stage_id: str = "detect", **changes: Any) -> EndedStage:
    values: dict[str, Any] = {
        "number": number,
        "id": stage_id,
        "state": StageState.SUCCEEDED,
        "attempt": 1,
        "queued": START,
        "started": START + timedelta(seconds=1),
        "ended": START + timedelta(seconds=61),
    }
    return EndedStage(**{**values, **changes})


def decided(project: Project, *effects: Effect, what: str = "changed") -> Decision:
    """A decision that changed something."""
    return Decision(project, (Entry(what=what),), effects, changed=True)


def unchanged(project: Project) -> Decision:
    return Decision(project, (), (), changed=False)
