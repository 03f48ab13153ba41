"""Declares the commands that make a project and leave its running to others: submit, follow."""

from __future__ import annotations

from typing import Annotated

import typer

from winslow_nomad.cli import doors, options

Wait = Annotated[bool, typer.Option("--wait", help="Until nothing runs and nothing is queued; exit code as for run.")]


def register(app: typer.Typer) -> None:
    app.command("submit")(submit)
    app.command("follow")(follow)


def submit(
    context: typer.Context,
    pipeline: Annotated[
        str, typer.Argument(metavar="PIPELINE", help="A file or folder of this machine, or a name of the library.")
    ],
    name: Annotated[str, typer.Option("--name", help="The project's name.")] = "",
    set_: options.Set = None,
    inputs: options.Inputs = None,
    sweep: options.Sweeps = None,
    secret: options.Secrets = None,
    tag: options.Tags = None,
    priority: Annotated[int, typer.Option("--priority", min=0, max=100, help="Higher ones go first.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", help="Show what happens, ask you, end as --wait does.")] = False,
    wait: Wait = False,
    json: options.Json = False,
) -> None:
    """Make a project and start it, here or on a server.

    Files are sent first; a broken upload goes on when the command is repeated. Exit codes with --wait and --follow:
    0 succeeded, 1 failed, 3 waits for a person, 4 stopped, 5 unreachable; 2 wrong usage.
    """
    from winslow_nomad.cli.run import Wish
    from winslow_nomad.cli.submit import submit as submit_it

    wish = Wish(
        pipeline=pipeline,
        name=name,
        values=tuple(set_ or ()),
        inputs=tuple(inputs or ()),
        sweeps=tuple(sweep or ()),
        secrets=tuple(secret or ()),
        tags=tuple(tag or ()),
        priority=priority,
        as_json=json,
    )
    raise typer.Exit(submit_it(doors.of(context), wish, follow=follow, wait=wait))


def follow(
    context: typer.Context, project: options.ProjectArgument, wait: Wait = False, json: options.Json = False
) -> None:
    """Show what happens in a project until nothing runs and nothing is queued.

    With --wait nothing is shown before the end. Exit codes as for submit. Ctrl-C leaves; nothing is paused.
    """
    from winslow_nomad.cli.submit import follow as follow_it

    raise typer.Exit(follow_it(doors.of(context), project, quiet=wait, as_json=json))
