"""The stable JSON of `--json`: one object per command, `format: 1`, described in docs/cli.md.

Times are UTC in ISO 8601, durations seconds, sizes bytes. Keys are only ever added within a format."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any

from winslow_nomad.cli import words
from winslow_nomad.core.begins import Begin
from winslow_nomad.core.client import Finding, Summary
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Gate, Project
from winslow_nomad.core.stage import EndedStage, Stage

FORMAT = 1


def put(content: dict[str, Any]) -> None:
    """Write the command's one object to stdout."""
    sys.stdout.write(json.dumps({"format": FORMAT, **content}, indent=2, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def time(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def project(
    found: Project,
    now: datetime,
    outputs: dict[int, PurePath] | None = None,
    begins: Mapping[int, Begin] | None = None,
) -> dict[str, Any]:
    said = words.of_project(found)
    every: dict[int, Stage | EndedStage] = {**found.ended, **found.sealing, **found.stages}
    return {
        "id": found.id,
        "name": found.name,
        "state": found.state.value,
        "reason": said.detail,
        "version": found.version,
        "pipeline": found.pipeline.name,
        "driver": found.driver,
        "author": found.author,
        "tags": list(found.tags),
        "priority": found.priority,
        "values": dict(found.values),
        "created": time(found.created),
        "updated": time(found.updated),
        "trashed": time(found.trashed),
        "pause": found.pause.model_dump(mode="json") if found.pause is not None else None,
        "gates": [gate(g) for g in found.gates],
        "failures": [f.model_dump(mode="json") for f in found.failures],
        "sweeps": [sweep.model_dump(mode="json", include=SWEEP) for _, sweep in sorted(found.sweeps.items())],
        "stages": [
            {**stage(found, s, now, outputs or {}), **begin_of((begins or {}).get(n))} for n, s in sorted(every.items())
        ],
    }


SWEEP = {"number", "id", "grid", "total", "next", "open", "succeeded", "failed", "stopped", "closed", "halted"}


def begin_of(found: Begin | None) -> dict[str, Any]:
    return {"begins": found.model_dump(mode="json") if found is not None else None}


def gate(found: Gate) -> dict[str, Any]:
    return found.model_dump(mode="json")


def stage(within: Project, found: Stage | EndedStage, now: datetime, outputs: dict[int, PurePath]) -> dict[str, Any]:
    said = words.of_stage(within, found, now)
    end = found.ended or now
    output = outputs.get(found.number)
    return {
        "number": found.number,
        "id": found.definition.id if isinstance(found, Stage) else found.id,
        "name": found.name,
        "state": found.state.value,
        "reason": said.detail if found.ended is None else "",
        "message": found.message,
        "queued": time(found.queued),
        "started": time(found.started),
        "ended": time(found.ended),
        "seconds": round((end - found.started).total_seconds(), 3) if found.started is not None else None,
        "attempts": len(found.attempts) if isinstance(found, Stage) else found.attempt,
        "node": (found.attempt.node if found.attempt else "") if isinstance(found, Stage) else found.node,
        "results": dict(found.results),
        "inputs": dict(found.inputs),
        "sweep": found.sweep,
        "point": dict(found.point),
        "redo_of": found.redo_of,
        "values": dict(found.overrides.values),
        "comment": found.comment if isinstance(found, Stage) else "",
        "output": str(output) if output is not None else None,
    }


def summary(found: Summary) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "state": found.state,
        "pipeline": found.pipeline,
        "author": found.author,
        "tags": list(found.tags),
        "updated": time(found.updated),
        "version": found.version,
    }


def findings(found: Iterable[Finding]) -> list[dict[str, Any]]:
    return [f.model_dump(mode="json") for f in found]


def pipeline(found: Pipeline) -> dict[str, Any]:
    return {
        "name": found.name,
        "title": found.title,
        "parameters": {
            n: {"kind": p.kind.value, "title": p.title, "default": p.default, "required": p.default is None}
            for n, p in found.parameters.items()
        },
        "secrets": {n: {"required": s.required} for n, s in found.secrets.items()},
        "stages": [{"id": s.id, "title": s.title, "needs": list(s.needs)} for s in found.stages],
        "folder": found.folder,
    }
