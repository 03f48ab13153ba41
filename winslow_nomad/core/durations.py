"""How long things take, as counters in steps of a tenth: small enough to be written with every commit, and exact
enough for "usually 40 min"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from winslow_nomad.core.model import Value

STEP = math.log(1.1)
LAST = 200  # six years


class Typical(Value):
    """Of one stage of a pipeline, over all its runs. Seconds; None: it never happened."""

    ended: dict[str, int] = {}
    median: float | None = None
    p90: float | None = None
    p10: float | None = None
    waited_median: float | None = None
    waited_p90: float | None = None


class Durations(Protocol):
    def typical(self, pipeline: str) -> Mapping[str, Typical]:
        """By stage id. Raises StoreUnavailable."""
        ...


def step(seconds: float) -> int:
    """The counter that a time belongs to: 0 for what is under a second."""
    return 0 if seconds < 1 else min(LAST, 1 + int(math.log(seconds) / STEP))


def middle(of: int) -> float:
    """Seconds in the middle of a counter's range, by its logarithm."""
    return 0.5 if of == 0 else math.exp((of - 0.5) * STEP)


def percentiles(counts: Mapping[int, int], parts: Sequence[float]) -> list[float | None]:
    """Seconds below which these parts (0 to 1) of all times lie; within 5 % of the truth."""
    total = sum(counts.values())
    if not total:
        return [None for _ in parts]
    found: list[float | None] = []
    for part in parts:
        left = max(1, math.ceil(part * total))
        for number in sorted(counts):
            left -= counts[number]
            if left <= 0:
                found.append(round(middle(number), 3))
                break
    return found


def typical(counters: Mapping[tuple[str, str], int]) -> dict[str, Typical]:
    """From counters by (stage id, what): `t<n>` and `w<n>` are steps of running and waiting, other words ends."""
    stages: dict[str, dict[str, dict[int, int]]] = {}
    ends: dict[str, dict[str, int]] = {}
    for (stage, what), amount in counters.items():
        if what[:1] in ("t", "w") and what[1:].isdecimal():
            stages.setdefault(stage, {}).setdefault(what[0], {})[int(what[1:])] = amount
        else:
            ends.setdefault(stage, {})[what] = amount
    found = {}
    for stage in {*stages, *ends}:
        kinds = stages.get(stage, {})
        low, half, high = percentiles(kinds.get("t", {}), (0.1, 0.5, 0.9))
        waited, long = percentiles(kinds.get("w", {}), (0.5, 0.9))
        found[stage] = Typical(
            ended=ends.get(stage, {}), median=half, p90=high, p10=low, waited_median=waited, waited_p90=long
        )
    return found
