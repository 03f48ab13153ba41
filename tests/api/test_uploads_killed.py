"""Four gigabytes by tus, while the server is killed three times and the client twice: what arrives is what was sent,
and nobody's memory grows with it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.api import tus
from tests.api.conftest import Served
from tests.api.standing import ground, served, standing, world
from tests.waiting import until

__all__ = ["ground", "served", "standing", "world"]

SIZE = 4 << 30
BLOCK = 1 << 20
SERVER_KILLS, CLIENT_KILLS = 3, 2


def block(number: int) -> bytes:
    """Each one is another, made of its number; so a block that is lost, doubled or moved changes the sum."""
    return hashlib.sha256(number.to_bytes(8, "big")).digest() * (BLOCK // 32)


def expected() -> str:
    digest = hashlib.sha256()
    for number in range(SIZE // BLOCK):
        digest.update(block(number))
    return digest.hexdigest()


def content(at: int, pace: float) -> Iterator[bytes]:
    number, inside = divmod(at, BLOCK)
    for n in range(number, SIZE // BLOCK):
        yield block(n)[inside:]
        inside = 0
        time.sleep(pace)


def resuming(url: str, token: str, place: str) -> None:
    """A client that goes on until all is there, whatever happens to the server. Runs as a process of its own."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        for _ in range(200):
            with suppress(httpx.HTTPError, AssertionError):
                at = tus.offset(client, place)
                if at == SIZE:
                    return
                more = {"Content-Length": str(SIZE - at)}
                tus.send(client, place, at, content(at, 0.001), more)
            time.sleep(0.2)
    raise SystemExit("it did not end")


class Memory(threading.Thread):
    """The largest resident memory of the server and of all it has started, in kB."""

    def __init__(self, served: Served) -> None:
        super().__init__(daemon=True)
        self.served = served
        self.most: dict[str, int] = {"server": 0, "writer": 0}
        self.over = False

    def run(self) -> None:
        while not self.over:
            server = self.served.processes[-1].pid
            for entry in Path("/proc").iterdir():
                with suppress(OSError, ValueError, IndexError):
                    status = (entry / "status").read_text()
                    mine = entry.name == str(server)
                    if mine or (f"PPid:\t{server}\n" in status and b"portering" in (entry / "cmdline").read_bytes()):
                        used = int(status.partition("RssAnon:")[2].split()[0])
                        kind = "server" if mine else "writer"
                        self.most[kind] = max(self.most[kind], used)
            time.sleep(0.05)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_four_gigabytes_arrive_through_five_kills(served: Served) -> None:
    share = served.world.installation.settings.share
    if os.statvfs(served.world.home).f_bavail * os.statvfs(served.world.home).f_frsize < 3 * SIZE:
        pytest.skip("there is no room for four gigabytes")
    _, token = served.world.services.people.add_token("mem", "upload", frozenset({"files"}))
    with served.signed_in("mem") as client:
        place = tus.begun(client, SIZE, filename="clip.mp4")
    part = share / "uploads" / f"{place.rpartition('/')[2]}.part"
    memory = Memory(served)
    memory.start()

    def sending() -> subprocess.Popen[bytes]:
        code = f"from tests.api.test_uploads_killed import resuming; resuming({served.url!r}, {token!r}, {place!r})"
        root = Path(__file__).parents[2]
        return subprocess.Popen([sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": str(root)})

    sender = sending()
    kills = [("server", n) for n in range(SERVER_KILLS)] + [("client", n) for n in range(CLIENT_KILLS)]
    kills.sort(key=lambda kill: kill[1])
    seen: list[int] = []
    for number, (who, _) in enumerate(kills, 1):
        wanted = SIZE * number // (len(kills) + 1)
        until(lambda wanted=wanted: part.stat().st_size >= wanted, 120, 0.01)
        seen.append(part.stat().st_size)
        if who == "server":
            served.kill()
            served.start()
        else:
            sender.send_signal(signal.SIGKILL)
            sender.wait()
            sender = sending()
    assert sender.wait(300) == 0
    memory.over = True
    memory.join()
    arrived = share / "inputs" / "clip.mp4"
    assert arrived.stat().st_size == SIZE
    with arrived.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == expected()
    assert seen == sorted(seen)
    assert seen[-1] < SIZE, "all kills hit in the middle"
    print(f"memory of its own, at most: {memory.most}")
    assert memory.most["server"] < 150_000
    assert memory.most["writer"] < 20_000
