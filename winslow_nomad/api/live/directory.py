"""What the name of a topic means, and who may follow it. Holds the feeds, one for all who follow the same."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from winslow_nomad.api.areas import area_of
from winslow_nomad.api.authority import check_project, denied
from winslow_nomad.api.following import LogLanes
from winslow_nomad.api.lanes import Lanes, Roads
from winslow_nomad.api.live.feeds import ItemsFeed, LogFeed
from winslow_nomad.api.live.folders import FolderLook
from winslow_nomad.api.live.hub import Hub, sees
from winslow_nomad.api.live.messages import TOPIC
from winslow_nomad.api.live.topics import (
    Client,
    FolderTopic,
    InboxTopic,
    ItemsTopic,
    ListTopic,
    LogTopic,
    ProjectTopic,
    Topic,
)
from winslow_nomad.api.routes.operations import view
from winslow_nomad.api.views.nodes import node_view
from winslow_nomad.core.access import Action, Principal, allowed
from winslow_nomad.core.errors import Invalid, ShareUnavailable
from winslow_nomad.core.filing import Space, Upload
from winslow_nomad.core.nodes import NodeNow
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.core.rows import Summary

NODES, TRANSFERS, FOLDER = 2.0, 1.0, 2.0  # seconds between two looks
STILL = timedelta(seconds=60)  # after which an upload that nobody goes on with is no longer on its way
ENDED_SHOWN = 5.0  # seconds that an operation is told of after its end, so that all hear how it ended


@dataclass(frozen=True)
class NodeItem:
    """`projects`: those that work on it."""

    now: NodeNow
    projects: Mapping[str, Summary]

    def shown(self, who: Principal) -> str:
        seen = None if who.sees_all else {p for p, row in self.projects.items() if sees(who, row)}
        return node_view(self.now, seen).model_dump_json()


@dataclass(frozen=True)
class TransferItem:
    operation: Operation
    project: Summary | None

    def shown(self, who: Principal) -> str | None:
        mine = bool(self.operation.actor) and self.operation.actor == who.user
        fits = mine or who.sees_all or (self.project is not None and sees(who, self.project))
        return view(self.operation).model_dump_json() if fits else None


def as_operation(upload: Upload) -> Operation:
    """As far as it has come."""
    return Operation(
        id=upload.id, kind="upload", project=Space.parse(upload.space).project, actor=upload.owner, state="running",
        bytes_done=upload.offset, bytes_total=upload.length, files_total=1, text=upload.path, made=upload.made,
    )  # fmt: skip


class Directory:
    def __init__(self, hub: Hub, lanes: LogLanes, roads: Roads) -> None:
        self.hub = hub
        self._lanes = lanes
        self._roads = roads
        self._folders: dict[str, ItemsFeed[str]] = {}
        self._logs: dict[str, LogFeed] = {}
        self._nodes: ItemsFeed[NodeItem] | None = None
        self._transfers: ItemsFeed[TransferItem] | None = None
        self._open: set[str] = set()
        self._sent: dict[str, Operation] = {}
        self._ended: dict[str, tuple[Operation, float]] = {}

    async def check(self, who: Principal, name: str) -> None:
        """Raises Invalid (live.topic, path.not_a_folder), Denied, NotFound, Unavailable."""
        found = TOPIC.fullmatch(name)
        if found is None:
            raise Invalid(f"There is no topic {name[:100]!r}.", code="live.topic")
        if found["space"]:
            await self._check_folder(who, Space.parse(found["space"]), found["path"])
            return
        project = found["project"] or found["logged"]
        if project:
            given = self.hub.given
            await self.hub.lane(lambda: check_project(given, who, Action.VIEW_PROJECT, project))
            return
        action = Action.VIEW_NODES if name.startswith("node") else Action.LIST_PROJECTS
        if not allowed(who, action):
            raise denied(who, action)

    def topic(self, name: str, client: Client) -> Topic:
        """Of a name that was checked."""
        found = TOPIC.fullmatch(name)
        assert found is not None
        if found["project"]:
            return ProjectTopic(name, found["project"], self.hub, client)
        if found["logged"]:
            return LogTopic(name, found["logged"], self.hub, self._log(name), client)
        if found["space"]:
            feed = self._folder(name, Space.parse(found["space"]), found["path"])
            return FolderTopic(name, found["filed"] or "", self.hub, feed, client)
        if name == "projects":
            return ListTopic(name, self.hub, client)
        if name == "inbox":
            return InboxTopic(name, self.hub, client)
        if name == "transfers":
            return ItemsTopic(name, "transfers", self._transfers_feed(), client, lambda item, who: item.shown(who))
        one = found["node"]

        def shown(item: NodeItem, who: Principal) -> str | None:
            return item.shown(who) if one in (None, item.now.node.name) else None

        return ItemsTopic(name, "nodes", self._nodes_feed(), client, shown)

    async def _check_folder(self, who: Principal, space: Space, path: str) -> None:
        if not allowed(who, Action.READ_FILES):
            raise denied(who, Action.READ_FILES)
        given = self.hub.given
        area = await self.hub.lane(lambda: area_of(given, who, space, write=False))
        if (await self._road(space, path).look(lambda: given.files.entry(area, path))).kind != "folder":
            raise Invalid(f"{path[:100]!r} is not a folder.", code="path.not_a_folder")

    def _road(self, space: Space, path: str) -> Lanes:
        return self._roads.to(self.hub.given.files.place(space, path))

    def _folder(self, name: str, space: Space, path: str) -> ItemsFeed[str]:
        feed = self._folders.get(name)
        if feed is None:

            def over() -> None:
                self._folders.pop(name, None)

            look = FolderLook(self.hub.given, space, path)
            feed = self._folders[name] = ItemsFeed(self._road(space, path).follow, look, FOLDER, over)
        return feed

    def _log(self, name: str) -> LogFeed:
        feed = self._logs.get(name)
        if feed is None:
            ref = AttemptRef.parse(name.removeprefix("log:"))
            feed = LogFeed(self.hub.given, self._lanes, ref, lambda: self._forget(name))
            self._logs[name] = feed
        return feed

    def _forget(self, name: str) -> None:
        self._logs.pop(name, None)

    def _nodes_feed(self) -> ItemsFeed[NodeItem]:
        if self._nodes is None:

            def over() -> None:
                self._nodes = None

            self._nodes = ItemsFeed(self.hub.lane, self._look_at_nodes, NODES, over)
        return self._nodes

    def _transfers_feed(self) -> ItemsFeed[TransferItem]:
        if self._transfers is None:

            def over() -> None:
                self._transfers = None

            self._transfers = ItemsFeed(self._lanes.read, self._look_at_transfers, TRANSFERS, over)
        return self._transfers

    def _look_at_nodes(self) -> Mapping[str, NodeItem]:
        nodes = self.hub.given.nodes.all()
        rows = self._rows({b.project for n in nodes for b in n.busy})
        return {
            n.node.name: NodeItem(n, {b.project: rows[b.project] for b in n.busy if b.project in rows}) for n in nodes
        }

    def _look_at_transfers(self) -> Mapping[str, TransferItem]:
        operations = {o.id: o for o in self.hub.given.operations.list()}
        now = time.monotonic()
        for gone in self._open - operations.keys():
            ended = self.hub.given.operations.get(gone)
            if ended is not None:
                self._ended[gone] = (ended, now + ENDED_SHOWN)
        self._open = set(operations)
        self._ended = {i: one for i, one in self._ended.items() if one[1] > now and i not in operations}
        operations |= {i: one for i, (one, _) in self._ended.items()}
        operations |= self._uploads()
        rows = self._rows({o.project for o in operations.values() if o.project})
        return {i: TransferItem(o, rows.get(o.project)) for i, o in operations.items()}

    def _uploads(self) -> dict[str, Operation]:
        """Those that somebody has gone on with lately; while the share is away, as they were."""
        now = self.hub.given.clock.now()
        try:
            found = self.hub.given.uploads.under_way()
        except ShareUnavailable:
            return self._sent
        lately = [u for u in found if now - u.changed < STILL]
        self._sent = {u.id: as_operation(u) for u in lately}
        return self._sent

    def _rows(self, projects: Iterable[str]) -> dict[str, Summary]:
        texts = self.hub.given.live.rows(sorted(projects))
        return {project: Summary.model_validate_json(text) for project, text in texts.items()}
