"""What the command line needs from an installation, be it the data directory of this machine or a
server. Every call raises errors of core.errors only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from winslow_nomad.core.begins import Begin
from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.filing import Conflict as OnConflict
from winslow_nomad.core.filing import Entry
from winslow_nomad.core.leftovers import Leftovers
from winslow_nomad.core.messages import AnyCommand
from winslow_nomad.core.messages import Entry as HistoryEntry
from winslow_nomad.core.model import Value
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project
from winslow_nomad.core.rows import Summary as Summary  # part of this interface
from winslow_nomad.core.verdicts import NodeVerdict

if TYPE_CHECKING:
    from pathlib import Path, PurePath


def begun(name: str, starts: Sequence[str]) -> list[str]:
    """The one id that begins with `name`, if any does. NotFound where several do: they are named."""
    if len(starts) > 1:
        some = ", ".join(sorted(starts)[:5]) + (" ..." if len(starts) > 5 else "")
        raise NotFound(
            f"The ids of {len(starts)} projects begin with {name!r}: {some}.",
            hint="Write more of the one that you mean.",
            code="project.ambiguous",
        )
    return list(starts)


class Happened(Value):
    """One entry of the live stream. `cursor` continues after it."""

    cursor: str
    project: str
    version: int
    at: datetime
    entry: HistoryEntry


class Progress(Value):
    """What a running attempt's heartbeat says; None where it says nothing."""

    stage: int
    attempt: int
    percent: float | None = None
    cpu_seconds: float = 0.0
    memory_bytes: int = 0


class LogChunk(Value):
    stream: Literal["out", "err"]
    data: bytes
    at: datetime | None = None


class Finding(Value):
    """One line of `winslow doctor`."""

    severity: Literal["ok", "note", "warning", "problem"]
    subject: str
    text: str
    fix: str = ""


Report = Callable[[str, int, int], None]


def unreported(name: str, done: int, total: int) -> None:
    """Nobody wants to know how far it is."""
    del name, done, total


class FileClient(Protocol):
    """Files of a space (`inputs`, or `project:<id>`), by paths relative to it. `report` is told how far long work is:
    the name of a file, bytes done, bytes in all (0: not known)."""

    report: Report

    def entries(self, space: str, path: str = "") -> Iterator[Entry]:
        """What is in a folder, folders first."""
        ...

    def entry(self, space: str, path: str) -> Entry: ...

    def get(self, space: str, path: str, target: Path) -> Path:
        """A file as `target`, or a folder with all that is in it. What is there complete is left, what was cut off
        goes on. Refused (path.taken) where something else is there."""
        ...

    def put(self, source: Path, space: str, path: str, *, conflict: OnConflict = "refuse") -> str:
        """A file as `path`, or a folder with all that is in it; answers where it is. The same content that is there
        already is left. Refused (path.taken) for another one, unless `conflict` says what to do."""
        ...

    def remove(self, space: str, path: str) -> str:
        """To the trash; answers the entry there."""
        ...

    def make_folder(self, space: str, path: str) -> Entry:
        """With those above it that are missing."""
        ...


class Client(Protocol):
    @property
    def files(self) -> FileClient: ...

    def projects(
        self,
        *,
        state: str = "",
        tag: str = "",
        author: str = "",
        text: str = "",
        limit: int = 100,
        after: str = "",
    ) -> Sequence[Summary]: ...

    def find(self, name: str) -> str:
        """The id of a project by its id, an unambiguous start of it, or its name (the newest of several). NotFound."""
        ...

    def project(self, project: str) -> Project: ...

    def send(
        self, project: str, command: AnyCommand, *, key: str = "", request: str = "", expected: int | None = None
    ) -> Project:
        """Apply a command (CreateProject too: the project may get another id) and answer the project after it.
        Repeating a key is safe. `request`: what the key stands for, where that is not the command itself. `expected`:
        the version that who asks has seen; VersionChanged where it is another."""
        ...

    def pipeline(self, path: PurePath) -> Pipeline:
        """Read, check and (a folder) store a pipeline file. InvalidPipeline."""
        ...

    def library(self, name: str, version: int = 0) -> Pipeline:
        """A pipeline of the library; 0: its newest version. NotFound (pipeline.not_found)."""
        ...

    def bring_input(self, path: PurePath) -> str:
        """Put a file or folder of this machine into the input pool; its path there, for a parameter's value. The same
        content is not brought twice; where something else has the name, it gets a number."""
        ...

    def put_secret(self, name: str, value: str) -> str:
        """A reference, for a command of this client."""
        ...

    def record(self, project: str, stage: int) -> dict[str, Any]:
        """stage.json of an ended stage, the same shape made up for an open one."""
        ...

    def output(self, project: str, stage: int) -> PurePath | None:
        """The directory of a stage's output, where it is visible on this machine."""
        ...

    def address(self, project: str) -> str:
        """Of the project's page, or of all of them (empty); empty: there are no pages."""
        ...

    def log(self, project: str, stage: int, attempt: int = 0, *, follow: bool = False) -> Iterator[LogChunk]:
        """Both streams in order of time. `attempt` 0: the newest. follow: until the attempt has ended."""
        ...

    def nodes_for(self, project: str, stage: int) -> Sequence[NodeVerdict]:
        """What each node says to a stage that waits for one, those that come nearest first; none for any other."""
        ...

    def progress(self, project: str) -> Sequence[Progress]: ...

    def begins(self, project: str) -> Mapping[int, Begin]:
        """When what waits is likely to start, by stage number; what nobody can tell is left out."""
        ...

    def events(self, project: str, cursor: str = "", *, timeout: float = 1.0) -> Sequence[Happened]:
        """What has happened since, waiting up to `timeout` seconds for something."""
        ...

    def clean(self, project: str, *, actor: str = "", key: str = "") -> Operation:
        """Begin to move what failed, stopped and superseded attempts left behind to the trash, without waiting until
        its time has come; records, logs and outputs stay. The same `key` again answers the operation that was begun
        with it. Refused (project.in_trash)."""
        ...

    def leftovers(self, project: str) -> Leftovers:
        """What `clean` would move, with its sizes, and what can be taken back. Raises ShareUnavailable."""
        ...

    def take_back(self, project: str, entry: str, *, actor: str = "", key: str = "") -> Operation:
        """Begin to move an entry of `leftovers(project).trash` back to where it was; `key` as for `clean`. NotFound
        (trash.not_found)."""
        ...

    def active(self) -> str:
        """Who moves stages now; empty: nobody, and what was asked for waits."""
        ...

    def doctor(self) -> Sequence[Finding]: ...

    def close(self) -> None: ...
