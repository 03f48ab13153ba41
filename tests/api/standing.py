"""One installation for all tests of a module, served only where a test asks for that; its files are new for each."""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import Served, World, make_world
from winslow_nomad.store.embedded import Embedded


@pytest.fixture(scope="module")
def ground(running_server: Embedded) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="api-", dir="/tmp"))
    world = make_world(folder, running_server.address, f"t{secrets.token_hex(4)}")
    yield world
    world.installation.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def standing(ground: World) -> Iterator[Served]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        made = Served(ground, probe.getsockname()[1])
    made.start()
    yield made
    made.kill()


@pytest.fixture
def world(ground: World) -> Iterator[World]:
    """Its files are new for each test."""
    yield ground
    share = ground.installation.settings.share
    for name in ("inputs", "uploads", "trash", "projects"):
        shutil.rmtree(share / name, ignore_errors=True)
    ground.installation.files.tree.mapped.clear()


@pytest.fixture
def served(world: World, standing: Served) -> Iterator[Served]:
    """A test may kill it."""
    yield standing
    if standing.processes[-1].poll() is not None:
        standing.start()


@pytest.fixture
def member(world: World) -> TestClient:
    return world.signed_in("mem")
