"""`winslow users` and `winslow tokens`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from getpass import getpass
from typing import Any

from winslow_nomad.cli import as_json as stable
from winslow_nomad.cli import doors, tables, terminal, words
from winslow_nomad.client.accounts import SCOPES
from winslow_nomad.core.access import Role, Scope
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.people import Person
from winslow_nomad.core.suggest import suggestion


def list_users(context: Any, *, as_json: bool) -> None:
    with doors.of(context).accounts() as accounts:
        found = accounts.persons()
    if as_json:
        stable.put({"users": [p.model_dump(mode="json") for p in found]})
        return
    table = tables.grid("user", "role", "name", "e-mail", "")
    for p in found:
        state = "" if p.active else "deactivated"
        table.add_row(p.name, p.role.value, words.safe(p.display_name), words.safe(p.email), state)
    tables.show(table)


def add(context: Any, name: str, *, role: str, display_name: str, email: str, with_password: bool) -> None:
    wanted = role_of(role)
    password = new_password(name) if with_password else ""
    with doors.of(context).accounts() as accounts:
        made = accounts.add(name, role=wanted, display_name=display_name, email=email, password=password)
        link = "" if password else accounts.link(name)
    say(f"{made.name} is there, as {made.role.value}.")
    if link:
        sys.stdout.write(_link(link))


def set_role(context: Any, name: str, role: str) -> None:
    wanted = role_of(role)
    with doors.of(context).accounts() as accounts:
        accounts.set_role(name, wanted)
    say(f"{name} is {wanted.value} now.")


def set_password(context: Any, name: str) -> None:
    door = doors.of(context)
    with door.accounts() as accounts:
        _there(accounts.persons(), name)
        accounts.set_password(name, new_password(name))
    say(f"{name} has the new password; all sessions of {name} have ended.")


def link(context: Any, name: str) -> None:
    with doors.of(context).accounts() as accounts:
        sys.stdout.write(_link(accounts.link(name)))


def deactivate(context: Any, name: str, heir: str) -> None:
    with doors.of(context).accounts() as accounts:
        passed, kept = accounts.deactivate(name, heir)
    say(f"{name} has left. Sessions and tokens have ended; stages run on.")
    if heir:
        say(f"{heir} has got {words.count(passed, 'project')}.")
    if kept:
        say(f"{words.count(kept, 'project')} still name {name} as author; repeat it with --heir USER to pass them on.")


def activate(context: Any, name: str) -> None:
    with doors.of(context).accounts() as accounts:
        accounts.activate(name)
    say(f"{name} may come in again; tokens are made anew.")


def list_tokens(context: Any, name: str, *, as_json: bool) -> None:
    with doors.of(context).accounts() as accounts:
        found = accounts.tokens(name)
    if as_json:
        stable.put({"tokens": [{**t.model_dump(mode="json"), "scopes": sorted(t.scopes)} for t in found]})
        return
    now = datetime.now(UTC)
    table = tables.grid("token", "for", "scopes", "made", "ends", "used")
    for t in found:
        ends = words.moment(t.expires, now) if t.expires is not None else "never"
        used = words.moment(t.used, now) if t.used is not None else "never"
        table.add_row(t.id, words.safe(t.name), " ".join(sorted(t.scopes)), words.moment(t.made, now), ends, used)
    tables.show(table)


def add_token(context: Any, name: str, what_for: str, scopes: tuple[str, ...], days: int) -> None:
    wanted: list[Scope] = []
    for text in scopes or SCOPES:
        found: list[Scope] = [s for s in SCOPES if s == text]
        if not found:
            hint = suggestion(text, SCOPES)
            raise Invalid(f"{text[:60]!r} is not a scope; nothing was done.", hint=hint, code="cli.scope")
        wanted += found
    with doors.of(context).accounts() as accounts:
        secret = accounts.add_token(name, what_for, frozenset(wanted), days or None)
    say("It is shown this once. Whoever has it can do what it allows, in the name of that person.")
    sys.stdout.write(f"{secret}\n")


def withdraw(context: Any, name: str, token: str) -> None:
    with doors.of(context).accounts() as accounts:
        accounts.withdraw(name, token)
    say("It is withdrawn.")


def role_of(text: str) -> Role:
    if text not in list(Role):
        hint = suggestion(text, list(Role))
        raise Invalid(f"{text[:60]!r} is not a role; nothing was done.", hint=hint, code="cli.role")
    return Role(text)


def _there(persons: Any, name: str) -> None:
    """Before somebody types a password twice."""
    names = [p.name for p in persons if isinstance(p, Person)]
    if name not in names:
        hint = suggestion(name, names, "See winslow users list.")
        raise Invalid(f"There is no user {name[:60]!r}; nothing was done.", hint=hint, code="user.not_found")


def new_password(name: str) -> str:
    """Twice from a terminal, since nobody sees it; else the first line of standard input. Never an argument, which
    other users of the machine could read."""
    if not terminal.present(sys.stderr):
        found = sys.stdin.readline().rstrip("\r\n")
        if not found:
            hint = "Give it on standard input, as one line."
            raise Invalid("No password was given; nothing was done.", hint=hint, code="cli.not_given")
        return found
    first = getpass(f"New password of {name} (not shown): ", stream=sys.stderr)
    if first != getpass("Once more: ", stream=sys.stderr):
        raise Invalid("They are not the same; nothing was done.", hint="Try again.", code="cli.password_differs")
    return first


def _link(link: str) -> str:
    if link.startswith("/"):  # this machine does not know under which address people come
        return f"Behind the server's address, once and within three days: {link}\n"
    return f"{link}\n"


def say(text: str) -> None:
    sys.stderr.write(words.safe(text) + "\n")
