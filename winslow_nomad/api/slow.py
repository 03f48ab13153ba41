"""A few threads for what takes a good part of a second of a core each (hashing passwords), so that any number of
people logging in, or guessing, leaves the other threads and the memory to the others."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from fastapi import Request

from winslow_nomad.core.errors import TooMany

AT_ONCE = 2
WAITING = 32
P = ParamSpec("P")
T = TypeVar("T")


class Slow:
    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, "slow")
        self._under_way = 0

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises what `work` raises, and TooMany when too many wait already."""
        if self._under_way >= AT_ONCE + WAITING:
            raise TooMany(
                "Too many people are logging in at this moment; nothing was done.",
                retry_after=2,
                hint="Try again in a moment.",
                code="session.busy",
            )
        context = contextvars.copy_context()
        self._under_way += 1
        try:
            future = self._pool.submit(lambda: context.run(work, *args, **kwargs))
            return await asyncio.wrap_future(future)
        finally:
            self._under_way -= 1


def slow(request: Request) -> Slow:
    found: Slow = request.app.state.slow
    return found
