"""A file as an answer: whole or one range of it, only if it has changed, under a safe name.

Where the server can hand a file to the kernel (extension `http.response.zerocopysend`) the content never passes through
this process; otherwise it is read in blocks of a megabyte, one ahead of what is being sent. While a client reads
slowly no thread waits for it. A client that goes away ends it at the next block.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterable, Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from winslow_nomad.api.lanes import Lane
from winslow_nomad.core.errors import Invalid, WinslowError
from winslow_nomad.core.filing import Entry, Opened

log = logging.getLogger(__name__)
BLOCK = 1024 * 1024
ZERO_COPY = "http.response.zerocopysend"
AT_ONCE = 64 * BLOCK  # handed to the kernel in one go
RANGE = re.compile(r"bytes=\s*(?:(\d{1,18})\s*-\s*(\d{0,18})|-\s*(\d{1,18}))\s*")


class Unsatisfiable(WinslowError):
    """Answered 416. `size` is what there is."""

    code = "range.unsatisfiable"

    def __init__(self, message: str, size: int, *, code: str | None = None) -> None:
        super().__init__(message, hint=f"Ask for one range below {size} bytes.", code=code)
        self.size = size


def etag(entry: Entry) -> str:
    return f'"{entry.tag}"'


def disposition(name: str, *, inline: bool = False) -> str:
    """A Content-Disposition that says the same to all browsers, whatever signs the name has."""
    plain = re.sub(r"[^A-Za-z0-9._ ()+-]", "_", name)[:150] or "file"
    exact = quote(name[:250].encode("utf-8", "replace"), safe="")
    return f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{exact}"


def wanted_range(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last; None: all of it. Raises Unsatisfiable, for several ranges too."""
    if not header.startswith("bytes="):
        return None  # another unit: to be ignored
    if "," in header:
        raise Unsatisfiable("Several ranges at once are not answered.", size, code="range.multiple")
    found = RANGE.fullmatch(header)
    if found is None:
        return None
    if found[3] is not None:
        length = int(found[3])
        start, end = max(0, size - length), size
        satisfiable = length > 0 and size > 0
    else:
        start = int(found[1])
        end = min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
        satisfiable = start < size
    if not satisfiable:
        raise Unsatisfiable(f"The file has {size} bytes; none of it is in the range.", size)
    return start, end


def changed_since(headers: Mapping[str, str], entry: Entry) -> bool:
    """False: the caller has what is there (304)."""
    known = headers.get("if-none-match")
    if known is not None:
        tags = {t.strip().removeprefix("W/") for t in known.split(",")}
        return not ("*" in tags or etag(entry) in tags)
    since = _date(headers.get("if-modified-since", ""))
    return since is None or entry.modified.replace(microsecond=0) > since


def still_the_same(headers: Mapping[str, str], entry: Entry) -> bool:
    """Whether a part is wanted of just this file (If-Range)."""
    known = headers.get("if-range")
    if known is None:
        return True
    if known.startswith(('"', "W/")):
        return known == etag(entry)
    return _date(known) == entry.modified.replace(microsecond=0)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def deliver(request: Request, opened: Opened, lane: Lane, headers: dict[str, str]) -> Response:
    """The answer to GET or HEAD; it closes what it is given. Raises Unsatisfiable."""
    entry = opened.entry
    try:
        common = {
            "etag": etag(entry),
            "last-modified": format_datetime(entry.modified.astimezone(UTC), usegmt=True),
            "accept-ranges": "bytes",
            "cache-control": "private, no-cache",
            "content-encoding": "identity",  # nobody shall compress it on the way: it would lose its length
            **headers,
        }
        if not changed_since(request.headers, entry):
            opened.close()
            del common["content-encoding"]
            return Response(status_code=304, headers=common)
        span = None
        if "range" in request.headers and still_the_same(request.headers, entry):
            span = wanted_range(request.headers["range"], entry.bytes)
        start, end = span or (0, entry.bytes)
        if span is not None:
            common["content-range"] = f"bytes {start}-{end - 1}/{entry.bytes}"
        common["content-length"] = str(end - start)
        return Delivery(opened, start, end, lane, 200 if span is None else 206, common)
    except BaseException:
        opened.close()
        raise


class Delivery(Response):
    def __init__(
        self, opened: Opened, start: int, end: int, lane: Lane, status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(status_code=status, headers=headers)
        self._opened = opened
        self._start = start
        self._end = end
        self._lane = lane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(_beginning(self))
            if scope["method"] == "HEAD" or self._start == self._end:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif ZERO_COPY in scope.get("extensions", {}):
                await self._by_kernel(receive, send)
            else:
                await self._by_blocks(receive, send)
        finally:
            self._opened.close()

    async def _by_kernel(self, receive: Receive, send: Send) -> None:
        async with _Listening(receive) as client:
            at = self._start
            while at < self._end and not client.gone:
                count = min(AT_ONCE, self._end - at)
                await send(
                    {
                        "type": ZERO_COPY,
                        "file": self._opened.descriptor,
                        "offset": at,
                        "count": count,
                        "more_body": at + count < self._end,
                    }
                )
                at += count

    async def _by_blocks(self, receive: Receive, send: Send) -> None:
        async with _Listening(receive) as client:
            at = self._start
            ahead = self._read(at)
            try:
                while not client.gone:
                    block = await ahead
                    if not block:
                        log.warning("%s became shorter while it was downloaded", self._opened.entry.path)
                        return
                    at += len(block)
                    if at < self._end:
                        ahead = self._read(at)
                    await send({"type": "http.response.body", "body": block, "more_body": at < self._end})
                    if at >= self._end:
                        return
            finally:
                with suppress(Exception):
                    await ahead  # the descriptor is not closed under a thread that reads by it

    def _read(self, at: int) -> asyncio.Task[bytes]:
        count = min(BLOCK, self._end - at)
        return asyncio.ensure_future(self._lane(partial(self._opened.read, at, count)))


class Stream(Response):
    """Steps of an iterator, taken in a lane. `first` was taken before, so that what is wrong at once is an answer."""

    def __init__(self, first: bytes, rest: Iterator[bytes], lane: Lane, headers: Mapping[str, str]) -> None:
        super().__init__(status_code=200, headers=headers)
        del self.headers["content-length"]
        self._first = first
        self._rest = rest
        self._lane = lane

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(_beginning(self))
            async with _Listening(receive) as client:
                block = self._first
                while block and not client.gone:
                    await send({"type": "http.response.body", "body": block, "more_body": True})
                    block = await self._lane(next_step(self._rest))
                if not client.gone:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            close = getattr(self._rest, "close", None)
            if close is not None:
                with suppress(WinslowError, ValueError):
                    await self._lane(close)


class Held(StreamingResponse):
    """An answer of which something is held while it goes out. `let_go` gives that back at its end, whatever the end is:
    of what `content` holds by itself nothing would be given back where the client has gone before it began."""

    def __init__(
        self,
        content: AsyncIterable[bytes | str],
        let_go: Callable[[], object],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._let_go = let_go

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._let_go()


def next_step(rest: Iterator[bytes]) -> Callable[[], bytes]:
    """Up to a block of what an iterator gives; empty at its end."""

    def step() -> bytes:
        parts: list[bytes] = []
        size = 0
        while size < BLOCK:
            part = next(rest, None)
            if part is None:
                break
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    return step


def _beginning(response: Response) -> Message:
    return {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}


class _Listening:
    """Notices while an answer is under way that nobody takes it any more."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.gone = False
        self._task: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> _Listening:
        self._task = asyncio.ensure_future(self._listen())
        return self

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._task


def check_length(header: str | None, most: int) -> int:
    """The length of a body that has to be announced. Raises Invalid."""
    if header is None or not header.isascii() or not header.isdigit() or int(header) > most:
        raise Invalid(
            f"The length has to be announced (Content-Length), up to {most} bytes; nothing was done.",
            hint="Larger files are sent as resumable uploads.",
            code="request.length",
        )
    return int(header)
