"""Projects to try the share with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from winslow_nomad.core.pipeline import Pipeline, StageDefinition
from winslow_nomad.core.project import Project, Sweep
from winslow_nomad.core.stage import (
    Attempt,
    AttemptState,
    Cause,
    EndedStage,
    Outcome,
    Source,
    Stage,
    StageState,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class FixedClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


def definition(stage_id: str = "detect", **fields: Any) -> StageDefinition:
    return StageDefinition(id=stage_id, **{"command": ("python", "detect.py"), **fields})


def stage(number: int = 1, stage_id: str = "detect", **fields: Any) -> Stage:
    fields.setdefault("definition", definition(stage_id))
    fields.setdefault("attempts", (Attempt(number=1, made=NOW),))
    fields.setdefault("source", Source(kind="empty"))
    return Stage(number=number, made=NOW, queued=NOW, **fields)


def ended(number: int, stage_id: str = "detect", **fields: Any) -> EndedStage:
    fields.setdefault("attempt", 1)
    return EndedStage(number=number, id=stage_id, state=fields.pop("state", StageState.SUCCEEDED), ended=NOW, **fields)


def project(*stages: Stage | EndedStage, **fields: Any) -> Project:
    definitions = {s.definition.id: s.definition for s in stages if isinstance(s, Stage)}
    definitions |= {s.id: definition(s.id) for s in stages if isinstance(s, EndedStage) and s.id not in definitions}
    fields.setdefault("pipeline", Pipeline(name="traffic", stages=tuple(definitions.values())))
    return Project(
        id=fields.pop("id", "p1"),
        name=fields.pop("name", "Crossroads"),
        created=NOW,
        updated=NOW,
        stages={s.number: s for s in stages if isinstance(s, Stage)},
        ended={s.number: s for s in stages if isinstance(s, EndedStage)},
        **fields,
    )


def sealing(of: Stage, **fields: Any) -> Project:
    """The project just after this stage has ended."""
    outcome = Outcome(cause=Cause.EXIT, code=0, started=NOW, ended=NOW, cpu_seconds=1.5)
    attempts = tuple(a.but(state=AttemptState.ENDED, started=NOW, outcome=outcome, node="n1") for a in of.attempts)
    done = of.but(state=fields.pop("state", StageState.SUCCEEDED), attempts=attempts, started=NOW, ended=NOW)
    last = attempts[-1].number if attempts else 0
    summary = ended(of.number, of.definition.id, attempt=last, state=done.state, source=of.source, node="n1")
    others: dict[int, EndedStage] = fields.pop("others", {})
    made = project(done, **fields)
    return made.but(stages={}, sealing={of.number: done}, ended={**others, of.number: summary})


def sweep(number: int, stage_id: str = "detect", **fields: Any) -> Sweep:
    return Sweep(
        number=number, id=stage_id, grid={"X": ("1", "2")}, total=2, max_running=2, on_failure="stop", **fields
    )
