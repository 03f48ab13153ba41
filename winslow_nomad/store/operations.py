"""core.operations.Operations on the store: who works on what, under leases that run out with their owner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from redis import Redis
from redis.exceptions import WatchError

from winslow_nomad.core.operations import Operation
from winslow_nomad.core.ports import Clock
from winslow_nomad.store.client import LONGEST_BLOCK
from winslow_nomad.store.commit import Command
from winslow_nomad.store.faults import translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import Transaction, ask, texts

OPEN = ("waiting", "running")
LONGEST_LEASE = 60.0  # seconds that anybody asks for
ENDED_KEPT = 7 * 24 * 3600  # seconds
BELLS = 16  # rings kept for takers that are not listening


class RedisOperations:
    """`reader`: a client for blocking reads (store.client.reader_client), used by `wait` alone. `gone`: whether an
    owner has ended for ever, so that its lease need not be waited for."""

    def __init__(
        self,
        client: Redis,
        reader: Redis,
        clock: Clock,
        keys: Keys | None = None,
        gone: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._client = client
        self._reader = reader
        self._clock = clock
        self._keys = keys or Keys()
        self._gone = gone

    def put(self, operation: Operation) -> Operation:
        key = self._keys.operation(operation.id)
        with translated():
            while True:
                try:
                    with Transaction.on(self._client) as transaction:
                        text = transaction.read([("GET", key)], watch=[key])[0]
                        if text is not None:
                            return _read(text)
                        transaction.commit(
                            [
                                ("SET", key, _write(operation)),
                                ("ZADD", self._keys.operations_open, operation.made.timestamp(), operation.id),
                                *self._bell(),
                            ]
                        )
                        return operation
                except WatchError:
                    continue

    def get(self, operation: str) -> Operation | None:
        text = ask(self._client, ("GET", self._keys.operation(operation)))[0]
        return None if text is None else _read(text)

    def list(self, *, open_only: bool = True) -> Sequence[Operation]:
        """The oldest first; ended ones of the last seven days behind them unless `open_only`."""
        keys = [self._keys.operations_open, *([] if open_only else [self._keys.operations_ended])]
        found = [i for reply in ask(self._client, *(("ZRANGE", k, 0, -1) for k in keys)) for i in texts(reply)]
        if not found:
            return []
        records = ask(self._client, *(("GET", self._keys.operation(i)) for i in found))
        return [_read(t) for t in records if t is not None]

    def take(self, owner: str, lease: float) -> Operation | None:
        """Who asks works on nothing: what stands under its own name was given to it by an answer that got lost."""
        for candidate in self.list():
            if not self._free(candidate, owner, self._clock.now()):
                continue

            def ours(operation: Operation) -> Operation | None:
                now = self._clock.now()
                if not self._free(operation, owner, now):
                    return None
                return operation.but(state="running", owner=owner, lease_until=now + timedelta(seconds=lease))

            taken = self._change(candidate.id, ours)
            if taken is not None:
                return taken
        return None

    def renew(self, operation: Operation, lease: float) -> bool:
        def extended(stored: Operation) -> Operation | None:
            if stored.state != "running" or stored.owner != operation.owner or stored.cancelling:
                return None
            return operation.but(state="running", lease_until=self._clock.now() + timedelta(seconds=lease))

        return self._change(operation.id, extended) is not None

    def finish(self, operation: Operation) -> bool:
        def ended(stored: Operation) -> Operation | None:
            if stored.state != "running" or stored.owner != operation.owner:
                return None
            return operation.but(
                lease_until=None, cancelling=stored.cancelling, ended=operation.ended or self._clock.now()
            )

        return self._change(operation.id, ended) is not None

    def cancel(self, operation: str) -> None:
        def cancelled(stored: Operation) -> Operation | None:
            if stored.state not in OPEN or stored.cancelling:
                return None
            if stored.state == "waiting":
                return stored.but(state="cancelled", cancelling=True, ended=self._clock.now())
            return stored.but(cancelling=True)

        self._change(operation, cancelled)

    def wait(self, timeout: float) -> None:
        ask(self._reader, ("BLPOP", self._keys.operations_bell, min(max(timeout, 0.01), LONGEST_BLOCK)))

    def _free(self, operation: Operation, owner: str, now: datetime) -> bool:
        if operation.state != "running":
            return operation.state == "waiting"
        until = operation.lease_until
        if operation.owner == owner or until is None or self._gone(operation.owner):
            return True
        return not now < until <= now + timedelta(seconds=LONGEST_LEASE)  # else the clock was put back since

    def _change(self, operation: str, step: Callable[[Operation], Operation | None]) -> Operation | None:
        """None: it is not there, or `step` leaves it as it is."""
        key = self._keys.operation(operation)
        with translated():
            while True:
                try:
                    with Transaction.on(self._client) as transaction:
                        text = transaction.read([("GET", key)], watch=[key])[0]
                        changed = None if text is None else step(_read(text))
                        if changed is None:
                            return None
                        transaction.commit(self._write(changed))
                        return changed
                except WatchError:
                    continue

    def _write(self, operation: Operation) -> Sequence[Command]:
        key = self._keys.operation(operation.id)
        if operation.state in OPEN:
            return [("SET", key, _write(operation))]
        now = self._clock.now().timestamp()
        return [
            ("SET", key, _write(operation), "EX", ENDED_KEPT),
            ("ZREM", self._keys.operations_open, operation.id),
            ("ZADD", self._keys.operations_ended, now, operation.id),
            ("ZREMRANGEBYSCORE", self._keys.operations_ended, "-inf", now - ENDED_KEPT),
        ]

    def _bell(self) -> Sequence[Command]:
        bell = self._keys.operations_bell
        return [("RPUSH", bell, 1), ("LTRIM", bell, 0, BELLS - 1)]


def _write(operation: Operation) -> str:
    return operation.model_dump_json(exclude_defaults=True)


def _read(text: bytes) -> Operation:
    return Operation.model_validate_json(text)
