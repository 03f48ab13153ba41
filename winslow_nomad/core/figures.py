"""Statistics for people, from the counters of each quarter of an hour. Pure.

Times are put into weekdays and hours of a zone as its clocks show them; the hour that is skipped in spring has nothing,
the one that comes twice in autumn has both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Protocol

from winslow_nomad.core.durations import percentiles
from winslow_nomad.core.model import Value
from winslow_nomad.core.statistics import QUARTER, Cell

Cells = Mapping[Cell, int]
DAYS, HOURS = 7, 24
IDLE = "gpu_idle_"
CAUSE = "cause_"


class Week(Value):
    """One value for each weekday (Monday first) and hour of a zone. `total`: of all."""

    hours: tuple[tuple[float, ...], ...]
    total: float


class Length(Value):
    """How long one stage of a pipeline takes, in seconds; None: it did not happen in this time. `asked`: that a person
    was waited for before it."""

    pipeline: str
    stage: str
    ended: int
    succeeded: int
    failed: int
    median: float | None
    p5: float | None
    p25: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    waited_median: float | None
    waited_p90: float | None
    asked_median: float | None
    asked_p90: float | None


class Causes(Value):
    """Attempts that did not succeed, by why."""

    cause: str
    count: int
    stages: dict[str, int]


class Day(Value):
    """GPU seconds of one day: used, and idle by reason (nothing, person, unfit, down)."""

    day: date
    gpu_used: int
    gpu_total: int
    idle: dict[str, int]


class Totals(Value):
    """`active` (all, and the part of stages started by hand) and `gpu_used` in seconds; `part_idle` by node: which part
    of the time nothing worked on it."""

    started_by_hand: int
    started_automatically: int
    ended: dict[str, int]
    active: int
    active_by_hand: int
    gpu_used: int
    gpu_total: int
    gpu_idle: dict[str, int]
    waited_median: float | None
    waited_p90: float | None
    asked_median: float | None
    asked_p90: float | None
    part_idle: dict[str, float]


def of_pipelines(cells: Cells, wanted: Callable[[str], bool]) -> dict[Cell, int]:
    """Those of pipelines whose name is wanted, and those of nodes."""
    return {c: n for c, n in cells.items() if not c.pipeline or wanted(c.pipeline)}


def week(cells: Cells, what: Iterable[str], zone: tzinfo, since: datetime, until: datetime, *, mean: bool) -> Week:
    """`mean`: seconds as how many at once, on the average of all such hours from `since` to `until`; else sums."""
    names = frozenset(what)
    sums = [[0.0] * HOURS for _ in range(DAYS)]
    for cell, amount in cells.items():
        if cell.what in names:
            at = datetime.fromtimestamp(cell.quarter, UTC).astimezone(zone)
            sums[at.weekday()][at.hour] += amount
    total = sum(map(sum, sums))
    if mean:
        length = [[0] * HOURS for _ in range(DAYS)]
        first = int(since.timestamp()) // QUARTER * QUARTER
        for quarter in range(first, int(until.timestamp()), QUARTER):
            at = datetime.fromtimestamp(quarter, UTC).astimezone(zone)
            length[at.weekday()][at.hour] += QUARTER
        sums = [
            [s / n if n else 0.0 for s, n in zip(row, lengths, strict=True)]
            for row, lengths in zip(sums, length, strict=True)
        ]
        seconds = max(1.0, until.timestamp() - since.timestamp())
        total = total / seconds
    return Week(hours=tuple(tuple(round(v, 3) for v in row) for row in sums), total=round(total, 3))


def without(all_of: Week, part: Week) -> Week:
    """What is left of a week without a part of it."""
    return Week(
        hours=tuple(
            tuple(round(max(0.0, a - b), 3) for a, b in zip(*rows, strict=True))
            for rows in zip(all_of.hours, part.hours, strict=True)
        ),
        total=round(max(0.0, all_of.total - part.total), 3),
    )


def lengths(cells: Cells) -> list[Length]:
    """Of each stage of each pipeline, the longest first."""
    groups: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for cell, amount in cells.items():
        if cell.pipeline and cell.stage:
            groups[cell.pipeline, cell.stage][cell.what] += amount
    found = []
    for (pipeline, stage), counts in groups.items():
        ran = percentiles(steps(counts, "t"), (0.05, 0.25, 0.5, 0.75, 0.9, 0.95))
        waited, waited90 = percentiles(steps(counts, "w"), (0.5, 0.9))
        asked, asked90 = percentiles(steps(counts, "a"), (0.5, 0.9))
        ends = {w.removeprefix("ended_"): n for w, n in counts.items() if w.startswith("ended_")}
        found.append(
            Length(
                pipeline=pipeline, stage=stage, ended=sum(ends.values()), succeeded=ends.get("succeeded", 0),
                failed=ends.get("failed", 0), p5=ran[0], p25=ran[1], median=ran[2], p75=ran[3], p90=ran[4], p95=ran[5],
                waited_median=waited, waited_p90=waited90, asked_median=asked, asked_p90=asked90,
            )
        )  # fmt: skip
    return sorted(found, key=lambda x: (-(x.median or 0.0), x.pipeline, x.stage))


def steps(counts: Mapping[str, int], letter: str) -> dict[int, int]:
    """The counters of core.durations among all."""
    found: dict[int, int] = defaultdict(int)
    for what, amount in counts.items():
        if what[:1] == letter and what[1:].isdecimal():
            found[int(what[1:])] += amount
    return dict(found)


def causes(cells: Cells) -> list[Causes]:
    """The most frequent first."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for cell, amount in cells.items():
        if cell.what.startswith(CAUSE):
            found[cell.what.removeprefix(CAUSE)][cell.stage] += amount
    rows = [Causes(cause=c, count=sum(s.values()), stages=dict(sorted(s.items()))) for c, s in found.items()]
    return sorted(rows, key=lambda r: (-r.count, r.cause))


def days(cells: Cells, zone: tzinfo) -> list[Day]:
    """Every day that anything is known of, in order."""
    used: dict[date, int] = defaultdict(int)
    total: dict[date, int] = defaultdict(int)
    idle: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for cell, amount in cells.items():
        day = datetime.fromtimestamp(cell.quarter, UTC).astimezone(zone).date()
        if cell.what == "gpu_active":
            used[day] += amount
        elif cell.what == "gpu_total":
            total[day] += amount
        elif cell.what.startswith(IDLE):
            idle[day][cell.what.removeprefix(IDLE)] += amount
    return [
        Day(day=d, gpu_used=used.get(d, 0), gpu_total=total.get(d, 0), idle=dict(sorted(idle.get(d, {}).items())))
        for d in sorted({*used, *total, *idle})
    ]


def totals(cells: Cells) -> Totals:
    counts: dict[str, int] = defaultdict(int)
    nodes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for cell, amount in cells.items():
        counts[cell.what] += amount
        if cell.what in ("node_idle", "node_total"):
            nodes[cell.stage][cell.what] += amount
    waited, waited90 = percentiles(steps(counts, "w"), (0.5, 0.9))
    asked, asked90 = percentiles(steps(counts, "a"), (0.5, 0.9))
    return Totals(
        started_by_hand=counts["started_by_hand"],
        started_automatically=counts["started"],
        ended={w.removeprefix("ended_"): n for w, n in sorted(counts.items()) if w.startswith("ended_")},
        active=counts["active"],
        active_by_hand=counts["active_by_hand"],
        gpu_used=counts["gpu_active"],
        gpu_total=counts["gpu_total"],
        gpu_idle={w.removeprefix(IDLE): n for w, n in sorted(counts.items()) if w.startswith(IDLE)},
        waited_median=waited,
        waited_p90=waited90,
        asked_median=asked,
        asked_p90=asked90,
        part_idle={n: round(c["node_idle"] / c["node_total"], 4) for n, c in sorted(nodes.items()) if c["node_total"]},
    )


class Counters(Protocol):
    def read(self, since: datetime, until: datetime) -> Cells:
        """All cells whose quarter begins in [since, until); of this month perhaps as of half a minute ago. Raises
        StoreUnavailable."""
        ...
