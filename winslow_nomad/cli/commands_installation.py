"""Declares the commands about pipeline files and the installation."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from winslow_nomad.cli import doors, options


def register(app: typer.Typer) -> None:
    app.command("validate")(validate)
    app.command("schema")(schema)
    app.command("doctor")(doctor)
    app.command("rebuild")(rebuild)
    app.command("backup")(backup)
    app.command("restore-backup")(restore_backup)
    app.command("version")(version)


def validate(
    context: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PIPELINE", help="A pipeline file or folder.")],
    json: options.Json = False,
) -> None:
    """Check a pipeline file or folder.

    Every mistake is told with its line and what would be right.
    """
    from pathlib import Path

    from winslow_nomad.cli import as_json, words
    from winslow_nomad.core.errors import InvalidPipeline

    try:
        pipeline = doors.of(context).read_pipeline(Path(path))
    except InvalidPipeline as wrong:
        if not json:
            raise
        problems = [dict(vars(p)) for p in wrong.problems]
        as_json.put({"valid": False, "problems": problems})
        raise typer.Exit(2) from None
    notes = [
        f"{s.id} gives no command: it runs what the image {s.image} runs by itself. The driver local cannot start it."
        for s in pipeline.stages
        if s.runs_its_image
    ]
    if json:
        as_json.put({"valid": True, "problems": [], "notes": notes, "pipeline": as_json.pipeline(pipeline)})
        return
    chain = ", ".join(s.id for s in pipeline.stages)
    text = f"{pipeline.name} is right: {words.count(len(pipeline.stages), 'stage')} ({chain})"
    sys.stdout.write("".join(words.safe(line) + "\n" for line in (text, *notes)))


def schema(context: typer.Context) -> None:
    """Print the JSON Schema of pipeline files."""
    import json

    sys.stdout.write(json.dumps(doors.of(context).schema(), indent=2) + "\n")


def doctor(
    context: typer.Context,
    nomad: Annotated[bool, typer.Option("--nomad", help="Check the nodes of the cluster instead, from here.")] = False,
    image: Annotated[str, typer.Option("--image", help="With --nomad: try the share on each, in this image.")] = "",
    json: options.Json = False,
) -> None:
    """Check this installation. Exit code 1 if something has to be put right."""
    from winslow_nomad.cli import as_json, tables

    if image and not nomad:
        raise typer.BadParameter("--image goes with --nomad", param_hint="--image")
    if nomad:
        found = doors.of(context).examine_nomad(image)
    else:
        with doors.of(context).client() as client:
            found = client.doctor()
    if json:
        as_json.put({"findings": as_json.findings(found)})
    else:
        tables.findings(found)
    if any(f.severity == "problem" for f in found):
        raise typer.Exit(1)


def rebuild(context: typer.Context) -> None:
    """Restore the store from what is on the share."""
    _say(_here(context).rebuild())


def backup(context: typer.Context, target: Annotated[str, typer.Argument(metavar="TARGET")]) -> None:
    """Write a backup of the store, while stages run."""
    from winslow_nomad.cli import given

    _say(_here(context).backup(given.path_of(target)))


def restore_backup(context: typer.Context, file: Annotated[str, typer.Argument(metavar="FILE")]) -> None:
    """Put a backup in place of the store."""
    from winslow_nomad.cli import given

    _say(_here(context).restore_backup(given.path_of(file)))


def _here(context: typer.Context) -> doors.Doors:
    """This machine, whatever is chosen; said where a server is."""
    door = doors.of(context)
    if door.server:
        sys.stderr.write(f"This is about the data of this machine, in {door.home}. {door.server} keeps its own.\n")
    return door


def _say(sentences: object) -> None:
    from winslow_nomad.cli import words

    if isinstance(sentences, list | tuple):
        sys.stdout.write("".join(words.safe(str(s)) + "\n" for s in sentences))


def version(json: options.Json = False) -> None:
    """Print the version."""
    from winslow_nomad import __version__

    if json:
        from winslow_nomad.cli import as_json

        as_json.put({"version": __version__})
        return
    sys.stdout.write(f"winslow {__version__}\n")
