"""Statistics for many who look at once: a month is read once, this month again every half minute."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core.figures import Cells
from winslow_nomad.core.statistics import Cell
from winslow_nomad.store.statistics import Statistics

FRESH = 30.0  # seconds
LATE = timedelta(days=2)  # after which a month that is over gets no more counts
KEPT = 14  # months


class CachedCounters:
    """core.figures.Counters."""

    def __init__(self, installation: Installation) -> None:
        self._statistics = Statistics(installation.state, installation.keys)
        self._clock = installation.clock
        self._lock = threading.Lock()
        self._months: OrderedDict[datetime, tuple[float, bool, Cells]] = OrderedDict()

    def read(self, since: datetime, until: datetime) -> Cells:
        first, last = since.timestamp(), until.timestamp()
        found: dict[Cell, int] = {}
        for month in _months(since.astimezone(UTC), until.astimezone(UTC)):
            for cell, amount in self._month(month).items():
                if first <= cell.quarter < last:
                    found[cell] = amount
        return found

    def _month(self, month: datetime) -> Cells:
        with self._lock:  # who comes second waits for the one who reads
            known = self._months.get(month)
            if known is None or not (known[1] or time.monotonic() - known[0] < FRESH):
                end = _next(month)
                over = self._clock.now() > end + LATE
                known = (time.monotonic(), over, self._statistics.read(month, end))
                self._months[month] = known
                while len(self._months) > KEPT:
                    self._months.popitem(last=False)
            self._months.move_to_end(month)
            return known[2]


def _next(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)


def _months(since: datetime, until: datetime) -> list[datetime]:
    month = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = []
    while month < until:
        found.append(month)
        month = _next(month)
    return found
