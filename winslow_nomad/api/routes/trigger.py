"""Running a project again from outside: a camera server, a build, a timer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header
from pydantic import BaseModel, Field

from winslow_nomad.api.authority import may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given
from winslow_nomad.core.access import Action, Principal
from winslow_nomad.core.model import Value
from winslow_nomad.core.trigger import triggered

router = APIRouter(prefix="/api/v1", tags=["tokens"])


class Trigger(Value):
    """`stage`: of the pipeline; empty: its first ones. `single`: pause again after one stage."""

    stage: str = Field(default="", max_length=200, examples=["detect"])
    single: bool = False


class Triggered(BaseModel):
    """`started` false: it is queued or running already."""

    project: str = Field(examples=["pk3m8x2w9q4r"])
    version: int
    started: bool


@router.post(
    "/trigger/{project}",
    summary="Run a project again",
    operation_id="trigger_project",
    responses=documented(401, 403, 404, 409, 422),
)
def trigger_project(
    given: Given,
    who: Annotated[Principal, Depends(may(Action.TRIGGER_PROJECT))],
    project: str,
    body: Trigger | None = None,
    idempotency_key: Annotated[str, Header(max_length=200)] = "",
) -> Triggered:
    """As it ran last: with the same values, image and sweep. A project that never ran is started."""
    wish = body or Trigger()
    found = given.client.project(project)
    comment = f"triggered by {who.token}" if who.token else "triggered"
    commands = triggered(found, wish.stage, single=wish.single, actor=who.user, comment=comment)
    for number, command in enumerate(commands):
        key = f"{idempotency_key}/{number}" if idempotency_key else ""
        found = given.client.send(found.id, command, key=key, request=f"trigger {wish.model_dump_json()}")
    return Triggered(project=found.id, version=found.version, started=bool(commands))
