"""Ten thousand projects through everything that decides (decide, admit, advance, sweep), over a simulated
cluster and a store in memory, on a virtual clock.

    python -m bench.projects [--projects 10000]

The yardstick is the simulated cluster alone working through as many attempts: what deciding costs on top.
"""

from __future__ import annotations

import argparse
import sys
import time

from bench.simulated import run as cluster_alone
from tests.core.world import pipeline
from tests.scenarios.simulation import Simulation, nodes
from winslow_nomad.core.project import ProjectState
from winslow_nomad.driver.simulated.script import Faults, random_acts

STAGES = pipeline({"id": "detect"}, {"id": "track", "needs": ("detect",)})


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--projects", type=int, default=10_000)
    count = arguments.parse_args().projects
    simulation = Simulation(nodes(250), random_acts(1800, failing=0.0), faults=Faults(lost=0.01, twice=0.01, delay=2.0))
    began = time.perf_counter()
    for number in range(count):
        simulation.create(f"p{number}", STAGES)
    simulation.run()
    took = time.perf_counter() - began
    done = sum(simulation.project(f"p{n}").state is ProjectState.SUCCEEDED for n in range(count))
    yardstick = cluster_alone(2 * count)["seconds"]
    stages = 2 * count
    print(f"{count} projects, {stages} stages on 250 nodes, {simulation.clock.seconds / 3600:.0f} virtual hours")
    print(f"everything that decides   {took:7.1f} s   {took / stages * 1000:6.2f} ms a stage")
    print(f"the cluster alone         {yardstick:7.1f} s   yardstick: {took / yardstick:.1f} x")
    print(f"succeeded: {done} of {count}")
    return 0 if done == count else 1


if __name__ == "__main__":
    sys.exit(main())
