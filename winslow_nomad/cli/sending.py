"""Sending one command to one project, and saying what became of it."""

from __future__ import annotations

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
    """One project as seen by one command. `actor`: in whose name."""

    client: Client
    project: Project
    actor: str

    def send(self, command: AnyCommand) -> Project:
        """Every command carries a key of its own, so that a repetition after a lost answer does nothing twice."""
        return self.client.send(self.project.id, command.but(actor=self.actor), key=uuid4().hex)


@contextmanager
def project_of(context: Any, name: str) -> Iterator[Sender]:
    """Open the installation and find the project. NotFound."""
    door = doors.of(context)
    with door.client() as client:
        yield Sender(client, client.project(client.find(name)), door.user)


def change(context: Any, name: str, make: Callable[[Project], AnyCommand], done: str, *, as_json: bool) -> None:
    """Send what `make` makes of the project and say `done`, with the state after it."""
    with project_of(context, name) as sender:
        after = sender.send(make(sender.project))
    report(after, done, as_json=as_json)


def report(after: Project, done: str, *, as_json: bool) -> None:
    import sys

    from winslow_nomad.cli import as_json as stable
    from winslow_nomad.cli import words

    now = datetime.now(UTC)
    if as_json:
        stable.put({"project": stable.project(after, now)})
        return
    text = f"{done} {after.name} ({after.id}) {words.of_project(after).sentence}"
    sys.stdout.write(words.safe(text) + "\n")
