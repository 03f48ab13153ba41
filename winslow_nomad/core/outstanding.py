"""What is still to be done for a project: derived from its state alone, so that nothing can be
forgotten and nothing stays that is done."""

from __future__ import annotations

from datetime import datetime, timedelta

from winslow_nomad.core.effects import Effect, PrepareWorkspace, SealStage, StopAttempt, SubmitAttempt, WakeAt
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import AttemptState, Stage, StageState


def outstanding(project: Project) -> tuple[Effect, ...]:
    effects: list[Effect] = [SealStage(stage=n) for n in sorted(project.sealing)]
    for number in sorted(project.stages):
        effects.extend(of_stage(project.stages[number]))
    due = wake_at(project)
    if due is not None:
        effects.append(WakeAt(at=due))
    return tuple(effects)


def of_stage(stage: Stage) -> list[Effect]:
    attempt = stage.attempt
    if attempt is None or attempt.state is AttemptState.ENDED:
        return []
    if stage.stop:
        if order(attempt.stop_sent) >= order(stage.stop):
            return []
        return [StopAttempt(stage=stage.number, attempt=attempt.number, how=stage.stop)]
    if attempt.state is AttemptState.PREPARING and stage.operation is None:
        return [PrepareWorkspace(stage=stage.number, attempt=attempt.number)]
    if attempt.state is AttemptState.INTENDED and not stage.held:
        return [SubmitAttempt(stage=stage.number, attempt=attempt.number)]
    return []


def order(how: str) -> int:
    return ("", "withdraw", "terminate", "kill").index(how)


def wake_at(project: Project) -> datetime | None:
    """When time alone changes something: a retry is due, patience with a lost node runs out, a stop that
    was asked for politely should have been obeyed."""
    due: list[datetime] = []
    for stage in project.stages.values():
        if stage.state is StageState.QUEUED and stage.retry_at is not None:
            due.append(stage.retry_at)
        attempt = stage.attempt
        if attempt is not None and attempt.out_of_contact is not None and attempt.state is not AttemptState.ENDED:
            due.append(attempt.out_of_contact + timedelta(seconds=stage.definition.patience))
    return min(due, default=None)
