"""The log of an attempt from a server, across whatever cuts a connection: it goes on at the byte where it was."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx

from winslow_nomad.client.wire import Wire
from winslow_nomad.core.client import LogChunk
from winslow_nomad.core.errors import Unavailable

QUIET = 45.0  # seconds without a sign of the server, which gives one every fifteen
PATIENCE = 300.0  # seconds that a server may be away while a log is followed
PAUSE = 1.0  # seconds between two tries


def chunks(wire: Wire, project: str, stage: int, attempt: int, *, follow: bool) -> Iterator[LogChunk]:
    """Raises Unavailable when the server stays away."""
    offset, number = 0, attempt
    reached = time.monotonic()
    patience = PATIENCE if follow else wire.patience
    while True:
        asked = {"attempt": number, "format": "chunks", "wait": follow, "offset": offset}
        path = f"projects/{project}/stages/{stage}/log/follow"
        try:
            with wire.stream("GET", path, params=asked, timeout=httpx.Timeout(QUIET, connect=5.0)) as answer:
                number = int(answer.headers.get("winslow-attempt", number))  # a newer one may begin meanwhile
                for line in answer.iter_lines():
                    reached = time.monotonic()
                    told: dict[str, Any] = json.loads(line)
                    if told.get("end"):
                        return
                    if "data" in told:
                        data = base64.b64decode(told["data"])
                        offset += len(data)
                        at = datetime.fromisoformat(told["at"]) if told["at"] else None
                        yield LogChunk(stream=told["stream"], data=data, at=at)
        except (Unavailable, json.JSONDecodeError):  # a line that was cut off comes again
            if time.monotonic() - reached > patience:
                raise
        time.sleep(PAUSE if follow else PAUSE / 5)
