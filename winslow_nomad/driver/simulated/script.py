"""What simulated commands do, and what goes wrong on the way of reports: plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from winslow_nomad.core.ports import AttemptSpec


@dataclass(frozen=True, slots=True)
class Act:
    """One command: it works for `seconds` and exits with `code`, or dies by `signal`, or of its memory.

    stop_seconds: how long it takes to end after SIGTERM; None: it ignores it. starting: seconds from its
    placement until its runner claims (pulling an image)."""

    seconds: float = 60.0
    code: int = 0
    signal: int | None = None
    out_of_memory: bool = False
    stop_seconds: float | None = 0.5
    starting: float = 0.5
    results: dict[str, str] = field(default_factory=dict)


Script = Callable[[AttemptSpec, Random], Act]
"""The random source is the attempt's own, made from the seed and its name: its act does not depend on
what else the cluster does."""


def random_acts(mean_seconds: float = 600.0, failing: float = 0.05) -> Script:
    """Durations of an exponential distribution; a share of them fails with code 1."""

    def act(_: AttemptSpec, random: Random) -> Act:
        return Act(seconds=random.expovariate(1 / mean_seconds), code=int(random.random() < failing))

    return act


@dataclass(frozen=True, slots=True)
class Faults:
    """Of each report: the probability that it is lost, or comes twice; its delay is uniform up to `delay`
    seconds, which reorders. reply_lost: a submit was applied, but its caller is told that it failed."""

    lost: float = 0.0
    twice: float = 0.0
    delay: float = 0.0
    reply_lost: float = 0.0
