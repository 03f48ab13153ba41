"""What the REST API is given, made of an installation."""

from __future__ import annotations

from winslow_nomad.api.services import Services
from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.store.people import RedisPeople


def services(installation: Installation) -> Services:
    """Nothing is opened twice; the installation is closed by who opened it."""
    return Services(
        client=LocalClient(installation),
        people=RedisPeople(installation.state, installation.clock, installation.keys),
        clock=installation.clock,
    )
