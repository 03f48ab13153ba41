"""Projects with a stage that writes a log, put into the store as they are."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import World
from tests.builders import a_project, a_running_stage, an_ended_stage
from tests.resources.logged import LogWriter
from winslow_nomad.core.project import Member, Project
from winslow_nomad.resources import layout

EVERYONE = (Member(user="@everyone", role="member"),)


def put(world: World, project: Project) -> Project:
    """As the next version."""
    before = world.installation.store.load(project.id)
    after = project.but(version=(before.version if before is not None else 0) + 1)
    world.installation.store.restore(after)
    return after


def running(world: World, name: str = "p1", **changes: Any) -> Project:
    """One stage, 0001-detect, that runs."""
    fields = {"author": "mem", "participants": EVERYONE, "stages": {1: a_running_stage()}, "next_number": 2, **changes}
    return put(world, a_project(name, **fields))


def ended(world: World, name: str = "p1", **changes: Any) -> Project:
    fields = {"author": "mem", "participants": EVERYONE, "ended": {1: an_ended_stage()}, "next_number": 2, **changes}
    return put(world, a_project(name, **fields))


def log_of(world: World, project: str = "p1", stage: str = "0001-detect", attempt: int = 1) -> LogWriter:
    folder = f"{layout.project_folder(project)}/stages/{stage}/attempts/{attempt}"
    return LogWriter(world.installation.settings.share / folder)
