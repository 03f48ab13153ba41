"""What always holds of a project, whatever messages came in whatever order. Each check says its rule."""

from __future__ import annotations

from datetime import datetime

from winslow_nomad.core.ledger import waiting
from winslow_nomad.core.line import gated, startable, why
from winslow_nomad.core.outstanding import outstanding
from winslow_nomad.core.project import Project, ProjectState
from winslow_nomad.core.stage import ENDED, AttemptState, StageState


def check(project: Project, now: datetime) -> None:
    numbers(project)
    attempts(project)
    gates(project)
    sweeps(project)
    lineage(project)
    no_twins(project)
    reasons(project, now)
    effects(project)
    pauses(project)
    survives_json(project)


def numbers(project: Project) -> None:
    assert not set(project.stages) & set(project.ended), "a stage is open or ended, never both"
    assert set(project.sealing) <= set(project.ended), "only ended stages are sealed"
    assert all(n < project.next_number for n in (*project.stages, *project.ended)), "numbers are given once"
    assert all(s.state not in ENDED for s in project.stages.values()), "open stages have not ended"
    assert all(s.state in ENDED for s in project.sealing.values())
    assert all(n == s.number for n, s in project.stages.items())


def attempts(project: Project) -> None:
    for stage in (*project.stages.values(), *project.sealing.values()):
        assert [a.number for a in stage.attempts] == list(range(1, len(stage.attempts) + 1)), "attempts are counted"
        assert all(a.state is AttemptState.ENDED for a in stage.attempts[:-1]), "one attempt at a time"
        last = stage.attempt.state if stage.attempt else None
        if stage.state in ENDED or stage.state is StageState.QUEUED:
            assert last in (None, AttemptState.ENDED), "what is queued or ended has no attempt under way"
        elif stage.state is StageState.PREPARING:
            assert last in (AttemptState.PREPARING, AttemptState.INTENDED)
        elif stage.state is StageState.SUBMITTED:
            assert last is AttemptState.SUBMITTED
        elif stage.state is StageState.RUNNING:
            assert last is AttemptState.RUNNING
        if stage.state is StageState.SUCCEEDED:
            assert stage.attempts[-1].outcome is not None, "success comes from an end record only"
            assert stage.attempts[-1].outcome.succeeded


def gates(project: Project) -> None:
    asked = [g.stage for g in project.gates if g.stage]
    assert len(asked) == len(set(asked)), "a stage asks one question at a time"
    for gate in project.gates:
        if gate.stage:
            assert project.stages[gate.stage].state is StageState.QUEUED, "questions are about queued stages"
        else:
            assert gate.sweep in project.sweeps
    assert len({g.id for g in project.gates}) == len(project.gates)
    assert not gated(project) & {s.number for s in startable(project)}, "what waits for a person does not start"


def sweeps(project: Project) -> None:
    for sweep in project.sweeps.values():
        members = [s for s in project.stages.values() if s.sweep == sweep.number]
        assert sweep.open == len(members), "a sweep knows how many of its stages are open"
        assert sweep.open <= sweep.max_running, "a sweep keeps its limit"
        assert sweep.next <= sweep.total
        assert sweep.open + sweep.succeeded + sweep.failed + sweep.stopped == sweep.next, "no stage of a sweep is lost"


def lineage(project: Project) -> None:
    for stage in project.stages.values():
        for stage_id, number in stage.inputs.items():
            assert project.ended[number].id == stage_id, "inputs are ended stages of that name"


def no_twins(project: Project) -> None:
    """The graph makes one stage for one lineage."""
    seen: set[object] = set()
    for stage in project.stages.values():
        if stage.automatic and stage.sweep is None:
            key = (stage.definition.id, tuple(sorted(stage.inputs.items())), tuple(sorted(stage.gathered.items())))
            assert key not in seen, f"made twice: {key}"
            seen.add(key)


def reasons(project: Project, now: datetime) -> None:
    """Whatever waits says why, or may start at once."""
    may = {s.number for s in startable(project, now)}
    for stage in project.stages.values():
        if stage.state is StageState.QUEUED and stage.number not in may and project.trashed is None:
            reason = why(project, stage, now)
            assert reason is not None and reason.kind != "busy", f"{stage.name} does not say why it waits"


def effects(project: Project) -> None:
    """What is under way is being prepared, asked for, with the driver, or stopped: nothing is forgotten."""
    named = {getattr(e, "stage", 0) for e in outstanding(project)}
    for stage in project.stages.values():
        attempt = stage.attempt
        if stage.state is StageState.PREPARING and not stage.held and stage.operation is None:
            assert stage.number in named
        if attempt is not None and attempt.state is not AttemptState.ENDED and stage.stop:
            assert stage.number in named or attempt.stop_sent
    assert set(project.sealing) <= named


def pauses(project: Project) -> None:
    if project.pause is not None:
        assert not waiting(project), "nothing new starts in a pause"
        assert project.state in (ProjectState.PAUSED, ProjectState.WAITING, ProjectState.RUNNING)


def survives_json(project: Project) -> None:
    assert Project.model_validate_json(project.model_dump_json()) == project
