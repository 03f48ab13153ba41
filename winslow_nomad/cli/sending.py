"""Sending one command to one project, and saying what became of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from winslow_nomad.cli import doors

if TYPE_CHECKING:
    from winslow_nomad.core.client import Client
    from winslow_nomad.core.messages import AnyCommand
    from winslow_nomad.core.project import Project


@dataclass(frozen=True)
class Sender:
    """One project as seen by one command. `actor`: in whose name. `server`: its address; empty: this machine."""

    client: Client
    project: Project
    actor: str
    server: str = ""

    def send(self, command: AnyCommand) -> Project:
        """Every command carries a key of its own, so that a repetition after a lost answer does nothing twice."""
        return self.client.send(self.project.id, command.but(actor=self.actor), key=uuid4().hex)


@contextmanager
def project_of(context: Any, name: str) -> Iterator[Sender]:
    """Open the installation and find the project. NotFound."""
    door = doors.of(context)
    with door.client() as client:
        yield Sender(client, client.project(client.find(name)), door.user, door.server)


def change(context: Any, name: str, make: Callable[[Project], AnyCommand], done: str, *, as_json: bool) -> None:
    """Send what `make` makes of the project and say `done`, with the state after it."""
    with project_of(context, name) as sender:
        report(sender, sender.send(make(sender.project)), done, as_json=as_json)


def report(sender: Sender, after: Project, done: str, *, as_json: bool) -> None:
    """Say what became of the project, and whether anybody is there to carry it out."""
    from winslow_nomad.cli import as_json as stable
    from winslow_nomad.cli import words

    if as_json:
        stable.put({"project": stable.project(after, datetime.now(UTC))})
    else:
        text = f"{done} {after.name} ({after.id}) {words.of_project(after).sentence}"
        sys.stdout.write(words.safe(text) + "\n")
    nobody(sender.client, after, sender.server)


def nobody(client: Client, project: Project, server: str) -> None:
    """Say so where something is to be done and nobody is there to do it."""
    if not to_do(project) or client.active():
        return
    if server:
        sys.stderr.write(f"Nobody runs stages at {server} now; what was asked for is kept until somebody does.\n")
        return
    sys.stderr.write(
        f"Nobody runs stages here now; it is done with: winslow run --resume {project.id}, or winslow up\n"
    )


def nobody_for_files(client: Client, server: str) -> None:
    """Say so where files are to be moved and nobody is there to do it."""
    if not client.active():
        where = f"at {server}" if server else "here"
        sys.stderr.write(f"Nobody works on files {where} now; it is done as soon as somebody does (winslow up).\n")


def to_do(project: Project) -> bool:
    """Whether something has to be carried out, or could start."""
    from winslow_nomad.core.effects import WakeAt
    from winslow_nomad.core.line import startable
    from winslow_nomad.core.outstanding import outstanding

    return bool(startable(project)) or any(not isinstance(e, WakeAt) for e in outstanding(project))
