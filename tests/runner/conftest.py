"""Builds the runner once, plain and with the address and undefined-behaviour sanitizers where a compiler is at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runner.attempt import Attempt
from winslow_nomad.runner import binary

SOURCES = Path(__file__).resolve().parents[2] / "winslow_nomad" / "runner"


@pytest.fixture(scope="session")
def plain() -> Path:
    result = subprocess.run([sys.executable, str(SOURCES / "build.py")], capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"the runner cannot be built here: {result.stderr.strip().splitlines()[-1]}")
    return binary()


def compile_with_sanitizers(into: Path) -> str | None:
    """None when it worked, else why not."""
    compiler = next((found for name in ("clang", "gcc") if (found := shutil.which(name))), None)
    if compiler is None:
        return "neither clang nor gcc is installed"
    sources = [str(path) for path in sorted(SOURCES.glob("*.c"))]
    staged = into.with_name(f"{into.name}-{os.getpid()}")
    flags = ["-std=c11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    result = subprocess.run(
        [compiler, *flags, "-Wall", "-Wextra", "-Werror", *sources, "-o", str(staged), "-lm"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        if "sanitize" in result.stderr or "asan" in result.stderr:
            return f"{compiler} has no sanitizers"
        raise AssertionError(result.stderr)
    staged.replace(into)
    return None


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sanitized") / "winslow-run"
    missing = compile_with_sanitizers(path)
    if missing:
        pytest.skip(missing)
    return path


@pytest.fixture(params=["plain", "sanitized"])
def program(request: pytest.FixtureRequest) -> Path:
    """The runner, once as it is delivered and once with sanitizers."""
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Attempt]]:
    """Makes attempts below the test's own directory and ends whatever they leave behind."""
    made: list[Attempt] = []

    def factory(program: Path | list[str], path: Path | None = None, spool: Path | None = None) -> Attempt:
        number = len(made) + 1
        words = [str(program)] if isinstance(program, Path) else program
        attempt = Attempt(path or tmp_path / f"attempt{number}", spool or tmp_path / f"spool{number}", words)
        made.append(attempt)
        return attempt

    yield factory
    for attempt in made:
        attempt.clean_up()


@pytest.fixture
def attempt(program: Path, make: Callable[..., Attempt]) -> Attempt:
    return make(program)


@pytest.fixture
def fast_attempt(plain: Path, make: Callable[..., Attempt]) -> Attempt:
    """For tests of much data or many repetitions: the delivered program only."""
    return make(plain)
