"""What has just changed, for screens: the port to the stream that every commit adds to. Never a source for
decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from winslow_nomad.core.client import Happened
from winslow_nomad.core.model import Value


class Batch(Value):
    """`cursor` continues behind it. `gap`: something before it is missing; read the state anew. All entries of
    one commit come together and share a cursor."""

    happened: tuple[Happened, ...]
    cursor: str
    gap: bool


class Stream(Protocol):
    """Raises StoreUnavailable."""

    def now(self) -> str:
        """A cursor behind everything that has happened."""
        ...

    def read(self, cursor: str, *, timeout: float = 0.0, count: int = 200) -> Batch:
        """What came after `cursor`, waiting up to `timeout` seconds for something. Raises Invalid (live.cursor)."""
        ...

    def rows(self, projects: Sequence[str]) -> Mapping[str, bytes]:
        """Those that there are, as lists show them: each as the JSON of a core.rows.Summary."""
        ...
