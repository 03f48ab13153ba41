"""Time that passes only when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2030, 1, 1, tzinfo=UTC)


class VirtualClock:
    """Implements core.ports.Clock. `seconds` count from `start`; only the cluster moves them."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.at(self.seconds)

    def at(self, seconds: float) -> datetime:
        return self._start + timedelta(seconds=seconds)

    def seconds_until(self, moment: datetime) -> float:
        return (moment - self._start).total_seconds()
