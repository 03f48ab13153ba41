"""How long the copy of a workspace takes, from asking for it to its being there, against the yardstick `cp -a` and
`sync -f` of the same tree on the same file system.

    python -m bench.fork [--directory DIR] [--gibibytes 8] [--files 10000] [--rounds 3]

Both sides begin with the source in the page cache and nothing to be written back. A tree that does not fit twice
into the free space is left out, and said so. Exit code 1: one took longer than 1.3 times the yardstick and 50 ms.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from winslow_nomad.core.operations import Operation
from winslow_nomad.resources.operate import operate
from winslow_nomad.resources.probe import can_reflink, mount_of
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.scribe import Scribe, mkdir
from winslow_nomad.resources.workspaces import CopyWorkspace

LIMIT = 1.3
FIXED = 0.05  # seconds beside: where blocks are shared, 8 GiB take less time than starting the programs does
SOURCE = "projects/bench/stages/0001-source/attempts/1/workspace"
BLOCK = 4 << 20


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Book:
    """Operations of this process alone."""

    def __init__(self) -> None:
        self._all: dict[str, Operation] = {}
        self._change = threading.Condition()

    def put(self, operation: Operation) -> Operation:
        with self._change:
            self._change.notify_all()
            return self._all.setdefault(operation.id, operation)

    def get(self, operation: str) -> Operation | None:
        return self._all.get(operation)

    def list(self, *, open_only: bool = True) -> Sequence[Operation]:
        return [o for o in self._all.values() if o.state in ("waiting", "running") or not open_only]

    def take(self, owner: str, lease: float) -> Operation | None:  # noqa: ARG002 - the port
        with self._change:
            for operation in self._all.values():
                if operation.state == "waiting":
                    self._all[operation.id] = operation.but(state="running", owner=owner)
                    return self._all[operation.id]
        return None

    def renew(self, operation: Operation, lease: float) -> bool:  # noqa: ARG002 - the port
        self._all[operation.id] = operation
        return True

    def finish(self, operation: Operation) -> bool:
        with self._change:
            self._all[operation.id] = operation
            self._change.notify_all()
        return True

    def cancel(self, operation: str) -> None:
        raise NotImplementedError("nothing is cancelled here")

    def wait(self, timeout: float) -> None:
        with self._change:
            self._change.wait_for(lambda: any(o.state == "waiting" for o in self._all.values()), timeout)

    def ended(self, operation: str) -> Operation:
        with self._change:
            self._change.wait_for(lambda: self._all[operation].state not in ("waiting", "running"))
        return self._all[operation]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--gibibytes", type=float, default=8)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="winslow-fork-", dir=chosen.directory))
    try:
        return measure(root, chosen)
    finally:
        shutil.rmtree(root)


def measure(root: Path, chosen: argparse.Namespace) -> int:
    writer, reader, book, stop = Scribe(root), Reader(root), Book(), threading.Event()
    writer.establish("bench")
    reflink = can_reflink(writer, reader)
    copies = CopyWorkspace(writer, reader, lambda: reflink, lambda: "")
    arguments = (book, "bench", {"workspace": copies}, lambda _: None, stop.is_set, Clock())
    thread = threading.Thread(target=operate, args=arguments, daemon=True)
    thread.start()
    kind = mount_of(root, Path("/proc/self/mountinfo").read_text()).kind
    shared = "shared blocks" if reflink else "no shared blocks"
    print(f"fork of a workspace on {kind}, {shared}; seconds, median of {chosen.rounds} rounds")
    trees: list[tuple[str, int, Callable[[Path], None]]] = [
        (f"{chosen.files} files of 4 KiB", chosen.files * 8192, lambda to: small(to, chosen.files)),
        (f"{chosen.gibibytes:g} GiB in 8 files", int(chosen.gibibytes * 2**30), lambda to: large(to, chosen.gibibytes)),
    ]
    late = False
    for name, size, make in trees:
        if shutil.disk_usage(root).free * 0.95 < size * 2.2:
            print(f"  {name:24} left out: it needs {size * 2.2 / 2**30:.1f} GiB free")
            continue
        make(root / SOURCE)
        ours, theirs = [], []
        for number in range(chosen.rounds):
            theirs.append(yardstick(root))
            ours.append(fork(root, writer, book, f"{name} {number}"))
        shutil.rmtree(root / SOURCE)
        ratio = statistics.median(ours) / statistics.median(theirs)
        late = late or statistics.median(ours) > LIMIT * statistics.median(theirs) + FIXED
        print(f"  {name:24} winslow {statistics.median(ours):8.3f}   cp -a; sync -f {statistics.median(theirs):8.3f}"
              f"   ratio {ratio:.2f} (limit {LIMIT} and {FIXED} s)")  # fmt: skip
    stop.set()
    thread.join()
    writer.close()
    return 1 if late else 0


def fork(root: Path, writer: Scribe, book: Book, name: str) -> float:
    """From putting the operation to its end."""
    target = "projects/bench/stages/0002-fork/attempts/1"
    writer.perform([mkdir(target)], "the bench was not prepared")
    os.sync()
    began = time.monotonic()
    arguments = {"source": SOURCE, "target": f"{target}/workspace"}
    identity = "bench-" + "".join(c if c.isalnum() else "-" for c in name)
    book.put(
        Operation(
            id=identity, kind="workspace", arguments=arguments, project="bench", stage=2, attempt=1, made=Clock().now()
        )
    )
    found = book.ended(identity)
    seconds = time.monotonic() - began
    if found.state != "done":
        raise SystemExit(f"the copy failed: {found.text}")
    shutil.rmtree(root / target)
    return seconds


def yardstick(root: Path) -> float:
    os.sync()
    began = time.monotonic()
    subprocess.run(["cp", "-a", str(root / SOURCE), str(root / "yardstick")], check=True)
    subprocess.run(["sync", "-f", str(root / "yardstick")], check=True)
    seconds = time.monotonic() - began
    shutil.rmtree(root / "yardstick")
    return seconds


def small(to: Path, count: int) -> None:
    block = os.urandom(4096)
    for number in range(count):
        below = to / f"{number // 500:04d}"
        if number % 500 == 0:
            below.mkdir(parents=True)
        (below / f"{number}.json").write_bytes(block)


def large(to: Path, gibibytes: float) -> None:
    to.mkdir(parents=True)
    block = os.urandom(BLOCK)
    for number in range(8):
        with open(to / f"{number}.mp4", "wb") as file:
            for _ in range(int(gibibytes * 2**30 / 8 / BLOCK)):
                file.write(block)


if __name__ == "__main__":
    sys.exit(main())
