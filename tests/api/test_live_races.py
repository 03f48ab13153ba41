"""Live updates when two things happen in the same moment: nothing is told twice, and nothing goes on for nobody."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from tests.api.conftest import World
from tests.api.logged import log_of, running
from winslow_nomad.api.following import LogLanes
from winslow_nomad.api.lanes import Lane
from winslow_nomad.api.live.connection import Connection
from winslow_nomad.api.live.events import Following
from winslow_nomad.api.live.feeds import Grew, ItemsFeed, LogFeed
from winslow_nomad.api.live.hub import Changed, Hub, News
from winslow_nomad.api.live.outbox import Rows
from winslow_nomad.api.live.topics import ListTopic, LogTopic, ProjectTopic
from winslow_nomad.api.views.projects import Row
from winslow_nomad.core.access import Principal, Role
from winslow_nomad.core.client import Happened
from winslow_nomad.core.errors import NotFound, StoreUnavailable
from winslow_nomad.core.messages import Entry
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.core.project import Member


def happened(world: World, cursor: str) -> Happened:
    now = world.installation.clock.now()
    return Happened(cursor=cursor, project="p", version=1, at=now, entry=Entry(what="comment"))


class Behind:
    """A hub whose thread is behind the store: while somebody asks what was missed, it tells of what is older."""

    def __init__(self, missed: News, *told: News) -> None:
        self._missed = missed
        self._told = told
        self.rows: dict[str, Row] = {}

    async def listen(self, listener: Callable[[News], None]) -> str:
        self._listener = listener
        return "5-0"

    async def lane(self, work: Callable[[], News]) -> News:
        found = work()
        for news in self._told:
            self._listener(news)
        return found

    def missed(self, _: str) -> News:
        return self._missed

    def remember(self, news: News) -> None:
        pass

    def encoded(self, row: Row, role: str) -> str:
        return row.model_copy(update={"role": role}).model_dump_json()

    def leave(self, _: object) -> None:
        pass


class Nobody:
    who = Principal(user="mem", role=Role.MEMBER)

    def __init__(self) -> None:
        self.doubted = 0

    def wake(self) -> None:
        pass

    def doubt(self) -> None:
        self.doubted += 1

    def deny(self, topic: str) -> None:
        raise AssertionError(topic)


def test_what_was_missed_is_not_told_again_by_a_cursor_that_went_back(world: World) -> None:
    older, newer = happened(world, "6-0"), happened(world, "8-0")
    hub = Behind(
        News("9-0", False, {"p": Changed(None, (older, newer))}), News("7-0", False, {"p": Changed(None, (older,))})
    )

    async def asks() -> None:
        following = Following(hub, lambda *_: True)  # type: ignore[arg-type]
        await following.begin("3-0")
        found = await following.take(0.0)
        assert ([h.cursor for h in found.items], found.cursor) == (["6-0", "8-0"], "9-0")

    asyncio.run(asks())


def row_of(world: World, project: str) -> Row:
    (text,) = world.services.live.rows([project]).values()
    return Row.model_validate_json(text)


def test_a_page_that_comes_back_is_not_told_again_what_it_had_heard(world: World) -> None:
    running(world, "p")
    row = row_of(world, "p")
    known, new = happened(world, "3-0"), happened(world, "8-0")
    hub = Behind(News("9-0", False, {"p": Changed(row, (new,))}), News("3-0", False, {"p": Changed(row, (known,))}))

    async def asks() -> list[Any]:
        topic = ProjectTopic("project:p", "p", hub, Nobody())  # type: ignore[arg-type]
        await topic.begin("3-0")
        return [json.loads(text) for text in topic.take()]

    told = asyncio.run(asks())
    assert [h["cursor"] for message in told for h in message["data"]["happened"]] == ["8-0"]
    assert {message["cursor"] for message in told} == {"9-0"}


def test_a_row_that_somebody_may_not_see_any_more_is_taken_away_and_not_shown(world: World) -> None:
    """Another client's question may tell the hub of a newer row than the news that are told of it."""
    running(world, "p", participants=(Member(user="mem"),))
    seen = row_of(world, "p")
    hub = Behind(News("9-0", False, {}))
    topic = ListTopic("projects", hub, Nobody())  # type: ignore[arg-type]
    topic._held = None
    topic.tell(News("6-0", False, {"p": Changed(seen)}))
    hub.rows["p"] = seen.model_copy(update={"participants": [], "author": "ann"})
    (text,) = topic.take()
    assert json.loads(text)["data"] == {"rows": [], "removed": ["p"]}


def test_what_has_nothing_to_say_any_more_leaves_a_message_that_can_be_read() -> None:
    out = Rows("inbox", "items", {"a": "", "b": '{"n":1}'}.get, cursor="1-0")
    out.put("a")
    out.put("b")
    (text,) = out.take()
    assert json.loads(text)["data"] == {"items": [{"n": 1}], "removed": ["a"]}


def test_readers_who_come_at_once_share_one_look_at_a_log(world: World) -> None:
    running(world, "p")
    log_of(world, "p").write(0, b"first\n")
    watched: list[str] = []

    class Counted:
        def open(self, *arguments: Any) -> Any:
            return world.services.logs.open(*arguments)

        def watch(self, *_: Any) -> Callable[[], None]:
            watched.append("begun")
            return lambda: watched.append("ended")

    given = replace(world.services, logs=Counted())

    async def asks() -> None:
        feed = LogFeed(given, LogLanes(), AttemptRef.parse("p/1/1"), lambda: None)
        readers: list[Callable[[Grew], None]] = [lambda _: None, lambda _: None]
        await asyncio.gather(*(feed.join(reader, None) for reader in readers))
        await asyncio.sleep(0)
        assert watched == ["begun"]
        for reader in readers:
            feed.leave(reader)
        await asyncio.sleep(0.01)
        assert watched == ["begun", "ended"]

    asyncio.run(asks())


async def gone_before_it_began(world: World, path: str) -> None:
    """A client that has left when its answer begins, which waits for room in what is sent."""
    client = world.signed_in("mem")
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    address, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": address, "raw_path": address.encode(), "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), (b"cookie", cookie.encode())], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80), "root_path": "", "state": {},
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        await asyncio.sleep(0)

    await world.app(scope, receive, send)


def test_a_client_that_has_gone_when_its_answer_begins_leaves_nothing_open(world: World) -> None:
    assert world.installation.scribe is not None  # makes the share
    clip = world.installation.settings.share / "inputs" / "clip"
    clip.parent.mkdir(exist_ok=True)
    clip.write_bytes(b"content")

    def descriptors() -> list[str]:
        return [
            d for p in Path("/proc/self/fd").iterdir() if (d := os.readlink(p) if p.is_symlink() else "") == str(clip)
        ]

    async def asks() -> None:
        await gone_before_it_began(world, "/api/v1/files/inputs/sum?path=clip")
        assert descriptors() == []
        await gone_before_it_began(world, "/api/v1/events/follow")
        assert world.app.state.sockets.hub._listeners == set()

    asyncio.run(asks())


class Silent:
    """A socket whose client says one thing, and hears."""

    def __init__(self, said: dict[str, str]) -> None:
        self._said: list[dict[str, str]] = [said]
        self.heard: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        if self._said:
            return {"type": "websocket.receive", "text": json.dumps(self._said.pop())}
        await asyncio.sleep(0.05)
        return {"type": "websocket.disconnect"}

    async def send_text(self, text: str) -> None:
        self.heard.append(json.loads(text))


@pytest.mark.parametrize("ends", ["well", "with an error"])
def test_a_topic_that_is_denied_while_it_begins_is_not_followed_for_nobody(ends: str) -> None:
    joined: set[str] = set()

    class Begins:
        name, pause, next, project = "project:p", 0.0, 0.0, "p"

        def __init__(self, client: Connection) -> None:
            self.client = client

        async def begin(self, cursor: str) -> str:
            self.client.deny(self.name)
            joined.add(self.name)
            if ends != "well":
                raise StoreUnavailable("away")
            return '{"type":"snapshot"}'

        def take(self) -> list[str]:
            return []

        def leave(self) -> None:
            joined.discard(self.name)

        def renew(self) -> None:
            pass

    class OneTopic:
        async def check(self, *_: Any) -> None:
            pass

        def topic(self, _: str, client: Any) -> Begins:
            return Begins(client)

    socket = Silent({"op": "sub", "topic": "project:p"})

    async def asks() -> None:
        connection = Connection(socket, OneTopic(), Nobody.who, lambda: Nobody.who)  # type: ignore[arg-type]
        with pytest.raises(WebSocketDisconnect):
            await connection.run()

    asyncio.run(asks())
    assert joined == set()
    assert [m["type"] for m in socket.heard][:2] == ["hello", "denied"]
    assert "snapshot" not in [m["type"] for m in socket.heard]
    said = [m["passing"] for m in socket.heard if m["type"] == "denied"]
    assert said == ([False] if ends == "well" else [False, True]), "what is away for a while is asked for again"


def test_who_listens_in_the_moment_in_which_the_last_one_left_is_told_all_the_same(world: World) -> None:
    class LosesTheRace(threading.Condition):
        """The thread ends just before the lock is had."""

        lost = False

        def __enter__(self) -> bool:
            if not self.lost:
                self.lost = True
                hub._running = False
            return super().__enter__()

    async def asks() -> str:
        nonlocal hub
        hub = Hub(world.services)
        hub._running, hub._cursor = True, "1-0"
        hub._change = LosesTheRace()
        listener: Callable[[News], None] = lambda _: None  # noqa: E731
        try:
            return await hub.listen(listener)
        finally:
            hub.leave(listener)

    hub: Hub = SimpleNamespace()  # type: ignore[assignment]
    assert asyncio.run(asks()) == world.services.live.now()


def test_who_is_taken_out_of_a_project_while_a_page_begins_is_told_so() -> None:
    left: list[str] = []

    class Begins:
        name, pause, next, project = "project:p", 0.0, 0.0, "p"

        async def begin(self, cursor: str) -> str:
            return '{"type":"snapshot"}'

        def take(self) -> list[str]:
            return []

        def leave(self) -> None:
            left.append("left")

        def renew(self) -> None:
            pass

    class Meanwhile:
        checks = 0

        async def check(self, *_: Any) -> None:
            self.checks += 1
            if self.checks > 1:
                raise NotFound("There is no project 'p'.", code="project.not_found")

        def topic(self, *_: Any) -> Begins:
            return Begins()

    socket = Silent({"op": "sub", "topic": "project:p"})

    async def asks() -> None:
        connection = Connection(socket, Meanwhile(), Nobody.who, lambda: Nobody.who)  # type: ignore[arg-type]
        with pytest.raises(WebSocketDisconnect):
            await connection.run()

    asyncio.run(asks())
    assert [m["type"] for m in socket.heard] == ["hello", "denied"] and left


def test_after_a_gap_it_is_looked_at_again_who_may_see_a_page_and_a_log(world: World) -> None:
    running(world, "p")
    client, gap = Nobody(), News("9-0", True, {})
    hub: Any = Behind(gap)
    page = ProjectTopic("project:p", "p", hub, client)  # type: ignore[arg-type]
    page._held = None
    page.tell(gap)
    LogTopic("log:p/1/1", "p", hub, None, client)._look(gap)  # type: ignore[arg-type]
    assert client.doubted == 2


def test_a_look_that_fails_once_is_not_the_last_one() -> None:
    looks: list[int] = []

    def look() -> dict[str, int]:
        looks.append(1)
        if len(looks) == 2:
            raise OSError(24, "Too many open files")
        return {"a": len(looks)}

    async def asks() -> None:
        told: list[Any] = []
        feed = ItemsFeed(Lane("test", 1), look, 0.01, lambda: None)
        await feed.join(told.append)
        for _ in range(200):
            if told:
                break
            await asyncio.sleep(0.01)
        feed.leave(told.append)
        assert told

    asyncio.run(asks())
