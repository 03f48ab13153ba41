"""The journals of a project on the share: how they lie there, how they are read, and what state their lines
add up to. Reading and pure computing; only the mirror writes.

    projects/<id>/journal/<epoch>.jsonl     lines of core.journal.Line, one writer per file
    projects/<id>/project.json              the state they add up to, for people, and for lack of a line

Lines stay plain JSON values until the end: a rebuild reads hundreds of thousands of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage
from winslow_nomad.resources.work import unreadable

FORMAT = 1
TAIL = 256 * 1024  # bytes; more than most lines
NEEDED = ("format", "project", "version", "head", "pipeline")

RawLine = Mapping[str, Any]


@dataclass(slots=True)
class Folded:
    """The state after `version` lines. Keys of the maps are stage numbers."""

    project: str
    version: int = 0
    epoch: int = 0
    time: str = ""
    head: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    pipelines: dict[str, Any] = field(default_factory=dict)  # digest -> pipeline; the present one at least
    stages: dict[int, Any] = field(default_factory=dict)
    sealing: dict[int, Any] = field(default_factory=dict)
    ended: dict[int, Any] = field(default_factory=dict)
    read: dict[int, tuple[Any, EndedStage]] = field(default_factory=dict, repr=False, compare=False)

    def apply(self, line: RawLine) -> None:
        """Go on by the line of the next version, or by one that is `whole`: it says all there is."""
        if line.get("whole"):
            self.stages, self.sealing, self.ended = {}, {}, {}
        self.version, self.epoch, self.time = line["version"], line.get("epoch", 0), line.get("time", "")
        self.head, self.digest = line["head"], line["pipeline"]
        text = line.get("pipeline_text")
        if text is not None:
            self.pipelines = {self.digest: json.loads(text)}
        for name in ("stages", "sealing", "ended"):
            getattr(self, name).update({record["number"]: record for record in line.get(name, ())})
        for number in line.get("removed", ()):
            self.stages.pop(number, None)
        for number in line.get("sealed", ()):
            self.sealing.pop(number, None)

    def to_project(self) -> Project:
        """Raises ValueError where the records are not ones this Winslow can read."""
        if self.digest not in self.pipelines:
            raise ValueError("the pipeline's text is missing")
        return Project.model_validate(
            {
                **self.head,
                "pipeline": Pipeline.model_validate(self.pipelines[self.digest]),
                "stages": dict(sorted(self.stages.items())),
                "sealing": dict(sorted(self.sealing.items())),
                "ended": {number: self._ended(number) for number in sorted(self.ended)},
            }
        )

    def _ended(self, number: int) -> EndedStage:
        """Read once: an ended stage never changes, and there may be thousands."""
        record = self.ended[number]
        known = self.read.get(number)
        if known is None or known[0] is not record:
            known = self.read[number] = (record, EndedStage.model_validate(record))
        return known[1]

    def to_cache(self) -> bytes:
        """project.json: what people look for comes first, one key to a line."""
        try:
            state = self.to_project().state.value
        except ValueError:
            state = "unknown"
        values = {
            "format": FORMAT,
            "project": self.project,
            "name": self.head.get("name", ""),
            "state": state,
            "version": self.version,
            "epoch": self.epoch,
            "time": self.time,
            "values": self.head.get("values", {}),
            "head": self.head,
            "stages": list(self.stages.values()),
            "sealing": list(self.sealing.values()),
            "ended": list(self.ended.values()),
            "digest": self.digest,
            "pipeline": self.pipelines.get(self.digest),
        }
        rows = (f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
        return ("{\n" + ",\n".join(rows) + "\n}\n").encode("utf-8", "surrogatepass")


def read_cache(path: Path, project: str) -> Folded | None:
    """project.json. None: not there, or not one of ours."""
    try:
        raw = json.loads(path.read_bytes())
        if raw["project"] != project or raw["pipeline"] is None:
            return None
        folded = Folded(project, raw["version"], raw["epoch"], raw["time"], raw["head"], raw["digest"])
        folded.pipelines[folded.digest] = raw["pipeline"]
        for name in ("stages", "sealing", "ended"):
            setattr(folded, name, {record["number"]: record for record in raw[name]})
        return folded
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def files(folder: Path) -> list[tuple[int, Path]]:
    """The journals of a project, lower epochs first."""
    try:
        found = [(p.stem, p) for p in folder.iterdir() if p.suffix == ".jsonl"]
    except FileNotFoundError:
        return []
    return sorted((int(stem), path) for stem, path in found if stem.isdecimal())


def read_lines(data: bytes, project: str) -> tuple[list[RawLine], int]:
    """The lines of one file, and how many are torn or not of this project. A torn last one counts as well."""
    lines: list[RawLine] = []
    torn = 0
    for text in data.split(b"\n"):
        if not text.strip(b"\0 \r\t"):
            continue
        try:
            line = json.loads(text)
            if line["project"] != project or not isinstance(line["version"], int) or any(k not in line for k in NEEDED):
                raise ValueError
            lines.append(line)
        except (ValueError, KeyError, TypeError):
            torn += 1
    return lines, torn


def merge(lines: Iterable[RawLine]) -> dict[int, RawLine]:
    """One line for each version. `lines` by epoch of their file, then as they stand in it.

    The same line twice counts once (a mirror that was cut off repeats what it had in hand). Within one
    history the epoch of lines never falls as versions rise. Where it does, the store was put back to an
    earlier state in between: the higher epoch counts, and what the lower one has from there on is void."""
    merged: dict[int, RawLine] = {}
    for line in lines:
        version, epoch = line["version"], line.get("epoch", 0)
        known = merged.get(version)
        if known is None or known.get("epoch", 0) < epoch:
            merged[version] = line
        elif known.get("epoch", 0) == epoch and known != line:  # the store was put back without a new epoch
            for void in [v for v, other in merged.items() if v > version and other.get("epoch", 0) <= epoch]:
                del merged[void]
            merged[version] = line
    newest = 0
    for version in sorted(merged):
        epoch = merged[version].get("epoch", 0)
        if epoch < newest:
            del merged[version]
        newest = max(newest, epoch)
    return merged


def fold(lines: Mapping[int, RawLine], start: Folded) -> Folded:
    """Go on from `start` as far as versions follow one another; a line that is `whole` needs none before it."""
    whole = sorted(v for v, line in lines.items() if line.get("whole") and v > start.version + 1)
    while True:
        line = lines.get(start.version + 1)
        while line is None and whole:
            version = whole.pop(0)
            line = lines[version] if version > start.version else None
        if line is None:
            return start
        start.apply(line)


def highest_epoch(root: Path) -> int:
    """Of all journals on the share at `root`: whatever is committed after a store was put back to an earlier
    state must have a higher one. Reads the end of each project's newest journal. Raises ShareUnavailable."""
    try:
        return _highest_epoch(root)
    except OSError as error:
        raise unreadable(root, error) from error


def _highest_epoch(root: Path) -> int:
    highest = 0
    try:
        projects = list((root / "projects").iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return 0
    for project in projects:
        for epoch, path in files(project / "journal")[-1:]:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - TAIL))
                lines, _ = read_lines(file.read(), project.name)
                if not lines:
                    lines, _ = read_lines(path.read_bytes(), project.name)
            highest = max([highest, epoch, *(line.get("epoch", 0) for line in lines)])
    return highest
