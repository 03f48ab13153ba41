"""What people ask for. Each function applies one command to a draft or refuses it with a reason."""

from __future__ import annotations

import re
from datetime import datetime

from winslow_nomad.core import expand
from winslow_nomad.core import messages as m
from winslow_nomad.core.amounts import LONGEST_NAME, LONGEST_TAG
from winslow_nomad.core.draft import Draft
from winslow_nomad.core.errors import Conflict, Invalid, NotFound, Refused
from winslow_nomad.core.graph import (
    end_stage,
    fill_graph,
    finish_sweep,
    follow,
    make_members,
    make_stage,
    make_sweep,
    merge_overrides,
    missing_values,
    open_needed_gate,
    remove,
    skip,
    withdraw_descendants,
)
from winslow_nomad.core.line import current_turn
from winslow_nomad.core.lineage import lineage, merged, newest_gathered, newest_inputs
from winslow_nomad.core.pipeline import Parameter, StageDefinition
from winslow_nomad.core.project import Comment, Gate, Member, Project, Sweep
from winslow_nomad.core.stage import ENDED, EndedStage, Reason, Stage, StageState

VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def new_project(message: m.CreateProject, now: datetime) -> Project:
    check_words(message.name, message.tags)
    values = checked_values(message.pipeline.parameters, message.values)
    author = message.actor
    return Project(
        id=message.project,
        name=message.name,
        pipeline=message.pipeline,
        driver=message.driver,
        author=author,
        participants=message.participants or ((Member(user=author, role="owner"),) if author else ()),
        tags=message.tags,
        priority=message.priority,
        values=values,
        secrets=message.secrets,
        planned_sweeps={
            known(message.pipeline.by_id, i).id: checked_grid(message.pipeline.parameters, g)
            for i, g in message.sweeps.items()
        },
        created=now,
        updated=now,
    )


def check_words(name: str, tags: tuple[str, ...]) -> None:
    """A name is a variable of every stage and stands in every list; the limits are far beyond what is read."""
    if not name.strip():
        raise Refused("A project needs a name.", hint="Give one with --name.", code="project.name_missing")
    if len(name) > LONGEST_NAME:
        raise Invalid(
            f"The name has {len(name)} characters; {LONGEST_NAME} is the limit.",
            hint="Give a shorter one; there is room for more in a comment.",
            code="project.name_long",
        )
    for tag in tags:
        if not tag.strip() or len(tag) > LONGEST_TAG:
            raise Invalid(
                f"{tag[:80]!r} cannot be a tag.", hint=f"Give 1 to {LONGEST_TAG} characters.", code="project.tag"
            )


def known(stages: dict[str, StageDefinition], stage_id: str) -> StageDefinition:
    if stage_id not in stages:
        raise NotFound(
            f"The pipeline has no stage {stage_id!r}.",
            hint=f"It has {', '.join(stages)}.",
            code="stage.unknown_definition",
        )
    return stages[stage_id]


def checked_values(parameters: dict[str, Parameter], values: dict[str, str]) -> dict[str, str]:
    """Values of known parameters in canonical form; other names are plain environment variables."""
    for name, value in values.items():
        plain_variable(name, value)
    return {k: expand.check_value(parameters[k], v, name=k) if k in parameters else v for k, v in values.items()}


def plain_variable(name: str, value: str) -> None:
    if not VARIABLE.fullmatch(name) or name.startswith("WINSLOW_"):
        raise Invalid(
            f"{name[:80]!r} cannot be the name of a variable.",
            hint="Letters, digits and _ make one, not beginning with a digit or with WINSLOW_.",
            code="value.name",
        )
    if "\0" in value:
        raise Invalid(f"The value of {name} holds a NUL.", code="value.nul")


def checked_grid(parameters: dict[str, Parameter], grid: m.Grid) -> m.Grid:
    return {
        k: tuple(expand.check_value(parameters[k], v, name=k) if k in parameters else v for v in values)
        for k, values in grid.items()
    }


def start_project(draft: Draft, _: m.StartProject) -> None:
    draft.unpause()
    fill_graph(draft)


def pause_project(draft: Draft, message: m.PauseProject) -> None:
    who = f" by {draft.actor}" if draft.actor else ""
    if draft.project.pause is None or draft.project.pause.kind != "person":
        draft.pause("person", message.text or f"paused{who}")
    for stage in draft.project.stages.values():
        if stage.state is StageState.PREPARING and not stage.held:
            draft.put(stage.but(held=True, reason=Reason(kind="paused", text=f"prepared; held back by the pause{who}")))
        if stage.state is StageState.SUBMITTED and not stage.stop:
            draft.put(stage.but(stop="withdraw"))
    draft.set(single=False)


def resume_project(draft: Draft, message: m.ResumeProject) -> None:
    if draft.project.pause is None and not message.single:
        return
    draft.unpause()
    draft.set(single=message.single)
    fill_graph(draft)


def enqueue_stage(draft: Draft, message: m.EnqueueStage) -> None:
    project = draft.project
    definition = known(project.pipeline.by_id, message.id)
    if message.after:
        bases = [ended_stage(project, n) for n in message.after]
        inputs, gathered = merged(lineage(b) for b in bases), merged(b.gathered for b in bases)
    else:
        inputs, gathered = newest_inputs(project, definition), newest_gathered(project, definition)
    add(draft, definition, inputs, gathered, message, redo_of=None)


def redo_stage(draft: Draft, message: m.RedoStage) -> None:
    project = draft.project
    base: Stage | EndedStage | None = project.ended.get(message.stage) or project.stages.get(message.stage)
    if base is None:
        raise NotFound(f"There is no stage {message.stage} in this project.", code="stage.not_found")
    if base.state is StageState.QUEUED:
        raise Refused(
            f"Stage {message.stage} has not run yet.",
            hint="It can still be changed: winslow change. To try it again, stop it first.",
            code="stage.still_queued",
        )
    stage_id = base.definition.id if isinstance(base, Stage) else base.id
    definition = known(project.pipeline.by_id, stage_id)
    withdraw_descendants(draft, base.number)
    clear_failures(draft, base.number)
    overrides = merge_overrides(base.overrides.but(values={**base.overrides.values, **base.point}), message.overrides)
    add(
        draft,
        definition,
        dict(base.inputs),
        dict(base.gathered),
        message.but(overrides=overrides),
        redo_of=base.number,
    )


def add(
    draft: Draft,
    definition: StageDefinition,
    inputs: dict[str, int],
    gathered: dict[str, int],
    message: m.EnqueueStage | m.RedoStage,
    redo_of: int | None,
) -> None:
    """Line up what a person asked for: one stage, or a sweep."""
    project = draft.project
    overrides = message.overrides.but(values=checked_values(project.pipeline.parameters, message.overrides.values))
    for name, value in (*overrides.environment.items(), *((n, v) for n, vs in message.sweep.items() for v in vs)):
        plain_variable(name, value)
    turn = (current_turn(project) if message.at_once else None) or project.next_turn
    draft.set(next_turn=max(project.next_turn, turn + 1))
    if message.resume:
        draft.unpause()
    if message.sweep:
        make_sweep(
            draft,
            definition,
            checked_grid(project.pipeline.parameters, message.sweep),
            inputs,
            gathered,
            turn,
            overrides=overrides,
            comment=message.comment,
            workspace=message.sweep_workspace,
            max_running=message.max_running,
            redo_of=redo_of,
        )
        return
    stage = make_stage(
        draft,
        definition,
        inputs,
        turn,
        gathered=gathered,
        overrides=overrides,
        comment=message.comment,
        pause_after=message.pause_after,
        automatic=False,
        redo_of=redo_of,
    )
    open_needed_gate(draft, stage)


def clear_failures(draft: Draft, number: int) -> None:
    """What is redone or skipped is no longer an open failure, nor is what descends from it."""

    def moot(stage: int) -> bool:
        ended = draft.project.ended.get(stage)
        return stage == number or (ended is not None and number in ended.inputs.values())

    left = tuple(f for f in draft.project.failures if not moot(f.stage))
    if len(left) != len(draft.project.failures):
        draft.set(failures=left)
    if draft.project.pause is not None and draft.project.pause.kind == "failure" and not left:
        draft.unpause()


def change_queued(draft: Draft, message: m.ChangeQueued) -> None:
    stage = queued_stage(draft.project, message.stage)
    changes: dict[str, object] = {}
    if message.overrides is not None:
        values = checked_values(draft.project.pipeline.parameters, message.overrides.values)
        changes["overrides"] = message.overrides.but(values=values)
        changes["environment"] = None
    if message.comment is not None:
        changes["comment"] = message.comment
    if message.pause_after is not None:
        changes["pause_after"] = message.pause_after
    if not changes:
        return
    stage = draft.put(stage.but(**changes))
    draft.note("stage_changed", stage)
    reconsider_values(draft)


def remove_queued(draft: Draft, message: m.RemoveQueued) -> None:
    stage = queued_stage(draft.project, message.stage)
    if stage.attempts:
        raise Refused(f"Stage {stage.number} has been tried already.", hint="Stop it instead.", code="stage.was_tried")
    remove(draft, stage, "taken back")


def reorder(draft: Draft, message: m.Reorder) -> None:
    """The named stages take their places among themselves: turns first, then the order within a turn, where they stand
    before all others, also before those that an earlier command put first."""
    stages = [queued_stage(draft.project, n) for n in message.stages]
    if len({s.number for s in stages}) != len(stages):
        raise Refused("A stage is named twice.", code="reorder.repeated")
    turns = sorted(s.turn for s in stages)
    first = min((s.order for s in draft.project.stages.values()), default=0.0) - len(stages)
    for place, (stage, turn) in enumerate(zip(stages, turns, strict=True)):
        draft.put(stage.but(turn=turn, order=first + place))
    draft.note("reordered")


def skip_stage(draft: Draft, message: m.SkipStage) -> None:
    project = draft.project
    if message.stage in project.stages:
        stage = queued_stage(project, message.stage)
        draft.close_gates(stage=stage.number)
        skip(draft, stage, f"skipped by {draft.actor}" if draft.actor else "skipped", passed=True)
        return
    base = ended_stage(project, message.stage)
    if base.state not in (StageState.FAILED, StageState.STOPPED):
        raise Refused(
            f"Stage {base.number} has {base.state.value}; there is nothing to skip.",
            code="stage.not_skippable",
        )
    clear_failures(draft, base.number)
    definition = known(project.pipeline.by_id, base.id)
    stage = make_stage(
        draft,
        definition,
        dict(base.inputs),
        base.turn,
        gathered=dict(base.gathered),
        automatic=False,
        redo_of=base.number,
    )
    skip(draft, stage, f"skipped by {draft.actor}" if draft.actor else "skipped", passed=True)
    if draft.project.pause is not None and draft.project.pause.kind == "failure" and not draft.project.failures:
        draft.unpause()


def stop_stage(draft: Draft, message: m.StopStage) -> None:
    stage = draft.project.stages.get(message.stage)
    if stage is None:
        if message.stage in draft.project.ended:
            return  # a second click on something that has ended meanwhile
        raise NotFound(f"There is no stage {message.stage} in this project.", code="stage.not_found")
    request_stop(draft, stage, kill=message.kill)


def request_stop(draft: Draft, stage: Stage, *, kill: bool) -> None:
    if stage.state is StageState.QUEUED:
        end_stage(draft, stage, StageState.STOPPED, f"stopped by {draft.actor}" if draft.actor else "stopped")
        return
    wanted = "kill" if kill else "terminate"
    if stage.stop == "kill" or stage.stop == wanted:
        return
    stage = draft.put(stage.but(stop=wanted, stop_actor=draft.actor, held=False))
    draft.note("stop_asked", stage, wanted)


def stop_project(draft: Draft, message: m.StopProject) -> None:
    draft.pause("person", f"stopped by {draft.actor}" if draft.actor else "stopped")
    halt_sweeps(draft)
    for stage in list(draft.project.stages.values()):
        if stage.number in draft.project.stages:
            request_stop(draft, stage, kill=message.kill)
    open_choices = tuple(g for g in draft.project.gates if g.kind == "choice")  # about what has ended: still to be made
    draft.set(gates=open_choices, single=False)


def halt_sweeps(draft: Draft) -> None:
    for sweep in draft.project.sweeps.values():
        if not sweep.closed and not sweep.halted:
            draft.put_sweep(sweep.but(halted=True))


def stop_sweep(draft: Draft, message: m.StopSweep) -> None:
    sweep = known_sweep(draft.project, message.sweep)
    if sweep.closed:
        return
    draft.put_sweep(sweep.but(halted=True))
    for stage in list(draft.project.stages.values()):
        if stage.sweep == sweep.number and (message.running or stage.state is StageState.QUEUED):
            request_stop(draft, stage, kill=False)
    draft.close_gates(sweep=sweep.number)
    finish_sweep(draft, draft.project.sweeps[sweep.number])


def answer_gate(draft: Draft, message: m.AnswerGate) -> None:
    gate = next((g for g in draft.project.gates if g.id == message.gate), None)
    if gate is None:
        raise Refused("This question has been answered already, or what it was about is gone.", code="gate.not_open")
    {
        "confirm": answer_confirm,
        "condition": answer_condition,
        "values": answer_values,
        "choice": answer_choice,
    }[gate.kind](draft, gate, message)
    about = draft.project.stages.get(gate.stage) or draft.project.ended.get(gate.stage)
    draft.note("gate_answered", about, message.answer, gate=gate.id, actor=draft.actor)


def answer_confirm(draft: Draft, gate: Gate, message: m.AnswerGate) -> None:
    draft.close_gates(gate=gate.id)
    if gate.sweep:
        sweep = known_sweep(draft.project, gate.sweep)
        if message.answer == "go":
            make_members(draft, draft.put_sweep(sweep.but(confirmed=True)))
        else:
            draft.put_sweep(sweep.but(halted=True, closed=True))
        return
    stage = draft.project.stages[gate.stage]
    end_or_go(draft, stage.but(confirmed=True), message)


def answer_condition(draft: Draft, gate: Gate, message: m.AnswerGate) -> None:
    draft.close_gates(gate=gate.id)
    stage = draft.project.stages[gate.stage]
    end_or_go(draft, stage.but(decided=True), message)


def end_or_go(draft: Draft, allowed: Stage, message: m.AnswerGate) -> None:
    who = f" by {draft.actor}" if draft.actor else ""
    if message.answer == "go":
        if message.values:
            changed = checked_values(draft.project.pipeline.parameters, message.values)
            allowed = allowed.but(overrides=merge_overrides(allowed.overrides, allowed.overrides.but(values=changed)))
        draft.put(allowed)
        open_needed_gate(draft, allowed)
    elif message.answer == "skip":
        skip(draft, allowed, f"skipped{who}", passed=True)
    else:
        end_stage(draft, allowed, StageState.STOPPED, f"stopped{who}")


def answer_values(draft: Draft, gate: Gate, message: m.AnswerGate) -> None:
    stage = draft.project.stages[gate.stage]
    if message.answer != "go":
        draft.close_gates(gate=gate.id)
        end_or_go(draft, stage, message)
        return
    values = checked_values(draft.project.pipeline.parameters, message.values)
    draft.set(values={**draft.project.values, **values})
    absent = missing_values(draft.project, stage)
    if absent:
        raise Refused(f"Still without a value: {', '.join(absent)}.", code="gate.values_missing")
    reconsider_values(draft)


def answer_choice(draft: Draft, gate: Gate, message: m.AnswerGate) -> None:
    if message.answer != "go":
        draft.close_gates(gate=gate.id)
        return
    choose(draft, gate.sweep, message.stage)


def choose_of_sweep(draft: Draft, message: m.ChooseOfSweep) -> None:
    choose(draft, message.sweep, message.stage)
    draft.note("sweep_chosen", draft.project.ended[message.stage], sweep=message.sweep)


def choose(draft: Draft, sweep: int, number: int) -> None:
    known_sweep(draft.project, sweep)
    stage = draft.project.ended.get(number)
    if stage is None or stage.sweep != sweep or stage.state is not StageState.SUCCEEDED:
        raise Refused(f"Stage {number} is not a stage of this sweep that succeeded.", code="sweep.not_a_choice")
    draft.close_gates(sweep=sweep)
    follow(draft, stage)


def pause_after(draft: Draft, message: m.PauseAfter) -> None:
    definition = known(draft.project.pipeline.by_id, message.id)
    open_stages = [
        s for s in draft.project.stages.values() if s.definition.id == definition.id and s.state not in ENDED
    ]
    for stage in open_stages:
        draft.put(stage.but(pause_after=message.on))
    if not open_stages:
        names = [i for i in draft.project.pause_after if i != message.id]
        draft.set(pause_after=tuple([*names, message.id] if message.on else names))


def set_values(draft: Draft, message: m.SetValues) -> None:
    given = {k: v for k, v in message.values.items() if v is not None}
    checked = checked_values(draft.project.pipeline.parameters, given)
    kept = {k: v for k, v in draft.project.values.items() if k not in message.values}
    draft.set(values={**kept, **checked})
    draft.note("values_set", None, ", ".join(message.values))
    reconsider_values(draft)


def set_secrets(draft: Draft, message: m.SetSecrets) -> None:
    for name in message.secrets:
        if name not in draft.project.pipeline.secrets:
            raise NotFound(
                f"The pipeline has no secret {name!r}.",
                hint=f"It has {', '.join(draft.project.pipeline.secrets) or 'none'}.",
                code="secret.unknown",
            )
    given = {n: r for n, r in message.secrets.items() if r is not None}
    kept = {n: r for n, r in draft.project.secrets.items() if n not in message.secrets}
    draft.set(secrets={**kept, **given})
    draft.note("secrets_set", None, ", ".join(message.secrets))
    reconsider_values(draft)


def reconsider_values(draft: Draft) -> None:
    """Close the gates whose values are there now, and open those for values that are gone."""
    for gate in draft.project.gates:
        stage = draft.project.stages.get(gate.stage)
        if gate.kind == "values" and stage is not None and not missing_values(draft.project, stage):
            draft.close_gates(gate=gate.id)
    for stage in list(draft.project.stages.values()):
        if stage.state is StageState.QUEUED:
            open_needed_gate(draft, stage)


def edit_pipeline(draft: Draft, message: m.EditPipeline) -> None:
    """Queued stages take their new definition; those of stages that are gone are taken back."""
    if message.expected_version is not None and message.expected_version != draft.project.version:
        raise Conflict(
            "The project was changed since you opened its pipeline; nothing was saved.",
            hint="Load it again and repeat your change.",
            code="project.changed",
        )
    if message.pipeline == draft.project.pipeline:
        return
    draft.set(pipeline=message.pipeline)
    draft.note("pipeline_edited")
    for stage in list(draft.project.stages.values()):
        if stage.state is not StageState.QUEUED:
            continue
        definition = message.pipeline.by_id.get(stage.definition.id)
        if definition is not None:
            draft.put(stage.but(definition=definition, environment=None))
        elif not stage.attempts:
            remove(draft, stage, "its definition was removed from the pipeline")
    for sweep in list(draft.project.sweeps.values()):
        if sweep.id not in message.pipeline.by_id and not sweep.closed:
            draft.close_gates(sweep=sweep.number)
            draft.put_sweep(sweep.but(halted=True))
            finish_sweep(draft, draft.project.sweeps[sweep.number])
    if draft.project.ended or draft.project.stages:
        fill_graph(draft)
        reconsider_values(draft)


def add_comment(draft: Draft, message: m.AddComment) -> None:
    if message.stage and message.stage not in draft.project.ended and message.stage not in draft.project.stages:
        raise NotFound(f"There is no stage {message.stage} in this project.", code="stage.not_found")
    comment = Comment(actor=draft.actor, text=message.text, at=draft.now, stage=message.stage)
    draft.set(comments=(*draft.project.comments, comment)[-50:])
    about = draft.project.stages.get(message.stage) or draft.project.ended.get(message.stage)
    draft.note("commented", about, message.text, actor=draft.actor)


def describe(draft: Draft, message: m.Describe) -> None:
    fields = ("name", "tags", "priority", "author", "participants", "limit", "keep")
    changes = {f: v for f in fields if (v := getattr(message, f)) is not None and v != getattr(draft.project, f)}
    check_words(changes.get("name", "unchanged"), changes.get("tags", ()))
    if changes:
        before = names_of(draft.project)
        draft.set(**changes)
        left = " ".join(sorted(before - names_of(draft.project)))  # they are to be told that it is no longer theirs
        draft.note("described", None, ", ".join(changes), **({"left": left} if left else {}))


def names_of(project: Project) -> set[str]:
    """Who has it: users, and groups as `@group`."""
    return {m.user for m in project.participants} | ({project.author} if project.author else set())


def trash_project(draft: Draft, message: m.TrashProject) -> None:
    if draft.project.trashed is None:
        stop_project(draft, m.StopProject(actor=message.actor))
        draft.set(trashed=draft.now, gates=())
        draft.note("trashed")


def restore_project(draft: Draft, _: m.RestoreProject) -> None:
    if draft.project.trashed is not None:
        draft.set(trashed=None)
        draft.note("restored")


def queued_stage(project: Project, number: int) -> Stage:
    stage = project.stages.get(number)
    if stage is None:
        if number in project.ended:
            raise Refused(f"Stage {number} has ended; an ended stage never changes.", code="stage.ended")
        raise NotFound(f"There is no stage {number} in this project.", code="stage.not_found")
    if stage.state is not StageState.QUEUED:
        raise Refused(f"Stage {number} has started.", hint="Stop it, or redo it afterwards.", code="stage.started")
    return stage


def ended_stage(project: Project, number: int) -> EndedStage:
    ended = project.ended.get(number)
    if ended is None:
        if number in project.stages:
            raise Refused(f"Stage {number} has not ended yet.", code="stage.not_ended")
        raise NotFound(f"There is no stage {number} in this project.", code="stage.not_found")
    return ended


def known_sweep(project: Project, number: int) -> Sweep:
    if number not in project.sweeps:
        raise NotFound(f"There is no sweep {number} in this project.", code="sweep.not_found")
    return project.sweeps[number]
