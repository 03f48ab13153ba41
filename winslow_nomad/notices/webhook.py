"""A signed POST to an address that somebody gave. Redirections are not followed: they would lead past every check."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

from winslow_nomad import __version__
from winslow_nomad.notices.reach import FORBIDDEN, Undelivered, is_public

TIMEOUT = 10.0  # seconds for connecting, and for each wait after that
ALL = 20.0  # seconds for all of it: a server that answers byte by byte holds nobody for longer
GONE = 410  # by which a server says that it does not want to be asked ever again


def signature(key: str, timestamp: str, body: bytes) -> str:
    """What `X-Winslow-Signature` has to be."""
    return "sha256=" + hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def checked(url: str) -> str:
    """Its scheme. Raises ValueError."""
    found = urlsplit(url)
    if found.scheme not in ("http", "https") or not found.hostname or found.port == 0:
        raise ValueError("a webhook is an address that begins with https:// or http://")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("the address has characters that must be written as %xx")
    return found.scheme


def post(
    url: str, key: str, identifier: str, event: Mapping[str, Any], *, anywhere: bool, seconds: float = ALL
) -> None:
    """`anywhere`: also into Winslow's own network. Raises Undelivered."""
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = str(int(time.time()))
    host, login = _host(url)
    headers: dict[bytes | str, bytes | str] = {
        "host": host,
        "content-type": "application/json",
        "content-length": str(len(body)),
        "user-agent": f"winslow/{__version__}",
        "x-winslow-notification": identifier,
        "x-winslow-timestamp": timestamp,
        "x-winslow-signature": signature(key, timestamp, body),
        **({"authorization": login} if login else {}),
    }
    backend = Guarded(anywhere, time.monotonic() + seconds)
    waits = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=httpx.create_ssl_context(), network_backend=backend) as pool,
            pool.stream("POST", url, headers=headers, content=body, extensions={"timeout": waits}) as answer,
        ):
            status = answer.status
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise Undelivered("The webhook's server did not answer in time.") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as error:
        raise Undelivered(f"The webhook's server cannot be reached: {_kind(error)}.") from error
    if not 200 <= status < 300:
        raise Undelivered(f"The webhook's server answered {status}.", for_ever=status == GONE)


class Guarded(httpcore.NetworkBackend):
    """Looks up a name once, looks at the addresses, and connects to one of those that it has looked at."""

    def __init__(self, anywhere: bool, deadline: float) -> None:
        self._anywhere = anywhere
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise httpcore.ConnectError("its name is not known") from error
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        allowed = [a for a in addresses if self._anywhere or is_public(a)]
        if not allowed:
            raise Undelivered(FORBIDDEN, for_ever=True)
        for address in allowed:
            try:
                stream = self._inner.connect_tcp(address, port, self._left(timeout), local_address, socket_options)
                return Bounded(stream, self._left)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if address == allowed[-1]:
                    raise
        raise AssertionError("one is the last")

    def _left(self, timeout: float | None) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return min(left, timeout if timeout is not None else left)


class Bounded(httpcore.NetworkStream):
    """A connection with an end in time for all that is done on it."""

    def __init__(self, inner: httpcore.NetworkStream, left: Any) -> None:
        self._inner = inner
        self._left = left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return Bounded(self._inner.start_tls(ssl_context, server_hostname, self._left(timeout)), self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _host(url: str) -> tuple[str, str]:
    """The host as a request names it, and the login that may stand before it."""
    found = urlsplit(url)
    login, _, host = found.netloc.rpartition("@")
    return host, f"Basic {b64encode(unquote(login).encode()).decode()}" if login else ""


def _kind(error: Exception) -> str:
    """Without any address, which may be a secret."""
    if isinstance(error, httpcore.ProtocolError | httpcore.UnsupportedProtocol):
        return "it does not speak HTTP"
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return (cause.strerror if isinstance(cause, OSError) and cause.strerror else str(error)) or "no connection"
