"""Writes the audit: one entry for each request that changes something or was denied, before its answer goes out.

It is written from the outermost layer, so no route can forget it; a route may add to it by `note`. Where the store
cannot be reached, the entry is in the log of the process instead."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from fastapi import Request

from winslow_nomad.core.audit import Audit, AuditEntry
from winslow_nomad.core.errors import Unavailable

log = logging.getLogger(__name__)
DEADLINE = 5.0  # seconds an answer waits for its entry
STRANGERS = 60  # entries of people who show no identity, in each MINUTE; more are counted
MINUTE = 60.0


def note(request: Request, **about: str) -> None:
    """Say more about what is done, in the audit. Never anything secret."""
    state = request.scope["state"]
    state["about"] = {**state.get("about", {}), **{k: v[:200] for k, v in about.items()}}


class Trail:
    """Entries of requests at the same time go to the store together."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._writer = ThreadPoolExecutor(1, "audit")
        self._pending: deque[tuple[AuditEntry, Future[None]]] = deque()
        self._lock = threading.Lock()
        self._minute = 0.0
        self._strangers = 0
        self._skipped = 0

    async def write(self, entry: AuditEntry) -> None:
        """Never raises."""
        if not entry.actor:
            taken = self._stranger(entry)
            if taken is None:
                return
            entry = taken
        done: Future[None] = Future()
        self._pending.append((entry, done))
        self._writer.submit(self._flush)
        try:
            async with asyncio.timeout(DEADLINE):
                await asyncio.shield(asyncio.wrap_future(done))
        except TimeoutError:
            log.warning("the audit is slow; an answer went out before its entry")

    def _stranger(self, entry: AuditEntry) -> AuditEntry | None:
        """Whoever shows no identity must not be able to fill the store."""
        with self._lock:
            now = time.monotonic()
            if now - self._minute > MINUTE:
                self._minute, self._strangers = now, 0
            self._strangers += 1
            if self._strangers > STRANGERS:
                self._skipped += 1
                return None
            skipped, self._skipped = self._skipped, 0
        return entry.but(skipped=skipped) if skipped else entry

    def _flush(self) -> None:
        batch = []
        while self._pending:
            batch.append(self._pending.popleft())
        if not batch:
            return
        try:
            self._audit.append([entry for entry, _ in batch])
        except Unavailable as error:
            for entry, _ in batch:
                log.error("not in the audit, since %s: %s", error.message, entry.model_dump_json(exclude_defaults=True))
        except Exception:
            log.exception("%d entries are not in the audit", len(batch))
        finally:
            for _, done in batch:
                done.set_result(None)
