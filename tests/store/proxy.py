"""A unix proxy that loses what it is told to lose: the reply after an EXEC, or the EXEC itself."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path


class Proxy:
    """`lose_replies`: how many EXECs are still forwarded and then cut off before their reply comes back.
    `before_cut` runs in between: the server has carried it out, the client still waits. `ahead`: put once before
    the next reply."""

    def __init__(self, path: Path, target: str) -> None:
        self.path = path
        self._target = target
        self.lose_replies = 0
        self.lose_every = 0
        self.lost = 0
        self._seen = 0
        self.ahead = b""
        self.before_cut: Callable[[], object] = lambda: None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._stopping = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close_listener(self) -> None:
        """From now on nobody gets through."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        self.close_listener()
        os.unlink(self.path)

    def _loses(self) -> bool:
        """Whether this EXEC is one that loses its reply."""
        self._seen += 1
        if self.lose_every and self._seen % self.lose_every == 0:
            return True
        if self.lose_replies > 0:
            self.lose_replies -= 1
            return True
        return False

    def _accept(self) -> None:
        while not self._stopping:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(inner,), daemon=True).start()

    def _serve(self, inner: socket.socket) -> None:
        outer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with inner, outer:
            outer.connect(self._target)
            cutting = False
            while True:
                readable, _, _ = select.select([inner, outer], [], [])
                if inner in readable:
                    data = inner.recv(1 << 20)
                    if not data:
                        return
                    outer.sendall(data)
                    if b"EXEC\r\n" in data[-16:]:
                        cutting = self._loses()
                if outer in readable:
                    data = outer.recv(1 << 20)
                    if not data:
                        return
                    if cutting:  # the server has answered, so it has carried it out
                        self.lost += 1
                        self.before_cut()
                        return
                    ahead, self.ahead = self.ahead, b""
                    inner.sendall(ahead + data)
