"""From the end of one stage to the start of the next one's process, with an empty workspace, part by part.

    python -m bench.latency [--stages 100]

A chain of stages that do nothing runs through a whole installation (store, controller, worker, share, local
driver, runner) in a directory of its own. The parts come from what the installation wrote down itself: the
runner's end records and the times of the commits. The yardstick is the runner alone on the same disk: started,
claim, exec, end record, gone; nothing that starts a process under a claim can be quicker than that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from winslow_nomad import config, runner
from winslow_nomad.bootstrap.engine import open_engine
from winslow_nomad.core import messages as m
from winslow_nomad.core.pipeline import Pipeline, Resources, StageDefinition
from winslow_nomad.core.project import ProjectState

P50, P99 = 30.0, 120.0  # milliseconds


def chain(length: int) -> Pipeline:
    small = Resources(cpu=0.1, memory=16 * 2**20)
    stages = [
        StageDefinition(
            id=f"s{i}", command=("/bin/true",), workspace="empty", resources=small, needs=(f"s{i - 1}",) if i else ()
        )
        for i in range(length)
    ]
    return Pipeline(name="chain", stages=tuple(stages))


def run(home: Path, length: int) -> None:
    settings = config.load({"WINSLOW_HOME": str(home), "HOME": str(home), "USER": "bench"})
    with open_engine(settings) as engine:
        create = m.CreateProject(project="chain", name="chain", pipeline=chain(length), start=True)
        engine.client.send("chain", create)
        deadline = time.monotonic() + 60 + length
        while engine.client.project("chain").state is not ProjectState.SUCCEEDED:
            if time.monotonic() > deadline:
                raise SystemExit("the chain did not end in time")
            time.sleep(0.2)
        while engine.installation.journal.lag().lines:
            time.sleep(0.1)


def parts(share: Path) -> dict[str, list[float]]:
    """Milliseconds of every part of every hand-over of every project."""
    rows: dict[str, list[float]] = {}
    for project in sorted(share.glob("projects/*")):
        for name, took in parts_of(project):
            rows.setdefault(name, []).append(took)
    return rows


def parts_of(project: Path) -> Iterator[tuple[str, float]]:
    started: dict[int, datetime] = {}
    ended: dict[int, datetime] = {}
    for file in project.glob("stages/*/attempts/1/end.json"):
        record = json.loads(file.read_text())
        number = int(file.parts[-4][:4])
        started[number] = datetime.fromisoformat(record["started"])
        ended[number] = datetime.fromisoformat(record["ended"])
    committed: dict[tuple[str, int], datetime] = {}
    intended: dict[int, datetime] = {}
    for file in project.glob("journal/*.jsonl"):
        for line in file.read_text().splitlines():
            record = json.loads(line)
            at = datetime.fromisoformat(record["time"])
            for entry in record["entries"]:
                committed.setdefault((entry["what"], entry.get("stage", 0)), at)
            for stage in record.get("stages", []):
                if stage.get("attempts") and stage["attempts"][-1].get("state") == "intended":
                    intended.setdefault(stage["number"], at)
    for number in sorted(ended):
        following = number + 1
        if following not in started:
            continue
        steps = [
            ("end of the process -> its end committed", ended[number], committed["attempt_ended", number]),
            ("-> next stage admitted", committed["attempt_ended", number], committed["stage_admitted", following]),
            ("-> its directory made", committed["stage_admitted", following], intended[following]),
            ("-> its process started", intended[following], started[following]),
            ("altogether", ended[number], started[following]),
        ]
        for name, a, b in steps:
            yield name, (b - a).total_seconds() * 1000


def alone(directory: Path) -> float:
    """Milliseconds of one run of the runner by itself."""
    attempt = directory / "attempt"
    for name in ("workspace", "output", "log"):
        (attempt / name).mkdir(parents=True)
    (attempt / "command").write_bytes(b"/bin/true\0")
    (attempt / "environment").write_bytes(b"PATH=/bin\0")
    (attempt / "control").write_text("run\n")
    argv = [str(runner.binary()), "--attempt", str(attempt), "--spool", str(directory / "spool")]
    before = time.perf_counter()
    subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - before) * 1000


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--stages", type=int, default=100)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="wn-") as folder:
        home = Path(folder) / "h"
        run(home, given.stages)
        found = parts(home / "share")
        bare = [alone(Path(folder) / f"bare{i}") for i in range(30)]
    load = os.getloadavg()[0]
    print(f"{'':44} {'p50':>8} {'p90':>8} {'p99':>8}   ms, {given.stages - 1} hand-overs, load {load:.1f}")
    for name, values in found.items():
        print(f"{name:44} {quantile(values, 0.5):8.1f} {quantile(values, 0.9):8.1f} {quantile(values, 0.99):8.1f}")
    yardstick = quantile(bare, 0.5)
    print(f"{'yardstick: the runner alone, start to end':44} {yardstick:8.1f}")
    total = found["altogether"]
    p50, p99 = quantile(total, 0.5), quantile(total, 0.99)
    print(f"{'altogether / yardstick':44} {p50 / yardstick:8.1f}")
    good = p50 <= P50 and p99 <= P99
    print(f"wanted: p50 <= {P50:g}, p99 <= {P99:g}: {'reached' if good else 'MISSED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
