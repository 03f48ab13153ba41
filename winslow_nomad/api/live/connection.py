"""One live socket: what its client says, and what is sent to it. It sends one message after the other and waits until
each is taken, so that what a slow client does not read is merged in its outboxes and takes no more memory."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from winslow_nomad.api.live.directory import Directory
from winslow_nomad.api.live.messages import SAID, Authenticate, Hello, Ping, Refused, Subscribe
from winslow_nomad.api.live.topics import Topic
from winslow_nomad.core.access import Principal
from winslow_nomad.core.errors import Invalid, NotFound, Unavailable, WinslowError

log = logging.getLogger(__name__)
HEARTBEAT = 20.0  # seconds of silence
UNREAD = 30.0  # seconds after which a client that takes nothing is given up
TOPICS = 64  # of one client
LARGEST = 16384  # characters of what a client says: paths are long
MANY, SPAN = 200, 10.0  # messages of a client in so many seconds
SESSION_ENDED, DENIED = 4401, 4403
NO_TEXT, POLICY, TOO_LARGE, TRY_LATER = 1003, 1008, 1009, 1013


class Ended(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: int) -> None:
        self.code = code


class Connection:
    """topics.Client. `again`: who the client is now; None: its session or token has ended."""

    def __init__(
        self, socket: WebSocket, directory: Directory, who: Principal, again: Callable[[], Principal | None]
    ) -> None:
        self.who = who
        self.again = again
        self._socket = socket
        self._directory = directory
        self._topics: dict[str, Topic] = {}
        self._first: list[str] = []  # what goes out before everything else
        self._something = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._said: list[float] = []
        self._ending: asyncio.Future[None] = self._loop.create_future()
        self.quiet_since = time.monotonic()
        self.doubtful = False  # whether the client may still see what it follows was not told for a while

    async def run(self) -> None:
        """Until either side ends it."""
        hello = Hello(user=self.who.user, heartbeat=HEARTBEAT, at=datetime.now(UTC))
        self._say(hello.model_dump_json())
        tasks = [asyncio.ensure_future(work) for work in (self._listen(), self._write())]
        try:
            done, _ = await asyncio.wait([*tasks, self._ending], return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for task in tasks:
                task.cancel()
            if self._timer is not None:
                self._timer.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for topic in self._topics.values():
                topic.leave()
            self._topics.clear()

    def end(self, code: int) -> None:
        if not self._ending.done():
            self._ending.set_exception(Ended(code))

    # --- topics.Client

    def wake(self) -> None:
        self._something.set()

    def doubt(self) -> None:
        self.doubtful = True

    def deny(self, topic: str) -> None:
        """It may not be seen any more, or is gone."""
        self._drop(topic)
        self._refuse(topic, NotFound("There is no such project any more.", code="project.not_found"))

    # ---

    async def renew(self, who: Principal) -> None:
        """The client's role or groups have changed, or perhaps its projects: everything is looked at again."""
        self.who, self.doubtful = who, False
        for name, topic in list(self._topics.items()):
            try:
                await self._directory.check(who, name)
            except WinslowError as error:
                self._drop(name)
                self._refuse(name, error)
            else:
                topic.renew()

    def ping(self) -> None:
        self._say(Ping(at=datetime.now(UTC)).model_dump_json())

    def _say(self, text: str) -> None:
        self._first.append(text)
        self._something.set()

    def _refuse(self, topic: str, error: WinslowError) -> None:
        passing = isinstance(error, Unavailable)
        self._say(Refused(topic=topic, code=error.code, text=error.message, passing=passing).model_dump_json())

    def _drop(self, name: str) -> None:
        topic = self._topics.pop(name, None)
        if topic is not None:
            topic.leave()

    async def _listen(self) -> None:
        while True:
            text = await heard(self._socket)
            self._count()
            if len(text) > LARGEST:
                raise Ended(TOO_LARGE)
            try:
                said = SAID.validate_json(text)
            except ValidationError:
                self._refuse("", Invalid("This message was not understood.", code="live.message"))
                continue
            if isinstance(said, Authenticate):
                continue  # who it is was settled when it came
            self._drop(said.topic)
            if isinstance(said, Subscribe):
                await self._subscribe(said)

    def _count(self) -> None:
        now = time.monotonic()
        self._said = [at for at in self._said if now - at < SPAN] + [now]
        if len(self._said) > MANY:
            raise Ended(POLICY)

    async def _subscribe(self, said: Subscribe) -> None:
        if len(self._topics) >= TOPICS:
            self._refuse(said.topic, Invalid(f"At most {TOPICS} topics are followed at once.", code="live.topics"))
            return
        topic: Topic | None = None
        try:
            await self._directory.check(self.who, said.topic)
            topic = self._directory.topic(said.topic, self)
            self._topics[said.topic] = topic
            first = await topic.begin(said.cursor)
            if topic.project:  # who was taken out of it before it was followed is told by nobody else
                await self._directory.check(self.who, said.topic)
        except WinslowError as error:
            if topic is not None:
                self._drop(said.topic)
                topic.leave()
            self._refuse(said.topic, error)
            return
        if self._topics.get(said.topic) is not topic:
            topic.leave()  # it was denied while it began, and has joined since
            return
        if first:
            self._say(first)
        self.wake()

    async def _write(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            first, self._first = self._first, []
            for text in first:
                await self._send(text)
            now = self._loop.time()
            later: float | None = None
            for topic in list(self._topics.values()):
                if topic.next > now:
                    later = topic.next if later is None else min(later, topic.next)
                    continue
                for text in topic.take():
                    topic.next = now + topic.pause
                    await self._send(text)
            if later is not None:
                self._wake_at(later)

    def _wake_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._something.set)

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(UNREAD):
                await self._socket.send_text(text)
        except TimeoutError:
            raise Ended(TRY_LATER) from None
        self.quiet_since = time.monotonic()


async def heard(socket: WebSocket) -> str:
    """The next text. Raises WebSocketDisconnect, and Ended for what is no text."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if text is None:
        raise Ended(NO_TEXT)
    return str(text)


async def serve(connection: Connection, socket: WebSocket) -> None:
    """Runs it and closes the socket as it has to be closed."""
    try:
        await connection.run()
    except WebSocketDisconnect:
        return
    except Ended as ended:
        await close(socket, ended.code)


async def close(socket: WebSocket, code: int) -> None:
    try:
        async with asyncio.timeout(1.0):
            await socket.close(code)
    except (TimeoutError, RuntimeError, WebSocketDisconnect):
        log.info("a live socket was gone before it was closed")
