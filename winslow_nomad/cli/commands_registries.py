"""Declares the commands about registries of images."""

from __future__ import annotations

from typing import Annotated

import typer

from winslow_nomad.cli import options

registries = typer.Typer(no_args_is_help=True, help="Registries of images: who logs in where.")
Host = Annotated[str, typer.Argument(metavar="HOST", help="As images name it: registry.example.org, 10.0.0.7:5000.")]


def register(app: typer.Typer) -> None:
    app.add_typer(registries, name="registries")


@registries.command("list")
def list_registries(context: typer.Context, json: options.Json = False) -> None:
    """List the log-ins; passwords are never shown."""
    from winslow_nomad.cli import registries

    registries.list_all(context, as_json=json)


@registries.command("set")
def set_registry(
    context: typer.Context, host: Host, user: Annotated[str, typer.Option("--user", help="Its name there.")]
) -> None:
    """Give Winslow a log-in for a registry. The password is asked for, or read from standard input."""
    from winslow_nomad.cli import registries

    registries.put(context, host, user)


@registries.command("check")
def check_registry(context: typer.Context, host: Host) -> None:
    """Ask a registry whether it lets Winslow in."""
    from winslow_nomad.cli import registries

    registries.check(context, host)


@registries.command("remove")
def remove_registry(context: typer.Context, host: Host) -> None:
    """Take a log-in away."""
    from winslow_nomad.cli import registries

    registries.remove(context, host)
