"""From an answer that says no (problem+json, RFC 9457) back to the error that it was made of.

The same classes and codes as on the server, so that who calls need not know where an error comes from."""

from __future__ import annotations

import re
from typing import Any

import httpx

from winslow_nomad.core import errors
from winslow_nomad.core.errors import Problem, WinslowError

BY_STATUS: dict[int, type[WinslowError]] = {
    401: errors.Unidentified,
    403: errors.Denied,
    404: errors.NotFound,
    408: errors.Unavailable,
    409: errors.Refused,
    412: errors.Conflict,
    423: errors.Unavailable,
    460: errors.Conflict,
    507: errors.NoRoom,
}
BY_CODE: dict[str, type[WinslowError]] = {
    "conflict.version": errors.VersionChanged,
    "driver.rejected": errors.DriverRejected,
    **dict.fromkeys(
        (
            "conflict",
            "idempotency.other_request",
            "path.changed",
            "pipeline.changed",
            "pipeline.exists",
            "project.changed",
            "project.exists",
            "upload.incomplete",
            "upload.offset",
            "upload.taken_over",
        ),
        errors.Conflict,
    ),
    "store.outcome_unknown": errors.OutcomeUnknown,
}
AWAY: dict[str, type[errors.Unavailable]] = {
    "store": errors.StoreUnavailable,
    "driver": errors.DriverUnavailable,
    "share": errors.ShareUnavailable,
}
SHOWN = 5  # mistakes of a request that are told
PROBLEM = "application/problem+json"
_LETTERS = re.compile(r"[^a-z0-9_.]")


def error_of(response: httpx.Response) -> WinslowError:
    """Of an answer with a status of 400 or above."""
    try:
        told: Any = response.json()
    except ValueError:
        told = None
    if not isinstance(told, dict) or "code" not in told or "title" not in told:
        bare = _without_words(response)
        return bare if bare is not None else _not_ours(response)
    status = response.status_code
    code = _LETTERS.sub("", str(told["code"]))
    message, hint = str(told["title"]), str(told.get("hint") or "")
    places = [p for p in told.get("errors") or () if isinstance(p, dict)]
    if status == 422 and places and all(p.get("file") for p in places):
        return errors.InvalidPipeline(tuple(problem(p) for p in places))
    message = " ".join([message, *(_place(p) for p in places[:SHOWN])])
    if status == 429:
        return errors.TooMany(message, retry_after=retry_after(response), hint=hint, code=code)
    if status >= 500 and status != 507:
        return _failed(response, code, message, hint, str(told.get("request_id") or ""))
    kind = BY_CODE.get(code) or BY_STATUS.get(status, errors.Invalid)
    return kind(message, hint=hint, code=code)


def _failed(response: httpx.Response, code: str, message: str, hint: str, request: str) -> WinslowError:
    told = f"The server knows it as request {request}." if request else ""
    hint = " ".join(t for t in (hint, told) if t)
    if response.status_code != 503:
        return errors.Unavailable(
            f"The server met something that nobody foresaw: {message}",
            hint=" ".join(t for t in ("Repeating is safe.", hint) if t),
            code="server.failed",
        )
    kind = BY_CODE.get(code) or AWAY.get(code.partition(".")[0], errors.Unavailable)
    return kind(message, hint=hint, code=code)


def _without_words(response: httpx.Response) -> WinslowError | None:
    """An answer to HEAD has no body: that it is a problem of ours, and its status, are all that it tells. None: it is
    not one."""
    if response.request.method != "HEAD" or not response.headers.get("content-type", "").startswith(PROBLEM):
        return None
    status = response.status_code
    message = f"{response.request.url.path} cannot be had: the server says {status}, and no more."
    if status == 429:
        return errors.TooMany(message, retry_after=retry_after(response))
    return errors.Unavailable(message) if status >= 500 else BY_STATUS.get(status, errors.Invalid)(message)


def _not_ours(response: httpx.Response) -> WinslowError:
    """What a proxy in between says, or something that is no Winslow."""
    where = f"{response.request.url.scheme}://{response.request.url.netloc.decode()}"
    if response.status_code in (502, 503, 504):
        return errors.Unavailable(
            f"Winslow does not answer behind {where} (status {response.status_code}).",
            hint="What was acknowledged before is safe; try again.",
            code="server.away",
        )
    return errors.Invalid(
        f"What answers at {where} is no Winslow (status {response.status_code}).",
        hint="Look at the address.",
        code="server.other",
    )


def problem(place: dict[str, Any]) -> Problem:
    return Problem(
        str(place.get("file") or ""),
        int(place.get("line") or 0),
        int(place.get("column") or 0),
        str(place.get("message") or ""),
        str(place.get("hint") or ""),
        str(place.get("code") or "pipeline.invalid"),
    )


def _place(place: dict[str, Any]) -> str:
    field = str(place.get("field") or "").removeprefix("body.")
    return f"{field}: {place.get('message')}." if field else f"{place.get('message')}."


def retry_after(response: httpx.Response) -> float:
    """Seconds."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 2.0
