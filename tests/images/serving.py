"""A registry in this process: answers what a test says, or what a real one was seen to answer (recorded.json)."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

RECORDED = Path(__file__).parent / "recorded.json"


@dataclass(frozen=True)
class Asked:
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answered:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Serving:
    """`host`: with its port, as a name of an image has it. `tls`: files of certificate and key."""

    def __init__(self, answer: Callable[[Asked], Answered], tls: tuple[Path, Path] | None = None) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self._open: list[socket.socket] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = Asked(self.path, {k.lower(): v for k, v in self.headers.items()})
                outer.asked.append(asked)
                given = outer.answer(asked)
                self.send_response(given.status)
                for name, value in given.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(given.body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # whoever asked may have read enough
                    self.wfile.write(given.body)

            def handle(self) -> None:
                outer._open.append(self.connection)
                with contextlib.suppress(ConnectionError):
                    super().handle()

            def log_message(self, *about: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.stop()


class Recorded:
    """Answers as docker-registry did. `moved`: after its tag was given to another image. `login`: who is let in."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = json.loads(RECORDED.read_text())
        self.moved = False
        self.login: tuple[str, str] | None = None

    def __call__(self, asked: Asked) -> Answered:
        if self.login is not None:
            wanted = base64.b64encode(":".join(self.login).encode()).decode()
            if asked.headers.get("authorization") != f"Basic {wanted}":
                return self._read("denied", "/v2/")
        found = self.documents["moved"] if self.moved else {}
        return self._read("moved" if asked.path in found else "open", asked.path)

    def _read(self, kind: str, path: str) -> Answered:
        found = self.documents[kind].get(path) or self.documents["open"]["missing"]
        return Answered(found["status"], base64.b64decode(found["body"]), found["headers"])
