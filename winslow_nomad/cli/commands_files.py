"""Declares `winslow files`: what is in the input pool and in projects."""

from __future__ import annotations

from typing import Annotated

import typer

from winslow_nomad.cli import options

files = typer.Typer(
    no_args_is_help=True,
    help="Files of the input pool (PATH, or inputs:PATH) and of projects (PROJECT:PATH, such as p1:output/).",
)
Location = Annotated[
    str, typer.Argument(metavar="LOCATION", help="PATH in the input pool, or PROJECT:PATH in a project.")
]


def register(app: typer.Typer) -> None:
    app.add_typer(files, name="files")


@files.command("ls")
def ls(
    context: typer.Context,
    location: Annotated[str, typer.Argument(metavar="LOCATION", help="PATH, or PROJECT:PATH.")] = "",
    json: options.Json = False,
) -> None:
    """List a folder, or show a file."""
    from winslow_nomad.cli import filing

    filing.ls(context, location, as_json=json)


@files.command("get")
def get(
    context: typer.Context,
    location: Location,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="Its new name here, or a folder that is there.")
    ] = ".",
) -> None:
    """Fetch a file, or a folder with all that is in it.

    What was cut off goes on; what is there complete is left.
    """
    from winslow_nomad.cli import filing

    filing.get(context, location, target)


@files.command("put")
def put(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FILE", help="A file or folder of this machine.")],
    location: Annotated[
        str, typer.Argument(metavar="LOCATION", help="Its new name there; one that ends in / is a folder.")
    ] = "",
    replace: Annotated[bool, typer.Option("--replace", help="What is there goes to the trash.")] = False,
) -> None:
    """Bring a file or folder.

    A broken upload goes on when it is repeated; what is there already is not sent again.
    """
    from winslow_nomad.cli import filing

    filing.put(context, source, location, replace=replace)


@files.command("rm")
def rm(context: typer.Context, location: Location) -> None:
    """Put a file or folder into the trash."""
    from winslow_nomad.cli import filing

    filing.rm(context, location)


@files.command("mkdir")
def mkdir(context: typer.Context, location: Location) -> None:
    """Make a folder, with those above it that are missing."""
    from winslow_nomad.cli import filing

    filing.mkdir(context, location)
