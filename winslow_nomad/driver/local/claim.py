"""The claim file of an attempt, as this driver reads it: who owns the right to run it, for ever.

It is made by O_CREAT|O_EXCL and filled after that, so that a claim can be seen half written."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from winslow_nomad.core.model import Record
from winslow_nomad.driver.local.machine import Process


class Claim(Record):
    """unreadable: it is being written, or its writer died while doing so."""

    kind: Literal["runner", "cancelled", "unreadable"] = "unreadable"
    host: str = ""
    boot_id: str = ""
    pid: int = 0
    pid_start: int = 0
    owner: str = ""
    token: str = ""
    time: datetime | None = None

    @property
    def runner(self) -> Process:
        return Process(self.pid, self.pid_start)


def parse_claim(text: bytes | None) -> Claim | None:
    """None: nobody has claimed it."""
    if text is None:
        return None
    try:
        return Claim.model_validate_json(text)
    except ValidationError:
        return Claim()
