"""Programs that tests run as processes of their own and kill. Usage: python -m tests.store.processes WORD ARGUMENTS"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.builders import a_project, decided, unchanged
from winslow_nomad.bootstrap.engine import until_told
from winslow_nomad.core.decision import Decision
from winslow_nomad.core.effects import SealStage
from winslow_nomad.core.project import Project
from winslow_nomad.store.client import Address, state_client, worker_client
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.queue import Doorbells, WorkerThread, answer_with
from winslow_nomad.store.redis import RedisStore

STEPS = 6


def one_step(project: Project | None) -> Decision:
    """Counts from 0 to STEPS, one step for each decision; done when there."""
    assert project is not None
    done = len(project.values)
    if done >= STEPS:
        return unchanged(project)
    after = project.but(values={**project.values, f"step{done}": str(done)})
    return decided(after, *([SealStage(stage=1)] if done + 1 < STEPS else []))


def start(store: RedisStore, project: str) -> None:
    store.change(project, lambda _: decided(a_project(project), SealStage(stage=1)))


def worker(socket: str, prefix: str, stall: str) -> None:
    """Answers doorbells. With `stall` (a path) it hangs in the middle of a job while that file is there."""
    address, keys = Address(socket=socket), Keys(prefix)
    store = RedisStore(state_client(address), keys=keys)

    def advance(project: str) -> None:
        if stall and Path(stall).exists():
            Path(stall + ".reached").touch()
            while True:
                time.sleep(1)
        store.change(project, one_step)

    answer_with(advance)
    client = worker_client(address)
    thread = WorkerThread(client, Doorbells(client, keys).name)
    stopping = until_told()
    thread.start()
    stopping.wait()
    thread.stop()


def writer(socket: str, prefix: str, project: str, log: str) -> None:
    """Counts one project up as fast as it can and writes down what was acknowledged."""
    store = RedisStore(state_client(Address(socket=socket)), keys=Keys(prefix), deadline=30)
    store.change(project, lambda p: decided(p or a_project(project)))
    with open(log, "a", buffering=1) as acknowledged:
        number = 0

        def count(project: Project | None) -> Decision:
            assert project is not None
            so_far = int(project.values.get("c", "0"))
            return decided(project.but(values={"n": str(number), "c": str(so_far + 1)}))

        while True:
            done, _ = store.change(project, count)
            acknowledged.write(f"{number} {done.version}\n")
            number += 1


if __name__ == "__main__":
    {"worker": worker, "writer": writer}[sys.argv[1]](*sys.argv[2:])
