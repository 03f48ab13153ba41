"""How the first person comes in: at the first start an administrator is made, and whoever starts a server at a
terminal gets a link that lets in once. What is secret is shown at that terminal, or, where there is none, put into a
file that only this user can read; never into a log."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
from pathlib import Path

from winslow_nomad.core.access import Role
from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.people import NAME, People, Person
from winslow_nomad.core.ports import Clock

LIFE = 3600  # seconds that a link is good for
WORDS = "abcdefghjkmnpqrstuvwxyz23456789"


def first_admin(people: People, clock: Clock, user: str) -> tuple[str, str] | None:
    """Name and password of the administrator that was made; None: there are people already."""
    if people.persons():
        return None
    name = usable_name(user)
    password = "-".join("".join(secrets.choice(WORDS) for _ in range(5)) for _ in range(5))
    person = Person(name=name, role=Role.ADMIN, made=clock.now())
    return (name, password) if people.add_first(person, password) else None


def usable_name(user: str) -> str:
    """The login name, where it can be one here."""
    name = re.sub(r"[^a-z0-9._-]+", "-", user.lower()).strip("-._")[:40]
    return name if NAME.fullmatch(name) else "admin"


def login_link(people: People, user: str) -> str:
    """What follows the address; empty where there is no such person."""
    with contextlib.suppress(NotFound):
        return f"/login#{people.make_link(usable_name(user), LIFE)}"
    return ""


def invite(people: People, clock: Clock, user: str, address: str, home: Path) -> None:
    """Say where to log in, at the terminal; else into `<home>/login`."""
    made = first_admin(people, clock, user)
    lines = []
    if made is not None:
        lines.append(f"An administrator was made: {made[0]}, with the password {made[1]}. It is shown this once.")
    link = login_link(people, user)
    if link:
        lines.append(f"Log in as {usable_name(user)}: {address}{link} (works once, within an hour)")
    if not lines:
        return
    text = "".join(f"{line}\n" for line in lines)
    if sys.stdout.isatty():
        sys.stdout.write(text)
    else:
        file = home / "login"
        keep(file, text)
        sys.stdout.write(f"How to log in is in {file}.\n")
    sys.stdout.flush()


def keep(file: Path, text: str) -> None:
    """For this user alone, from its first moment on."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # with a store elsewhere nothing has made it yet
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    draft.replace(file)
