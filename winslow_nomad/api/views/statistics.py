"""Statistics as answers, and as tables for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from winslow_nomad.api.views.base import Answer, example
from winslow_nomad.core.figures import Causes, Day, Length, Totals, Week


class Span(Answer):
    """What was looked at; `since` and `until` at quarters of an hour."""

    since: datetime
    until: datetime
    zone: str


class Summary(Span):
    totals: Totals

    model_config = example(since="2026-10-26T00:00:00Z", until="2026-11-23T00:00:00Z", zone="Europe/Berlin")


class Activity(Span):
    """By weekday and hour: starts by hand (enqueued, redone, or the first of a project that was started), starts by
    themselves (they followed another stage, also after a gate), stages running at once (mean): all, those that were
    started by hand, those that started by themselves; GPUs used at once (mean)."""

    by_hand: Week
    automatic: Week
    running: Week
    running_by_hand: Week
    running_automatic: Week
    gpus: Week

    model_config = example(since="2026-10-26T00:00:00Z", until="2026-11-23T00:00:00Z", zone="Europe/Berlin")


class DurationsView(Span):
    items: list[Length]

    model_config = example(since="2026-10-26T00:00:00Z", until="2026-11-23T00:00:00Z", zone="UTC", items=[])


class Failures(Span):
    """`ended`: of so many stages that ended."""

    items: list[Causes]
    ended: int

    model_config = example(since="2026-10-26T00:00:00Z", until="2026-11-23T00:00:00Z", zone="UTC", items=[], ended=1476)


class Idle(Span):
    items: list[Day]

    model_config = example(since="2026-10-26T00:00:00Z", until="2026-11-23T00:00:00Z", zone="UTC", items=[])


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV (RFC 4180). A text that a spreadsheet would take for a formula is led by an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def activity_table(found: Activity) -> str:
    kinds = {name: week for name in Activity.model_fields if isinstance(week := getattr(found, name), Week)}
    rows = (
        (WEEKDAYS[day], hour, *(week.hours[day][hour] for week in kinds.values()))
        for day in range(len(WEEKDAYS))
        for hour in range(24)
    )
    return table(("weekday", "hour", *kinds), rows)


def durations_table(found: DurationsView) -> str:
    names = tuple(Length.model_fields)
    return table(names, (tuple(getattr(i, n) for n in names) for i in found.items))


def failures_table(found: Failures) -> str:
    rows = ((i.cause, stage, count) for i in found.items for stage, count in i.stages.items())
    return table(("cause", "stage", "count"), rows)


def idle_table(found: Idle) -> str:
    reasons = sorted({r for i in found.items for r in i.idle})
    rows = ((i.day, i.gpu_used, i.gpu_total, *(i.idle.get(r, 0) for r in reasons)) for i in found.items)
    return table(("day", "gpu_used", "gpu_total", *(f"idle_{r}" for r in reasons)), rows)


def summary_table(found: Summary) -> str:
    rows: list[tuple[str, Any]] = []
    for name, value in found.totals.model_dump().items():
        if isinstance(value, dict):
            rows += [(f"{name}.{key}", v) for key, v in value.items()]
        else:
            rows.append((name, value))
    return table(("figure", "value"), rows)
