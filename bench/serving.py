"""A served installation for measurements, and the plainest HTTP client: what is measured shall be the server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from winslow_nomad import config
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.services import services
from winslow_nomad.core.access import Role, Scope
from winslow_nomad.core.people import Person

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, process: subprocess.Popen[bytes], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{process.args} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"{process.args} does not answer")


@dataclass
class Served:
    port: int
    token: str
    share: Path
    process: subprocess.Popen[bytes]


@contextmanager
def served(home: Path, *more: Scope) -> Iterator[Served]:
    """`winslow serve` with an embedded store, and a token of somebody who may write files, and `more`."""
    environ = {"WINSLOW_HOME": str(home), "HOME": str(home), "USER": "bench"}
    installation = Installation(config.load(environ))
    given = services(installation)
    given.people.add(Person(name="bench", role=Role.ADMIN, made=installation.clock.now()))
    _, token = given.people.add_token("bench", "bench", frozenset({"read", "files", *more}))
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "winslow_nomad.cli", "serve", "--port", str(port)],
        env={**environ, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=(home.parent / "serve.log").open("wb"),
        cwd=home.parent,
    )
    try:
        answers(port, process)
        yield Served(port, token, installation.settings.share, process)
    finally:
        process.terminate()
        process.wait(20)
        installation.close()


def ask(port: int, method: str, path: str, headers: dict[str, str], body: int = -1, size: int = 0) -> dict[str, str]:
    """One request; `body`: a descriptor whose first `size` bytes are sent by the kernel. Answers its headers, the
    status as `status`; of the answer's body only the length is taken note of."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        told = {"Host": f"127.0.0.1:{port}", "Connection": "close", **headers}
        if size or method in ("POST", "PATCH", "PUT"):
            told["Content-Length"] = str(size)
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in told.items()), "", ""]
        connection.sendall("\r\n".join(lines).encode())
        sent = 0
        while sent < size:
            sent += os.sendfile(connection.fileno(), body, sent, size - sent)
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65536)
            if not part:
                raise SystemExit(f"{method} {path}: no answer: {head!r}")
            head += part
        top, _, rest = head.partition(b"\r\n\r\n")
        status, *fields = top.decode("latin-1").split("\r\n")
        found = {k.lower(): v for k, _, v in (f.partition(": ") for f in fields)}
        found["status"] = status.split(" ")[1]
        got = len(rest)
        room = bytearray(4 << 20)
        while count := connection.recv_into(room):
            got += count
        found["got"] = str(got)
        return found


def require(answer: dict[str, str], status: str) -> dict[str, str]:
    if answer["status"] != status:
        raise SystemExit(f"expected {status}: {answer}")
    return answer


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
