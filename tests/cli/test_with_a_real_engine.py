"""The command line as it is installed: a real store, real stages, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.person import ROOT, Person

PIPELINE = """\
winslow: 1
name: steps
parameters:
  TEXT: {type: string, default: hello}
stages:
  - id: first
    command:
      - sh
      - -c
      - 'echo "$TEXT"; while [ -e "$WAIT_FOR" ]; do sleep 0.02; done; echo "$TEXT" > "$WINSLOW_OUTPUT/said"'
  - id: second
    confirm: {ask: always, show: [first/said]}
    command: [sh, -c, 'cp "$WINSLOW_STAGES/first/said" "$WINSLOW_OUTPUT/copied"; echo "size=5" >> "$WINSLOW_RESULTS"']
    results: {size: integer}
"""


class Place:
    """A data directory, and the commands that work on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._people: list[Person] = []
        self.hold = root / "hold"
        self.pipeline = root / "steps.yaml"
        waiting = f"environment: {{WAIT_FOR: {self.hold}}}\n"
        self.pipeline.write_text(PIPELINE.replace("stages:", f"{waiting}stages:"))
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), "WINSLOW_HOME": str(root / "home")}

    def winslow(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "winslow_nomad.cli", *args], env=self.env, cwd=self.root, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip

    def sits(self, *args: str) -> Person:
        """A person who has just typed `winslow ...` at a terminal."""
        self._people.append(Person([sys.executable, "-m", "winslow_nomad.cli", *args], **self.env))
        return self._people[-1]

    def close(self) -> None:
        self.hold.unlink(missing_ok=True)
        left = [person for person in self._people if person.process.poll() is None]
        for person in self._people:
            person.close()
        if left:
            self.winslow("projects")  # who leaves last stops the server; those that were killed could not

    def told(self, *args: str) -> dict[str, Any]:
        done = self.winslow(*args, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


def test_the_whole_job_in_one_command(place: Place) -> None:
    done = place.winslow("run", str(place.pipeline), "--set", "TEXT=hello there", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert "0001-first | hello there" in done.stderr
    second = answer["project"]["stages"][1]
    assert (Path(second["output"]) / "copied").read_text() == "hello there\n"
    assert second["results"] == {"size": 5}
    assert place.winslow("log", answer["project"]["id"], "first").stdout == "hello there\n"


def test_a_gate_is_answered_by_another_command_and_resume_goes_on(place: Place) -> None:
    left = place.winslow("run", str(place.pipeline))
    assert left.returncode == 3, left.stderr
    assert "Answer with: winslow gate steps-" in left.stderr
    answered = place.winslow("gate", "steps", "--go")
    assert answered.returncode == 0 and "Nobody runs stages here now" in answered.stderr
    assert place.winslow("run", "--resume", "steps").returncode == 0


def test_a_stage_outlives_a_run_that_was_killed_and_resume_finds_its_end(place: Place) -> None:
    place.hold.touch()
    person = place.sits("run", str(place.pipeline), "--yes")
    person.reads("0001-first | hello")
    os.killpg(person.process.pid, signal.SIGKILL)
    person.ends()
    place.hold.unlink()
    done = place.winslow("run", "--resume", "steps", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    stages = json.loads(done.stdout)["project"]["stages"]
    assert [(s["state"], s["attempts"]) for s in stages] == [("succeeded", 1), ("succeeded", 1)]


def test_two_runs_in_one_data_directory_share_it_and_one_goes_on_when_the_other_leaves(place: Place) -> None:
    place.hold.touch()
    first = place.sits("run", str(place.pipeline), "--yes", "--name", "one")
    first.reads("0001-first | hello")
    second = place.sits("run", str(place.pipeline), "--yes", "--name", "two")
    second.reads("0001-first | hello")
    first.leaves(signal.SIGTERM)
    assert first.ends() == 143
    place.hold.unlink()
    assert second.ends(30) == 0, second.said
    third = place.winslow("run", "--resume", "one", "--yes", "--json")
    assert third.returncode == 0, third.stderr
    assert [s["attempts"] for s in json.loads(third.stdout)["project"]["stages"]] == [1, 1]


def test_a_mistake_in_the_pipeline_file_is_told_before_anything_is_started(place: Place) -> None:
    place.pipeline.write_text("winslow: 1\nname: x\nstages:\n  - id: a\n    comand: [true]\n")
    done = place.winslow("run", str(place.pipeline))
    assert done.returncode == 2 and f"{place.pipeline}:5:" in done.stderr and "did you mean" in done.stderr
    assert not (place.root / "home").exists()


def test_ctrl_c_at_a_real_terminal_pauses_and_resume_joins_the_running_stage(place: Place) -> None:
    place.hold.touch()
    person = place.sits("run", str(place.pipeline))
    person.reads("0001-first | hello")
    person.presses(b"\x03")
    person.reads("Paused; 0001-first will go on by itself")
    assert person.ends() == 3, person.said
    project = place.told("show", "steps")["project"]
    assert project["pause"]["kind"] == "person" and project["stages"][0]["state"] == "running"
    place.hold.unlink()
    again = place.sits("run", "--resume", "steps")
    again.reads("Start second?")
    again.reads("attempts/1/output/said")
    again.types("go")
    assert again.ends() == 0, again.said
    assert "0002-second" in again.said and "size 5" in again.said
