"""A real installation (store, share, no engine) behind the application, and people who ask it.

`world`: the application in this process. `served`: a uvicorn of its own in a process that can be killed."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.valkey import Server, directory, running_server, server
from tests.waiting import until
from winslow_nomad import config
from winslow_nomad.api.app import create_app
from winslow_nomad.api.authority import COOKIE, CSRF, csrf_of
from winslow_nomad.api.services import Services
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.services import services
from winslow_nomad.core.access import Role, Scope
from winslow_nomad.core.people import Person
from winslow_nomad.store.client import Address
from winslow_nomad.store.passwords import Passwords
from winslow_nomad.store.people import RedisPeople

__all__ = ["directory", "running_server", "server"]

PEOPLE = {"vic": Role.VIEWER, "mem": Role.MEMBER, "mat": Role.MAINTAINER, "ann": Role.ADMIN}
BASE = "http://localhost"


def url_of(address: Address) -> str:
    """As REDIS_URL, so that installations of several tests share one server under prefixes of their own."""
    return f"unix://:{address.password}@{address.socket}"


@dataclass
class World:
    """`home` and the share in it are this test's own, and so is the prefix of its keys."""

    home: Path
    environ: dict[str, str]
    installation: Installation
    services: Services
    app: FastAPI

    def anonymous(self) -> TestClient:
        return TestClient(self.app, base_url=BASE, raise_server_exceptions=False, follow_redirects=False)

    def signed_in(self, user: str) -> TestClient:
        """With a session of the person's own, as a page has it."""
        secret = self.services.people.open_session(user, "password").secret
        client = self.anonymous()
        client.cookies.set(COOKIE, secret)
        client.headers[CSRF] = csrf_of(secret)
        return client

    def with_token(self, user: str, *scopes: Scope, project: str = "") -> TestClient:
        _, secret = self.services.people.add_token(user, "test", frozenset(scopes), project=project)
        client = self.anonymous()
        client.headers["Authorization"] = f"Bearer {secret}"
        return client


def open_world(home: Path, address: Address, prefix: str, **settings: str) -> World:
    """With whatever is in the home and under the prefix already."""
    environ = {
        "WINSLOW_HOME": str(home / "h"),
        "HOME": str(home),
        "USER": "ann",
        "REDIS_URL": url_of(address),
        "WINSLOW_INSTALLATION": prefix,
        **settings,
    }
    installation = Installation(config.load(environ))
    quick = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    people = RedisPeople(installation.state, installation.clock, installation.keys, quick)
    given = replace(services(installation), people=people)
    return World(home, environ, installation, given, create_app(given))


def make_world(home: Path, address: Address, prefix: str, **settings: str) -> World:
    made = open_world(home, address, prefix, **settings)
    for name, role in PEOPLE.items():
        made.services.people.add(Person(name=name, role=role, made=made.installation.clock.now()))
    return made


@dataclass
class Served:
    """`winslow serve` in a process of its own; `kill` it, `start` it again on the same port."""

    world: World
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> subprocess.Popen[bytes]:
        """Answers when it answers. Several may run at once on the port."""
        command = [sys.executable, "-m", "winslow_nomad.cli", "serve", "--port", str(self.port)]
        output = (self.world.home / f"serve-{len(self.processes)}.log").open("wb")
        root = Path(__file__).parents[2]
        environ = {**self.world.environ, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(root)}
        made = subprocess.Popen(command, env=environ, stdout=output, stderr=subprocess.STDOUT, cwd=self.world.home)
        output.close()
        self.processes.append(made)
        until(lambda: made.poll() is not None or b"winslow answers at" in self.output(), 90)
        assert made.poll() is None, self.output().decode()
        return made

    def output(self) -> bytes:
        """What the newest process has written."""
        return (self.world.home / f"serve-{len(self.processes) - 1}.log").read_bytes()

    def kill(self) -> None:
        """kill -9 of all of them."""
        self.end(signal.SIGKILL)

    def end(self, signum: int = signal.SIGTERM) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signum)
        for process in self.processes:
            process.wait(20)

    def anonymous(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20)

    def signed_in(self, user: str) -> httpx.Client:
        secret = self.world.services.people.open_session(user, "password").secret
        client = self.anonymous()
        client.cookies.set(COOKIE, secret)
        client.headers[CSRF] = csrf_of(secret)
        return client


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        made = Served(world, probe.getsockname()[1])
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def world(server: Server) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="api-", dir="/tmp"))
    made = make_world(folder, server.address, server.keys.prefix)
    yield made
    made.installation.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def anonymous(world: World) -> TestClient:
    return world.anonymous()


@pytest.fixture
def viewer(world: World) -> TestClient:
    """vic"""
    return world.signed_in("vic")


@pytest.fixture
def member(world: World) -> TestClient:
    """mem"""
    return world.signed_in("mem")


@pytest.fixture
def maintainer(world: World) -> TestClient:
    """mat"""
    return world.signed_in("mat")


@pytest.fixture
def admin(world: World) -> TestClient:
    """ann"""
    return world.signed_in("ann")
