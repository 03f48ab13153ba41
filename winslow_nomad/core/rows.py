"""A project as it stands in lists: small, complete for its line on the screen, and computed with every commit at
a cost that does not grow with the number of stages that have ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from winslow_nomad.core import said
from winslow_nomad.core.model import Record
from winslow_nomad.core.pipeline import StageDefinition
from winslow_nomad.core.project import Failure, Gate, Member, Pause, Project
from winslow_nomad.core.stage import EndedStage, Stage, StageState

MOST = 5  # gates and failures of one row
LONGEST = 400  # characters of a sentence in a row
LATER = "later"  # no execution of this stage yet
WAITING = "waiting"  # a gate is open before it
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".svg")
S = StageState
FIRST = (S.RUNNING, S.SUBMITTED, S.PREPARING, S.QUEUED)  # which of several open executions a row shows


class Cell(Record):
    """One stage of the pipeline in the strip. state: of its newest execution, `waiting` or `later`; of a sweep
    `done` of `total` stages have succeeded (total 0: no sweep)."""

    id: str
    state: str = LATER
    done: int = 0
    total: int = 0


class Now(Record):
    """The execution that a row is about: what runs, or stands first in line. `since`: when it started, or was
    queued. `gpus` of `gpu_model` are what it asks for."""

    stage: int
    id: str
    title: str = ""
    state: str
    attempt: int = 0
    node: str = ""
    gpus: int = 0
    gpu_model: str = ""
    gpu_memory: int = 0
    since: datetime | None = None
    reason: str = ""


class Summary(Record):
    """A project in a list; made with every commit. `reason`: why it is in this state, in words.
    `active` stages are being prepared, submitted or running, `waiting` ones queued. `seconds`: that its ended
    stages ran altogether. `thumbnail`: a path below the project's stages."""

    id: str
    name: str
    state: str
    pipeline: str
    title: str = ""
    pipeline_version: int = 0
    pipeline_edited: bool = False
    tags: tuple[str, ...] = ()
    author: str = ""
    participants: tuple[Member, ...] = ()
    priority: int = 50
    created: datetime | None = None
    updated: datetime
    version: int = 0
    reason: str = ""
    strip: tuple[Cell, ...] = ()
    current: Now | None = None
    active: int = 0
    waiting: int = 0
    gates: tuple[Gate, ...] = ()
    failures: tuple[Failure, ...] = ()
    pause: Pause | None = None
    began: datetime | None = None
    seconds: float = 0.0
    trashed: bool = False
    thumbnail: str = ""


@dataclass(frozen=True, slots=True)
class Newest:
    """Of all ended executions of one stage definition."""

    number: int
    state: StageState


@dataclass(frozen=True, slots=True)
class Tally:
    """What a row needs to know of the stages that have ended; grows with them, never recounted."""

    newest: Mapping[str, Newest]
    seconds: float = 0.0  # that they ran altogether
    began: datetime | None = None
    counted: int = 0


NOTHING = Tally({})


def tally(project: Project, before: Project | None, known: Tally) -> Tally:
    """Of `project`, where `known` is that of `before`."""
    if before is not None and before.ended is project.ended:
        return known
    old: Mapping[int, EndedStage] = before.ended if before is not None else {}
    fresh = [stage for number, stage in project.ended.items() if number not in old]
    if before is None or known.counted + len(fresh) != len(project.ended):
        known, fresh = NOTHING, list(project.ended.values())
    return _added(known, fresh)


def _added(known: Tally, fresh: Iterable[EndedStage]) -> Tally:
    newest, seconds, began, counted = dict(known.newest), known.seconds, known.began, known.counted
    for stage in fresh:
        counted += 1
        there = newest.get(stage.id)
        if there is None or stage.number > there.number:
            newest[stage.id] = Newest(stage.number, stage.state)
        if stage.started is not None:
            began = stage.started if began is None else min(began, stage.started)
            if stage.ended is not None:
                seconds += max(0.0, (stage.ended - stage.started).total_seconds())
    return replace(known, newest=newest, seconds=seconds, began=began, counted=counted)


def summary(project: Project, known: Tally) -> Summary:
    """`known`: the tally of this project."""
    return Summary.model_validate(row(project, known))


def row(project: Project, known: Tally) -> dict[str, Any]:
    """A Summary as plain values, without most of those that are defaults: it is made with every commit."""
    state, current = project.state, _current(project)
    began = [s.started for s in project.stages.values() if s.started is not None]
    if known.began is not None:
        began.append(known.began)
    open_ones = project.stages.values()
    found: dict[str, Any] = {
        "id": project.id,
        "name": project.name,
        "state": state.value,
        "pipeline": project.pipeline.name,
        "author": project.author,
        "created": project.created,
        "updated": project.updated,
        "version": project.version,
        "priority": project.priority,
        "strip": [_cell(c) for c in cells(project, known)],
        "seconds": round(known.seconds, 1),
    }
    more: dict[str, Any] = {
        "title": project.pipeline.title,
        "pipeline_version": project.pipeline.version,
        "pipeline_edited": project.pipeline.edited,
        "tags": project.tags,
        "participants": [{"user": m.user, "role": m.role} for m in project.participants],
        "reason": said.of_project(project, state).detail[:LONGEST],
        "current": current,
        "active": sum(s.state in FIRST[:3] for s in open_ones),
        "waiting": sum(s.state is S.QUEUED for s in open_ones),
        "gates": [_short(g) for g in project.gates[:MOST]],
        "failures": [_told(f) for f in project.failures if not f.acknowledged][-MOST:],
        "pause": _cut(project.pause),
        "began": min(began, default=None),
        "trashed": project.trashed is not None,
        "thumbnail": thumbnail(project, known),
    }
    found.update((name, value) for name, value in more.items() if value)
    return found


def asked_since(project: Project) -> datetime | None:
    """Since when the newest thing of this project waits for a person; None: nothing does."""
    if project.trashed is not None:
        return None
    times = [g.since for g in project.gates]
    if project.pause is not None and project.pause.kind in ("failure", "impossible"):
        times.append(project.pause.since)
    return max(times, default=None)


def strip(project: Project, known: Tally) -> tuple[Cell, ...]:
    """One cell for each stage of the pipeline, in its order."""
    return tuple(Cell(id=i, state=s, done=d, total=t) for i, s, d, t in cells(project, known))


def _cell(cell: tuple[str, str, int, int]) -> dict[str, Any]:
    name, state, done, total = cell
    found: dict[str, Any] = {"id": name} if state == LATER else {"id": name, "state": state}
    return {**found, "done": done, "total": total} if total else found


def cells(project: Project, known: Tally) -> list[tuple[str, str, int, int]]:
    """Fields of a Cell for each stage of the pipeline."""
    asked = {g.stage for g in project.gates}
    choosing = {project.sweeps[g.sweep].id for g in project.gates if g.sweep in project.sweeps}
    open_ones: dict[str, Stage] = {}
    for stage in project.stages.values():
        there = open_ones.get(stage.definition.id)
        if there is None or _rank(stage) < _rank(there):
            open_ones[stage.definition.id] = stage
    newest_sweep = {s.id: s for s in sorted(project.sweeps.values(), key=lambda s: s.number)}
    found = []
    for definition in project.pipeline.stages:
        name = definition.id
        running, ended, sweep = open_ones.get(name), known.newest.get(name), newest_sweep.get(name)
        state = LATER
        if running is not None:
            state = WAITING if running.number in asked else running.state.value
        elif name in choosing:
            state = WAITING
        elif ended is not None:
            state = ended.state.value
        about = sweep if sweep is not None and (not sweep.closed or name in choosing) else None
        found.append((name, state, about.succeeded if about else 0, about.total if about else 0))
    return found


def _rank(stage: Stage) -> tuple[int, int]:
    return FIRST.index(stage.state), stage.number


def _current(project: Project) -> dict[str, Any] | None:
    """Fields of a Now."""
    candidates = list(project.stages.values())
    if not candidates:
        return None
    asked = {g.stage for g in project.gates if g.stage}
    if asked and not any(s.state in FIRST[:3] for s in candidates):
        candidates = [s for s in candidates if s.number in asked] or candidates
    stage = min(candidates, key=_rank)
    told = said.of_stage(project, stage, project.updated)
    gpu = (stage.overrides.resources or stage.definition.resources).gpu
    last = stage.attempt
    found: dict[str, Any] = {
        "stage": stage.number,
        "id": stage.definition.id,
        "state": WAITING if stage.number in asked else stage.state.value,
        "since": stage.started or stage.queued,
    }
    more: dict[str, Any] = {
        "title": stage.definition.title,
        "attempt": last.number if last is not None else 0,
        "node": last.node if last is not None else "",
        "gpus": gpu.count if gpu is not None else 0,
        "gpu_model": gpu.model if gpu is not None else "",
        "gpu_memory": gpu.memory if gpu is not None else 0,
        "reason": (told.detail if told.word == stage.state.value else told.sentence)[:LONGEST],
    }
    found.update((name, value) for name, value in more.items() if value)
    return found


def _short(gate: Gate) -> Gate:
    return gate.but(question=gate.question[:LONGEST], show=gate.show[:12])


def _told(failure: Failure) -> Failure:
    return failure.but(message=failure.message[:LONGEST])


def _cut(pause: Pause | None) -> Pause | None:
    return pause.but(text=pause.text[:LONGEST]) if pause is not None else None


def thumbnail(project: Project, known: Tally) -> str:
    """`0001-detect/output/preview.jpg`, relative to the project's stages: the first picture that the pipeline shows
    of the newest success, whether it is really there or not. Empty: it shows none."""
    best, found = 0, ""
    for definition in project.pipeline.stages:
        for path, of in _pictures(definition):
            ended = known.newest.get(of)
            if ended is not None and ended.state is S.SUCCEEDED and ended.number > best:
                best, found = ended.number, f"{ended.number:04d}-{of}/output/{path}"
    return found


def _pictures(definition: StageDefinition) -> list[tuple[str, str]]:
    parts = [entry.partition("/") for entry in definition.confirm.show]
    return [(path, of) for of, _, path in parts if path.lower().endswith(PICTURES)]
