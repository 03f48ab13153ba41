"""Making the store again from the share: every project from its journals, checked against what the ended
stages say themselves. Only reads the share; writing is the store's `restore`, which never goes back.

What cannot be restored is said in words, project by project; one that is damaged never keeps the others
from being restored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import ENDED, EndedStage
from winslow_nomad.resources import journals, names
from winslow_nomad.resources.journals import Folded, RawLine
from winslow_nomad.resources.work import require_share, unreadable


@dataclass(frozen=True)
class Rebuilt:
    """One project. `lost` and `notes` are sentences; `version` 0: nothing could be restored."""

    project: str
    version: int
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Report:
    projects: list[Rebuilt] = field(default_factory=list)
    epoch: int = 0  # the highest on the share: the store's next lease must have a higher one

    @property
    def restored(self) -> int:
        return sum(p.version > 0 for p in self.projects)

    @property
    def losses(self) -> list[Rebuilt]:
        return [p for p in self.projects if p.lost]


def rebuild(
    root: Path, restore: Callable[[Project], object], progress: Callable[[int, int], None] | None = None
) -> Report:
    """Restore all projects of the share at `root`. `restore` raises what the store raises, which ends it; it
    may be repeated. `progress`: (projects done, projects altogether)."""
    require_share(root)
    try:
        return _rebuild(root, restore, progress)
    except OSError as error:  # of the share: what was restored stays, and repeating is harmless
        raise unreadable(root, error) from error


def _rebuild(root: Path, restore: Callable[[Project], object], progress: Callable[[int, int], None] | None) -> Report:
    report = Report()
    folders = project_names(root)
    for number, name in enumerate(folders):
        project, rebuilt, epoch = read_project(root, name)
        report.epoch = max(report.epoch, epoch)
        if project is not None:
            restore(project)
        if rebuilt is not None:
            report.projects.append(rebuilt)
        if progress is not None:
            progress(number + 1, len(folders))
    return report


def project_names(root: Path) -> list[str]:
    try:
        return sorted(n for n in os.listdir(root / "projects") if not n.startswith("."))  # noqa: PTH208
    except FileNotFoundError:
        return []


def read_project(root: Path, name: str) -> tuple[Project | None, Rebuilt | None, int]:
    """The project, what is to be said of it, and the highest epoch of its journals. (None, None, 0) for a folder
    that is none of Winslow's projects."""
    folder = root / "projects" / name
    found = journals.files(folder / "journal")
    lines: list[RawLine] = []
    lost: list[str] = []
    notes: list[str] = []
    torn = 0
    for _, path in found:
        read, bad = journals.read_lines(path.read_bytes(), name)
        lines += read
        torn += bad
    epoch = max([0, *(e for e, _ in found), *(line.get("epoch", 0) for line in lines)])
    merged = journals.merge(lines)
    state = journals.fold(merged, Folded(name))
    cache = journals.read_cache(folder / "project.json", name)
    if cache is not None and cache.version > state.version and _agrees(cache, merged):
        notes.append(
            f"The journal ends at version {state.version}; version {cache.version} was taken from project.json."
        )
        state = journals.fold(merged, cache)
    beyond = [v for v in merged if v > state.version]
    if beyond:
        lost.append(
            f"The journal is damaged behind version {state.version}: {len(beyond)} later changes, up to version "
            f"{max(beyond)}, could not be restored."
        )
    elif torn:
        notes.append(f"{torn} unfinished lines of the journal were passed over; nothing is missing.")
    if not state.version:
        if not found and cache is None:
            return None, None, epoch
        sentence = (
            f"The journal of {names.shown(name)} has no beginning that can be read; the project was not restored."
        )
        return None, Rebuilt(name, 0, (*lost, sentence)), epoch
    _trust_stages(folder, state, lost, notes)
    try:
        project = state.to_project()
        if project.id != name:
            raise ValueError(f"it is the record of project {project.id}")
    except ValueError as error:
        sentence = f"The record of {names.shown(name)} cannot be read ({_first_line(error)}); it was not restored."
        return None, Rebuilt(name, 0, (*lost, sentence)), epoch
    return project, Rebuilt(name, state.version, tuple(lost), tuple(notes)), epoch


def _agrees(cache: Folded, merged: dict[int, RawLine]) -> bool:
    """No line says that the history went another way before the version of project.json."""
    return all(v > cache.version or line.get("epoch", 0) <= cache.epoch for v, line in merged.items())


def _trust_stages(folder: Path, state: Folded, lost: list[str], notes: list[str]) -> None:
    """stage.json is the truth about an ended stage: what the journal does not know yet is taken from it."""
    known = {**state.stages, **state.sealing}
    for directory, raw in _sealed(folder / "stages"):
        ended = ended_of(raw)
        if ended is None or ended.name != directory:
            notes.append(f"The record stages/{directory}/stage.json cannot be read; the journal was believed.")
            continue
        number = ended.number
        if number in known:
            state.stages.pop(number, None)
            state.sealing.pop(number, None)
            state.ended[number] = ended.model_dump(mode="json", exclude_defaults=True)
            notes.append(f"Stage {number} had {ended.state.value} by its own record; the journal did not know it yet.")
        elif number in state.ended:
            if state.ended[number].get("state") != ended.state.value:
                state.ended[number] = ended.model_dump(mode="json", exclude_defaults=True)
                notes.append(f"Stage {number} had {ended.state.value} by its own record, which counts.")
        else:
            state.ended[number] = ended.model_dump(mode="json", exclude_defaults=True)
            state.head = {**state.head, "next_number": max(int(state.head.get("next_number", 1)), number + 1)}
            lost.append(f"Of stage {number} ({ended.id}) only its own record was found, not how it came about.")
    for number, record in state.stages.items():
        for attempt in record.get("attempts", ()):
            directory = f"{number:04d}-{record['definition']['id']}"
            end = folder / "stages" / directory / "attempts" / str(attempt["number"]) / "end.json"
            if attempt.get("outcome") is None and end.exists():
                notes.append(
                    f"Attempt {attempt['number']} of stage {number} has ended; it is taken up with the next sweep."
                )


def _sealed(stages: Path) -> Iterator[tuple[str, Any]]:
    try:
        listed = sorted(os.listdir(stages))  # noqa: PTH208 - names are wanted
    except (FileNotFoundError, NotADirectoryError):
        return
    for directory in listed:
        if directory == "0000":
            continue
        try:
            yield directory, json.loads((stages / directory / "stage.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except ValueError:
            yield directory, None


def ended_of(raw: Any) -> EndedStage | None:
    """The summary that the store keeps, out of a stage.json."""
    if not isinstance(raw, dict):
        return None
    try:
        fields = {k: raw[k] for k in EndedStage.model_fields if k in raw}
        ended = EndedStage.model_validate({**fields, "id": raw["definition"]["id"], "attempt": raw["counting_attempt"]})
    except (KeyError, TypeError, ValidationError):
        return None
    return ended if ended.state in ENDED else None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
