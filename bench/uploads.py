"""Resumable uploads: how fast a file goes from a client on this machine to the disk.

    python -m bench.uploads [--mebibytes 512] [--rounds 7]

The same client sends the same file to Winslow, to @tus/server with its file store (installed by npm into a directory
that is thrown away), and `dd conv=fsync` writes it to the same disk; in turn, several times, medians. Winslow answers
when the file is on the disk and under its name; @tus/server does not wait for the disk.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.serving import Served, answers, ask, free_port, median, require, served

OF_TUS, OF_DD = 0.9, 0.5
TUS = {"Tus-Resumable": "1.0.0"}
NODE = """
import {Server} from '@tus/server'; import {FileStore} from '@tus/file-store';
new Server({path: '/files', datastore: new FileStore({directory: process.argv[2]})})
  .listen({host: '127.0.0.1', port: Number(process.argv[3])});
"""


def told(name: str) -> str:
    return ",".join(
        f"{k} {base64.b64encode(v.encode()).decode()}"
        for k, v in {"filename": name, "space": "inputs", "conflict": "keep_both"}.items()
    )


def upload(port: int, path: str, source: int, size: int, headers: dict[str, str]) -> float:
    """MB/s, from the first request to the last answer."""
    begin = time.perf_counter()
    made = ask(port, "POST", path, {**TUS, **headers, "Upload-Length": str(size), "Upload-Metadata": told("clip")})
    place = "/" + require(made, "201")["location"].split("/", 3)[-1].lstrip("/")
    place = place if place.startswith(path) else path + "/" + place.rpartition("/")[2]
    body = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    done = require(ask(port, "PATCH", place, {**TUS, **headers, **body}, source, size), "204")
    if int(done["upload-offset"]) != size:
        raise SystemExit(f"not all arrived: {done}")
    return size / (time.perf_counter() - begin) / 1e6


def by_dd(source: Path, target: Path, size: int) -> float:
    begin = time.perf_counter()
    subprocess.run(["dd", f"if={source}", f"of={target}", "bs=4M", "conv=fsync"], check=True, capture_output=True)
    rate = size / (time.perf_counter() - begin) / 1e6
    target.unlink()
    return rate


@contextmanager
def tus_server(work: Path) -> Iterator[int | None]:
    """Its port; None: npm cannot bring it here."""
    if shutil.which("npm") is None:
        yield None
        return
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "@tus/server", "@tus/file-store"]
    (work / "package.json").write_text('{"type": "module"}')
    if subprocess.run(install, cwd=work, capture_output=True, check=False).returncode:
        yield None
        return
    (work / "files").mkdir()
    (work / "server.js").write_text(NODE)
    port = free_port()
    process = subprocess.Popen(["node", "server.js", "files", str(port)], cwd=work)
    try:
        answers(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()


def measure(server: Served, other: int | None, source: Path, work: Path, rounds: int) -> dict[str, list[float]]:
    size = source.stat().st_size
    fd = os.open(source, os.O_RDONLY)
    ours = {"Authorization": f"Bearer {server.token}"}
    runs: dict[str, Callable[[], float]] = {
        "winslow": lambda: upload(server.port, "/api/v1/uploads", fd, size, ours),
        "dd": lambda: by_dd(source, work / "dd", size),
    }
    if other is not None:
        runs["@tus/server"] = lambda: upload(other, "/files", fd, size, {})
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            os.sync()
            found[name].append(run())
            emptied(server.share / "inputs")
            if other is not None:
                emptied(work / "tus" / "files")
    os.close(fd)
    return found


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--mebibytes", type=int, default=512)
    options.add_argument("--rounds", type=int, default=7)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-uploads-", dir="/tmp") as temporary:
        work = Path(temporary)
        source = work / "source"
        with source.open("wb") as file:
            block = os.urandom(1 << 20)
            for _ in range(given.mebibytes):
                file.write(block)
        (work / "tus").mkdir()
        with served(work / "home") as server, tus_server(work / "tus") as other:
            found = measure(server, other, source, work, given.rounds)
    rates = {name: median(values) for name, values in found.items()}
    for name, values in found.items():
        print(f"{name:12} {rates[name]:6.0f} MB/s   of {', '.join(f'{v:.0f}' for v in values)}")
    good = report("dd conv=fsync", rates, "dd", OF_DD)
    if other is None:
        print("skipped: npm cannot install @tus/server here")
    else:
        good = report("@tus/server", rates, "@tus/server", OF_TUS) and good
    return 0 if good else 1


def report(name: str, rates: dict[str, float], key: str, wanted: float) -> bool:
    ratio = rates["winslow"] / rates[key]
    print(f"{ratio:.2f} of {name} (wanted: {wanted})")
    return ratio >= wanted


if __name__ == "__main__":
    sys.exit(main())
