"""A slow line to a server, which can be cut: a relay over TCP that counts what goes through."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time

STEP = 64 * 1024  # bytes


class Line:
    """`rate`: bytes a second and direction, 0: as fast as it goes. `up`, `down`: bytes that went to the server, and
    back."""

    def __init__(self, port: int, rate: int = 0) -> None:
        self._target = port
        self.rate = rate
        self.up = self.down = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Every connection that is open now ends in the middle; new ones work."""
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(inner,), daemon=True).start()

    def _serve(self, inner: socket.socket) -> None:
        with contextlib.suppress(OSError), inner, socket.create_connection(("127.0.0.1", self._target)) as outer:
            with self._lock:
                self._open |= {inner, outer}
            try:
                self._relay(inner, outer)
            finally:
                with self._lock:
                    self._open -= {inner, outer}

    def _relay(self, inner: socket.socket, outer: socket.socket) -> None:
        while True:
            for source in select.select([inner, outer], [], [])[0]:
                data = source.recv(STEP)
                if not data:
                    return
                (outer if source is inner else inner).sendall(data)
                if source is inner:
                    self.up += len(data)
                else:
                    self.down += len(data)
                if self.rate:
                    time.sleep(len(data) / self.rate)
