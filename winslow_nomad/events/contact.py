"""Tells a dead node from one that is only cut off, by the attempts' heartbeats on the share.

Stale means: the counter did not change over several reads spread over the stage's patience, on this
observer's own monotonic clock, while the share itself could be read each time. Times written by another
machine are never compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.core.ports import AttemptRef, Attempts

READS = 3


@dataclass
class Seen:
    counter: int
    since: float
    reads: int


class Heartbeats:
    def __init__(self, attempts: Attempts, monotonic: Callable[[], float]) -> None:
        self.attempts = attempts
        self.monotonic = monotonic
        self._seen: dict[AttemptRef, Seen] = {}

    def stale(self, ref: AttemptRef, patience: float) -> bool:
        """Has its heart stood still for `patience` seconds under our eyes? A failing read starts anew."""
        try:
            beat = self.attempts.heartbeat(ref)
        except ShareUnavailable:
            self._seen.pop(ref, None)
            return False
        counter = beat.counter if beat is not None else 0
        now = self.monotonic()
        seen = self._seen.get(ref)
        if seen is None or seen.counter != counter:
            self._seen[ref] = Seen(counter, now, 1)
            return False
        seen.reads += 1
        return seen.reads >= READS and now - seen.since >= patience

    def forget(self, ref: AttemptRef) -> None:
        self._seen.pop(ref, None)
