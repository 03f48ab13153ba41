"""The store's schema version: a Winslow that is older than what it finds stops with a sentence instead of
writing what it does not understand."""

from __future__ import annotations

import json

from redis import Redis

from winslow_nomad import __version__
from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import ask

SCHEMA = 1


def open_schema(client: Redis, keys: Keys | None = None) -> int:
    """The version found, or written into an empty store. Raises StoreUnavailable (store.newer)."""
    key = (keys or Keys()).schema
    mine = json.dumps({"format": 1, "schema": SCHEMA, "written_by": __version__})
    text = ask(client, ("GET", key))[0]
    if text is None:  # not written without need: looking on must work on a server that has no memory left
        text = ask(client, ("SET", key, mine, "NX"), ("GET", key))[1]
    found = json.loads(text)
    if int(found["schema"]) > SCHEMA:
        raise StoreUnavailable(
            f"The store was written by Winslow {found['written_by']} (schema {found['schema']}), which is newer than "
            f"this Winslow {__version__} (schema {SCHEMA}). Nothing was changed.",
            hint="Upgrade this Winslow.",
            code="store.newer",
        )
    return int(found["schema"])
