"""The library of pipelines as it is shown and written."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from winslow_nomad.api.problems import Place
from winslow_nomad.api.views.base import Answer, Request, example
from winslow_nomad.core.durations import Typical
from winslow_nomad.core.library import Example, Shelf, Version
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Member


class ShelfView(Answer):
    """`projects`: of those that the caller may see, how many have a copy. `succeeded`: which part of all its stages
    that ended by themselves."""

    name: str
    title: str
    description: str
    author: str
    participants: list[Member]
    newest: int
    stages: int
    made: datetime
    updated: datetime
    trashed: datetime | None
    projects: int
    succeeded: float | None
    may_edit: bool

    model_config = example(
        name="traffic", title="Vehicles in a street video", description="", author="mara", participants=[], newest=7,
        stages=6, made="2026-03-01T09:00:00Z", updated="2026-11-20T16:12:00Z", trashed=None, projects=19,
        succeeded=0.96, may_edit=True,
    )  # fmt: skip


class Shelves(Answer):
    items: list[ShelfView]

    model_config = example(items=[])


class VersionRow(Answer):
    number: int
    author: str
    made: datetime
    comment: str
    title: str
    stages: list[str]
    folder: str | None

    model_config = example(
        number=7, author="mara", made="2026-11-20T16:12:00Z", comment="fewer shadows", title="", stages=["detect"],
        folder=None,
    )  # fmt: skip


class Versions(Answer):
    """The newest first."""

    items: list[VersionRow]

    model_config = example(items=[])


class VersionView(VersionRow):
    """`text`: as it was written; `pipeline`: what was read."""

    name: str
    text: str
    pipeline: Pipeline

    model_config = example(
        name="traffic", number=7, author="mara", made="2026-11-20T16:12:00Z", comment="", title="", stages=["detect"],
        folder=None, text="winslow: 1\nname: traffic\n...", pipeline={"name": "traffic", "stages": []},
    )  # fmt: skip


class OneShelf(ShelfView):
    """With its newest version, and how its stages usually go."""

    version: VersionView
    typical: dict[str, Typical]

    model_config = example(name="traffic", newest=7, typical={"detect": {"median": 24120.0, "p90": 39900.0}})


class Published(Request):
    """`expected`: the newest version that its writer has seen, 0 for a new pipeline; 409 where there is another by now.
    `keep_folder`: the code beside the file stays that of the newest version."""

    text: str = Field(max_length=1_000_000)
    comment: str = Field(default="", max_length=500)
    expected: int | None = Field(default=None, ge=0)
    keep_folder: bool = True

    model_config = example(
        text="winslow: 1\nname: hello\nstages:\n  - {id: hello, image: busybox, command: [echo, hello]}\n",
        comment="a first version", expected=0,
    )  # fmt: skip


class Again(Request):
    """`expected`: the newest version that its writer has seen; 409 where there is another by now."""

    comment: str = Field(default="", max_length=500)
    expected: int | None = Field(default=None, ge=1)

    model_config = example(comment="version 3 again", expected=7)


class Sharing(Request):
    """Who may publish versions of it beside maintainers: its author, and participants with the role member or more."""

    author: str | None = Field(default=None, max_length=100)
    participants: list[Member] | None = Field(default=None, max_length=200)

    model_config = example(participants=[{"user": "@vision", "role": "member"}])


class Checking(Request):
    """`project`, or else `pipeline` of the library: whose folder of code is meant."""

    text: str = Field(max_length=1_000_000)
    project: str = Field(default="", max_length=100)
    pipeline: str = Field(default="", max_length=100)

    model_config = example(text="winslow: 1\nname: hello\nstages: []\n")


class Warned(Answer):
    """Something that would run and yet may not be meant, such as what no node could ever hold."""

    stage: str
    text: str


class Checked(Answer):
    """`errors` with line and column where it is wrong; else `pipeline`, with what no node has as `warnings`."""

    valid: bool
    errors: list[Place] = []
    warnings: list[Warned] = []
    pipeline: Pipeline | None = None

    model_config = example(
        valid=False,
        errors=[{"message": "unknown key comand", "hint": "did you mean command?", "code": "pipeline.unknown_key",
                 "file": "pipeline.yaml", "line": 21, "column": 5}],
    )  # fmt: skip


class CheckedFolder(Checked):
    """`folder`: its digest, by which a project can be made of it; `text`: its pipeline file."""

    folder: str = ""
    text: str = ""

    model_config = example(
        valid=True, folder="5c0a" * 16, text="winslow: 1\nname: traffic\n...",
        pipeline={"name": "traffic", "stages": []},
    )  # fmt: skip


class Examples(Answer):
    items: list[Example]

    model_config = example(items=[])


class ClipView(Answer):
    """`path`: in the input pool."""

    path: str

    model_config = example(path="samples/street.mp4")


class SchemaView(Answer):
    """JSON Schema of pipeline files, for editors."""

    json_schema: dict[str, Any]

    model_config = example(json_schema={"title": "Winslow pipeline"})


def version_row(version: Version) -> dict[str, Any]:
    return {
        "number": version.number,
        "author": version.author,
        "made": version.made,
        "comment": version.comment,
        "title": version.pipeline.title,
        "stages": [s.id for s in version.pipeline.stages],
        "folder": version.pipeline.folder,
    }


def version_view(name: str, version: Version) -> VersionView:
    return VersionView(**version_row(version), name=name, text=version.text, pipeline=version.pipeline)


def shelf_view(shelf: Shelf, projects: int, usual: dict[str, Typical], *, may_edit: bool) -> dict[str, Any]:
    ended = [t.ended for t in usual.values()]
    good, bad = sum(e.get("succeeded", 0) for e in ended), sum(e.get("failed", 0) for e in ended)
    return {
        **shelf.model_dump(exclude={"participants", "charts"}),
        "participants": list(shelf.participants),
        "projects": projects,
        "succeeded": round(good / (good + bad), 4) if good + bad else None,
        "may_edit": may_edit,
    }
