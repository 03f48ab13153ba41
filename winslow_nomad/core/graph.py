"""How stages follow each other: making stages, gates before them, sweeps, and what comes after an end.
Everything here is idempotent: asked twice it makes nothing twice, because what was made is looked up by
its lineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from winslow_nomad.core import expand, expression
from winslow_nomad.core.draft import Draft
from winslow_nomad.core.lineage import (
    COUNTS,
    agree,
    counting,
    executions,
    lineage,
    logical_source,
    merged,
)
from winslow_nomad.core.pipeline import StageDefinition, SweepPolicy
from winslow_nomad.core.project import Gate, Project, Sweep
from winslow_nomad.core.stage import EndedStage, Overrides, Result, Stage, StageState

Grid = Mapping[str, tuple[str, ...]]
COMMENT = 200  # characters of a comment that stay beside an ended stage; its record has all


def make_stage(
    draft: Draft,
    definition: StageDefinition,
    inputs: dict[str, int],
    turn: int,
    **fields: Any,
) -> Stage:
    """A new queued stage, with the gate it needs."""
    number = draft.project.next_number
    asked = definition.id in draft.project.pause_after
    pause_after = bool(fields.pop("pause_after", False)) or definition.pause_after or asked
    if asked:
        draft.set(pause_after=tuple(i for i in draft.project.pause_after if i != definition.id))
    stage = Stage(
        number=number,
        definition=definition,
        inputs=inputs,
        turn=turn,
        pause_after=pause_after,
        made=draft.now,
        queued=draft.now,
        actor=draft.actor,
        **fields,
    )
    draft.set(next_number=number + 1)
    draft.put(stage)
    draft.note("stage_queued", stage, automatic=stage.automatic)
    return stage


def make_automatic(
    draft: Draft, definition: StageDefinition, inputs: dict[str, int], gathered: dict[str, int], turn: int
) -> None:
    """The graph's next step: a stage, or the sweep that was planned for it."""
    grid = draft.project.planned_sweeps.get(definition.id)
    if grid:
        planned = {k: v for k, v in draft.project.planned_sweeps.items() if k != definition.id}
        draft.set(planned_sweeps=planned)
        make_sweep(draft, definition, grid, inputs, gathered, turn, automatic=True)
        return
    stage = make_stage(draft, definition, inputs, turn, gathered=gathered)
    open_needed_gate(draft, stage)


def open_needed_gate(draft: Draft, stage: Stage) -> None:
    """Open the next gate that this queued stage needs, or skip it when its condition is false."""
    project = draft.project
    if any(g.stage == stage.number for g in project.gates):
        return
    if stage.definition.when is not None and stage.automatic and stage.decided is None and stage.sweep is None:
        answer = condition(project, stage.definition.when, stage.inputs)
        if answer is False:
            skip(draft, stage, f"its condition is false: {stage.definition.when}")
            return
        if answer is not True:
            question = f"Should {stage.definition.id} run? Its condition cannot be computed: {answer}"
            draft.open_gate(gate(draft, "condition", question, stage), stage)
            return
    absent = missing_values(project, stage)
    if absent:
        question = f"{stage.definition.id} needs a value for {', '.join(absent)}"
        draft.open_gate(gate(draft, "values", question, stage, missing=absent), stage)
        return
    if stage.automatic and stage.sweep is None and not stage.confirmed and asks(project, stage):
        question = f"Start {called(stage.definition)}?"
        draft.open_gate(
            gate(draft, "confirm", question, stage, show=shown(project, stage.definition, stage.inputs)),
            stage,
        )


def called(definition: StageDefinition) -> str:
    return f'"{definition.title}"' if definition.title else definition.id


def gate(draft: Draft, kind: Any, question: str, stage: Stage | None, **fields: Any) -> Gate:
    return Gate(
        id=f"g{draft.project.next_gate}",
        kind=kind,
        stage=stage.number if stage else 0,
        question=question,
        since=draft.now,
        **fields,
    )


def condition(project: Project, when: str, inputs: Mapping[str, int]) -> bool | str:
    """True, False, or why it cannot be told."""
    results: dict[str, dict[str, Result] | None] = {}
    for name in expression.names(when):
        ended = project.ended.get(inputs.get(name, 0))
        results[name] = ended.results if ended is not None and ended.state is StageState.SUCCEEDED else None
    defaults = {name: p.default for name, p in project.pipeline.parameters.items() if p.default is not None}
    answer = expression.evaluate(when, results, {**defaults, **project.values})
    return answer if isinstance(answer, bool) else answer.reason


def missing_values(project: Project, stage: Stage) -> tuple[str, ...]:
    """Parameters and required variables that no layer gives."""
    given = {**project.pipeline.environment, **project.values, **stage.definition.environment}
    given |= {**stage.point, **stage.overrides.values, **stage.overrides.environment}
    wanted = [n for n, p in project.pipeline.parameters.items() if p.default is None]
    wanted += [n for n in stage.definition.required if n not in project.pipeline.parameters]
    absent = [n for n in wanted if n not in given]
    for name in stage.definition.secrets:
        secret = project.pipeline.secrets.get(name)
        if name not in project.secrets and secret is not None and secret.required:
            absent.append(name)
    return tuple(absent)


def asks(project: Project, stage: Stage) -> bool:
    ask = stage.definition.confirm.ask
    if ask == "once":
        return not any(s.number != stage.number for s in executions(project, stage.definition.id))
    return ask == "always"


def shown(project: Project, definition: StageDefinition, inputs: Mapping[str, int]) -> tuple[str, ...]:
    """`detect/preview.jpg` of the pipeline as `0001-detect/output/preview.jpg` of this lineage."""
    found = []
    for entry in definition.confirm.show:
        name, _, path = entry.partition("/")
        ended = project.ended.get(inputs.get(name, 0))
        if ended is not None:
            found.append(f"{ended.name}/output/{path}")
    return tuple(found)


def make_sweep(
    draft: Draft,
    definition: StageDefinition,
    grid: Grid,
    inputs: dict[str, int],
    gathered: dict[str, int],
    turn: int,
    **fields: Any,
) -> Sweep:
    policy = definition.sweep or SweepPolicy()
    project = draft.project
    automatic = bool(fields.get("automatic", False))
    sweep = Sweep(
        number=project.next_sweep,
        id=definition.id,
        grid={k: tuple(v) for k, v in grid.items()},
        total=expand.grid_size(grid),
        max_running=fields.pop("max_running", None) or policy.max_running,
        workspace=fields.pop("workspace", "") or policy.workspace,
        on_failure=policy.on_failure,
        inputs=inputs,
        gathered=gathered,
        turn=turn,
        actor=draft.actor,
        confirmed=True,
        **fields,
    )
    draft.set(next_sweep=sweep.number + 1)
    if automatic and definition.confirm.ask == "always":
        sweep = sweep.but(confirmed=False)
        question = f"Start {sweep.total} stages of {called(definition)}?"
        show = shown(project, definition, inputs)
        draft.open_gate(gate(draft, "confirm", question, None, sweep=sweep.number, show=show), None)
    draft.put_sweep(sweep)
    draft.note("sweep_made", None, f"{sweep.total} stages of {definition.id}", sweep=sweep.number, total=sweep.total)
    make_members(draft, sweep)
    return sweep


def make_members(draft: Draft, sweep: Sweep) -> None:
    """As many stages as may be open at once."""
    definition = draft.project.pipeline.by_id.get(sweep.id)
    while (
        definition
        and sweep.confirmed
        and not sweep.halted
        and sweep.next < sweep.total
        and sweep.open < sweep.max_running
    ):
        point = expand.point(sweep.grid, sweep.next)
        stage = make_stage(
            draft,
            definition,
            sweep.inputs,
            sweep.turn,
            gathered=sweep.gathered,
            sweep=sweep.number,
            point=point,
            overrides=sweep.overrides,
            automatic=sweep.automatic,
            comment=sweep.comment,
            redo_of=sweep.redo_of,
            order=float(sweep.next),
        )
        sweep = draft.put_sweep(sweep.but(next=sweep.next + 1, open=sweep.open + 1))
        open_needed_gate(draft, stage)


def skip(draft: Draft, stage: Stage, message: str, *, passed: bool = False) -> None:
    """`passed`: a person wants to go on without it, so that what follows runs. Else what only follows skipped
    stages is skipped with them."""
    end_stage(draft, stage, StageState.SKIPPED, message, passed=passed)


def end_stage(
    draft: Draft, stage: Stage, state: StageState, message: str, ended_at: datetime | None = None, **fields: Any
) -> None:
    """The stage's last change, and everything that follows from it. `ended_at`: when its process ended, where that
    is known; nobody may have been there to see it. Else now."""
    at = ended_at or draft.now
    ran = stage.attempt is not None and stage.attempt.started is not None
    if not ran or stage.source is None:
        # What never ran passes on where it would have begun, never a dead attempt of its own.
        stage = draft.put(stage.but(source=logical_source(draft.project, stage)))
    stage = draft.move(stage, state, ended=at, message=message, reason=None, retry_at=None, **fields)
    draft.drop(stage)
    ended = summary(stage)
    draft.set(
        sealing={**draft.project.sealing, stage.number: stage},
        ended={**draft.project.ended, stage.number: ended},
    )
    draft.close_gates(stage=stage.number)
    seconds = (at - stage.started).total_seconds() if stage.started else 0.0
    draft.note("stage_ended", stage, message, state=state.value, automatic=stage.automatic, seconds=seconds)
    if stage.sweep is not None:
        member_ended(draft, draft.project.sweeps[stage.sweep], ended)
    elif state is StageState.FAILED:
        draft.fail(stage.number, ended.id, cause_of(stage), message)
        draft.pause("failure", message, stage.number)
    elif state in COUNTS:
        follow(draft, ended)
    if state is StageState.SUCCEEDED and stage.pause_after:
        draft.pause("pause_after", f"paused after {ended.name}, as asked", stage.number)


def cause_of(stage: Stage) -> str:
    last = stage.attempt
    return last.outcome.cause.value if last is not None and last.outcome is not None else stage.state.value


def summary(stage: Stage) -> EndedStage:
    last = stage.attempt
    return EndedStage(
        number=stage.number,
        id=stage.definition.id,
        state=stage.state,
        inputs=stage.inputs,
        gathered=stage.gathered,
        turn=stage.turn,
        attempt=last.number if last is not None and last.started is not None else 0,
        source=stage.source,
        redo_of=stage.redo_of,
        sweep=stage.sweep,
        point=stage.point,
        overrides=stage.overrides,
        results=stage.results,
        node=last.node if last is not None else "",
        queued=stage.queued,
        started=stage.started,
        ended=stage.ended,
        passed=stage.passed,
        message=stage.message,
        automatic=stage.automatic,
        actor=stage.actor,
        comment=stage.comment[:COMMENT],
        cause=cause_of(stage) if stage.state is StageState.FAILED else "",
    )


def member_ended(draft: Draft, sweep: Sweep, ended: EndedStage) -> None:
    counts: dict[str, int] = {"open": sweep.open - 1}
    if ended.state is StageState.SUCCEEDED:
        counts["succeeded"] = sweep.succeeded + 1
    elif ended.state is StageState.FAILED:
        counts["failed"] = sweep.failed + 1
    else:
        counts["stopped"] = sweep.stopped + 1
    sweep = draft.put_sweep(sweep.but(**counts))
    if ended.state is StageState.FAILED and sweep.on_failure == "stop" and not sweep.halted:
        sweep = draft.put_sweep(sweep.but(halted=True))
        draft.fail(ended.number, ended.id, "failed", ended.message)
        draft.pause("failure", ended.message, ended.number)
    make_members(draft, sweep)
    finish_sweep(draft, draft.project.sweeps[sweep.number])


def finish_sweep(draft: Draft, sweep: Sweep) -> None:
    """When the last of its stages has ended: gather, ask for a choice, or report that none succeeded."""
    if sweep.closed or sweep.open or (sweep.next < sweep.total and not sweep.halted):
        return
    draft.put_sweep(sweep.but(closed=True))
    text = f"{sweep.succeeded} of {sweep.next} stages of {sweep.id} succeeded"
    draft.note("sweep_ended", None, text, sweep=sweep.number, succeeded=sweep.succeeded, failed=sweep.failed)
    if sweep.halted:
        return
    if not sweep.succeeded:
        draft.fail(0, sweep.id, "sweep", f"none of the {sweep.next} stages of {sweep.id} succeeded")
        draft.pause("failure", f"none of the {sweep.next} stages of {sweep.id} succeeded")
        return
    pipeline = draft.project.pipeline
    followers = [pipeline.by_id[i] for i in pipeline.followers.get(sweep.id, ())]
    for definition in followers:
        if definition.gather:
            gather_sweep(draft, definition, sweep)
    if any(not f.gather for f in followers):
        winners = [
            e for e in draft.project.ended.values() if e.sweep == sweep.number and e.state is StageState.SUCCEEDED
        ]
        if len(winners) == 1:
            follow(draft, winners[0])
        else:
            question = f"With which of the {sweep.succeeded} stages of {sweep.id} should the project go on?"
            draft.open_gate(gate(draft, "choice", question, None, sweep=sweep.number), None)


def gather_sweep(draft: Draft, definition: StageDefinition, sweep: Sweep) -> None:
    gather(draft, definition, sweep.inputs, {**sweep.gathered, sweep.id: sweep.number}, sweep.turn)


def gather(
    draft: Draft, definition: StageDefinition, inputs: Mapping[str, int], gathered: Mapping[str, int], turn: int
) -> None:
    """Make a stage that follows whole sweeps, and single stages beside them, once all of it is there: whichever of
    them ended last asks for it."""
    project, inputs, gathered = draft.project, dict(inputs), dict(gathered)
    for need in definition.needs:
        if need in gathered:
            continue
        other = find_need(project, need, inputs)
        swept = gatherable(project, need, inputs) if other is None else None
        if other is not None and other.state in COUNTS:
            inputs = {**inputs, **lineage(other)}
        elif swept is not None:
            inputs = {**inputs, **swept.inputs}
            gathered = {**gathered, **swept.gathered, need: swept.number}
        else:
            return
    made = [*executions(project, definition.id), *(s for s in project.sweeps.values() if s.id == definition.id)]
    if not any(agree(gathered, m.gathered) and agree(inputs, m.inputs) and m.gathered for m in made):
        make_automatic(draft, definition, inputs, gathered, turn)


def gatherable(project: Project, stage_id: str, inputs: Mapping[str, int]) -> Sweep | None:
    """The newest sweep of this definition that goes together with this lineage, where it has come to a good end."""
    found = [s for s in project.sweeps.values() if s.id == stage_id and agree(s.inputs, inputs)]
    newest = max(found, key=lambda s: s.number, default=None)
    return newest if newest is not None and newest.closed and not newest.halted and newest.succeeded else None


def find_need(project: Project, need: str, inputs: Mapping[str, int]) -> Stage | EndedStage | None:
    """The newest execution of `need` that goes together with this lineage."""
    if need in inputs:
        number = inputs[need]
        return project.stages.get(number) or project.ended.get(number)
    for stage in executions(project, need):
        if stage.sweep is None and agree(lineage(stage), inputs):
            return stage
    return None


def follow(draft: Draft, ended: EndedStage) -> None:
    """Make what comes after a stage that succeeded or was skipped, where everything it needs is there."""
    pipeline = draft.project.pipeline
    for name in pipeline.followers.get(ended.id, ()):
        definition = pipeline.by_id[name]
        if definition.gather and ended.sweep is None and beside_sweeps(draft.project, definition, ended):
            gather(draft, definition, lineage(ended), ended.gathered, ended.turn)
        elif not definition.gather or ended.sweep is None:
            follow_with(draft, definition, ended)


def beside_sweeps(project: Project, definition: StageDefinition, ended: EndedStage) -> bool:
    """Something else that the gathering stage needs is a whole sweep."""
    own = lineage(ended)
    others = [n for n in definition.needs if find_need(project, n, own) is None]
    return any(n in ended.gathered or gatherable(project, n, own) is not None for n in others)


def follow_with(draft: Draft, definition: StageDefinition, ended: EndedStage) -> None:
    own = lineage(ended)
    if made_already(draft.project, definition, own):
        return
    needs = {n: find_need(draft.project, n, own) for n in definition.needs}
    states = {n: s.state if s is not None else None for n, s in needs.items()}
    if definition.join == "all" and not all(s in COUNTS for s in states.values()):
        return
    if (
        definition.join == "any"
        and StageState.SUCCEEDED not in states.values()
        and not all(s in COUNTS for s in states.values())
    ):
        return
    ready = [s for s in needs.values() if s is not None and s.state in COUNTS]
    inputs = {**merged(lineage(s) for s in ready), **own}
    gathered = merged(s.gathered for s in (*ready, ended)) if definition.gather else {}
    if all(s.state is StageState.SKIPPED and not s.passed for s in ready):
        stage = make_stage(draft, definition, inputs, ended.turn)
        skip(draft, stage, "everything it follows was skipped")
        return
    make_automatic(draft, definition, inputs, gathered, ended.turn)


def made_already(project: Project, definition: StageDefinition, own: Mapping[str, int]) -> bool:
    """A stage (or an unfinished sweep) of this definition exists for this lineage."""
    for stage in executions(project, definition.id):
        if set(stage.inputs) & set(own) and agree(stage.inputs, own):
            return True
    return any(s.id == definition.id and s.inputs and agree(s.inputs, own) for s in project.sweeps.values())


def fill_graph(draft: Draft) -> None:
    """Whatever the graph lacks: first stages never made, followers of what counts now, unfinished sweeps."""
    project = draft.project
    for name in project.pipeline.first:
        if not any(True for _ in executions(project, name)) and not any(s.id == name for s in project.sweeps.values()):
            turn = project.next_turn
            make_automatic(draft, project.pipeline.by_id[name], {}, {}, turn)
    draft.set(next_turn=max([draft.project.next_turn, *(s.turn + 1 for s in draft.project.stages.values())]))
    for ended in counting(draft.project):
        if not being_redone(draft.project, (ended.number, *ended.inputs.values())):
            follow(draft, ended)
    for sweep in list(draft.project.sweeps.values()):
        make_members(draft, sweep)


def being_redone(project: Project, numbers: Iterable[int]) -> bool:
    """What follows the old executions was taken back; the new one will be followed."""
    anew = {s.redo_of for s in project.stages.values()} | {s.redo_of for s in project.sweeps.values() if not s.closed}
    return not anew.isdisjoint(numbers)


def withdraw_descendants(draft: Draft, number: int) -> None:
    """A stage is being redone: what was queued to follow its old execution is taken back."""
    for stage in list(draft.project.stages.values()):
        if (
            stage.state is StageState.QUEUED
            and stage.automatic
            and not stage.attempts
            and number in stage.inputs.values()
        ):
            remove(draft, stage, "what it follows is being redone")
    for sweep in draft.project.sweeps.values():
        if number in sweep.inputs.values() and not sweep.closed:
            draft.put_sweep(sweep.but(halted=True))
        if number in sweep.inputs.values():
            draft.close_gates(sweep=sweep.number)


def remove(draft: Draft, stage: Stage, text: str) -> None:
    draft.close_gates(stage=stage.number)
    draft.drop(stage)
    draft.note("stage_removed", stage, text)
    if stage.sweep is not None:
        sweep = draft.project.sweeps[stage.sweep]
        draft.put_sweep(sweep.but(open=sweep.open - 1, stopped=sweep.stopped + 1))
        make_members(draft, draft.project.sweeps[sweep.number])
        finish_sweep(draft, draft.project.sweeps[sweep.number])


def merge_overrides(base: Overrides, top: Overrides) -> Overrides:
    """`top` over `base`: variables one by one, everything else as a whole."""
    changes: dict[str, Any] = {
        name: value
        for name in ("command", "entrypoint", "image", "resources", "workspace", "timeout")
        if (value := getattr(top, name)) is not None
    }
    return base.but(
        values={**base.values, **top.values},
        environment={**base.environment, **top.environment},
        **changes,
    )
