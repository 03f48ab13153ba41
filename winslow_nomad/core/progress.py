"""What running attempts say of themselves, gathered for screens. Never a source for decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from winslow_nomad.core.model import Record

StageKey = tuple[str, int]  # project and stage number


class Told(Record):
    """By the newest heartbeat that was read; None where it says nothing. CPU in seconds, memory in bytes."""

    attempt: int
    percent: float | None = None
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    at: datetime


class Progresses(Protocol):
    def read(self, stages: Iterable[StageKey]) -> Mapping[StageKey, Told]:
        """Those of them that something is known of. Raises StoreUnavailable."""
        ...

    def all(self) -> Mapping[StageKey, Told]: ...

    def put(self, told: Mapping[StageKey, Told], gone: Iterable[StageKey] = ()) -> None: ...
