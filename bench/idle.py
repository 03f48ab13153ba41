"""The memory of everything that `winslow run` needs while it has nothing to do, store included.

    python -m bench.idle

Proportional set size (PSS): what processes share is counted once. The yardstick is a bare Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from winslow_nomad import config
from winslow_nomad.bootstrap.engine import open_engine

LIMIT = 100.0  # MB


def kilobytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def descendants(pid: int) -> list[int]:
    children = [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    return [pid, *(d for c in children for d in descendants(c))]


def name(pid: int) -> str:
    argv = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return argv[:60]


def main() -> int:
    bare = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with tempfile.TemporaryDirectory(prefix="wn-") as folder:
        settings = config.load({"WINSLOW_HOME": f"{folder}/h", "HOME": folder, "USER": "bench"})
        with open_engine(settings) as engine:
            engine.client.doctor()
            time.sleep(3)  # until it is at rest
            server = engine.installation.server
            extra = [server.pid] if server is not None and server.pid else []
            pids = sorted({*descendants(os.getpid()), *extra} - {bare.pid})
            sizes = {p: kilobytes(p) for p in pids}
            for pid, size in sizes.items():
                print(f"{size / 1000:8.1f} MB  {name(pid)}")
            total = sum(sizes.values()) / 1000
    yardstick = kilobytes(bare.pid) / 1000
    bare.communicate(b"\n")
    print(f"{total:8.1f} MB  altogether ({total / yardstick:.1f} x a bare Python of {yardstick:.1f} MB)")
    print(f"wanted: <= {LIMIT:g} MB: {'reached' if total <= LIMIT else 'MISSED'}")
    return 0 if total <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
