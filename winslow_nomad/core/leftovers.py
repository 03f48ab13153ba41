"""What of a project's files nothing needs any more, how large it is, when it goes by itself, and what of it lies in the
trash and can be taken back. Values only; which those are is said by core.retention."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from winslow_nomad.core.model import Value


class Leftover(Value):
    """A directory that may go without losing a result."""

    stage: int
    id: str = Field(description="of the stage's definition")
    attempt: int
    kind: Literal["failed_workspace", "superseded_attempt"]
    why: str
    since: datetime = Field(description="when it became useless")
    goes: datetime | None = Field(default=None, description="from when on it goes by itself; null: never")
    bytes: int | None = Field(default=None, description="on the disk; null: it could not be counted in time")


class InTrash(Value):
    """Leftovers that went together. They come back together."""

    entry: str
    why: str
    actor: str = Field(default="", description="who asked for it; empty: its time had come")
    at: datetime
    until: datetime | None = Field(default=None, description="when it is deleted for ever; null: never by itself")
    directories: int
    bytes: int | None = None


class Leftovers(Value):
    """`items`: the oldest first; `trash`: the newest first. `trash_days`: how long what goes now can be taken back;
    null: for ever."""

    items: tuple[Leftover, ...] = ()
    trash: tuple[InTrash, ...] = ()
    trash_days: float | None = None
    failed_days: float | None = Field(default=None, description="of workspaces, where the project says nothing")
    superseded_days: float | None = Field(default=None, description="the same of replaced attempts")
