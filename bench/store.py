"""Durable transitions per second: real lives of projects through `change`, on the embedded server.

    python bench/store.py [seconds per measurement]

A transition is one decided and committed message (a stage is admitted, starts, ends, is sealed ...), with
everything a commit writes. Yardsticks of the same run on the same disk: appending 1 kB and fdatasync, and, if
it is installed, steps of a DBOS workflow on SQLite. Targets: 0.25 of the one, 3 times the other."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from winslow_nomad.core import messages as m
from winslow_nomad.core.decide import decide_all
from winslow_nomad.core.pipeline import Pipeline, StageDefinition
from winslow_nomad.core.stage import Cause, Outcome
from winslow_nomad.store.client import Address, state_client
from winslow_nomad.store.embedded import Embedded
from winslow_nomad.store.queue import Doorbells
from winslow_nomad.store.redis import RedisStore

STAGES = ("detect", "track", "report")


def life(project: str) -> Iterator[m.Message]:
    """All that happens to a project of three stages: 1 + 3 x 5 messages."""
    stages = tuple(
        StageDefinition(id=s, command=("python", f"{s}.py"), needs=STAGES[n - 1 : n] if n else ())
        for n, s in enumerate(STAGES)
    )
    yield m.CreateProject(
        project=project, name=f"Street {project}", pipeline=Pipeline(name="traffic", stages=stages), start=True,
        actor="ann", values={"VIDEO": "street.mp4", "MIN_AREA": "300"}, tags=("north",),
    )  # fmt: skip
    for stage in range(1, len(STAGES) + 1):
        now = datetime.now(UTC)
        where = {"stage": stage, "attempt": 1}
        yield m.Admitted(stage=stage)
        yield m.WorkspaceReady(**where)
        yield m.AttemptAccepted(**where)
        yield m.AttemptStarted(**where, node="castor", started=now)
        yield m.AttemptEnded(**where, outcome=Outcome(cause=Cause.EXIT, code=0, started=now, ended=now))
        yield m.StageSealed(stage=stage)


def work(socket: str, name: str, seconds: float) -> int:
    """Transitions done in `seconds`; an error in any of them ends the measurement."""
    store = RedisStore(state_client(Address(socket=socket)))
    done, number = 0, 0
    end = time.perf_counter() + seconds
    while True:
        project = f"{name}-{number}"
        number += 1
        for message in life(project):
            _, change = store.change(
                project, lambda before, message=message: decide_all(before, [message], datetime.now(UTC))
            )
            if not change.applied:
                raise SystemExit(f"{message} changed nothing: this measures the wrong thing")
            done += 1
            if time.perf_counter() >= end:
                return done


def transitions(directory: Path, clients: int, seconds: float) -> float:
    with Embedded(directory / f"store{clients}") as server:
        socket = server.address.socket
        bells = Doorbells(state_client(server.address))
        workers = [
            subprocess.Popen(
                [sys.executable, __file__, "client", socket, f"c{n}", str(seconds)], stdout=subprocess.PIPE, text=True
            )
            for n in range(clients)
        ]
        counts = [int(w.communicate()[0]) for w in workers]
        if bells.length() == 0:
            raise SystemExit("nothing was rung: this measures the wrong thing")
        return sum(counts) / seconds


def syncs(directory: Path, seconds: float) -> float:
    """Appends of 1 kB, each on disk before the next."""
    block = os.urandom(1024)
    descriptor = os.open(directory / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        done = 0
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            done += 1
        return done / seconds
    finally:
        os.close(descriptor)


def dbos_steps(directory: Path, seconds: float) -> float | None:
    """Steps of workflows, each recorded before the next; None: not installed."""
    code = f"""
import logging, time
from dbos import DBOS
DBOS(config={{"name": "bench", "system_database_url": "sqlite:///{directory}/dbos.sqlite", "log_level": "ERROR",
             "run_admin_server": False}})

@DBOS.step()
def step(number: int) -> int:
    return number + 1

@DBOS.workflow()
def life() -> int:
    value = 0
    for _ in range(18):
        value = step(value)
    return value

DBOS.launch()
life()
done, end, began = 0, time.perf_counter() + {seconds}, time.perf_counter()
while time.perf_counter() < end:
    done += life()
print(done / (time.perf_counter() - began))
DBOS.destroy()
"""
    try:
        import dbos  # noqa: F401
    except ImportError:
        return None
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=directory)
    if answer.returncode != 0:
        raise SystemExit(f"DBOS did not run: {answer.stderr[-500:]}")
    return float(answer.stdout.strip().splitlines()[-1])


def main(seconds: float = 5.0) -> int:
    with tempfile.TemporaryDirectory(prefix="store-bench-", dir="/var/tmp") as name:
        directory = Path(name)
        raw = [syncs(directory, seconds / 2)]
        one = transitions(directory, 1, seconds)
        four = transitions(directory, 4, seconds)
        raw.append(syncs(directory, seconds / 2))
        other = dbos_steps(directory, seconds)
    yardstick = sum(raw) / len(raw)
    print(f"append 1 kB + fdatasync        {yardstick:8.0f} /s   ({raw[0]:.0f} before, {raw[1]:.0f} after)")
    print(f"transitions, 1 process         {one:8.0f} /s   {one / yardstick:5.2f} x fdatasync (target 0.25)")
    print(f"transitions, 4 processes       {four:8.0f} /s   {four / yardstick:5.2f} x fdatasync (target 0.25)")
    if other is None:
        print("DBOS is not installed")
    else:
        print(
            f"steps of DBOS on SQLite        {other:8.0f} /s   "
            f"1 process {one / other:.1f} x, 4 processes {four / other:.1f} x that (target 3)"
        )
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        print(work(sys.argv[2], sys.argv[3], float(sys.argv[4])))
    else:
        sys.exit(main(*map(float, sys.argv[1:2])))
