"""`winslow`: the root of the command line. Loads typer and the standard library only, since it is what
`winslow --help` waits for; a command's body loads what the command needs."""

from __future__ import annotations

import io
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
from winslow_nomad.cli.edge import Wall

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
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that this terminal cannot write ends nothing
    app(obj=doors, prog_name="winslow")
