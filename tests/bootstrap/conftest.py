"""An engine over a home of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.valkey import directory, running_server, server
from winslow_nomad import config
from winslow_nomad.bootstrap.engine import Engine, open_engine
from winslow_nomad.config import Settings

__all__ = ["directory", "running_server", "server"]


@pytest.fixture
def settings() -> Iterator[Settings]:
    """Short paths, since there is a socket below."""
    folder = Path(tempfile.mkdtemp(prefix="wn-", dir="/tmp"))
    yield config.load({"WINSLOW_HOME": str(folder / "h"), "HOME": str(folder), "USER": "ada"})
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    with open_engine(settings) as running:
        yield running
