"""The whole of a project for programs: the record that the core keeps, with everything secret masked."""

from __future__ import annotations

from collections.abc import Collection

from winslow_nomad.api.views.hidden import MASK, masked, masked_overrides
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, Stage


def without_secrets(project: Project) -> Project:
    """`secrets` keeps the names of those that have a value."""
    names = project.pipeline.secrets.keys()
    hidden = (MASK,)
    return project.but(
        pipeline=project.pipeline.but(environment=masked(project.pipeline.environment, names)),
        values=masked(project.values, names),
        secrets=dict.fromkeys(project.secrets, MASK),
        planned_sweeps={
            stage: {n: v if n not in names else hidden for n, v in grid.items()}
            for stage, grid in project.planned_sweeps.items()
        },
        sweeps={
            n: s.but(
                overrides=masked_overrides(s.overrides, names),
                grid={k: v if k not in names else hidden for k, v in s.grid.items()},
            )
            for n, s in project.sweeps.items()
        },
        stages={n: _open(s, names) for n, s in project.stages.items()},
        sealing={n: _open(s, names) for n, s in project.sealing.items()},
        ended={n: _ended(s, names) for n, s in project.ended.items()},
    )


def _open(stage: Stage, names: Collection[str]) -> Stage:
    fixed = stage.environment
    if fixed is not None:
        fixed = tuple(v.but(value=MASK) if v.secret or v.name in names else v for v in fixed)
    return stage.but(
        environment=fixed, overrides=masked_overrides(stage.overrides, names), point=masked(stage.point, names)
    )


def _ended(stage: EndedStage, names: Collection[str]) -> EndedStage:
    if not names:
        return stage
    return stage.but(overrides=masked_overrides(stage.overrides, names), point=masked(stage.point, names))
