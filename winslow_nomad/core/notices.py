"""Telling people what has happened: what, whom, and by which way. Values, pure rules, and the port for screens.

A notice is written in the same commit as the change it tells of. It becomes messages, one for each way to each person,
which are sent at least once, under an id that stays the same however often they are tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from winslow_nomad.core.access import RANKS, Principal, Role, visible
from winslow_nomad.core.model import Record, Value
from winslow_nomad.core.project import Member

What = Literal["gate", "failure", "finished", "impossible", "node"]
OF_PROJECTS: tuple[What, ...] = ("gate", "failure", "finished", "impossible")
EVENTS: tuple[What, ...] = (*OF_PROJECTS, "node")
Which = Literal["own", "groups", "all"]
Kind = Literal["webhook", "chat"]
MAIL = "mail"  # the way to a person's own address, which needs no channel
INSTALLATION = ""  # who the channels of the whole installation belong to; no person has this name


class Notice(Record):
    """What has happened. `what` may be one that only a newer Winslow knows. `actor`: whose own action it follows at
    once; empty: nobody's. `node`: of notices about nodes, which have no project."""

    id: str
    what: str
    text: str
    at: datetime
    project: str = ""
    name: str = ""
    stage: int = 0
    stage_id: str = ""
    actor: str = ""
    node: str = ""


class Channel(Record):
    """A way to tell beside mail. `shown`: all that is ever shown of the address, which is a secret (reference
    `secret`). events: None: what the rules of its owner say."""

    id: str
    kind: Kind
    title: str
    shown: str
    secret: str
    events: frozenset[What] | None = None
    on: bool = True
    made: datetime


class Rules(Record):
    """Of what a person wants to be told. which: projects of one's own and those one was added to; also those of one's
    groups; all that one may see. own_actions: also of what follows at once from what one did oneself."""

    events: frozenset[What] = frozenset(EVENTS)
    which: Which = "own"
    own_actions: bool = False
    mail: bool = True
    channels: tuple[Channel, ...] = ()


class Message(Record):
    """One message on its way. sealed: it was tried, so what it says stays as it is. `due`: when it is tried next.
    `dead`: since when nobody tries it any more; `error`: what was wrong the last time."""

    id: str
    to: str
    channel: str
    notices: tuple[Notice, ...] = ()
    more: int = 0  # notices beyond those that it names
    opened: datetime
    due: datetime
    sealed: bool = False
    tries: int = 0
    first: datetime | None = None
    error: str = ""
    dead: datetime | None = None
    test: bool = False
    asked: bool = False  # a person wants it to be tried now


class Tried(Value):
    """What became of a test. state: waiting (nobody has tried yet), sent, failed."""

    id: str
    by: str
    state: Literal["waiting", "sent", "failed"]
    text: str = ""


class Fresh(Value):
    """A channel that was just made; `key` signs what is sent to a webhook, and is told this once."""

    channel: Channel
    key: str = ""


class Notices(Protocol):
    """For screens. `user` is INSTALLATION for the channels of all. Raises NotFound (notices.channel, notices.message),
    Invalid, Refused, TooMany, Unavailable."""

    def rules(self, user: str) -> Rules: ...

    def change(self, user: str, changes: Mapping[str, object]) -> Rules:
        """events, which, own_actions, mail."""
        ...

    def add_channel(self, user: str, kind: Kind, title: str, url: str, events: frozenset[What] | None) -> Fresh: ...

    def change_channel(self, user: str, channel: str, changes: Mapping[str, object]) -> Channel:
        """title, on, events."""
        ...

    def remove_channel(self, user: str, channel: str) -> None: ...

    def of_project(self, user: str, project: str) -> frozenset[What] | None:
        """What the person wants to be told of this project; None: as the rules say."""
        ...

    def set_of_project(self, user: str, project: str, events: frozenset[What] | None) -> None: ...

    def mail_to(self, user: str) -> str:
        """Where mail would go; empty: the person has no address, or the installation sends no mail."""
        ...

    def test(self, user: str, channel: str) -> Tried:
        """Sends a message that says that it is a test."""
        ...

    def tested(self, user: str, test: str) -> Tried: ...

    def undelivered(self, user: str) -> Sequence[Message]:
        """Those given up and those that are tried again, the newest first."""
        ...

    def retry(self, user: str, message: str) -> Message: ...

    def discard(self, user: str, message: str) -> None: ...


def concerned(who: Principal, which: Which, author: str, participants: Iterable[Member]) -> bool:
    """Whether a project is among those that somebody wants to be told of. Being in it because everybody is does not
    count, unless one asks for all."""
    if which == "all" or who.user == author:
        return True
    names = {who.user, *(f"@{g}" for g in who.groups if which == "groups")}
    return any(m.user in names for m in participants)


def wanted(
    notice: Notice,
    who: Principal,
    rules: Rules,
    chosen: frozenset[What] | None = None,
    author: str = "",
    participants: Sequence[Member] = (),
) -> frozenset[str]:
    """The ways by which a person is told of it: MAIL and ids of channels. `chosen`: what the person wants of this very
    project, instead of what the rules say."""
    if notice.actor == who.user and not rules.own_actions:
        return frozenset()
    if not notice.project:
        chosen, allowed = None, RANKS[who.role] >= RANKS[Role.MAINTAINER]
    else:
        allowed = visible(who, author, participants, notice.project)
        allowed = allowed and (chosen is not None or concerned(who, rules.which, author, participants))
    if not allowed:
        return frozenset()
    mail = rules.mail and notice.what in (rules.events if chosen is None else chosen)
    return by_channels(notice, rules, chosen) | ({MAIL} if mail else frozenset())


def by_channels(notice: Notice, rules: Rules, chosen: frozenset[What] | None = None) -> frozenset[str]:
    """A project's own choice goes before that of a channel, which goes before the rules."""
    found = set()
    for channel in rules.channels:
        events = chosen if chosen is not None else channel.events if channel.events is not None else rules.events
        if channel.on and notice.what in events:
            found.add(channel.id)
    return frozenset(found)
