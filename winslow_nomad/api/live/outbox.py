"""What waits to be sent to one client, by topic. Bounded whatever the client does: rows are merged by id, lines are
dropped for their number alone, and where even ids become too many the client is told to ask for the state anew.

Pure: no clock, no socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import TypeAdapter

MOST = 2000  # ids that wait in one topic
LINES = 500  # lines of a log that wait

Text = str


class Waiting(Protocol):
    """Something of one topic that waits. `take`: the messages, after which nothing waits any more."""

    def take(self) -> list[Text]: ...


def quoted(text: str) -> str:
    return _TEXTS.dump_json(text).decode()


_TEXTS: TypeAdapter[str] = TypeAdapter(str)


@dataclass
class Rows:
    """Of projects or inbox. `kind`: the field that holds them. `encode`: what is to be told of a project as it is now,
    as JSON with commas between; empty: it is none of the client's by now; None: it is no longer remembered."""

    topic: str
    kind: str
    encode: Callable[[str], Text | None]
    cursor: str = ""
    changed: dict[str, None] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)
    gap: bool = False

    def put(self, project: str) -> None:
        self.removed.pop(project, None)
        self.changed[project] = None
        self._bound()

    def remove(self, project: str) -> None:
        self.changed.pop(project, None)
        self.removed[project] = None
        self._bound()

    def lose(self) -> None:
        """Nobody knows any more what has changed."""
        self.gap = True
        self.changed.clear()
        self.removed.clear()

    def _bound(self) -> None:
        if self.gap or len(self.changed) + len(self.removed) > MOST:
            self.lose()

    def take(self) -> list[Text]:
        found = {project: self.encode(project) for project in self.changed}
        self.removed |= {project: None for project, text in found.items() if text == ""}
        if self.gap or None in found.values():
            text = f'{{"type":"gap","topic":"{self.topic}","cursor":"{self.cursor}"}}'
        elif found or self.removed:
            removed = ",".join(quoted(project) for project in self.removed)
            rows = ",".join(text for text in found.values() if text)
            text = (
                f'{{"type":"delta","topic":"{self.topic}","cursor":"{self.cursor}",'
                f'"data":{{"{self.kind}":[{rows}],"removed":[{removed}]}}}}'
            )
        else:
            return []
        self.changed, self.removed, self.gap = {}, {}, False
        return [text]


@dataclass
class Texts:
    """Messages as they are, the newest `most` of them; more: a gap. Of one project."""

    topic: str
    most: int = 100
    cursor: str = ""
    waiting: list[Text] = field(default_factory=list)
    gap: bool = False

    def put(self, text: Text) -> None:
        if len(self.waiting) >= self.most:
            self.lose()
        if not self.gap:
            self.waiting.append(text)

    def lose(self) -> None:
        self.gap = True
        self.waiting.clear()

    def take(self) -> list[Text]:
        if self.gap:
            found = [f'{{"type":"gap","topic":{quoted(self.topic)},"cursor":"{self.cursor}"}}']
        else:
            found = self.waiting
        self.waiting, self.gap = [], False
        return found


@dataclass
class Items:
    """Nodes or transfers, by name."""

    topic: str
    kind: str  # the field of ItemsData
    cursor: str = ""
    changed: dict[str, Text] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)

    def put(self, name: str, text: Text) -> None:
        self.removed.pop(name, None)
        self.changed[name] = text

    def remove(self, name: str) -> None:
        self.changed.pop(name, None)
        self.removed[name] = None

    def take(self) -> list[Text]:
        if not self.changed and not self.removed:
            return []
        removed = ",".join(quoted(name) for name in self.removed)
        text = (
            f'{{"type":"delta","topic":{quoted(self.topic)},"cursor":"{self.cursor}",'
            f'"data":{{"{self.kind}":[{",".join(self.changed.values())}],"removed":[{removed}]}}}}'
        )
        self.changed, self.removed = {}, {}
        return [text]


@dataclass
class Bell:
    """That something has changed, once however often it did."""

    topic: str
    cursor: str = ""
    rung: bool = False

    def ring(self, cursor: str) -> None:
        self.cursor, self.rung = cursor, True

    def take(self) -> list[Text]:
        if not self.rung:
            return []
        self.rung = False
        return [f'{{"type":"delta","topic":{quoted(self.topic)},"cursor":"{self.cursor}","data":{{"changed":true}}}}']


@dataclass
class Grown:
    """A log. `lines` by number."""

    topic: str
    total: int = 0
    ended: bool = False
    complete: bool = True
    lines: dict[int, Text] = field(default_factory=dict)
    dropped: bool = False
    news: bool = False

    def put(self, total: int, ended: bool, complete: bool, lines: dict[int, Text] | None) -> None:
        """`lines` None: there are too many."""
        self.total, self.ended, self.complete, self.news = max(self.total, total), ended, complete, True
        if lines is None or self.dropped or len(self.lines) + len(lines) > LINES:
            self.dropped = True
            self.lines = {}
        else:
            self.lines.update(lines)

    def put_before(self, total: int, ended: bool, complete: bool, lines: dict[int, Text] | None) -> None:
        """What was so before whatever was put already."""
        later = self.lines
        if not self.news:
            self.ended, self.complete = ended, complete
        self.lines = {}
        self.put(total, self.ended or ended, self.complete, lines)
        if not self.dropped:
            self.lines.update(later)

    def take(self) -> list[Text]:
        if not self.news:
            return []
        kind = "total" if self.dropped else "delta"
        lines = ",".join(text for _, text in sorted(self.lines.items()))
        text = (
            f'{{"type":"{kind}","topic":{quoted(self.topic)},"cursor":"{self.total}","data":{{"total":{self.total},'
            f'"ended":{flag(self.ended)},"complete":{flag(self.complete)},"lines":[{lines}]}}}}'
        )
        self.lines, self.dropped, self.news = {}, False, False
        return [text]


def flag(value: Any) -> str:
    return "true" if value else "false"
