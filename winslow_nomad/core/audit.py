"""Who did what, and who was not allowed to: one entry for each request that changes something or was denied.

Never holds a secret: no bodies, no query strings, no names that were typed in a place of somebody unknown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from winslow_nomad.core.model import Record, Value

Outcome = Literal["done", "refused", "denied", "failed"]


class AuditEntry(Record):
    """actor: empty where nobody showed who they are. token: its name, where one was used. what: the operation, as
    in the description of the API. target: what it was about, from the path. `about`: more, from the operation.
    skipped: entries of unknown people left out before this one, because there were too many of them."""

    at: datetime
    actor: str = ""
    token: str = ""
    what: str = Field(examples=["command_project"])
    target: dict[str, str] = {}
    about: dict[str, str] = {}
    address: str = ""
    request: str = ""
    outcome: Outcome
    status: int
    skipped: int = 0


class AuditRow(Value):
    """`cursor` continues with what is older."""

    cursor: str
    entry: AuditEntry


class Audit(Protocol):
    def append(self, entries: Sequence[AuditEntry]) -> None:
        """Raises StoreUnavailable."""
        ...

    def read(
        self, *, before: str = "", limit: int = 100, actor: str = "", what: str = "", outcome: str = ""
    ) -> tuple[Sequence[AuditRow], str]:
        """The newest first, and the cursor of what is older; empty: nothing is. Looks at a bounded number of
        entries, so a page may have fewer rows than `limit` and still be followed by others."""
        ...
