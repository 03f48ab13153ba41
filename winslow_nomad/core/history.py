"""What happened in a project, as its journal has it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from winslow_nomad.core.messages import Entry
from winslow_nomad.core.model import Value


class Told(Value):
    """One change of a project: its version after it, when, by whom (empty: by itself), and what."""

    version: int
    at: datetime
    actor: str = ""
    entries: tuple[Entry, ...] = ()


class History(Protocol):
    def read(self, project: str, before: int = 0, limit: int = 100) -> Sequence[Told]:
        """Changes that made versions below `before` (0: all), the newest first; of those that said something, at most
        `limit`. Raises Unavailable."""
        ...


class Part(Value):
    """path: relative to the share. `final`: it does not change any more. at: when it was counted."""

    path: str
    bytes: int
    files: int
    inside: dict[str, int] = {}
    complete: bool = True
    final: bool = False
    at: datetime


class Sizes(Protocol):
    """Bytes on the share, counted now and then."""

    def of_project(self, project: str) -> tuple[Part, ...]: ...
