"""All live sockets of this process: how many, whether they still live, and whether their people still may."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from winslow_nomad.api.live.connection import HEARTBEAT, SESSION_ENDED, TRY_LATER, Connection
from winslow_nomad.api.live.directory import Directory
from winslow_nomad.api.live.hub import Hub
from winslow_nomad.core.access import Principal
from winslow_nomad.core.errors import WinslowError

log = logging.getLogger(__name__)
MOST, MOST_OF_ONE = 3000, 50  # sockets of this process, and of one person
STRANGERS = 64  # sockets that have not said yet who they are
TICK = 1.0
CHECKED = 3.0  # seconds between two looks at whether sessions and tokens still hold
TOGETHER = 100  # of them looked at in one go


class Sockets:
    """Belongs to one event loop."""

    def __init__(self, app: FastAPI) -> None:
        self.loop = asyncio.get_running_loop()
        self.hub = Hub(app.state.services)
        self.directory = Directory(self.hub, app.state.log_lanes, app.state.roads)
        self.strangers = 0
        self._connections: set[Connection] = set()
        self._of: Counter[str] = Counter()
        self._ticker: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def admit(self, who: Principal) -> int:
        """0, or the code with which a socket is closed that is one too many."""
        return TRY_LATER if len(self) >= MOST or self._of[who.user] >= MOST_OF_ONE else 0

    def add(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._of[connection.who.user] += 1
        if self._ticker is None:
            self._ticker = asyncio.create_task(self._tick())

    def remove(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._of[connection.who.user] -= 1
        self._of += Counter()  # forgets those that have none
        if not self._connections and self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    async def _tick(self) -> None:
        checked = time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            for connection in list(self._connections):
                if now - connection.quiet_since >= HEARTBEAT - TICK:
                    connection.ping()
            if now - checked >= CHECKED:
                checked = now
                try:
                    await self._check()
                except WinslowError as error:
                    log.warning("sessions of live sockets were not looked at: %s", error)
                except Exception:  # once it ends nobody would look at them any more
                    log.exception("sessions of live sockets were not looked at")

    async def _check(self) -> None:
        connections = list(self._connections)
        for start in range(0, len(connections), TOGETHER):
            some = connections[start : start + TOGETHER]
            found = await self.hub.lane(lambda some=some: _asked(some))  # type: ignore[misc]
            for connection, who in zip(some, found, strict=True):
                if who is None:
                    connection.end(SESSION_ENDED)
                elif (who != connection.who or connection.doubtful) and connection in self._connections:
                    await connection.renew(who)


def _asked(connections: Sequence[Connection]) -> list[Principal | None]:
    return [connection.again() for connection in connections]


def sockets_of(connection: HTTPConnection) -> Sockets:
    """Those of the application in this event loop."""
    state = connection.app.state
    found: Sockets | None = getattr(state, "sockets", None)
    if found is None or found.loop is not asyncio.get_running_loop():
        found = state.sockets = Sockets(connection.app)
    return found
