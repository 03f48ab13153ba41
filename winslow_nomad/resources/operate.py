"""The loop that carries out operations: takes one, has its handler do it, says how it ended.

An operation may be done twice, never half: a worker that dies loses its lease, and the next begins anew.
The follow-up is told before the end is stored, so that it cannot be lost between the two; for one that did
not succeed once more afterwards, since who asked again in between was still shown the old operation.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from winslow_nomad.core.about import about
from winslow_nomad.core.errors import Unavailable, WinslowError
from winslow_nomad.core.operations import Operation, OperationKind, Operations
from winslow_nomad.core.ports import Clock
from winslow_nomad.resources.work import Cancelled, Progress, condition

LEASE = 30.0  # seconds; longer than any call to the share may take
RENEW_EVERY = 0.25  # seconds; also how long a cancel may go unnoticed
AGAIN_AFTER = 0.5  # seconds, while the store is away

log = logging.getLogger(__name__)


class Lost(Cancelled):
    """Another worker has the operation now."""


class Leaving(Cancelled):
    """This worker ends; another one begins the operation anew."""


class Handler(Protocol):
    def __call__(self, operation: Operation, progress: Progress) -> str:
        """Do it, from the beginning, whatever an earlier try has left; answers what was done, in words.

        Raises Cancelled from `progress` after taking away what was half made, WinslowError, OSError."""
        ...


class _Watch:
    """Progress of one operation: stores it, extends the lease, learns of a cancel."""

    def __init__(self, operations: Operations, operation: Operation, stopping: Callable[[], bool]) -> None:
        self.operation = operation
        self._operations = operations
        self._stopping = stopping
        self._next = 0.0

    def __call__(self, bytes_done: int, bytes_total: int, files_done: int, files_total: int) -> None:
        self.operation = self.operation.but(
            bytes_done=bytes_done, bytes_total=bytes_total, files_done=files_done, files_total=files_total
        )
        if self._stopping():
            raise Leaving
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + RENEW_EVERY
        with suppress(Unavailable):  # while the store is away nobody can take it from us
            if not self._operations.renew(self.operation, LEASE):
                now = self._operations.get(self.operation.id)
                if now is not None and now.owner == self.operation.owner and now.cancelling:
                    raise Cancelled
                raise Lost


def operate(
    operations: Operations,
    owner: str,
    handlers: Mapping[OperationKind, Handler],
    on_end: Callable[[Operation], None],
    stopping: Callable[[], bool],
    clock: Clock,
) -> None:
    """Carry out operations until `stopping()`. `owner` names this worker and no other. `on_end` may be told
    the same end several times, and may raise Unavailable: then it is told again."""
    while not stopping():
        try:
            operation = operations.take(owner, LEASE)
            if operation is None:
                operations.wait(1.0)
                continue
        except Unavailable:
            time.sleep(AGAIN_AFTER)
            continue
        watch = _Watch(operations, operation, stopping)
        try:
            text = _done(handlers, operation, watch)
            ended = watch.operation.but(state="done", text=text, code="")
        except Lost:
            continue
        except Leaving:
            with suppress(Unavailable):
                operations.renew(watch.operation, 0.0)  # whoever comes next may have it at once
            return
        except Cancelled:
            ended = watch.operation.but(state="cancelled", text="cancelled", code="operation.cancelled")
        except WinslowError as error:
            ended = watch.operation.but(state="failed", text=str(error), code=error.code)
        _tell(operations, ended.but(ended=clock.now()), on_end, stopping)


def _done(handlers: Mapping[OperationKind, Handler], operation: Operation, watch: _Watch) -> str:
    handler = handlers.get(operation.kind)
    if handler is None:
        raise WinslowError(f"This worker knows no operation {operation.kind!r}.", code="operation.unknown")
    try:
        with about(operation=operation.id, **({"project": operation.project} if operation.project else {})):
            return handler(operation, watch)
    except OSError as error:
        known = condition(error)
        if known is not None:
            raise known from error
        raise WinslowError(f"{operation.kind}: {error}.", code="operation.failed") from error
    except (Cancelled, WinslowError):
        raise
    except Exception as error:
        log.exception("operation failed", extra={"about": {"operation": operation.id, "project": operation.project}})
        text = f"{operation.kind} met an error that nobody expected: {error!r}."
        raise WinslowError(text, hint="Please report it, with the log.", code="operation.broken") from error


def _tell(
    operations: Operations, ended: Operation, on_end: Callable[[Operation], None], stopping: Callable[[], bool]
) -> None:
    while True:
        try:
            on_end(ended)
            operations.finish(ended)
            if ended.state != "done":
                on_end(ended)
            return
        except Unavailable:
            if stopping():
                return  # its lease runs out, and it is done again
            time.sleep(AGAIN_AFTER)
