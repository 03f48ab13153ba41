"""What is said on a live socket, in both directions. These models are part of the API's description, so that clients
take their types from there."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from winslow_nomad.api.routes.operations import OperationView
from winslow_nomad.api.views.base import Answer, Request
from winslow_nomad.api.views.inbox import InboxItem
from winslow_nomad.api.views.nodes import NodeView
from winslow_nomad.api.views.projects import Row
from winslow_nomad.core.client import Happened
from winslow_nomad.core.logs import LogLine

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
TOPIC = re.compile(
    rf"(?P<kind>projects|inbox|nodes|transfers)|project:(?P<project>{NAME})|node:(?P<node>{NAME})"
    rf"|log:(?P<logged>{NAME})/(?P<stage>[0-9]{{1,9}})/(?P<attempt>[1-9][0-9]{{0,8}})"
    rf"|files:(?P<space>inputs|project:(?P<filed>{NAME}))/(?P<path>.*)",
    re.DOTALL,  # names of files may have line ends in them
)
TopicName = Annotated[
    str,
    Field(max_length=4300, examples=["projects", "project:pk3m8x2w9q", "log:pk3m8x2w9q/4/1", "files:inputs/junction"]),
]


class Subscribe(Request):
    """`cursor`: where the state that the client has ends: the `cursor` of the topic's last message, empty for from now
    on. Of a log: the number of the line that comes next."""

    op: Literal["sub"]
    topic: TopicName
    cursor: str = Field(default="", max_length=60)


class Unsubscribe(Request):
    op: Literal["unsub"]
    topic: TopicName


class Authenticate(Request):
    """The first message of a client that can send neither a cookie nor a header."""

    op: Literal["auth"]
    token: str = Field(max_length=200)


ClientMessage = Annotated[Subscribe | Unsubscribe | Authenticate, Field(discriminator="op")]
SAID: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)


class Hello(Answer):
    """The first message. `heartbeat`: seconds after which a `ping` comes if nothing else did."""

    type: Literal["hello"] = "hello"
    user: str
    heartbeat: float
    at: datetime


class Ping(Answer):
    type: Literal["ping"] = "ping"
    at: datetime


class Snapshot(Answer):
    """The answer to `sub` without a cursor: the topic is followed from here on. Ask for the state now, where it is not
    in `data`. With a cursor what was missed comes instead, or a gap, or nothing."""

    type: Literal["snapshot"] = "snapshot"
    topic: str
    cursor: str
    data: ItemsData | LogData | None = None


class Gap(Answer):
    """Something before `cursor` is missing: ask for the state anew."""

    type: Literal["gap"] = "gap"
    topic: str
    cursor: str


class Refused(Answer):
    """The topic is not followed (any more): it may not be seen, is not there, or was not understood."""

    type: Literal["denied"] = "denied"
    topic: str
    code: str
    text: str
    passing: bool = Field(default=False, description="store or share do not answer now: follow it again in a while")


class ProjectsData(Answer):
    """Rows replace those with the same id when their `version` is not older; `removed` are no longer to be seen."""

    rows: list[Row] = []
    removed: list[str] = []


class InboxData(Answer):
    """Items replace all of the same project; `removed`: projects that do not wait for the caller any more."""

    items: list[InboxItem] = []
    removed: list[str] = []


class ProjectData(Answer):
    """`row` as it is now; `happened` since the last message. When its version is new the page asks for the project."""

    row: Row | None = Field(default=None, description="null: only progress has changed")
    happened: list[Happened] = []
    progress: list[StageProgress] = []


class StageProgress(Answer):
    """Of an attempt that runs; CPU in seconds, memory in bytes."""

    stage: int
    attempt: int
    percent: float | None = None
    cpu_seconds: float = 0.0
    memory_bytes: int = 0


class LogData(Answer):
    """`lines` replace those with the same number: lines that are new, and lines that were open. None, although `total`
    has grown: there were too many; ask for those that are shown."""

    total: int
    ended: bool = False
    complete: bool = Field(default=True, description="false: a large log is being looked through; `total` still grows")
    lines: list[LogLine] = []


class ItemsData(Answer):
    """Of the topics nodes, node:<name> and transfers: what is new or has changed, and what is gone (names, ids). What
    people send is among the transfers, as `upload`; `text` is its path. One that is complete or given up is gone."""

    nodes: list[NodeView] = []
    transfers: list[OperationView] = []
    removed: list[str] = []


class FolderData(Answer):
    """Something in the folder is not as it was: ask for what is shown of it. What is in its folders does not count."""

    changed: Literal[True] = True


class ProjectsDelta(Answer):
    type: Literal["delta"] = "delta"
    topic: Literal["projects"]
    cursor: str
    data: ProjectsData


class InboxDelta(Answer):
    type: Literal["delta"] = "delta"
    topic: Literal["inbox"]
    cursor: str
    data: InboxData


class ProjectDelta(Answer):
    type: Literal["delta"] = "delta"
    topic: str = Field(description="project:<id>")
    cursor: str
    data: ProjectData


class ItemsDelta(Answer):
    type: Literal["delta"] = "delta"
    topic: str = Field(description="nodes, node:<name>, transfers")
    cursor: str
    data: ItemsData


class LogDelta(Answer):
    type: Literal["delta", "total"] = Field(default="delta", description="total: without lines")
    topic: str = Field(description="log:<project>/<stage>/<attempt>")
    cursor: str
    data: LogData


class FolderDelta(Answer):
    type: Literal["delta"] = "delta"
    topic: str = Field(description="files:inputs/<path>, files:project:<id>/<path>")
    cursor: str
    data: FolderData


Delta = ProjectsDelta | InboxDelta | ProjectDelta | ItemsDelta | LogDelta | FolderDelta
ServerMessage = Hello | Ping | Snapshot | Gap | Refused | Delta
for model in (Snapshot, ProjectData):
    model.model_rebuild()
