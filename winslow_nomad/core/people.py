"""People, groups, tokens and sessions: what is known about who may come in."""

from __future__ import annotations

from typing import Protocol

from winslow_nomad.core.access import Principal


class People(Protocol):
    """The book of people. Secrets go in as texts and are kept as hashes only."""

    def of_session(self, secret: str) -> Principal | None:
        """Who a session's cookie belongs to; None: unknown, ended or expired."""
        ...

    def of_token(self, secret: str) -> Principal | None:
        """Who a personal or trigger token (`wn_...`) belongs to; None: unknown, expired or withdrawn."""
        ...
