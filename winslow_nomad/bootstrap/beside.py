"""The API beside an engine, for `winslow up`: a process of its own, since the threads of one interpreter take turns,
and a decision must not wait until somebody's listing is written. It is started again when it ends before its time,
and ends when the engine's process does, however that ends."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from typing import Self

from winslow_nomad import config
from winslow_nomad.bootstrap.engine import follow_parent
from winslow_nomad.bootstrap.serve import HOST, PORT, bind, check_exposure, run_serve
from winslow_nomad.config import Settings
from winslow_nomad.core.errors import WinslowError

log = logging.getLogger(__name__)
ENDING = 15.0  # seconds the API gets to end


class Beside:
    """place = Beside(settings); with open_engine(settings) as engine, place: ..."""

    def __init__(self, settings: Settings, *, host: str = HOST, port: int = PORT, insecure: bool = False) -> None:
        """Raises Refused where it could not listen. Starts nothing yet: an engine forks while there is one thread."""
        check_exposure(settings, host, insecure)
        self._settings = settings
        # Bound and never listened on: nobody else takes the port while our process is being started again.
        self._place = bind(host, port)
        self._argv = [host, str(self._place.getsockname()[1]), "insecure" if insecure else ""]
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="api", daemon=True)

    def __enter__(self) -> Self:
        self._process = self._spawn()
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._watcher.join()  # so that it starts none any more
        self._place.close()
        self._process.terminate()
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def port(self) -> int:
        return int(self._argv[1])

    def _watch(self) -> None:
        pause = 0.2
        while not self._stopping.wait(pause):
            if self._process.poll() is not None:
                log.warning("the process of the API has ended (%s); starting it again", self._process.returncode)
                self._process = self._spawn()
                pause = min(pause * 2, 5.0)

    def _spawn(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "winslow_nomad.bootstrap.beside", str(os.getpid()), *self._argv]
        environ = {**os.environ, "WINSLOW_DRIVER": self._settings.driver}
        # of a group of its own: Ctrl-C at the terminal is for the engine, which ends this one in its own time
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=environ, process_group=0)


def main() -> None:
    parent, host, port, insecure = sys.argv[1:5]
    follow_parent(int(parent))
    # At a terminal the lines of requests would bury those of the engine.
    level = logging.WARNING if sys.stderr.isatty() else logging.INFO
    try:
        run_serve(config.load(), host=host, port=int(port), insecure=bool(insecure), level=level)
    except WinslowError as error:
        raise SystemExit(f"winslow: {error} [{error.code}]") from None


if __name__ == "__main__":
    main()
