"""The clock of the machine is set by an hour, in every process of Winslow and in the store's server at once. Runners
keep theirs, as on another machine."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.server import a_server
from tests.faults.system import System, a_system
from tests.waiting import until
from winslow_nomad.core import messages as m
from winslow_nomad.core.pipeline import Pipeline, Resources, Retry, StageDefinition
from winslow_nomad.core.project import ProjectState

SMALL = Resources(cpu=0.1, memory=16 << 20)


class ClockOfTest:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(struct.pack("<q", 0))
        self.library = path.with_suffix(".so")
        source = Path(__file__).with_name("clock.c")
        compiler = [sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", "-O2", "-o", self.library, source]
        subprocess.run(compiler, check=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "WINSLOW_TEST_CLOCK": str(self.path)}

    def jump(self, seconds: int) -> None:
        with self.path.open("r+b") as file:
            file.write(struct.pack("<q", struct.unpack("<q", self.path.read_bytes())[0] + seconds))


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> ClockOfTest:
    return ClockOfTest(tmp_path_factory.mktemp("clock") / "offset")


def failing_once(system: System, project: str, delay: float) -> None:
    """A stage whose first attempt fails; the second follows after `delay` seconds."""
    script = '[ "$${WINSLOW_ATTEMPT##*/}" != 1 ]'
    stage = StageDefinition(
        id="tries", command=("sh", "-c", script), resources=SMALL, retry=Retry(failed=1, delay=delay), workspace="empty"
    )
    system.create(project, pipeline=Pipeline(name="tries", stages=(stage,)))


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_clock_that_jumps_an_hour_delays_nothing_and_loses_nothing(clock: ClockOfTest, seconds: int) -> None:
    with (
        a_server(**clock.environment) as server,
        a_system(REDIS_URL=f"unix://{server.socket}", **clock.environment) as system,
    ):
        system.create("runs", hold=["first", "second"])
        failing_once(system, "tries", 4.0)
        system.create("asks")
        until(lambda: system.is_running("runs", "first"), 15)
        until(lambda: system.states("tries") == {"tries": "queued"} and system.reasons("tries"), 15)
        assert system.reasons("tries")["tries"].kind == "retry"
        system.reaches("asks", ProjectState.WAITING, 15)

        clock.jump(seconds)
        # who is killed now leaves leases and marks of the time before
        assert system.kill("engine")

        system.reaches("tries", ProjectState.SUCCEEDED, 15)
        system.go("asks")
        system.create("new")
        system.release("runs", "first")  # a workspace is copied after it
        until(lambda: system.is_running("runs", "second"), 15)
        until(lambda: system.states("runs") == {"first": "succeeded", "second": "running"}, 15)
        clock.jump(-seconds)
        system.send("runs", m.PauseProject(actor="ann"))
        system.send("runs", m.ResumeProject(actor="ann"))
        system.release("runs", "second")
        for project in ("runs", "new"):
            system.reaches(project, ProjectState.WAITING, 15)
        system.reaches("asks", ProjectState.SUCCEEDED, 15)
        system.check_whole("runs", "asks", "new")
        (tried,) = system.project("tries").ended.values()
        assert (tried.state.value, tried.attempt) == ("succeeded", 2)
