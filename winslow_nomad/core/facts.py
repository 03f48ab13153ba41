"""What has happened outside. None of these raises: a fact that is late, repeated, older than what is
known, or about something that is gone changes nothing."""

from __future__ import annotations

import signal
from datetime import datetime, timedelta

from winslow_nomad.core import expand
from winslow_nomad.core import messages as m
from winslow_nomad.core.admit import size
from winslow_nomad.core.draft import Draft, with_attempt
from winslow_nomad.core.effects import Notify
from winslow_nomad.core.graph import end_stage
from winslow_nomad.core.line import startable
from winslow_nomad.core.lineage import source
from winslow_nomad.core.outstanding import order
from winslow_nomad.core.pipeline import Retry
from winslow_nomad.core.stage import Attempt, AttemptState, Cause, Outcome, Reason, Stage, StageState

A = AttemptState
SHOWN = 300  # characters of how an attempt ended, while the next one waits
RETRIED_AS: dict[Cause, str] = {
    Cause.EXIT: "failed",
    Cause.EXEC_FAILED: "failed",
    Cause.OUT_OF_MEMORY: "failed",
    Cause.TIMEOUT: "timeout",
    Cause.RUNNER_LOST: "node_lost",
    Cause.NODE_LOST: "node_lost",
    Cause.SUPERSEDED: "node_lost",
    Cause.STOPPED: "node_lost",  # by something else than Winslow: a node that shuts down
    Cause.KILLED: "node_lost",
}


def open_attempt(draft: Draft, fact: m.OfAttempt) -> tuple[Stage, Attempt] | None:
    """The stage and its newest attempt, if that is the one meant and it has not ended."""
    stage = draft.project.stages.get(fact.stage)
    attempt = stage.attempt if stage is not None else None
    if stage is None or attempt is None or attempt.number != fact.attempt or attempt.state is A.ENDED:
        return None
    if fact.index and fact.index < attempt.index:
        return None
    if fact.index > attempt.index:
        attempt = attempt.but(index=fact.index)
        stage = with_attempt(stage, attempt)
    return stage, attempt


def admitted(draft: Draft, fact: m.Admitted) -> None:
    stage = next((s for s in startable(draft.project, draft.now) if s.number == fact.stage), None)
    if stage is None:
        return
    environment, folder = stage.environment, stage.folder
    if environment is None:
        environment = expand.environment(draft.project, stage, fact.installation)
        folder = draft.project.pipeline.folder
    image = stage.attempts[-1].image if stage.attempts else None  # a retry runs what was tried before
    number = len(stage.attempts) + 1
    attempt = Attempt(number=number, driver=draft.project.driver, made=draft.now, image=image)
    origin = source(draft.project, stage)
    stage = draft.move(
        stage,
        StageState.PREPARING,
        environment=environment,
        folder=folder,
        source=origin,
        operation=None,
        retry_at=None,
        reason=None,
        stop="",
        attempts=(*stage.attempts, attempt),
    )
    draft.note("stage_admitted", stage)
    if draft.project.single:
        draft.set(single=False)
        draft.pause("person", f"paused after starting {stage.name}, as asked")


def held_back(draft: Draft, fact: m.HeldBack) -> None:
    stage = draft.project.stages.get(fact.stage)
    if stage is not None and stage.state is StageState.QUEUED and stage.reason != fact.reason:
        draft.put(stage.but(reason=fact.reason))


def became_impossible(draft: Draft, fact: m.BecameImpossible) -> None:
    stage = draft.project.stages.get(fact.stage)
    if stage is None or stage.state is not StageState.QUEUED:
        return
    reason = Reason(kind="impossible", text=f"cannot start: {fact.text}")
    if stage.reason != reason:
        draft.put(stage.but(reason=reason))
    if draft.project.pause is None:
        draft.pause("impossible", f"{stage.definition.id} cannot start: {fact.text}", stage.number)
        draft.notices.append(Notify(what="impossible", text=fact.text, stage=stage.number))


def became_possible(draft: Draft, fact: m.BecamePossible) -> None:
    pause = draft.project.pause
    if pause is not None and pause.kind == "impossible" and pause.stage == fact.stage:
        draft.unpause()
    stage = draft.project.stages.get(fact.stage)
    if stage is not None and stage.reason is not None and stage.reason.kind == "impossible":
        draft.put(stage.but(reason=None))


def image_pinned(draft: Draft, fact: m.ImagePinned) -> None:
    found = open_attempt(draft, fact)
    if found is not None and found[1].state is A.PREPARING and found[1].image != fact.image:
        draft.put(with_attempt(found[0], found[1].but(image=fact.image)))


def image_unusable(draft: Draft, fact: m.ImageUnusable) -> None:
    """Back into the line, as if it had not been admitted: so that a person can name another image, and what waits goes
    on by itself once this one can be had."""
    found = open_attempt(draft, fact)
    if found is None or found[1].state is not A.PREPARING or found[0].stop:
        return
    reason = Reason(kind="impossible", text=f"cannot start: {fact.text}", code=fact.code)
    stage = draft.move(
        found[0], StageState.QUEUED, attempts=found[0].attempts[:-1], operation=None, held=False, reason=reason
    )
    if draft.project.pause is None:
        draft.pause("impossible", f"{stage.definition.id} cannot start: {fact.text}", stage.number, fact.code)
        draft.notices.append(Notify(what="impossible", text=fact.text, stage=stage.number))


def workspace_begun(draft: Draft, fact: m.WorkspaceBegun) -> None:
    found = open_attempt(draft, fact)
    if found is not None and found[1].state is A.PREPARING and found[0].operation != fact.operation:
        reason = Reason(kind="workspace", text="its workspace is being copied")
        draft.put(found[0].but(operation=fact.operation, reason=reason))


def workspace_ready(draft: Draft, fact: m.WorkspaceReady) -> None:
    found = open_attempt(draft, fact)
    if found is None or found[1].state is not A.PREPARING:
        return
    stage = found[0] if found[0].held else found[0].but(reason=None)
    draft.move_attempt(stage.but(operation=None), A.INTENDED)


def workspace_failed(draft: Draft, fact: m.WorkspaceFailed) -> None:
    found = open_attempt(draft, fact)
    if found is None or found[1].state is not A.PREPARING:
        return
    stage, _ = found
    if fact.for_ever:
        conclude(draft, stage, Outcome(cause=Cause.WORKSPACE, message=fact.text))
        return
    # The same attempt again: an operation that failed is forgotten, so that the effect is outstanding again.
    waiting = stage.but(operation=None, reason=Reason(kind="share", text=fact.text))
    if waiting != stage:
        draft.put(waiting)


def attempt_accepted(draft: Draft, fact: m.AttemptAccepted) -> None:
    found = open_attempt(draft, fact)
    if found is not None and found[1].state is A.INTENDED:
        mark_submitted(draft, found[0])


def mark_submitted(draft: Draft, stage: Stage) -> Stage:
    stage = draft.move_attempt(stage, A.SUBMITTED)
    return draft.move(stage, StageState.SUBMITTED, reason=None)


def attempt_rejected(draft: Draft, fact: m.AttemptRejected) -> None:
    found = open_attempt(draft, fact)
    if found is not None and found[1].state is A.INTENDED:
        conclude(draft, found[0], Outcome(cause=Cause.REJECTED, message=fact.text))


def attempt_waits(draft: Draft, fact: m.AttemptWaits) -> None:
    found = open_attempt(draft, fact)
    if found is None or found[1].state is A.RUNNING or found[1].state is A.PREPARING:
        return
    stage = found[0]
    if found[1].state is A.INTENDED:
        stage = mark_submitted(draft, stage)
    if stage.reason != fact.reason:
        draft.put(stage.but(reason=fact.reason))


def attempt_started(draft: Draft, fact: m.AttemptStarted) -> None:
    found = open_attempt(draft, fact)
    if found is None or found[1].state not in (A.INTENDED, A.SUBMITTED):
        return
    mark_running(draft, found[0], fact.node, fact)


def mark_running(draft: Draft, stage: Stage, node: str, fact: m.AttemptStarted | None) -> Stage:
    attempt = stage.attempts[-1]
    started = fact.started if fact is not None else draft.now
    started = min(max(started, attempt.made), draft.now)  # by the clock of its node, which may be wrong
    if attempt.state is A.INTENDED:
        stage = mark_submitted(draft, stage)
    stage = draft.move_attempt(stage, A.RUNNING, node=node, started=started)
    withdrawn = "" if stage.stop == "withdraw" else stage.stop  # it was quicker: it runs on
    stage = draft.move(stage, StageState.RUNNING, reason=None, stop=withdrawn, started=stage.started or started)
    draft.note("attempt_started", stage, node)
    if len(stage.attempts) == 1:
        waited = (started - stage.queued).total_seconds()
        draft.note("stage_started", stage, node, automatic=stage.automatic, waited=waited)
    return stage


def attempt_out_of_contact(draft: Draft, fact: m.AttemptOutOfContact) -> None:
    found = open_attempt(draft, fact)
    if found is None or found[1].state not in (A.SUBMITTED, A.RUNNING):
        return
    stage, attempt = found
    if attempt.out_of_contact is None:
        stage = with_attempt(stage, attempt.but(out_of_contact=draft.now))
        stage = draft.put(stage.but(reason=Reason(kind="contact", text=fact.text)))
        draft.note("out_of_contact", stage, fact.text)


def attempt_in_contact(draft: Draft, fact: m.AttemptInContact) -> None:
    found = open_attempt(draft, fact)
    if found is not None and found[1] is not draft.project.stages[fact.stage].attempt:
        draft.put(found[0])  # newer than anything known: remembered, so that an older report stays without effect
    if found is not None and found[1].out_of_contact is not None:
        stage = draft.put(with_attempt(found[0], found[1].but(out_of_contact=None)).but(reason=None))
        draft.note("in_contact", stage)


def attempt_ended(draft: Draft, fact: m.AttemptEnded) -> None:
    stage = draft.project.stages.get(fact.stage)
    attempt = stage.attempt if stage is not None else None
    # No index here: how an attempt ended is settled once, on the share, and holds whoever says it and when.
    if stage is not None and attempt is not None and attempt.number == fact.attempt and attempt.state is not A.ENDED:
        if fact.node and not attempt.node:
            stage = with_attempt(stage, attempt.but(node=fact.node))
        conclude(draft, stage, fact.outcome)


def conclude(draft: Draft, stage: Stage, outcome: Outcome) -> None:
    """The newest attempt has ended: the stage ends with it, or is tried again."""
    if (outcome.started is not None or outcome.succeeded) and stage.attempts[-1].state is not A.RUNNING:
        if stage.attempts[-1].state is A.PREPARING:
            stage = draft.move_attempt(stage, A.INTENDED)
        began = outcome.started or draft.now
        started = m.AttemptStarted(stage=stage.number, attempt=len(stage.attempts), started=began)
        stage = mark_running(draft, stage, stage.attempts[-1].node, started)
    elif stage.attempts[-1].state is A.INTENDED and outcome.cause is Cause.REJECTED:
        stage = mark_submitted(draft, stage)
    stage = draft.move_attempt(stage, A.ENDED, outcome=outcome, out_of_contact=None)
    draft.note("attempt_ended", stage, outcome.message, cause=outcome.cause.value, code=outcome.code)
    at = end_of(stage.attempts[-1], outcome, draft.now)
    if outcome.succeeded:
        results, problems = expand.typed_results(stage.definition, outcome.results)
        said = "; ".join(filter(None, [outcome.message, *problems]))
        end_stage(draft, stage.but(stop=""), StageState.SUCCEEDED, said, at, results=results)
    elif stage.stop in ("terminate", "kill"):
        who = f" by {stage.stop_actor}" if stage.stop_actor else ""
        end_stage(draft, stage, StageState.STOPPED, f"stopped{who}", at)
    elif outcome.cause is Cause.CANCELLED:
        requeue(draft, stage, delay=0.0)
    elif left(stage, outcome.cause) > 0:
        requeue(draft, stage, delay=stage.definition.retry.delay, why=describe(stage, outcome))
    else:
        results, _ = expand.typed_results(stage.definition, outcome.results)
        end_stage(draft, stage, StageState.FAILED, describe(stage, outcome), at, results=results)


def end_of(attempt: Attempt, outcome: Outcome, now: datetime) -> datetime:
    """When its process ended, which may be hours before anybody was there to see it. Only the length is taken from
    its node's clock, which may be wrong."""
    if attempt.started is None or outcome.started is None or outcome.ended is None:
        return now
    return min(max(attempt.started + (outcome.ended - outcome.started), attempt.started), now)


def left(stage: Stage, cause: Cause) -> int:
    """How many more attempts the retry policy allows after this one."""
    category = RETRIED_AS.get(cause)
    if category is None:
        return 0
    retry: Retry = stage.definition.retry
    used = sum(1 for a in stage.attempts if a.outcome is not None and RETRIED_AS.get(a.outcome.cause) == category)
    return int(getattr(retry, category)) - used + 1


def requeue(draft: Draft, stage: Stage, delay: float, why: str = "") -> None:
    """`why`: how the attempt before ended; who can mend that may do so before the next one."""
    retry_at = draft.now + timedelta(seconds=delay) if delay else None
    said = f"; {shortened(why)}" if why else ""
    text = f"attempt {len(stage.attempts) + 1} follows{said}"
    reason = Reason(kind="retry", text=text, until=retry_at) if retry_at else None
    stage = draft.move(stage, StageState.QUEUED, retry_at=retry_at, reason=reason, operation=None, stop="", held=False)
    draft.note("stage_requeued", stage, reason.text if reason else "")


def describe(stage: Stage, outcome: Outcome) -> str:
    """How an attempt ended, in words."""
    name, more = stage.definition.id, f": {outcome.message}" if outcome.message else ""
    match outcome.cause:
        case Cause.EXIT if outcome.signal:
            text = f"{name} was ended by signal {outcome.signal}{called(outcome.signal)}"
        case Cause.EXIT:
            text = f"{name} ended with exit code {outcome.code}"
        case Cause.TIMEOUT:
            limit = stage.overrides.timeout or stage.definition.timeout
            text, more = f"{name} ran longer than its {span(limit)}" if limit else f"{name} ran too long", ""
        case Cause.OUT_OF_MEMORY:
            resources = stage.overrides.resources or stage.definition.resources
            most, used = resources.memory_max or resources.memory, outcome.peak_memory_bytes
            text, more = f"{name} used all of its {size(most)} of memory", ""
            if used > most:
                text += f" and more: {size(used)}"
        case Cause.EXEC_FAILED:
            text = f"{name} could not be started"
        case Cause.RUNNER_LOST if outcome.started is None and stage.attempts[-1].started is None:
            text = f"{name} could not be started on its node"
        case Cause.RUNNER_LOST:
            text = f"{name} was killed together with its runner"
        case Cause.NODE_LOST | Cause.SUPERSEDED:
            text = f"the node of {name} was lost"
        case Cause.STOPPED | Cause.KILLED:
            text = f"{name} was ended from outside"
        case Cause.REJECTED:
            text = f"{name} cannot be run"
        case _:
            text = f"{name} could not get its workspace"
    tries = f" (attempt {len(stage.attempts)})" if len(stage.attempts) > 1 else ""
    return f"{text}{tries}{more}"


def called(number: int) -> str:
    """` (SIGKILL)`; empty: it has no name here."""
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""


def span(seconds: float) -> str:
    """As it was written: 12 h, 90 min, 45 s."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


def shortened(text: str) -> str:
    """For a line on a screen; the whole of it stands at the attempt."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def stop_sent(draft: Draft, fact: m.StopSent) -> None:
    found = open_attempt(draft, fact)
    if found is None or order(found[1].stop_sent) >= order(fact.how):
        return
    stage = with_attempt(found[0], found[1].but(stop_sent=fact.how))
    draft.put(stage.but(stop="") if fact.how == "withdraw" and stage.stop == "withdraw" else stage)


def stage_sealed(draft: Draft, fact: m.StageSealed) -> None:
    if fact.stage in draft.project.sealing:
        draft.set(sealing={n: s for n, s in draft.project.sealing.items() if n != fact.stage})


def effect_parked(draft: Draft, fact: m.EffectParked) -> None:
    found = open_attempt(draft, fact)
    if found is not None and found[0].reason != fact.reason:
        draft.put(found[0].but(reason=fact.reason))


def is_due(stage: Stage, now: datetime) -> bool:
    """A retry that is further away than its delay was set by a clock that was put back since."""
    delay = timedelta(seconds=stage.definition.retry.delay)
    return stage.retry_at is not None and not now < stage.retry_at <= now + delay


def timer_fired(draft: Draft, _: m.TimerFired) -> None:
    for stage in list(draft.project.stages.values()):
        if stage.state is StageState.QUEUED and stage.retry_at is not None and is_due(stage, draft.now):
            draft.put(stage.but(retry_at=None, reason=None))


def files_given(draft: Draft, _: m.FilesGiven) -> None:
    if not draft.project.given:
        draft.set(given=True)
        draft.note("files_given", None)
