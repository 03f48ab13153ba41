"""Declares the commands for administrators: people and their tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from winslow_nomad.cli import options

users = typer.Typer(no_args_is_help=True, help="People: who may come in, and as what.")
tokens = typer.Typer(no_args_is_help=True, help="Tokens of people, for programs.")
Name = Annotated[str, typer.Argument(metavar="USER")]
RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="viewer, member, maintainer or admin.")]


def register(app: typer.Typer) -> None:
    app.add_typer(users, name="users")
    app.add_typer(tokens, name="tokens")


@users.command("list")
def list_users(context: typer.Context, json: options.Json = False) -> None:
    """List people."""
    from winslow_nomad.cli import people

    people.list_users(context, as_json=json)


@users.command("add")
def add_user(
    context: typer.Context,
    name: Name,
    role: Annotated[str, typer.Option("--role", help="viewer, member, maintainer or admin.")] = "member",
    display_name: Annotated[str, typer.Option("--name", help="As others read it.")] = "",
    email: Annotated[str, typer.Option("--email")] = "",
    password: Annotated[
        bool, typer.Option("--password", help="Give a password (asked for); else a log-in link is printed.")
    ] = False,
) -> None:
    """Add a person."""
    from winslow_nomad.cli import people

    people.add(context, name, role=role, display_name=display_name, email=email, with_password=password)


@users.command("role")
def set_role(context: typer.Context, name: Name, role: RoleName) -> None:
    """Give a person another role."""
    from winslow_nomad.cli import people

    people.set_role(context, name, role)


@users.command("password")
def set_password(context: typer.Context, name: Name) -> None:
    """Give a person another password; all sessions of the person end."""
    from winslow_nomad.cli import people

    people.set_password(context, name)


@users.command("link")
def link(context: typer.Context, name: Name) -> None:
    """Print a link that lets a person in once, within three days."""
    from winslow_nomad.cli import people

    people.link(context, name)


@users.command("deactivate")
def deactivate(
    context: typer.Context,
    name: Name,
    heir: Annotated[
        str, typer.Option("--heir", metavar="USER", help="Who gets the projects and their questions.")
    ] = "",
) -> None:
    """Let a person go: sessions and tokens end, stages run on."""
    from winslow_nomad.cli import people

    people.deactivate(context, name, heir)


@users.command("activate")
def activate(context: typer.Context, name: Name) -> None:
    """Take a person back."""
    from winslow_nomad.cli import people

    people.activate(context, name)


@tokens.command("list")
def list_tokens(context: typer.Context, name: Name, json: options.Json = False) -> None:
    """List the tokens of a person."""
    from winslow_nomad.cli import people

    people.list_tokens(context, name, as_json=json)


@tokens.command("add")
def add_token(
    context: typer.Context,
    name: Name,
    what_for: Annotated[str, typer.Option("--name", help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="read, run, files or manage; all of them without it.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=0, max=3650, help="After which it ends; 0: never.")] = 90,
) -> None:
    """Make a token for a person and print it, this once. Only on the server's own machine."""
    from winslow_nomad.cli import people

    people.add_token(context, name, what_for, tuple(scope or ()), days)


@tokens.command("withdraw")
def withdraw(
    context: typer.Context,
    name: Name,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id, as winslow tokens list tells it.")],
) -> None:
    """Withdraw a token of a person."""
    from winslow_nomad.cli import people

    people.withdraw(context, name, token)
