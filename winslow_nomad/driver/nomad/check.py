"""Whether this Nomad will do: its version, the namespace, the rights of the token. For `winslow doctor`, and for a
word in the log when following begins. Asks only what changes nothing; the right to start jobs shows at the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from winslow_nomad.core.client import Finding
from winslow_nomad.core.errors import DriverUnavailable, WinslowError
from winslow_nomad.driver.nomad.client import LEAST, WANTED, Client

SUBJECT = "nomad"


def findings(client: Client) -> Iterator[Finding]:
    """Nothing more is asked once it cannot be reached."""
    try:
        yield from _version(client)
        yield from _namespace(client)
    except DriverUnavailable as error:
        yield problem(error)
        return
    questions: tuple[Callable[[], object], ...] = (
        lambda: client.jobs("", only_wanted=True),
        lambda: client.allocations(filtered='ClientStatus == "running"'),
        client.nodes,
    )
    for ask in questions:
        try:
            ask()
        except WinslowError as error:
            yield problem(error)
    if client.access.secure and not client.access.verify:
        text = "whoever answers is trusted: certificates are not looked at (NOMAD_SKIP_VERIFY)"
        yield Finding(severity="warning", subject=SUBJECT, text=text, fix="Set NOMAD_CACERT instead.")


def problem(error: WinslowError) -> Finding:
    return Finding(severity="problem", subject=SUBJECT, text=error.message, fix=error.hint)


def too_old(version: tuple[int, ...]) -> bool:
    return bool(version) and version < LEAST


def _version(client: Client) -> Iterator[Finding]:
    version = client.version()
    if not version:
        yield Finding(severity="note", subject=SUBJECT, text="it does not say which version it is")
        return
    text = f"version {shown(version)} at {client.access.address}"
    if too_old(version):
        fix = f"At least {shown(LEAST)} is needed: older ones lose events. Upgrade to {shown(WANTED)} or later."
        yield Finding(severity="problem", subject=SUBJECT, text=text, fix=fix)
    elif version < WANTED:
        fix = f"It works; {shown(WANTED)} or later mends faults of creating jobs and of its docker driver."
        yield Finding(severity="warning", subject=SUBJECT, text=text, fix=fix)
    else:
        yield Finding(severity="ok", subject=SUBJECT, text=text)


def _namespace(client: Client) -> Iterator[Finding]:
    name = client.access.namespace
    if client.namespace() is None:
        text = f"there is no namespace {name}, or the token has no right in it: no stage can start"
        fix = f"Run: nomad namespace apply {name}"
        yield Finding(severity="problem", subject=SUBJECT, text=text, fix=fix)
    else:
        yield Finding(severity="ok", subject=SUBJECT, text=f"namespace {name}")


def shown(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
