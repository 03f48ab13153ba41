"""The lines that every commit leaves behind, and how a project is made again from them. No I/O.

A line holds the whole head and every stage record its commit changed, so that the lines of a project,
from its first, are the project. Readers ignore what they do not know."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from winslow_nomad.core.messages import Entry
from winslow_nomad.core.model import Record
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, Stage

FORMAT = 1


class Line(Record):
    """One commit. `epoch`: the controller's lease in force; the same version under a higher epoch replaces
    the lower one. `pipeline` is a digest; its text comes with the first line that names it. `removed` and
    `sealed` are numbers that left `stages` and `sealing`."""

    format: int
    epoch: int
    project: str
    version: int
    time: datetime
    actor: str = ""
    entries: tuple[Entry, ...] = ()
    head: dict[str, Any]
    pipeline: str
    pipeline_text: str | None = None
    stages: tuple[Stage, ...] = ()
    removed: tuple[int, ...] = ()
    sealing: tuple[Stage, ...] = ()
    sealed: tuple[int, ...] = ()
    ended: tuple[EndedStage, ...] = ()


def read_line(text: str | bytes) -> Line:
    """Raises ValueError for a line that is torn or not one of ours."""
    return Line.model_validate_json(text)


def replay(lines: Iterable[Line]) -> Project | None:
    """The project after the highest version that can be reached from version 1 without a gap. Lines may come
    in any order and repeatedly; of two with the same version the higher epoch counts. None: no first line."""
    newest: dict[int, Line] = {}
    for line in lines:
        known = newest.get(line.version)
        if known is None or line.epoch > known.epoch:
            newest[line.version] = line
    pipelines: dict[str, Pipeline] = {}
    stages: dict[int, Stage] = {}
    sealing: dict[int, Stage] = {}
    ended: dict[int, EndedStage] = {}
    last: Line | None = None
    version = 1
    while version in newest:
        line = newest[version]
        if line.pipeline_text is not None:
            pipelines[line.pipeline] = Pipeline.model_validate_json(line.pipeline_text)
        stages.update({s.number: s for s in line.stages})
        sealing.update({s.number: s for s in line.sealing})
        ended.update({e.number: e for e in line.ended})
        for number in line.removed:
            stages.pop(number, None)
        for number in line.sealed:
            sealing.pop(number, None)
        last, version = line, version + 1
    if last is None:
        return None
    head = Project.model_validate({**last.head, "pipeline": pipelines[last.pipeline]})
    return head.but(
        stages=dict(sorted(stages.items())),
        sealing=dict(sorted(sealing.items())),
        ended=dict(sorted(ended.items())),
    )
