"""Settings, and what a look at the whole installation finds."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field

from winslow_nomad.api.authority import may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given
from winslow_nomad.api.views.base import Answer, Request, example
from winslow_nomad.core.access import Action, Principal
from winslow_nomad.core.client import Finding
from winslow_nomad.core.settings import Setting

router = APIRouter(prefix="/api/v1", tags=["settings"])
ABOUT_MACHINES = frozenset(
    {"home", "share", "roots", "environment", "user", "installation", "cpu", "memory", "registries"}
)


class SettingsView(Answer):
    """Those about machines and variables are shown to administrators alone."""

    items: list[Setting]

    model_config = example(
        items=[{"name": "keep_trash_days", "value": 7.0, "origin": "default", "kind": "number", "changeable": True,
                "help": "days that deleted things can be taken out of the trash"}]
    )  # fmt: skip


class Changes(Request):
    """By name; null takes a change back, so that the file or the default counts again."""

    values: dict[str, Any] = Field(min_length=1, max_length=50)

    model_config = example(values={"keep_trash_days": 14, "zone": "Europe/Berlin"})


class Findings(Answer):
    """The worst first."""

    items: list[Finding]

    model_config = example(items=[{"severity": "ok", "subject": "store", "text": "answers", "fix": ""}])


@router.get("/settings", summary="Settings", responses=documented(401, 403, 422, 503))
def list_settings(given: Given, who: Annotated[Principal, Depends(may(Action.VIEW_SETTINGS))]) -> SettingsView:
    """With where each comes from, and which can be changed while everything runs."""
    found = given.settings.all()
    everything = who.role.value == "admin"
    return SettingsView(items=[s for s in found if everything or s.name not in ABOUT_MACHINES])


@router.patch("/settings", summary="Change settings", responses=documented(400, 401, 403, 413, 422, 503))
def change_settings(
    body: Changes,
    given: Given,
    who: Annotated[Principal, Depends(may(Action.MANAGE_SETTINGS))],  # noqa: ARG001 - who is asked for
) -> SettingsView:
    """All or none. They hold for what starts from now on."""
    return SettingsView(items=list(given.settings.change(body.values)))


@router.get("/doctor", summary="Examine the installation", responses=documented(401, 403, 422, 503))
def examine_installation(
    given: Given,
    who: Annotated[Principal, Depends(may(Action.MANAGE_SETTINGS))],  # noqa: ARG001 - who is asked for
) -> Findings:
    """Store, share, runner, drivers, and what waits too long."""
    order = ("problem", "warning", "note", "ok")
    return Findings(items=sorted(given.client.doctor(), key=lambda f: order.index(f.severity)))
