"""What waits for a person, as lines that can be answered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from pydantic import Field

from winslow_nomad.api.views.base import Answer, example
from winslow_nomad.core.rows import Summary


class InboxItem(Answer):
    """kind: a gate (confirm, values, condition, choice), a failure, or a stage that no node could hold. `show`: files
    below the project's stages that help to decide. `version`: of the project; send it as If-Match."""

    project: str
    name: str
    version: int
    author: str
    pipeline: str
    tags: list[str]
    kind: Literal["confirm", "values", "condition", "choice", "failure", "impossible"]
    gate: str = Field(default="", description="id of the gate, for answering")
    stage: int = 0
    id: str = ""
    sweep: int = 0
    text: str
    cause: str = ""
    missing: list[str] = []
    show: list[str] = []
    since: datetime


class Inbox(Answer):
    """The newest first. `next`: give it as `after`; empty: there is no more."""

    items: list[InboxItem]
    next: str

    model_config = example(
        items=[{"project": "pk3m8x2w9qf4t", "name": "Neckartor, 17 Nov 07:30", "version": 12, "author": "mara",
                "pipeline": "traffic", "tags": [], "kind": "confirm", "gate": "g1", "stage": 3, "id": "track",
                "text": "Start track?", "show": ["0002-detect/output/preview.jpg"], "since": "2026-11-24T09:12:00Z"}],
        next="",
    )  # fmt: skip


def items(row: Summary) -> Iterator[InboxItem]:
    """The newest first."""
    common = {
        "project": row.id,
        "name": row.name,
        "version": row.version,
        "author": row.author,
        "pipeline": row.pipeline,
        "tags": list(row.tags),
    }
    found = [
        InboxItem(
            **common, kind=g.kind, gate=g.id, stage=g.stage, id=_step(row, g.stage), sweep=g.sweep, text=g.question,
            missing=list(g.missing), show=list(g.show), since=g.since,
        )
        for g in row.gates
    ]  # fmt: skip
    pause = row.pause
    if pause is not None and pause.kind == "failure":
        failures = [
            InboxItem(**common, kind="failure", stage=f.stage, id=f.id, text=f.message, cause=f.cause, since=f.since)
            for f in row.failures
        ]
        plain = InboxItem(**common, kind="failure", stage=pause.stage, text=pause.text, since=pause.since)
        found += failures or [plain]
    if pause is not None and pause.kind == "impossible":
        found.append(
            InboxItem(
                **common, kind="impossible", stage=pause.stage, id=_step(row, pause.stage), text=pause.text,
                since=pause.since,
            )
        )  # fmt: skip
    yield from sorted(found, key=lambda i: i.since, reverse=True)


def _step(row: Summary, stage: int) -> str:
    return row.current.id if row.current is not None and row.current.stage == stage else ""
