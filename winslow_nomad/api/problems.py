"""Errors as problem+json (RFC 9457): status by the kind of error, its stable code, the field where one is wrong, and
the id under which the log has the rest. Never a stack, never a secret."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from winslow_nomad.core import errors
from winslow_nomad.core.errors import Denied

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
STATUS: tuple[tuple[type[errors.WinslowError], int], ...] = (
    (errors.Invalid, 422),
    (errors.NotFound, 404),
    (errors.NoRoom, 507),
    (errors.Refused, 409),
    (errors.Conflict, 409),
    (errors.DriverRejected, 422),
    (errors.Unidentified, 401),
    (errors.TooMany, 429),
    (errors.Unavailable, 503),
)


class Said(NamedTuple):
    title: str
    code: str
    hint: str = ""


BY_STATUS = {  # what is said where nobody knows more than the status
    400: Said("The request cannot be read; nothing was done.", code="request.unreadable"),
    404: Said("There is nothing at this address.", code="not_found"),
    405: Said("This cannot be done at this address; nothing was done.", code="request.method"),
    408: Said(
        "The request came too slowly; what had come was not used.",
        code="request.too_slow",
        hint="Try again over a better connection.",
    ),
    413: Said("The request is larger than this operation takes; nothing was done.", code="request.too_large"),
    415: Said("This operation takes no content of that kind; nothing was done.", code="request.media_type"),
    421: Said(
        "This is not the server that was asked for; nothing was done.",
        code="request.host",
        hint="Use one of its own names or its address; the setting `names` adds names.",
    ),
    500: Said(
        "Something went wrong in Winslow itself; what was asked for may or may not have been done.",
        code="internal",
        hint="Look at the state, then try again. The log has the cause under the request's id.",
    ),
}
FOREIGN = Said(
    "The request comes from a page of another site; nothing was done.",
    code="request.foreign",
    hint="Open Winslow's own address and do it there.",
)
INVALID = Said("The request is not as it should be; nothing was done.", code="request.invalid")


class Place(BaseModel):
    """One mistake in what was sent: `field` is a path such as `body.values.MIN_AREA`, or an entry of a setting, such as
    `limits.0` for its first; line and column in files."""

    field: str = ""
    message: str
    hint: str = ""
    code: str = ""
    file: str = ""
    line: int = 0
    column: int = 0


class Problem(BaseModel):
    """What every answer with a status of 400 and above has as its body."""

    status: int
    code: str = Field(description="stable, for programs; docs/errors.md lists all")
    title: str = Field(description="what happened and what was not touched")
    hint: str = Field(default="", description="what to do next")
    errors: list[Place] = []
    request_id: str = ""


class SignInFirst(errors.WinslowError):
    code = "session.required"


class Hidden(errors.NotFound):
    """It is there, but not for who asks: answered as if it were not, written down as denied."""


def status_of(error: errors.WinslowError) -> int:
    if isinstance(error, SignInFirst):
        return 401
    if isinstance(error, Denied):
        return 403
    if isinstance(error, errors.VersionChanged):
        return 412
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def answer(
    request: Request, status: int, code: str, title: str, *, hint: str = "", places: list[Place] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:  # fmt: skip
    problem = Problem(
        status=status,
        code=code,
        title=title,
        hint=hint,
        errors=places or [],
        request_id=getattr(request.state, "request_id", ""),
    )
    return JSONResponse(problem.model_dump(), status, dict(headers or {}), media_type=MEDIA_TYPE)


def handle_problems(app: FastAPI) -> None:
    @app.exception_handler(errors.WinslowError)
    def known(request: Request, error: errors.WinslowError) -> JSONResponse:
        status = status_of(error)
        places: list[Place] = []
        if isinstance(error, errors.InvalidPipeline):
            places = [Place(**{k: getattr(p, k) for k in ("message", "hint", "code", "file", "line", "column")})
                      for p in error.problems]  # fmt: skip
        if isinstance(error, errors.InvalidEntries):
            places = [Place(field=f, message=m, code=error.code) for f, m in error.entries.items()]
        request.state.denied = isinstance(error, Hidden)
        headers = {"Retry-After": "2"} if status == 503 else {}
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if isinstance(error, errors.TooMany):
            headers["Retry-After"] = str(math.ceil(error.retry_after))
        if status >= 500:
            log.warning("%s: %s", error.code, error.message)
        return answer(request, status, error.code, error.message, hint=error.hint, places=places, headers=headers)

    @app.exception_handler(RequestValidationError)
    def unreadable(request: Request, error: RequestValidationError) -> JSONResponse:
        places = [
            Place(field=".".join(str(p) for p in e["loc"]), message=str(e["msg"]), code=str(e["type"]))
            for e in error.errors()
        ]
        return answer(request, 422, INVALID.code, INVALID.title, places=places)

    @app.exception_handler(HTTPException)
    def by_status(request: Request, error: HTTPException) -> JSONResponse:
        said = BY_STATUS.get(error.status_code, Said(str(error.detail), code="request.refused"))
        return answer(request, error.status_code, said.code, said.title, hint=said.hint, headers=error.headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses answer with a Problem."""
    return {s: {"model": Problem, "content": {MEDIA_TYPE: {}}} for s in statuses}
