"""How the installation itself is doing: figures that are counted in every commit or kept beside it, and conditions."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from winslow_nomad.core.messages import Entry
from winslow_nomad.core.model import Value
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Attempt, AttemptState, Stage

LAGS = (0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)  # seconds: upper ends of the steps in which delays are counted
WITH_DRIVER = (AttemptState.SUBMITTED, AttemptState.RUNNING)


class Figures(Value):
    """As the store has them now. Seconds; 0 where there is nothing. `totals` only grow: `<what>|<label>`, see `totals`
    below and store.notices. `leases`: who holds each, empty: nobody."""

    queue: int
    dirty: int
    oldest_dirty: float
    open_projects: int
    projects: Mapping[str, int]
    waiting: int
    at_driver: int
    mirror_lines: int
    mirror_lag: float
    notifications: int
    operations: int
    leases: Mapping[str, str]
    totals: Mapping[str, int]


class Condition(Value):
    """One thing that has to be well. `needed`: without it nothing can be answered. `who`: a process that it names."""

    name: str
    ok: bool
    text: str
    needed: bool = False
    who: str = ""


class Monitoring(Protocol):
    def figures(self) -> Figures:
        """Raises StoreUnavailable."""
        ...

    def conditions(self) -> Sequence[Condition]:
        """Within about a second, whatever hangs."""
        ...

    def knows(self, address: str) -> bool:
        """Whether who asks from there may read figures without a token."""
        ...


def totals(before: Project | None, after: Project, entries: Iterable[Entry]) -> Counter[str]:
    """What a commit adds: `transitions|<what>` for each entry of the history; `submissions|<driver>`: attempts that the
    driver has; of attempts that ended, the time from their end to this commit: `lag|<driver>|<step>` counts them by
    `LAGS`, `lag_ms|<driver>` adds up milliseconds."""
    found: Counter[str] = Counter(f"transitions|{entry.what}" for entry in entries)
    old = before.stages if before is not None else {}
    old_sealing = before.sealing if before is not None else {}
    for number, stage in after.stages.items():
        if old.get(number) is not stage:
            _count(found, after, old.get(number), stage)
    for number, stage in after.sealing.items():
        if number not in old_sealing:
            _count(found, after, old.get(number), stage)
    return found


def _count(found: Counter[str], after: Project, before: Stage | None, stage: Stage) -> None:
    known: dict[int, Attempt] = {a.number: a for a in before.attempts} if before is not None else {}
    for attempt in stage.attempts:
        earlier = known.get(attempt.number)
        driver = attempt.driver or after.driver
        if _was_with_driver(attempt) and not (earlier is not None and _was_with_driver(earlier)):
            found[f"submissions|{driver}"] += 1
        ended = attempt.outcome.ended if attempt.outcome is not None else None
        if ended is not None and (earlier is None or earlier.outcome is None):
            seconds = max(0.0, (after.updated - ended).total_seconds())
            found[f"lag|{driver}|{bisect_left(LAGS, seconds)}"] += 1
            found[f"lag_ms|{driver}"] += round(seconds * 1000)


def _was_with_driver(attempt: Attempt) -> bool:
    return attempt.state in WITH_DRIVER or attempt.started is not None
