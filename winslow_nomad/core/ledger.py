"""What admission needs to know across projects: pure extracts of one project, indexed by the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from winslow_nomad.core.admit import Waiting
from winslow_nomad.core.line import startable
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Stage, StageState


class Ledger(Protocol):
    """The store's index of these extracts, per driver."""

    def waiting(self, driver: str) -> Sequence[Waiting]:
        """Stages of all projects that may start now."""
        ...

    def at_driver(self, driver: str) -> Sequence[tuple[Waiting, bool]]:
        """Attempts on their way to the driver or with it; True: it does not run yet."""
        ...

    def open_projects(self) -> Sequence[str]:
        """Projects with stages that have not ended, are not sealed, or wait for a node that could hold them."""
        ...


def waiting(project: Project) -> list[Waiting]:
    """Stages admission may choose from. One whose retry is still to come has no place yet: a timer asks again."""
    return [as_waiting(project, s) for s in startable(project) if s.retry_at is None]


def at_driver(project: Project) -> list[tuple[Waiting, bool]]:
    active = (s for s in project.stages.values() if s.state is not StageState.QUEUED)
    return [(as_waiting(project, s), s.state is not StageState.RUNNING) for s in active]


def is_open(project: Project) -> bool:
    impossible = project.pause is not None and project.pause.kind == "impossible"
    unsealed = bool(project.sealing)
    return unsealed or impossible or any(s.state is not StageState.QUEUED for s in project.stages.values())


def as_waiting(project: Project, stage: Stage) -> Waiting:
    return Waiting(
        project=project.id,
        stage=stage.number,
        priority=project.priority,
        actor=stage.actor or project.author,
        queued=stage.queued,
        resources=stage.overrides.resources or stage.definition.resources,
        placement=stage.definition.placement,
        turn=stage.turn,
        order=stage.order,
        limit=project.limit,
    )
