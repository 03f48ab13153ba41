"""What the store keeps of a project beside it: core.ledger's extracts, computed so that a
commit costs what it changes, not what the project holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from winslow_nomad.core import ledger
from winslow_nomad.core.admit import Waiting
from winslow_nomad.core.effects import Effect, Notify, WakeAt
from winslow_nomad.core.line import startable
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import StageState

AtDriver = tuple[Waiting, bool]


def waiting(project: Project, before: Project | None, rows: Mapping[int, Waiting]) -> dict[int, Waiting]:
    """core.ledger.waiting by stage number. `rows` are those of `before`: what did not change is taken over."""
    known = _unchanged(project, before)
    return {
        s.number: rows[s.number] if s.number in rows and known.get(s.number) is s else ledger.as_waiting(project, s)
        for s in startable(project)
        if s.retry_at is None
    }


def at_driver(project: Project, before: Project | None, rows: Mapping[int, AtDriver]) -> dict[int, AtDriver]:
    """core.ledger.at_driver by stage number."""
    known = _unchanged(project, before)
    return {
        s.number: rows[s.number]
        if s.number in rows and known.get(s.number) is s
        else (ledger.as_waiting(project, s), s.state is not StageState.RUNNING)
        for s in project.stages.values()
        if s.state is not StageState.QUEUED
    }


def needs_work(effects: Iterable[Effect]) -> bool:
    """Whether somebody has to carry something out: time passes by itself, and telling people is never waited for."""
    return any(not isinstance(e, WakeAt | Notify) for e in effects)


def due(effects: Iterable[Effect]) -> datetime | None:
    return min((e.at for e in effects if isinstance(e, WakeAt)), default=None)


def milliseconds(at: datetime) -> int:
    """The place in a list by time."""
    return round(at.timestamp() * 1000)


def _unchanged(project: Project, before: Project | None) -> Mapping[int, object]:
    """Stages whose extracts still hold when the stage itself is the same."""

    def shared(of: Project) -> tuple[object, ...]:
        return of.priority, of.author, of.limit

    return before.stages if before is not None and shared(project) == shared(before) else {}
