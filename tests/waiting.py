"""Waiting for conditions, never for time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def cost(work: Callable[[], object]) -> float:
    """Seconds of this process's own time that it takes, the least of three: to be held against other work only, since
    machines differ and are busy."""

    def once() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return min(once() for _ in range(3))


def until(condition: Callable[[], T], seconds: float = 10.0, every: float = 0.005) -> T:
    """The first true answer of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds} s: {condition}")
        time.sleep(every)
