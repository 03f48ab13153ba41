"""core.images.RegistryBook, made of an installation; and for the command line of this machine, which leaves a trace in
the audit as the API does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.config import Settings
from winslow_nomad.core.audit import AuditEntry
from winslow_nomad.core.images import RegistryLogin, checked_host
from winslow_nomad.store.audit import RedisAudit


class InstalledRegistries:
    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def all(self) -> Sequence[RegistryLogin]:
        return self._installation.registry_logins.all()

    def put(self, host: str, user: str, password: str, by: str) -> RegistryLogin:
        return self._installation.registry_logins.put(host, user, password, by)

    def remove(self, host: str) -> None:
        self._installation.registry_logins.remove(host)

    def check(self, host: str) -> None:
        self._installation.registries.greet(checked_host(host))


class AuditedRegistries(InstalledRegistries):
    def put(self, host: str, user: str, password: str, by: str) -> RegistryLogin:
        made = super().put(host, user, password, by)
        self._note("set_registry", host, user=user)
        return made

    def remove(self, host: str) -> None:
        super().remove(host)
        self._note("remove_registry", host)

    def _note(self, what: str, host: str, **about: str) -> None:
        installation = self._installation
        keep = timedelta(days=installation.settings.keep_audit_days)
        audit = RedisAudit(installation.state, installation.clock, keep=keep, keys=installation.keys)
        entry = AuditEntry(
            at=installation.clock.now(),
            actor=installation.settings.user,
            what=what,
            target={"host": host},
            about={**about, "by": "command line"},
            outcome="done",
            status=200,
        )
        audit.append([entry])


@contextmanager
def open_registries(settings: Settings) -> Iterator[AuditedRegistries]:
    installation = Installation(settings)
    try:
        yield AuditedRegistries(installation)
    finally:
        installation.close()
