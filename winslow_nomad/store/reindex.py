"""Making the indexes of all projects anew from the projects themselves: once when a newer Winslow orders them in
another way. Safe to break off and to repeat. Whoever knows the new order waits for it; a process of before that commits
meanwhile may be counted twice, so those are ended first (docs/administration.md)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from redis import Redis
from redis.exceptions import WatchError

from winslow_nomad.core import rows
from winslow_nomad.store import codec, indexes
from winslow_nomad.store.commit import Command
from winslow_nomad.store.faults import translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.redis import RedisStore
from winslow_nomad.store.transaction import Transaction, ask, texts

log = logging.getLogger(__name__)
DERIVED = ("by:*", "state:*", "tag:*", "author:*", "created", "priority", "named", "folded", "asking", "counts",
           "audiences", "used")  # fmt: skip
TOLD = 10_000  # projects between two lines in the log


def reindex(client: Redis, keys: Keys, alive: Callable[[], object]) -> int:
    """How many projects were put into the indexes. `alive` is called again and again. Raises StoreUnavailable."""
    for key in _derived(client, keys):
        ask(client, ("UNLINK", key))
    store = RedisStore(client, keys=keys)
    projects = store.projects()
    for number, project in enumerate(projects, start=1):
        _place(client, keys, store, project)
        if number % 500 == 0:
            alive()
        if number % TOLD == 0:
            log.info("%d of %d projects are in the new indexes", number, len(projects))
    return len(projects)


def _derived(client: Redis, keys: Keys) -> Iterator[str]:
    for pattern in DERIVED:
        escaped = "".join(f"\\{c}" if c in "*?[]\\" else c for c in keys.prefix)
        cursor = "0"
        while True:
            reply = ask(client, ("SCAN", cursor, "MATCH", f"{escaped}:idx:{pattern}", "COUNT", 1000))[0]
            cursor = reply[0].decode()
            yield from texts(reply[1])
            if cursor == "0":
                break


def _place(client: Redis, keys: Keys, store: RedisStore, name: str) -> None:
    """A project that is in its indexes already was put there by a commit since, and stays."""
    with translated():
        while True:
            project = store.load(name)
            if project is None:
                return
            place = indexes.places(project)
            summary = codec.write_row(rows.row(project, rows.tally(project, None, rows.NOTHING)))
            try:
                with Transaction.on(client) as transaction:
                    wanted: list[Command] = [("HGET", keys.project(name), "version"), ("ZSCORE", keys.created, name)]
                    version, there = transaction.read(wanted, watch=[keys.project(name)])
                    if there is not None:
                        return
                    if int(version) != project.version:
                        continue
                    commands = indexes.write(keys, None, project, place)
                    transaction.commit([*commands, ("HSET", keys.project(name), "summary", summary)])
                    return
            except WatchError:
                continue
