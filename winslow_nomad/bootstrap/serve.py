"""The process behind `winslow serve`: the REST API by uvicorn, until told to end."""

from __future__ import annotations

import gc
import ipaddress
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from winslow_nomad.api.app import create_app
from winslow_nomad.api.reach import of_names
from winslow_nomad.bootstrap.certificate import check_certificate
from winslow_nomad.bootstrap.entrance import invite
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.logs import write_logs
from winslow_nomad.bootstrap.protocol import PatientProtocol, networks
from winslow_nomad.bootstrap.services import services
from winslow_nomad.config import Settings
from winslow_nomad.core.errors import Refused

HOST, PORT = "127.0.0.1", 8800
GRACE = 10  # seconds that requests under way get when the process is told to end
KEEP_ALIVE = 75  # seconds between two requests of a connection: longer than proxies keep theirs
CONNECTIONS = 4000  # more are answered 503
MESSAGE = 64 * 1024  # bytes of a message on a socket
UNREAD = 300_000  # milliseconds after which the kernel gives up a peer that takes nothing


def run_serve(
    settings: Settings, *, host: str = HOST, port: int = PORT, insecure: bool = False, level: int = logging.INFO
) -> None:
    """Any number of these may run side by side, on one port too. `insecure`: listen beyond this machine without TLS.
    Raises Refused, Unavailable."""
    check_exposure(settings, host, insecure)
    allow_many_files()
    write_logs(level)
    with listen(host, port) as listening:
        serve_on(settings, listening, host, insecure=insecure)


def serve_on(settings: Settings, listening: socket.socket, host: str, *, insecure: bool, welcome: bool = True) -> None:
    """On a socket that listens already. `welcome`: say where, and how to log in."""
    installation = Installation(settings)
    try:
        given = services(installation)
        app = create_app(given, reach=of_names([*settings.names, *own_names()]))
        address = address_of(settings, host, listening)

        def ready() -> None:
            settle_memory()
            if welcome:
                say(f"winslow answers at {address}")
                invite(given.people, installation.clock, settings.user, address, settings.home)

        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, passed)  # uvicorn raises them again when all is done; we end in order
        Serving(configuration(app, settings, insecure), app, ready).run(sockets=[listening])
    finally:
        installation.close()


def address_of(settings: Settings, host: str, listening: socket.socket) -> str:
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{in_url(host)}:{listening.getsockname()[1]}"


def configuration(app: FastAPI, settings: Settings, insecure: bool) -> uvicorn.Config:
    proxies = list(settings.trusted_proxies)
    past_the_proxy = not proxies or bool(settings.tls_certificate) or insecure  # else it comes in the clear
    protocol = type("Protocol", (PatientProtocol,), {"peers": None if past_the_proxy else networks(proxies)})
    return uvicorn.Config(
        app,
        http=protocol,
        log_config=None,
        access_log=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=CONNECTIONS,
        ws_max_size=MESSAGE,
        ws_per_message_deflate=False,  # takes more memory for each socket than all that is sent on it
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
    )


class Serving(uvicorn.Server):
    """`ready` is called when it answers. Whoever holds a long answer looks at `app.state.stopping`."""

    def __init__(self, options: uvicorn.Config, app: FastAPI, ready: Callable[[], None]) -> None:
        super().__init__(options)
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.stopping.set()
        super().handle_exit(sig, frame)


def check_exposure(settings: Settings, host: str, insecure: bool) -> None:
    """Passwords and cookies do not travel in the clear unless somebody says so. Raises Refused."""
    check_certificate(settings)
    if insecure or settings.tls_certificate or settings.trusted_proxies or is_loopback(host):
        return
    raise Refused(
        f"Listening on {host} would send passwords and cookies in the clear; nothing was started.",
        hint="Set tls_certificate and tls_key, or name the proxy that does TLS in trusted_proxies; --insecure listens "
        "without either.",
        code="serve.exposed",
    )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def own_names() -> list[str]:
    return [socket.gethostname()]


def in_url(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def listen(host: str, port: int, *, shared: bool = True) -> socket.socket:
    """`shared`: with other processes on that port. Raises Refused where somebody else has it."""
    made = bind(host, port, shared=shared)
    made.listen(2048)
    return made


def bind(host: str, port: int, *, shared: bool = True) -> socket.socket:
    """`shared`: one of any number of processes on that port. Raises Refused where somebody else has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise Refused(
            f"{host} port {port} cannot be listened on: {error.strerror}. Nothing was started.",
            hint="Name another with --host and --port.",
            code="serve.address",
        ) from error
    return made


def settle_memory() -> None:
    """What is there when it begins to answer stays for good: looking through it again for garbage would hold up every
    request for a tenth of a second, every now and then."""
    gc.collect()
    gc.freeze()


def allow_many_files() -> None:
    """Each connection is an open file; the usual limit of 1024 is that of programs from another age."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def passed(signum: int, frame: FrameType | None) -> None:
    """Nothing is left to be done."""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
