"""Reading the counters that commits write (core.statistics)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from redis import Redis
from redis.exceptions import WatchError

from winslow_nomad.core.durations import Typical, typical
from winslow_nomad.core.statistics import Cell
from winslow_nomad.store.commit import Command, read_cell, write_cell
from winslow_nomad.store.faults import translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import Transaction, as_dict, ask


class Statistics:
    def __init__(self, client: Redis, keys: Keys | None = None) -> None:
        self._client = client
        self._keys = keys or Keys()

    def read(self, since: datetime, until: datetime) -> Counter[Cell]:
        """All cells whose quarter begins in [since, until). Raises StoreUnavailable."""
        months = _months(since.astimezone(UTC), until.astimezone(UTC))
        first, last = since.timestamp(), until.timestamp()
        cells: Counter[Cell] = Counter()
        for reply in ask(self._client, *(("HGETALL", self._keys.statistics(m)) for m in months)):
            for field, amount in as_dict(reply).items():
                cell = read_cell(field.decode())
                if first <= cell.quarter < last:
                    cells[cell] += int(amount)
        return cells

    def sample(self, at: datetime, cells: Callable[[int], Mapping[Cell, int]], *, longest: int = 300) -> int:
        """Add what holds for the seconds since the last sample; `cells` gets their number. Nothing where that was less
        than one ago, or more than `longest`: nobody knows what was in between. Several processes doing it count no
        second twice. Answers the seconds."""
        key, now = self._keys.sampled, int(at.timestamp())
        with translated():
            while True:
                try:
                    with Transaction.on(self._client) as transaction:
                        last = transaction.read([("GET", key)], watch=[key])[0]
                        seconds = now - int(last) if last is not None else 0
                        if 0 <= seconds < 1 and last is not None:
                            return 0
                        seconds = seconds if 0 < seconds <= longest else 0
                        commands: list[Command] = [("SET", key, now)]
                        for cell, amount in cells(seconds).items() if seconds else ():
                            month = datetime.fromtimestamp(cell.quarter, UTC).strftime("%Y-%m")
                            commands.append(("HINCRBY", self._keys.statistics(month), write_cell(cell), amount))
                        transaction.commit(commands)
                        return seconds
                except WatchError:
                    continue

    def typical(self, pipeline: str) -> Mapping[str, Typical]:
        """core.durations.Durations."""
        counters: dict[tuple[str, str], int] = {}
        for field, amount in as_dict(ask(self._client, ("HGETALL", self._keys.history(pipeline)))[0]).items():
            stage, _, what = field.decode().partition("|")
            counters[stage, what] = int(amount)
        return typical(counters)


def _months(since: datetime, until: datetime) -> list[str]:
    year, month = since.year, since.month
    found: list[str] = []
    while (year, month) <= (until.year, until.month):
        found.append(f"{year:04d}-{month:02d}")
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return found
