"""Figures of the installation, read from the store in two round trips however large it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from redis import Redis

from winslow_nomad.core.monitoring import Figures
from winslow_nomad.core.ports import Clock
from winslow_nomad.store.commit import Command
from winslow_nomad.store.journal import JournalFeed
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.queue import Doorbells
from winslow_nomad.store.transaction import as_dict, ask, scored

LEASES = ("controller", "mirror", "watch", "notices")


class StoreFigures:
    """`drivers`: those that projects of this installation may have."""

    def __init__(self, client: Redis, clock: Clock, keys: Keys, drivers: Sequence[str] = ("local", "nomad")) -> None:
        self._client = client
        self._clock = clock
        self._keys = keys
        self._drivers = tuple(drivers)
        self._journal = JournalFeed(client, clock, keys)
        self._bells = Doorbells(client, keys)

    def read(self) -> Figures:
        """Raises StoreUnavailable."""
        keys = self._keys
        asked: dict[str, Command] = {
            "dirty": ("ZCARD", keys.dirty),
            "oldest": ("ZRANGE", keys.dirty_since, 0, 0, "WITHSCORES"),
            "open": ("SCARD", keys.open),
            "counts": ("HGETALL", keys.counts),
            "outbox": ("XLEN", keys.outbox),
            "due": ("ZCARD", keys.messages_due),
            "operations": ("ZCARD", keys.operations_open),
            "totals": ("HGETALL", keys.totals),
            **{f"waiting {d}": ("HLEN", keys.waiting(d)) for d in self._drivers},
            **{f"at {d}": ("HLEN", keys.at_driver(d)) for d in self._drivers},
            **{f"lease {n}": ("GET", keys.lease(n)) for n in LEASES},
        }
        found: dict[str, Any] = dict(zip(asked, ask(self._client, *asked.values()), strict=True))
        now = self._clock.now().timestamp()
        oldest = scored(found["oldest"])
        lag = self._journal.lag()
        projects: dict[str, int] = {}
        for place, count in as_dict(found["counts"]).items():
            state = place.decode().partition("|")[0]
            projects[state] = projects.get(state, 0) + int(count)
        return Figures(
            queue=self._bells.length(),
            dirty=int(found["dirty"]),
            oldest_dirty=max(0.0, now - oldest[0][1]) if oldest else 0.0,
            open_projects=int(found["open"]),
            projects=projects,
            waiting=sum(int(found[f"waiting {d}"]) for d in self._drivers),
            at_driver=sum(int(found[f"at {d}"]) for d in self._drivers),
            mirror_lines=lag.lines,
            mirror_lag=lag.seconds,
            notifications=int(found["outbox"]) + int(found["due"]),
            operations=int(found["operations"]),
            leases={n: _holder(found[f"lease {n}"]) for n in LEASES},
            totals={name.decode(): int(count) for name, count in as_dict(found["totals"]).items()},
        )


def _holder(text: bytes | None) -> str:
    return "" if text is None else str(json.loads(text)["owner"])
