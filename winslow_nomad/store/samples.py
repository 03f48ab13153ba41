"""How busy nodes were: one sample a minute for two days, one a quarter of an hour for a month, and when each node was
used last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from redis import Redis

from winslow_nomad.core.nodes import Sample
from winslow_nomad.store import codec
from winslow_nomad.store.commit import Command
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import as_dict, ask

FINE = timedelta(days=2)  # how long samples of each minute stay
COARSE = timedelta(days=32)
QUARTER = 900  # seconds


class Samples:
    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def put(self, node: str, sample: Sample) -> None:
        """At most one a minute is kept, by the minute it falls in; doing it twice is harmless."""
        seconds = int(sample.at.timestamp())
        text = codec.write_record(sample)
        commands: list[Command] = []
        for kind, step, kept in (("fine", 60, FINE), ("coarse", QUARTER, COARSE)):
            key, place = self._keys.samples(node, kind), seconds - seconds % step
            commands += [
                ("ZREMRANGEBYSCORE", key, "-inf", f"({place - kept.total_seconds():.0f}"),
                ("ZREMRANGEBYSCORE", key, place, place),
                ("ZADD", key, place, text),
                ("EXPIRE", key, int(kept.total_seconds())),
            ]
        if sample.gpus_used:
            commands.append(("HSET", self._keys.nodes_used, node, seconds))
        ask(self._client, *commands)

    def used(self, node: str, at: datetime) -> None:
        ask(self._client, ("HSET", self._keys.nodes_used, node, int(at.timestamp())))

    def last_used(self) -> Mapping[str, datetime]:
        found = as_dict(ask(self._client, ("HGETALL", self._keys.nodes_used))[0])
        return {name.decode(): datetime.fromtimestamp(int(at), UTC) for name, at in found.items()}

    def read(self, node: str, since: datetime, until: datetime) -> Sequence[Sample]:
        """The oldest first; by the minute where the time is short and recent enough, else by the quarter."""
        fine = until - since <= FINE / 2
        key = self._keys.samples(node, "fine" if fine else "coarse")
        asked: Command = ("ZRANGE", key, since.timestamp(), until.timestamp(), "BYSCORE")
        return [Sample.model_validate_json(text) for text in ask(self._client, asked)[0]]
