"""What the routes are given: one value made by the composition root. Every field is a Protocol of core, so that a
route can be tried with whatever implements it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from winslow_nomad.core.audit import Audit
from winslow_nomad.core.client import Client
from winslow_nomad.core.people import People
from winslow_nomad.core.ports import Clock


@dataclass(frozen=True)
class Services:
    client: Client
    people: People
    audit: Audit
    clock: Clock


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Given = Annotated[Services, Depends(services)]
