"""People, groups, sessions and tokens: what is known about who may come in. Values, and the port that keeps them.

Secrets go in as texts and are kept as hashes only; a fresh one is told once, by what made it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from winslow_nomad.core.access import Principal, Role, Scope
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.model import Record, Value

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
GroupRole = Literal["member", "owner"]
How = Literal["password", "link"]


class Person(Record):
    """`role` in the whole installation. `password`: whether there is one; without, only a link lets in."""

    name: str
    display_name: str = ""
    email: str = ""
    role: Role = Role.MEMBER
    active: bool = True
    password: bool = False
    made: datetime


class Group(Record):
    """Named `@<name>` among the participants of a project. Owners may change who is in it."""

    name: str
    title: str = ""
    members: dict[str, GroupRole] = {}
    made: datetime


class Session(Record):
    """by: how it was opened. `until`: its absolute end; it ends earlier when it is not used."""

    user: str
    by: How
    made: datetime
    until: datetime


class Token(Record):
    """`project`: a trigger token, for that project alone. `used`: to the minute."""

    id: str
    user: str
    name: str
    scopes: frozenset[Scope]
    project: str = ""
    made: datetime
    expires: datetime | None = None
    used: datetime | None = None


class Opened(Value):
    """A session that has just begun; `secret` is for its cookie."""

    secret: str
    session: Session


class People(Protocol):
    """The book of people. What is not there raises NotFound, what cannot be stored Invalid, Refused or Conflict;
    every call may raise StoreUnavailable. Names of persons and groups are never given a second time."""

    # --- who asks

    def of_session(self, secret: str) -> Principal | None:
        """Who a session's cookie belongs to; None: unknown, ended or expired."""
        ...

    def of_token(self, secret: str) -> Principal | None:
        """Who a personal or trigger token (`wn_...`) belongs to; None: unknown, expired or withdrawn."""
        ...

    # --- coming in

    def log_in(self, user: str, password: str, address: str) -> Opened:
        """Takes a good part of a second of a core. Raises TooMany; Unidentified, which never says what was wrong."""
        ...

    def log_in_by_link(self, secret: str, address: str) -> Opened:
        """A link lets in once. Raises TooMany, Unidentified."""
        ...

    def make_link(self, user: str, seconds: int) -> str:
        """The secret of a link that lets `user` in once, within `seconds`."""
        ...

    def open_session(self, user: str, by: How) -> Opened:
        """For one whose right to it was just shown. Raises NotFound for who is not active."""
        ...

    def session(self, secret: str) -> Session | None: ...

    def close_session(self, secret: str) -> None: ...

    def close_sessions(self, user: str) -> None:
        """All of a person, at once."""
        ...

    # --- persons

    def persons(self) -> Sequence[Person]:
        """By name."""
        ...

    def person(self, name: str) -> Person: ...

    def add(self, person: Person, password: str = "") -> Person:
        """With a password it takes a good part of a second of a core."""
        ...

    def add_first(self, person: Person, password: str) -> bool:
        """Only if there is nobody yet, whoever else tries at the same time; whether it was done."""
        ...

    def change(self, name: str, changes: Mapping[str, Any]) -> Person:
        """display_name, email, role. Raises Refused where no active administrator would be left."""
        ...

    def confirm_password(self, name: str, password: str, address: str) -> None:
        """Of one who is logged in. Counts as an attempt. Raises TooMany, Unidentified."""
        ...

    def set_password(self, name: str, password: str) -> None:
        """Ends all sessions of the person. Takes a good part of a second of a core."""
        ...

    def deactivate(self, name: str) -> Person:
        """Ends sessions, links and tokens of the person at once and for ever. Raises Refused as `change` does."""
        ...

    def activate(self, name: str) -> Person: ...

    # --- groups

    def groups(self) -> Sequence[Group]:
        """By name."""
        ...

    def group(self, name: str) -> Group: ...

    def add_group(self, group: Group) -> Group: ...

    def change_group(self, name: str, title: str) -> Group: ...

    def remove_group(self, name: str) -> None: ...

    def set_member(self, group: str, user: str, role: GroupRole | None) -> Group:
        """None takes the person out."""
        ...

    # --- tokens

    def tokens(self, *, user: str = "", project: str = "") -> Sequence[Token]:
        """Those of a person that are for no single project, or the trigger tokens of a project."""
        ...

    def add_token(
        self, user: str, name: str, scopes: frozenset[Scope], *, project: str = "", expires: datetime | None = None
    ) -> tuple[Token, str]:
        """The token, and its secret, which is told this once."""
        ...

    def remove_token(self, token: str) -> None: ...

    def withdraw(self, secret: str) -> None:
        """The token that this is the secret of."""
        ...


def checked_name(name: str, what: str) -> str:
    if NAME.fullmatch(name) is None:
        raise Invalid(
            f"{name[:60]!r} cannot be the name of a {what}; nothing was done.",
            hint="Use up to 40 lower-case letters, digits, dots, hyphens and underscores; the first a letter or digit.",
            code="people.name",
        )
    return name
