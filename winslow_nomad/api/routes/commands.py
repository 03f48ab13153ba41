"""What people ask of a project, or of many: one route for all commands."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response

from winslow_nomad.api import showing
from winslow_nomad.api.authority import may
from winslow_nomad.api.commanding import IdempotencyKey, IfMatch, etag, seen, send
from winslow_nomad.api.problems import documented, status_of
from winslow_nomad.api.services import Given
from winslow_nomad.api.views.bulk import BulkAnswer, Done
from winslow_nomad.api.views.commands import EXAMPLES, BulkBody, CommandBody
from winslow_nomad.api.views.projects import ProjectView
from winslow_nomad.core.access import Action, Principal
from winslow_nomad.core.errors import WinslowError

router = APIRouter(prefix="/api/v1", tags=["commands"])


@router.post(
    "/projects/{project}/commands",
    summary="Ask something of a project",
    responses=documented(400, 401, 403, 404, 409, 412, 413, 422, 503),
)
def command_project(
    project: str,
    body: Annotated[CommandBody, Body(openapi_examples=EXAMPLES)],
    given: Given,
    response: Response,
    who: Annotated[Principal, Depends(may(Action.COMMENT_PROJECT))],
    idempotency_key: IdempotencyKey = "",
    if_match: IfMatch = "",
) -> ProjectView:
    """Start, pause, redo, stop, answer and so on, by `kind`; answers the project after it. Commenting is for all who
    see the project; who manages it may delete it and set its secrets; all else needs a member."""
    after = send(given, who, project, body, key=idempotency_key, expected=seen(if_match))
    response.headers["ETag"] = etag(after)
    return showing.show(given, who, after)


@router.post("/bulk", summary="Ask the same of several projects", responses=documented(400, 401, 403, 413, 422, 503))
def command_many(
    body: BulkBody,
    given: Given,
    who: Annotated[Principal, Depends(may(Action.RUN_MANY))],
    idempotency_key: IdempotencyKey = "",
) -> BulkAnswer:
    """Each project is asked by itself, and one that refuses keeps no other from being asked."""
    return BulkAnswer(items=[_one(given, who, p, body.command, idempotency_key) for p in dict.fromkeys(body.projects)])


def _one(given: Given, who: Principal, project: str, command: Any, key: str) -> Done:
    try:
        after = send(given, who, project, command, key=f"{key}/{project}" if key else "")
    except WinslowError as error:
        return Done(project=project, status=status_of(error), code=error.code, title=error.message, hint=error.hint)
    return Done(project=project, status=200, state=after.state.value, version=after.version)
