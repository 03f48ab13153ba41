"""Registries of images: the log-ins with which Winslow asks what the names of images stand for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from winslow_nomad.api.authority import may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given
from winslow_nomad.api.trail import note
from winslow_nomad.api.views.registries import (
    RegistriesView,
    RegistryCheck,
    RegistryPassword,
    RegistryView,
    registry_view,
)
from winslow_nomad.core.access import Action, Principal
from winslow_nomad.core.errors import WinslowError

router = APIRouter(prefix="/api/v1/registries", tags=["settings"])
Managing = Annotated[Principal, Depends(may(Action.MANAGE_SETTINGS))]


@router.get("", summary="Log-ins for registries", responses=documented(401, 403, 422, 503))
def list_registries(given: Given, who: Managing) -> RegistriesView:  # noqa: ARG001 - who is asked for
    """Who logs in where. Passwords are never shown."""
    return RegistriesView(items=[registry_view(login) for login in given.registries.all()])


@router.put("/{host}", summary="Set the log-in for a registry", responses=documented(400, 401, 403, 413, 422, 503))
def set_registry(host: str, body: RegistryPassword, given: Given, who: Managing, request: Request) -> RegistryView:
    """Replaces the one that was there. `host` is written as in the names of images, with its port. Stages whose image
    was denied go on by themselves within a minute."""
    note(request, user=body.user)
    return registry_view(given.registries.put(host, body.user, body.password, who.user))


@router.delete("/{host}", summary="Remove a log-in", status_code=204, responses=documented(401, 403, 404, 422, 503))
def remove_registry(host: str, given: Given, who: Managing) -> None:  # noqa: ARG001 - who is asked for
    given.registries.remove(host)


@router.post("/{host}/check", summary="Ask a registry for its opinion", responses=documented(401, 403, 422, 503))
def check_registry(host: str, given: Given, who: Managing) -> RegistryCheck:  # noqa: ARG001 - who is asked for
    """Whether it can be reached, and lets Winslow in."""
    try:
        given.registries.check(host)
    except WinslowError as error:
        return RegistryCheck(ok=False, code=error.code, text=str(error))
    return RegistryCheck(ok=True)
