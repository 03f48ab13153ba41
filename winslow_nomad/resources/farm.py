"""`/stages`: what a stage sees of the stages before it. One entry for each stage of its own lineage; a
directory with one entry for each member, and index.json, where a whole sweep is gathered.

Plans only; `attempts` has it written, drivers with mounts use the plan itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, Stage
from winslow_nomad.resources import layout


@dataclass(frozen=True, slots=True)
class Farm:
    """`outputs`: name below /stages -> directory relative to the share's root. `indexes`: stage id -> text of
    its index.json."""

    outputs: dict[str, str] = field(default_factory=dict)
    indexes: dict[str, str] = field(default_factory=dict)


def plan(project: Project, stage: Stage, stages: str) -> Farm:
    """`stages`: the directory as the process will see it. Stages that did not run have no output."""
    farm = Farm()
    for name, number in sorted(stage.inputs.items()):
        ended = project.ended.get(number)
        if ended is not None and ended.attempt and name not in stage.gathered:
            farm.outputs[name] = _output(project, ended)
    for name, sweep in sorted(stage.gathered.items()):
        entries = []
        for member in _members(project, sweep):
            entry = f"{member.number:04d}"
            if member.attempt:
                farm.outputs[f"{name}/{entry}"] = _output(project, member)
            entries.append(
                {
                    "stage": member.number,
                    "state": member.state.value,
                    "values": member.point,
                    "results": member.results,
                    "output": f"{stages}/{name}/{entry}" if member.attempt else None,
                }
            )
        farm.indexes[name] = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    return farm


def _members(project: Project, sweep: int) -> Iterator[EndedStage]:
    for _, member in sorted(project.ended.items()):
        if member.sweep == sweep:
            yield member


def _output(project: Project, ended: EndedStage) -> str:
    return f"{layout.attempt_folder(layout.folder_of(project.id, ended), ended.attempt)}/output"
