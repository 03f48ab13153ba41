"""Projects: the list, making one, one as a whole."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic_core import to_json

from winslow_nomad.api import making, showing
from winslow_nomad.api.authority import check_project, may
from winslow_nomad.api.commanding import IdempotencyKey, IfMatch, etag, seen, send
from winslow_nomad.api.problems import documented
from winslow_nomad.api.routes.operations import OperationView, view
from winslow_nomad.api.services import Given
from winslow_nomad.api.views.commands import body_of
from winslow_nomad.api.views.making import NewProject
from winslow_nomad.api.views.projects import Asked, CountsView, Describing, Facets, LeftoversView, ProjectView, Rows
from winslow_nomad.core import lists
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import Action, Principal

router = APIRouter(prefix="/api/v1/projects", tags=["projects"])
CAP = 4000  # projects that one page looks at; it may come back short, with a cursor
MOST_ASKED = 100  # questions that are counted one by one


@router.get("", summary="List projects", response_model=Rows, responses=documented(401, 403, 404, 422, 503))
def list_projects(
    given: Given,
    who: Annotated[Principal, Depends(may(Action.LIST_PROJECTS))],
    asked: Annotated[Asked, Query()],
) -> Response:
    """Those that the caller may see. A page may be shorter than `limit` and have a `next` all the same: then there
    may be more further on."""
    query = asked.query(None if who.sees_all else who.names, CAP)
    if asked.behind:
        found = check_project(given, who, Action.VIEW_PROJECT, asked.behind)
        query = query.but(after=given.listing.place(found.id))
    stored, after = given.listing.text(query)
    return Response(to_json({"items": showing.rows(given, who, stored), "next": after}), media_type="application/json")


@router.get("/counts", summary="Count projects by state", responses=documented(401, 403, 422, 503))
def count_projects(given: Given, who: Annotated[Principal, Depends(may(Action.LIST_PROJECTS))]) -> CountsView:
    """Of those that the caller may see."""
    found = given.listing.counts(None if who.sees_all else who.names, who.user)
    query = lists.Query(who=None if who.sees_all else who.names, asking=True, limit=MOST_ASKED)
    asking = sum(1 for row in given.listing.find(query).rows if showing.may_answer(who, row))
    return CountsView(states=found.states, total=found.total, mine=found.mine, waiting_for_me=asking)


@router.get("/facets", summary="What projects can be filtered by", responses=documented(401, 403, 422, 503))
def list_facets(given: Given, who: Annotated[Principal, Depends(may(Action.LIST_PROJECTS))]) -> Facets:
    """Tags and pipelines of the projects that the caller may see."""
    names = None if who.sees_all else who.names
    return Facets(tags=given.listing.used_tags(names), pipelines=given.listing.used_pipelines(names))


@router.post(
    "",
    status_code=201,
    summary="Make a project",
    responses=documented(400, 401, 403, 404, 409, 413, 422, 503),
)
def create_project(
    body: NewProject,
    given: Given,
    response: Response,
    who: Annotated[Principal, Depends(may(Action.CREATE_PROJECT))],
    idempotency_key: IdempotencyKey = "",
) -> ProjectView:
    """With its own copy of a pipeline."""
    made = making.make(given, who, body, idempotency_key)
    response.headers["ETag"] = etag(made)
    response.headers["Location"] = f"/api/v1/projects/{made.id}"
    return showing.show(given, who, made)


@router.get(
    "/{project}",
    summary="One project",
    responses=documented(401, 403, 404, 422, 503),
)
def read_project(
    project: str,
    given: Given,
    response: Response,
    who: Annotated[Principal, Depends(may(Action.VIEW_PROJECT))],
) -> ProjectView:
    """Everything that its page shows but logs, files and charts."""
    found = given.client.project(project)
    response.headers["ETag"] = etag(found)
    return showing.show(given, who, found)


@router.patch(
    "/{project}",
    summary="Describe a project",
    responses=documented(400, 401, 403, 404, 409, 412, 413, 422, 503),
)
def describe_project(
    project: str,
    body: Describing,
    given: Given,
    response: Response,
    who: Annotated[Principal, Depends(may(Action.RUN_PROJECT))],
    idempotency_key: IdempotencyKey = "",
    if_match: IfMatch = "",
) -> ProjectView:
    """Name, tags, priority; author and participants by those who manage it."""
    command = body_of(m.Describe)(**body.model_dump())
    after = send(given, who, project, command, key=idempotency_key, expected=seen(if_match))
    response.headers["ETag"] = etag(after)
    return showing.show(given, who, after)


@router.delete(
    "/{project}", summary="Put a project into the trash", responses=documented(401, 403, 404, 409, 412, 422, 503)
)
def delete_project(
    project: str,
    given: Given,
    response: Response,
    who: Annotated[Principal, Depends(may(Action.MANAGE_PROJECT))],
    idempotency_key: IdempotencyKey = "",
    if_match: IfMatch = "",
) -> ProjectView:
    """Stops what runs. It can be restored for as long as the trash keeps it."""
    after = send(given, who, project, body_of(m.TrashProject)(), key=idempotency_key, expected=seen(if_match))
    response.headers["ETag"] = etag(after)
    return showing.show(given, who, after)


@router.post(
    "/{project}/restore",
    summary="Take a project out of the trash",
    responses=documented(401, 403, 404, 409, 412, 422, 503),
)
def restore_project(
    project: str,
    given: Given,
    response: Response,
    who: Annotated[Principal, Depends(may(Action.MANAGE_PROJECT))],
    idempotency_key: IdempotencyKey = "",
    if_match: IfMatch = "",
) -> ProjectView:
    """With its files."""
    after = send(given, who, project, body_of(m.RestoreProject)(), key=idempotency_key, expected=seen(if_match))
    response.headers["ETag"] = etag(after)
    return showing.show(given, who, after)


@router.post(
    "/{project}/clean",
    status_code=202,
    summary="Clean up after failed stages",
    responses=documented(401, 403, 404, 409, 422, 503),
)
def clean_project(
    project: str,
    given: Given,
    who: Annotated[Principal, Depends(may(Action.RUN_PROJECT))],
    idempotency_key: IdempotencyKey = "",
) -> OperationView:
    """What would go by itself in some days goes to the trash now: workspaces of stages that failed or were stopped,
    and what superseded attempts left. Records, logs and outputs stay, and so does all that a result descends from."""
    return view(given.client.clean(project, actor=who.user, key=idempotency_key))


@router.get(
    "/{project}/leftovers",
    summary="What cleaning up would move",
    responses=documented(401, 403, 404, 422, 503),
)
def list_leftovers(
    project: str,
    given: Given,
    who: Annotated[Principal, Depends(may(Action.VIEW_PROJECT))],  # noqa: ARG001 - who is asked for
) -> LeftoversView:
    """With its sizes and when it goes by itself; and what of it lies in the trash already, to be taken back."""
    return LeftoversView.model_validate(given.client.leftovers(project).model_dump())


@router.post(
    "/{project}/leftovers/{entry}/restore",
    status_code=202,
    summary="Take back what a clean-up moved",
    responses=documented(401, 403, 404, 422, 503),
)
def take_back_leftovers(
    project: str,
    entry: Annotated[str, Path(max_length=200)],
    given: Given,
    who: Annotated[Principal, Depends(may(Action.RUN_PROJECT))],
    idempotency_key: IdempotencyKey = "",
) -> OperationView:
    """All of an entry, to where it was. From then on it is kept as long as if it had just become useless."""
    return view(given.client.take_back(project, entry, actor=who.user, key=idempotency_key))
