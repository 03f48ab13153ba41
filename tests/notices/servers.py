"""Real servers that notifications go to: one that takes mail, one that takes webhooks. Each can be told to refuse, to
hang, and to go away and come back on the same port."""

from __future__ import annotations

import email
import email.policy
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MailServer:
    """Speaks SMTP. `refuse`: what it answers to a recipient, by address. `hold`: set it, and letters are taken but not
    answered for."""

    def __init__(self, port: int = 0) -> None:
        self.port = port or a_port()
        self.letters: list[EmailMessage] = []
        self.refuse: dict[str, str] = {}
        self.holding = threading.Event()
        self.held = threading.Event()
        self._server: ThreadingTCPServer | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> MailServer:
        mine = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                mine._talk(self)

        class Server(ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, it: StreamRequestHandler) -> None:
        def say(text: str) -> None:
            it.wfile.write(f"{text}\r\n".encode())

        say("220 ready")
        for raw in it.rfile:
            line = raw.decode().strip()
            word = line.split(" ")[0].split(":")[0].upper()
            if word in ("EHLO", "HELO"):
                say("250-here\r\n250 8BITMIME")
            elif word == "RCPT":
                say(self.refuse.get(line.partition("<")[2].rstrip(">"), "250 ok"))
            elif word == "DATA":
                say("354 go on")
                data = b""
                while not data.endswith(b"\r\n.\r\n"):
                    data += it.rfile.readline()
                if self.holding.is_set():
                    self.held.set()
                    threading.Event().wait(60)
                    return
                found = email.message_from_bytes(data[:-5], policy=email.policy.default)
                assert isinstance(found, EmailMessage)
                self.letters.append(found)
                say("250 taken")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


@dataclass
class Call:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HookServer:
    """Takes POSTs. `answer`: the status for each."""

    port: int = 0
    answer: Callable[[Call], int] = lambda _: 204
    headers: dict[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    _server: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def start(self) -> HookServer:
        self.port = self.port or a_port()
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                call = Call(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                mine.calls.append(call)
                status = mine.answer(call)
                self.send_response(status)
                for name, value in mine.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
