"""The claim file of an attempt: who has the right to run it, for ever; the same for every driver.

It is made by O_CREAT|O_EXCL and filled after that, so that a claim can be seen half written."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from winslow_nomad.core.model import Record


class Claim(Record):
    """unreadable: it is being written, or its writer died while doing so. host, boot_id, pid, pid_start: of the
    runner, as it sees itself (in a container: the container's). `owner`: what its driver calls it, such as an
    allocation's id. `time`: by the node's clock."""

    kind: Literal["runner", "cancelled", "unreadable"] = "unreadable"
    host: str = ""
    boot_id: str = ""
    pid: int = 0
    pid_start: int = 0
    owner: str = ""
    token: str = ""
    time: datetime | None = None


def parse_claim(text: bytes | None) -> Claim | None:
    """None: nobody has claimed it."""
    if text is None:
        return None
    try:
        return Claim.model_validate_json(text)
    except ValidationError:
        return Claim()
