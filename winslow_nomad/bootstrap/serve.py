"""The process behind `winslow serve`: the REST API by uvicorn, until told to end."""

from __future__ import annotations

import socket
import sys

import uvicorn

from winslow_nomad.api.app import create_app
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.services import services
from winslow_nomad.config import Settings
from winslow_nomad.core.errors import Refused

GRACE = 10  # seconds that requests under way get when the process is told to end


def run_serve(settings: Settings, *, host: str = "127.0.0.1", port: int = 8800) -> None:
    """Any number of these may run side by side, on one port too."""
    with listen(host, port) as listening:
        installation = Installation(settings)
        try:
            options = uvicorn.Config(create_app(services(installation)), timeout_graceful_shutdown=GRACE)
            Serving(options, f"http://{name(host)}:{listening.getsockname()[1]}").run(sockets=[listening])
        finally:
            installation.close()


class Serving(uvicorn.Server):
    """Says when it answers: for people, and for programs that wait for it."""

    def __init__(self, options: uvicorn.Config, address: str) -> None:
        super().__init__(options)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(f"winslow answers at {self._address}\n")
        sys.stdout.flush()


def name(host: str) -> str:
    """As it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def listen(host: str, port: int) -> socket.socket:
    """Raises Refused where somebody else has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise Refused(
            f"{host} port {port} cannot be listened on: {error.strerror}. Nothing was started.",
            hint="Name another with --host and --port.",
            code="serve.address",
        ) from error
    made.listen(2048)
    return made
