"""Makes the driver `nomad` from settings. Asks Nomad nothing: that it is away must keep nobody from looking."""

from __future__ import annotations

import logging

from pydantic import ValidationError

from winslow_nomad import __version__
from winslow_nomad.config import Settings
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.ports import Attempts, Clock
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.client import Client
from winslow_nomad.driver.nomad.driver import NomadDriver
from winslow_nomad.driver.nomad.site import Site

logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request is of no use to anybody
logging.getLogger("urllib3").setLevel(logging.ERROR)  # and what it repeats, the driver reports when it gives up


def nomad_driver(settings: Settings, attempts: Attempts, clock: Clock) -> NomadDriver:
    return NomadDriver(client=Client(access_of(settings)), site=site_of(settings), attempts=attempts, clock=clock)


def access_of(settings: Settings) -> Access:
    found = settings.nomad
    return Access(
        address=found.address,
        token=found.token,
        token_file=found.token_file,
        namespace=found.namespace,
        region=found.region,
        ca=found.ca_cert,
        certificate=found.client_cert,
        key=found.client_key,
        server_name=found.tls_server_name,
        verify=not found.skip_verify,
    )


def site_of(settings: Settings) -> Site:
    """Raises Invalid where the settings do not go together."""
    try:
        return _site(settings)
    except ValidationError as error:
        said = "; ".join(e["msg"].removeprefix("Value error, ") for e in error.errors())
        raise Invalid(
            f"The settings of Nomad cannot be used: {said}.", hint="See docs/settings.md.", code="settings.invalid"
        ) from error


def _site(settings: Settings) -> Site:
    found = settings.nomad
    uid, gid = found.run_as
    return Site(
        installation=settings.installation,
        namespace=found.namespace,
        region=found.region,
        datacenters=found.datacenters,
        share_volume=found.share_volume,
        share_roots={"*": str(settings.share), **found.share_roots},
        mapped=settings.roots,
        uid=uid,
        gid=gid,
        runner_version=__version__,
        pools=found.pools,
        whole_cores=found.whole_cores,
        oversubscription=found.oversubscription,
        network=found.network,
    )
