"""How long we wait for a body that comes slowly, so that nobody can hold a place by doing nothing. Headers, and who
reads slowly, are timed by the server (bootstrap.protocol)."""

from __future__ import annotations

import asyncio
import time

from starlette.types import Message, Receive

LARGEST_BODY = 1024 * 1024  # bytes
UNLIMITED = 1 << 60  # `max_body_size` of a route that takes its body in pieces and counts by itself

GAP = 60.0  # seconds between two pieces of a body
GRACE = 60.0  # seconds after which a body must have come at RATE on the average
RATE = 1024  # bytes per second


class Patience:
    """Around one request. `over`: the sender was too slow; to the application it looks as if it had gone."""

    def __init__(self, receive: Receive, gap: float) -> None:
        self._receive = receive
        self._gap = gap
        self._begun = time.monotonic()
        self._bytes = 0
        self._complete = False
        self.over = False

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()  # waits for the end of the connection, for as long as it takes
        try:
            async with asyncio.timeout(self._gap):
                message = await self._receive()
        except TimeoutError:
            return self._gone()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            waited = time.monotonic() - self._begun
            if not self._complete and waited > GRACE and self._bytes < (waited - GRACE) * RATE:
                return self._gone()
        return message

    def _gone(self) -> Message:
        self.over = True
        self._complete = True
        return {"type": "http.disconnect"}
