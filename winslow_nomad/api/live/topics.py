"""What one client follows: what of it is told, and how often. Runs in the event loop; what asks store or share goes
through the hub's lane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from winslow_nomad.api import showing
from winslow_nomad.api.live import outbox
from winslow_nomad.api.live.feeds import Changes, Grew, ItemsFeed, LogFeed
from winslow_nomad.api.live.folders import HERE
from winslow_nomad.api.live.hub import HAPPENED, Changed, Hub, News, forward, place, sees
from winslow_nomad.api.live.messages import LogData, Snapshot, StageProgress
from winslow_nomad.api.views import inbox
from winslow_nomad.api.views.projects import Row, role_of
from winslow_nomad.core.access import Principal

LISTS, PAGE, FOLDER, LOG = 0.25, 0.1, 1.0, 0.0  # seconds between two messages of a topic; logs have their own pace
GONE = "gone"  # the cursor of a folder that is not there
Item = TypeVar("Item")


class Client(Protocol):
    """Whoever follows. `wake`: something waits to be sent. `deny`: the topic is followed no more. `doubt`: it was not
    told everything, perhaps who may see it by now."""

    who: Principal

    def wake(self) -> None: ...

    def deny(self, topic: str) -> None: ...

    def doubt(self) -> None: ...


class Topic(Protocol):
    """`begin` answers what is sent first; empty: nothing yet. `projects`: those that it is about alone."""

    name: str
    pause: float
    next: float
    project: str

    async def begin(self, cursor: str) -> str: ...

    def take(self) -> list[str]: ...

    def leave(self) -> None: ...

    def renew(self) -> None:
        """The client may see other things than before."""
        ...


class Commits:
    """Topics fed by the stream of commits."""

    project = ""

    def __init__(self, name: str, hub: Hub, client: Client, pause: float) -> None:
        self.name = name
        self.pause = pause
        self.next = 0.0
        self._hub = hub
        self._client = client
        self._held: list[News] | None = []  # what comes while it is asked what was missed
        self._last = (0, 0)  # the newest of what the client knows already

    async def begin(self, cursor: str) -> str:
        now = await self._hub.listen(self._tell)
        missed = await self._hub.lane(lambda: self._hub.missed(cursor)) if cursor else None
        self._last = place(cursor or now)
        held, self._held = self._held or [], None
        if missed is not None:
            self._hub.remember(missed)
        for news in [*([missed] if missed is not None else []), *held]:
            self._tell(news)
        return "" if cursor else Snapshot(topic=self.name, cursor=now).model_dump_json()

    def leave(self) -> None:
        self._hub.leave(self._tell)

    def _tell(self, news: News) -> None:
        if self._held is not None:
            self._held.append(news)
        else:
            self.tell(news)

    def tell(self, news: News) -> None:
        raise NotImplementedError


class ListTopic(Commits):
    """Rows of all projects that the client may see."""

    def __init__(self, name: str, hub: Hub, client: Client, kind: str = "rows") -> None:
        super().__init__(name, hub, client, LISTS)
        self.out = outbox.Rows(name, kind, self.encode)

    def tell(self, news: News) -> None:
        self.out.cursor = forward(self.out.cursor, news)
        if news.gap:
            self.out.lose()
        for project, changed in news.changed.items():
            if changed.row is not None and self.fits(changed.row):
                self.out.put(project)
            elif self._had(changed):
                self.out.remove(project)
        self._client.wake()

    def renew(self) -> None:
        self.out.lose()
        self._client.wake()

    def take(self) -> list[str]:
        return self.out.take()

    def fits(self, row: Row) -> bool:
        return sees(self._client.who, row)

    def encode(self, project: str) -> str | None:
        row = self._hub.rows.get(project)
        if row is not None and not self.fits(row):
            return ""
        return None if row is None else encoded(self._hub, self._client.who, row)

    def _had(self, changed: Changed) -> bool:
        """Whether the client may have it in its list. The id of a project that it never saw is not told."""
        if changed.left & self._client.who.names:
            return True
        if changed.before is not None:
            return self.fits(changed.before)
        return changed.row is not None and sees(self._client.who, changed.row)


class InboxTopic(ListTopic):
    """Of those the ones that wait for the client."""

    def __init__(self, name: str, hub: Hub, client: Client) -> None:
        super().__init__(name, hub, client, "items")

    def fits(self, row: Row) -> bool:
        who = self._client.who
        return not row.trashed and sees(who, row) and showing.may_answer(who, row) and any(inbox.items(row))

    def encode(self, project: str) -> str | None:
        row = self._hub.rows.get(project)
        if row is not None and not self.fits(row):
            return ""
        return None if row is None else ",".join(item.model_dump_json() for item in inbox.items(row))


class ProjectTopic(Commits):
    """All that happens in one project."""

    def __init__(self, name: str, project: str, hub: Hub, client: Client) -> None:
        super().__init__(name, hub, client, PAGE)
        self.project = project
        self.out = outbox.Texts(name)

    def tell(self, news: News) -> None:
        self.out.cursor = forward(self.out.cursor, news)
        if news.gap:
            self.out.lose()
            self._last = place(news.cursor)
            self._client.doubt()
        changed, progress = news.changed.get(self.project), news.progress.get(self.project, [])
        if changed is not None and (changed.row is None or not sees(self._client.who, changed.row)):
            self._client.deny(self.name)
            return
        if changed is not None or progress:
            self.out.put(self._text(self.out.cursor, changed, progress))
        self._client.wake()

    def renew(self) -> None:
        """Whether it may still be seen is looked at by whoever knows that the client has changed."""

    def take(self) -> list[str]:
        return self.out.take()

    def _text(self, cursor: str, changed: Changed | None, progress: list[StageProgress]) -> str:
        row, happened = "null", "[]"
        if changed is not None and changed.row is not None:
            row = encoded(self._hub, self._client.who, changed.row)
            new = [h for h in changed.happened if place(h.cursor) > self._last]
            happened = changed.happened_json if len(new) == len(changed.happened) else HAPPENED.dump_json(new).decode()
            self._last = max([self._last, *(place(h.cursor) for h in new)])
        steps = ",".join(step.model_dump_json() for step in progress)
        return (
            f'{{"type":"delta","topic":{outbox.quoted(self.name)},"cursor":"{cursor}",'
            f'"data":{{"row":{row},"happened":{happened},"progress":[{steps}]}}}}'
        )


class LogTopic:
    """What is written to the log of one attempt."""

    pause = LOG

    def __init__(self, name: str, project: str, hub: Hub, feed: LogFeed, client: Client) -> None:
        self.name = name
        self.project = project
        self.next = 0.0
        self._hub = hub
        self.out = outbox.Grown(name)
        self._feed = feed
        self._client = client
        self._begun = False

    async def begin(self, cursor: str) -> str:
        line = int(cursor) if cursor.isascii() and cursor.isdigit() else None
        await self._hub.listen(self._look)
        grew = await self._feed.join(self._tell, line)
        self._begun = True
        if line is not None:
            self.out.put_before(*grew)
            return ""
        data = LogData(total=grew.total, ended=grew.ended, complete=grew.complete)
        return Snapshot(topic=self.name, cursor=str(grew.total), data=data).model_dump_json()

    def leave(self) -> None:
        self._feed.leave(self._tell)
        self._hub.leave(self._look)

    def renew(self) -> None:
        """Whether it may still be seen is looked at by whoever knows that the client has changed."""

    def take(self) -> list[str]:
        return self.out.take() if self._begun else []

    def _look(self, news: News) -> None:
        if lost(self._client, self.project, news):
            self._client.deny(self.name)

    def _tell(self, grew: Grew) -> None:
        self.out.put(*grew)
        self._client.wake()


class FolderTopic:
    """That something in a folder of files is not as it was. Its cursor stands for what the folder is like: whoever was
    away is told whether it has changed meanwhile."""

    pause = FOLDER

    def __init__(self, name: str, project: str, hub: Hub, feed: ItemsFeed[str], client: Client) -> None:
        self.name = name
        self.project = project
        self.next = 0.0
        self.out = outbox.Bell(name)
        self._hub = hub
        self._feed = feed
        self._client = client

    async def begin(self, cursor: str) -> str:
        if self.project:
            await self._hub.listen(self._look)
        found = (await self._feed.join(self._tell)).get(HERE, GONE)
        if cursor and cursor != found:
            self.out.ring(found)
        return "" if cursor else Snapshot(topic=self.name, cursor=found).model_dump_json()

    def leave(self) -> None:
        self._feed.leave(self._tell)
        self._hub.leave(self._look)

    def renew(self) -> None:
        """Whether it may still be seen is looked at by whoever knows that the client has changed."""

    def take(self) -> list[str]:
        return self.out.take()

    def _look(self, news: News) -> None:
        if lost(self._client, self.project, news):
            self._client.deny(self.name)

    def _tell(self, changes: Changes[str]) -> None:
        self.out.ring(changes.changed.get(HERE, GONE))
        self._client.wake()


class ItemsTopic(Generic[Item]):
    """Things with names. `shown`: as JSON for this client; None: it is not for this client."""

    pause = LISTS
    project = ""

    def __init__(
        self,
        name: str,
        kind: str,
        feed: ItemsFeed[Item],
        client: Client,
        shown: Callable[[Item, Principal], str | None],
    ) -> None:
        self.name = name
        self.next = 0.0
        self.out = outbox.Items(name, kind)
        self._kind = kind
        self._feed = feed
        self._client = client
        self._shown = shown
        self._begun = False

    async def begin(self, cursor: str) -> str:  # noqa: ARG002 - all there is is told anyway
        items = await self._feed.join(self._tell)
        self._begun = True
        texts = self._texts(items).values()
        return (
            f'{{"type":"snapshot","topic":{outbox.quoted(self.name)},"cursor":"",'
            f'"data":{{"{self._kind}":[{",".join(texts)}],"removed":[]}}}}'
        )

    def leave(self) -> None:
        self._feed.leave(self._tell)

    def renew(self) -> None:
        """The next change comes soon."""

    def take(self) -> list[str]:
        return self.out.take() if self._begun else []

    def _tell(self, changes: Changes[Item]) -> None:
        for name, text in self._texts(changes.changed).items():
            self.out.put(name, text)
        for name in changes.removed:
            self.out.remove(name)
        self._client.wake()

    def _texts(self, items: Mapping[str, Item]) -> dict[str, str]:
        found = {name: self._shown(item, self._client.who) for name, item in items.items()}
        return {name: text for name, text in found.items() if text is not None}


def lost(client: Client, project: str, news: News) -> bool:
    """Whether the client may not see the project any more."""
    if news.gap:
        client.doubt()
    changed = news.changed.get(project)
    return changed is not None and (changed.row is None or not sees(client.who, changed.row))


def encoded(hub: Hub, who: Principal, row: Row) -> str:
    return hub.encoded(row, role_of(who, row.author, row.participants))
