"""What has become of an attempt, told from Nomad's documents of its job, the claim and end.json.

The order of judgement was measured on a real cluster. end.json wins over everything. Nomad tells where an
attempt is placed, and about ends where no runner could speak; that is never a success, whatever Nomad calls
it: `complete` is also what a stopped, a drained and a timed-out task is, `failed` what docker's own restart
makes of a container that works on. Absence is never an outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from winslow_nomad.core.model import Value
from winslow_nomad.core.ports import AttemptRef, Observation
from winslow_nomad.core.stage import Cause, Outcome, Reason
from winslow_nomad.driver.nomad.claim import Claim
from winslow_nomad.driver.nomad.job import TASK

Document = Mapping[str, Any]
Phase = Literal["waiting", "running", "over", "out_of_contact", "absent"]

ENDING = "the end is being written"
STARTING = "is being started"
_ENDED_INDEX = 2 * 10**15
_STARTED_INDEX = 10**15  # a later phase has the higher index; below it, Nomad's own index decides


class Verdict(Value):
    """`over`: Nomad will do nothing more for it; cause and message are for an end that no runner has written.
    `allocation`: the one that counts; `others`: of the same job, to be ended with it. `alive`: its process may
    still be at work, so that nothing else may take its place. `started`: the node's clock."""

    phase: Phase
    index: int = 0
    allocation: str = ""
    node: str = ""
    node_id: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    cause: Cause | None = None
    message: str = ""
    text: str = ""
    others: tuple[str, ...] = ()

    def end(self) -> Outcome | None:
        """To be published on behalf of a runner that will not: once the share has answered for a grace time that
        there is no end.json (at once where no runner ever started). None: it is not over."""
        if self.phase != "over" or self.cause is None:
            return None
        return Outcome(cause=self.cause, message=self.message, started=self.started, ended=self.ended)


def judge(job: Document | None, allocations: Sequence[Document], claim: Claim | None) -> Verdict:
    """`job`: as it stands in the list of jobs, on the stream, or read alone; None: Nomad does not know it.
    `allocations`: all that the job ever had, in any order. `claim`: None where nobody has claimed the attempt."""
    indexes = [_int(d.get("ModifyIndex")) for d in (*allocations, *([job] if job else []))]
    index = 2 * max(indexes, default=0) + (claim is not None and claim.kind != "unreadable")
    known = sorted(allocations, key=lambda a: (_int(a.get("CreateIndex")), str(a.get("ID"))))
    if claim is not None and claim.kind == "cancelled":
        ids = tuple(str(a.get("ID")) for a in known)
        return Verdict(phase="over", index=index, cause=Cause.CANCELLED, message="cancelled before it started", others=ids)
    stopped = job is None or bool(job.get("Stop")) or (job.get("Status") == "dead" and not known)
    owner = claim.owner if claim is not None and claim.kind == "runner" else ""
    mine = next((a for a in known if a.get("ID") == owner), None)
    if mine is None and owner and known:
        ids = tuple(str(a.get("ID")) for a in known)
        text = "the allocation that runs it is not known to Nomad any more"
        return Verdict(phase="out_of_contact", index=index, text=text, others=ids)
    if mine is None and known:
        mine = max(known, key=lambda a: (_PREFERENCE[_sight(a)], -_int(a.get("CreateIndex"))))
    if mine is None:
        return Verdict(phase="absent") if stopped else Verdict(phase="waiting", index=index)
    verdict = _of_one(mine, claim if owner else None, stopped)
    others = tuple(str(a.get("ID")) for a in known if a is not mine)
    return verdict.but(index=index, others=others)


def observation(ref: AttemptRef, verdict: Verdict, end: Outcome | None, reason: Reason | None = None) -> Observation:
    """`end`: what end.json says; `reason`: why it waits, where Nomad has placed it nowhere yet."""
    if end is not None:
        index = _ENDED_INDEX + verdict.index
        node = "" if end.cause is Cause.CANCELLED else verdict.node
        return Observation(ref=ref, phase="ended", index=index, node=node, started=end.started, outcome=end)
    where = {"ref": ref, "node": verdict.node}
    later = _STARTED_INDEX + verdict.index
    match verdict.phase:
        case "running":
            return Observation(**where, phase="running", index=later, started=verdict.started, text=verdict.text)
        case "over" if verdict.started is not None:
            return Observation(**where, phase="running", index=later, started=verdict.started, text=ENDING)
        case "over":
            reason = Reason(kind="busy", text=f"could not be started: {verdict.message}")
            return Observation(**where, phase="waiting", index=verdict.index, reason=reason)
        case "out_of_contact":
            return Observation(**where, phase="out_of_contact", index=later, started=verdict.started, text=verdict.text)
        case "waiting":
            reason = reason or Reason(kind="busy", text=verdict.text or STARTING)
            return Observation(**where, phase="waiting", index=verdict.index, reason=reason)
        case "absent":
            return Observation(ref=ref, phase="absent")


# --- one allocation

_Sight = Literal["running", "away", "pending", "over", "never"]
_PREFERENCE: dict[_Sight, int] = {"running": 5, "away": 4, "pending": 3, "over": 2, "never": 1}


def _sight(allocation: Document) -> _Sight:
    """away: it had started when contact was lost. never: it had not, and Nomad places it anew."""
    task = task_of(allocation)
    started = _started(task) is not None
    status = allocation.get("ClientStatus")
    if status in ("unknown", "lost"):
        return "away" if started else "never"
    if task.get("State") == "dead":
        return "away" if _broken_off(task) else "over"
    if started:
        return "running"
    return "over" if status in ("complete", "failed") else "pending"


def _of_one(allocation: Document, claim: Claim | None, stopped: bool) -> Verdict:
    task = task_of(allocation)
    node = str(allocation.get("NodeName") or "")
    began = _started(task) or (claim.time if claim is not None else None)
    seen: dict[str, Any] = {
        "allocation": str(allocation.get("ID")),
        "node": node,
        "node_id": str(allocation.get("NodeID") or ""),
        "started": began,
    }
    sight = _sight(allocation)
    lost = allocation.get("ClientStatus") in ("unknown", "lost")
    if lost and (sight == "away" or claim is not None or stopped):
        return Verdict(phase="out_of_contact", text=f"{node} is cut off from Nomad", **seen)
    if lost:
        return Verdict(phase="waiting", text=f"{node} was lost before it started there", **seen)
    if sight == "away":
        text = f"docker on {node} broke off, its container may still be at work"
        return Verdict(phase="out_of_contact", text=text, **seen)
    if sight == "running" or (sight == "pending" and claim is not None):
        return Verdict(phase="running", **seen)
    if sight == "pending":
        return Verdict(phase="waiting", text=f"{STARTING} on {node}", **seen)
    cause, message = _end_of(allocation, task, began is not None)
    return Verdict(phase="over", cause=cause, message=message, ended=_time(task.get("FinishedAt")), **seen)


def _end_of(allocation: Document, task: Document, started: bool) -> tuple[Cause, str]:
    node = str(allocation.get("NodeName") or "its node")
    why = _why_stopped(allocation, node)
    if not started:
        if why:
            return Cause.STOPPED, f"{why} before it started"
        return _not_started(task, node, str(allocation.get("ClientDescription") or ""))
    last = _last(task, "Terminated")
    details = _details(last)
    if details.get("oom_killed") == "true":
        return Cause.OUT_OF_MEMORY, "the container used all of its memory"
    code = f"its container ended with code {details['exit_code']}" if "exit_code" in details else "its container is gone"
    return Cause.RUNNER_LOST, f"{code}, and its runner left no record of the end" + (f"; {why}" if why else "")


def _why_stopped(allocation: Document, node: str) -> str:
    """By whom, where it was not by itself."""
    transition = allocation.get("DesiredTransition") or {}
    desired = allocation.get("DesiredStatus")
    if desired == "evict" or allocation.get("PreemptedByAllocation"):
        return "Nomad gave its place to a job of higher priority"
    if "max_run_duration" in str(allocation.get("ClientDescription") or ""):
        return "it was stopped by a time limit in Nomad"
    if transition.get("Migrate") and transition.get("MigrateDisablePlacement"):
        return f"{node} was drained"
    if transition.get("Migrate"):
        return "somebody stopped its allocation in Nomad"
    return "its job was stopped in Nomad" if desired == "stop" else ""


_FOR_EVER = ("not found", "manifest unknown", "does not exist", "no matching manifest", "denied", "unauthorized", "invalid reference")


def _not_started(task: Document, node: str, description: str) -> tuple[Cause, str]:
    for event in reversed(_events(task)):
        details = _details(event)
        error = next((details[k] for k in ("driver_error", "validation_error", "setup_error", "download_error") if details.get(k)), "")
        if not error:
            continue
        if "Failed to pull" in error and any(words in error.lower() for words in _FOR_EVER):
            return Cause.EXEC_FAILED, error
        if event.get("Type") == "Failed Validation":
            return Cause.EXEC_FAILED, f"docker on {node} does not take its configuration: {error}"
        return Cause.RUNNER_LOST, f"{node}: {error}"
    return Cause.RUNNER_LOST, f"{node}: {description or 'it never started, and nobody said why'}"


def _broken_off(task: Document) -> bool:
    """Docker itself went away: what it says about the end is no news of the container."""
    last = _last(task, "Terminated")
    details = _details(last)
    message = details.get("exit_message", "")
    ordinary = not message or message == "OOM Killed" or message.startswith("Docker container exited with non-zero exit code")
    return last is not None and details.get("oom_killed") != "true" and not ordinary


def task_of(allocation: Document) -> Document:
    """The state of its one task; empty before a client has reported any."""
    states = allocation.get("TaskStates") or {}
    return states.get(TASK) or next(iter(states.values()), None) or {}


def _events(task: Document) -> Sequence[Document]:
    return task.get("Events") or ()


def _last(task: Document, kind: str) -> Document | None:
    return next((e for e in reversed(_events(task)) if e.get("Type") == kind), None)


def _details(event: Document | None) -> Mapping[str, str]:
    return (event.get("Details") if event is not None else None) or {}


def _started(task: Document) -> datetime | None:
    """Only the last ten events are kept, so the field counts as well."""
    at = _time(task.get("StartedAt"))
    event = _last(task, "Started")
    return at or (datetime.fromtimestamp(_int(event.get("Time")) / 1e9, UTC) if event is not None else None)


def _time(text: Any) -> datetime | None:
    if not isinstance(text, str) or text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _int(found: Any) -> int:
    return found if isinstance(found, int) else 0
