"""Statistics over all projects, from counters of each quarter of an hour. As JSON, or as CSV by `format=csv` or the
header Accept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from winslow_nomad.api.authority import may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.views import statistics as views
from winslow_nomad.api.views.base import Moment
from winslow_nomad.api.views.base import Request as Asked
from winslow_nomad.core import figures
from winslow_nomad.core.access import Action, Principal
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.figures import Cells
from winslow_nomad.core.statistics import QUARTER

router = APIRouter(prefix="/api/v1/statistics", tags=["statistics"])
Viewing = Annotated[Principal, Depends(may(Action.VIEW_STATISTICS))]
LONGEST = timedelta(days=400)
CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
Found = TypeVar("Found", bound=views.Span)


class Range(Asked):
    """The default is the four weeks before now. `zone`: in which weekdays, hours and days are counted; empty: the
    installation's. Names of pipelines may end in `*`."""

    since: Moment | None = None
    until: Moment | None = None
    zone: str = Field(default="", max_length=64)
    pipeline: list[str] = Field(default=[], max_length=50)
    format: Literal["", "json", "csv"] = ""


Ranged = Annotated[Range, Query()]


class Looked:
    """The counters of one request."""

    def __init__(self, given: Services, asked: Range) -> None:
        self.zone, self.zone_name = _zone(asked.zone or given.defaults.zone)
        until = asked.until or given.clock.now()
        since = asked.since or until - timedelta(days=28)
        if since.tzinfo is None or until.tzinfo is None or not timedelta(0) < until - since <= LONGEST:
            raise Invalid(
                "`since` has to be before `until`, by 400 days at most, both with a zone; nothing was counted.",
                hint="Write times as 2026-11-24T14:30:00Z.",
                code="request.span",
            )
        self.since = _at_quarter(since)
        self.until = _at_quarter(until + timedelta(seconds=QUARTER - 1))
        self.cells: Cells = given.counters.read(self.since, self.until)
        if asked.pipeline:
            self.cells = figures.of_pipelines(self.cells, _wanted(asked.pipeline))

    @property
    def span(self) -> dict[str, Any]:
        return {"since": self.since, "until": self.until, "zone": self.zone_name}


@router.get("", summary="Totals", response_model=views.Summary, responses=CSV | documented(401, 403, 422, 503))
def read_statistics(given: Given, request: Request, asked: Ranged, who: Viewing) -> Response | views.Summary:  # noqa: ARG001
    """Starts, ends, times of waiting, GPU seconds used and idle, which part of the time nodes were idle."""
    looked = Looked(given, asked)
    found = views.Summary(**looked.span, totals=figures.totals(looked.cells))
    return answer(request, asked, found, views.summary_table)


@router.get(
    "/activity",
    summary="By weekday and hour",
    response_model=views.Activity,
    responses=CSV | documented(401, 403, 422, 503),
)
def read_activity(given: Given, request: Request, asked: Ranged, who: Viewing) -> Response | views.Activity:  # noqa: ARG001
    """Starts and running stages, by hand and by themselves apart, and how many GPUs worked at once."""
    looked = Looked(given, asked)

    def week(what: str, *, mean: bool) -> figures.Week:
        return figures.week(looked.cells, (what,), looked.zone, looked.since, looked.until, mean=mean)

    running, running_by_hand = week("active", mean=True), week("active_by_hand", mean=True)
    found = views.Activity(
        **looked.span,
        by_hand=week("started_by_hand", mean=False),
        automatic=week("started", mean=False),
        running=running,
        running_by_hand=running_by_hand,
        running_automatic=figures.without(running, running_by_hand),
        gpus=week("gpu_active", mean=True),
    )
    return answer(request, asked, found, views.activity_table)


@router.get(
    "/durations",
    summary="How long stages take",
    response_model=views.DurationsView,
    responses=CSV | documented(401, 403, 422, 503),
)
def read_durations(given: Given, request: Request, asked: Ranged, who: Viewing) -> Response | views.DurationsView:  # noqa: ARG001
    """By pipeline and stage: percentiles of running, of waiting for a machine and for a person; within 5 %."""
    looked = Looked(given, asked)
    found = views.DurationsView(**looked.span, items=figures.lengths(looked.cells))
    return answer(request, asked, found, views.durations_table)


@router.get(
    "/failures",
    summary="Why attempts failed",
    response_model=views.Failures,
    responses=CSV | documented(401, 403, 422, 503),
)
def read_failures(given: Given, request: Request, asked: Ranged, who: Viewing) -> Response | views.Failures:  # noqa: ARG001
    """By cause, those that were tried again included."""
    looked = Looked(given, asked)
    ended = sum(figures.totals(looked.cells).ended.values())
    found = views.Failures(**looked.span, items=figures.causes(looked.cells), ended=ended)
    return answer(request, asked, found, views.failures_table)


@router.get(
    "/idle", summary="Idle GPUs by day", response_model=views.Idle, responses=CSV | documented(401, 403, 422, 503)
)
def read_idle(given: Given, request: Request, asked: Ranged, who: Viewing) -> Response | views.Idle:  # noqa: ARG001
    """GPU seconds used, and idle by reason: nothing to do, a project waited for a person, what waited did not fit, the
    node was down or draining."""
    looked = Looked(given, asked)
    return answer(
        request, asked, views.Idle(**looked.span, items=figures.days(looked.cells, looked.zone)), views.idle_table
    )


def answer(request: Request, asked: Range, found: Found, table: Callable[[Found], str]) -> Response | Found:
    wants = asked.format or ("csv" if request.headers.get("accept", "").startswith("text/csv") else "json")
    if wants == "json":
        return found
    return Response(table(found), media_type="text/csv; charset=utf-8")


def _zone(name: str) -> tuple[tzinfo, str]:
    try:
        return (UTC if name == "UTC" else ZoneInfo(name)), name
    except (LookupError, ValueError, OSError) as error:
        raise Invalid(
            f"There is no zone {name[:64]!r}; nothing was counted.", hint="Write Europe/Berlin.", code="request.zone"
        ) from error


def _at_quarter(at: datetime) -> datetime:
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % QUARTER, UTC)


def _wanted(names: list[str]) -> Callable[[str], bool]:
    return lambda name: any(name.startswith(n[:-1]) if n.endswith("*") else name == n for n in names)
