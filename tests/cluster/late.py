"""A share that shows late what is written on it, and how long a line takes from the stage that prints it to whoever
watches its log."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.waiting import until
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core.client import LogChunk
from winslow_nomad.core.ports import AttemptRef, Spool
from winslow_nomad.resources.log_cache import LogCache
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.share_logs import ShareLogs

# /proc/uptime is the machine's, also in a container
TALKS = """
n=0
while [ $n -lt {count} ]; do
  read -r up rest < /proc/uptime
  echo "line $n $up"
  n=$((n + 1))
  sleep 0.1
done
sleep 1
"""


@contextmanager
def late_share(share: Path, seconds: float) -> Iterator[Path]:
    """A copy of the logs on the share, as it was up to so many seconds ago."""
    stopping = threading.Event()
    with tempfile.TemporaryDirectory(prefix="late-") as folder:
        root = Path(folder)

        def follow() -> None:
            while not stopping.wait(seconds):
                for log in share.glob("projects/*/stages/*/attempts/*/log"):
                    with suppress(OSError):
                        shutil.copytree(log, root / log.relative_to(share), dirs_exist_ok=True)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield root
        finally:
            stopping.set()
            thread.join(10)


def logs_over(installation: Installation, root: Path, cache: Path) -> ShareLogs:
    """As the API has them, with the share at another place."""

    def spool_of(_: str, ref: AttemptRef) -> Spool | None:
        return installation.nomad.spool_of(ref)

    return ShareLogs(Reader(root), LogCache(cache), installation.secrets, spool_of)


def delays(installation: Installation, logs: ShareLogs, project: str, count: int, seconds: float) -> list[float]:
    """Milliseconds from `echo` to whoever watches the log of the project's first stage, line by line: all `count` must
    come, in order and once."""
    news = threading.Event()
    found: list[float] = []
    text = b""
    position = 0

    def read() -> list[LogChunk]:
        current = installation.store.load(project)
        assert current is not None
        return list(logs.open(current, 1).read(position, 1 << 20, "out"))

    started = installation.store.load(project)
    assert started is not None
    end = logs.watch(logs.open(started, 1), news.set)
    deadline = time.monotonic() + seconds
    try:
        while len(found) < count and time.monotonic() < deadline:
            news.wait(0.5)
            news.clear()
            for chunk in read():
                position += len(chunk.data)
                text += chunk.data
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            *lines, text = text.split(b"\n")
            for line in lines:
                _, number, at = line.split()
                assert int(number) == len(found), f"{line!r} came as number {len(found)}"
                found.append((now - float(at)) * 1000)
    finally:
        end()
    assert len(found) == count, f"{len(found)} of {count} lines came; load {os.getloadavg()[0]:.1f}"
    return found


def until_it_runs(installation: Installation, project: str) -> None:
    def runs() -> bool:
        found = installation.store.load(project)
        stage = found.stages.get(1) if found is not None else None
        return stage is not None and stage.state == "running"

    until(runs, 60, every=0.05)
