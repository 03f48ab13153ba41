"""Whether this Nomad will do: its version, the namespace, the token and its rights, what expires soon. For `winslow
doctor`, and for a word in the log when following begins. Asks only what changes nothing; the right to use the share's
volume shows at the first stage, or at the trial of `winslow doctor --nomad --image`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from winslow_nomad.core.client import Finding
from winslow_nomad.core.errors import DriverUnavailable, WinslowError
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.client import LEAST, WANTED, Client
from winslow_nomad.driver.nomad.faults import Answer, NoAnswer
from winslow_nomad.driver.nomad.site import Site

SUBJECT = "nomad"
SOON = timedelta(days=14)
RENEW_TOKEN = "nomad acl token create -name winslow -policy winslow"


def findings(client: Client, site: Site, now: datetime) -> Iterator[Finding]:
    """Nothing more is asked once it cannot be reached."""
    try:
        yield from _version(client)
    except DriverUnavailable as error:
        yield problem(error)
        return
    found = list(_namespace(client))
    yield from found
    if all(f.severity != "problem" for f in found):
        yield from _rights(client)
        yield from _memory(client, site)
    yield from _token(client, now)
    yield from _certificate(client.access, now)
    if client.access.secure and not client.access.verify:
        text = "whoever answers is trusted: certificates are not looked at (NOMAD_SKIP_VERIFY)"
        yield _finding("warning", text, "Set NOMAD_CACERT instead.")


def problem(error: WinslowError) -> Finding:
    return _finding("problem", error.message, error.hint)


def too_old(version: tuple[int, ...]) -> bool:
    return bool(version) and version < LEAST


def _version(client: Client) -> Iterator[Finding]:
    version = client.version()
    if not version:
        yield _finding("note", "it does not say which version it is")
        return
    text = f"version {shown(version)} at {client.access.address}"
    if too_old(version):
        fix = f"At least {shown(LEAST)} is needed: older ones lose events. Upgrade to {shown(WANTED)} or later."
        yield _finding("problem", text, fix)
    elif version < WANTED:
        fix = f"It works; {shown(WANTED)} or later mends faults of creating jobs and of its docker driver."
        yield _finding("warning", text, fix)
    else:
        yield _finding("ok", text)


def _namespace(client: Client) -> Iterator[Finding]:
    name = client.access.namespace
    policy = f"Look at NOMAD_NAMESPACE, and at the token's policy: namespace {name!r} must stand in it."
    try:
        there = client.namespace() is not None
    except DriverUnavailable as error:
        if error.code != "nomad.forbidden":
            yield problem(error)
            return
        yield _finding("problem", f"the token has no right in the namespace {name}, or there is none", policy)
        return
    if there:
        yield _finding("ok", f"namespace {name}")
    else:
        yield _finding("problem", f"there is no namespace {name}: no stage can start", f"nomad namespace apply {name}")


def _rights(client: Client) -> Iterator[Finding]:
    questions: tuple[Callable[[], object], ...] = (
        lambda: client.jobs("", only_wanted=True),
        lambda: client.allocations(filtered='ClientStatus == "running"'),
        client.may_start,
        client.nodes,
    )
    for ask in questions:
        try:
            ask()
        except WinslowError as error:
            yield problem(error)


def _memory(client: Client, site: Site) -> Iterator[Finding]:
    """Whether both sides mean the same by `memory_max`."""
    try:
        allowed = client.lets_memory_grow()
    except DriverUnavailable as error:
        yield _finding("note", error.message, error.hint)
        return
    if allowed and not site.oversubscription:
        fix = "To let it reserve `memory` only, and grow: oversubscription = true in [nomad] of winslow.toml."
        yield _finding("note", "a stage reserves all of its memory_max, though this cluster could lend it", fix)
    if site.oversubscription and not allowed:
        text = "the cluster lets no stage use more memory than it reserves: memory_max counts for nothing"
        fix = "nomad operator scheduler set-config -memory-oversubscription=true"
        yield _finding("problem", text, fix)


def _token(client: Client, now: datetime) -> Iterator[Finding]:
    access = client.access
    if access.token_file and Path(access.token_file).stat().st_mode & 0o077:
        text = f"{access.token_file} can be read by others than its owner"
        yield _finding("warning", text, f"chmod 600 {access.token_file}")
    try:
        about = client.token()
    except (Answer, NoAnswer):
        return  # whoever asked for something else was told why
    if about is None:
        return
    if about.get("AccessorID") == "acls-disabled":
        text = "it has no access control: who reaches it may read and write every directory of every node"
        yield _finding("note", text, "acl { enabled = true } in every agent, as in nomad/server.hcl and client.hcl.")
        return
    if about.get("Type") == "management":
        text = "Winslow's token may do everything in this cluster"
        yield _finding("warning", text, f"Give it one with the rights of nomad/policy-winslow.hcl: {RENEW_TOKEN}")
    if about.get("ExpirationTime"):
        begin, end = (datetime.fromisoformat(about[key]) for key in ("CreateTime", "ExpirationTime"))
        where = f"into {access.token_file}" if access.token_file else "into NOMAD_TOKEN, and start Winslow anew"
        fix = f"Make another, and put its Secret ID {where}: {RENEW_TOKEN}"
        yield _ending("the token", begin, end, now, fix)


def _certificate(access: Access, now: datetime) -> Iterator[Finding]:
    if not access.secure:
        return
    for name, file in (("the certificate of Nomad's authority", access.ca), ("Winslow's own", access.certificate)):
        if not file:
            continue
        try:
            made = x509.load_pem_x509_certificate(Path(file).read_bytes())
        except (OSError, ValueError):
            continue  # whoever used it was told
        fix = "`nomad tls cert create -cli`, then replace the files; they are read anew by themselves."
        yield _ending(f"{name} ({file})", made.not_valid_before_utc, made.not_valid_after_utc, now, fix)


def _ending(what: str, begin: datetime, end: datetime, now: datetime, fix: str) -> Finding:
    """A warning two weeks before, or in the last tenth of a short life: it ends on a day on which nobody thinks of
    it."""
    if end <= now:
        return _finding("problem", f"{what} ended on {end:%Y-%m-%d %H:%M} UTC", fix)
    if end - now < min(SOON, (end - begin) / 10):
        return _finding("warning", f"{what} ends on {end:%Y-%m-%d %H:%M} UTC", fix)
    return _finding("ok", f"{what} is good until {end:%Y-%m-%d %H:%M} UTC")


def _finding(severity: str, text: str, fix: str = "") -> Finding:
    return Finding.model_validate({"severity": severity, "subject": SUBJECT, "text": text, "fix": fix})


def shown(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
