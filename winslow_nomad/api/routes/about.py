"""What programs ask first: whom they speak with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from winslow_nomad import __version__
from winslow_nomad.api.authority import may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given
from winslow_nomad.api.views.base import Answer, example
from winslow_nomad.core.access import Action, Principal

router = APIRouter(prefix="/api/v1", tags=["installation"])


class AboutView(Answer):
    """`active`: who moves stages now; empty: nobody, and what is asked for waits. `nomad_ui`: where Nomad's own pages
    are; empty: it is not used here."""

    version: str
    driver: str
    active: str
    nomad_ui: str = ""

    model_config = example(
        version="0.1.0", driver="nomad", active="alder:4711", nomad_ui="https://nomad.example.org:4646/ui"
    )


@router.get("/about", summary="About this Winslow", responses=documented(401, 403, 503))
def read_about(given: Given, who: Annotated[Principal, Depends(may(Action.WHO_AM_I))]) -> AboutView:  # noqa: ARG001
    """Its version, the driver of new projects, and whether somebody moves stages."""
    return AboutView(
        version=__version__,
        driver=given.defaults.driver,
        active=given.client.active(),
        nomad_ui=given.defaults.nomad_ui,
    )
