"""A restart with many projects: how long until the controller has looked at everything and the state is right.

    python -m bench.restart [--waiting 5000] [--active 200]

`active` projects have a stage at a driver (an in-memory cluster, so that the driver itself costs next to
nothing), `waiting` ones a stage that has no room. While nobody looks, the stages of half the active projects
end. Then a new process opens the installation: measured is the time until its sweep has told each of them and
admission has looked at every waiting stage. The yardstick is reading the same records from the store once,
which is the least that any restart must do.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from winslow_nomad import config
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core import messages as m
from winslow_nomad.core.inventory import Inventory, Node
from winslow_nomad.core.pipeline import Pipeline, Resources, StageDefinition
from winslow_nomad.core.ports import AttemptRef, AttemptSpec, Observation
from winslow_nomad.core.stage import Cause, Outcome, StageState

LIMIT = 2.0  # seconds
NOW = datetime.now(UTC)
PIPELINE = Pipeline(name="one", stages=(StageDefinition(id="work", command=("true",), resources=Resources(cpu=1)),))


class Cluster:
    """A driver whose every attempt is known: half of them have ended."""

    name = "local"

    def submit(self, spec: AttemptSpec) -> Observation:
        return Observation(ref=spec.ref, phase="running", started=NOW, node="n1")

    def stop(self, ref: AttemptRef, how: str) -> None: ...

    def observe(self, refs: Iterable[AttemptRef]) -> list[Observation]:
        return [self.look(ref) for ref in refs]

    def look(self, ref: AttemptRef) -> Observation:
        if int(ref.project[1:]) % 2:
            outcome = Outcome(cause=Cause.EXIT, code=0, started=NOW, ended=NOW)
            return Observation(ref=ref, phase="ended", outcome=outcome)
        return Observation(ref=ref, phase="running", started=NOW, node="n1")

    def follow(self, report: object, stopping: object) -> None: ...

    def inventory(self) -> Inventory:
        full = Node(name="n1", cpu=200, memory=2**40, cpu_used=200)
        return Inventory(driver="local", nodes=(full,), seen=NOW)

    def forget(self, ref: AttemptRef) -> None: ...


class Here(Installation):
    drivers = {"local": Cluster()}  # type: ignore[assignment]


def fill(installation: Installation, waiting: int, active: int) -> None:
    for number in range(active + waiting):
        project = f"p{number}"
        installation.sender(
            project, [m.CreateProject(project=project, name=project, pipeline=PIPELINE, actor="ada", start=True)]
        )
        if number < active:
            where = {"stage": 1, "attempt": 1}
            facts = [m.Admitted(stage=1), m.WorkspaceReady(**where), m.AttemptStarted(**where, node="n1", started=NOW)]
            installation.sender.facts(project, facts)


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--waiting", type=int, default=5000)
    arguments.add_argument("--active", type=int, default=200)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="wn-") as folder:
        settings = config.load({"WINSLOW_HOME": f"{folder}/h", "HOME": folder, "USER": "bench"})
        first = Here(settings)
        fill(first, given.waiting, given.active)
        Path(folder).stat()

        yardstick = Here(settings)
        yardstick.store  # noqa: B018 - connected before the clock starts, as below
        began = time.perf_counter()
        for number in range(given.active):
            yardstick.store.load(f"p{number}")
        yardstick.store.waiting("local")
        least = time.perf_counter() - began
        yardstick.close()

        began = time.perf_counter()
        second = Here(settings)
        second.sweep(1)
        second.admission.run(second.advance.perform)
        took = time.perf_counter() - began
        told = [second.store.load(f"p{n}") for n in range(given.active)]
        right = all(
            (p is not None and (not p.stages if n % 2 else p.stages[1].state is StageState.RUNNING))
            for n, p in enumerate(told)
        )
        second.close()
        first.close()
    print(f"{given.waiting} waiting, {given.active} active projects")
    print(f"{'restart -> every end known, every waiting stage looked at':58} {took * 1000:8.0f} ms")
    print(f"{'yardstick: reading these records once':58} {least * 1000:8.0f} ms   {took / least:.1f} x")
    good = took <= LIMIT and right
    print(f"state right: {right}; wanted: <= {LIMIT * 1000:.0f} ms: {'reached' if good else 'MISSED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
