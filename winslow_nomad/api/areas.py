"""What the routes about files have in common: whose place it is, which status an error has, how a body comes in."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from fastapi import Depends, Path, Query, Request, Response
from fastapi.routing import APIRoute

from winslow_nomad.api.authority import denied, may
from winslow_nomad.api.delivery import Unsatisfiable
from winslow_nomad.api.lanes import Lane
from winslow_nomad.api.problems import Hidden, answer
from winslow_nomad.api.services import Given, Services
from winslow_nomad.core.access import MEMBER_RANKS, Action, Principal, rank_in, visible
from winslow_nomad.core.errors import Conflict, WinslowError
from winslow_nomad.core.filing import Area, Space, Writing

STATUS = {
    "upload.offset": 409,
    "upload.busy": 423,
    "upload.taken_over": 409,
    "upload.checksum": 460,
    "upload.too_long": 413,
    "upload.too_large": 413,
    "upload.gone": 408,
    "upload.version": 412,
    "upload.media_type": 415,
    "upload.header": 400,
    "path.version": 412,
    "request.length": 411,
    "range.unsatisfiable": 416,
    "range.multiple": 416,
    "share.full": 507,
}
SLOW = 2.0  # seconds after which bytes that have come go to the disk, few as they may be
LEFT_OVER = 8 * 1024 * 1024  # bytes of a refused body that are still taken, so that the answer can be read

In = Annotated[
    str,
    Path(
        description="`inputs`, or `project:<id>`",
        max_length=200,
        openapi_examples={"inputs": {"value": "inputs"}, "project": {"value": "project:p7k2m4x9q1ab"}},
    ),
]
Where = Annotated[
    str, Query(alias="path", description="relative to the space; empty: where it begins", max_length=4096)
]


class FileRoute(APIRoute):
    """Errors about files have statuses of their own; a refused body that is too long to be waited for ends the
    connection."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except WinslowError as error:
                status = STATUS.get(error.code)
                if error.code == "path.taken" and "if-none-match" in request.headers:
                    status = 412
                if status is None:
                    raise
                return answer(request, status, error.code, error.message, hint=error.hint, headers=more(request, error))

        return handled


def more(request: Request, error: WinslowError) -> dict[str, str]:
    headers = {}
    if isinstance(error, Unsatisfiable):
        headers["content-range"] = f"bytes */{error.size}"
    length = request.headers.get("content-length", "")
    if request.method in ("PUT", "PATCH") and (not length.isdigit() or int(length) > LEFT_OVER):
        headers["connection"] = "close"
    if error.code == "upload.busy":
        headers["retry-after"] = "1"
    return headers


def area_of(given: Services, who: Principal, space: Space, *, write: bool) -> Area:
    """Raises Hidden where the project may not be known, Denied where its files may not be changed."""
    if not space.project:
        return Area(who=who)
    found = given.client.project(space.project)
    if not visible(who, found.author, found.participants, found.id):
        raise Hidden(f"There is no project {space.project!r}.", code="project.not_found")
    if write and rank_in(who, found.author, found.participants) < MEMBER_RANKS["member"]:
        raise denied(who, Action.WRITE_FILES, "the role member in the project")
    return Area(who=who, project=found)


def reading(given: Given, who: Annotated[Principal, Depends(may(Action.READ_FILES))], space: In) -> Area:
    return area_of(given, who, Space.parse(space), write=False)


def writing(given: Given, who: Annotated[Principal, Depends(may(Action.WRITE_FILES))], space: In) -> Area:
    return area_of(given, who, Space.parse(space), write=True)


Readable = Annotated[Area, Depends(reading)]
Writable = Annotated[Area, Depends(writing)]


def in_header(path: str) -> str:
    """A path as the value of a header."""
    return quote(path.encode("utf-8", "replace"), safe="/")


def example(value: Any) -> Mapping[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": value}}}}


TAKE = "winslow.http.request.take"
LOOK_EVERY = 0.5  # seconds
DIRECT = 1024 * 1024  # bytes from which it is worth it


class Taken(NamedTuple):
    """What has come of a body, and the descriptor of the connection on which `left` bytes are still to come; -1: none.
    Whoever has it closes it."""

    come: bytes
    connection: int
    left: int


class Gone(Exception):
    """Whoever sent the body has gone, or is not waited for any more; what came is written."""


async def pour(request: Request, target: Writing, lane: Lane) -> int:
    """The body of a request into what is being written. Answers how many bytes came. Raises Gone, Conflict
    (upload.too_long), and what writing raises. Whatever happens, bytes that have come are written before it ends.

    Where the server can hand over the connection, the process that writes reads from it by itself. Otherwise the bytes
    pass through two buffers, one being filled while the other is on its way to the disk."""
    pouring = _Pouring(target, lane, request.app.state.stopping)
    before = target.offset
    length = request.headers.get("content-length", "")
    handing = request.scope.get("extensions", {}).get(TAKE)
    try:
        if handing is not None and length.isdigit() and int(length) >= DIRECT:
            return await pouring.direct(handing["take"](int(length)))
        while True:
            message = await request.receive()
            if message["type"] != "http.request":
                raise Gone
            await pouring.add(message.get("body", b""))
            if not message.get("more_body", False):
                return pouring.came
    finally:
        await pouring.settle()
        request.app.state.meter.uploaded(max(0, target.offset - before))


class _Pouring:
    def __init__(self, target: Writing, lane: Lane, stopping: threading.Event) -> None:
        self._target = target
        self._stopping = stopping
        self._lane = lane
        self._room = target.length - target.offset
        self._which = 0
        self._filled = 0
        self._since = 0.0
        self._under_way: asyncio.Task[int] | None = None
        self.came = 0

    async def add(self, data: bytes) -> None:
        if self.came + len(data) > self._room:
            raise Conflict(
                f"More came than the {self._room} bytes that were still to come; what was too much was not kept.",
                hint="Begin anew with the right length.",
                code="upload.too_long",
            )
        now = asyncio.get_running_loop().time()
        if not self._filled:
            self._since = now
        rest = memoryview(data)
        while rest:
            buffer = self._target.buffers[self._which]
            count = min(len(buffer) - self._filled, len(rest))
            buffer[self._filled : self._filled + count] = rest[:count]
            self._filled += count
            self.came += count
            rest = rest[count:]
            if self._filled == len(buffer) or now - self._since > SLOW:
                await self._send()

    async def _send(self) -> None:
        """The full buffer on its way; waits for the one before."""
        await self._wait()
        if self._filled:
            write = partial(self._target.write, self._which, self._filled)
            self._under_way = asyncio.ensure_future(self._lane(write))
            self._which ^= 1
            self._filled = 0

    async def _wait(self) -> None:
        if self._under_way is not None:
            # a newer connection may cancel us; what is being written is written all the same
            await asyncio.shield(self._under_way)
            self._under_way = None

    async def direct(self, taken: Taken) -> int:
        try:
            await self.add(taken.come)
            await self.settle()
            if taken.connection < 0:
                return self.came
            read = partial(self._target.read, taken.connection, taken.left)
            reading = asyncio.ensure_future(self._lane(read))
            try:
                whole = await self._until_it_ends(reading)
            except asyncio.CancelledError:
                self._target.stop()
                await reading
                raise
            if not whole:
                raise Gone
            return self.came + taken.left
        finally:
            if taken.connection >= 0:
                os.close(taken.connection)

    async def _until_it_ends(self, reading: asyncio.Task[bool]) -> bool:
        """It is told to stop when this process is: what has come is kept, and the client comes back."""
        while not (await asyncio.wait({reading}, timeout=LOOK_EVERY))[0]:
            if self._stopping.is_set():
                self._target.stop()
                break
        return await asyncio.shield(reading)

    async def settle(self) -> None:
        await self._wait()
        await self._send()
        await self._wait()
