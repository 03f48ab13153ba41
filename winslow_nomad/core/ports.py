"""The doors to the outside, as small Protocols. Implemented by outer layers, faked in tests by
implementations that pass the same contract suites."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Literal, Protocol

from winslow_nomad.core.decision import Decision
from winslow_nomad.core.inventory import Inventory
from winslow_nomad.core.model import Record, Value
from winslow_nomad.core.pipeline import HEARTBEAT, Placement, Resources
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Outcome, Reason


class Clock(Protocol):
    def now(self) -> datetime:
        """UTC, with tzinfo."""
        ...


class AttemptRef(Value):
    """Names an attempt everywhere: `<project>/<stage number>/<attempt number>`."""

    project: str
    stage: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.project}/{self.stage:04d}/{self.attempt}"

    @classmethod
    def parse(cls, text: str) -> AttemptRef:
        project, stage, attempt = text.rsplit("/", 2)
        return cls(project=project, stage=int(stage), attempt=int(attempt))


class AttemptSpec(Record):
    """All a driver needs to start an attempt. The attempt's directory is complete on the share before
    (command, environment, control=run, workspace/, output/, log/). `fingerprint` settles "already there". Drivers
    keep it while an attempt runs."""

    ref: AttemptRef
    stage_id: str
    directory: str  # the attempt's, relative to the share's root
    workspace: str  # relative to the share's root; usually <directory>/workspace
    image: str
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    resources: Resources
    placement: Placement
    timeout: float | None
    stop_grace: float
    run_as: Literal["winslow", "image"]
    priority: int
    pipeline_folder: str | None  # relative to the share's root
    stages: dict[str, str]  # name below /stages -> directory relative to the share's root
    previous_node: str
    installation: str
    fingerprint: str
    starts_in: str = ""  # where the process starts, in the container; empty: its workspace
    heartbeat: float = HEARTBEAT  # seconds between two of them
    avoid: tuple[str, ...] = ()  # nodes that failed earlier attempts of it: taken only where no other will do


class Observation(Value):
    """What a driver says about one attempt now.

    waiting: accepted, not placed (reason). running: claimed and alive. ended: `outcome` is final.
    out_of_contact: its node cannot be asked; it may live. absent: the driver does not know it, which is
    never an outcome by itself. `index` grows with every report of that driver about that attempt."""

    ref: AttemptRef
    phase: Literal["waiting", "running", "ended", "out_of_contact", "absent"]
    index: int = 0
    node: str = ""
    reason: Reason | None = None
    started: datetime | None = None
    outcome: Outcome | None = None
    text: str = ""


class Driver(Protocol):
    """Runs attempts. Every call is idempotent; DriverUnavailable: try again, DriverRejected: never."""

    name: str

    def submit(self, spec: AttemptSpec) -> Observation:
        """Create-only: the same spec again answers what is there; another spec under the same ref is rejected."""
        ...

    def stop(self, ref: AttemptRef, how: Literal["terminate", "kill"]) -> None:
        """Ask for its end. An unknown attempt is not an error."""
        ...

    def observe(self, refs: Iterable[AttemptRef]) -> list[Observation]:
        """One observation for each ref, in order."""
        ...

    def follow(self, report: Callable[[Observation], None], stopping: Callable[[], bool]) -> None:
        """Report changes as they come until `stopping()`; may miss any, repeat any, and reorder them."""
        ...

    def inventory(self) -> Inventory: ...

    def forget(self, ref: AttemptRef) -> None:
        """The end is recorded: what the driver still keeps of it may go."""
        ...


LogStream = Literal["out", "err", "index"]


class Spool(Protocol):
    """The log of one attempt as its runner keeps it on the node until the share has it (docs/runner.md): the same
    bytes at the same places; beginnings that the share has long had may be gone."""

    def sizes(self) -> dict[LogStream, int] | None:
        """Bytes; None: there is no spool any more. Raises DriverUnavailable."""
        ...

    def size(self, stream: LogStream) -> int | None:
        """Of one; None: as above."""
        ...

    def read(self, stream: LogStream, offset: int, count: int) -> bytes:
        """At most `count` bytes. Raises DriverUnavailable."""
        ...


class Heartbeat(Value):
    """`counter` grows while the runner lives; never judged by times of another machine."""

    counter: int
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    progress: float | None = None


class Attempts(Protocol):
    """The attempt directories on the share (layout: design of the share, docs/architecture)."""

    def prepare(self, project: Project, stage: int, attempt: int) -> str | None:
        """Make directory, workspace, command, environment. None: it is ready. Else the id of the
        operation that copies the workspace. Idempotent. Raises ShareUnavailable, or Refused (code
        workspace.source_gone) when it can never be made."""
        ...

    def image(self, project: Project, stage: int) -> str:
        """The name of a stage's image, with its variables filled in. Raises Refused."""
        ...

    def spec(self, project: Project, stage: int, attempt: int) -> AttemptSpec: ...

    def cancel(self, ref: AttemptRef, outcome: Outcome | None = None) -> Outcome | None:
        """Try to make the claim. An outcome (cause cancelled, or what end.json says): nothing can ever
        run any more. None: a runner has it. `outcome`: what to publish instead of "cancelled", for an attempt
        that failed before any runner could claim it."""
        ...

    def claim_of(self, ref: AttemptRef) -> bytes | None:
        """What the claim holds; None: there is none. May be seen half written."""
        ...

    def control(self, ref: AttemptRef, word: Literal["run", "terminate", "kill", "superseded"]) -> None: ...

    def end(self, ref: AttemptRef) -> Outcome | None:
        """What end.json says, with the results file; None: not ended."""
        ...

    def publish_end(self, ref: AttemptRef, outcome: Outcome) -> Outcome:
        """Publish an end on behalf of a runner that cannot; answers the one that counts (first wins)."""
        ...

    def complete_log(self, ref: AttemptRef, spool: Spool) -> bool:
        """Bring to the share what a runner that was killed has left behind. False: there is nothing any more. May be
        done twice; only before the end is published."""
        ...

    def heartbeat(self, ref: AttemptRef) -> Heartbeat | None:
        """The newest heartbeat; None: there is none yet."""
        ...

    def seal(self, project: Project, stage: int) -> None:
        """Write stage.json, links and the output view. Idempotent; what is there is never rewritten."""
        ...


class Change(Value):
    """What one commit did, as it is journaled and streamed."""

    project: str
    version: int
    applied: bool  # False: nothing to change (a late or repeated fact), or this idempotency key was used before


class Store(Protocol):
    """State and queue. The one way to change a project is `change`."""

    def load(self, project: str) -> Project | None: ...

    def change(
        self,
        project: str,
        decide: Callable[[Project | None], Decision],
        *,
        key: str = "",
        request: str = "",
        actor: str = "",
        epoch: int = 0,
        quiet: bool = False,
    ) -> tuple[Project, Change]:
        """load -> decide -> commit, again on conflict. `decide` may be called several times. `epoch`: of the
        controller's lease, for what a sweep saw; refused (Conflict lease.lost) when a newer one is held. `key`: an
        idempotency key, with the hash of the request; repeating answers what was answered (another
        request under the same key: Conflict). quiet: the caller looks at the project again by itself, so no
        doorbell is rung; the dirty mark is set all the same. Raises what `decide` raises, OutcomeUnknown,
        StoreUnavailable."""
        ...

    def ring(self, project: str) -> None: ...

    def projects(self) -> Sequence[str]: ...

    def dirty(self) -> Sequence[str]:
        """Projects with outstanding effects, those waiting longest first."""
        ...
