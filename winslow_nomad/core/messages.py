"""Everything that can happen to a project. Commands are imperative and may be refused; facts are in the
past tense and never raise: a late, repeated or older one changes nothing. All survive JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from winslow_nomad.core.allowance import Allowance
from winslow_nomad.core.images import Image
from winslow_nomad.core.model import Value
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Keeping, Member
from winslow_nomad.core.stage import EnvironmentValue, Outcome, Overrides, Reason

Grid = dict[str, tuple[str, ...]]


class Command(Value):
    actor: str = ""


class CreateProject(Command):
    kind: Literal["create_project"] = "create_project"
    project: str
    name: str
    pipeline: Pipeline
    driver: str = "local"
    values: dict[str, str] = {}
    secrets: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    priority: int = Field(default=50, ge=0, le=100)
    participants: tuple[Member, ...] = ()
    sweeps: dict[str, Grid] = {}
    start: bool = False


class StartProject(Command):
    """Make the first stages, or whatever the graph lacks now; also ends a pause."""

    kind: Literal["start_project"] = "start_project"


class PauseProject(Command):
    """Takes effect after the running stages; what only waits at the driver is withdrawn."""

    kind: Literal["pause_project"] = "pause_project"
    text: str = ""


class ResumeProject(Command):
    """single: start one stage, then pause again."""

    kind: Literal["resume_project"] = "resume_project"
    single: bool = False


class EnqueueStage(Command):
    """Any stage definition at any time (jump forward, blueprint), alone or as a sweep. `after` names the
    stages it continues from; empty: the newest that succeeded."""

    kind: Literal["enqueue_stage"] = "enqueue_stage"
    id: str
    after: tuple[int, ...] = ()
    overrides: Overrides = Overrides()
    sweep: Grid = {}
    sweep_workspace: Literal["", "separate", "shared", "nested"] = ""
    max_running: int | None = Field(default=None, ge=1)
    comment: str = ""
    pause_after: bool = False
    at_once: bool = False  # beside what is already lined up, not behind it
    resume: bool = True  # ends a pause


class RedoStage(Command):
    """The same step again in the same lineage; its own overrides are kept unless replaced."""

    kind: Literal["redo_stage"] = "redo_stage"
    stage: int
    overrides: Overrides = Overrides()
    sweep: Grid = {}
    sweep_workspace: Literal["", "separate", "shared", "nested"] = ""
    max_running: int | None = Field(default=None, ge=1)
    comment: str = ""
    pause_after: bool = False
    at_once: bool = False
    resume: bool = True


class ChangeQueued(Command):
    kind: Literal["change_queued"] = "change_queued"
    stage: int
    overrides: Overrides | None = None
    comment: str | None = None
    pause_after: bool | None = None


class RemoveQueued(Command):
    """A queued stage is taken back; it leaves no record but the history entry."""

    kind: Literal["remove_queued"] = "remove_queued"
    stage: int


class Reorder(Command):
    """Queued stages of the project in their new order; those not named keep theirs, behind."""

    kind: Literal["reorder"] = "reorder"
    stages: tuple[int, ...]


class SkipStage(Command):
    """A queued stage does not run; what follows goes on. For a failed or stopped one a skipped execution is added."""

    kind: Literal["skip_stage"] = "skip_stage"
    stage: int


class StopStage(Command):
    kind: Literal["stop_stage"] = "stop_stage"
    stage: int
    kill: bool = False


class StopProject(Command):
    """Stop everything and pause."""

    kind: Literal["stop_project"] = "stop_project"
    kill: bool = False


class StopSweep(Command):
    """Make no more of its stages; running ones are stopped as well when `running`."""

    kind: Literal["stop_sweep"] = "stop_sweep"
    sweep: int
    running: bool = False


class AnswerGate(Command):
    """confirm: go, skip, stop. condition: go (run it), skip. values: go with `values`. choice: go with `stage`."""

    kind: Literal["answer_gate"] = "answer_gate"
    gate: str
    answer: Literal["go", "skip", "stop"] = "go"
    values: dict[str, str] = {}
    stage: int = 0


class ChooseOfSweep(Command):
    """The stage of a sweep with which the project goes on; may be given again for another."""

    kind: Literal["choose_of_sweep"] = "choose_of_sweep"
    sweep: int
    stage: int


class PauseAfter(Command):
    """The project pauses when the named stage (queued, running, or not made yet) has succeeded."""

    kind: Literal["pause_after"] = "pause_after"
    id: str
    on: bool = True


class SetValues(Command):
    """None removes a value. Stages that are already prepared keep what they have."""

    kind: Literal["set_values"] = "set_values"
    values: dict[str, str | None]


class SetSecrets(Command):
    """References `secret:<id>` by name; None takes one away. Stages that are already prepared keep what they have."""

    kind: Literal["set_secrets"] = "set_secrets"
    secrets: dict[str, str | None]


class EditPipeline(Command):
    """Replace the project's own copy. `expected_version` guards against another person's edit."""

    kind: Literal["edit_pipeline"] = "edit_pipeline"
    pipeline: Pipeline
    expected_version: int | None = None


class AddComment(Command):
    kind: Literal["add_comment"] = "add_comment"
    text: str
    stage: int = 0


class Describe(Command):
    """Name, tags, priority, author, participants, what its stages may use at the same time, how long its files stay:
    None leaves as it is."""

    kind: Literal["describe"] = "describe"
    name: str | None = None
    tags: tuple[str, ...] | None = None
    priority: int | None = Field(default=None, ge=0, le=100)
    author: str | None = None
    participants: tuple[Member, ...] | None = None
    limit: Allowance | None = None
    keep: Keeping | None = None


class TrashProject(Command):
    """Stops what runs; the files go to the trash when nothing runs any more."""

    kind: Literal["trash_project"] = "trash_project"


class RestoreProject(Command):
    kind: Literal["restore_project"] = "restore_project"


class Fact(Value):
    """epoch: the controller's lease under which a sweep saw it; 0: seen directly."""

    epoch: int = 0


class Admitted(Fact):
    """admit chose this stage to start now, with its environment resolved from `version` of the project."""

    kind: Literal["admitted"] = "admitted"
    stage: int
    installation: tuple[EnvironmentValue, ...] = ()


class HeldBack(Fact):
    """Why a queued stage was not admitted."""

    kind: Literal["held_back"] = "held_back"
    stage: int
    reason: Reason


class BecameImpossible(Fact):
    kind: Literal["became_impossible"] = "became_impossible"
    stage: int
    text: str


class BecamePossible(Fact):
    kind: Literal["became_possible"] = "became_possible"
    stage: int


class OfAttempt(Fact):
    stage: int
    attempt: int
    index: int = 0  # the driver's modify index; older than the one applied changes nothing


class ImagePinned(OfAttempt):
    """What the name of its image stands for from now on, for this attempt and those after it."""

    kind: Literal["image_pinned"] = "image_pinned"
    image: Image


class ImageUnusable(OfAttempt):
    """Its image cannot be had, until somebody mends something. Nothing was made for the attempt, nothing submitted."""

    kind: Literal["image_unusable"] = "image_unusable"
    code: str
    text: str


class WorkspaceBegun(OfAttempt):
    kind: Literal["workspace_begun"] = "workspace_begun"
    operation: str


class WorkspaceReady(OfAttempt):
    kind: Literal["workspace_ready"] = "workspace_ready"


class WorkspaceFailed(OfAttempt):
    """for_ever: the source is gone or unreadable. Otherwise (disk full ...) the stage waits and it is tried again."""

    kind: Literal["workspace_failed"] = "workspace_failed"
    text: str
    for_ever: bool = False


class AttemptAccepted(OfAttempt):
    kind: Literal["attempt_accepted"] = "attempt_accepted"
    driver: str = ""


class AttemptRejected(OfAttempt):
    kind: Literal["attempt_rejected"] = "attempt_rejected"
    text: str


class AttemptWaits(OfAttempt):
    kind: Literal["attempt_waits"] = "attempt_waits"
    reason: Reason


class AttemptStarted(OfAttempt):
    kind: Literal["attempt_started"] = "attempt_started"
    node: str = ""
    started: datetime


class AttemptOutOfContact(OfAttempt):
    kind: Literal["attempt_out_of_contact"] = "attempt_out_of_contact"
    text: str


class AttemptInContact(OfAttempt):
    kind: Literal["attempt_in_contact"] = "attempt_in_contact"


class AttemptEnded(OfAttempt):
    """`node`: where it was to run, also if it never started there; empty: not known."""

    kind: Literal["attempt_ended"] = "attempt_ended"
    outcome: Outcome
    node: str = ""


class StopSent(OfAttempt):
    """The stop was carried as far as the driver; its end is still to come."""

    kind: Literal["stop_sent"] = "stop_sent"
    how: Literal["withdraw", "terminate", "kill"]


class StageSealed(Fact):
    kind: Literal["stage_sealed"] = "stage_sealed"
    stage: int


class FilesGiven(Fact):
    """The project has a folder of files for its first stages."""

    kind: Literal["files_given"] = "files_given"


class EffectParked(OfAttempt):
    """An effect could not be carried out now (driver away, share full ...); it stays outstanding."""

    kind: Literal["effect_parked"] = "effect_parked"
    reason: Reason


class TimerFired(Fact):
    """Time has passed: retries that are due, patience that has run out."""

    kind: Literal["timer_fired"] = "timer_fired"


AnyCommand = Annotated[
    CreateProject | StartProject | PauseProject | ResumeProject | EnqueueStage | RedoStage | ChangeQueued | RemoveQueued
    | Reorder | SkipStage | StopStage | StopProject | StopSweep | AnswerGate | ChooseOfSweep | PauseAfter | SetValues
    | SetSecrets | EditPipeline | AddComment | Describe | TrashProject | RestoreProject,
    Field(discriminator="kind"),
]  # fmt: skip
AnyFact = Annotated[
    Admitted | HeldBack | BecameImpossible | BecamePossible | ImagePinned | ImageUnusable
    | WorkspaceBegun | WorkspaceReady | WorkspaceFailed
    | AttemptAccepted | AttemptRejected | AttemptWaits | AttemptStarted | AttemptOutOfContact | AttemptInContact
    | AttemptEnded | StopSent | StageSealed | FilesGiven | EffectParked | TimerFired,
    Field(discriminator="kind"),
]  # fmt: skip
Message = AnyCommand | AnyFact
COMMANDS: TypeAdapter[AnyCommand] = TypeAdapter(AnyCommand)
FACTS: TypeAdapter[AnyFact] = TypeAdapter(AnyFact)


class Entry(Value):
    """One line of a project's history: what a commit changed, for journal, live updates and statistics.

    `what` is a stable word (stage_queued, stage_started, stage_ended, gate_opened, gate_answered, paused,
    resumed, attempt_ended, ...); `stage` and `attempt` 0 where there is none; `data` small and JSON."""

    what: str
    stage: int = 0
    id: str = ""
    attempt: int = 0
    text: str = ""
    data: dict[str, str | int | float | bool | None] = {}
