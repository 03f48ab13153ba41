"""Charts of what stages leave as CSV files, and of tables that log parsers make of their logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from winslow_nomad.api.authority import may
from winslow_nomad.api.delivery import Held, disposition
from winslow_nomad.api.following import lanes
from winslow_nomad.api.problems import documented
from winslow_nomad.api.routes.pipeline_charts import may_draw
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.views.charts import (
    ChartData,
    Charts,
    Execution,
    Figures,
    ParserBody,
    SampleView,
    StageCharts,
    TablesView,
)
from winslow_nomad.core.access import Action, Principal
from winslow_nomad.core.errors import NotFound, Unavailable, WinslowError
from winslow_nomad.core.filing import Area, Opened
from winslow_nomad.core.library import Shelf
from winslow_nomad.core.logs import AttemptLog
from winslow_nomad.core.pipeline import PARSED, LogParser, StageDefinition
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, Stage

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["charts"])
Viewer = Annotated[Principal, Depends(may(Action.VIEW_PROJECT))]
StageNumber = Annotated[int, Path(ge=1, le=10**9)]
NEWEST = 50  # executions of a stage that are offered
MOST = 32  # executions in one chart
BLOCK = 1024 * 1024
SAMPLE = 50  # rows that a parser is tried with


class Sought(NamedTuple):
    """The tables of one stage: what makes them."""

    log: AttemptLog
    parsers: Sequence[LogParser]
    variables: dict[str, str]


@router.get("/charts", summary="Charts of a project", responses=documented(401, 403, 404, 503))
async def list_charts(given: Given, request: Request, project: str, who: Viewer) -> Charts:
    """As its pipeline defines them now, with the executions that have the files."""

    def work() -> Charts:
        found = given.client.project(project)
        defined = [s for s in found.pipeline.stages if s.charts or s.log_parsers]
        items = [_charts_of(given, Area(who=who, project=found), found, s) for s in defined]
        shelf = _shelf_of(given, found)
        if shelf is None:
            return Charts(items=items)
        there = found.pipeline.by_id
        saved = [c for c in shelf.charts if all(s.stage in there for s in c.sources)]
        return Charts(items=items, saved=saved, pipeline=shelf.name, may_save=may_draw(who, shelf))

    return await lanes(request).chart(work)


@router.get("/charts/data", summary="Figures for a chart", responses=documented(401, 403, 404, 422, 503))
async def read_chart(
    given: Given,
    request: Request,
    project: str,
    who: Viewer,
    stage: Annotated[list[int], Query(min_length=1, max_length=MOST, description="numbers of executions")],
    file: Annotated[str, Query(min_length=1, max_length=4096, description="in the output, or .log_parser_output/...")],
    x: Annotated[str, Query(max_length=200, description="a column; empty: found out")] = "",
    y: Annotated[list[str] | None, Query(max_length=16, description="columns; none: all numbers")] = None,
    points: Annotated[int, Query(ge=2, le=20_000, description="of each execution")] = 1000,
) -> ChartData:
    """Several executions side by side; one that cannot be drawn says why and leaves the others alone."""
    found = await lanes(request).chart(partial(given.client.project, project))
    area = Area(who=who, project=found)
    works = [partial(_figures, given, area, found, n, file, x, tuple(y or ()), points) for n in dict.fromkeys(stage)]
    return ChartData(items=await asyncio.gather(*(lanes(request).chart(work) for work in works)))


@router.get(
    "/stages/{stage}/tables", summary="Tables made of a log", responses=documented(401, 403, 404, 503), tags=["logs"]
)
async def list_tables(given: Given, request: Request, project: str, who: Viewer, stage: StageNumber) -> TablesView:  # noqa: ARG001 - who is asked for
    """By the log parsers that the pipeline has for this stage now, or had when it ran. Reads on in the log for up to
    two seconds."""

    def work() -> TablesView:
        made = given.tables.make(*_sought(given, given.client.project(project), stage))
        return TablesView(items=list(made.tables), complete=made.complete)

    return await lanes(request).chart(work)


@router.post(
    "/stages/{stage}/tables/sample",
    summary="Try a log parser",
    responses=documented(400, 401, 403, 404, 413, 422, 503),
    tags=["logs"],
)
async def try_parser(
    body: ParserBody,
    given: Given,
    request: Request,
    project: str,
    who: Viewer,  # noqa: ARG001
    stage: StageNumber,
) -> SampleView:
    """What it would make of this stage's log: the first rows of its tables. Nothing is kept."""

    def work() -> SampleView:
        log, _, variables = _sought(given, given.client.project(project), stage)
        parser = LogParser.model_validate(body.model_dump())
        return SampleView(**given.tables.sample(log, parser, variables, limit=SAMPLE).model_dump())

    return await lanes(request).chart(work)


@router.get(
    "/stages/{stage}/tables/content",
    summary="A table made of a log",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {"example": "time,vehicles\n2026-11-24T14:31:52.104+00:00,7\n"}}},
        **documented(401, 403, 404, 422, 503),
    },
    tags=["logs"],
)
async def download_table(
    given: Given,
    request: Request,
    project: str,
    who: Viewer,  # noqa: ARG001 - who is asked for
    stage: StageNumber,
    file: Annotated[str, Query(min_length=1, max_length=4096, description="a `path` of the list")],
) -> Response:
    """CSV, as far as the log has been read."""

    def work() -> Opened:
        sought = _sought(given, given.client.project(project), stage)
        given.tables.make(*sought)
        return given.tables.open(*sought, file)

    opened = await lanes(request).chart(work)

    headers = {
        "content-length": str(opened.entry.bytes),
        "content-encoding": "identity",
        "content-disposition": disposition(opened.entry.name),
    }

    async def body() -> AsyncIterator[bytes]:
        at = 0
        while block := await lanes(request).chart(partial(opened.read, at, BLOCK)):
            at += len(block)
            yield block

    return Held(body(), opened.close, "text/csv; charset=utf-8", headers)


def _charts_of(given: Services, area: Area, project: Project, definition: StageDefinition) -> StageCharts:
    files = list(dict.fromkeys(chart.file for chart in definition.charts))
    ran = [n for n, s in project.ended.items() if s.id == definition.id and s.attempt]
    ran += [n for n, s in project.stages.items() if s.definition.id == definition.id and s.attempts]
    executions = []
    for number in sorted(set(ran), reverse=True)[:NEWEST]:
        which = _stage(project, number)
        there = [f for f in files if f.startswith(f"{PARSED}/") or _is_there(given, area, which.name, f)]
        executions.append(
            Execution(stage=number, state=which.state.value, point=which.point, started=which.started, files=there)
        )
    return StageCharts(
        id=definition.id,
        title=definition.title,
        charts=list(definition.charts),
        log_parsers=list(definition.log_parsers),
        executions=executions,
    )


def _shelf_of(given: Services, project: Project) -> Shelf | None:
    """The pipeline of the library that a project's own is a copy of, as long as it bears its name and is there."""
    if not project.pipeline.version:
        return None
    try:
        shelf = given.library.shelf(project.pipeline.name)
    except NotFound:
        return None
    return shelf if shelf.trashed is None else None


def _is_there(given: Services, area: Area, stage: str, file: str) -> bool:
    try:
        return given.files.entry(area, f"stages/{stage}/output/{file}").kind == "file"
    except Unavailable:
        raise
    except WinslowError:
        return False


def _figures(
    given: Services, area: Area, project: Project, number: int, file: str, x: str, y: Sequence[str], points: int
) -> Figures:
    try:
        which = _stage(project, number)
    except NotFound as error:
        return Figures(stage=number, id="", state="", code=error.code, text=error.message)
    definition_id = which.definition.id if isinstance(which, Stage) else which.id
    figures = Figures(stage=number, id=definition_id, state=which.state.value, point=which.point)
    try:
        if not file.startswith(f"{PARSED}/"):
            path = f"stages/{which.name}/output/{file}"
            return figures.model_copy(update={"series": given.files.series(area, path, x=x, y=y, points=points)})
        sought = _sought(given, project, number)
        complete = given.tables.make(*sought).complete
        series = given.tables.series(*sought, file.removeprefix(f"{PARSED}/"), x=x, y=y, points=points)
        return figures.model_copy(update={"series": series, "complete": complete})
    except Unavailable:
        raise
    except WinslowError as error:
        return figures.model_copy(update={"code": error.code, "text": error.message})


def _sought(given: Services, project: Project, number: int) -> Sought:
    """By the parsers of the pipeline as it is now; of a stage that it has no parsers for, by those it ran with."""
    which = _stage(project, number)
    record = given.client.record(project.id, number)
    definition_id = which.definition.id if isinstance(which, Stage) else which.id
    now = project.pipeline.by_id.get(definition_id)
    parsers = now.log_parsers if now is not None else ()
    if not parsers:
        parsers = tuple(LogParser.model_validate(p) for p in record.get("definition", {}).get("log_parsers", ()))
    variables = {v["name"]: v["value"] for v in record.get("environment", ())}
    return Sought(given.logs.open(project, number), parsers, variables)


def _stage(project: Project, number: int) -> Stage | EndedStage:
    found = project.stages.get(number) or project.ended.get(number)
    if found is None:
        raise NotFound(f"There is no stage {number} in this project.", code="stage.not_found")
    return found
