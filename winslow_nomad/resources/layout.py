"""Where everything lies on the share: pure path arithmetic, relative to its root, with `/` between parts.

Ids and numbers are checked here, so that no text from outside can become a path: whatever passes has no
`/`, no leading dot and no sign that a shell or a terminal would take for something else. Touches no file.
"""

from __future__ import annotations

import re

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.lineage import point_name
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, Stage

MARK = "winslow.json"  # tells the share from the empty directory that it is mounted over
INPUTS = "inputs"
GIVEN = "stages/0000/workspace"
LIBRARY = "pipelines/library"  # no digest is called so

_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
_STAGE = re.compile(r"[a-z][a-z0-9_]{0,99}\Z")
_DIGEST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_PIPELINE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}\Z")
_POINT = re.compile(r"[\w=,-][\w=,.-]{0,199}\Z")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}\Z")
_DIRECTORY = re.compile(r"([0-9]{4,9})-([a-z][a-z0-9_]{0,99})\Z")
ARCHITECTURES = ("amd64", "arm64")
RUNNER = "winslow-run"


def _checked(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.match(text):
        raise Invalid(f"{text[:80]!r} cannot be {what}; no file was touched.", code="layout.name")
    return text


def _number(number: int, what: str) -> int:
    if not 0 < number < 10**9:
        raise Invalid(f"{number} cannot be the number of {what}; no file was touched.", code="layout.name")
    return number


def project_folder(project: str) -> str:
    return f"projects/{_checked(_PROJECT, project, 'the id of a project')}"


def stage_folder(project: str, number: int, stage_id: str) -> str:
    name = f"{_number(number, 'a stage'):04d}-{_checked(_STAGE, stage_id, 'the id of a stage')}"
    return f"{project_folder(project)}/stages/{name}"


def parse_stage(name: str) -> tuple[int, str] | None:
    """Number and id of a directory such as `0001-detect`; None: it is none."""
    found = _DIRECTORY.match(name)
    return (int(found[1]), found[2]) if found else None


def folder_of(project: str, stage: Stage | EndedStage) -> str:
    stage_id = stage.definition.id if isinstance(stage, Stage) else stage.id
    return stage_folder(project, stage.number, stage_id)


def attempt_folder(stage: str, attempt: int) -> str:
    """`stage`: the stage's directory, as `stage_folder` gives it."""
    return f"{stage}/attempts/{_number(attempt, 'an attempt')}"


def given_folder(project: str) -> str:
    return f"{project_folder(project)}/{GIVEN}"


def sweep_folder(project: str, sweep: int) -> str:
    return f"{project_folder(project)}/sweeps/{_number(sweep, 'a sweep')}"


def workspace_folder(project: Project, stage: Stage | EndedStage, attempt: int) -> str:
    """The directory an attempt works in: its own, or the one that its sweep shares."""
    sweep = project.sweeps.get(stage.sweep) if stage.sweep is not None else None
    source = stage.source
    if source is not None and source.kind == "sweep_nested":
        point = _checked(_POINT, source.point, "a point of a sweep")
        return f"{sweep_folder(project.id, source.number)}/workspace/{point}"
    if source is not None and source.kind == "sweep_shared":
        return f"{sweep_folder(project.id, source.number)}/workspace"
    if sweep is not None and sweep.workspace == "shared":
        return f"{sweep_folder(project.id, sweep.number)}/workspace"
    if sweep is not None and sweep.workspace == "nested":
        point = _checked(_POINT, point_name(stage.point), "a point of a sweep")
        return f"{sweep_folder(project.id, sweep.number)}/workspace/{point}"
    return f"{attempt_folder(folder_of(project.id, stage), attempt)}/workspace"


def pipeline_folder(digest: str) -> str:
    return f"pipelines/{_checked(_DIGEST, digest, 'the digest of a pipeline folder')}"


def library_folder(name: str) -> str:
    """Of a pipeline that is kept under a name. A space is written as `+`, which no name has."""
    return f"{LIBRARY}/{_checked(_PIPELINE, name, 'the name of a pipeline').replace(' ', '+')}"


def runner_file(version: str, architecture: str) -> str:
    if architecture not in ARCHITECTURES:
        raise Invalid(f"There is no runner for {architecture[:40]!r}.", code="layout.name")
    return f"bin/{_checked(_VERSION, version, 'a version')}/{architecture}/{RUNNER}"


def link_from(folder: str, target: str) -> str:
    """The relative text of a link that lies in `folder` and leads to `target`, both below the root."""
    here, there = folder.split("/"), target.split("/")
    common = 0
    while common < min(len(here), len(there)) and here[common] == there[common]:
        common += 1
    return "/".join([*[".."] * (len(here) - common), *there[common:]])
