"""For those who watch over the installation: does the process live, can it work, figures."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from winslow_nomad.api.authority import denied, identify, open_to_all
from winslow_nomad.api.problems import SignInFirst, documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.views.base import Answer, example
from winslow_nomad.core.access import Action, allowed
from winslow_nomad.core.errors import WinslowError

router = APIRouter(tags=["monitoring"])
BY_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
FIGURES = "text/plain"
SAMPLE = "# HELP winslow_queue_length Doorbells that nobody has answered yet\nwinslow_queue_length 0.0\n"


class Alive(Answer):
    status: Literal["alive"] = "alive"

    model_config = example(status="alive")


class Check(Answer):
    """`text` names no machine, except to those who may read figures."""

    name: str
    ok: bool
    text: str


class Readiness(Answer):
    """`ready`: requests can be answered; goes with 200, else with 503. `degraded`: they can, but not all is well."""

    ready: bool
    degraded: bool
    checks: list[Check]

    model_config = example(
        ready=True,
        degraded=False,
        checks=[{"name": "store", "ok": True, "text": "answers"}, {"name": "share", "ok": True, "text": "answers"}],
    )


@router.get("/healthz", summary="Whether this process lives", dependencies=[Depends(open_to_all)])
async def read_health() -> Alive:
    """Asks nothing of anybody else. Start the process anew where this is not answered."""
    return Alive()


@router.get(
    "/readyz",
    summary="Whether this process can work",
    dependencies=[Depends(open_to_all)],
    responses={503: {"model": Readiness, "description": "The store does not answer"}},
)
def read_readiness(request: Request, response: Response, given: Given) -> Readiness:
    """Within about two seconds, whatever hangs. Send requests elsewhere where this is not 200."""
    found = given.monitoring.conditions()
    more = may_read(request, given)
    ready = all(c.ok for c in found if c.needed)
    response.status_code = 200 if ready else 503
    return Readiness(
        ready=ready,
        degraded=not all(c.ok for c in found),
        checks=[Check(name=c.name, ok=c.ok, text=f"{c.text} ({c.who})" if more and c.who else c.text) for c in found],
    )


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    dependencies=[Depends(open_to_all)],
    responses={
        200: {"content": {FIGURES: {"schema": {"type": "string"}, "example": SAMPLE}}, "description": "Figures"},
        **documented(401, 403, 503),
    },
)
def read_metrics(request: Request, given: Given) -> Response:
    """From this machine, or wherever the setting `metrics_from` says, without a token; from elsewhere with one that has
    the scope `read`. What lies in the store is the same at every process; requests are those of this one."""
    if not from_nearby(request, given):
        who = identify(given, request)
        if who is None:
            raise SignInFirst("Figures are not told to everybody.", hint="Send a token with the scope read.")
        if not allowed(who, Action.VIEW_STATISTICS):
            raise denied(who, Action.VIEW_STATISTICS)
    text: bytes = request.app.state.meter.text()
    return Response(text, headers={"content-type": CONTENT_TYPE_LATEST, "cache-control": "no-store"})


def from_nearby(request: Request, given: Services) -> bool:
    """Whatever came through a proxy did not come from nearby, even if the proxy is."""
    if any(name in request.headers for name in BY_PROXIES):
        return False
    return request.client is not None and given.monitoring.knows(request.client.host)


def may_read(request: Request, given: Services) -> bool:
    """Never raises: whoever asks whether all is well gets an answer."""
    if from_nearby(request, given):
        return True
    try:
        who = identify(given, request)
    except WinslowError:
        return False
    return who is not None and allowed(who, Action.VIEW_STATISTICS)
