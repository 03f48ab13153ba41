"""The claim file of an attempt, as this driver reads it: which allocation has the right to run it, for ever.

It is made by O_CREAT|O_EXCL and filled after that, so that it can be seen half written."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from winslow_nomad.core.model import Record


class Claim(Record):
    """unreadable: it is being written, or its writer died while doing so. `owner`: the allocation's id, as the
    runner was told. `time`: when it was made, by the node's clock."""

    kind: Literal["runner", "cancelled", "unreadable"] = "unreadable"
    owner: str = ""
    boot_id: str = ""
    time: datetime | None = None


def parse_claim(text: bytes | None) -> Claim | None:
    """None: nobody has claimed it."""
    if text is None:
        return None
    try:
        return Claim.model_validate_json(text)
    except ValidationError:
        return Claim()
