"""The simulated driver alone: a cluster of 500 GPUs that works through 10,000 attempts on a virtual clock.

    python bench/simulated.py [attempts]

Prints real seconds, and what that is per attempt: the floor under every scale experiment with it."""

from __future__ import annotations

import sys
import time
from collections import deque

from winslow_nomad.core.inventory import GpuGroup, Node
from winslow_nomad.core.pipeline import GIB, Gpu, Placement, Resources
from winslow_nomad.core.ports import AttemptRef, AttemptSpec
from winslow_nomad.driver.simulated.attempts import MemoryAttempts
from winslow_nomad.driver.simulated.clock import VirtualClock
from winslow_nomad.driver.simulated.driver import SimulatedDriver
from winslow_nomad.driver.simulated.script import Faults, random_acts

NODES = 250
WAITING = 1000  # twice the GPUs: as many as are ever admitted unplaced


def spec(number: int) -> AttemptSpec:
    ref = AttemptRef(project=f"p{number}", stage=1, attempt=1)
    gpu = Gpu(memory=(8 + 8 * (number % 2)) * GIB) if number % 10 else None
    return AttemptSpec(
        ref=ref, stage_id="work", directory=str(ref), workspace=f"{ref}/workspace", image="i", entrypoint=None,
        command=None, resources=Resources(cpu=2, memory=8 * GIB, gpu=gpu), placement=Placement(), timeout=None,
        stop_grace=30.0, run_as="winslow", priority=50, pipeline_folder=None, stages={}, previous_node="",
        installation="bench", fingerprint=str(number),
    )  # fmt: skip


def run(attempts: int, seed: int = 0) -> dict[str, float]:
    """Real and virtual seconds until all have ended, and how many reports came."""
    clock = VirtualClock()
    files = MemoryAttempts(lambda: clock.seconds)
    models = (("RTX 2080 Ti", 11), ("A5000", 24))
    nodes = [
        Node(name=f"n{i}", cpu=16, memory=64 * GIB, gpus=(GpuGroup(model=m, memory=g * GIB, count=2),))
        for i, (m, g) in ((i, models[i % 2]) for i in range(NODES))
    ]
    faults = Faults(lost=0.01, twice=0.01, delay=2.0)
    cluster = SimulatedDriver(nodes, random_acts(1800), clock=clock, attempts=files, seed=seed, faults=faults)
    left = deque(spec(number) for number in range(attempts))
    ended = reports = under_way = 0
    began = time.perf_counter()
    while ended < attempts:
        while left and under_way < WAITING:
            cluster.submit(left.popleft())
            under_way += 1
        moment = cluster.next_event
        heard = [] if moment is None else cluster.advance(moment)
        reports += len(heard)
        done = {r.ref for r in heard if r.phase == "ended"}
        if moment is None or len(files.ends) - ended > 100:  # a sweep finds what reports missed
            done |= files.ends.keys()
        for ref in done:
            cluster.forget(ref)
        under_way -= len(files.ends) - ended
        ended = len(files.ends)
    return {"seconds": time.perf_counter() - began, "virtual": clock.seconds, "reports": reports}


def main() -> None:
    attempts = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    took = run(attempts)
    each = took["seconds"] / attempts * 1e6
    print(f"{attempts} attempts on {NODES} nodes: {took['seconds']:.2f} s, {each:.0f} us each, "
          f"{took['virtual'] / 3600:.1f} virtual hours, {took['reports']:.0f} reports")  # fmt: skip


if __name__ == "__main__":
    main()
