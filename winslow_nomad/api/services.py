"""What the routes are given: one value made by the composition root. Every field is a Protocol of core, so that a
route can be tried with whatever implements it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from winslow_nomad.core.audit import Audit
from winslow_nomad.core.begins import Begins
from winslow_nomad.core.client import Client
from winslow_nomad.core.defaults import Defaults
from winslow_nomad.core.durations import Durations
from winslow_nomad.core.figures import Counters
from winslow_nomad.core.filing import Files, Uploads
from winslow_nomad.core.history import History, Sizes
from winslow_nomad.core.images import RegistryBook
from winslow_nomad.core.library import Library, PipelineTexts
from winslow_nomad.core.lists import Listing
from winslow_nomad.core.live import Stream
from winslow_nomad.core.logs import Logs
from winslow_nomad.core.monitoring import Monitoring
from winslow_nomad.core.nodes import Nodes
from winslow_nomad.core.notices import Notices
from winslow_nomad.core.operations import Operations
from winslow_nomad.core.people import People
from winslow_nomad.core.ports import Clock
from winslow_nomad.core.progress import Progresses
from winslow_nomad.core.settings import SettingsBook
from winslow_nomad.core.tables import LogTables
from winslow_nomad.core.vault import Vault


@dataclass(frozen=True)
class Services:
    client: Client
    people: People
    audit: Audit
    clock: Clock
    listing: Listing
    library: Library
    texts: PipelineTexts
    vault: Vault
    durations: Durations
    begins: Begins
    progress: Progresses
    operations: Operations
    defaults: Defaults
    settings: SettingsBook
    history: History
    sizes: Sizes
    nodes: Nodes
    counters: Counters
    files: Files
    uploads: Uploads
    logs: Logs
    live: Stream
    notices: Notices
    monitoring: Monitoring
    tables: LogTables
    registries: RegistryBook


async def services(request: Request) -> Services:
    """Async, so that looking it up takes no turn in a thread."""
    found: Services = request.app.state.services
    return found


Given = Annotated[Services, Depends(services)]
