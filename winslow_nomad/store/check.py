"""Whether somebody else's server keeps the promise that what was acknowledged stays. Asked at every start
and by `winslow doctor`; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from redis import Redis
from redis.exceptions import ResponseError

from winslow_nomad.store.faults import translated
from winslow_nomad.store.transaction import Transaction, as_dict

OLDEST = (7, 0)


@dataclass(frozen=True, slots=True)
class Finding:
    """refuse: Winslow must not start on it. warn: it may, and a banner says so."""

    severity: Literal["refuse", "warn"]
    code: str
    text: str
    fix: str


def check_server(client: Redis) -> list[Finding]:
    """Raises StoreUnavailable when it cannot be asked at all."""
    findings: list[Finding] = []
    with translated():
        information = client.info("server")
    version = str(information.get("valkey_version") or information.get("redis_version", "0.0"))
    if tuple(int(p) for p in version.split(".")[:2]) < OLDEST:
        findings.append(
            Finding(
                "refuse",
                "store.old_server",
                f"The server has version {version}; Winslow needs 7.0 or newer.",
                "Upgrade the server.",
            )
        )
    settings = _settings(client)
    if settings is None:
        return [
            *findings,
            Finding(
                "warn",
                "store.durability_unknown",
                "The server does not tell its settings, so nobody knows whether it loses what it acknowledged.",
                "Allow CONFIG GET, or make sure of: appendonly yes, appendfsync always, maxmemory-policy noeviction.",
            ),
        ]
    if settings.get("appendonly") != "yes":
        findings.append(
            Finding(
                "refuse",
                "store.no_log",
                "The server keeps no append-only file: a restart loses everything since its last snapshot.",
                "Set appendonly yes.",
            )
        )
    elif settings.get("appendfsync") != "always":
        findings.append(
            Finding(
                "warn",
                "store.late_sync",
                f"The server has appendfsync {settings.get('appendfsync')}: a power cut, and with a stalled disk even "
                "a crash of the server, loses the last second and more of what was acknowledged.",
                "Set appendfsync always (CONFIG SET works while it runs).",
            )
        )
    policy = settings.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        findings.append(
            Finding(
                "refuse",
                "store.eviction",
                f"The server has maxmemory-policy {policy}: when memory is short it deletes projects.",
                "Set maxmemory-policy noeviction.",
            )
        )
    return findings


def _settings(client: Redis) -> dict[str, str] | None:
    """None: the server does not allow CONFIG, as managed services do not."""
    names = ("appendonly", "appendfsync", "maxmemory-policy")
    with translated(), Transaction.on(client) as transaction:
        try:
            reply = transaction.read([("CONFIG", "GET", *names)])[0]
        except ResponseError:
            return None
    return {k.decode(): v.decode() for k, v in as_dict(reply).items()}
