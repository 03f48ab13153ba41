"""Errors as problem+json (RFC 9457): status by the kind of error, its stable code, the field where one is wrong, and
the id under which the log has the rest. Never a stack, never a secret."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from winslow_nomad.core import errors

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
CODES = {400: "request.invalid", 401: "session.required", 403: "access.denied", 404: "not_found",
         405: "request.method", 408: "request.too_slow", 412: "conflict.version", 413: "request.too_large",
         415: "request.media_type", 421: "request.host", 428: "request.precondition", 429: "request.too_many",
         500: "internal"}  # fmt: skip


class Place(BaseModel):
    """One mistake in what was sent: `field` is a path such as `body.values.MIN_AREA`; line and column in files."""

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


class Denied(errors.WinslowError):
    """Answered 401 (nobody is logged in) or 403 (somebody is, who may not)."""

    code = "access.denied"


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
        request.state.denied = isinstance(error, Hidden)
        headers = {"Retry-After": "2"} if status == 503 else {}
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if isinstance(error, errors.TooMany):
            headers["Retry-After"] = str(math.ceil(error.retry_after))
        if status >= 500:
            log.warning("%s: %s", error.code, error.message)
        return answer(
            request, status, error.code, error.message, hint=error.hint, places=places, headers=headers
        )

    @app.exception_handler(RequestValidationError)
    def unreadable(request: Request, error: RequestValidationError) -> JSONResponse:
        places = [
            Place(field=".".join(str(p) for p in e["loc"]), message=str(e["msg"]), code=str(e["type"]))
            for e in error.errors()
        ]
        title = "The request is not as it should be; nothing was done."
        return answer(request, 422, "request.invalid", title, places=places)

    @app.exception_handler(HTTPException)
    def by_status(request: Request, error: HTTPException) -> JSONResponse:
        code = CODES.get(error.status_code, "request.invalid")
        return answer(request, error.status_code, code, str(error.detail), headers=error.headers)

def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses answer with a Problem."""
    return {s: {"model": Problem, "content": {MEDIA_TYPE: {}}} for s in statuses}
