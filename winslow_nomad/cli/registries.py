"""`winslow registries`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from getpass import getpass
from typing import Any

from winslow_nomad.cli import as_json as stable
from winslow_nomad.cli import doors, tables, terminal, words
from winslow_nomad.core.errors import Invalid, WinslowError
from winslow_nomad.core.images import checked_host


def list_all(context: Any, *, as_json: bool) -> None:
    with doors.of(context).registries() as book:
        found = book.all()
    if as_json:
        stable.put({"registries": [login.model_dump(mode="json") for login in found]})
        return
    now = datetime.now(UTC)
    table = tables.grid("registry", "user", "set", "by")
    for login in found:
        table.add_row(login.host, words.safe(login.user), words.moment(login.changed, now), words.safe(login.by))
    tables.show(table)


def put(context: Any, host: str, user: str) -> None:
    """What is wrong with it is said at once, and it stays: the registry may be away just now."""
    door = doors.of(context)
    checked_host(host)  # before somebody types a password
    password = password_of(host, user)
    with door.registries() as book:
        book.put(host, user, password, door.user)
        try:
            book.check(host)
        except WinslowError as error:
            say(f"It is stored. But {error}")
            return
    say(f"It is stored, and {host} takes it.")


def check(context: Any, host: str) -> None:
    with doors.of(context).registries() as book:
        book.check(host)
    say(f"{host} lets Winslow in.")


def remove(context: Any, host: str) -> None:
    with doors.of(context).registries() as book:
        book.remove(host)
    say(f"Nobody logs in to {host} any more.")


def password_of(host: str, user: str) -> str:
    """From a terminal, or the first line of standard input. Never an argument, which other users could read."""
    if terminal.present(sys.stderr):
        return getpass(f"Password of {user} at {host} (not shown): ", stream=sys.stderr)
    found = sys.stdin.readline().rstrip("\r\n")
    if not found:
        hint = "Give it on standard input, as one line."
        raise Invalid("No password was given; nothing was done.", hint=hint, code="cli.not_given")
    return found


def say(text: str) -> None:
    sys.stderr.write(words.safe(text) + "\n")
