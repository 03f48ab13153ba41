"""Puts the application together: routers, errors, headers. No rule of its own."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from winslow_nomad import __version__
from winslow_nomad.api import routes
from winslow_nomad.api.description import complete
from winslow_nomad.api.following import LogLanes
from winslow_nomad.api.guards import Guards
from winslow_nomad.api.lanes import Roads
from winslow_nomad.api.live.described import describe as describe_live
from winslow_nomad.api.meter import Meter
from winslow_nomad.api.patience import LARGEST_BODY
from winslow_nomad.api.problems import handle_problems
from winslow_nomad.api.reach import Reach
from winslow_nomad.api.services import Services
from winslow_nomad.api.site import add_site
from winslow_nomad.api.slow import Slow
from winslow_nomad.api.trail import Trail

PREFIX = "/api/v1"


class Application(FastAPI):
    """Guards are outside of everything, of the handler of unforeseen errors too."""

    guards: Callable[[ASGIApp], Guards]

    def build_middleware_stack(self) -> ASGIApp:
        return self.guards(super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            complete(super().openapi(), [r for r in self.router.routes if isinstance(r, APIRoute)])
        return super().openapi()


def create_app(given: Services, *, reach: Reach | None = None) -> FastAPI:
    """`reach`: under which names it is asked."""
    app = described()
    meter = Meter(given.monitoring.figures, lambda: len(app.state.sockets) if hasattr(app.state, "sockets") else 0)
    trail = Trail(given.audit)
    app.guards = partial(Guards, reach=reach or Reach(), trail=trail, clock=given.clock, measured=meter.answered)
    app.state.services = given
    app.state.meter = meter
    app.state.slow = Slow()
    app.state.log_lanes = LogLanes()
    app.state.roads = Roads()
    app.state.uploads = {}  # those that somebody writes at this moment
    app.state.stopping = threading.Event()  # set when the process is told to end: long answers end then
    handle_problems(app)
    add_site(app)
    return app


def described() -> Application:
    """All routes and the messages of the live socket, with nothing behind them: enough for the API's description."""
    app = Application(
        title="Winslow",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        redirect_slashes=False,
        max_body_size=LARGEST_BODY,
    )
    for router in routers():
        app.router.routes.extend(router.routes)  # they are whole already; including would build each anew
    for route in app.router.routes:
        if isinstance(route, APIRoute):
            route.unique_id = route.operation_id or route.name  # clients are made from these
    describe_live(app)
    return app


def routers() -> list[APIRouter]:
    """Of every module of `routes`, in the order of their names. Each has its whole path, prefix included."""
    names = sorted(found.name for found in pkgutil.iter_modules(routes.__path__))
    return [importlib.import_module(f"{routes.__name__}.{name}").router for name in names]
