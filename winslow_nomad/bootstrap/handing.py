"""Keeps what is long out of this process, on connections without TLS (with it, the bytes have to pass through here).

Down: files are handed to the kernel instead of being read (sendfile(2)), for answers that ask for it by the ASGI
extension `http.response.zerocopysend`. Up: who takes the body of a request may take the connection itself, by an
extension of our own (areas.TAKE), and have another process read the rest from it; the connection ends with the answer.

A thread sends while the reader keeps up, since a file that is not in memory holds whoever reads it; while a reader is
slow, no thread waits for it, only the descriptor of its connection.
"""

from __future__ import annotations

import asyncio
import os
import select
import time
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from winslow_nomad.api.areas import TAKE, Taken
from winslow_nomad.api.delivery import ZERO_COPY
from winslow_nomad.api.lanes import Lane

PIECE = 8 * 1024 * 1024  # bytes for one call
TURN = 0.25  # seconds after which a thread is free for others
KEEPS_UP = 20  # milliseconds that a thread waits for a reader

lane = Lane("send", 16, deadline=60.0)


class HandingProtocol(HttpToolsProtocol):
    """`read_within`: seconds in which a reader takes something of what is sent."""

    read_within = 300.0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        handing: Any = _Handing(app, cycle, self.read_within)
        super()._start_asgi_task(cycle, app if self.scheme == "https" else handing)


class _Handing:
    """Around one request."""

    def __init__(self, app: ASGIApp, cycle: RequestResponseCycle, patience: float) -> None:
        self._app = app
        self._cycle = cycle
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        extensions = scope.setdefault("extensions", {})
        extensions[ZERO_COPY] = {}
        extensions[TAKE] = {"take": self._take}

        async def sending(message: Message) -> None:
            if message["type"] != ZERO_COPY:
                await send(message)
                return
            if not self._cycle.disconnected and not self._cycle.transport.is_closing():
                await self._hand_over(message["file"], message["offset"], message["count"])
            if not message["more_body"]:
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(scope, receive, sending)

    def _take(self, length: int) -> Taken:
        """Of a body of `length` bytes: what has come of it, and the connection with the rest. Before anybody has
        received anything of it."""
        cycle = self._cycle
        cycle.flow.pause_reading()
        if cycle.waiting_for_100_continue:
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        come = bytes(cycle.body)
        cycle.body = bytearray()
        cycle.more_body = False
        cycle.keep_alive = False  # the parser still waits for the rest of this body
        connection = -1 if len(come) >= length else os.dup(cycle.transport.get_extra_info("socket").fileno())
        return Taken(come, connection, length - len(come))

    async def _hand_over(self, file: int, offset: int, count: int) -> None:
        """Raises RuntimeError where the file has become shorter than what was announced."""
        cycle = self._cycle
        if count > cycle.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        while cycle.transport.get_write_buffer_size():  # what was written before goes first
            await asyncio.sleep(0.001)
        if cycle.transport.is_closing():
            return
        connection = os.dup(cycle.transport.get_extra_info("socket").fileno())  # the loop watches the other one
        try:
            while count:
                sent = await lane(partial(_send, connection, file, offset, count))
                if sent < 0:
                    cycle.transport.abort()
                    raise RuntimeError("a file became shorter while it was sent")
                offset += sent
                count -= sent
                cycle.expected_content_length -= sent
                if count and not await self._writable(connection):
                    cycle.transport.abort()
                    return
        except (BrokenPipeError, ConnectionResetError):
            cycle.transport.abort()
        finally:
            os.close(connection)

    async def _writable(self, connection: int) -> bool:
        """False: the reader takes nothing."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(connection, ready.set)
        try:
            async with asyncio.timeout(self._patience):
                await ready.wait()
            return True
        except TimeoutError:
            return False
        finally:
            loop.remove_writer(connection)


def _send(connection: int, file: int, offset: int, count: int) -> int:
    """As much as the reader takes, for a while; -1: the file has no more."""
    until = time.monotonic() + TURN
    reader = select.poll()
    reader.register(connection, select.POLLOUT)
    sent = 0
    while sent < count and time.monotonic() < until:
        try:
            piece = os.sendfile(connection, file, offset + sent, min(PIECE, count - sent))
        except BlockingIOError:
            if not reader.poll(KEEPS_UP):
                break
            continue
        if piece == 0:
            return -1
        sent += piece
    return sent
