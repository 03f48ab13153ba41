"""Downloads: how fast a file on the disk's cache reaches a client on this machine.

    python -m bench.downloads [--mebibytes 2048] [--rounds 5]

The same client takes the same file from Winslow and from nginx (sendfile on), in turn, several times, medians.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.serving import answers, ask, free_port, median, require, served

OF_NGINX = 0.8
CONFIGURATION = """
daemon off; master_process off; pid {work}/nginx.pid; error_log {work}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path {work}/b; proxy_temp_path {work}/p; fastcgi_temp_path {work}/f;
  uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@contextmanager
def nginx(work: Path, root: Path) -> Iterator[int | None]:
    """Its port; None: it is not installed."""
    program = os.environ.get("NGINX") or shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        yield None
        return
    port = free_port()
    (work / "nginx.conf").write_text(CONFIGURATION.format(work=work, root=root, port=port))
    process = subprocess.Popen([program, "-p", str(work), "-c", str(work / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        answers(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def download(port: int, path: str, size: int, headers: dict[str, str]) -> float:
    """MB/s"""
    begin = time.perf_counter()
    done = require(ask(port, "GET", path, headers), "200")
    if int(done["got"]) != size:
        raise SystemExit(f"not all arrived: {done}")
    return size / (time.perf_counter() - begin) / 1e6


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--mebibytes", type=int, default=2048)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    size = given.mebibytes << 20
    with tempfile.TemporaryDirectory(prefix="bench-downloads-", dir="/tmp") as temporary:
        work = Path(temporary)
        os.chmod(work, 0o755)
        with served(work / "home") as server:
            folder = server.share / "inputs"
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "clip").open("wb") as file:
                block = os.urandom(1 << 20)
                for _ in range(given.mebibytes):
                    file.write(block)
            with nginx(work, folder) as other:
                ours = {"Authorization": f"Bearer {server.token}"}
                found: dict[str, list[float]] = {"winslow": [], "nginx": []}
                for _ in range(given.rounds):
                    route = "/api/v1/files/inputs/content?path=clip"
                    found["winslow"].append(download(server.port, route, size, ours))
                    if other is not None:
                        found["nginx"].append(download(other, "/clip", size, {}))
    for name, values in found.items():
        if values:
            print(f"{name:8} {median(values):6.0f} MB/s   of {', '.join(f'{v:.0f}' for v in values)}")
    if not found["nginx"]:
        print("skipped: nginx is not installed here (NGINX=/path/to/it names one)")
        return 0
    ratio = median(found["winslow"]) / median(found["nginx"])
    print(f"{ratio:.2f} of nginx (wanted: {OF_NGINX})")
    return 0 if ratio >= OF_NGINX else 1


if __name__ == "__main__":
    sys.exit(main())
