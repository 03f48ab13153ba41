"""Puts the application together: routers, errors, headers. No rule of its own."""

from __future__ import annotations

import importlib
import pkgutil

from fastapi import APIRouter, FastAPI

from winslow_nomad import __version__
from winslow_nomad.api import routes
from winslow_nomad.api.guards import Guards
from winslow_nomad.api.problems import handle_problems
from winslow_nomad.api.services import Services
from winslow_nomad.api.site import add_site

PREFIX = "/api/v1"


def create_app(given: Services) -> FastAPI:
    app = FastAPI(
        title="Winslow",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.services = given
    handle_problems(app)
    for router in routers():
        app.include_router(router)
    add_site(app)
    app.add_middleware(Guards)
    return app


def routers() -> list[APIRouter]:
    """Of every module of `routes`, in the order of their names. Each has its whole path, prefix included."""
    names = sorted(found.name for found in pkgutil.iter_modules(routes.__path__))
    return [importlib.import_module(f"{routes.__name__}.{name}").router for name in names]
