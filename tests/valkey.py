"""A real server for tests, and processes around it."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from winslow_nomad.store.client import Address, reader_client, state_client
from winslow_nomad.store.embedded import Embedded
from winslow_nomad.store.keys import Keys


@dataclass(frozen=True)
class Server:
    """`keys`: a prefix of this test's own."""

    address: Address
    client: Redis
    reader: Redis
    keys: Keys


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="store-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def running_server() -> Iterator[Embedded]:
    path = Path(tempfile.mkdtemp(prefix="store-", dir="/tmp"))
    with Embedded(path / "data") as server:
        yield server
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def server(running_server: Embedded) -> Iterator[Server]:
    client, reader = state_client(running_server.address), reader_client(running_server.address)
    yield Server(running_server.address, client, reader, Keys(f"t{secrets.token_hex(4)}"))
    client.close()
    reader.close()
