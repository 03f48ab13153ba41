"""A stage as its project's page shows it: whatever state it is in, in one shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from winslow_nomad.api.views.base import Answer, example
from winslow_nomad.api.views.hidden import masked, masked_overrides
from winslow_nomad.core import said
from winslow_nomad.core.begins import Begin
from winslow_nomad.core.images import Image
from winslow_nomad.core.line import why
from winslow_nomad.core.lineage import counting
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import AttemptState, EndedStage, Outcome, Overrides, Reason, Result, Source, Stage


class AttemptView(Answer):
    """One try. `out_of_contact`: since when its node cannot be asked, while it may still work. `image`: what its name
    was found to stand for; null: no registry was asked, the name is used as it is."""

    number: int
    state: AttemptState
    driver: str = ""
    node: str = ""
    made: datetime
    started: datetime | None = None
    out_of_contact: datetime | None = None
    image: Image | None = None
    outcome: Outcome | None = None


class Percent(Answer):
    """What a running attempt has told last; nulls where it tells nothing."""

    percent: float | None = None
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    at: datetime | None = None


class Preparing(Answer):
    """How far its workspace is copied."""

    operation: str
    bytes_done: int = 0
    bytes_total: int = 0
    text: str = ""


class StageView(Answer):
    """`look`, `word` and `detail` are the state as people read it. `counts`: it is the execution of this step that the
    project's results come from; `stale`: it descends from one that no longer counts."""

    number: int
    id: str
    name: str = Field(description="its directory: 0001-detect")
    title: str = ""
    state: str
    look: str
    word: str
    detail: str = ""
    reason: Reason | None = None
    attempt: int = Field(default=0, description="number of its newest attempt; 0: there is none")
    attempts: list[AttemptView] = Field(default=[], description="of an open stage; an ended one has them in its record")
    node: str = ""
    queued: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    seconds: float | None = Field(default=None, description="that it ran, or runs by now")
    waited: float | None = Field(default=None, description="seconds between queued and started")
    expected: datetime | None = Field(default=None, description="likely end, by its progress or by history")
    begins: Begin | None = Field(default=None, description="when it is likely to start, where history can tell")
    progress: Percent | None = None
    preparing: Preparing | None = None
    results: dict[str, Result] = {}
    inputs: dict[str, int] = Field(default={}, description="the lineage: stage id -> number of the execution")
    gathered: dict[str, int] = {}
    source: Source | None = Field(default=None, description="what its workspace began with")
    sweep: int | None = None
    point: dict[str, str] = {}
    overrides: Overrides = Field(default=Overrides(), description="what a person changed for this run; secrets masked")
    comment: str = ""
    actor: str = ""
    automatic: bool = True
    redo_of: int | None = None
    turn: int = 1
    pause_after: bool = False
    held: bool = False
    stop: Literal["", "withdraw", "terminate", "kill"] = ""
    stop_actor: str = ""
    retry_at: datetime | None = None
    message: str = ""
    cause: str = Field(default="", description="why it did not succeed: exit, timeout, out_of_memory, node_lost ...")
    counts: bool = False
    stale: bool = False

    model_config = example(
        number=4, id="track", name="0004-track", state="running", look="running", word="running", attempt=1,
        node="alder", queued="2026-11-24T10:02:11Z", started="2026-11-24T10:18:00Z", seconds=11640.0, waited=949.0,
        inputs={"detect": 2}, turn=3,
    )  # fmt: skip


@dataclass(frozen=True)
class Beside:
    """What stages are shown with that is not in the project: progress, likely ends and likely starts by stage number,
    operations by id."""

    now: datetime
    progress: Mapping[int, Percent] = field(default_factory=dict)
    expected: Mapping[int, datetime] = field(default_factory=dict)
    operations: Mapping[str, Operation] = field(default_factory=dict)
    begins: Mapping[int, Begin] = field(default_factory=dict)


class Stages:
    """Views of the stages of one project."""

    def __init__(self, project: Project, beside: Beside) -> None:
        self._project = project
        self._beside = beside
        self._counting = {s.id: s.number for s in counting(project)}
        self._secret = project.pipeline.secrets.keys()

    def of(self, number: int) -> StageView | None:
        """None: there is no such stage."""
        found = self._project.stages.get(number) or self._project.ended.get(number)
        return self.view(found) if found is not None else None

    def newest_first(self, before: int = 0) -> list[int]:
        numbers = {*self._project.stages, *self._project.ended}
        return sorted((n for n in numbers if not before or n < before), reverse=True)

    def view(self, stage: Stage | EndedStage) -> StageView:
        told = said.of_stage(self._project, stage, self._beside.now)
        end = stage.ended or self._beside.now
        ran = (end - stage.started).total_seconds() if stage.started is not None else None
        began = stage.started or (None if stage.ended is not None else self._beside.now)
        waited = (began - stage.queued).total_seconds() if began is not None and stage.queued is not None else None
        kind = stage.definition.id if isinstance(stage, Stage) else stage.id
        definition = self._project.pipeline.by_id.get(kind)
        common: dict[str, Any] = {
            "number": stage.number,
            "id": kind,
            "name": stage.name,
            "title": definition.title if definition is not None else "",
            "state": stage.state.value,
            "look": told.look,
            "word": told.word,
            "detail": told.detail,
            "queued": stage.queued,
            "started": stage.started,
            "ended": stage.ended,
            "seconds": max(0.0, ran) if ran is not None else None,
            "waited": max(0.0, waited) if waited is not None else None,
            "results": stage.results,
            "inputs": stage.inputs,
            "gathered": stage.gathered,
            "source": stage.source,
            "sweep": stage.sweep,
            "point": masked(stage.point, self._secret),
            "overrides": masked_overrides(stage.overrides, self._secret),
            "comment": stage.comment,
            "actor": stage.actor,
            "automatic": stage.automatic,
            "redo_of": stage.redo_of,
            "turn": stage.turn,
            "message": stage.message,
            "stale": any(self._counting.get(i, n) > n for i, n in stage.inputs.items()),
        }
        if isinstance(stage, EndedStage):
            counts = self._counting.get(kind) == stage.number
            return StageView(**common, attempt=stage.attempt, node=stage.node, cause=stage.cause, counts=counts)
        last = stage.attempt
        operation = self._beside.operations.get(stage.operation or "")
        return StageView(
            **common,
            attempt=last.number if last is not None else 0,
            attempts=[AttemptView.model_validate(a.model_dump(exclude={"index", "stop_sent"})) for a in stage.attempts],
            node=last.node if last is not None else "",
            reason=why(self._project, stage, self._beside.now),
            expected=self._beside.expected.get(stage.number),
            begins=self._beside.begins.get(stage.number),
            progress=self._beside.progress.get(stage.number),
            preparing=_preparing(operation),
            pause_after=stage.pause_after,
            held=stage.held,
            stop=stage.stop,
            stop_actor=stage.stop_actor,
            retry_at=stage.retry_at,
        )


def _preparing(operation: Operation | None) -> Preparing | None:
    if operation is None:
        return None
    return Preparing(
        operation=operation.id,
        bytes_done=operation.bytes_done,
        bytes_total=operation.bytes_total,
        text=operation.text,
    )
