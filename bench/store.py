"""Durable transitions per second: real lives of projects through `change`, on the embedded server.

    python bench/store.py [seconds per measurement and round]

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
from importlib.util import find_spec
from pathlib import Path
from statistics import median

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


class Ready:
    """A process that has started up and waits: each line it is given is a number of seconds to work for."""

    def __init__(self, *command: str, cwd: Path | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
        )  # fmt: skip
        self._answer()

    def start(self, seconds: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def result(self) -> float:
        return float(self._answer())

    def end(self) -> None:
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None and self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(self._process.stderr.read()[-1000:])
        return line


def together(processes: list[Ready], seconds: float) -> float:
    """What they do in a second, all at once."""
    for process in processes:
        process.start(seconds)
    return sum(process.result() for process in processes) / seconds


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


DBOS = """
import logging, sys, time
from dbos import DBOS
DBOS(config={"name": "bench", "system_database_url": "sqlite:///dbos.sqlite", "log_level": "ERROR",
             "run_admin_server": False})

@DBOS.step()
def step(number: int) -> int:
    return number + 1

@DBOS.workflow()
def life() -> int:
    value = 0
    for _ in range(19):
        value = step(value)
    return value

DBOS.launch()
life()
print("ready", flush=True)
for line in sys.stdin:
    done, end = 0, time.perf_counter() + float(line)
    while time.perf_counter() < end:
        done += life()
    print(done, flush=True)
DBOS.destroy()
"""


def main(seconds: float = 1.0, rounds: int = 7) -> int:
    """Rounds of all measurements in turn: a noisy machine is noisy for each of them. Medians."""
    raw: list[float] = []
    one: list[float] = []
    four: list[float] = []
    other: list[float] = []
    with tempfile.TemporaryDirectory(prefix="store-bench-", dir="/var/tmp") as name:
        directory = Path(name)
        dbos = Ready("-c", DBOS, cwd=directory) if find_spec("dbos") is not None else None
        with Embedded(directory / "store") as server:
            socket = server.address.socket
            clients = [Ready(__file__, "client", socket, f"c{n}") for n in range(4)]
            for _ in range(rounds):
                raw.append(syncs(directory, seconds))
                one.append(together(clients[:1], seconds))
                four.append(together(clients, seconds))
                if dbos is not None:
                    other.append(together([dbos], seconds))
            for client in clients:
                client.end()
            if Doorbells(state_client(server.address)).length() == 0:
                raise SystemExit("nothing was rung: this measures the wrong thing")
        if dbos is not None:
            dbos.end()
    sync = median(raw)
    print(f"append 1 kB + fdatasync      {sync:7.0f} /s")
    rest = f"of the steps of DBOS on SQLite ({median(other):.0f} /s)" if other else "(DBOS is not installed)"
    for words, found in (("transitions, 1 process", one), ("transitions, 4 processes", four)):
        times = f"{median(found) / median(other):5.1f} x " if other else ""
        print(f"{words:28} {median(found):7.0f} /s  {median(found) / sync:5.2f} x fdatasync  {times}{rest}")
    print("targets: 0.25 x fdatasync, 3 x DBOS")
    return 0


def serve(socket: str, name: str) -> None:
    print("ready", flush=True)
    for turn, line in enumerate(sys.stdin):
        print(work(socket, f"{name}-{turn}", float(line)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        serve(sys.argv[2], sys.argv[3])
    else:
        sys.exit(main(*map(float, sys.argv[1:2])))
