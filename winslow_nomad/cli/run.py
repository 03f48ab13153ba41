"""`winslow run`: the whole job in one foreground command. Makes a project (or finds one), runs it with an
engine of its own, follows it, and says at the end what came out."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from winslow_nomad.cli import as_json as stable
from winslow_nomad.cli import asking, edge, given, outputs, tables, terminal, words
from winslow_nomad.cli.follow import Following, exit_code, now
from winslow_nomad.cli.interrupt import Interrupt
from winslow_nomad.cli.notices import Notices
from winslow_nomad.cli.screen import LineScreen, LiveScreen, Screen
from winslow_nomad.cli.sending import Sender
from winslow_nomad.core.errors import Invalid, Unavailable
from winslow_nomad.core.expand import grid_size
from winslow_nomad.core.messages import CreateProject, PauseProject, ResumeProject, StartProject
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import StageState
from winslow_nomad.core.suggest import suggestion

if TYPE_CHECKING:
    from winslow_nomad.cli.doors import Doors
    from winslow_nomad.core.client import Client

WITH_RUNNER = (StageState.SUBMITTED, StageState.RUNNING)  # need nobody here to go on; one in preparation does
ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"  # nothing that is taken for something else


@dataclass(frozen=True)
class Wish:
    """What `winslow run` was asked for."""

    pipeline: str = ""
    resume: str = ""
    name: str = ""
    values: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    priority: int = 50
    driver: str = ""
    yes: bool = False
    as_json: bool = False


def run(doors: Doors, wish: Wish) -> int:
    """The exit code. Raises WinslowError for what could not even begin."""
    if bool(wish.pipeline) == bool(wish.resume):
        raise Invalid(
            "Say what to run." if not wish.resume else "A project that goes on has its own pipeline already.",
            hint="Name a pipeline file or folder, or --resume with a project.",
            code="cli.what_to_run",
        )
    if wish.resume and (wish.values or wish.inputs or wish.sweeps or wish.secrets or wish.tags or wish.name):
        raise Invalid(
            "--resume goes on with a project as it is.",
            hint="Change it with winslow set, redo or enqueue.",
            code="cli.what_to_run",
        )
    if wish.pipeline:
        pipeline = doors.read_pipeline(Path(wish.pipeline))
        check(pipeline, wish)
        if (wish.driver or doors.driver) == "local":
            runnable(pipeline)
    if doors.server:
        say(f"This runs on this machine, in {doors.home}. For {doors.server}: winslow submit")
    with Notices() as notices, doors.engine(wish.driver or doors.driver) as engine:
        client = engine.client
        project = resume(client, doors.user, wish.resume) if wish.resume else create(client, doors, wish)
        return follow(client, Sender(client, project, doors.user), wish, notices)


def check(pipeline: Pipeline, wish: Wish) -> None:
    """A mistake in the pipeline or in what was given is told before anything is started, brought or asked."""
    values = given.values(pipeline, wish.values)
    given.sweeps(pipeline, wish.sweeps)
    known_secrets(pipeline, wish.secrets)
    for name in given.inputs(pipeline, wish.inputs, str):
        if name in values:
            raise Invalid(f"{name} is given by --set and by --input.", hint="Give it once.", code="cli.given_twice")


def runnable(pipeline: Pipeline) -> None:
    """Whether the driver `local` can know what each stage runs."""
    for stage in pipeline.stages:
        if stage.runs_its_image:
            raise Invalid(
                f"{stage.id} gives no command. The driver local runs no containers, so there is no image that could"
                " bring one; nothing was started.",
                hint="Write command: [...] into the stage, or take another driver: --driver nomad.",
                code="stage.no_command",
            )


def create(client: Client, doors: Doors, wish: Wish) -> Project:
    pipeline = client.pipeline(Path(wish.pipeline).absolute())
    values = given.values(pipeline, wish.values)
    sweeps = given.sweeps(pipeline, wish.sweeps)
    texts = secret_texts(pipeline, wish.secrets)
    files = given.inputs(pipeline, wish.inputs, client.bring_input)
    for stage, grid in sweeps.items():
        axes = ", ".join(f"{name} takes {words.count(len(points), 'value')}" for name, points in grid.items())
        say(f"{words.count(grid_size(grid), 'stage')} of {stage}: {axes}")
    command = CreateProject(
        actor=doors.user,
        project=new_id(pipeline.name),
        name=wish.name or default_name(pipeline, wish),
        pipeline=pipeline,
        driver=wish.driver or doors.driver,
        values={**values, **files},
        secrets={name: client.put_secret(name, text) for name, text in texts.items()},
        tags=wish.tags,
        sweeps=sweeps,
        start=True,
    )
    return client.send(command.project, command, key=command.project)


def resume(client: Client, user: str, name: str) -> Project:
    project = client.project(client.find(name))
    command = ResumeProject(actor=user) if project.pause is not None else StartProject(actor=user)
    return client.send(project.id, command)


def new_id(pipeline: str) -> str:
    """The pipeline's name, so that a directory tells what is in it, and six signs that nobody guesses."""
    word = re.sub(r"[^a-z0-9]+", "-", pipeline.lower()).strip("-")[:24].strip("-") or "project"
    return f"{word}-{''.join(secrets.choice(ALPHABET) for _ in range(6))}"


def default_name(pipeline: Pipeline, wish: Wish) -> str:
    files = [Path(text.rpartition("=")[2]).stem for text in wish.inputs]
    return " ".join([pipeline.name, *files])[:200]


def known_secrets(pipeline: Pipeline, names: tuple[str, ...]) -> None:
    for name in names:
        if name not in pipeline.secrets:
            raise Invalid(
                f"The pipeline {pipeline.name} has no secret {name}.",
                hint=suggestion(name, pipeline.secrets, "It has none." if not pipeline.secrets else ""),
                code="cli.unknown_parameter",
            )


def secret_texts(pipeline: Pipeline, names: tuple[str, ...], *, only: bool = False) -> Mapping[str, str]:
    """The texts of secrets: from the environment variable of that name, else asked for at the terminal.
    Never from the command line, where every process of the machine could read them. `only`: those named, not
    all that are required."""
    known_secrets(pipeline, names)
    required = [] if only else [n for n, s in pipeline.secrets.items() if s.required]
    found: dict[str, str] = {}
    for name in dict.fromkeys([*names, *required]):
        text = os.environ.get(name, "")
        if not text and terminal.present(sys.stderr):
            text = getpass(f"{name} (not shown): ", stream=sys.stderr)
        if not text:
            raise Invalid(
                f"The secret {name} has no value.",
                hint=f"Put it into the environment variable {name}.",
                code="cli.secret_missing",
            )
        found[name] = text
    return found


def say(text: str) -> None:
    sys.stderr.write(words.safe(text) + "\n")


def follow(client: Client, sender: Sender, wish: Wish, notices: Notices) -> int:
    project = sender.project
    out = tables.console(stderr=wish.as_json)
    person = terminal.present(out.file)
    with Interrupt() as interrupt:
        screen: Screen = LiveScreen(out) if out.is_terminal else LineScreen(out)
        notices.screen = screen
        try:
            screen.say(f"{project.name} ({project.id})")
            following = Following(
                client, screen, project.id, interrupt, sender.send, ask=person, yes=wish.yes, fresh=not wish.resume
            )
            project = following.until_settled()
        finally:
            notices.screen = None
            screen.close()
        if interrupt.asked:
            return leave(sender, project, interrupt, as_json=wish.as_json)
    paths = outputs.of_project(client, project)
    code = exit_code(project)
    if wish.as_json:
        stable.put({"exit": code, "project": stable.project(project, now(), paths)})
    else:
        tables.end_of_run(out, project, now(), paths)
    what_next(client, project, code)
    return code


def leave(sender: Sender, project: Project, interrupt: Interrupt, *, as_json: bool) -> int:
    """A person wants to go: pause, and say how to go on."""
    code, said = edge.WAITING, "Paused"
    if interrupt.by_signal:
        code, said = 128 + interrupt.by_signal, "Left by a signal; nothing was paused"
    else:
        try:
            project = sender.send(PauseProject())
        except Unavailable as error:
            said = f"Not paused ({error.message})"
    running = [s.name for s in project.stages.values() if s.state in WITH_RUNNER and not s.held]
    on = f"; {', '.join(sorted(running))} will go on by itself and nothing new starts" if running else ""
    say(f"{said}{on}. Go on with: winslow run --resume {project.id}")
    if as_json:
        stable.put({"exit": code, "project": stable.project(project, now())})
    return code


def what_next(client: Client, project: Project, code: int, *, go_on: str = "") -> None:
    """What a person can do about a project that did not succeed. `go_on`: the command for what follows then."""
    go_on = go_on or f"winslow run --resume {project.id}"
    for gate in project.gates:
        say(f"{gate.question} Answer with: {asking.how_to_answer(project, gate)}")
        for path in asking.looked_at(client, project, gate):
            say(f"  to look at: {path}")
    if project.gates:
        say(f"then go on with: {go_on}")
    if code == edge.FAILED:
        for failure in project.failures:
            if failure.stage:
                say(f"See: winslow log {project.id} {failure.stage}")
                say(f"Try again: winslow redo {project.id} {failure.stage}")
        say(f"then go on with: {go_on}")
    elif code == edge.WAITING and not project.gates:
        if project.pause is not None and project.pause.kind == "impossible" and project.pause.stage:
            where = f"{project.id} {project.pause.stage}"
            say(f"It starts by itself once that is there. Else ask for less: winslow change {where} --memory ...")
            say(f"or go on without it: winslow skip {where}")
        if client.address(project.id):
            say(f"End the pause: winslow resume {project.id}")
        say(f"Go on with: {go_on}")
