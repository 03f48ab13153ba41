"""Which queued stages of a project may start, and why the others wait. Stages line up in turns: what a
person adds starts when the turns before it have nothing left that could run."""

from __future__ import annotations

from datetime import datetime

from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Reason, Stage, StageState


def gated(project: Project) -> set[int]:
    return {g.stage for g in project.gates if g.stage}


def current_turn(project: Project) -> int | None:
    """The first turn with something that runs or could run."""
    waiting = gated(project)
    turns = [s.turn for s in project.stages.values() if s.number not in waiting and not s.held]
    turns += [s.turn for s in project.sweeps.values() if project.unfinished(s) and s.confirmed]
    return min(turns, default=None)


def startable(project: Project, now: datetime | None = None) -> list[Stage]:
    """Queued stages that admission may choose from, in their order. Without `now`, stages that wait for
    their retry are among them."""
    if project.trashed is not None or project.pause is not None:
        return []
    turn = current_turn(project)
    waiting = gated(project)
    found = [
        s
        for s in project.stages.values()
        if s.state is StageState.QUEUED
        and s.number not in waiting
        and s.turn == turn
        and (now is None or s.retry_at is None or s.retry_at <= now)
    ]
    return sorted(found, key=lambda s: (s.order, s.number))


def why(project: Project, stage: Stage, now: datetime) -> Reason | None:
    """Why an open stage waits, as far as the project itself knows. What the nodes say is kept in `reason`."""
    if stage.state is not StageState.QUEUED:
        return stage.reason
    for gate in project.gates:
        if gate.stage == stage.number:
            return Reason(kind="gate", text=f"waits for a person: {gate.question}")
    if project.pause is not None:
        return Reason(kind="paused", text=f"the project is paused: {project.pause.text}")
    if stage.retry_at is not None and stage.retry_at > now:
        told = stage.reason.text if stage.reason is not None and stage.reason.kind == "retry" else ""
        text = told or f"attempt {len(stage.attempts) + 1} follows after a delay"
        return Reason(kind="retry", text=text, until=stage.retry_at)
    turn = current_turn(project)
    if turn is not None and stage.turn > turn:
        ahead = [s for s in project.stages.values() if s.turn < stage.turn]
        names = ", ".join(sorted({s.definition.id for s in ahead})) or "a sweep"
        text = f"in line behind {names} of the same project"
        for other in sorted(ahead, key=lambda s: s.number):
            if other.reason is not None and other.reason.kind == "impossible":
                text += f"; {other.name} {other.reason.text}"
                break
        return Reason(kind="line", text=text, ahead=len(ahead))
    return stage.reason or Reason(kind="busy", text="waits for its turn among the stages of all projects")
