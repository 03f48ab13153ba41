"""`winslow submit` and `winslow follow`: a project that others carry out, from its files to its end.

Everything that can be wrong is told before the first byte is sent. What is followed is the state, so a server that
goes away and comes back changes nothing but the time it takes."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from winslow_nomad.cli import as_json as stable
from winslow_nomad.cli import edge, given, outputs, tables, terminal, transfers, words
from winslow_nomad.cli.follow import Following, busy, exit_code, now
from winslow_nomad.cli.interrupt import Interrupt
from winslow_nomad.cli.run import Wish, check, default_name, new_id, say, secret_texts, what_next
from winslow_nomad.cli.screen import LineScreen, LiveScreen, Screen
from winslow_nomad.cli.sending import Sender, nobody
from winslow_nomad.core.errors import NotFound, Unavailable
from winslow_nomad.core.messages import CreateProject
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project

if TYPE_CHECKING:
    from winslow_nomad.cli.doors import Doors
    from winslow_nomad.core.client import Client

T = TypeVar("T")
PATIENCE = 300.0  # seconds that a server may be away while it is waited for
POLL = 1.0  # seconds of one wait for news: Ctrl-C is heard in between
THERE = 120.0  # seconds after which a look that failed must have worked for most of the time
AWAY = 2.0  # seconds between two tries while it is away
SHELF = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,99}")  # what a pipeline of the library may be called


def submit(doors: Doors, wish: Wish, *, follow: bool, wait: bool) -> int:
    """The exit code. Raises WinslowError for what could not even begin."""
    with doors.client() as client:
        pipeline = chosen(client, wish.pipeline)
        check(pipeline, wish)
        project = create(client, doors, pipeline, wish)
        if follow or wait:
            if not wish.as_json:
                say(f"{project.name} ({project.id}) {client.address(project.id)}".rstrip())
            return until_settled(doors, client, project, quiet=not follow, as_json=wish.as_json, fresh=True)
        if wish.as_json:
            told = {"project": stable.project(project, now()), "page": client.address(project.id) or None}
            stable.put({"exit": edge.SUCCEEDED, **told})
        else:
            text = f"{project.name} ({project.id}) {words.of_project(project).sentence} {client.address(project.id)}"
            sys.stdout.write(words.safe(text.rstrip()) + "\n")
        nobody(client, project, doors.server)
        return edge.SUCCEEDED


def follow(doors: Doors, name: str, *, quiet: bool, as_json: bool) -> int:
    with doors.client() as client:
        project = client.project(client.find(name))
        return until_settled(doors, client, project, quiet=quiet, as_json=as_json)


def chosen(client: Client, text: str) -> Pipeline:
    """A file or folder of this machine, where there is one of that name; else of the library. Raises NotFound."""
    path = given.path_of(text)
    if not SHELF.fullmatch(text) or path.exists() or path.suffix in (".yaml", ".yml"):
        return client.pipeline(path)
    try:
        return client.library(text)
    except NotFound as error:
        raise NotFound(
            f"There is no {path}, and no pipeline {text[:100]!r} in the library.",
            hint="Name a pipeline file or folder, or a pipeline of the library.",
            code="pipeline.not_found",
        ) from error


def create(client: Client, doors: Doors, pipeline: Pipeline, wish: Wish) -> Project:
    values = given.values(pipeline, wish.values)
    sweeps = given.sweeps(pipeline, wish.sweeps)
    texts = secret_texts(pipeline, wish.secrets)
    with transfers.shown(client.files):
        files = given.inputs(pipeline, wish.inputs, lambda path: brought(client, path))
    command = CreateProject(
        actor=doors.user,
        project=new_id(pipeline.name),
        name=wish.name or default_name(pipeline, wish),
        pipeline=pipeline,
        driver="" if doors.server else doors.driver,
        values={**values, **files},
        secrets={name: client.put_secret(name, text) for name, text in texts.items()},
        tags=wish.tags,
        priority=wish.priority,
        sweeps=sweeps,
        start=True,
    )
    return client.send(command.project, command, key=command.project)


def brought(client: Client, path: Path) -> str:
    place = client.bring_input(path)
    if place.rpartition("/")[2] != path.name:
        say(f"{path.name} has another content in the input pool; this one is {place} there.")
    return place


def until_settled(
    doors: Doors, client: Client, project: Project, *, quiet: bool, as_json: bool, fresh: bool = False
) -> int:
    """Follow until nothing runs and nothing will start by itself; say what became of it."""
    out = tables.console(stderr=as_json)
    sender = Sender(client, project, doors.user)
    with Interrupt() as interrupt:
        nobody(client, project, doors.server)
        if quiet:
            project = wait(client, project, interrupt)
        else:
            screen: Screen = LiveScreen(out) if out.is_terminal else LineScreen(out)
            try:
                following = Following(
                    client,
                    screen,
                    project.id,
                    interrupt,
                    sender.send,
                    ask=terminal.present(out.file),
                    fresh=fresh,
                    pace=POLL,
                )
                project = patiently(interrupt, project, following.until_settled, screen.say)
            finally:
                screen.close()
        if interrupt.asked:
            say(f"Left; {project.name} goes on. Look again with: winslow follow {project.id}")
            return 128 + interrupt.by_signal if interrupt.by_signal else edge.INTERRUPTED
    code = exit_code(project)
    if as_json:
        paths = outputs.of_project(client, project)
        told = stable.project(project, now(), paths)
        stable.put({"exit": code, "project": told, "page": client.address(project.id) or None})
    else:
        tables.end_of_run(out, project, now(), outputs.of_project(client, project))
        if address := client.address(project.id):
            out.print(words.safe(f"Everything about it: {address}"), soft_wrap=True)
            out.print(words.safe(f"Its results: winslow files get {project.id}:output TARGET"), soft_wrap=True)
        what_next(client, project, code, go_on=f"winslow follow {project.id}")
    return code


def wait(client: Client, project: Project, interrupt: Interrupt) -> Project:
    """Until it has settled or a person interrupts."""
    cursor = ""

    def look() -> Project:
        nonlocal cursor
        found = client.project(project.id)
        while (busy(found) or found.sealing) and not interrupt.asked:
            news = client.events(project.id, cursor, timeout=POLL)
            cursor = news[-1].cursor if news else cursor
            found = client.project(project.id)
        return found

    return patiently(interrupt, project, look, say)


def patiently(
    interrupt: Interrupt,
    otherwise: T,
    look: Callable[[], T],
    tell: Callable[[str], object],
    *,
    patience: float = PATIENCE,
) -> T:
    """What `look` answers, over times in which the server is away. Raises Unavailable when it stays away, and answers
    `otherwise` when a person does not want to wait for it."""
    away: float | None = None
    while not interrupt.asked:
        began = time.monotonic()
        try:
            return look()
        except Unavailable as error:
            if away is None or time.monotonic() - began > THERE:
                away = time.monotonic()
                tell(f"{error.message} It is waited for; nothing is lost.")
            elif time.monotonic() - away > patience:
                raise
        pause = time.monotonic() + AWAY
        while time.monotonic() < pause and not interrupt.asked:
            time.sleep(0.1)
    return otherwise
