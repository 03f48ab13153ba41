"""Winslow from another process: over HTTP, for the command line and for scripts (docs/python.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from winslow_nomad.client.accounts import HttpAccounts
from winslow_nomad.client.contexts import Chosen, choose
from winslow_nomad.client.http import HttpClient
from winslow_nomad.client.registries import HttpRegistries
from winslow_nomad.client.wire import Wire
from winslow_nomad.core.errors import Invalid

__all__ = ["HttpClient", "connect"]


def connect(url: str = "", token: str = "", *, context: str = "", authority: str = "") -> HttpClient:
    """A client of the server at `url` with `token`; without them of the one that the environment or a stored context
    names, as for the command line. `authority`: a file with certificates (PEM) that are trusted beside the system's.

    Close it, or use it in a `with` block. Raises errors of winslow_nomad.core.errors."""
    if url:
        return open_client(Chosen(url=url, token=token, authority=authority))
    chosen = choose(context)
    if chosen is None:
        raise Invalid(
            "No server is named.",
            hint="Name its address, set WINSLOW_URL and WINSLOW_TOKEN, or log in: winslow login URL",
            code="context.none",
        )
    return open_client(chosen)


def open_client(chosen: Chosen) -> HttpClient:
    return HttpClient(Wire(chosen.url, chosen.token, authority=chosen.authority))


@contextmanager
def open_accounts(chosen: Chosen) -> Iterator[HttpAccounts]:
    """People and tokens, for administrators."""
    wire = Wire(chosen.url, chosen.token, authority=chosen.authority)
    try:
        yield HttpAccounts(wire)
    finally:
        wire.close()


@contextmanager
def open_registries(chosen: Chosen) -> Iterator[HttpRegistries]:
    """Log-ins for registries of images, for administrators."""
    wire = Wire(chosen.url, chosen.token, authority=chosen.authority)
    try:
        yield HttpRegistries(wire)
    finally:
        wire.close()
