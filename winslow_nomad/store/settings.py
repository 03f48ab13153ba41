"""What was changed of the settings while everything ran: a hash of JSON values by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from redis import Redis

from winslow_nomad.store.commit import Command
from winslow_nomad.store.faults import translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import Transaction, as_dict, ask


class ChangedSettings:
    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._key = keys.settings

    def read(self) -> dict[str, Any]:
        found = as_dict(ask(self._client, ("HGETALL", self._key))[0])
        return {name.decode(): json.loads(text) for name, text in found.items()}

    def write(self, values: Mapping[str, Any]) -> None:
        """None takes one away. All at once."""
        kept = [x for name, value in values.items() if value is not None for x in (name, json.dumps(value))]
        gone = [name for name, value in values.items() if value is None]
        commands: list[Command] = [("HSET", self._key, *kept)] if kept else []
        if gone:
            commands.append(("HDEL", self._key, *gone))
        if commands:
            with translated(), Transaction.on(self._client) as transaction:
                transaction.commit(commands)
