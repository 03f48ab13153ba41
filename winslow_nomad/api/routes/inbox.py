"""What waits for the caller: questions and failures of all projects that the caller may go on with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from winslow_nomad.api import showing
from winslow_nomad.api.authority import may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given
from winslow_nomad.api.views.inbox import Inbox, InboxItem, items
from winslow_nomad.core.access import Action, Principal
from winslow_nomad.core.lists import Query as Asked

router = APIRouter(prefix="/api/v1/inbox", tags=["inbox"])
CAP = 4000  # projects that one page looks at


@router.get("", summary="What waits for you", responses=documented(401, 403, 422, 503))
def list_inbox(
    given: Given,
    who: Annotated[Principal, Depends(may(Action.LIST_PROJECTS))],
    tag: Annotated[list[str], Query(max_length=20)] = [],  # noqa: B006 - copied by the framework
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: Annotated[str, Query(max_length=200, description="`next` of the page before")] = "",
) -> Inbox:
    """Of at most `limit` projects, those asked last first. A page may be short and have a `next` all the same."""
    names = None if who.sees_all else who.names
    page = given.listing.find(Asked(who=names, tags=tuple(tag), asking=True, after=after, limit=limit, cap=CAP))
    found: list[InboxItem] = [i for row in page.rows if showing.may_answer(who, row) for i in items(row)]
    return Inbox(items=sorted(found, key=lambda i: i.since, reverse=True), next=page.next)
