"""Files of the input pool and of projects: looking, fetching, changing. A path never leads out of its space; what an
ended stage has left is never changed; what is deleted or replaced goes to the trash."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import Field

from winslow_nomad.api.areas import (
    FileRoute,
    Gone,
    Readable,
    Where,
    Writable,
    example,
    pour,
)
from winslow_nomad.api.authority import denied
from winslow_nomad.api.delivery import Held, Stream, check_length, deliver, disposition, etag, next_step
from winslow_nomad.api.lanes import Lane, Roads, at_last, roads
from winslow_nomad.api.patience import UNLIMITED
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.trail import note
from winslow_nomad.core.access import Action
from winslow_nomad.core.errors import Conflict
from winslow_nomad.core.filing import (
    ArchiveForm,
    Area,
    Encoding,
    Entry,
    Listing,
    Opened,
    Series,
    Sorting,
    SpaceUsage,
    Text,
    Trashed,
)
from winslow_nomad.core.model import Value
from winslow_nomad.core.operations import Operation

router = APIRouter(prefix="/api/v1/files/{space}", tags=["files"], route_class=FileRoute)
Road = Annotated[Roads, Depends(roads)]

LARGE_FOLDER = 10.0  # seconds for a page of it
SMALL = 8 * 1024 * 1024  # bytes that come in one request; more comes as a resumable upload
SUMMED = 4 * 1024 * 1024  # bytes read at once for a sum
READ = documented(401, 403, 404, 409, 422, 429, 503)
CHANGE = documented(400, 401, 403, 404, 409, 422, 429, 503, 507)
ENTRY = {
    "name": "north.mp4",
    "path": "junction/north.mp4",
    "kind": "file",
    "bytes": 1843200511,
    "modified": "2026-03-04T05:06:07Z",
    "tag": "5a1f-6dd8f0ff-18991c2b7a3d6400",
    "link": "",
    "writable": True,
    "mapped": False,
    "groups": [],
}
# What a browser may show by itself. Nothing of it can act as Winslow's own page: see `protection`.
SHOWN = {
    "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/svg+xml", "image/x-icon",
    "video/mp4", "video/webm", "video/ogg", "video/quicktime", "video/x-matroska", "audio/mpeg", "audio/ogg",
    "audio/wav", "audio/x-wav", "audio/mp4", "audio/flac", "audio/webm", "application/pdf", "text/plain", "text/html",
    "text/csv", "application/json",
}  # fmt: skip
KNOWN = mimetypes.MimeTypes()  # the library's own list: the machine's may say anything
for _ending, _kind in ((".mkv", "video/x-matroska"), (".webp", "image/webp"), (".avif", "image/avif"),
                       (".log", "text/plain"), (".md", "text/plain"), (".yaml", "text/plain"),
                       (".yml", "text/plain"), (".toml", "text/plain"), (".flac", "audio/flac")):  # fmt: skip
    KNOWN.add_type(_kind, _ending)


def type_of(name: str) -> str:
    found = KNOWN.guess_type(name, strict=True)
    return found[0] if found[0] and not found[1] else "application/octet-stream"


class FilePage(Value):
    """`next`: give it as `after`; empty: this was the last page."""

    items: tuple[Entry, ...]
    next: str = ""


class Deleted(Value):
    """`trash`: the entry it can be taken back from."""

    trash: str


class TrashPage(Value):
    items: tuple[Trashed, ...]


@router.get(
    "/trash",
    summary="What was deleted",
    operation_id="list_trash",
    responses={**READ, **example({
        "items": [{"id": "f3k9x2m4q7ab", "path": "junction/north.mp4", "why": "it was deleted", "actor": "ann",
                   "at": "2026-03-04T05:06:07Z"}],
    })},
)  # fmt: skip
async def list_trash(given: Given, area: Readable, road: Road) -> TrashPage:
    """By people, of this space; the newest first."""
    return TrashPage(items=tuple(await road.to("").look(partial(given.files.trashed, area))))


@router.post(
    "/trash/{entry}/restore",
    summary="Take something back",
    operation_id="restore_file",
    responses={**CHANGE, **example(ENTRY)},
)
async def restore_file(given: Given, area: Writable, road: Road, entry: Annotated[str, Path(max_length=100)]) -> Entry:
    """To where it was; refused where something else is by now, or the stage it belonged to has ended."""
    return await road.change(partial(given.files.restore, area, entry))


class NewFolder(Value):
    path: str = Field(max_length=4096, examples=["junction/march"])


class Renaming(Value):
    """overwrite: a file that has the new name goes to the trash; without it, that is refused."""

    source: str = Field(alias="from", max_length=4096, examples=["junction/north.mp4"])
    to: str = Field(max_length=4096, examples=["junction/2026-03-04 north.mp4"])
    overwrite: bool = False


class Unpacking(Value):
    """`into`: a folder that is not there yet."""

    path: str = Field(max_length=4096, examples=["frames.zip"])
    into: str = Field(max_length=4096, examples=["frames"])


class FolderAccess(Value):
    """Groups of which somebody must be a member of one to see the folder and what is in it; none: whoever sees what is
    around it."""

    groups: tuple[Annotated[str, Path(max_length=60)], ...] = Field(max_length=100, examples=[["traffic"]])


@router.get(
    "/list",
    summary="A page of a folder",
    operation_id="list_files",
    responses={**READ, **example({"items": [ENTRY], "next": ""})},
)
async def list_files(
    given: Given,
    area: Readable,
    road: Road,
    path: Where = "",
    sort: Annotated[Sorting, Query(description="folders come first; `-`: backwards")] = "name",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    after: Annotated[str, Query(max_length=2000, description="`next` of the page before")] = "",
) -> FilePage:
    look = road.to(given.files.place(area.space, path)).look
    page = partial(given.files.page, area, path, sort=sort, limit=limit, after=after)
    found: Listing = await look(page, deadline=LARGE_FOLDER)
    return FilePage(items=found.entries, next=found.next)


@router.get("/info", summary="A file or folder", operation_id="file_info", responses={**READ, **example(ENTRY)})
async def file_info(given: Given, area: Readable, road: Road, path: Where = "") -> Entry:
    look = road.to(given.files.place(area.space, path)).look
    return await look(partial(given.files.entry, area, path))


DOWNLOAD: dict[int | str, dict[str, Any]] = {
    **documented(401, 403, 404, 409, 416, 422, 429, 503),
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "the range that was asked for"},
    304: {"description": "nothing has changed since"},
}


@router.get(
    "/content", summary="Download a file", operation_id="download_file", response_class=Response, responses=DOWNLOAD
)
async def download_file(request: Request, given: Given, area: Readable, road: Road, path: Where) -> Response:
    """Whole, or one range of it (`Range`, `If-Range`). `ETag` changes with the content."""
    opened, lane = await _opened(given, area, road, path)
    return deliver(request, opened, lane, _attached(opened))


@router.head(
    "/content",
    summary="What a download would be",
    operation_id="head_file",
    response_class=Response,
    responses=DOWNLOAD,
)
async def head_file(request: Request, given: Given, area: Readable, road: Road, path: Where) -> Response:
    opened, lane = await _opened(given, area, road, path)
    return deliver(request, opened, lane, _attached(opened))


async def _opened(given: Given, area: Area, road: Roads, path: str) -> tuple[Opened, Any]:
    lanes = road.to(given.files.place(area.space, path))
    opened = await lanes.look(partial(given.files.open, area, path), unwanted=lambda late: late.close())
    return opened, lanes.flow


def _attached(opened: Opened) -> dict[str, str]:
    return {"content-disposition": disposition(opened.entry.name), "content-type": "application/octet-stream"}


@router.get(
    "/sum",
    summary="The SHA-256 of a file",
    operation_id="file_sum",
    response_class=StreamingResponse,
    responses={
        **READ,
        200: {
            "content": {"application/x-ndjson": {"example": '{"bytes": 9, "sha256": "9f86d081...", "tag": "5a1f"}\n'}},
        },
    },
)
async def file_sum(given: Given, area: Readable, road: Road, path: Where) -> Response:
    """Whether something has to be brought in at all. One JSON object a line, with the `bytes` that were read, about
    one a second; the last one also has `sha256`, and the `tag` that the file had."""
    opened, lane = await _opened(given, area, road, path)
    return Held(_summed(opened, lane), opened.close, "application/x-ndjson")


async def _summed(opened: Opened, lane: Lane) -> AsyncIterator[str]:
    digest, done, told = hashlib.sha256(), 0, time.monotonic()

    def step() -> int:
        block = opened.read(done, SUMMED)
        digest.update(block)
        return len(block)

    while count := await lane(step):
        done += count
        if time.monotonic() - told >= 1.0:
            told = time.monotonic()
            yield json.dumps({"bytes": done}) + "\n"
    yield json.dumps({"bytes": done, "sha256": digest.hexdigest(), "tag": opened.entry.tag}) + "\n"


@router.get(
    "/preview",
    summary="A file to be shown",
    operation_id="preview_file",
    response_class=Response,
    responses={
        **documented(401, 403, 404, 409, 416, 422, 429, 503),
        200: {"content": {kind: {} for kind in sorted({*SHOWN, "application/octet-stream"})}},
        206: {"description": "the range that was asked for"},
        304: {"description": "nothing has changed since"},
    },
)
async def preview_file(request: Request, given: Given, area: Readable, road: Road, path: Where) -> Response:
    """With its media type, in ranges, for images, video, sound, PDF and reports. A page of HTML may run its own
    scripts, but has no origin: it reaches neither Winslow nor any other server. What browsers do not show by
    themselves comes as a download."""
    opened, lane = await _opened(given, area, road, path)
    kind = type_of(opened.entry.name)
    if kind not in SHOWN:
        return deliver(request, opened, lane, _attached(opened))
    headers = {
        "content-type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
        "content-disposition": disposition(opened.entry.name, inline=True),
        "content-security-policy": protection(kind),
        "x-frame-options": "SAMEORIGIN",
    }
    return deliver(request, opened, lane, headers)


def protection(kind: str) -> str:
    """What a file that somebody brought in may do when it is looked at: nothing outside of itself."""
    inside = "default-src 'none'; img-src data: blob:; media-src data: blob:; font-src data:; style-src 'unsafe-inline'"
    around = "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    if kind == "text/html":
        return f"sandbox allow-scripts; {inside}; script-src 'unsafe-inline' 'unsafe-eval'; {around}"
    if kind == "application/pdf":  # browsers show none in a sandbox, and let none run scripts of ours
        return f"{inside}; object-src 'self'; plugin-types application/pdf; {around}"
    return f"sandbox; {inside}; {around}"


@router.put(
    "/content",
    status_code=201,
    summary="Bring in a small file",
    operation_id="put_file",
    max_body_size=UNLIMITED,
    responses={
        **CHANGE,
        **documented(408, 411, 412, 413),
        200: {"model": Entry, "description": "it was replaced"},
        201: {"content": {"application/json": {"example": ENTRY}}},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_file(
    request: Request, response: Response, given: Given, area: Writable, road: Road, path: Where
) -> Entry:
    """Up to 8 MiB, whole or not at all. Something that is there is replaced only where `If-Match` names its present
    ETag; it goes to the trash. Without it (and with `If-None-Match: *`) nothing may be there."""
    length = check_length(request.headers.get("content-length"), SMALL)
    replace = (request.headers.get("if-match") or "").strip().strip('"')
    note(request, path=path)
    begin = partial(given.uploads.write_small, area, path, length, replace=replace)
    target = await road.change(begin, unwanted=lambda late: late.close())
    try:
        came = await pour(request, target, road.write)
        if came < length:
            raise Conflict("Less came than was announced; nothing was kept.", code="upload.gone")
        done = await road.write(target.finish)
    except Gone as error:
        raise Conflict("The request ended before its body did; nothing was kept.", code="upload.gone") from error
    finally:
        await at_last(target.close)
    entry: Entry = await road.to("").look(partial(given.files.entry, area, done))
    response.headers["etag"] = etag(entry)
    response.status_code = 200 if replace else 201
    return entry


@router.delete(
    "/content",
    summary="Delete to the trash",
    operation_id="delete_file",
    responses={**CHANGE, **example({"trash": "f3k9x2m4q7ab"})},
)
async def delete_file(request: Request, given: Given, area: Writable, road: Road, path: Where) -> Deleted:
    """A file or folder; it can be taken back until the trash is emptied. What belongs to an ended stage stays."""
    note(request, path=path)
    return Deleted(trash=await road.change(partial(given.files.trash, area, path)))


@router.post(
    "/folders",
    status_code=201,
    summary="Make a folder",
    operation_id="make_folder",
    responses={**CHANGE, 201: {"content": {"application/json": {"example": {**ENTRY, "kind": "folder", "bytes": 0}}}}},
)
async def make_folder(request: Request, given: Given, area: Writable, road: Road, body: NewFolder) -> Entry:
    """With those above it that are missing."""
    note(request, path=body.path)
    return await road.change(partial(given.files.make_folder, area, body.path))


@router.post("/rename", summary="Rename or move", operation_id="rename_file", responses={**CHANGE, **example(ENTRY)})
async def rename_file(request: Request, given: Given, area: Writable, road: Road, body: Renaming) -> Entry:
    """Within one space. Who may see a folder goes with it."""
    note(request, path=body.source, to=body.to)
    return await road.change(partial(given.files.rename, area, body.source, body.to, overwrite=body.overwrite))


@router.post(
    "/unpack",
    status_code=202,
    summary="Unpack an archive on the server",
    operation_id="unpack_file",
    responses={**CHANGE},
)
async def unpack_file(request: Request, given: Given, area: Writable, road: Road, body: Unpacking) -> Operation:
    """zip, tar or tar.gz. Answers the operation that does it; the folder appears when all of it is there. Archives with
    links, devices, names that lead out of the folder, or far more content than size are refused as a whole."""
    note(request, path=body.path, to=body.into)
    return await road.change(partial(given.files.unpack, area, body.path, body.into))


@router.get(
    "/archive",
    summary="A folder as one file",
    operation_id="download_folder",
    response_class=Response,
    responses={
        **READ,
        200: {"content": {"application/zip": {}, "application/gzip": {}}, "description": "made while it is sent"},
    },
)
async def download_folder(
    given: Given,
    area: Readable,
    road: Road,
    path: Where = "",
    form: Annotated[ArchiveForm, Query(alias="format", description="zip: without compression")] = "zip",
) -> Response:
    """Its length is not known before; nothing is put on a disk for it. Links are left out."""
    lanes = road.to(given.files.place(area.space, path))
    rest: Iterator[bytes] = given.files.archive(area, path, form)
    first = await lanes.flow(next_step(rest))
    name = path.rstrip("/").rpartition("/")[2] or str(area.space).replace(":", "-")
    headers = {
        "content-type": "application/zip" if form == "zip" else "application/gzip",
        "content-disposition": disposition(f"{name}.{form}"),
        "content-encoding": "identity",
    }
    return Stream(first, rest, lanes.flow, headers)


@router.get(
    "/text",
    summary="The first or last lines",
    operation_id="read_text",
    responses={**READ, **example({
        "text": "frame,vehicles\n0,3\n", "lines": 2, "bytes": 19, "first": 0, "size": 48110, "encoding": "utf-8",
        "complete": False,
    })},
)  # fmt: skip
async def read_text(
    given: Given,
    area: Readable,
    road: Road,
    path: Where,
    head: Annotated[int, Query(ge=1, le=10_000, description="lines from the beginning")] = 200,
    tail: Annotated[int, Query(ge=0, le=10_000, description="lines from the end instead")] = 0,
    encoding: Annotated[Encoding, Query(description="empty: found out")] = "",
) -> Text:
    """Never more than a megabyte; whole lines where they are shorter than that."""
    look = road.to(given.files.place(area.space, path)).look
    read = partial(given.files.text, area, path, lines=tail or head, tail=tail > 0, encoding=encoding)
    return await look(read)


@router.get(
    "/series",
    summary="A table as thinned series",
    operation_id="read_series",
    responses={**READ, **example({
        "columns": [{"name": "second", "type": "number", "missing": 0, "unreadable": 0},
                    {"name": "vehicles", "type": "number", "missing": 2, "unreadable": 0}],
        "x_name": "second", "x_type": "number", "x": [0.0, 0.04, 0.08], "y": {"vehicles": [3.0, None, 5.0]},
        "rows": 3, "thinned": False,
    })},
)  # fmt: skip
async def read_series(
    given: Given,
    area: Readable,
    road: Road,
    path: Where,
    x: Annotated[str, Query(max_length=200, description="a column; empty: found out")] = "",
    y: Annotated[list[str] | None, Query(max_length=16, description="columns; none: all numbers")] = None,
    points: Annotated[int, Query(ge=2, le=20_000)] = 2000,
) -> Series:
    """A CSV file for a chart. Rows that are kept are rows of the file, and hold all extremes."""
    count = road.to(given.files.place(area.space, path)).count
    return await count(partial(given.files.series, area, path, x=x, y=tuple(y or ()), points=points))


@router.get(
    "/usage",
    summary="Sizes and free space",
    operation_id="file_usage",
    responses={**READ, **example({
        "bytes": 88046829568, "files": 4211, "complete": True, "counted": "2026-03-04T05:00:00Z",
        "folders": {"stages/0001-detect": 81604378624}, "free": 1099511627776, "total": 4398046511104,
    })},
)  # fmt: skip
async def file_usage(given: Given, area: Readable, road: Road) -> SpaceUsage:
    """As of the last count, which runs every ten minutes."""
    return await road.to("").look(partial(given.files.usage, area))


@router.get(
    "/access",
    summary="Who sees a folder of the pool",
    operation_id="folder_access",
    responses={**READ, **example({"groups": ["traffic"]})},
)
async def folder_access(given: Given, area: Readable, road: Road, path: Where) -> FolderAccess:
    look = road.to(given.files.place(area.space, path)).look
    return FolderAccess(groups=await look(partial(given.files.groups, area, path)))


@router.put(
    "/access",
    summary="Say who sees a folder of the pool",
    operation_id="set_folder_access",
    responses={**CHANGE, **example({**ENTRY, "kind": "folder", "groups": ["traffic"]})},
)
async def set_folder_access(
    request: Request, given: Given, area: Writable, road: Road, body: FolderAccess, path: Where
) -> Entry:
    """Members name groups that they are in themselves; those who look after everything, any."""
    await run_in_threadpool(_check_groups, given, area, body.groups)
    note(request, path=path, groups=" ".join(body.groups))
    return await road.change(partial(given.files.set_groups, area, path, body.groups))


def _check_groups(given: Services, area: Area, groups: tuple[str, ...]) -> None:
    who = area.who
    if not who.sees_all and not set(groups) <= who.groups:
        raise denied(who, Action.WRITE_FILES, "the membership in every group that is named")
    for name in groups:
        given.people.group(name)
