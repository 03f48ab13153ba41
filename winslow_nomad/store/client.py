"""Connections to the server, one kind for each way of using them.

State: no retries inside the library, because its retries apply a transaction twice when only the reply was
lost (redis-py 8.1 retries ten times by default). Readers block for seconds, so their socket may wait
longer than their block. RQ changes the time-outs of the pool it is given, so it gets one of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from winslow_nomad.core.errors import Invalid

PASSWORD = "password"  # name of the file
LONGEST_BLOCK = 15.0  # seconds a reader may ask to be blocked


@dataclass(frozen=True, slots=True)
class Address:
    """Either the path of a unix socket, or a URL (redis://, rediss://, unix://). The password of a socket is
    that of the file `password` beside it, unless given."""

    socket: str = ""
    url: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.url or f"unix://{self.socket}"


def state_client(address: Address) -> Redis:
    return _client(address, socket_timeout=10.0, retry=Retry(NoBackoff(), 0))


def probe_client(address: Address) -> Redis:
    """For a look whether all is well: it gives up early."""
    return _client(address, socket_timeout=2.0, retry=Retry(NoBackoff(), 0))


def reader_client(address: Address) -> Redis:
    """For blocking reads of at most LONGEST_BLOCK."""
    return _client(address, socket_timeout=LONGEST_BLOCK + 5.0, retry=Retry(NoBackoff(), 0))


def worker_client(address: Address) -> Redis:
    """For RQ: the library's own defaults."""
    if address.url:
        return _from_url(address.url)
    return Redis(unix_socket_path=address.socket, password=_password(address))


def _client(address: Address, *, socket_timeout: float, retry: Retry) -> Redis:
    if address.url:
        return _from_url(address.url, socket_timeout=socket_timeout, socket_connect_timeout=2.0, retry=retry)
    return Redis(
        unix_socket_path=address.socket,
        password=_password(address),
        socket_timeout=socket_timeout,
        socket_connect_timeout=2.0,
        retry=retry,
    )


def _from_url(url: str, **options: Any) -> Redis:
    try:
        if not url.isprintable():
            raise ValueError("it holds characters that cannot be printed")
        client = Redis.from_url(url, **options)
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # an option that there is not shows here; nothing is connected
        return client
    except (ValueError, TypeError) as error:  # names what is wrong, never the URL itself with its password
        raise Invalid(
            f"REDIS_URL cannot be used: {str(error).rstrip('.')}.",
            hint="Write redis://user:password@host:6379/0, rediss://... or unix:///path/of/the.socket.",
            code="settings.invalid",
        ) from None


def _password(address: Address) -> str | None:
    if address.password:
        return address.password
    try:
        return Path(address.socket).with_name(PASSWORD).read_text().strip()
    except OSError:
        return None
