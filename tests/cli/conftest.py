from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.cli import worlds
from tests.fakes.client import FakeDoors, World
from winslow_nomad.cli.main import app


@pytest.fixture
def world(tmp_path: Path) -> World:
    return worlds.world(tmp_path / "share")


@pytest.fixture
def winslow(world: World) -> Callable[..., Result]:
    """The command line with an installation that is a dictionary; standard input is no terminal."""
    runner = CliRunner()

    def call(*args: str, **environment: str) -> Result:
        return runner.invoke(app, list(args), obj=FakeDoors(world), env=environment)

    return call


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "bikes.mp4"
    path.write_bytes(b"video")
    return path


@pytest.fixture
def told(winslow: Callable[..., Result]) -> Callable[..., dict[str, Any]]:
    """The one object that a command with --json writes."""

    def call(*args: str, code: int = 0) -> dict[str, Any]:
        result = winslow(*args, "--json")
        assert result.exit_code == code, result.output
        answer: dict[str, Any] = json.loads(result.stdout)
        assert answer["format"] == 1
        return answer

    return call
