"""core.audit.Audit as a stream of the store: only ever added to, and trimmed by age."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from redis import Redis

from winslow_nomad.core.audit import AuditEntry, AuditRow
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.ports import Clock
from winslow_nomad.store import codec
from winslow_nomad.store.commit import Command
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import as_dict, ask

CHUNK = 500  # entries read at once
LOOKED_AT = 20_000  # entries that one page looks at for those that fit
FIELD = b"e"


class RedisAudit:
    def __init__(self, client: Redis, clock: Clock, *, keep: timedelta, keys: Keys | None = None) -> None:
        self._client = client
        self._clock = clock
        self._keep = keep
        self._key = (keys or Keys()).audit

    def append(self, entries: Sequence[AuditEntry]) -> None:
        oldest = round((self._clock.now() - self._keep).timestamp() * 1000)
        commands: list[Command] = [
            ("XADD", self._key, "MINID", "~", oldest, "*", FIELD, codec.write_record(e)) for e in entries
        ]
        ask(self._client, *commands)

    def read(
        self, *, before: str = "", limit: int = 100, actor: str = "", what: str = "", outcome: str = ""
    ) -> tuple[Sequence[AuditRow], str]:
        rows: list[AuditRow] = []
        cursor = _checked(before)
        for _ in range(0, LOOKED_AT, CHUNK):
            end = f"({cursor}" if cursor else "+"
            found: list[Any] = ask(self._client, ("XREVRANGE", self._key, end, "-", "COUNT", CHUNK))[0]
            for identifier, fields in found:
                cursor = identifier.decode()
                entry = AuditEntry.model_validate_json(as_dict(fields)[FIELD])
                if (actor and entry.actor != actor) or (what and entry.what != what):
                    continue
                if outcome and entry.outcome != outcome:
                    continue
                rows.append(AuditRow(cursor=cursor, entry=entry))
                if len(rows) == limit:
                    return rows, cursor
            if len(found) < CHUNK:
                return rows, ""
        return rows, cursor


def _checked(cursor: str) -> str:
    first, _, second = cursor.partition("-")
    if cursor and not (first.isdecimal() and second.isdecimal() and cursor.isascii() and len(cursor) < 42):
        raise Invalid("This is not a cursor of the audit.", hint="Give the `next` of a page.", code="request.cursor")
    return cursor
