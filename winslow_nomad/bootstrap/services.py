"""What the REST API is given, made of an installation."""

from __future__ import annotations

from datetime import timedelta

from winslow_nomad.api.services import Services
from winslow_nomad.bootstrap.begins import InstalledBegins
from winslow_nomad.bootstrap.client import LocalClient, uploads
from winslow_nomad.bootstrap.counters import CachedCounters
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.library import InstalledLibrary, InstalledTexts
from winslow_nomad.bootstrap.looking import InstalledHistory, InstalledSizes
from winslow_nomad.bootstrap.monitoring import InstalledMonitoring
from winslow_nomad.bootstrap.nodes import InstalledNodes
from winslow_nomad.bootstrap.notices import InstalledNotices
from winslow_nomad.bootstrap.registries import InstalledRegistries
from winslow_nomad.bootstrap.usual import CachedDurations
from winslow_nomad.core.ports import AttemptRef, Spool
from winslow_nomad.resources.log_cache import LogCache
from winslow_nomad.resources.log_tables import ShareTables
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.share_logs import ShareLogs
from winslow_nomad.store.audit import RedisAudit
from winslow_nomad.store.people import RedisPeople
from winslow_nomad.store.progress import RedisProgresses


def services(installation: Installation) -> Services:
    """Nothing is opened twice; the installation is closed by who opened it."""
    keep = timedelta(days=installation.settings.keep_audit_days)
    texts = InstalledTexts(installation)
    read = logs(installation)
    durations = CachedDurations(installation)
    return Services(
        client=LocalClient(installation),
        people=RedisPeople(installation.state, installation.clock, installation.keys),
        audit=RedisAudit(installation.state, installation.clock, keep=keep, keys=installation.keys),
        clock=installation.clock,
        listing=installation.store,
        library=InstalledLibrary(installation, texts),
        texts=texts,
        vault=installation.secrets,
        durations=durations,
        begins=InstalledBegins(installation, durations),
        progress=RedisProgresses(installation.state, installation.keys),
        operations=installation.operations,
        defaults=installation.choices,
        settings=installation.choices,
        history=InstalledHistory(installation),
        sizes=InstalledSizes(installation),
        nodes=InstalledNodes(installation),
        counters=CachedCounters(installation),
        files=installation.files,
        uploads=uploads(installation),
        logs=read,
        live=installation.live,
        notices=InstalledNotices(installation),
        monitoring=InstalledMonitoring(installation),
        tables=ShareTables(read, installation.settings.home / "cache" / "tables"),
        registries=InstalledRegistries(installation),
    )


def logs(installation: Installation) -> ShareLogs:
    """With threads of their own for reading: whoever searches a large log keeps nobody else waiting."""
    cache = LogCache(installation.settings.home / "cache" / "logs")
    reader = Reader(installation.settings.share, deadline=5.0)

    def spool_of(driver: str, ref: AttemptRef) -> Spool | None:
        return installation.nomad.spool_of(ref) if driver == "nomad" and "nomad" in installation.drivers else None

    return ShareLogs(reader, cache, installation.secrets, spool_of)
