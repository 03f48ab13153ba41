"""The server's side of a connection, as uvicorn has it, and what uvicorn leaves open: who may connect at all, how long
headers may take, how large they may be, and how long somebody may not read what was sent."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from typing import Any

from winslow_nomad.bootstrap.handing import HandingProtocol

LARGEST = 64 * 1024  # bytes of the headers of a request
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class PatientProtocol(HandingProtocol):
    """`peers`: only they may connect; None: everybody. `headers_within` seconds from the first byte of a request, or
    from the connection, its headers are complete. `read_within` seconds a reader takes what waits for it, which is
    about 1 MiB."""

    peers: tuple[Network, ...] | None = None
    headers_within = 20.0
    read_within = 300.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._reader: asyncio.TimerHandle | None = None
        self._head = 0  # bytes of the headers so far; -1: they are complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.peers is not None and not among(self.client, self.peers):
            self.logger.warning("refused a connection of %s, which is no trusted proxy", self.client)
            transport.abort()
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        stop(self._timer)
        stop(self._reader)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)
        if self._head > LARGEST:
            self._head = -1
            self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = max(self._head, 0)
        self._wait_for_headers()

    def on_headers_complete(self) -> None:
        self._head = -1
        stop(self._timer)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head = 0

    def pause_writing(self) -> None:
        super().pause_writing()
        stop(self._reader)
        self._reader = self.loop.call_later(self.read_within, self.transport.abort)

    def resume_writing(self) -> None:
        stop(self._reader)
        super().resume_writing()

    def _wait_for_headers(self) -> None:
        stop(self._timer)
        self._timer = self.loop.call_later(self.headers_within, self._too_slow)

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Raises ValueError."""
    return tuple(ipaddress.ip_network(text.strip(), strict=False) for text in texts if text.strip())


def among(client: tuple[str, int] | None, peers: tuple[Network, ...]) -> bool:
    if client is None:
        return False
    address = ipaddress.ip_address(client[0].partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_loopback or any(address in peer for peer in peers)


def stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
