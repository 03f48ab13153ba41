"""`winslow`: the root of the command line. Loads typer and the standard library only, since it is what
`winslow --help` waits for; a command's body loads what the command needs."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer

from winslow_nomad.cli import (
    commands_files,
    commands_installation,
    commands_people,
    commands_projects,
    commands_registries,
    commands_remote,
    commands_run,
    commands_server,
    commands_stages,
    commands_submit,
    doors,
)
from winslow_nomad.cli.edge import Stdout, Wall

app = typer.Typer(
    name="winslow",
    cls=Wall,
    help="Long pipelines on your own machines, with a person in the loop.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback()
def choose(
    context: typer.Context,
    named: Annotated[
        str, typer.Option("--context", metavar="NAME", help="The server that is meant (winslow contexts), or local.")
    ] = "",
) -> None:
    if named and context.obj is None:
        context.obj = doors.Installation(named)


commands_run.register(app)
commands_submit.register(app)
commands_projects.register(app)
commands_stages.register(app)
commands_files.register(app)
commands_remote.register(app)
commands_people.register(app)
commands_registries.register(app)
commands_server.register(app)
commands_installation.register(app)


def main(doors: Any = None) -> None:
    """Run the command line of this process; `doors` lead to another installation than this machine's."""
    standard_streams()
    app(obj=doors, prog_name="winslow")


def standard_streams() -> None:
    """There are three, whoever started us; each says when it takes nothing more."""
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:  # one that was closed: else a file of ours took its place
        pass
    os.close(spare)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - for as long as the process lives
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    encoding = sys.stdout.encoding if sys.stdout else None
    # a name that this terminal cannot write ends nothing
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(Stdout(1, "w", closefd=False)), encoding, "backslashreplace", line_buffering=True
    )
