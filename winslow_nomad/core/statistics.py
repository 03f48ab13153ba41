"""Counting for the statistics page: what a commit adds to the counters of each quarter of an hour.

Computed from a project before and after a commit, so that a repeated or late report counts nothing, and
written in that same commit, so that nothing is counted twice. Never read by any decision."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import NamedTuple

from winslow_nomad.core.durations import step
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Stage, StageState

QUARTER = 900  # seconds
LONGEST = 31 * 24 * 3600  # seconds of one span that are spread over quarters; older ones are left out


class Cell(NamedTuple):
    """`quarter`: seconds since 1970 at its start (UTC). `what`: started (by itself), started_by_hand, ended_<state>,
    active (seconds that a process ran), active_by_hand (the part of them that `by_hand` names), gpu_active (seconds
    that a process ran times the GPUs it had), idle (seconds that a stage waited
    between queued and started), asked (seconds that a person was waited for), cause_<cause> (attempts that did not
    succeed), t<n>, w<n>, a<n> (how many ran, waited for a machine, waited for a person so long: core.durations).

    Of nodes, with the node's name as `stage` and no pipeline: gpu_idle_<reason> and gpu_total (seconds times GPUs),
    node_idle and node_total (seconds)."""

    quarter: int
    what: str
    stage: str
    pipeline: str


def by_hand(stage: Stage) -> bool:
    """A person or a program of theirs asked for this very stage: enqueued or redone, or among the first of a project
    that was started. All others followed by themselves, those that a gate held up as well."""
    return not stage.automatic or not stage.inputs


def counted(before: Project | None, after: Project) -> Counter[Cell]:
    """What the step from `before` to `after` adds. Values are counts and whole seconds."""
    cells: Counter[Cell] = Counter()
    pipeline = after.pipeline.name
    old_open = before.stages if before is not None else {}
    old_sealing = before.sealing if before is not None else {}
    old_ended = before.ended if before is not None else {}
    for number, stage in after.stages.items():
        old = old_open.get(number)
        if old is not stage:
            _count_start(cells, pipeline, old, stage)
            _count_causes(cells, after, old, stage)
    for number, stage in after.sealing.items():
        if number in old_sealing or number in old_ended:
            continue
        _count_start(cells, pipeline, old_open.get(number), stage)
        _count_causes(cells, after, old_open.get(number), stage)
        _count_end(cells, pipeline, stage)
    if before is not None and before.gates is not after.gates:
        _count_answers(cells, before, after)
    return cells


def _count_answers(cells: Counter[Cell], before: Project, after: Project) -> None:
    """Gates that were open and are no longer, whoever closed them."""
    still = {g.id for g in after.gates}
    for gate in before.gates:
        if gate.id in still:
            continue
        about = before.stages.get(gate.stage)
        sweep = before.sweeps.get(gate.sweep)
        name = about.definition.id if about is not None else sweep.id if sweep is not None else ""
        _spread(cells, "asked", name, after.pipeline.name, gate.since, after.updated)
        seconds = (after.updated - gate.since).total_seconds()
        cells[Cell(_quarter(after.updated), f"a{step(seconds)}", name, after.pipeline.name)] += 1


def _count_causes(cells: Counter[Cell], after: Project, before: Stage | None, stage: Stage) -> None:
    known = {a.number for a in before.attempts if a.outcome is not None} if before is not None else set()
    for attempt in stage.attempts:
        outcome = attempt.outcome
        if outcome is not None and attempt.number not in known and not outcome.succeeded:
            quarter = _quarter(outcome.ended or after.updated)
            cells[Cell(quarter, f"cause_{outcome.cause}", stage.definition.id, after.pipeline.name)] += 1


def durations(before: Project | None, after: Project) -> Counter[tuple[str, str]]:
    """How the stages that the step ends ended, and how long they ran and waited: (stage id, core.durations)."""
    found: Counter[tuple[str, str]] = Counter()
    old_sealing = before.sealing if before is not None else {}
    old_ended = before.ended if before is not None else {}
    if after.sealing is old_sealing:
        return found
    for number, stage in after.sealing.items():
        if number in old_sealing or number in old_ended:
            continue
        name = stage.definition.id
        found[name, stage.state.value] += 1
        if stage.started is not None:
            found[name, f"w{step((stage.started - stage.queued).total_seconds())}"] += 1
        if stage.started is not None and stage.ended is not None and stage.state is StageState.SUCCEEDED:
            found[name, f"t{step((stage.ended - stage.started).total_seconds())}"] += 1
    return found


def _count_start(cells: Counter[Cell], pipeline: str, before: Stage | None, stage: Stage) -> None:
    if stage.started is None or (before is not None and before.started is not None):
        return
    what = "started_by_hand" if by_hand(stage) else "started"
    waited = (stage.started - stage.queued).total_seconds()
    cells[Cell(_quarter(stage.started), what, stage.definition.id, pipeline)] += 1
    cells[Cell(_quarter(stage.started), f"w{step(waited)}", stage.definition.id, pipeline)] += 1
    _spread(cells, "idle", stage.definition.id, pipeline, stage.queued, stage.started)


def _count_end(cells: Counter[Cell], pipeline: str, stage: Stage) -> None:
    if stage.ended is None:
        return
    cells[Cell(_quarter(stage.ended), f"ended_{stage.state}", stage.definition.id, pipeline)] += 1
    if stage.started is None:
        return
    _spread(cells, "active", stage.definition.id, pipeline, stage.started, stage.ended)
    if by_hand(stage):
        _spread(cells, "active_by_hand", stage.definition.id, pipeline, stage.started, stage.ended)
    gpu = (stage.overrides.resources or stage.definition.resources).gpu
    if gpu is not None:
        _spread(cells, "gpu_active", stage.definition.id, pipeline, stage.started, stage.ended, times=gpu.count)
    if stage.state is StageState.SUCCEEDED:
        ran = (stage.ended - stage.started).total_seconds()
        cells[Cell(_quarter(stage.ended), f"t{step(ran)}", stage.definition.id, pipeline)] += 1


def _spread(
    cells: Counter[Cell], what: str, stage: str, pipeline: str, start: datetime, end: datetime, *, times: int = 1
) -> None:
    """Distribute the seconds from `start` to `end` over the quarters they fall in. A clock that was set
    back makes an empty span."""
    finish = int(end.timestamp())
    at = max(int(start.timestamp()), finish - LONGEST)
    while at < finish:
        quarter = at - at % QUARTER
        until = min(quarter + QUARTER, finish)
        cells[Cell(quarter, what, stage, pipeline)] += (until - at) * times
        at = until


def _quarter(at: datetime) -> int:
    seconds = int(at.astimezone(UTC).timestamp())
    return seconds - seconds % QUARTER
