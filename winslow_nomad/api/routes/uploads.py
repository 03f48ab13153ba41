"""Resumable uploads by the tus protocol 1.0.0 (https://tus.io/protocols/resumable-upload), with the extensions
creation, termination, expiration and checksum.

The offset is the size of what is on the disk, so a client that asks for it after any crash goes on at the right byte.
All that can be refused is refused before the first byte of a body is taken. A newer connection for the same upload
ends the older one, which is usually one whose client has long gone."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import format_datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from winslow_nomad.api.areas import FileRoute, Gone, area_of, in_header, pour
from winslow_nomad.api.authority import may, open_to_all
from winslow_nomad.api.lanes import Roads, at_last, roads
from winslow_nomad.api.patience import UNLIMITED
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.trail import note
from winslow_nomad.core.access import Action, Principal
from winslow_nomad.core.errors import Conflict, Invalid
from winslow_nomad.core.filing import Area, Space, Upload, Writing

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration,checksum"
BODY = "application/offset+octet-stream"
LONGEST_METADATA = 8192
SUM = re.compile(r"([0-9a-fA-F]{64})?", re.ASCII)  # empty: it is not told
MAKE_WAY = 15.0  # seconds that an older connection gets for writing what it has
Own = Annotated[Principal, Depends(may(Action.WRITE_FILES))]
Road = Annotated[Roads, Depends(roads)]
Identifier = Annotated[str, Path(description="32 hexadecimal digits", max_length=100)]
TUS = documented(400, 401, 403, 404, 409, 412, 422, 423, 429, 503, 507)


class TusRoute(FileRoute):
    """Every answer says which version it speaks; a request of another version is refused before anything else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            response = await handle(request)
            response.headers["tus-resumable"] = VERSION
            return response

        return handled


def speaks_tus(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise Invalid(
            f"This speaks tus {VERSION}; nothing was done.",
            hint=f"Send the header Tus-Resumable: {VERSION}.",
            code="upload.version",
        )


router = APIRouter(prefix="/api/v1/uploads", tags=["uploads"], route_class=TusRoute)
SPEAKING = [Depends(speaks_tus)]


@dataclass
class Connection:
    """One that writes an upload at this moment."""

    task: asyncio.Task[Any]
    superseded: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@router.options(
    "",
    status_code=204,
    summary="What uploads can do",
    operation_id="upload_options",
    dependencies=[Depends(open_to_all)],
)
async def upload_options(given: Given) -> Response:
    headers = {
        "tus-version": VERSION,
        "tus-extension": EXTENSIONS,
        "tus-max-size": str(given.uploads.largest),
        "tus-checksum-algorithm": "sha256",
    }
    return Response(status_code=204, headers=headers)


@router.post(
    "",
    status_code=201,
    summary="Begin an upload",
    operation_id="begin_upload",
    response_class=Response,
    dependencies=SPEAKING,
    responses={**TUS, **documented(413), 201: {"description": "`Location` is where it goes on"}},
    openapi_extra={
        "parameters": [
            {"name": "Tus-Resumable", "in": "header", "required": True, "schema": {"const": VERSION}},
            {"name": "Upload-Length", "in": "header", "required": True, "schema": {"type": "integer", "minimum": 0}},
            {
                "name": "Upload-Metadata",
                "in": "header",
                "required": True,
                "description": "`space` (inputs, or project:<id>), `path` (a folder, empty: where the space begins), "
                "`filename`, `conflict` (refuse, keep_both, replace), `sha256` of the whole file in hex; each followed "
                "by its value in base64",
                "schema": {"type": "string"},
                "example": "space aW5wdXRz,path anVuY3Rpb24=,filename bm9ydGgubXA0",
            },
        ]
    },
)
async def begin_upload(request: Request, given: Given, who: Own, road: Road) -> Response:
    """Refused where the name is taken (409; unless `conflict` says what to do), too large (413), and where there is no
    room or quota for it (507). A name that is taken only while the file is on its way gets a number."""
    length = _number(request, "upload-length")
    text = request.headers.get("upload-metadata", "")
    told = metadata(text)
    if length > given.uploads.largest:
        raise Invalid(
            f"A file may have up to {given.uploads.largest} bytes; nothing was begun.", code="upload.too_large"
        )
    area = await run_in_threadpool(area_of, given, who, Space.parse(told.get("space", "inputs")), write=True)
    path = "/".join(p for p in (told.get("path", "").strip("/"), told["filename"]) if p)
    note(request, path=path, space=str(area.space))
    begin = partial(
        given.uploads.begin,
        area,
        path,
        length,
        conflict=told.get("conflict", "refuse"),
        sha256=told.get("sha256", "").lower(),
        metadata=text,
    )
    made = await road.change(begin)
    if length == 0:
        made = made.but(path=await _empty(given, area, made, road), done=True)
    headers = {"location": f"/api/v1/uploads/{made.id}", "upload-offset": "0", **_headers(made)}
    return Response(status_code=201, headers=headers)


async def _empty(given: Services, area: Area, made: Upload, road: Roads) -> str:
    """There is nothing to send, so no request would follow."""
    target = await road.change(partial(given.uploads.write, area, made.id, 0), unwanted=lambda late: late.close())
    try:
        return await road.write(target.finish)
    finally:
        await at_last(target.close)


@router.head(
    "/{upload}",
    summary="How far an upload is",
    operation_id="upload_offset",
    response_class=Response,
    dependencies=SPEAKING,
    responses={**TUS, 200: {"description": "`Upload-Offset` is what is on the disk"}},
)
async def upload_offset(given: Given, who: Own, road: Road, upload: Identifier) -> Response:
    found = await road.write(partial(given.uploads.look, who, upload))
    headers = {"upload-offset": str(found.offset), "upload-length": str(found.length), "cache-control": "no-store"}
    if found.metadata:
        headers["upload-metadata"] = found.metadata
    return Response(status_code=200, headers={**headers, **_headers(found)})


@router.patch(
    "/{upload}",
    status_code=204,
    summary="Go on with an upload",
    operation_id="continue_upload",
    response_class=Response,
    dependencies=SPEAKING,
    max_body_size=UNLIMITED,
    responses={
        **TUS,
        **documented(408, 413, 415, 460),
        204: {"description": "`Upload-Offset` is what is on the disk; `Winslow-Path` where the file is, at its end"},
    },
    openapi_extra={
        "parameters": [
            {"name": "Tus-Resumable", "in": "header", "required": True, "schema": {"const": VERSION}},
            {"name": "Upload-Offset", "in": "header", "required": True, "schema": {"type": "integer", "minimum": 0}},
            {
                "name": "Upload-Checksum",
                "in": "header",
                "description": "`sha256` and the sum of this body in base64; where it is wrong (460) nothing is kept",
                "schema": {"type": "string"},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {BODY: {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def continue_upload(request: Request, given: Given, who: Own, road: Road, upload: Identifier) -> Response:
    offset = _number(request, "upload-offset")
    if request.headers.get("content-type") != BODY:
        raise Invalid(f"The body has to be of the type {BODY}; nothing was done.", code="upload.media_type")
    expected = checksum(request.headers.get("upload-checksum"))
    under_way: dict[str, Connection] = request.app.state.uploads
    await road.write(partial(given.uploads.look, who, upload))  # before anybody's connection is ended for it
    await _end_older(under_way, upload)
    found = await road.write(partial(given.uploads.look, who, upload))
    note(request, path=found.path, space=found.space)
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and offset + int(announced) > found.length:
        raise Conflict(f"The upload has {found.length} bytes in all; nothing was written.", code="upload.too_long")
    if found.done and offset == found.length:
        return _written(found.length, found)
    area = await run_in_threadpool(area_of, given, who, Space.parse(found.space), write=True)
    task = asyncio.current_task()
    assert task is not None
    mine = Connection(task)
    await _end_older(under_way, upload)
    under_way[upload] = mine
    try:
        begin = partial(given.uploads.write, area, upload, offset, verified=expected is not None)
        target = await road.change(begin, unwanted=lambda late: late.close())
        try:
            await _take(request, target, road)
            return await _after(target, found, expected, road)
        finally:
            await at_last(target.close)
    except asyncio.CancelledError:
        if not mine.superseded:
            raise
        task.uncancel()
        raise Conflict("A newer connection goes on with this upload.", code="upload.taken_over") from None
    finally:
        mine.ended.set()
        if under_way.get(upload) is mine:
            del under_way[upload]


async def _end_older(under_way: dict[str, Connection], upload: str) -> None:
    """A connection whose client has gone without a word would hold the upload until its time is over. It is cancelled
    once, whoever else waits for it: what it does at its end is not to be cut off."""
    older = under_way.get(upload)
    if older is not None:
        if not older.superseded:
            older.superseded = True
            older.task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(MAKE_WAY):
                await older.ended.wait()


async def _take(request: Request, target: Writing, road: Roads) -> None:
    try:
        await pour(request, target, road.write)
    except Gone as error:
        raise Conflict("The request ended before its body did; what came is kept.", code="upload.gone") from error


async def _after(target: Writing, found: Upload, expected: str | None, road: Roads) -> Response:
    if expected is not None and not await road.write(partial(target.verify, expected)):
        raise Conflict(
            "What came is not what was sent: its SHA-256 is another one. Nothing of it was kept.",
            hint="Send it again.",
            code="upload.checksum",
        )
    if target.offset == target.length:
        return _written(target.offset, found.but(path=await road.write(target.finish), done=True))
    return _written(target.offset, found)


def _written(offset: int, upload: Upload) -> Response:
    return Response(status_code=204, headers={"upload-offset": str(offset), **_headers(upload)})


@router.delete(
    "/{upload}",
    status_code=204,
    summary="Give up an upload",
    operation_id="cancel_upload",
    response_class=Response,
    dependencies=SPEAKING,
    responses=TUS,
)
async def cancel_upload(request: Request, given: Given, who: Own, road: Road, upload: Identifier) -> Response:
    """What has come of it goes. A file that is complete stays."""
    await road.write(partial(given.uploads.look, who, upload))  # before anybody's connection is ended for it
    await _end_older(request.app.state.uploads, upload)
    await road.write(partial(given.uploads.drop, who, upload))
    return Response(status_code=204)


def _headers(upload: Upload) -> dict[str, str]:
    if upload.done:
        return {"winslow-path": in_header(upload.path)}
    return {"upload-expires": format_datetime(upload.expires, usegmt=True)}


def _number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Invalid(f"The header {header.title()} has to be a number; nothing was done.", code="upload.header")
    return int(text)


def metadata(text: str) -> dict[str, Any]:
    """Upload-Metadata. Raises Invalid."""
    found: dict[str, str] = {}
    try:
        if len(text) > LONGEST_METADATA:
            raise ValueError
        for pair in text.split(",") if text.strip() else ():
            key, _, value = pair.strip().partition(" ")
            if not key or key in found:
                raise ValueError
            found[key] = base64.b64decode(value, validate=True).decode()
        if not found.get("filename") or found.get("conflict", "refuse") not in ("refuse", "keep_both", "replace"):
            raise ValueError
        if "/" in found["filename"]:
            raise ValueError
        if not SUM.fullmatch(found.get("sha256", "")):
            raise ValueError
    except (ValueError, binascii.Error) as error:
        raise Invalid(
            "The header Upload-Metadata cannot be understood; nothing was begun.",
            hint="Send `filename <base64>`, and `space`, `path`, `conflict`, `sha256` in the same way.",
            code="upload.header",
        ) from error
    return found


def checksum(header: str | None) -> str | None:
    """Upload-Checksum, as hex. Raises Invalid."""
    if header is None:
        return None
    kind, _, value = header.partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
        if kind != "sha256" or len(digest) != 32:
            raise ValueError
    except (ValueError, binascii.Error) as error:
        raise Invalid(
            "The header Upload-Checksum has to be `sha256 <base64>`; nothing was done.", code="upload.header"
        ) from error
    return digest.hex()
