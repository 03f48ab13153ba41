"""A whole installation as processes of its own, each of which can be killed and started again: API processes on one
port, a controller, a worker, a process for files. Its store is the server that all tests share, under a prefix."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from tests.valkey import Server
from tests.waiting import until
from winslow_nomad import config
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core.access import Role, Scope
from winslow_nomad.core.people import Person
from winslow_nomad.store.passwords import Passwords
from winslow_nomad.store.people import RedisPeople

ROOT = Path(__file__).parents[1]
ENGINE = ("controller", "worker", "worker operations")
PEOPLE = {"vic": Role.VIEWER, "mem": Role.MEMBER, "ann": Role.ADMIN}
ALL: tuple[Scope, ...] = ("read", "run", "files", "manage")
PASSWORD = "nineteen purple lanterns"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Parts:
    """`environ`: of its processes. A client needs nothing of it but `url` and a token."""

    def __init__(self, root: Path, server: Server) -> None:
        self.root = root
        self.port = free_port()
        self.environ = {
            "HOME": str(root),
            "USER": "ann",
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "WINSLOW_HOME": str(root / "h"),
            "WINSLOW_INSTALLATION": server.keys.prefix,
            "WINSLOW_SWEEP_SECONDS": "1",
            "REDIS_URL": f"unix://:{server.address.password}@{server.address.socket}",
        }
        self.installation = Installation(config.load(self.environ))
        quick = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.people = RedisPeople(self.installation.state, self.installation.clock, self.installation.keys, quick)
        for name, role in PEOPLE.items():
            self.people.add(Person(name=name, role=role, made=self.installation.clock.now()), PASSWORD)
        self._processes: list[tuple[str, subprocess.Popen[bytes], Path]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def share(self) -> Path:
        return self.installation.settings.share

    def token(self, user: str = "mem", *scopes: Scope) -> str:
        return self.people.add_token(user, "test", frozenset(scopes or ALL))[1]

    def start(self, what: str) -> subprocess.Popen[bytes]:
        """`serve` answers when it answers."""
        words = [*what.split(), *(["--port", str(self.port)] if what == "serve" else [])]
        log = self.root / f"{what.replace(' ', '-')}-{len(self._processes)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "winslow_nomad.cli", *words],
                env=self.environ, cwd=self.root, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._processes.append((what, process, log))
        if what == "serve":
            until(lambda: process.poll() is not None or b"winslow answers at" in log.read_bytes(), 40)
            assert process.poll() is None, log.read_text()
        return process

    def start_engine(self) -> None:
        for what in ENGINE:
            self.start(what)

    def kill(self, what: str, signum: int = signal.SIGKILL) -> None:
        """All of that kind; waits until they have gone."""
        for kind, process, _ in self._processes:
            if kind == what and process.poll() is None:
                process.send_signal(signum)
                process.wait(20)

    def kill_one(self, what: str) -> None:
        """The oldest of that kind."""
        process = next(p for kind, p, _ in self._processes if kind == what and p.poll() is None)
        process.kill()
        process.wait(20)

    def said(self, what: str) -> str:
        """What the processes of that kind have written."""
        return "".join(log.read_text(errors="replace") for kind, _, log in self._processes if kind == what)

    def close(self) -> None:
        for _, process, _ in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)
        self.installation.close()


@pytest.fixture
def parts(server: Server) -> Iterator[Parts]:
    """Nothing runs yet."""
    root = Path(tempfile.mkdtemp(prefix="parts-", dir="/tmp"))
    made = Parts(root, server)
    yield made
    made.close()
    shutil.rmtree(root, ignore_errors=True)
