"""Gathers what a project is shown with: progress, likely starts and ends, copies under way. Asks the store alone, which
answers at once; the share may hang."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from winslow_nomad.api.services import Services
from winslow_nomad.api.views.projects import ROLE_OF, ProjectView, completed, project_view
from winslow_nomad.api.views.stages import Beside, Percent
from winslow_nomad.core.access import Action, Principal, allowed, rank_among
from winslow_nomad.core.forecast import end_of, forecast
from winslow_nomad.core.project import Project
from winslow_nomad.core.rows import Summary
from winslow_nomad.core.stage import StageState

Steps = Mapping[str, tuple[datetime, datetime]]


def show(given: Services, who: Principal, project: Project) -> ProjectView:
    usual = usually(given, project.pipeline.name)
    beside, steps = _beside(given, project, usual)
    return project_view(project, who, beside, usual, steps)


def beside_of(given: Services, project: Project) -> Beside:
    return _beside(given, project, usually(given, project.pipeline.name))[0]


def usually(given: Services, pipeline: str) -> dict[str, float]:
    """Seconds that each stage takes in half of all cases."""
    found = given.durations.typical(pipeline)
    return {stage: t.median for stage, t in found.items() if t.median is not None}


def _beside(given: Services, project: Project, usual: Mapping[str, float]) -> tuple[Beside, Steps]:
    now = given.clock.now()
    running = [n for n, s in project.stages.items() if s.state is StageState.RUNNING]
    told = given.progress.read((project.id, n) for n in running)
    progress = {
        n: Percent.model_validate(t.model_dump(exclude={"attempt"}))
        for (_, n), t in told.items()
        if t.attempt == len(project.stages[n].attempts)
    }
    expected = forecast(project, now, {n: p.percent for n, p in progress.items()}, usual)
    wanted = {s.operation for s in project.stages.values() if s.operation is not None}
    operations = {o: found for o in wanted if (found := given.operations.get(o)) is not None}
    return Beside(now, progress, expected.ends, operations, given.begins.of(project)), expected.steps


def may_answer(who: Principal, summary: Summary) -> bool:
    """Whether what this project waits for waits for `who`."""
    return allowed(
        who, Action.RUN_PROJECT, author=summary.author, participants=summary.participants, project=summary.id
    )


def rows(given: Services, who: Principal, stored: bytes) -> list[dict[str, Any]]:
    """Rows of a list: stored summaries with what the caller is in each project, progress and likely end. Plain values,
    since there may be hundreds at each look."""
    found = [completed(row) for row in from_json(stored)]
    names = who.names
    for row in found:
        rank = rank_among(who, names, row["author"], ((m["user"], m["role"]) for m in row["participants"]))
        row["role"] = ROLE_OF[rank]
    _add_progress(given, [r for r in found if r["current"] is not None and r["current"]["state"] == "running"])
    return found


def _add_progress(given: Services, running: Sequence[dict[str, Any]]) -> None:
    if not running:
        return
    now = given.clock.now()
    told = given.progress.read((row["id"], row["current"]["stage"]) for row in running)
    usual = {name: usually(given, name) for name in {row["pipeline"] for row in running}}
    for row in running:
        current = row["current"]
        newest = told.get((row["id"], current["stage"]))
        percent = newest.percent if newest is not None and newest.attempt == current["attempt"] else None
        since = datetime.fromisoformat(current["since"])
        row["percent"] = percent
        row["expected"] = end_of(since, now, percent, usual[row["pipeline"]].get(current["id"]))
