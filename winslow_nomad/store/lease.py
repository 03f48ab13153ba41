"""One active controller. A lease with an epoch that grows with every new holder; what a former holder still
sends is refused by that epoch, inside the commit it comes with (store.redis)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from redis import Redis
from redis.exceptions import WatchError

from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.store.commit import Command
from winslow_nomad.store.faults import translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import Transaction, ask


class Lease:
    """events.controller.Lease. `owner` must differ between processes and between their lives. `gone`: whether an
    owner has ended for ever, so that its lease need not be waited for."""

    def __init__(
        self,
        client: Redis,
        owner: str,
        *,
        name: str = "controller",
        seconds: float = 5.0,
        keys: Keys | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        gone: Callable[[str], bool] = lambda _: False,
    ) -> None:
        keys = keys or Keys()
        self._client = client
        self._owner = owner
        self._key = keys.lease(name)
        self._epoch_key = keys.epoch(name)
        self._seconds = seconds
        self._monotonic = monotonic
        self._gone = gone
        self._epoch: int | None = None
        self._until = 0.0
        self._renew_at = 0.0

    def hold(self) -> int | None:
        """Take or renew it: the epoch, or None while another one has it. Cheap to call often: it asks the store
        after a third of its time. While the store is away, the holder holds until its time is up; after
        that, StoreUnavailable."""
        now = self._monotonic()
        if self._epoch is not None and now < self._renew_at:
            return self._epoch
        try:
            with translated():
                self._epoch = self._take()
        except StoreUnavailable:
            if self.lost:
                raise
            return self._epoch
        if self._epoch is not None:
            self._until = now + self._seconds  # counted from before the question: never longer than in the store
            self._renew_at = now + self._seconds / 3
        return self._epoch

    @property
    def lost(self) -> bool:
        """Whether it has run out by this process's own clock: another one may be active."""
        return self._epoch is None or self._monotonic() >= self._until

    def holder(self) -> str:
        """Who has it now; empty: nobody."""
        text = ask(self._client, ("GET", self._key))[0]
        return "" if text is None else str(json.loads(text)["owner"])

    def release(self) -> None:
        """Give it back, if it is still ours. Raises StoreUnavailable; it then runs out by itself."""
        if self._epoch is None:
            return
        mine, self._epoch = self._text(self._epoch), None
        with translated():
            while True:
                try:
                    with Transaction.on(self._client) as transaction:
                        if transaction.read([("GET", self._key)], watch=[self._key])[0] == mine:
                            transaction.commit([("DEL", self._key)])
                        return
                except WatchError:
                    continue

    def raise_epoch(self, above: int) -> None:
        """For restoring from the share: later holders get epochs above those of its journal."""
        with translated():
            while True:
                try:
                    with Transaction.on(self._client) as transaction:
                        epoch = int(transaction.read([("GET", self._epoch_key)], watch=[self._epoch_key])[0] or 0)
                        if epoch < above:
                            transaction.commit([("SET", self._epoch_key, above)])
                        return
                except WatchError:
                    continue

    def _take(self) -> int | None:
        while True:
            try:
                with Transaction.on(self._client) as transaction:
                    return self._step(transaction)
            except WatchError:
                continue

    def _step(self, transaction: Transaction) -> int | None:
        text, epoch_text, left = transaction.read(
            [("GET", self._key), ("GET", self._epoch_key), ("PTTL", self._key)], watch=[self._key, self._epoch_key]
        )
        epoch = int(epoch_text or 0)
        life: Command = ("PX", round(self._seconds * 1000))
        holder = "" if text is None else str(json.loads(text)["owner"])
        if int(left) > 1000 * (self._seconds + 1):  # the server's clock was put back: it would last for hours
            holder = holder if holder == self._owner else ""
        if holder not in ("", self._owner) and not self._gone(holder):
            return None
        if holder == self._owner:
            transaction.commit([("SET", self._key, self._text(epoch), *life)])
            return epoch
        if not holder and self._epoch == epoch:  # it ran out, but nobody else had it since
            transaction.commit([("SET", self._key, self._text(epoch), *life)])
            return epoch
        transaction.commit([("SET", self._epoch_key, epoch + 1), ("SET", self._key, self._text(epoch + 1), *life)])
        return epoch + 1

    def _text(self, epoch: int) -> bytes:
        return json.dumps({"format": 1, "owner": self._owner, "epoch": epoch}).encode()
