"""Much at once: many stages in one project, many projects."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from statistics import median

import pytest

from tests.faults.system import System, a_system
from tests.waiting import until
from winslow_nomad.core import messages as m
from winslow_nomad.core.pipeline import Pipeline, Resources, StageDefinition, SweepPolicy
from winslow_nomad.core.project import ProjectState
from winslow_nomad.store import codec

SMALL = Resources(cpu=0.1, memory=16 << 20)
HEAD = 32 * 1024  # bytes
UNSEALED = 64
GROWTH = 2.0  # a commit at the end may take this many times one at the beginning


def swept(count: int) -> Pipeline:
    policy = SweepPolicy(max_running=16, on_failure="continue")
    stage = StageDefinition(id="point", command=("/bin/true",), resources=SMALL, workspace="empty", sweep=policy)
    return Pipeline(name="many", stages=(stage,))


class Commits:
    """Times how long this machine takes for a commit in the project now: a comment, several times."""

    def __init__(self, system: System) -> None:
        self.system = system

    def milliseconds(self, project: str) -> float:
        took = []
        for number in range(15):
            began = time.perf_counter()
            self.system.send(project, m.AddComment(text=f"note {number}"))
            took.append((time.perf_counter() - began) * 1000)
        return median(took)


def run_sweep(count: int, seconds: float) -> None:
    with a_system() as system:
        grid = {"point": {"N": tuple(str(i) for i in range(count))}}
        commits = Commits(system)
        began = time.monotonic()
        system.create("many", pipeline=swept(count), sweeps=grid)
        until(lambda: len(system.project("many").ended) >= 10, 30)
        at_start = commits.milliseconds("many")
        waiting = [0]

        def ended() -> bool:
            project = system.project("many")
            waiting.append(len(project.sealing))
            return project.state is ProjectState.SUCCEEDED

        until(ended, seconds, 0.05)
        took = time.monotonic() - began
        project = until(lambda: not (p := system.project("many")).sealing and p, 30)
        at_end = commits.milliseconds("many")
        head = len(codec.write_head(project))
        print(
            f"\n{count} stages in {took:.1f} s ({count / took:.0f}/s); a commit takes {at_start:.1f} ms at the start, "
            f"{at_end:.1f} ms at the end; head {head} bytes"
        )
        assert sorted(e.point["N"] for e in project.ended.values()) == sorted(grid["point"]["N"])
        assert {e.attempt for e in project.ended.values()} == {1}
        assert head <= HEAD
        assert max(waiting) <= UNSEALED, "records reach the share while the sweep goes on"
        records = list((system.share / "projects" / "many" / "stages").glob("*/stage.json"))
        assert len(records) == count
        until(lambda: system.client.installation.journal.lag().lines == 0, 60, 0.1)
        pace(system.share / "projects" / "many", count)


def pace(folder: Path, count: int) -> None:
    """Stages ended per second in the first and the last fifth, by the journal."""
    ends = []
    for file in folder.glob("journal/*.jsonl"):
        for line in file.read_text().splitlines():
            record = json.loads(line)
            ended = sum(e["what"] == "stage_ended" for e in record["entries"])
            ends += [datetime.fromisoformat(record["time"])] * ended
    ends.sort()
    part = count // 5
    first, last = (ends[part] - ends[0]).total_seconds(), (ends[-1] - ends[-part - 1]).total_seconds()
    size = sum(f.stat().st_size for f in folder.glob("journal/*.jsonl"))
    print(
        f"first fifth {part / first:.1f} stages/s, last fifth {part / last:.1f} stages/s; journal {size / 1e6:.1f} MB"
    )


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_two_thousand_stages_in_one_project() -> None:
    run_sweep(2000, 900)


def test_a_hundred_and_fifty_stages_in_one_project() -> None:
    run_sweep(150, 60)
