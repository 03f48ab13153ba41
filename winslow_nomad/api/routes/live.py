"""Live updates: the socket, and for programs that have none a long poll and a line for each event."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from winslow_nomad.api.authority import check_project, denied, identify, may
from winslow_nomad.api.delivery import Held
from winslow_nomad.api.following import still_allowed
from winslow_nomad.api.live.connection import DENIED, LARGEST, SESSION_ENDED, Connection, Ended, close, heard, serve
from winslow_nomad.api.live.events import EXAMPLE, EventLine, EventsView, Following
from winslow_nomad.api.live.messages import SAID, Authenticate
from winslow_nomad.api.live.sockets import STRANGERS, Sockets, sockets_of
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.core.access import Action, Principal, allowed
from winslow_nomad.core.errors import Unavailable

router = APIRouter(prefix="/api/v1", tags=["live"])
LONGEST = 25.0  # seconds of a long poll: proxies give up after 30 and more
BEAT = 20.0  # seconds of silence in a stream
STEP = 1.0  # seconds between two looks whether the server is told to end
LINE = {"type": "event", **EXAMPLE}
CHECKED = 5.0  # seconds between two looks whether the reader may still read
INTRODUCTION = 10.0  # seconds in which a client that sent neither cookie nor header has to say who it is


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """Where the page comes from was looked at before (guards)."""
    given: Services = socket.app.state.services
    sockets = sockets_of(socket)
    who = await sockets.hub.lane(partial(identify, given, socket))
    await socket.accept()
    again: Callable[[], Principal | None] = partial(identify, given, socket)
    if who is None and not socket.cookies and "authorization" not in socket.headers:
        who, again = await introduced(socket, sockets, given)
    code = SESSION_ENDED
    if who is not None:
        code = sockets.admit(who) if allowed(who, Action.LIST_PROJECTS) else DENIED
    if who is None or code:
        await close(socket, code)
        return
    connection = Connection(socket, sockets.directory, who, again)
    sockets.add(connection)
    try:
        await serve(connection, socket)
    finally:
        sockets.remove(connection)


async def introduced(
    socket: WebSocket, sockets: Sockets, given: Services
) -> tuple[Principal | None, Callable[[], Principal | None]]:
    """Who the first message says that it is. Only so many may be about to say it."""

    def nobody() -> Principal | None:
        return None

    if sockets.strangers >= STRANGERS:
        return None, nobody
    sockets.strangers += 1
    try:
        async with asyncio.timeout(INTRODUCTION):
            text = await heard(socket)
        said = SAID.validate_json(text) if len(text) <= LARGEST else None
    except (TimeoutError, ValidationError, WebSocketDisconnect, Ended):
        return None, nobody
    finally:
        sockets.strangers -= 1
    if not isinstance(said, Authenticate):
        return None, nobody
    again = partial(given.people.of_token, said.token)
    return await sockets.hub.lane(again), again


Cursor = Annotated[str, Query(max_length=60, description="a `cursor` that was answered; empty: from now on")]
OneProject = Annotated[str, Query(max_length=100, description="only of this project")]
Viewer = Annotated[Principal, Depends(may(Action.LIST_PROJECTS))]


@router.get("/events", summary="What has happened", responses=documented(401, 403, 404, 422, 503))
async def list_events(
    given: Given,
    request: Request,
    who: Viewer,
    project: OneProject = "",
    cursor: Cursor = "",
    timeout: Annotated[float, Query(ge=0.0, le=LONGEST, description="seconds to wait for something")] = 0.0,
) -> EventsView:
    """Since `cursor`, in projects that the caller may see. Waits up to `timeout` seconds for something to happen."""
    following = await followed(request, given, who, project)
    try:
        await following.begin(cursor)
        return await patient(request, following, timeout)
    finally:
        following.leave()


@router.get(
    "/events/follow",
    summary="Follow what happens",
    response_class=StreamingResponse,
    responses={
        200: {"model": EventLine, "content": {"application/x-ndjson": {"example": json.dumps(LINE)}}},
        **documented(401, 403, 404, 422, 503),
    },
)
async def follow_events(
    given: Given, request: Request, who: Viewer, project: OneProject = "", cursor: Cursor = ""
) -> Response:
    """One JSON object a line (`curl -N`), until the caller goes."""
    following = await followed(request, given, who, project)
    try:
        await following.begin(cursor)
    except BaseException:
        following.leave()
        raise

    def look(now: Principal) -> None:
        if project:
            check_project(given, now, Action.VIEW_PROJECT, project)
        elif now != who:
            raise denied(now, Action.LIST_PROJECTS)  # who sees other things by now begins anew

    written = lines(request, following, still_allowed(given, request, look))
    headers = {"x-accel-buffering": "no", "content-encoding": "identity"}
    return Held(written, following.leave, "application/x-ndjson", headers)


async def lines(request: Request, following: Following, allowed_still: Callable[[], bool]) -> AsyncIterator[bytes]:
    lane = sockets_of(request).hub.lane
    silent = checked = time.monotonic()
    while not request.app.state.stopping.is_set():
        found = await following.take(STEP)
        now = time.monotonic()
        if now - checked >= CHECKED:
            checked = now
            with contextlib.suppress(Unavailable):
                if not await lane(allowed_still):
                    return
        told = [EventLine(type="gap", cursor=found.cursor)] if found.gap else []
        told += [EventLine(type="event", at=h.at.isoformat(), **h.model_dump(exclude={"at"})) for h in found.items]
        if not told and now - silent >= BEAT:
            told = [EventLine(type="beat", cursor=found.cursor)]
        if told:
            silent = now
            texts = (line.model_dump_json(exclude_defaults=line.entry is None) for line in told)
            yield "".join(f"{text}\n" for text in texts).encode()


async def followed(request: Request, given: Services, who: Principal, project: str) -> Following:
    hub = sockets_of(request).hub
    if project:
        await hub.lane(lambda: check_project(given, who, Action.VIEW_PROJECT, project))
    return Following(hub, lambda name, changed: project in ("", name) and changed.seen_by(who))


async def patient(request: Request, following: Following, timeout: float) -> EventsView:
    """Waits in small steps, so that the server can end."""
    until = time.monotonic() + timeout
    while True:
        found = await following.take(min(STEP, max(0.0, until - time.monotonic())))
        if found.items or found.gap or time.monotonic() >= until or request.app.state.stopping.is_set():
            return found
