"""The record of an ended stage, and what leads to its files. Each step can be repeated; stage.json comes
last, is published once and is never rewritten, whatever anybody computes later.
"""

from __future__ import annotations

import json
import os
import stat as modes
import time
from pathlib import Path
from typing import Any

from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EnvironmentValue, Stage
from winslow_nomad.resources import layout, scribe, views
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.scribe import Scribe, Step

FORMAT = 1
MANIFEST_FILES = 5000
MANIFEST_SECONDS = 1.0
MASK = "********"


class Sealing:
    def __init__(self, writer: Scribe, reader: Reader) -> None:
        self._write = writer
        self._read = reader

    def seal(self, project: Project, stage: Stage) -> None:
        """Raises ShareUnavailable; what was done stays and is done no second time."""
        folder = layout.folder_of(project.id, stage)
        sealed = "stage.json" in self._read.names(folder)
        steps = [] if sealed else self._record(project, stage, folder)
        steps += self._secrets_left(stage, folder)
        steps += views.steps(project, self._read)
        if steps:
            self._write.perform(steps, f"stage {stage.name} was not sealed")

    def _secrets_left(self, stage: Stage, folder: str) -> list[Step]:
        """Runners take their `environment` away once it is read; those that were killed before could not, nor could
        a writer that was killed while it wrote one."""
        directories = [layout.attempt_folder(folder, a.number) for a in stage.attempts]
        return [
            scribe.unlink(f"{directory}/{name}")
            for directory in directories
            for name in self._read.names(directory)
            if name == "environment" or name.startswith(".environment.")
        ]

    def _record(self, project: Project, stage: Stage, folder: str) -> list[Step]:
        steps = [scribe.mkdir(folder)]
        attempt = counting_attempt(project, stage)
        manifest = None
        if attempt:
            there = self._read.names(layout.attempt_folder(folder, attempt))
            for name in ("workspace", "output", "log"):
                if name in there:
                    steps.append(scribe.symlink(f"{folder}/{name}", f"attempts/{attempt}/{name}"))
            output = f"{layout.attempt_folder(folder, attempt)}/output"
            root = self._read.root / output
            manifest = self._read.call(lambda: survey(root), output, MANIFEST_SECONDS + 2)
        text = json.dumps(record(project, stage, attempt, manifest), indent=1, ensure_ascii=False)
        steps.append(scribe.publish(f"{folder}/stage.json", text.encode("utf-8", "backslashreplace").decode() + "\n"))
        return steps


def counting_attempt(project: Project, stage: Stage) -> int:
    """The attempt whose files are the stage's: its last. 0: none ever ran."""
    ended = project.ended.get(stage.number)
    return ended.attempt if ended is not None else 0


def record(project: Project, stage: Stage, attempt: int, manifest: dict[str, Any] | None) -> dict[str, Any]:
    """What stage.json says."""
    fields = stage.model_dump(mode="json", exclude={"environment"})
    return {
        "format": FORMAT,
        "project": {"id": project.id, "name": project.name, "author": project.author, "driver": project.driver},
        "pipeline": {"name": project.pipeline.name, "folder": stage.folder},
        "name": stage.name,
        **fields,
        "environment": [masked(v) for v in stage.environment or ()],
        "counting_attempt": attempt,
        "node": stage.attempts[-1].node if stage.attempts else "",
        "output": manifest,
    }


def masked(value: EnvironmentValue) -> dict[str, Any]:
    """A secret is named, never shown; not even its reference."""
    shown = value.model_dump(mode="json")
    return {**shown, "value": MASK} if value.secret else shown


def survey(output: Path) -> dict[str, Any]:
    """Paths and sizes of an output; `complete` is False where there was too much of it to look at."""
    files: list[dict[str, Any]] = []
    total = 0
    deadline = time.monotonic() + MANIFEST_SECONDS
    line = [""]
    complete = True
    while line and complete:
        folder = line.pop()
        try:
            entries = sorted(os.scandir(output / folder), key=lambda e: e.name)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            complete = False
            break
        for entry in entries:
            if len(files) >= MANIFEST_FILES or time.monotonic() > deadline:
                complete = False
                break
            path = f"{folder}/{entry.name}" if folder else entry.name
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if modes.S_ISDIR(found.st_mode):
                line.append(path)
            else:
                total += found.st_size
                files.append({"path": path, "bytes": found.st_size})
    return {"files": files, "bytes": total, "complete": complete}
