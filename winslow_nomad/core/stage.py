"""A stage and its attempts. The tables here are the only place that says which state may follow which."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from winslow_nomad.core.images import Image
from winslow_nomad.core.model import Record, Value
from winslow_nomad.core.pipeline import Resources, StageDefinition

Result = int | float | bool | str


class StageState(StrEnum):
    QUEUED = "queued"
    PREPARING = "preparing"
    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    SKIPPED = "skipped"


S = StageState
TRANSITIONS: dict[StageState, frozenset[StageState]] = {
    S.QUEUED: frozenset({S.PREPARING, S.STOPPED, S.SKIPPED, S.FAILED}),
    # back to queued: a retry after a delay, a pause that withdrew it, a workspace that could not be made
    S.PREPARING: frozenset({S.SUBMITTED, S.QUEUED, S.FAILED, S.STOPPED}),
    S.SUBMITTED: frozenset({S.RUNNING, S.QUEUED, S.SUCCEEDED, S.FAILED, S.STOPPED}),
    S.RUNNING: frozenset({S.QUEUED, S.SUCCEEDED, S.FAILED, S.STOPPED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset(),
    S.STOPPED: frozenset(),
    S.SKIPPED: frozenset(),
}
ENDED = frozenset(s for s, nexts in TRANSITIONS.items() if not nexts)
AT_DRIVER = frozenset({S.SUBMITTED, S.RUNNING})
ACTIVE = frozenset({S.PREPARING, S.SUBMITTED, S.RUNNING})


class AttemptState(StrEnum):
    """preparing: its directory is being made; intended: to be submitted; then what the driver says."""

    PREPARING = "preparing"
    INTENDED = "intended"
    SUBMITTED = "submitted"
    RUNNING = "running"
    ENDED = "ended"


A = AttemptState
ATTEMPT_TRANSITIONS: dict[AttemptState, frozenset[AttemptState]] = {
    A.PREPARING: frozenset({A.INTENDED, A.ENDED}),
    A.INTENDED: frozenset({A.SUBMITTED, A.RUNNING, A.ENDED}),
    A.SUBMITTED: frozenset({A.RUNNING, A.ENDED}),
    A.RUNNING: frozenset({A.ENDED}),
    A.ENDED: frozenset(),
}


class Cause(StrEnum):
    """Why an attempt ended. Those of the runner come first, word for word as in end.json."""

    EXIT = "exit"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    STOPPED = "stopped"
    KILLED = "killed"
    SUPERSEDED = "superseded"
    EXEC_FAILED = "exec_failed"
    RUNNER_LOST = "runner_lost"
    NODE_LOST = "node_lost"
    CANCELLED = "cancelled"  # Winslow took the claim: nothing ever ran
    REJECTED = "rejected"  # the driver refuses it for ever
    WORKSPACE = "workspace"  # its workspace could not be made, for ever


class Outcome(Record):
    """How an attempt ended. Times are UTC; sizes in bytes."""

    cause: Cause
    code: int | None = None
    signal: int | None = None
    message: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    results: dict[str, str] = {}

    @property
    def succeeded(self) -> bool:
        return self.cause is Cause.EXIT and self.code == 0


class Reason(Value):
    """Why something waits, for screens: a sentence, and what programs need to sort it."""

    kind: Literal[
        "line",
        "gate",
        "paused",
        "busy",
        "impossible",
        "driver_away",
        "share",
        "registry",
        "retry",
        "workspace",
        "limit",
        "contact",
    ]
    text: str
    ahead: int | None = None
    until: datetime | None = None
    code: str = ""  # of the error that says so, where there is one


class Attempt(Record):
    number: int
    state: AttemptState = AttemptState.PREPARING
    driver: str = ""
    node: str = ""
    made: datetime
    started: datetime | None = None
    index: int = 0  # the driver's modify index of the newest report applied
    out_of_contact: datetime | None = None
    stop_sent: Literal["", "withdraw", "terminate", "kill"] = ""
    image: Image | None = None  # None: nobody was asked, its name is used as it is
    outcome: Outcome | None = None


class Overrides(Value):
    """The layer "this run": what a person changed for one stage (and its sweep)."""

    values: dict[str, str] = {}
    environment: dict[str, str] = {}
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    image: str | None = None
    resources: Resources | None = None
    workspace: str | None = None  # previous | empty | a stage id | "#<stage number>"
    timeout: float | None = None


class EnvironmentValue(Value):
    """A variable with the layer it comes from; a secret holds only its reference `secret:<id>`."""

    name: str
    value: str
    origin: str
    secret: bool = False


class Source(Value):
    """What a workspace is copied from: nothing, the workspace of an ended stage, of a dead attempt of the
    same stage, or the files given before the first stage; or which sweep's workspace is used in place."""

    kind: Literal["empty", "stage", "attempt", "given", "sweep_shared", "sweep_nested"]
    number: int = 0  # stage, attempt or sweep number
    point: str = ""


class Stage(Record):
    """One open execution of a stage definition."""

    number: int
    definition: StageDefinition
    state: StageState = StageState.QUEUED
    overrides: Overrides = Overrides()
    inputs: dict[str, int] = {}  # stage id -> number: the lineage, what /stages/<id> shows
    gathered: dict[str, int] = {}  # stage id -> sweep number
    turn: int = 1
    order: float = 0.0
    automatic: bool = True
    actor: str = ""
    comment: str = ""
    redo_of: int | None = None
    sweep: int | None = None
    point: dict[str, str] = {}
    made: datetime
    queued: datetime
    started: datetime | None = None
    ended: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    environment: tuple[EnvironmentValue, ...] | None = None  # fixed when it is admitted
    folder: str | None = None  # of the pipeline, by digest: the code it runs; fixed together with the environment
    source: Source | None = None
    stop: Literal["", "withdraw", "terminate", "kill"] = ""
    stop_actor: str = ""
    held: bool = False  # prepared, and kept from the driver by a pause
    pause_after: bool = False
    confirmed: bool = False  # its gate was passed
    decided: bool | None = None  # a person's answer to a `when` that could not be computed
    retry_at: datetime | None = None
    operation: str | None = None  # the operation that makes its workspace
    reason: Reason | None = None
    results: dict[str, Result] = {}
    passed: bool = False  # skipped by a person: what follows goes on
    message: str = ""  # how it ended, in words

    @property
    def name(self) -> str:
        """Directory name: `0001-detect`."""
        return f"{self.number:04d}-{self.definition.id}"

    @property
    def attempt(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None


class EndedStage(Record):
    """What Redis keeps of an ended stage; the whole record is stage.json on the share."""

    number: int
    id: str
    state: StageState
    inputs: dict[str, int] = {}
    gathered: dict[str, int] = {}
    turn: int = 1
    attempt: int = 0  # number of its last attempt; 0: none ran
    source: Source | None = None
    redo_of: int | None = None
    sweep: int | None = None
    point: dict[str, str] = {}
    overrides: Overrides = Overrides()
    results: dict[str, Result] = {}
    node: str = ""
    queued: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    passed: bool = False
    message: str = ""
    automatic: bool = True
    actor: str = ""
    comment: str = ""  # its beginning
    cause: str = ""  # of a failure

    @property
    def name(self) -> str:
        return f"{self.number:04d}-{self.id}"
