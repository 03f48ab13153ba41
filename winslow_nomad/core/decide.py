"""The only place where a project changes.

Commands may be refused, facts never raise. Time comes in as `now`; ids come in with the messages. The
same project, message and time always give the same decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from winslow_nomad.core import amounts, commands, facts
from winslow_nomad.core import messages as m
from winslow_nomad.core.decision import Decision
from winslow_nomad.core.draft import Draft
from winslow_nomad.core.effects import Effect, Notify
from winslow_nomad.core.errors import Conflict, NotFound, Refused
from winslow_nomad.core.outstanding import outstanding
from winslow_nomad.core.project import Project, ProjectState

HANDLERS: dict[type[Any], Callable[[Draft, Any], None]] = {
    m.StartProject: commands.start_project,
    m.PauseProject: commands.pause_project,
    m.ResumeProject: commands.resume_project,
    m.EnqueueStage: commands.enqueue_stage,
    m.RedoStage: commands.redo_stage,
    m.ChangeQueued: commands.change_queued,
    m.RemoveQueued: commands.remove_queued,
    m.Reorder: commands.reorder,
    m.SkipStage: commands.skip_stage,
    m.StopStage: commands.stop_stage,
    m.StopProject: commands.stop_project,
    m.StopSweep: commands.stop_sweep,
    m.AnswerGate: commands.answer_gate,
    m.ChooseOfSweep: commands.choose_of_sweep,
    m.PauseAfter: commands.pause_after,
    m.SetValues: commands.set_values,
    m.SetSecrets: commands.set_secrets,
    m.EditPipeline: commands.edit_pipeline,
    m.AddComment: commands.add_comment,
    m.Describe: commands.describe,
    m.TrashProject: commands.trash_project,
    m.RestoreProject: commands.restore_project,
    m.Admitted: facts.admitted,
    m.HeldBack: facts.held_back,
    m.BecameImpossible: facts.became_impossible,
    m.BecamePossible: facts.became_possible,
    m.ImagePinned: facts.image_pinned,
    m.ImageUnusable: facts.image_unusable,
    m.WorkspaceBegun: facts.workspace_begun,
    m.WorkspaceReady: facts.workspace_ready,
    m.WorkspaceFailed: facts.workspace_failed,
    m.AttemptAccepted: facts.attempt_accepted,
    m.AttemptRejected: facts.attempt_rejected,
    m.AttemptWaits: facts.attempt_waits,
    m.AttemptStarted: facts.attempt_started,
    m.AttemptOutOfContact: facts.attempt_out_of_contact,
    m.AttemptInContact: facts.attempt_in_contact,
    m.AttemptEnded: facts.attempt_ended,
    m.StopSent: facts.stop_sent,
    m.StageSealed: facts.stage_sealed,
    m.EffectParked: facts.effect_parked,
    m.TimerFired: facts.timer_fired,
    m.FilesGiven: facts.files_given,
}
IN_TRASH_ALLOWED = (m.RestoreProject, m.TrashProject, m.AddComment)


def decide(project: Project | None, message: m.Message, now: datetime) -> Decision:
    """What becomes of the project. Raises Refused, NotFound, Conflict or Invalid, for commands only."""
    if isinstance(message, m.CreateProject):
        return create(project, message, now)
    if project is None:
        if isinstance(message, m.Command):
            raise NotFound("There is no such project.", code="project.not_found")
        raise NotFound("A fact about a project that is gone.", code="project.not_found")
    if isinstance(message, m.Command) and project.trashed is not None and not isinstance(message, IN_TRASH_ALLOWED):
        raise Refused("This project is in the trash.", hint="Restore it first.", code="project.in_trash")
    draft = Draft(project, now, getattr(message, "actor", ""))
    if isinstance(message, m.Command):
        amounts.check_command(message)
    HANDLERS[type(message)](draft, message)
    if isinstance(message, m.Command):
        amounts.check_project(project, draft.project)
    return finish(draft)


def decide_all(project: Project | None, messages: Sequence[m.Message], now: datetime) -> Decision:
    """Several messages as one decision: what happened together is committed together."""
    entries: tuple[m.Entry, ...] = ()
    notices: list[Effect] = []
    changed = False
    for message in messages:
        decision = decide(project, message, now)
        project = decision.project
        entries += decision.facts
        notices += [e for e in decision.effects if isinstance(e, Notify)]
        changed = changed or decision.changed
    if project is None:
        raise NotFound("There is no such project.", code="project.not_found")
    return Decision(project, entries, (*outstanding(project), *notices), changed)


def create(project: Project | None, message: m.CreateProject, now: datetime) -> Decision:
    if project is not None:
        raise Conflict(f"There is a project {project.id} already.", code="project.exists")
    amounts.check_command(message)
    draft = Draft(commands.new_project(message, now), now, message.actor)
    amounts.check_project(None, draft.project)
    draft.note("created", None, message.name)
    if message.start:
        commands.start_project(draft, m.StartProject(actor=message.actor))
    decision = finish(draft)
    facts = decision.facts or tuple(draft.entries)  # being made is news, though nothing changed since
    return Decision(decision.project, facts, decision.effects, changed=True)


def finish(draft: Draft) -> Decision:
    if not draft.changed:
        return Decision(draft.project, (), outstanding(draft.project), changed=False)
    before, after = draft.before.state, draft.project.state
    if before is not after:
        draft.note("state", None, after.value, before=before.value)
        if after is ProjectState.SUCCEEDED:
            draft.notices.append(Notify(what="finished", text=f"{draft.project.name} has succeeded"))
    draft.set(updated=draft.now)
    effects = (*outstanding(draft.project), *draft.notices)
    return Decision(draft.project, tuple(draft.entries), effects, changed=True)
