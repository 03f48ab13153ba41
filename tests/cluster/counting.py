"""A proxy in front of Nomad that counts what is asked, and can cut event streams. It changes nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

STREAM = "/v1/event/stream"


@dataclass
class _Line:
    """One connection, with the other end of it."""

    near: socket.socket
    far: socket.socket
    streams: bool = False

    def close(self) -> None:
        for end in (self.near, self.far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class Request:
    at: float
    method: str
    path: str


@dataclass
class CountingProxy:
    """Use as a context. `address` is to be given for Nomad's."""

    target: str
    requests: list[Request] = field(default_factory=list)
    cut: int = 0

    def __enter__(self) -> Self:
        self._lines: list[_Line] = []
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._lines:
            line.close()

    def cut_streams(self) -> None:
        """In the middle of whatever is under way on them."""
        for line in self._lines:
            if line.streams:
                line.streams = False
                line.close()
                self.cut += 1

    @contextlib.contextmanager
    def cutting(self, every: float) -> contextlib.AbstractContextManager[None]:  # type: ignore[misc]
        done = threading.Event()

        def again() -> None:
            while not done.wait(every):
                self.cut_streams()

        thread = threading.Thread(target=again, daemon=True)
        thread.start()
        yield
        done.set()
        thread.join()

    def since(self, began: float) -> Counter[str]:
        """What was asked, by method and the first words of its path."""
        return Counter(f"{r.method} {'/'.join(r.path.split('/')[:3])}" for r in self.requests if r.at >= began)

    def _accept(self) -> None:
        where = urlsplit(self.target)
        assert where.hostname is not None and where.port is not None
        while not self._ended.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((where.hostname, where.port), timeout=5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            line = _Line(near, far)
            self._lines = [*(x for x in self._lines if x.near.fileno() >= 0), line]
            threading.Thread(target=self._ask, args=(line,), daemon=True).start()
            threading.Thread(target=self._answer, args=(line,), daemon=True).start()

    def _ask(self, line: _Line) -> None:
        """One request after the other, each read as a whole."""
        data = b""
        with contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in data:
                    if not (more := line.near.recv(1 << 16)):
                        return line.close()
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                first, *fields = head.decode("latin-1").split("\r\n")
                method, target, _ = first.split(" ")
                known = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
                assert "transfer-encoding" not in known, "a body of unknown length"
                length = int(known.get("content-length", 0))
                while len(data) < length:
                    if not (more := line.near.recv(1 << 16)):
                        return line.close()
                    data += more
                path = urlsplit(target).path
                self.requests.append(Request(time.monotonic(), method, path))
                line.streams = line.streams or path == STREAM
                line.far.sendall(head + b"\r\n\r\n" + data[:length])
                data = data[length:]
        return line.close()

    @staticmethod
    def _answer(line: _Line) -> None:
        with contextlib.suppress(OSError):
            while more := line.far.recv(1 << 16):
                line.near.sendall(more)
        line.close()
        line.near.close()
        line.far.close()
