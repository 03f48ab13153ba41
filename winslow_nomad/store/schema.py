"""The store's schema version: a Winslow that is older than what it finds stops with a sentence instead of
writing what it does not understand; one that is newer brings the store up to date, once."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping

from redis import Redis
from redis.exceptions import LockError

from winslow_nomad import __version__
from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.store.faults import translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.reindex import reindex
from winslow_nomad.store.transaction import ask

log = logging.getLogger(__name__)
SCHEMA = 2
LONGEST = 60.0  # seconds without a sign of life after which another process takes over
STEPS: Mapping[int, Callable[[Redis, Keys, Callable[[], object]], int]] = {
    2: reindex,  # projects are found by terms, each ordered by the last change
}


def open_schema(client: Redis, keys: Keys | None = None) -> int:
    """The version that the store has now; an empty one gets the newest. Raises StoreUnavailable (store.newer)."""
    keys = keys or Keys()
    text = ask(client, ("GET", keys.schema))[0]
    if text is None:  # not written without need: looking on must work on a server that has no memory left
        text = ask(client, ("SET", keys.schema, _mine(SCHEMA), "NX"), ("GET", keys.schema))[1]
    found = json.loads(text)
    if int(found["schema"]) > SCHEMA:
        raise StoreUnavailable(
            f"The store was written by Winslow {found['written_by']} (schema {found['schema']}), which is newer than "
            f"this Winslow {__version__} (schema {SCHEMA}). Nothing was changed.",
            hint="Upgrade this Winslow.",
            code="store.newer",
        )
    if int(found["schema"]) < SCHEMA:
        return _bring_up(client, keys)
    return SCHEMA


def _mine(schema: int) -> str:
    return json.dumps({"format": 1, "schema": schema, "written_by": __version__})


def _bring_up(client: Redis, keys: Keys) -> int:
    """One process does it; the others wait until it has. Every step may be repeated."""
    with translated():
        lock = client.lock(f"{keys.schema}:lock", timeout=LONGEST, sleep=0.05)
        lock.acquire()
        try:
            found = int(json.loads(ask(client, ("GET", keys.schema))[0])["schema"])
            for schema in range(found + 1, SCHEMA + 1):
                began = time.monotonic()
                projects = STEPS[schema](client, keys, lock.reacquire)
                ask(client, ("SET", keys.schema, _mine(schema)))
                log.info("store: schema %d, %d projects, %.1f s", schema, projects, time.monotonic() - began)
            return SCHEMA
        finally:
            try:
                lock.release()
            except LockError:
                log.warning("bringing up the store took longer than %g s", LONGEST)
