"""The stages of a project: records, progress, history, its own pipeline, forms and comparisons."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from winslow_nomad.api import showing
from winslow_nomad.api.authority import may
from winslow_nomad.api.commanding import IdempotencyKey, IfMatch, etag, request_hash, seen, send
from winslow_nomad.api.inputs import check_inputs
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given
from winslow_nomad.api.sweeping import grid
from winslow_nomad.api.views.base import Answer, Request, example
from winslow_nomad.api.views.commands import EditPipelineBody
from winslow_nomad.api.views.forms import FormView, SweepSize, blueprint_of, definition_of, form
from winslow_nomad.api.views.making import SweepAsked
from winslow_nomad.api.views.projects import ProjectView, StagePage
from winslow_nomad.api.views.records import (
    Comparison,
    Disk,
    HistoryPage,
    NodeVerdicts,
    ProgressView,
    StageRecord,
    comparison,
    stage_record,
)
from winslow_nomad.api.views.stages import Percent, Stages, StageView
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import Action, Principal
from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.expand import grid_size
from winslow_nomad.core.ports import AttemptRef

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["stages"])
Viewing = Annotated[Principal, Depends(may(Action.VIEW_PROJECT))]
Running = Annotated[Principal, Depends(may(Action.RUN_PROJECT))]
Number = Annotated[int, Query(ge=1, lt=10**9)]


@router.get("/stages", summary="Stages of a project", responses=documented(401, 403, 404, 422, 503))
def list_stages(
    project: str,
    given: Given,
    who: Viewing,  # noqa: ARG001 - who is asked for
    before: Annotated[int, Query(ge=0, description="only numbers below this; 0: all")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> StagePage:
    """The newest first."""
    found = given.client.project(project)
    stages = Stages(found, showing.beside_of(given, found))
    numbers = stages.newest_first(before)
    items = [v for n in numbers[:limit] if (v := stages.of(n)) is not None]
    return StagePage(items=items, next=numbers[limit - 1] if len(numbers) > limit else 0)


@router.get("/stages/{stage}", summary="One stage", responses=documented(401, 403, 404, 422, 503))
def read_stage(project: str, stage: int, given: Given, who: Viewing) -> StageRecord:  # noqa: ARG001
    """Its whole record, with the layers that its variables come from."""
    found = given.client.project(project)
    view = Stages(found, showing.beside_of(given, found)).of(stage)
    if view is None:
        raise _no_stage(stage)
    return stage_record(found, view, given.client.record(project, stage), given.defaults.environment)


@router.get("/stages/{stage}/nodes", summary="What nodes say to it", responses=documented(401, 403, 404, 422, 503))
def list_nodes_for(project: str, stage: int, given: Given, who: Viewing) -> NodeVerdicts:  # noqa: ARG001
    """Of a stage that waits for a machine: every node, those that come nearest first."""
    return NodeVerdicts(items=list(given.client.nodes_for(project, stage)))


@router.get(
    "/stages/{stage}/nomad",
    summary="An attempt among Nomad's own pages",
    status_code=307,
    response_class=RedirectResponse,
    responses={**documented(401, 403, 404, 422, 503), 307: {"description": "to the page of its job"}},
)
def find_in_nomad(
    project: str,
    stage: int,
    given: Given,
    who: Viewing,  # noqa: ARG001 - who is asked for
    attempt: Annotated[int, Query(ge=0, lt=10**6, description="0: the newest")] = 0,
) -> RedirectResponse:
    """Nomad asks for a token of its own there, if it wants one."""
    found = given.client.project(project)
    view = Stages(found, showing.beside_of(given, found)).of(stage)
    if view is None:
        raise _no_stage(stage)
    number = attempt or view.attempt
    page = ""
    if found.driver == "nomad" and 0 < number <= view.attempt:
        page = given.defaults.nomad_job(AttemptRef(project=found.id, stage=stage, attempt=number))
    if not page:
        raise NotFound(f"No attempt of the stage {stage} is a job of Nomad here.", code="stage.not_in_nomad")
    return RedirectResponse(page, status_code=307)


@router.get("/progress", summary="Progress of what runs", responses=documented(401, 403, 404, 422, 503))
def read_progress(project: str, given: Given, who: Viewing) -> ProgressView:  # noqa: ARG001
    """As the running attempts say at this moment."""
    now = given.clock.now()
    found = given.client.progress(project)
    return ProgressView(
        stages={
            p.stage: Percent(percent=p.percent, cpu_seconds=p.cpu_seconds, memory_bytes=p.memory_bytes, at=now)
            for p in found
        }
    )


@router.get("/history", summary="What happened in a project", responses=documented(401, 403, 404, 422, 503))
def list_history(
    project: str,
    given: Given,
    who: Viewing,  # noqa: ARG001
    before: Annotated[int, Query(ge=0, description="only versions below this; 0: all")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> HistoryPage:
    """The newest first: every change with its time and who asked for it."""
    items = list(given.history.read(project, before, limit))
    return HistoryPage(items=items, next=items[-1].version if len(items) == limit else 0)


@router.get("/disk", summary="What a project uses of the share", responses=documented(401, 403, 404, 422, 503))
def read_disk(project: str, given: Given, who: Viewing) -> Disk:  # noqa: ARG001
    """Counted in the background, the largest first."""
    parts = sorted(given.sizes.of_project(project), key=lambda p: -p.bytes)
    return Disk(
        bytes=sum(p.bytes for p in parts),
        files=sum(p.files for p in parts),
        complete=bool(parts) and all(p.complete for p in parts),
        parts=parts,
    )


class OwnPipeline(Answer):
    """`text`: as it was written, as far as that is known. `version`: of the project; send it as If-Match."""

    text: str
    name: str
    library_version: int
    edited: bool
    folder: str | None
    version: int

    model_config = example(
        text="winslow: 1\nname: traffic\n...", name="traffic", library_version=7, edited=False, folder=None, version=31
    )


class NewText(Request):
    text: str = Field(max_length=1_000_000)

    model_config = example(
        text="winslow: 1\nname: traffic\nstages:\n  - {id: detect, image: busybox, command: [echo, hello]}\n"
    )


class Switch(Request):
    """`version` 0: the newest."""

    library: str = Field(min_length=1, max_length=100)
    version: int = Field(default=0, ge=0)

    model_config = example(library="traffic", version=8)


@router.get("/pipeline", summary="A project's own pipeline", responses=documented(401, 403, 404, 422, 503))
def read_own_pipeline(project: str, given: Given, response: Response, who: Viewing) -> OwnPipeline:  # noqa: ARG001
    """As text, to be edited."""
    found = given.client.project(project)
    response.headers["ETag"] = etag(found)
    pipeline = found.pipeline
    return OwnPipeline(
        text=given.texts.write(pipeline),
        name=pipeline.name,
        library_version=pipeline.version,
        edited=pipeline.edited,
        folder=pipeline.folder,
        version=found.version,
    )


@router.put(
    "/pipeline",
    summary="Edit a project's own pipeline",
    responses=documented(400, 401, 403, 404, 409, 412, 413, 422, 503),
)
def edit_own_pipeline(
    project: str,
    body: NewText,
    given: Given,
    response: Response,
    who: Running,
    idempotency_key: IdempotencyKey = "",
    if_match: IfMatch = "",
) -> ProjectView:
    """Queued stages take their new definition; what ran keeps the one it ran with."""
    edit = EditPipelineBody(text=body.text)
    after = send(given, who, project, edit, key=idempotency_key, expected=seen(if_match))
    response.headers["ETag"] = etag(after)
    return showing.show(given, who, after)


@router.post(
    "/pipeline/switch",
    summary="Take another pipeline, or another version",
    responses=documented(400, 401, 403, 404, 409, 412, 413, 422, 503),
)
def switch_pipeline(
    project: str,
    body: Switch,
    given: Given,
    response: Response,
    who: Running,
    idempotency_key: IdempotencyKey = "",
    if_match: IfMatch = "",
) -> ProjectView:
    """From the library. Edits of the project's own copy are lost."""
    pipeline = given.library.version(body.library, body.version).pipeline
    command = m.EditPipeline(pipeline=pipeline, actor=who.user)
    check_inputs(given, who, pipeline, command)
    request = request_hash(project, body) if idempotency_key else ""
    after = given.client.send(project, command, key=idempotency_key, request=request, expected=seen(if_match))
    response.headers["ETag"] = etag(after)
    return showing.show(given, who, after)


@router.get("/compare", summary="Stages beside one another", responses=documented(401, 403, 404, 422, 503))
def compare_stages(
    project: str,
    given: Given,
    who: Viewing,  # noqa: ARG001
    left: Number,
    right: Number,
    more: Annotated[list[Annotated[int, Field(ge=1, lt=10**9)]], Query(max_length=18)] = [],  # noqa: B006
) -> Comparison:
    """Values, environment, results, how they ran, and what they ran; what differs is marked."""
    found = given.client.project(project)
    stages = Stages(found, showing.beside_of(given, found))
    views: list[StageView] = []
    for number in dict.fromkeys([left, right, *more]):
        view = stages.of(number)
        if view is None:
            raise _no_stage(number)
        views.append(view)
    records = [given.client.record(project, v.number) for v in views]
    return comparison(found, views, records, given.defaults.environment)


@router.get("/form/{stage_id}", summary="The form of a stage", responses=documented(401, 403, 404, 422, 503))
def read_form(
    project: str,
    stage_id: str,
    given: Given,
    who: Viewing,  # noqa: ARG001
    from_: Annotated[
        str, Query(alias="from", max_length=20, description="number of an earlier stage, `newest`, or nothing")
    ] = "",
) -> FormView:
    """Every value that a new execution would get, with its origin; filled in from an earlier one as a blueprint."""
    found = given.client.project(project)
    definition = definition_of(found, stage_id)
    blueprint = blueprint_of(found, definition, from_)
    typical = given.durations.typical(found.pipeline.name).get(stage_id)
    return form(found, definition, blueprint, given.defaults.environment, typical)


@router.post(
    "/sweep-size",
    summary="How many stages a sweep makes",
    responses=documented(400, 401, 403, 404, 413, 422, 503),
)
def size_sweep(
    project: str,
    body: SweepAsked,
    given: Given,
    who: Viewing,  # noqa: ARG001
    stage_id: Annotated[str, Query(max_length=100, description="of which stage, for how long it would take")] = "",
) -> SweepSize:
    """Ranges and lists become the values that a command takes; nothing is started."""
    found = given.client.project(project)
    values = grid(found.pipeline, body.axes)
    total = grid_size(values)
    median = showing.usually(given, found.pipeline.name).get(stage_id)
    seconds = round(total * median, 1) if median is not None else None
    return SweepSize(total=total, grid={n: list(v) for n, v in values.items()}, seconds=seconds)


def _no_stage(number: int) -> NotFound:
    return NotFound(f"There is no stage {number} in this project.", code="stage.not_found")
