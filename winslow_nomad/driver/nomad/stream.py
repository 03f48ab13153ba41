"""One connection to Nomad's event stream: lines as they come, and a clear end.

A thread of its own reads, so that whoever takes the lines can stop at any time. Facts about the stream this relies
on: the status is 200 before Nomad has looked at the token; the first line `{}` says that the subscription stands; one
`{}` follows every 30 s; an end without it is a rejection; a gap gives no sign. Must never interpret an event."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from winslow_nomad.driver.nomad.access import Access

SILENCE = 75.0  # seconds without a line, after which the connection is dead: a `{}` is due every 30
SUBSCRIBED_WITHIN = 10.0
TOPICS = ("Job", "Allocation", "Evaluation", "Node")
LONGEST_LINE = 64 * 1024 * 1024
AHEAD = 2_000  # lines read and not taken yet; then the server is made to wait, and after 40 s it hangs up


@dataclass(frozen=True)
class Line:
    """`events` is empty for a sign of life. `arrived`: by the monotonic clock."""

    index: int
    events: list[dict[str, Any]]
    arrived: float


class Ended(Exception):
    """The stream is over. subscribed: it had been accepted."""

    def __init__(self, why: str, *, subscribed: bool) -> None:
        super().__init__(why)
        self.subscribed = subscribed


class EventStream:
    """Use as a context. `index`: where to begin, as far as the server still has it."""

    def __init__(self, access: Access, index: int = 0, *, silence: float = SILENCE) -> None:
        self._access = access
        self._index = index
        self._silence = silence
        self._lines: queue.Queue[Line | Ended] = queue.Queue(AHEAD)
        self._closing = threading.Event()
        self._socket: socket.socket | None = None
        self._subscribed = False
        self._first: Line | None = None
        self._thread = threading.Thread(target=self._read, name="nomad-events", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wakes the reader, wherever it is."""
        self._closing.set()
        self._shut()
        with contextlib.suppress(queue.Empty):
            while True:
                self._lines.get_nowait()
        self._thread.join(timeout=5.0)

    def take(self, seconds: float) -> Line | None:
        """The next line; None: there was none for so long. Raises Ended."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            line = self._lines.get(timeout=seconds) if seconds > 0 else self._lines.get_nowait()
        except queue.Empty:
            return None
        if isinstance(line, Ended):
            self._lines.put(line)
            raise line
        return line

    def peek(self, seconds: float) -> bool:
        """Whether a line has come, within so long; it stays to be taken. Raises Ended."""
        line = self.take(seconds)
        if line is None:
            return False
        self._first = line
        return True

    @property
    def waiting(self) -> int:
        """Lines that have arrived and were not taken yet."""
        return self._lines.qsize()

    def _read(self) -> None:
        why = "Nomad closed it"
        try:
            with self._access.stream_client(self._silence) as client:
                why = self._follow(client) or why
        except httpx.ReadTimeout:
            why = f"nothing came for {self._silence:g} s"
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
        except Exception as error:  # noqa: BLE001  whatever it was, who waits for lines has to learn of it
            why = f"{type(error).__name__}: {error}"
        self._put(Ended(why, subscribed=self._subscribed))

    def _follow(self, client: httpx.Client) -> str:
        asked = {"index": str(self._index), "topic": list(TOPICS)}
        extensions = {**self._access.extensions, "trace": self._connected}
        with client.stream("GET", "/v1/event/stream", params=asked, extensions=extensions) as response:
            if response.status_code != 200:
                response.read()
                return f"status {response.status_code}: {response.text[:300]}"
            for raw in lines_of(response.iter_raw()):
                self._put(self._decoded(raw))
                if self._closing.is_set():
                    break
        return ""

    def _connected(self, what: str, about: dict[str, Any]) -> None:
        """Keeps the socket, so that a reader can be woken from the first moment on, also before any answer."""
        if what in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = about["return_value"].get_extra_info("socket")
            if self._closing.is_set():
                self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _decoded(self, raw: bytes) -> Line:
        found = json.loads(raw)
        events = found.get("Events") or []
        self._subscribed = True
        return Line(int(found.get("Index", 0)), events, time.monotonic())

    def _put(self, line: Line | Ended) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(queue.Full):
                self._lines.put(line, timeout=0.5)
                return


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, without their ends, of bytes that come in pieces. A last line without an end was cut off, and is
    dropped. Raises ValueError for a line that is too long to be one."""
    kept = bytearray()
    for chunk in chunks:
        begin = len(kept)
        kept += chunk
        done = 0
        while (end := kept.find(b"\n", max(begin, done))) >= 0:
            line = bytes(kept[done:end]).strip()
            done = end + 1
            if line:
                yield line
        del kept[:done]
        if len(kept) > LONGEST_LINE:
            raise ValueError("a line of the event stream does not end")
