"""A project: one work item with its own copy of a pipeline, its stages, gates, failures and sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from winslow_nomad.core.allowance import FREE, Allowance
from winslow_nomad.core.model import Record, Value
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.stage import ACTIVE, EndedStage, Overrides, Stage, StageState


class ProjectState(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    QUEUED = "queued"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    IDLE = "idle"


class Gate(Record):
    """A point where the project waits for a person.

    confirm: may the stage start? values: names without a value; condition: a `when` that cannot be
    computed; choice: which stage of a sweep goes on (`sweep` set, `stage` 0)."""

    id: str
    kind: Literal["confirm", "values", "condition", "choice"]
    stage: int = 0
    sweep: int = 0
    question: str
    show: tuple[str, ...] = ()  # "<stage directory>/output/<path>" relative to stages/
    missing: tuple[str, ...] = ()
    since: datetime


class Failure(Record):
    stage: int
    id: str
    cause: str
    message: str
    since: datetime
    acknowledged: bool = False


class Pause(Record):
    """kind: who or what paused it. `impossible` ends by itself when a fitting node joins."""

    kind: Literal["person", "failure", "impossible", "pause_after"]
    text: str
    actor: str = ""
    stage: int = 0
    since: datetime
    code: str = ""  # of the error that is the reason, where there is one


class Sweep(Record):
    """Several stages over a grid of values, made lazily: point number `next` comes next."""

    number: int
    id: str  # stage definition
    grid: dict[str, tuple[str, ...]]
    next: int = 0
    total: int
    open: int = 0
    succeeded: int = 0
    failed: int = 0
    stopped: int = 0
    max_running: int
    on_failure: Literal["stop", "continue"]
    workspace: Literal["separate", "shared", "nested"] = "separate"
    overrides: Overrides = Overrides()
    inputs: dict[str, int] = {}
    gathered: dict[str, int] = {}
    turn: int = 1
    actor: str = ""
    comment: str = ""
    automatic: bool = False
    halted: bool = False  # makes no more stages
    closed: bool = False  # what follows it was made
    confirmed: bool = False
    redo_of: int | None = None


class Member(Value):
    user: str
    role: Literal["viewer", "member", "maintainer", "owner"] = "member"


class Keeping(Value):
    """How many days things of a project stay; None: as the installation says."""

    failed_days: float | None = Field(default=None, ge=0, le=36_500, description="workspaces of failed stages")
    superseded_days: float | None = Field(default=None, ge=0, le=36_500, description="superseded attempts")


class Comment(Record):
    actor: str
    text: str
    at: datetime
    stage: int = 0


class Project(Record):
    """The aggregate that `decide` changes. `pipeline` is stored once per content, open and ended stages
    under keys of their own; the head is what is left."""

    id: str
    version: int = 0
    name: str
    pipeline: Pipeline
    driver: str = "local"
    author: str = ""
    participants: tuple[Member, ...] = ()
    tags: tuple[str, ...] = ()
    priority: int = 50  # 0..100, higher first
    limit: Allowance = FREE
    keep: Keeping = Keeping()
    values: dict[str, str] = {}
    secrets: dict[str, str] = {}  # name -> "secret:<id>"
    planned_sweeps: dict[str, dict[str, tuple[str, ...]]] = {}  # stage id -> grid, used when it is first made
    given: bool = False  # there are files in stages/0000/workspace
    pause_after: tuple[str, ...] = ()  # stage ids, asked for by a person, used once
    comments: tuple[Comment, ...] = ()
    created: datetime
    updated: datetime
    trashed: datetime | None = None
    next_number: int = 1
    next_sweep: int = 1
    next_gate: int = 1
    next_turn: int = 1
    single: bool = False  # pause again after the next admission
    pause: Pause | None = None
    gates: tuple[Gate, ...] = ()
    failures: tuple[Failure, ...] = ()
    sweeps: Mapping[int, Sweep] = {}
    stages: Mapping[int, Stage] = Field(default_factory=dict)  # open
    sealing: Mapping[int, Stage] = Field(default_factory=dict)  # ended; stage.json not yet on the share
    ended: Mapping[int, EndedStage] = Field(default_factory=dict)

    @property
    def state(self) -> ProjectState:
        """By precedence: running > waiting > paused > queued > failed > succeeded > idle."""
        states = {s.state for s in self.stages.values()}
        if any(s.state in ACTIVE and not s.held for s in self.stages.values()):
            return ProjectState.RUNNING
        if self.gates:
            return ProjectState.WAITING
        if self.pause is not None:
            return ProjectState.PAUSED
        if StageState.QUEUED in states or any(self.unfinished(s) for s in self.sweeps.values()):
            return ProjectState.QUEUED
        if self.failures:
            return ProjectState.FAILED
        return ProjectState.SUCCEEDED if self._complete() else ProjectState.IDLE

    @staticmethod
    def unfinished(sweep: Sweep) -> bool:
        return not sweep.closed and not sweep.halted and sweep.next < sweep.total

    def _complete(self) -> bool:
        """Every last stage of the pipeline has succeeded or been skipped in its newest execution."""
        newest = {ended.id: ended.state for ended in self.ended.values()}
        last = [s.id for s in self.pipeline.stages if not self.pipeline.followers[s.id]]
        states = [newest.get(i) for i in last]
        return StageState.SUCCEEDED in newest.values() and all(
            s in (StageState.SUCCEEDED, StageState.SKIPPED) for s in states
        )
