"""Long work on files: copies, imports, deletions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from winslow_nomad.api.authority import denied, may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.views.base import Answer, example
from winslow_nomad.core.access import Action, Principal, allowed, visible
from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.operations import Operation, OperationKind, OperationState

router = APIRouter(prefix="/api/v1/operations", tags=["operations"])
Viewing = Annotated[Principal, Depends(may(Action.LIST_PROJECTS))]


class OperationView(Answer):
    """`project` empty: it is about the input pool, or the installation as a whole."""

    id: str
    kind: OperationKind
    project: str
    stage: int
    state: OperationState
    cancelling: bool
    bytes_done: int
    bytes_total: int
    files_done: int
    files_total: int
    text: str
    code: str
    made: datetime
    ended: datetime | None

    model_config = example(
        id="o7d2nq8r5vbxc", kind="workspace", project="pk3m8x2w9qf4t", stage=4, state="running", cancelling=False,
        bytes_done=15247130624, bytes_total=25877626060, files_done=120, files_total=244, text="", code="",
        made="2026-11-24T14:31:50Z", ended=None,
    )  # fmt: skip


class OperationsView(Answer):
    """The oldest first."""

    items: list[OperationView]

    model_config = example(items=[])


@router.get("", summary="List operations", responses=documented(401, 403, 422, 503))
def list_operations(
    given: Given,
    who: Viewing,
    ended: Annotated[bool, Query(description="with those that ended in the last seven days")] = False,
    project: Annotated[str, Query(max_length=100, description="only of this project")] = "",
) -> OperationsView:
    """The caller's own, and those of projects that the caller may see; all others for maintainers."""
    seen: dict[str, bool] = {}
    items = []
    for operation in given.operations.list(open_only=not ended):
        if project and operation.project != project:
            continue
        if operation.project not in seen:
            seen[operation.project] = _sees_project(given, who, operation.project)
        if seen[operation.project] or _is_own(who, operation):
            items.append(view(operation))
    return OperationsView(items=items)


@router.get("/{operation}", summary="One operation", responses=documented(401, 403, 404, 422, 503))
def read_operation(operation: str, given: Given, who: Viewing) -> OperationView:
    """With how far it is."""
    return view(_found(given, who, operation))


@router.delete("/{operation}", summary="Cancel an operation", responses=documented(401, 403, 404, 422, 503))
def cancel_operation(operation: str, given: Given, who: Viewing) -> OperationView:
    """It ends within a second or so; what it has made so far is removed. One that has ended stays as it is."""
    found = _found(given, who, operation)
    if found.project:
        project = given.client.project(found.project)
        fits = allowed(
            who, Action.RUN_PROJECT, author=project.author, participants=project.participants, project=project.id
        )
        if not fits:
            raise denied(who, Action.RUN_PROJECT)
    elif not allowed(who, Action.WRITE_FILES):
        raise denied(who, Action.WRITE_FILES)
    given.operations.cancel(found.id)
    return view(given.operations.get(found.id) or found)


def _found(given: Services, who: Principal, operation: str) -> Operation:
    found = given.operations.get(operation)
    if found is None or not (_is_own(who, found) or _sees_project(given, who, found.project)):
        raise NotFound(f"There is no operation {operation[:100]!r}.", code="operation.not_found")
    return found


def _is_own(who: Principal, operation: Operation) -> bool:
    """Whoever asked for something may see how far it is, whether or not it is about a project. The token of a project
    sees no more than that project."""
    return bool(operation.actor) and operation.actor == who.user and who.project in ("", operation.project)


def _sees_project(given: Services, who: Principal, name: str) -> bool:
    if not name:
        return who.sees_all
    try:
        project = given.client.project(name)
    except NotFound:
        return who.sees_all
    return visible(who, project.author, project.participants, project.id)


def view(operation: Operation) -> OperationView:
    return OperationView(**{name: getattr(operation, name) for name in OperationView.model_fields})
