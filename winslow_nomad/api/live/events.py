"""What has happened, one after the other, for programs: since a cursor, and as it comes. Bounded for those who do not
keep up: they are told of a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from winslow_nomad.api.live.hub import Changed, Hub, News, forward, place
from winslow_nomad.api.views.base import Answer, example
from winslow_nomad.core.client import Happened
from winslow_nomad.core.messages import Entry

MOST = 5000  # entries that wait for one who follows
EXAMPLE = {
    "cursor": "1795530720000-0", "project": "pk3m8x2w9qf4t", "version": 31, "at": "2026-11-24T14:32:00Z",
    "entry": {"what": "stage_started", "stage": 4, "id": "track", "attempt": 1, "text": "", "data": {}},
}  # fmt: skip


class EventsView(Answer):
    """`cursor`: give it to go on. `gap`: something before `items` is missing; read the state anew."""

    items: list[Happened]
    cursor: str
    gap: bool = False

    model_config = example(items=[EXAMPLE], cursor="1795530720000-0", gap=False)


class EventLine(Answer):
    """A line of the stream. event: something has happened (then all fields are there). gap: something before `cursor`
    is missing. beat: nothing has happened for a while."""

    type: Literal["event", "gap", "beat"]
    cursor: str = Field(examples=["1741064767123-0"])
    project: str = ""
    version: int = 0
    at: str = Field(default="", description="UTC")
    entry: Entry | None = Field(default=None, examples=[EXAMPLE["entry"]])


class Following:
    """Hears what `sees` lets through. Use: begin, then take again and again, leave at the end."""

    def __init__(self, hub: Hub, sees: Callable[[str, Changed], bool]) -> None:
        self._hub = hub
        self._sees = sees
        self._waiting: list[Happened] = []
        self._held: list[News] | None = []
        self._something = asyncio.Event()
        self._gap = False
        self._cursor = ""
        self._last = (0, 0)

    async def begin(self, cursor: str) -> None:
        """Raises Invalid (live.cursor), Unavailable."""
        self._cursor = await self._hub.listen(self._tell)
        missed = await self._hub.lane(lambda: self._hub.missed(cursor)) if cursor else None
        self._last = place(cursor or self._cursor)
        held, self._held = self._held or [], None
        for news in [*([missed] if missed is not None else []), *held]:
            self._put(news)

    def leave(self) -> None:
        self._hub.leave(self._tell)

    async def take(self, seconds: float) -> EventsView:
        """What has come, waiting up to so long for something."""
        if not self._waiting and not self._gap:
            try:
                async with asyncio.timeout(seconds):
                    await self._something.wait()
            except TimeoutError:
                pass
        self._something.clear()
        items, gap, self._waiting, self._gap = self._waiting, self._gap, [], False
        return EventsView.model_construct(items=items, cursor=self._cursor, gap=gap)

    def _tell(self, news: News) -> None:
        if self._held is not None:
            self._held.append(news)
        else:
            self._put(news)

    def _put(self, news: News) -> None:
        found = [h for p, changed in news.changed.items() if self._sees(p, changed) for h in changed.happened]
        found = sorted((h for h in found if place(h.cursor) > self._last), key=lambda h: place(h.cursor))
        self._last = place(news.cursor) if news.gap else max(self._last, place(news.cursor))
        self._cursor = forward(self._cursor, news)
        if news.gap or len(self._waiting) + len(found) > MOST:
            self._gap, self._waiting = True, []
        else:
            self._waiting += found
        if found or news.gap:
            self._something.set()
