"""What an administrator's command line needs of people and tokens, on this machine or on a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from winslow_nomad.core.access import Role, Scope
from winslow_nomad.core.people import Person, Token


class Accounts(Protocol):
    """Raises NotFound, Invalid, Refused, Conflict, and on a server Denied for who is no administrator."""

    def persons(self) -> Sequence[Person]: ...

    def add(self, name: str, *, role: Role, display_name: str, email: str, password: str) -> Person:
        """Without a password only a link lets in."""
        ...

    def set_role(self, name: str, role: Role) -> Person: ...

    def set_password(self, name: str, password: str) -> None:
        """Ends the person's sessions."""
        ...

    def link(self, name: str) -> str:
        """Lets in once: an address, or what follows it where this machine does not know it."""
        ...

    def deactivate(self, name: str, heir: str) -> tuple[int, int]:
        """Sessions, links and tokens end. How many projects the heir has got, and how many still name the leaver."""
        ...

    def activate(self, name: str) -> Person: ...

    def tokens(self, user: str) -> Sequence[Token]: ...

    def add_token(self, user: str, name: str, scopes: frozenset[Scope], days: int | None) -> str:
        """Its secret, told this once; `days` None: it has no end."""
        ...

    def withdraw(self, user: str, token: str) -> None: ...
