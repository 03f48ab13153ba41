"""What is prepared here is what the runner reads, and what it leaves is what is read here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.resources import some
from winslow_nomad import runner
from winslow_nomad.core.errors import Refused
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.core.stage import Cause, EnvironmentValue
from winslow_nomad.resources.attempts import install_runner

REF = AttemptRef(project="p1", stage=1, attempt=1)
SCRIPT = 'pwd; echo "$KEY" > "$WINSLOW_OUTPUT/key"; echo vehicles=12 >> "$WINSLOW_RESULTS"; echo "$0" >&2; exit 3'


@pytest.fixture
def program() -> Path:
    try:
        return runner.binary()
    except Refused as error:
        pytest.skip(str(error))


def run(program: Path, root: Path, spool: Path) -> None:
    attempt = root / "projects/p1/stages/0001-detect/attempts/1"
    words = [program, "--attempt", attempt, "--spool", spool, "--workdir", attempt / "workspace"]
    subprocess.run([str(w) for w in words], timeout=30, check=False, capture_output=True)


def prepared(attempts):
    values = (EnvironmentValue(name="KEY", value="secret:s1", origin="project", secret=True),)
    definition = some.definition(command=("/bin/sh", "-c", SCRIPT, "a b\n'é"))
    attempts.prepare(some.project(some.stage(1, definition=definition, environment=values)), 1, 1)


def test_the_runner_finds_all_that_was_prepared_and_its_end_is_read(attempts, writer, root, tmp_path, program):
    prepared(attempts)
    places = install_runner(writer, "test", runner.binary)
    run(root / places["amd64" if "amd64" in str(program) else "arm64"], root, tmp_path)
    outcome = attempts.end(REF)
    assert outcome is not None and (outcome.cause, outcome.code) == (Cause.EXIT, 3)
    assert outcome.results == {"vehicles": "12"} and outcome.started is not None and outcome.ended is not None
    folder = root / "projects/p1/stages/0001-detect/attempts/1"
    assert (folder / "output/key").read_text() == "swordfish-swordfish\n"
    assert (folder / "log/out").read_text() == f"{folder / 'workspace'}\n"
    assert (folder / "log/err").read_text() == "a b\n'é\n"
    assert not (folder / "environment").exists()
    assert attempts.cancel(REF) == outcome


def test_the_runner_runs_nothing_of_what_was_cancelled(attempts, root, tmp_path, program):
    prepared(attempts)
    assert attempts.cancel(REF).cause is Cause.CANCELLED
    run(program, root, tmp_path)
    folder = root / "projects/p1/stages/0001-detect/attempts/1"
    assert not (folder / "output/key").exists() and list(folder.glob("refused-*"))
    assert attempts.end(REF).cause is Cause.CANCELLED
