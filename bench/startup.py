"""How long the command line takes to answer: `winslow --help` and `winslow version`, beside a bare Python.

python -m bench.startup [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

HELP = 0.25  # seconds


def seconds(argv: list[str], rounds: int) -> float:
    """The median; the first run, which fills the page cache, does not count."""
    found = []
    for _ in range(rounds + 1):
        before = time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - before)
    return statistics.median(found[1:])


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=15)
    rounds = arguments.parse_args().rounds
    bare = seconds([sys.executable, "-c", "pass"], rounds)
    helped = seconds([sys.executable, "-m", "winslow_nomad.cli", "--help"], rounds)
    version = seconds([sys.executable, "-m", "winslow_nomad.cli", "version"], rounds)
    print(f"python -c pass    {bare * 1000:7.0f} ms  (yardstick)")
    print(f"winslow --help    {helped * 1000:7.0f} ms  {helped / bare:5.1f} x")
    print(f"winslow version   {version * 1000:7.0f} ms  {version / bare:5.1f} x")
    print(f"wanted: --help <= {HELP * 1000:.0f} ms: {'reached' if helped <= HELP else 'MISSED'}")
    return 0 if helped <= HELP else 1


if __name__ == "__main__":
    sys.exit(main())
