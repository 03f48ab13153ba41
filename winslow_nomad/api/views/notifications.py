"""What people are told, and how, as it is sent and answered. Addresses of channels come in and never go out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from winslow_nomad.api.texts import OneLine
from winslow_nomad.api.views.base import Answer, Request, example
from winslow_nomad.core.notices import MAIL, Channel, Fresh, Message, Rules, Tried, What, Which

Events = Annotated[
    list[What],
    Field(
        max_length=10,
        description="gate: a project waits for a person; failure; finished; impossible: no node could hold a stage; "
        "node: one is down, or back (told to maintainers)",
        examples=[["gate", "failure", "finished"]],
    ),
]
Address = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        description="https://... of a webhook, or a chat service as apprise writes it; never shown again",
        examples=["https://hooks.example.org/winslow"],
        json_schema_extra={"writeOnly": True},
    ),
]
Title = Annotated[OneLine, Field(min_length=1, examples=["team chat"])]


class ChannelView(Answer):
    """`address`: all that is shown of it. `events`: null: as the rules say."""

    id: str
    kind: Literal["webhook", "chat"]
    title: str
    address: str
    events: list[What] | None
    on: bool
    made: datetime

    model_config = example(
        id="ck3m8x2w9q4r", kind="chat", title="team chat", address="slack://...", events=None, on=True,
        made="2025-03-04T05:06:07Z",
    )  # fmt: skip


class FreshChannel(ChannelView):
    """`key`: of a webhook: what is sent to it is signed with this. Told this once."""

    key: str = ""

    model_config = example(
        id="ck3m8x2w9q4r", kind="webhook", title="builds", address="https://...", events=None, on=True,
        made="2025-03-04T05:06:07Z", key="wh_...",
    )  # fmt: skip


class Undelivered(Answer):
    """A message that was not taken. `next`: when it is tried again; null: it was given up. `text`: why."""

    id: str
    channel: str
    title: str
    text: str
    tries: int
    count: int = Field(description="of things that it tells")
    since: datetime
    next: datetime | None

    model_config = example(
        id="n3c5a9", channel="mail", title="mail", text="The mail server cannot be used: Connection refused", tries=3,
        count=1, since="2025-03-04T05:06:07Z", next="2025-03-04T05:10:07Z",
    )  # fmt: skip


class NotificationsView(Answer):
    """`which`: own: projects that are one's own or that one was added to by name; groups: also by a group; all: all
    that one may see. `mail_to`: where mail goes; empty: there is no address, or no mail server."""

    events: Events
    which: Which
    own_actions: bool
    mail: bool
    mail_to: str
    channels: list[ChannelView]
    undelivered: list[Undelivered]

    model_config = example(
        events=["gate", "failure", "finished", "impossible", "node"], which="own", own_actions=False, mail=True,
        mail_to="ada@example.org", channels=[], undelivered=[],
    )  # fmt: skip


class ChannelsView(Answer):
    """Of the whole installation. They are told of all projects."""

    events: Events
    channels: list[ChannelView]
    undelivered: list[Undelivered]

    model_config = example(events=["failure", "node"], channels=[], undelivered=[])


class Wishes(Request):
    """What is left out stays as it is."""

    events: Events | None = None
    which: Which | None = None
    own_actions: bool | None = None
    mail: bool | None = None

    model_config = example(events=["gate", "failure"], which="groups", own_actions=False, mail=True)


class ChannelWishes(Request):
    events: Events

    model_config = example(events=["failure", "node"])


class NewChannel(Request):
    kind: Literal["webhook", "chat"]
    title: Title
    address: Address
    events: Events | None = None

    model_config = example(
        kind="chat", title="team chat", address="ntfys://ntfy.example.org/winslow", events=["gate", "failure"]
    )


class ChannelChange(Request):
    """What is left out stays as it is; `as_rules`: events as the rules say, from now on."""

    title: Title | None = None
    on: bool | None = None
    events: Events | None = None
    as_rules: bool = False

    model_config = example(title="team chat", on=False)


class TestAsked(Request):
    channel: str = Field(max_length=60, description="id of a channel, or `mail`", examples=[MAIL])


class TestView(Answer):
    """waiting: nobody has tried yet; ask again. `text`: why it failed."""

    id: str
    state: Literal["waiting", "sent", "failed"]
    text: str = ""

    model_config = example(id="tk3m8x2w9q4r", state="sent", text="")


class OfProject(Request):
    """null: as one's rules say. Empty: nothing. Otherwise these, even if it is nobody's project that one knows."""

    events: Events | None = None

    model_config = example(events=["gate", "failure", "finished"])


class OfProjectView(Answer):
    events: list[What] | None

    model_config = example(events=None)


def sorted_events(events: frozenset[What] | None) -> list[What] | None:
    return sorted(events) if events is not None else None


def channel_view(channel: Channel) -> ChannelView:
    return ChannelView(
        id=channel.id,
        kind=channel.kind,
        title=channel.title,
        address=channel.shown,
        events=sorted_events(channel.events),
        on=channel.on,
        made=channel.made,
    )


def fresh_view(fresh: Fresh) -> FreshChannel:
    return FreshChannel(**channel_view(fresh.channel).model_dump(), key=fresh.key)


def undelivered_view(message: Message, rules: Rules) -> Undelivered:
    titles = {MAIL: "mail", **{c.id: c.title for c in rules.channels}}
    return Undelivered(
        id=message.id,
        channel=message.channel,
        title=titles.get(message.channel, ""),
        text=message.error,
        tries=message.tries,
        count=len(message.notices) + message.more,
        since=message.opened,
        next=message.due if message.dead is None else None,
    )


def test_view(tried: Tried) -> TestView:
    return TestView(id=tried.id, state=tried.state, text=tried.text)
