"""Live updates: many sockets, many changes. How late a change is told, and whether memory stays what it is.

    python -m bench.live [--sockets 500] [--changes 50] [--seconds 60] [--deaf 20]

The sockets are real ones, held by a process of their own, and follow the list of projects; some of them (deaf) never
read what they are sent, all others do, and every twentieth looks at it. Changes are commits in the store, as commands
of people make them. Lists are told at most four times a second, so a change waits for an eighth of a second on the
average before anything is sent at all. Latency is counted from the commit; memory is that of the serving process, from
when all are connected and have been told for a while (its high-water mark is printed too).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from bench.serving import Served, served
from tests.builders import a_project
from winslow_nomad import config
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.services import services
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import Role
from winslow_nomad.core.people import Person
from winslow_nomad.core.project import Member

LATE, GROWTH = 400.0, 0.05  # milliseconds at the 95th percentile; part of the memory
PROJECTS = 200
EACH = 20  # one of so many sockets looks at what it is told: this process shall not be what is measured
PEOPLE = 20


def clients(port: int, tokens: list[str], count: int, deaf: int, pipe: Connection) -> None:
    asyncio.run(all_clients(port, tokens, count, deaf, pipe))


async def all_clients(port: int, tokens: list[str], count: int, deaf: int, pipe: Connection) -> None:
    delays: list[float] = []
    sockets = []
    for number in range(count):
        socket = connect(
            f"ws://127.0.0.1:{port}/api/v1/live",
            additional_headers={"Authorization": f"Bearer {tokens[number % len(tokens)]}"},
            max_queue=1 if number < deaf else 16,
            ping_interval=None,
        )
        sockets.append(await socket.__aenter__())
        await sockets[-1].send(json.dumps({"op": "sub", "topic": "projects", "cursor": ""}))
    readers = [
        asyncio.create_task(read(socket, delays) if number % EACH == 0 else drain(socket))
        for number, socket in enumerate(sockets[deaf:])
    ]
    pipe.send("connected")
    while not pipe.poll():
        await asyncio.sleep(0.1)
    for reader in readers:
        reader.cancel()
    pipe.send(delays)


async def drain(socket: ClientConnection) -> None:
    while True:
        await socket.recv(decode=False)


async def read(socket: ClientConnection, delays: list[float]) -> None:
    """Of each message the delay of the change that waited longest would say little: all count."""
    async for text in socket:
        now = time.time()
        message: dict[str, Any] = json.loads(text)
        if message["type"] == "delta":
            for row in message["data"]["rows"]:
                delays.append((now - datetime.fromisoformat(row["updated"]).timestamp()) * 1000)


def change(installation: Installation, per_second: float, ending: threading.Event) -> None:
    client = services(installation).client
    number = 0
    begun = time.monotonic()
    while not ending.is_set():
        client.send(f"p{number % PROJECTS}", m.Describe(actor="bench", tags=(f"t{number}",)))
        number += 1
        ending.wait(max(0.0, begun + number / per_second - time.monotonic()))


def memory(server: Served, field: str = "VmRSS") -> float:
    """MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(f"{field}:"))


def processor(server: Served) -> float:
    """Seconds used so far."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--sockets", type=int, default=500)
    options.add_argument("--changes", type=float, default=50.0)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--deaf", type=int, default=20)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-live-", dir="/tmp") as temporary:
        home = Path(temporary) / "home"
        with served(home) as server:
            installation = Installation(config.load({"WINSLOW_HOME": str(home), "HOME": str(home), "USER": "bench"}))
            try:
                return measure(server, installation, given)
            finally:
                installation.close()


def measure(server: Served, installation: Installation, given: argparse.Namespace) -> int:
    people = services(installation).people
    tokens = []
    for number in range(PEOPLE):
        name = f"p{number}"
        people.add(Person(name=name, role=Role.MEMBER, made=installation.clock.now()))
        tokens.append(people.add_token(name, "bench", frozenset({"read"}))[1])
    everyone = (Member(user="@everyone"),)
    for number in range(PROJECTS):
        installation.store.restore(a_project(f"p{number}", version=1, author="p0", participants=everyone))
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    holder = multiprocessing.get_context("spawn").Process(
        target=clients, args=(server.port, tokens, given.sockets, given.deaf, theirs), daemon=True
    )
    holder.start()
    ours.recv()
    print(f"{given.sockets} sockets ({given.deaf} of them deaf), {given.changes:.0f} changes a second")
    ending = threading.Event()
    writer = threading.Thread(target=change, args=(installation, given.changes, ending))
    writer.start()
    time.sleep(given.seconds / 3)
    before, used, begun = memory(server), processor(server), time.monotonic()
    time.sleep(given.seconds * 2 / 3)
    after = memory(server)
    share = (processor(server) - used) / (time.monotonic() - begun)
    ending.set()
    writer.join()
    ours.send("end")
    delays = sorted(ours.recv())
    holder.join(10)
    p50, p95 = delays[len(delays) // 2], delays[int(len(delays) * 0.95)]
    grown = (after - before) / before
    print(f"{len(delays):,} rows told: p50 {p50:.0f} ms, p95 {p95:.0f} ms (wanted: {LATE:.0f})")
    print(f"memory {before:.0f} MiB, then {after:.0f} MiB: {grown:+.1%} (wanted: {GROWTH:.0%}); highest "
          f"{memory(server, 'VmHWM'):.0f} MiB; {share:.0%} of a core")  # fmt: skip
    return 0 if p95 <= LATE and grown <= GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
