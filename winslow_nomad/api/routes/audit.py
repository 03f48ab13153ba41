"""Who did what, and who was not allowed to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from winslow_nomad.api.authority import may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given
from winslow_nomad.api.texts import Page
from winslow_nomad.core.access import Action
from winslow_nomad.core.audit import AuditEntry, Outcome

router = APIRouter(prefix="/api/v1", tags=["people"])


@router.get(
    "/audit",
    summary="Who did what",
    operation_id="read_audit",
    responses=documented(401, 403, 422),
    dependencies=[Depends(may(Action.VIEW_AUDIT))],
)
def read_audit(
    given: Given,
    actor: Annotated[str, Query(max_length=60)] = "",
    what: Annotated[str, Query(max_length=100, description="an operation of this API, such as add_user")] = "",
    outcome: Annotated[Outcome | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str, Query(max_length=60)] = "",
) -> Page[AuditEntry]:
    """The newest first. Looks at a bounded number of entries for those that fit: a page may be short, or empty, and
    still be followed by others."""
    rows, cursor = given.audit.read(before=after, limit=limit, actor=actor, what=what, outcome=outcome or "")
    return Page(items=[row.entry for row in rows], next=cursor)
