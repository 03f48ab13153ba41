"""When a project is likely to be further: by what a stage says of its progress, else by how long it usually takes.
Pure; a guess is left out rather than made up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from winslow_nomad.core.lineage import counting
from winslow_nomad.core.pipeline import StageDefinition
from winslow_nomad.core.project import Project, ProjectState
from winslow_nomad.core.stage import Stage, StageState

LEAST = 2.0  # percent of progress from which on it is taken as a measure


@dataclass(frozen=True, slots=True)
class Forecast:
    """ends: of open stages by number; steps: start and end of stages that are still to be made, by id."""

    ends: Mapping[int, datetime] = field(default_factory=dict)
    steps: Mapping[str, tuple[datetime, datetime]] = field(default_factory=dict)


def end_of(started: datetime, now: datetime, percent: float | None, usual: float | None) -> datetime | None:
    """Of something that runs. None: nobody can tell."""
    ran = max(0.0, (now - started).total_seconds())
    if percent is not None and percent >= LEAST:
        return now + timedelta(seconds=ran * (100.0 - min(percent, 100.0)) / percent)
    if usual is None:
        return None
    return max(started + timedelta(seconds=usual), now)


def forecast(
    project: Project, now: datetime, percent: Mapping[int, float | None], usual: Mapping[str, float]
) -> Forecast:
    """`percent` by stage number, `usual` seconds by stage id. What follows a gate, a pause or a stage of unknown
    length has no time."""
    ends: dict[int, datetime] = {}
    for stage in project.stages.values():
        end = _end(stage, now, percent.get(stage.number), usual)
        if end is not None:
            ends[stage.number] = end
    if project.gates or project.pause is not None or project.state is not ProjectState.RUNNING:
        return Forecast(ends)
    return Forecast(ends, _Steps(project, now, ends, usual).all())


def _end(stage: Stage, now: datetime, percent: float | None, usual: Mapping[str, float]) -> datetime | None:
    if stage.state is not StageState.RUNNING or stage.started is None or stage.stop:
        return None
    begun = stage.attempts[-1].started if stage.attempts else None
    return end_of(begun or stage.started, now, percent, usual.get(stage.definition.id))


class _Steps:
    """Along the graph: a step begins when what it needs has ended."""

    def __init__(
        self, project: Project, now: datetime, ends: Mapping[int, datetime], usual: Mapping[str, float]
    ) -> None:
        self._project, self._now, self._ends, self._usual = project, now, ends, usual
        self._done = {s.id for s in counting(project)}
        self._open: dict[str, list[Stage]] = {}
        for stage in project.stages.values():
            self._open.setdefault(stage.definition.id, []).append(stage)
        self._ready: dict[str, datetime | None] = {}
        self._found: dict[str, tuple[datetime, datetime]] = {}

    def all(self) -> dict[str, tuple[datetime, datetime]]:
        for definition in self._project.pipeline.stages:
            self._when(definition)
        return self._found

    def _when(self, definition: StageDefinition) -> datetime | None:
        """From when on what needs this step could go on. None: nobody can tell."""
        name = definition.id
        if name not in self._ready:
            self._ready[name] = self._computed(definition)
        return self._ready[name]

    def _computed(self, definition: StageDefinition) -> datetime | None:
        name = definition.id
        if name in self._open:
            times = [self._ends.get(s.number) for s in self._open[name]]
            return None if None in times else max(t for t in times if t is not None)
        before = [self._when(self._project.pipeline.by_id[n]) for n in definition.needs]
        if name in self._done and all(t is not None and t <= self._now for t in before):
            return self._now
        seconds = self._usual.get(name)
        if seconds is None or None in before or not before or definition.confirm.ask == "always":
            return None
        start = max(t for t in before if t is not None)
        self._found[name] = (start, start + timedelta(seconds=seconds))
        return self._found[name][1]
