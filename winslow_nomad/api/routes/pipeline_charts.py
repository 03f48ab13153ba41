"""Charts that are kept with a pipeline of the library, for all its projects. Never what is drawn, only how."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends

from winslow_nomad.api.authority import denied, may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.views.charts import ChartBody, SavedCharts, SavedChartView
from winslow_nomad.core.access import MEMBER_RANKS, Action, Principal, allowed, rank_in
from winslow_nomad.core.errors import Conflict, NotFound
from winslow_nomad.core.library import SavedChart, Shelf

router = APIRouter(prefix="/api/v1/pipelines/{name}/charts", tags=["charts"])
Viewing = Annotated[Principal, Depends(may(Action.VIEW_PIPELINES))]
Editing = Annotated[Principal, Depends(may(Action.EDIT_PIPELINES))]
MOST = 50  # charts of one pipeline
Charted = tuple[SavedChart, ...]


@router.get("", summary="Charts kept with a pipeline", responses=documented(401, 403, 404, 422, 503))
def list_saved_charts(name: str, given: Given, who: Viewing) -> SavedCharts:  # noqa: ARG001 - who is asked for
    """Every project that was made of it shows them."""
    return SavedCharts(items=list(given.library.shelf(name).charts))


@router.post(
    "",
    status_code=201,
    summary="Keep a chart with a pipeline",
    responses=documented(400, 401, 403, 404, 409, 413, 422, 503),
)
def save_chart(name: str, body: ChartBody, given: Given, who: Editing) -> SavedChartView:
    """Who may publish versions of a pipeline keeps its charts."""
    chart = _made(given, secrets.token_hex(6), body, who)

    def add(shelf: Shelf) -> Charted:
        if len(shelf.charts) >= MOST:
            raise Conflict(
                f"The pipeline {name} has {MOST} charts, which is the most. This one was not kept.",
                hint="Delete one that nobody looks at.",
                code="pipeline.charts",
            )
        return (*shelf.charts, chart)

    _draw(given, name, who, add)
    return chart


@router.put("/{chart}", summary="Change a kept chart", responses=documented(400, 401, 403, 404, 413, 422, 503))
def change_chart(name: str, chart: str, body: ChartBody, given: Given, who: Editing) -> SavedChartView:
    """All of it at once; it stays in its place."""
    changed = _made(given, chart, body, who)

    def replace(shelf: Shelf) -> Charted:
        old = _one(shelf, chart)
        return tuple(changed if c is old else c for c in shelf.charts)

    _draw(given, name, who, replace)
    return changed


@router.delete("/{chart}", summary="Delete a kept chart", responses=documented(401, 403, 404, 422, 503))
def delete_chart(name: str, chart: str, given: Given, who: Editing) -> SavedCharts:
    """What it was drawn of stays. Answers those that are left."""

    def without(shelf: Shelf) -> Charted:
        old = _one(shelf, chart)
        return tuple(c for c in shelf.charts if c is not old)

    after = _draw(given, name, who, without)
    return SavedCharts(items=list(after.charts))


def may_draw(who: Principal, shelf: Shelf) -> bool:
    """As for publishing versions."""
    rank = rank_in(who, shelf.author, shelf.participants)
    return allowed(who, Action.EDIT_PIPELINES) and rank >= MEMBER_RANKS["member"]


def _draw(given: Services, name: str, who: Principal, change: Callable[[Shelf], Charted]) -> Shelf:
    if not may_draw(who, given.library.shelf(name)):
        raise denied(who, Action.EDIT_PIPELINES, f"the role member in the pipeline {name}")
    return given.library.draw(name, change)


def _made(given: Services, chart: str, body: ChartBody, who: Principal) -> SavedChartView:
    return SavedChartView(id=chart, author=who.user, made=given.clock.now(), **body.model_dump())


def _one(shelf: Shelf, chart: str) -> SavedChart:
    for found in shelf.charts:
        if found.id == chart:
            return found
    raise NotFound(
        f"The pipeline {shelf.name} has no chart {chart[:64]!r} (any more). Nothing was changed.",
        hint="Look at its charts again.",
        code="pipeline.chart_unknown",
    )
