"""What the REST API is given, made of an installation."""

from __future__ import annotations

from datetime import timedelta

from winslow_nomad.api.services import Services
from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.store.audit import RedisAudit
from winslow_nomad.store.people import RedisPeople

KEEP_AUDIT = timedelta(days=180)


def services(installation: Installation) -> Services:
    """Nothing is opened twice; the installation is closed by who opened it."""
    return Services(
        client=LocalClient(installation),
        people=RedisPeople(installation.state, installation.clock, installation.keys),
        audit=RedisAudit(installation.state, installation.clock, keep=KEEP_AUDIT, keys=installation.keys),
        clock=installation.clock,
    )
