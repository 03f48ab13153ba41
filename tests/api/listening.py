"""A client of the live socket, for tests: says and hears JSON, in a thread of the test's own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.api.conftest import Served
from winslow_nomad.api.authority import COOKIE

Message = dict[str, Any]


class Listener:
    """Connected when it is made. Everything that was heard is in `heard`."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        address = url.replace("http", "ws", 1) + "/api/v1/live"
        made = connect(address, additional_headers=headers, open_timeout=10, close_timeout=1)
        self.socket: ClientConnection = made.__enter__()  # it is closed by this one's own end
        self.heard: list[Message] = []
        self.code = 0

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, **message: str) -> None:
        self.socket.send(json.dumps(message))

    def follow(self, topic: str, cursor: str = "") -> None:
        self.say(op="sub", topic=topic, cursor=cursor)

    def hear(self, seconds: float = 10.0) -> Message:
        """The next message. Raises TimeoutError; ConnectionClosed, with `code`."""
        try:
            found: Message = json.loads(self.socket.recv(timeout=seconds))
        except ConnectionClosed:
            self.code = self.socket.close_code or 0
            raise
        self.heard.append(found)
        return found

    def until(self, fits: Callable[[Message], Any], seconds: float = 10.0) -> Message:
        """The next message that fits."""
        deadline = time.monotonic() + seconds
        while True:
            message = self.hear(max(0.0, deadline - time.monotonic()))
            if fits(message):
                return message

    def of(self, topic: str, seconds: float = 10.0) -> Message:
        """The next message of this topic."""
        return self.until(lambda m: m.get("topic") == topic, seconds)

    def closed(self, seconds: float = 15.0) -> int:
        """Waits for the end: its code."""
        deadline = time.monotonic() + seconds
        while not self.code:
            try:
                self.hear(max(0.0, deadline - time.monotonic()))
            except ConnectionClosed:
                break
        return self.code


def listening(served: Served, user: str, **headers: str) -> Listener:
    """As a page of somebody who is logged in."""
    secret = served.world.services.people.open_session(user, "password").secret
    return Listener(served.url, {"Cookie": f"{COOKIE}={secret}", "Origin": served.url, **headers})
