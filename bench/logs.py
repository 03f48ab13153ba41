"""Logs: a page at a random place of a large one, searching it, and how soon a line that a stage writes is on a screen.

    python -m bench.logs [--lines 5000000] [--pages 300] [--written 200]

Everything is asked over HTTP from `winslow serve`, one connection, one request after the other. The yardstick of
searching is `grep -n` over the same file in the same run, its output written to a file; both find the same lines.
Lines are written by a real command under the real runner and carry the time at which they were printed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import connect

from bench.serving import Served, median, served
from tests.builders import a_project, a_running_stage, an_ended_stage
from winslow_nomad import config
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.resources import layout
from winslow_nomad.runner import binary

PAGE, OF_GREP, LINE = 10.0, 1.5, 100.0  # milliseconds, ratio, milliseconds
WORDS = b"frame detect vehicle car track lost INFO DEBUG loss=0.123 gpu epoch batch step".split()
PATTERNS: list[tuple[str, dict[str, str], list[str]]] = [
    ("a text, ten hits", {"pattern": "ERROR code"}, ["-F"]),
    ("a text that is not there", {"pattern": "no such text"}, ["-F"]),
    ("an expression", {"pattern": "ERROR code=[0-9]+$", "regex": "true"}, ["-E"]),
    ("one that begins with a choice", {"pattern": "(lost|found) [a-z]+ ERROR", "regex": "true"}, ["-E"]),
    ("one of classes alone", {"pattern": "[A-Z]{5} [a-z]{4}=[0-9]{3}", "regex": "true"}, ["-E"]),
    ("whatever its case", {"pattern": "error CODE", "case": "false"}, ["-F", "-i"]),
]
TALKER = """
import random, sys, time
for n in range(int(sys.argv[1])):
    time.sleep(random.uniform(0.0, 0.4))
    print(f"line {n} {time.time():.6f}", flush=True)
time.sleep(1)
"""


def write(folder: Path, lines: int) -> None:
    """As the runner would: records of what was read at once from a command that writes a lot."""
    chance = random.Random(1)
    pool = [b" ".join(chance.choices(WORDS, k=16))[:105] for _ in range(5000)]
    micros, block, size = 1_700_000_000_000_000, [], 0
    with (folder / "out").open("wb") as out, (folder / "index").open("wb") as index:
        for number in range(lines):
            extra = b" ERROR code=%d" % (number % 1000) if number % (lines // 10) == 123 else b""
            line = b"%09d %s%s\n" % (number, pool[chance.randrange(5000)], extra)
            block.append(line)
            size += len(line)
            if size >= 60_000 or number == lines - 1:
                out.write(b"".join(block))
                index.write(struct.pack("<QII", micros, size, 1))
                micros, block, size = micros + 2000, [], 0
    (folder / "err").touch()


class Asker:
    def __init__(self, server: Served) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port)
        self._headers = {"Authorization": f"Bearer {server.token}"}

    def get(self, path: str, **asked: Any) -> tuple[dict[str, Any], float]:
        """The answer, and milliseconds."""
        begin = time.perf_counter()
        self._connection.request("GET", f"{path}?{urlencode(asked)}", headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - begin) * 1000
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:500]!r}")
        found: dict[str, Any] = json.loads(body)
        return found, took


def pages(asker: Asker, path: str, total: int, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        start = random.randrange(total - 500)
        page, took = asker.get(path, start=start, count=500)
        if len(page["lines"]) != 500 or int(page["lines"][0]["text"][:9]) != start:
            raise SystemExit(f"not the lines that were asked for: {start}")
        taken.append(took)
    return sorted(taken)


def searched(asker: Asker, path: str, asked: dict[str, str]) -> tuple[list[int], float]:
    """Numbers of all lines, and milliseconds until the last was found."""
    found: list[int] = []
    start, took = 0, 0.0
    while True:
        answer, some = asker.get(f"{path}/search", **asked, limit=1000, start=start)
        took += some
        found += [line["n"] for line in answer["hits"]]
        if answer["next"] is None:
            return found, took
        start = answer["next"]


def by_grep(file: Path, pattern: str, how: list[str]) -> tuple[list[int], float]:
    output = file.with_name("grepped")
    begin = time.perf_counter()
    with output.open("wb") as out:
        subprocess.run(["grep", "-n", *how, "-e", pattern, str(file)], stdout=out, check=False, env={"LC_ALL": "C"})
    took = (time.perf_counter() - begin) * 1000
    return [int(line.split(b":", 1)[0]) - 1 for line in output.read_bytes().splitlines()], took


def written(server: Served, attempt: Path, spool: Path, count: int) -> Iterator[float]:
    """Milliseconds from print to message, for each line."""
    address = f"ws://127.0.0.1:{server.port}/api/v1/live"
    with connect(address, additional_headers={"Authorization": f"Bearer {server.token}"}) as socket:
        socket.send(json.dumps({"op": "sub", "topic": "log:talks/1/1", "cursor": ""}))
        while json.loads(socket.recv()).get("type") != "snapshot":
            pass
        words = [sys.executable, "-c", TALKER, str(count)]
        (attempt / "command").write_bytes(b"".join(word.encode() + b"\0" for word in words))
        (attempt / "environment").write_bytes(f"PATH={os.environ['PATH']}\0".encode())
        (attempt / "control").write_text("run\n")
        (attempt / "workspace").mkdir()
        runner = subprocess.Popen(
            [binary(), "--attempt", attempt, "--spool", spool], stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            for _ in range(count):
                lines: list[dict[str, Any]] = []
                while not lines:
                    lines = json.loads(socket.recv(timeout=20)).get("data", {}).get("lines", [])
                now = time.time()
                for line in lines:
                    yield (now - float(line["text"].split()[2])) * 1000
                    if line["text"].startswith(f"line {count - 1} "):
                        return
        finally:
            runner.terminate()
            runner.wait(20)


def attempt_of(share: Path, project: str) -> Path:
    folder = share / layout.attempt_folder(layout.stage_folder(project, 1, "detect"), 1)
    (folder / "log").mkdir(parents=True)
    return folder


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--lines", type=int, default=5_000_000)
    options.add_argument("--pages", type=int, default=300)
    options.add_argument("--written", type=int, default=200)
    given = options.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="bench-logs-", dir="/tmp") as temporary:
        home = Path(temporary) / "home"
        with served(home) as server:
            installation = Installation(config.load({"WINSLOW_HOME": str(home), "HOME": str(home), "USER": "bench"}))
            installation.store.restore(a_project("large", version=1, ended={1: an_ended_stage()}))
            installation.store.restore(a_project("talks", version=1, stages={1: a_running_stage()}))
            installation.close()
            folder = attempt_of(server.share, "large") / "log"
            write(folder, given.lines)
            asker, path = Asker(server), "/api/v1/projects/large/stages/1/log"
            _, first = asker.get(f"{path}/tail", count=500)
            size = (folder / "out").stat().st_size
            print(f"{given.lines:,} lines, {size / 1e6:,.0f} MB; looked through for the first time: {first:.0f} ms")
            taken = pages(asker, path, given.lines, given.pages)
            p95 = percentile(taken, 0.95)
            print(f"page of 500: p50 {median(taken):.1f} ms, p95 {p95:.1f} ms (wanted: {PAGE:.0f})")
            good = p95 <= PAGE and good
            for name, asked, how in PATTERNS:
                good = compare(asker, path, folder / "out", name, asked, how) and good
            delays = list(written(server, attempt_of(server.share, "talks"), Path(temporary) / "spool", given.written))
            p95 = percentile(delays, 0.95)
            print(f"line to screen: p50 {median(delays):.0f} ms, p95 {p95:.0f} ms (wanted: {LINE:.0f})")
            good = p95 <= LINE and good
    return 0 if good else 1


def compare(asker: Asker, path: str, file: Path, name: str, asked: dict[str, str], how: list[str]) -> bool:
    ours, greps = [], []
    for _ in range(3):
        found, took = searched(asker, path, asked)
        ours.append(took)
        wanted, took = by_grep(file, asked["pattern"], how)
        greps.append(took)
        if found != wanted:
            raise SystemExit(f"{name}: {len(found)} lines instead of the {len(wanted)} of grep")
    ratio = median(ours) / median(greps)
    times = f"{median(ours):.0f} ms, grep {median(greps):.0f} ms"
    print(f"search, {name}: {times}: {ratio:.2f} of grep (wanted: {OF_GREP})")
    return ratio <= OF_GREP


if __name__ == "__main__":
    sys.exit(main())
