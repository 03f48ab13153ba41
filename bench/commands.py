"""Commands over HTTP until they are durable: 50 people at once, each with a command every second on a project of their
own, and all of them as fast as they can.

    python -m bench.commands [--clients 50] [--seconds 10]

The yardstick is appending a kilobyte and fdatasync on the same disk in the same run: the least that durable costs."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench.projects_list import told
from bench.serving import Served, served

WANTED = 30.0  # ms, at the 95th percentile with one command a second from each
TEXT = "winslow: 1\nname: bench\nstages:\n  - {id: work, image: busybox, command: [sleep, '1']}\n"


class Person(threading.Thread):
    def __init__(self, number: int, found: Served, every: float, until: float) -> None:
        super().__init__(daemon=True)
        self._number, self._every, self._until = number, every, until
        self._connection = http.client.HTTPConnection("127.0.0.1", found.port)
        self._headers = {"Authorization": f"Bearer {found.token}", "Content-Type": "application/json"}
        made = self._ask("/api/v1/projects", {"name": f"P{number}", "pipeline": {"text": TEXT}}, "new")
        self._path = f"/api/v1/projects/{made['id']}/commands"
        self.times: list[float] = []

    def run(self) -> None:
        at = time.monotonic() + self._every * self._number / 50  # not all in the same moment
        while at < self._until:
            time.sleep(max(0.0, at - time.monotonic()))
            began = time.perf_counter()
            self._ask(self._path, {"kind": "add_comment", "text": "looks good"}, str(len(self.times)))
            self.times.append((time.perf_counter() - began) * 1000)
            at = max(at + self._every, time.monotonic())

    def _ask(self, path: str, body: dict[str, object], key: str) -> dict[str, str]:
        headers = {**self._headers, "Idempotency-Key": f"{self._number}-{self._every}-{self._until}-{key}"}
        self._connection.request("POST", path, json.dumps(body), headers)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status in (200, 201), text[:500]
        found: dict[str, str] = json.loads(text)
        return found


def synced(folder: Path, rounds: int = 200) -> list[float]:
    file = os.open(folder / "yardstick", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        os.write(file, b"x" * 1024)
        os.fdatasync(file)
        found.append((time.perf_counter() - began) * 1000)
    os.close(file)
    return sorted(found)


def asked(found: Served, clients: int, every: float, seconds: float) -> list[float]:
    people = [Person(n, found, every, time.monotonic() + 5 + seconds) for n in range(clients)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    return sorted(t for p in people for t in p.times)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-commands-", dir="/tmp"))
    try:
        with served(folder / "h", "run") as found:
            told("append 1 kB and fdatasync", synced(folder), "yardstick")
            calm = asked(found, arguments.clients, 1.0, arguments.seconds)
            told(f"a command a second from each of {arguments.clients}", calm, f"{len(calm)} commands")
            busy = asked(found, arguments.clients, 0.0, arguments.seconds)
            rate = len(busy) / arguments.seconds
            told(f"{arguments.clients} as fast as they can", busy, f"about {rate:.0f} a second")
            print(f"load {os.getloadavg()[0]:.1f}; wanted: p95 of {WANTED:g} ms with a command a second from each")
            return 0 if calm[int(len(calm) * 0.95)] <= WANTED else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
