"""Logs by lines, searched, as they were written, and as they are being written."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from winslow_nomad.api.areas import FileRoute
from winslow_nomad.api.authority import check_project, may
from winslow_nomad.api.delivery import disposition, wanted_range
from winslow_nomad.api.following import Reading, lanes, still_allowed, with_beats
from winslow_nomad.api.lanes import Lane
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given
from winslow_nomad.core.access import Action
from winslow_nomad.core.client import LogChunk
from winslow_nomad.core.logs import AttemptLog, LogHits, LogPage, Stream

router = APIRouter(prefix="/api/v1/projects/{project}/stages/{stage}/log", tags=["logs"], route_class=FileRoute)
BLOCK = 1024 * 1024  # bytes read at once
BEAT, END = b'{"beat": true}\n', b'{"end": true}\n'
AttemptNumber = Annotated[int, Query(ge=0, le=10**6, description="0: the newest")]
OneStream = Annotated[Stream | None, Query(description="one stream, counted by itself; left out: both")]
VIEW = [Depends(may(Action.VIEW_PROJECT))]
LINE = {"n": 41872, "stream": "out", "at": "2026-11-24T14:31:52.104Z", "text": "frame 41872: 7 vehicles"}
PAGE = {"attempt": 1, "start": 41872, "total": 52110, "complete": True, "ended": False, "lines": [LINE]}
HITS = {"attempt": 1, "total": 52110, "hits": [LINE], "next": None, "ended": False}


def answers(example: dict[str, Any], *statuses: int) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": example}}}, **documented(401, 403, 404, 503, *statuses)}


@router.get("", summary="Lines of a log", response_model=LogPage, dependencies=VIEW, responses=answers(PAGE, 422))
async def read_log(
    given: Given,
    request: Request,
    project: str,
    stage: int,
    attempt: AttemptNumber = 0,
    start: Annotated[int, Query(ge=-(10**15), le=10**15, description="from 0; negative: from the end")] = 0,
    count: Annotated[int, Query(ge=0, le=5000)] = 500,
    stream: OneStream = None,
) -> Response:
    """Both streams in the order of time, or one of them. There may be fewer lines than asked for where they are very
    long; the next ones begin at `start` + the number of `lines`."""

    def work() -> str:
        log = given.logs.open(given.client.project(project), stage, attempt)
        return log.page(start, count, stream).model_dump_json()

    return as_json(await lanes(request).read(work))


@router.get(
    "/tail", summary="The end of a log", response_model=LogPage, dependencies=VIEW, responses=answers(PAGE, 422)
)
async def read_log_tail(
    given: Given,
    request: Request,
    project: str,
    stage: int,
    attempt: AttemptNumber = 0,
    count: Annotated[int, Query(ge=1, le=5000)] = 100,
    stream: OneStream = None,
) -> Response:
    """The last lines. 503 with the code log.large while a log of many gigabytes is looked through for once."""

    def work() -> str:
        log = given.logs.open(given.client.project(project), stage, attempt)
        return log.page(-count, count, stream).model_dump_json()

    return as_json(await lanes(request).read(work))


@router.get(
    "/search", summary="Search a log", response_model=LogHits, dependencies=VIEW, responses=answers(HITS, 422, 429)
)
async def search_log(
    given: Given,
    request: Request,
    project: str,
    stage: int,
    pattern: Annotated[str, Query(min_length=1, max_length=1000, description="a text, or with `regex` an expression")],
    regex: Annotated[bool, Query(description="RE2: without look-around; `^` and `$` are line ends")] = False,
    case: Annotated[bool, Query(description="whether small and capital letters differ")] = True,
    backwards: bool = False,
    start: Annotated[int | None, Query(ge=0, le=10**15, description="a line; backwards: those before it")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    attempt: AttemptNumber = 0,
    stream: Annotated[Stream | None, Query(description="only lines of this one")] = None,
) -> Response:
    """Line by line over the bytes as they were written, colours and overwritten progress included. Takes about two
    seconds at most; `next` is where to go on, as `start`."""

    def work() -> str:
        log = given.logs.open(given.client.project(project), stage, attempt)
        found = log.search(
            pattern, regex=regex, case=case, start=start, limit=limit, backwards=backwards, stream=stream
        )
        return found.model_dump_json()

    return as_json(await lanes(request).search(work))


@router.get(
    "/raw",
    summary="A log as it was written",
    dependencies=VIEW,
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"example": "frame 41872: 7 vehicles\n"}}},
        206: {"description": "A part", "content": {"text/plain": {}}},
        304: {"description": "Not changed"},
        **documented(401, 403, 404, 416, 422, 503),
    },
)
async def download_log(
    given: Given,
    request: Request,
    project: str,
    stage: int,
    attempt: AttemptNumber = 0,
    stream: Annotated[Stream | None, Query(description="the exact bytes of one; left out: both as they came")] = None,
) -> Response:
    """What there is now. Secrets are masked by as many asterisks as they have bytes, so lengths and ranges are the true
    ones. Range, ETag and If-Range as for files."""

    def look() -> tuple[AttemptLog, int, str]:
        log = given.logs.open(given.client.project(project), stage, attempt)
        raw = log.raw(stream)
        return log, raw.size, f'"{raw.tag}"'

    log, size, tag = await lanes(request).read(look)
    headers = {"etag": tag, "accept-ranges": "bytes", "cache-control": "private, no-cache"}
    known = request.headers.get("if-none-match", "")
    if tag in {t.strip().removeprefix("W/") for t in known.split(",")}:
        return Response(status_code=304, headers=headers)
    span = None
    if "range" in request.headers and request.headers.get("if-range", tag) == tag:
        span = wanted_range(request.headers["range"], size)
    start, end = span or (0, size)
    if span is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    name = f"{project}-{stage:04d}-{log.attempt}{f'-{stream}' if stream else ''}.log"
    headers |= {
        "content-length": str(end - start),
        "content-encoding": "identity",
        "content-disposition": disposition(name),
    }
    body = raw_bytes(lanes(request).read, log, stream, start, end)
    return StreamingResponse(body, 200 if span is None else 206, headers, media_type="text/plain; charset=utf-8")


async def raw_bytes(lane: Lane, log: AttemptLog, stream: Stream | None, start: int, end: int) -> AsyncIterator[bytes]:
    while start < end:
        chunks = await lane(partial(log.read, start, min(BLOCK, end - start), stream))
        data = b"".join(chunk.data for chunk in chunks)
        if not data:
            return  # it has become shorter: the length that was promised tells the reader
        start += len(data)
        yield data


@router.get(
    "/follow",
    summary="Follow a log",
    dependencies=VIEW,
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {
                "text/plain": {"example": "frame 41872: 7 vehicles\n"},
                "application/x-ndjson": {"example": json.dumps(LINE) + "\n"},
            }
        },
        **documented(401, 403, 404, 422, 503),
    },
)
async def follow_log(
    given: Given,
    request: Request,
    project: str,
    stage: int,
    attempt: AttemptNumber = 0,
    start: Annotated[int, Query(ge=-(10**15), le=10**15, description="a line; -100: the last hundred first")] = 0,
    offset: Annotated[
        int | None, Query(ge=0, le=10**15, description="a byte instead: where a reader that was cut off goes on")
    ] = None,
    stream: OneStream = None,
    wait: Annotated[bool, Query(description="false: end with what is there now")] = True,
    form: Annotated[
        Literal["text", "lines", "chunks"],
        Query(alias="format", description="text: bytes as they come; lines: each as JSON once it is complete; chunks: "
              "bytes as JSON, with stream, time and base64; a line with `beat` when nothing else comes for a while, "
              "and one with `end` behind the last byte: without it there may be more"),
    ] = "text",
) -> Response:  # fmt: skip
    """What is there and what is written from now on (`curl -N`). Ends when the attempt has ended. `offset` counts the
    bytes of what is followed, and goes with `text` and `chunks`. `Winslow-Attempt` tells the number of the attempt."""

    def open_log() -> AttemptLog:
        return given.logs.open(given.client.project(project), stage, attempt)

    log = await lanes(request).read(open_log)
    number = log.attempt

    def look() -> AttemptLog:
        return given.logs.open(given.client.project(project), stage, number)

    allowed = still_allowed(given, request, lambda who: check_project(given, who, Action.VIEW_PROJECT, project))
    reading = Reading(given, lanes(request).read, request.app.state.stopping, look, allowed, wait=wait)
    media = "text/plain; charset=utf-8" if form == "text" else "application/x-ndjson"
    headers = {"x-accel-buffering": "no", "content-encoding": "identity"}
    headers["winslow-attempt"] = str(number)
    return StreamingResponse(written(reading, start, offset, stream, form), 200, headers, media_type=media)


async def written(
    reading: Reading, start: int, offset: int | None, stream: Stream | None, form: str
) -> AsyncIterator[bytes]:
    if form == "lines":
        async for line in reading.lines(start, stream):
            yield line.model_dump_json().encode() + b"\n"
        return
    chunks = reading.chunks(start, stream, offset)
    if form == "text":
        async for chunk in chunks:
            yield chunk.data
        return
    async for found in with_beats(chunks):
        yield chunk_line(found) if found is not None else BEAT
    if reading.complete:
        yield END


def chunk_line(chunk: LogChunk) -> bytes:
    at = chunk.at.isoformat() if chunk.at is not None else None
    data = base64.b64encode(chunk.data).decode()
    return json.dumps({"stream": chunk.stream, "at": at, "data": data}).encode() + b"\n"


def as_json(text: str) -> Response:
    return Response(text, media_type="application/json")
