"""All measurements, one after the other: `python -m bench [name ...]`. Each prints its yardstick of the same run and
whether what was wanted is reached. Exit code 1: something was missed."""

from __future__ import annotations

import os
import subprocess
import sys

BENCHES = {
    "startup": "the command line answers",
    "idle": "memory of everything that `winslow run` needs",
    "latency": "end of a stage -> start of the next one's process",
    "store": "durable transitions",
    "restart": "restart with many projects",
    "runner_log": "throughput of the runner's log",
    "fork": "copies of workspaces",
    "simulated": "the simulated cluster alone",
    "uploads": "resumable uploads",
    "downloads": "downloads",
    "logs": "pages of a large log, searching it, a line from a stage to a screen",
    "projects_list": "the list of 100,000 projects",
    "commands": "commands over HTTP until they are durable",
    "live": "many live sockets, many changes",
    "nomad": "a real Nomad: end of a stage -> next one registered, what waiting costs, events",
    "projects": "ten thousand projects through everything that decides",
}


def main(wanted: list[str]) -> int:
    missed = []
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; a busy machine misleads")
    for name in wanted or BENCHES:
        print(f"\n=== {name}: {BENCHES[name]}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode:
            missed.append(name)
    print(f"\nmissed: {', '.join(missed)}" if missed else "\nall reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
