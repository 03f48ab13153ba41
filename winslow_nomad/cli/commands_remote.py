"""Declares the commands about servers: login, logout, contexts, open."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from winslow_nomad.cli import doors, options


def register(app: typer.Typer) -> None:
    app.command("login")(login)
    app.command("logout")(logout)
    app.command("contexts")(contexts)
    app.command("open")(open_page)


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the server, or a whole log-in link.")],
    user: Annotated[str, typer.Option("--user", help="Your name there; else it is asked for.")] = "",
    token: Annotated[
        bool, typer.Option("--token", help="With a token, from WINSLOW_TOKEN or asked for, instead of a password.")
    ] = False,
    context: Annotated[
        str, typer.Option("--context", metavar="NAME", help="What to call it here; else the server's host.")
    ] = "",
    authority: Annotated[
        str, typer.Option("--ca", metavar="FILE", help="Certificates (PEM) that are trusted for it.")
    ] = "",
) -> None:
    """Log in to a server, for all commands from now on.

    A token for this machine is made and stored where only you can read it.
    """
    from winslow_nomad.cli import remote

    remote.log_in(url, user=user, by_token=token, context=context, authority=authority)


def logout(
    context: Annotated[str, typer.Argument(metavar="CONTEXT", help="Without it: the current one.")] = "",
) -> None:
    """Withdraw the token of this machine and forget the server."""
    from winslow_nomad.cli import remote

    remote.log_out(context)


def contexts(
    context: Annotated[
        str, typer.Argument(metavar="CONTEXT", help="Make it the current one; `local` is this machine.")
    ] = "",
    json: options.Json = False,
) -> None:
    """List the servers you are logged in to, or choose one."""
    from winslow_nomad.cli import remote

    remote.contexts(context, as_json=json)


def open_page(
    context: typer.Context,
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Without it: the list of projects.")] = "",
) -> None:
    """Open the page of a project in a browser, or say where it is."""
    from winslow_nomad.cli import remote

    with doors.of(context).client() as client:
        address = client.address(client.find(project) if project else "")
    sys.stdout.write(remote.shown_in_browser(address))
