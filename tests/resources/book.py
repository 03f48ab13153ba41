"""Operations in a file: the port for tests that need several processes. Every call takes the lock, reads
all, writes all; time is the wall's, so that a lease runs out over a kill."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from winslow_nomad.core.operations import Operation

T = TypeVar("T")
OPEN = ("waiting", "running")


class FileBook:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_suffix(".lock")

    def _with(self, change: Callable[[dict[str, Operation]], T]) -> T:
        with open(self._lock, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            text = self._path.read_text() if self._path.exists() else "{}"
            book = {k: Operation.model_validate(v) for k, v in json.loads(text).items()}
            result = change(book)
            aside = self._path.with_suffix(".new")  # a process that is killed here leaves the old one whole
            aside.write_text(json.dumps({k: v.model_dump(mode="json") for k, v in book.items()}))
            aside.rename(self._path)
            return result

    def held(self) -> bool:
        """A process has the lock now (perhaps one that was stopped)."""
        with open(self._lock, "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def put(self, operation: Operation) -> Operation:
        return self._with(lambda book: book.setdefault(operation.id, operation))

    def get(self, operation: str) -> Operation | None:
        return self._with(lambda book: book.get(operation))

    def list(self, *, open_only: bool = True) -> Sequence[Operation]:
        return self._with(lambda book: [o for o in book.values() if o.state in OPEN or not open_only])

    def take(self, owner: str, lease: float) -> Operation | None:
        def change(book: dict[str, Operation]) -> Operation | None:
            now = datetime.now(UTC)
            for found in book.values():
                free = found.state == "waiting" or (
                    found.state == "running" and found.lease_until is not None and found.lease_until < now
                )
                if free:
                    taken = found.but(state="running", owner=owner, lease_until=now + timedelta(seconds=lease))
                    book[found.id] = taken
                    return taken
            return None

        return self._with(change)

    def renew(self, operation: Operation, lease: float) -> bool:
        def change(book: dict[str, Operation]) -> bool:
            found = book[operation.id]
            if found.owner != operation.owner or found.state != "running" or found.cancelling:
                return False
            until = datetime.now(UTC) + timedelta(seconds=lease)
            book[operation.id] = operation.but(lease_until=until, cancelling=found.cancelling)
            return True

        return self._with(change)

    def finish(self, operation: Operation) -> bool:
        def change(book: dict[str, Operation]) -> bool:
            found = book[operation.id]
            if found.owner != operation.owner or found.state != "running":
                return False
            book[operation.id] = operation
            return True

        return self._with(change)

    def cancel(self, operation: str) -> None:
        def change(book: dict[str, Operation]) -> None:
            found = book[operation]
            if found.state == "waiting":
                book[operation] = found.but(state="cancelled", cancelling=True)
            elif found.state == "running":
                book[operation] = found.but(cancelling=True)

        self._with(change)

    def wait(self, timeout: float) -> None:
        time.sleep(min(timeout, 0.02))

    def expire(self, operation: str) -> None:
        """As if the lease had run out (the worker that held it is dead)."""

        def change(book: dict[str, Operation]) -> None:
            book[operation] = book[operation].but(lease_until=datetime(2000, 1, 1, tzinfo=UTC))

        self._with(change)
