"""What the server's errors mean for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004 the library's own, not the builtin
    OutOfMemoryError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
)

from winslow_nomad.core.errors import StoreUnavailable

AWAY = (ConnectionError, TimeoutError)  # the answer is missing: nobody knows what the server did
UNTOUCHED = "Nothing was changed."


def refused_by_server(error: RedisError) -> StoreUnavailable:
    """For answers that say that nothing was done."""
    text = str(error)
    if isinstance(error, OutOfMemoryError) or "OOM" in text:
        return StoreUnavailable(
            f"The store has no memory left. {UNTOUCHED}",
            hint="Raise maxmemory of the server; Winslow goes on by itself.",
            code="store.memory",
        )
    if "MISCONF" in text:
        return StoreUnavailable(
            f"The store cannot write to its disk. {UNTOUCHED}",
            hint="Free space on the store's disk; Winslow goes on by itself.",
            code="store.disk",
        )
    if isinstance(error, AuthenticationError) or "NOAUTH" in text or "NOPERM" in text or "WRONGPASS" in text:
        return StoreUnavailable(
            f"The store does not accept our credentials: {text}. {UNTOUCHED}",
            hint="Check REDIS_URL and the server's ACL.",
            code="store.credentials",
        )
    return StoreUnavailable(f"The store answered with an error: {text}. {UNTOUCHED}", hint="Run `winslow doctor`.")


def away(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store cannot be reached: {str(error).rstrip('.')}. {UNTOUCHED}",
        hint="Try again in a moment; Winslow reconnects by itself.",
    )


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the library become StoreUnavailable. For reads, and for writes that may be repeated."""
    try:
        yield
    except (AuthenticationError, ResponseError) as error:
        raise refused_by_server(error) from error
    except RedisError as error:
        raise away(error) from error
