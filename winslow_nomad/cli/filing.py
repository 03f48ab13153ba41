"""`winslow files`: places in the input pool and in projects, and what is done with them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from winslow_nomad.cli import as_json as stable
from winslow_nomad.cli import doors, given, tables, transfers, words
from winslow_nomad.core.client import Client
from winslow_nomad.core.errors import Invalid, NotFound
from winslow_nomad.core.filing import Entry

INPUTS = "inputs"


def place_of(client: Client, text: str) -> tuple[str, str]:
    """Space and path: `junction/north.mp4` and `inputs:a:b.mp4` in the input pool, `PROJECT:output/x.csv` in a
    project. Raises NotFound for a project that is not there."""
    before, colon, after = text.partition(":")
    if not colon:
        return INPUTS, text.strip("/")
    if before == INPUTS:
        return INPUTS, after.strip("/")
    try:
        return f"project:{client.find(before)}", after.strip("/")
    except NotFound as error:
        if error.code != "project.not_found":
            raise
        meant = f", such as {after}:output" if before == "project" and after else ""
        raise NotFound(
            f"There is no project {before[:60]!r}. Nothing was done.",
            hint=f"Before the colon stands a project's id or name{meant}, or `inputs`. `winslow projects` lists them.",
            code=error.code,
        ) from error


def ls(context: Any, location: str, *, as_json: bool) -> None:
    with doors.of(context).client() as client:
        space, path = place_of(client, location)
        entry = client.files.entry(space, path) if path else None
        found = [entry] if entry is not None and entry.kind == "file" else list(client.files.entries(space, path))
    if as_json:
        stable.put({"space": space, "path": path, "files": [e.model_dump(mode="json") for e in found]})
        return
    now = datetime.now(UTC)
    table = tables.grid("size", "changed", "name")
    for e in found:
        size = words.size(e.bytes) if e.kind == "file" else ""
        changed = words.moment(e.modified, now) if e.modified.timestamp() else ""  # what is no folder on the disk
        table.add_row(size, changed, words.safe(_name(e)))
    if found:
        tables.show(table)


def _name(entry: Entry) -> str:
    return f"{entry.name}/" if entry.kind == "folder" else entry.name


def get(context: Any, location: str, target: str) -> None:
    with doors.of(context).client() as client:
        space, path = place_of(client, location)
        place = given.path_of(target)
        if place.is_dir():
            place = place / (path.rpartition("/")[2] or space.replace(":", "-"))
        try:
            with transfers.shown(client.files):
                done = client.files.get(space, path, place)
        except OSError as error:
            raise unwritable(error, place) from error
    sys.stdout.write(words.safe(str(done)) + "\n")


def put(context: Any, source: str, location: str, *, replace: bool) -> None:
    file = given.path_of(source)
    if not file.exists():
        raise NotFound(f"There is no {file}.", hint="Name a file or folder of this machine.", code="cli.input_missing")
    with doors.of(context).client() as client:
        space, path = place_of(client, location)
        if not path or location.endswith(("/", ":")):
            path = f"{path}/{file.name}" if path else file.name
        try:
            with transfers.shown(client.files):
                done = client.files.put(file, space, path, conflict="replace" if replace else "refuse")
        except OSError as error:
            raise unreadable(error, file) from error
    sys.stdout.write(words.safe(located(space, done)) + "\n")


def rm(context: Any, location: str) -> None:
    with doors.of(context).client() as client:
        space, path = _named(client, location)
        client.files.remove(space, path)
    sys.stdout.write(words.safe(f"In the trash: {located(space, path)}") + "\n")


def mkdir(context: Any, location: str) -> None:
    with doors.of(context).client() as client:
        space, path = _named(client, location)
        made = client.files.make_folder(space, path)
    sys.stdout.write(words.safe(located(space, made.path)) + "\n")


def _named(client: Client, location: str) -> tuple[str, str]:
    space, path = place_of(client, location)
    if not path:
        raise Invalid(f"{location!r} names no file and no folder.", hint="Name one.", code="cli.nothing_to_do")
    return space, path


def located(space: str, path: str) -> str:
    """As it can be given again."""
    if space != INPUTS:
        return f"{space.removeprefix('project:')}:{path}"
    return f"{INPUTS}:{path}" if ":" in path else path


def unreadable(error: OSError, file: Path) -> Invalid:
    name = error.filename if isinstance(error.filename, str) else str(file)
    return Invalid(
        f"{name} cannot be read: {error.strerror}. What was brought before stays.",
        hint="Look at its owner and mode, and at those of the folders it lies in.",
        code="cli.input_unreadable",
    )


def unwritable(error: OSError, place: Path) -> Invalid:
    name = error.filename if isinstance(error.filename, str) else str(place)
    return Invalid(
        f"{name} cannot be written: {error.strerror}. What was fetched before stays, and is gone on with.",
        hint="Make room, or name another place.",
        code="cli.target_unwritable",
    )
