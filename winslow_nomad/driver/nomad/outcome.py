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
from winslow_nomad.driver.claim import Claim
from winslow_nomad.driver.nomad.job import TASK
from winslow_nomad.driver.nomad.pulls import explained

Document = Mapping[str, Any]
Phase = Literal["waiting", "running", "over", "out_of_contact", "absent"]

ENDING = "the end is being written"
STARTING = "is being started"
_ENDED_INDEX = 2 * 10**15
_STARTED_INDEX = 10**15  # a later phase has the higher index; within one, Nomad's own index decides
MESSAGE = 600  # characters of what Nomad says

_ERRORS = ("driver_error", "validation_error", "setup_error", "download_error")
_LOST = "alloc is lost"
_ORDINARY = "Docker container exited with non-zero exit code"
_CODES = {  # of the runner itself
    "90": "it was started a second time there, which its claim refused",
    "125": "its runner could not work there",
}


class Verdict(Value):
    """`over`: Nomad does nothing more for it; cause and message are for an end that no runner has written.
    `allocation`: the id of the one that counts; `others`: of the same job, which are to end with it. `started`,
    `ended`: by the node's clock."""

    phase: Phase
    index: int = 0
    allocation: str = ""
    node: str = ""
    node_id: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    cause: Cause = Cause.RUNNER_LOST
    message: str = ""
    text: str = ""
    wanted_by: str = ""  # who else than Winslow wanted its end, in words
    others: tuple[str, ...] = ()

    def end(self, answered: float, grace: float) -> Outcome | None:
        """What is to be published for a runner that never will. `answered`: for how many seconds now the share has
        said that there is no end.json, since this was over. A container that never started needs no grace. Whoever
        publishes it writes `superseded` first, so that a process that is there after all ends."""
        if self.phase != "over" or (self.started is not None and answered < grace):
            return None
        return Outcome(cause=self.cause, message=self.message, started=self.started, ended=self.ended)


def judge(job: Document | None, allocations: Sequence[Document], claim: Claim | None) -> Verdict:
    """`job`: as it stands in the list of jobs, on the stream, or read alone; None: Nomad does not know it.
    `allocations`: all that the job ever had, in any order. `claim`: None where nobody has claimed the attempt."""
    known = sorted(allocations, key=lambda a: (_int(a.get("CreateIndex")), str(a.get("ID"))))
    claimed = claim is not None and claim.kind != "unreadable"
    index = 2 * max((_int(d.get("ModifyIndex")) for d in (*known, *([job] if job else []))), default=0) + claimed
    ids = tuple(str(a.get("ID")) for a in known)
    if claim is not None and claim.kind == "cancelled":
        text = "cancelled before it started"
        return Verdict(phase="over", index=index, cause=Cause.CANCELLED, message=text, others=ids)
    stopped = job is None or bool(job.get("Stop"))
    if not known:
        return Verdict(phase="absent") if stopped else Verdict(phase="waiting", index=index)
    if claim is not None and claim.kind == "runner":
        mine = next((a for a in known if a.get("ID") == claim.owner), None)
        if mine is None:
            text = "the allocation that runs it is not known to Nomad any more"
            return Verdict(phase="out_of_contact", index=index, started=claim.time, text=text, others=ids)
        verdict = _of_one(mine, stopped, claim)
    else:
        mine = max(known, key=lambda a: (_PREFERENCE[_sight(a)], -_int(a.get("CreateIndex"))))
        verdict = _of_one(mine, stopped)
    return verdict.but(index=index, others=tuple(i for i in ids if i != verdict.allocation))


def observation(ref: AttemptRef, verdict: Verdict, end: Outcome | None, reason: Reason | None = None) -> Observation:
    """`end`: what end.json says; a runner that was asked to end does not know by whom. `reason`: why it waits, where
    the verdict has nothing more to the point."""
    if end is not None:
        if end.cause is Cause.STOPPED and not end.message:
            end = end.but(message=verdict.wanted_by)
        index = _ENDED_INDEX + verdict.index
        node = "" if end.cause is Cause.CANCELLED else verdict.node
        return Observation(ref=ref, phase="ended", index=index, node=node, started=end.started, outcome=end)
    phase, text = verdict.phase, verdict.text
    if phase == "over" and verdict.started is not None:
        phase, text = "running", ENDING
    elif phase == "over":
        phase, text = "waiting", f"could not be started: {verdict.message}"
    if phase == "absent":
        return Observation(ref=ref, phase="absent")
    if phase == "waiting":
        told = Reason(kind="busy", text=text or STARTING) if text or reason is None else reason
        return Observation(ref=ref, phase="waiting", index=verdict.index, node=verdict.node, reason=told)
    return Observation.model_validate(
        {
            "ref": ref,
            "phase": phase,
            "index": _STARTED_INDEX + verdict.index,
            "node": verdict.node,
            "started": verdict.started,
            "text": text,
        }
    )


# --- one allocation

_Sight = Literal["running", "away", "pending", "over", "leaving", "nowhere"]
_PREFERENCE: dict[_Sight, int] = {"running": 5, "away": 4, "pending": 3, "over": 2, "leaving": 1, "nowhere": 0}


def _sight(allocation: Document) -> _Sight:
    """away: it had started when contact to it was lost. nowhere: it had not, and Nomad places it anew. leaving: it
    has not started, and is not to any more."""
    task = task_of(allocation)
    started = _started(task) is not None
    status = allocation.get("ClientStatus")
    if status in ("unknown", "lost"):
        return "away" if started else "nowhere"
    if not started and _was_given_up(allocation):
        return "nowhere"  # its node is back, and says that it is complete
    if task.get("State") == "dead":
        return "away" if _broken_off(task) else "over"
    if started:
        return "running"  # whatever Nomad calls it: only "dead" is
    if status in ("complete", "failed"):
        return "over"
    return "pending" if allocation.get("DesiredStatus", "run") == "run" else "leaving"


def _of_one(allocation: Document, stopped: bool, claim: Claim | None = None) -> Verdict:
    """`claim`: made by this allocation's runner."""
    task = task_of(allocation)
    node = str(allocation.get("NodeName") or "its node")
    started = _started(task) or (claim.time if claim is not None else None)
    seen: dict[str, Any] = {
        "allocation": str(allocation.get("ID")),
        "node": str(allocation.get("NodeName") or ""),
        "node_id": str(allocation.get("NodeID") or ""),
        "started": started,
        "wanted_by": "" if _by_its_job(allocation) else _why_stopped(allocation, node),
    }
    sight = _sight(allocation)
    if sight == "nowhere" and claim is None and not stopped:
        return Verdict(phase="waiting", text=f"{node} was lost before it started there", **seen)
    if allocation.get("ClientStatus") in ("unknown", "lost"):
        return Verdict(phase="out_of_contact", text=f"{node} is cut off from Nomad", **seen)
    if sight == "nowhere":
        sight = "over"
    if sight == "away":
        text = f"docker on {node} broke off; its container may still be at work"
        return Verdict(phase="out_of_contact", text=text, **seen)
    if sight == "running" or (sight != "over" and started is not None):
        return Verdict(phase="running", **seen)
    if sight == "pending":
        return Verdict(phase="waiting", **seen)
    if sight == "leaving":
        return Verdict(phase="waiting", text=f"{_why_stopped(allocation, node)} before it started", **seen)
    cause, message = _end_of(allocation, task, node) if started else _unstarted(allocation, task, node)
    message = " ".join(message.split())[:MESSAGE]
    return Verdict(phase="over", cause=cause, message=message, ended=_time(task.get("FinishedAt")), **seen)


def _end_of(allocation: Document, task: Document, node: str) -> tuple[Cause, str]:
    details = _details(_last(task, "Terminated"))
    if details.get("oom_killed") == "true":
        return Cause.OUT_OF_MEMORY, "its container used all of its memory"
    code = details.get("exit_code", "")
    said = _CODES.get(code) or (f"its container ended with code {code}" if code else "its container is gone")
    why = _why_stopped(allocation, node)
    return Cause.RUNNER_LOST, f"{said}, and no runner has left a record of the end" + (f"; {why}" if why else "")


def _unstarted(allocation: Document, task: Document, node: str) -> tuple[Cause, str]:
    why = _why_stopped(allocation, node)
    if why:
        return Cause.STOPPED, f"{why} before it started"
    for event in reversed(task.get("Events") or ()):
        error = next((e for name in _ERRORS if (e := _details(event).get(name))), "")
        if not error:
            continue
        if event.get("Type") == "Failed Validation":
            return Cause.EXEC_FAILED, f"docker on {node} does not take its configuration: {error}"
        pull = explained(error, node)
        if pull is not None:
            return pull.cause, pull.message
        return Cause.RUNNER_LOST, f"{node}: {error}"
    said = str(allocation.get("ClientDescription") or "")
    return Cause.RUNNER_LOST, f"{node}: {said or 'it never started, and nobody said why'}"


def _why_stopped(allocation: Document, node: str) -> str:
    """Who wanted its end; empty: nobody but itself."""
    transition = allocation.get("DesiredTransition") or {}
    desired, described = allocation.get("DesiredStatus"), str(allocation.get("DesiredDescription") or "")
    if desired == "evict" or allocation.get("PreemptedByAllocation"):
        return "Nomad gave its place to a job of higher priority"
    if "max_run_duration" in str(allocation.get("ClientDescription") or ""):
        return "a time limit in Nomad stopped it"
    if transition.get("Migrate") and transition.get("MigrateDisablePlacement"):
        return f"{node} was drained"
    if transition.get("Migrate"):
        return "somebody stopped its allocation in Nomad"
    if desired != "stop":
        return ""
    return "its job was stopped in Nomad" if _by_its_job(allocation) else f"Nomad says: {described or 'stop'}"


def _by_its_job(allocation: Document) -> bool:
    """As whenever Winslow stops it."""
    return "job update" in str(allocation.get("DesiredDescription"))


def _was_given_up(allocation: Document) -> bool:
    """Its node was lost, and Nomad places it anew, now or when there is room."""
    return allocation.get("DesiredStatus") == "stop" and _LOST in str(allocation.get("DesiredDescription"))


def _broken_off(task: Document) -> bool:
    """Docker itself went away: what it says about the end is no news of the container."""
    details = _details(_last(task, "Terminated"))
    message = details.get("exit_message", "")
    return bool(message) and details.get("oom_killed") != "true" and not message.startswith(_ORDINARY)


def task_of(allocation: Document) -> Document:
    """The state of its one task; empty before a client has reported any."""
    states = allocation.get("TaskStates") or {}
    return states.get(TASK) or next(iter(states.values()), None) or {}


def _last(task: Document, kind: str) -> Document | None:
    return next((e for e in reversed(task.get("Events") or ()) if e.get("Type") == kind), None)


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
