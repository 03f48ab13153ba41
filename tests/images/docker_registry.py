"""A real registry: Debian's docker-registry (distribution 2.8), one process for each test that wants one."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.conftest import NEEDS_A_REGISTRY
from tests.driver.nomad.certificates import Authority
from tests.waiting import until

PROGRAM = "docker-registry"
ADA = ("ada", "kept at home")
HTPASSWD = "ada:$2y$04$JKLIimmFwM/gXgvDm2Hx1uR4JOT1si59j0tZfQvner8fWoeBu74pm\n"  # htpasswd -nbB -C 4


def need() -> None:
    """Skips the test where there can be none; all that are make one line of the summary."""
    if shutil.which(PROGRAM) is None:
        pytest.skip(f"{NEEDS_A_REGISTRY}: no {PROGRAM} on PATH (Debian: apt-get install {PROGRAM})")


@dataclass
class DockerRegistry:
    host: str  # with the port
    secure: bool
    process: subprocess.Popen[bytes]
    configuration: Path

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.host}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        self.process = launch(self.configuration)
        self.ready()

    def ready(self) -> None:
        address, _, port = self.host.rpartition(":")

        def answers() -> bool:
            assert self.process.poll() is None, (self.configuration.parent / "log").read_text()[-2000:]
            with socket.socket() as tried:
                return tried.connect_ex((address, int(port))) == 0

        until(answers, 20)


@contextmanager
def registry(
    folder: Path,
    *,
    address: str = "127.0.0.1",
    login: tuple[str, str] | None = None,
    tls: tuple[Path, Path] | None = None,
    tokens: TokenService | None = None,
) -> Iterator[DockerRegistry]:
    """`login`: the one whom basic authentication lets in; `tls`: files of certificate and key."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port(address)
    document: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"{address}:{port}", "secret": "of tests"},
    }
    if tls is not None:
        document["http"]["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
    if login is not None:
        assert login == ADA, "there is a hash of one password only"
        (folder / "htpasswd").write_text(HTPASSWD)
        document["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    if tokens is not None:
        document["auth"] = {"token": tokens.configuration}
    configuration = folder / "config.yml"
    configuration.write_text(json.dumps(document))  # JSON is YAML
    found = DockerRegistry(f"{address}:{port}", tls is not None, launch(configuration), configuration)
    try:
        found.ready()
        yield found
    finally:
        found.stop()


def launch(configuration: Path) -> subprocess.Popen[bytes]:
    def with_us() -> None:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)

    environment = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
    command = [PROGRAM, "serve", str(configuration)]
    with (configuration.parent / "log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, preexec_fn=with_us)


def free_port(address: str) -> int:
    with socket.socket() as tried:
        tried.bind((address, 0))
        port: int = tried.getsockname()[1]
        return port


class TokenService:
    """Gives tokens as the documentation of distribution says (docs/spec/auth), to one person; to everybody else, or to
    nobody, an empty right."""

    def __init__(self, folder: Path, login: tuple[str, str]) -> None:
        self.login = login
        self.asked: list[dict[str, list[str]]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._authority = Authority(folder)
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = service._answer(self.path, self.headers.get("authorization", ""))
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *about: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.realm = f"http://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def configuration(self) -> dict[str, str]:
        bundle = str(self._authority.file)
        return {"realm": self.realm, "service": "tests", "issuer": "tests", "rootcertbundle": bundle}

    def _answer(self, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        asked = parse_qs(urlsplit(path).query)
        self.asked.append(asked)
        kind, _, coded = authorization.partition(" ")
        given = tuple(base64.b64decode(coded).decode().split(":", 1)) if kind == "Basic" else ()
        if given and given != self.login:
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong user or password"}]}
        access = []
        for scope in asked.get("scope", []) if given else []:
            what, name, actions = scope.split(":")
            access.append({"type": what, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        claims = {"iss": "tests", "aud": "tests", "sub": "x", "exp": now + 60, "nbf": now - 60, "iat": now}
        return 200, {"token": self._signed({**claims, "jti": str(len(self.asked)), "access": access}), "expires_in": 60}

    def _signed(self, claims: dict[str, Any]) -> str:
        der = self._authority.certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        text = ".".join(coded(json.dumps(part).encode()) for part in (header, claims))
        r, s = decode_dss_signature(self._authority.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{coded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
