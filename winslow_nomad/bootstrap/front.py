"""The API as a process of its own beside an engine: `winslow up`. Requests never slow decisions, and a request that
brings its process down takes nothing else along.

The socket belongs to the parent. While the process is started anew, connections wait there instead of being refused."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from winslow_nomad import config
from winslow_nomad.bootstrap.engine import follow_parent
from winslow_nomad.bootstrap.logs import write_logs
from winslow_nomad.bootstrap.serve import (
    GRACE,
    PORT,
    address_of,
    allow_many_files,
    check_exposure,
    listen,
    serve_on,
)
from winslow_nomad.config import Settings
from winslow_nomad.core.errors import Refused, WinslowError

log = logging.getLogger(__name__)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # seconds between an end and the next start
LASTED = 60.0  # seconds after which an end is none of the start's


class Front:
    """`address`: where it answers. Call from one thread: the process ends with the thread that started it."""

    def __init__(self, settings: Settings, listening: socket.socket, host: str, *, insecure: bool) -> None:
        self.address = address_of(settings, host, listening)
        self._listening = listening
        self._host = host
        self._insecure = insecure
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._pause = 0.0

    def keep(self) -> None:
        """Start it, or start it again when it has ended. Never waits."""
        if self._process is not None and self._process.poll() is None:
            return
        now = time.monotonic()
        if self._process is not None:
            lasted = now - self._began > LASTED
            if now < self._began + (0.0 if lasted else self._pause):
                return
            log.warning("the API has ended (%s); starting it again", self._process.returncode)
            self._pause = FIRST_PAUSE if lasted else min(max(self._pause, FIRST_PAUSE) * 2, LONGEST_PAUSE)
        self._began = now
        self._process = self._start(first=self._process is None)

    def _start(self, *, first: bool) -> subprocess.Popen[bytes]:
        descriptor = self._listening.fileno()
        argv = [sys.executable, "-m", "winslow_nomad.bootstrap.front", str(os.getpid()), str(descriptor), self._host]
        argv += ["insecure"] * self._insecure + ["again"] * (not first)
        # in a group of its own: Ctrl-C at the terminal is for the parent, which ends it in order
        return subprocess.Popen(argv, pass_fds=[descriptor], process_group=0)

    def stop(self) -> None:
        """Requests that are under way are answered first."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(GRACE + 3)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


@contextlib.contextmanager
def open_front(settings: Settings, host: str, port: int | None, *, insecure: bool) -> Iterator[Front]:
    """`port` None: the usual one, or a free one where that is taken. Raises Refused before anything is started."""
    check_exposure(settings, host, insecure)
    try:
        listening = listen(host, PORT if port is None else port, shared=False)
    except Refused:
        if port is not None:
            raise
        listening = listen(host, 0, shared=False)
    with listening:
        front = Front(settings, listening, host, insecure=insecure)
        try:
            yield front
        finally:
            front.stop()


def main() -> None:
    """`python -m winslow_nomad.bootstrap.front <parent pid> <socket> <host> [insecure] [again]`: the process itself."""
    parent, descriptor, host, *how = sys.argv[1:]
    follow_parent(int(parent))
    write_logs(logging.WARNING)
    allow_many_files()
    try:
        with socket.socket(fileno=int(descriptor)) as listening:
            serve_on(config.load(), listening, host, insecure="insecure" in how, welcome="again" not in how)
    except WinslowError as error:
        raise SystemExit(f"winslow: {error} [{error.code}]") from None


if __name__ == "__main__":
    main()
