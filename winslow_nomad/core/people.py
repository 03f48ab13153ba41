"""People, groups, sessions and tokens: what is known about who may come in. Values, and the port that keeps them.

Secrets go in as texts and are kept as hashes only; a fresh one is told once, by what made it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

from winslow_nomad.core.access import Principal, Role, Scope
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.model import Record, Value

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
GroupRole = Literal["member", "owner"]


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
    by: Literal["password", "link"]
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
    every call may raise StoreUnavailable."""

    def of_session(self, secret: str) -> Principal | None:
        """Who a session's cookie belongs to; None: unknown, ended or expired."""
        ...

    def of_token(self, secret: str) -> Principal | None:
        """Who a personal or trigger token (`wn_...`) belongs to; None: unknown, expired or withdrawn."""
        ...

    def open_session(self, user: str, by: Literal["password", "link"]) -> Opened:
        """For one whose right to it was just shown. Raises NotFound for who is not active."""
        ...

    def session(self, secret: str) -> Session | None: ...

    def close_session(self, secret: str) -> None: ...

    def persons(self) -> Sequence[Person]: ...

    def person(self, name: str) -> Person: ...

    def add(self, person: Person) -> Person: ...

    def groups(self) -> Sequence[Group]: ...

    def group(self, name: str) -> Group: ...

    def add_group(self, group: Group) -> Group: ...

    def set_member(self, group: str, user: str, role: GroupRole | None) -> Group:
        """None takes the person out."""
        ...

    def tokens(self, *, user: str = "", project: str = "") -> Sequence[Token]:
        """Those of a person, or the trigger tokens of a project."""
        ...

    def add_token(
        self, user: str, name: str, scopes: frozenset[Scope], *, project: str = "", expires: datetime | None = None
    ) -> tuple[Token, str]:
        """The token, and its secret, which is told this once."""
        ...

    def remove_token(self, token: str) -> None: ...


def checked_name(name: str, what: str) -> str:
    if NAME.fullmatch(name) is None:
        raise Invalid(
            f"{name[:60]!r} cannot be the name of a {what}; nothing was done.",
            hint="Use up to 40 lower-case letters, digits, dots, hyphens and underscores; the first a letter or digit.",
            code="people.name",
        )
    return name
