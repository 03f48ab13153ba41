"""The whole of a project as one record, for programs that think in the same values as Winslow itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from winslow_nomad.api.authority import may
from winslow_nomad.api.commanding import etag
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given
from winslow_nomad.api.views.whole import without_secrets
from winslow_nomad.core.access import Action, Principal
from winslow_nomad.core.project import Project

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["projects"])


@router.get(
    "/record",
    summary="The record of a project",
    response_model=Project,
    responses={
        200: {"content": {"application/json": {"example": {
            "id": "pk3m8x2w9qf4t", "version": 31, "name": "Neckartor, 17 Nov 16:30", "driver": "nomad",
            "pipeline": {"name": "traffic", "stages": [{"id": "detect"}]}, "created": "2026-11-23T06:40:00Z",
            "updated": "2026-11-24T14:32:00Z",
        }}}},
        304: {"description": "It still has the version of If-None-Match"},
        **documented(401, 403, 404),
    },
)  # fmt: skip
def read_project_record(
    project: str,
    request: Request,
    given: Given,
    who: Annotated[Principal, Depends(may(Action.VIEW_PROJECT))],  # noqa: ARG001 - who is asked for
) -> Response:
    """All of it, ended stages in short, as in project.json on the share; what is secret is masked. `Winslow-Cursor`:
    give it to /events for what has happened since."""
    cursor = given.live.now()  # before it is read, so that nothing is missed in between
    found = given.client.project(project)
    headers = {"etag": etag(found), "cache-control": "private, no-cache", "winslow-cursor": cursor}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(without_secrets(found).model_dump_json(), headers=headers, media_type="application/json")
