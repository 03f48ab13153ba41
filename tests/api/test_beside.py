"""The API beside an engine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.waiting import until

pytestmark = pytest.mark.chaos
ROOT = Path(__file__).parents[2]
# What `winslow up` does, and who it is.
UP = """
import sys, time
from winslow_nomad import config
from winslow_nomad.bootstrap.beside import Beside
from winslow_nomad.bootstrap.engine import open_engine, until_told
settings = config.load()
stopping = until_told()
api = Beside(settings, port=0)
with open_engine(settings), api:
    print("port", api.port, flush=True)
    stopping.wait()
"""


class Up:
    def __init__(self, home: Path) -> None:
        environ = {"WINSLOW_HOME": str(home / "h"), "HOME": str(home), "USER": "ann", "PATH": os.environ["PATH"]}
        self.log = (home / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-c", UP],
            env={**environ, "PYTHONPATH": str(ROOT)},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.output = home / "log"
        until(lambda: "port " in self.text, 30)
        self.url = f"http://127.0.0.1:{self.text.partition('port ')[2].split()[0]}/api/v1/session"

    @property
    def text(self) -> str:
        return self.output.read_text()

    def answers(self) -> bool:
        try:
            return httpx.get(self.url, timeout=5).status_code == 401
        except httpx.TransportError:
            return False

    @property
    def apis(self) -> list[int]:
        done = subprocess.run(
            ["pgrep", "-f", f"winslow_nomad.bootstrap.beside {self.process.pid} "],
            capture_output=True,
            text=True,
            check=False,
        )
        return [int(pid) for pid in done.stdout.split()]


@pytest.fixture
def up() -> Iterator[Up]:
    home = Path(tempfile.mkdtemp(prefix="up-", dir="/tmp"))
    made = Up(home)
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.wait(10)
    made.log.close()
    until(lambda: not made.apis, 20)
    shutil.rmtree(home, ignore_errors=True)


def test_an_api_that_is_killed_comes_back_on_its_port_and_ends_with_the_engine(up: Up) -> None:
    until(up.answers, 30)
    (first,) = up.apis
    os.kill(first, signal.SIGKILL)
    until(lambda: up.apis and up.apis != [first], 20)
    until(up.answers, 30)
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(30) == 0
    assert up.apis == [] and not up.answers()
    assert "Traceback" not in up.text


def test_an_api_does_not_outlive_an_engine_that_is_killed(up: Up) -> None:
    until(up.answers, 30)
    up.process.kill()
    up.process.wait(10)
    until(lambda: not up.apis, 20)
