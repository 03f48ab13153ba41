"""The store in a dictionary: for scenarios and experiments on a virtual clock. Keeps the contract of
store.redis but its promise: nothing survives the process. Deterministic; safe between threads."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from winslow_nomad.core import ledger, statistics
from winslow_nomad.core.admit import Waiting
from winslow_nomad.core.decision import Decision
from winslow_nomad.core.effects import Effect
from winslow_nomad.core.errors import Conflict
from winslow_nomad.core.lists import TRASH, Counts, Page, Query
from winslow_nomad.core.ports import Change, Clock
from winslow_nomad.core.project import Project
from winslow_nomad.core.rows import NOTHING, asked_since, summary, tally
from winslow_nomad.store import codec, extracts, indexes
from winslow_nomad.store.lists import RING_AFTER


@dataclass(frozen=True, slots=True)
class _Kept:
    project: Project
    waiting: dict[int, Waiting]
    at_driver: dict[int, extracts.AtDriver]


class MemoryStore:
    """core.ports.Store and core.ledger.Ledger. `epoch`: that of the controller's lease in force."""

    def __init__(self, clock: Clock) -> None:
        self.epoch = 0
        self.counters: Counter[statistics.Cell] = Counter()
        self._clock = clock
        self._lock = threading.RLock()
        self._kept: dict[str, _Kept] = {}
        self._answers: dict[tuple[str, str], tuple[str, int]] = {}
        self._dirty: OrderedDict[str, datetime] = OrderedDict()
        self._timers: dict[str, datetime] = {}
        self._rung: deque[str] = deque()
        self._open: dict[str, None] = {}
        self._waiting: dict[str, dict[tuple[str, int], Waiting]] = {}
        self._at_driver: dict[str, dict[tuple[str, int], extracts.AtDriver]] = {}

    def load(self, project: str) -> Project | None:
        kept = self._kept.get(project)
        return kept.project if kept is not None else None

    def change(
        self,
        project: str,
        decide: Callable[[Project | None], Decision],
        *,
        key: str = "",
        request: str = "",
        actor: str = "",
        epoch: int = 0,
        quiet: bool = False,
    ) -> tuple[Project, Change]:
        with self._lock:
            before = self.load(project)
            if epoch and epoch < self.epoch:
                raise Conflict("The lease has passed to another controller. Nothing was changed.", code="lease.lost")
            answer = self._answers.get((actor, key)) if key else None
            if answer is not None:
                if answer[0] != request or before is None:
                    raise Conflict(
                        "This idempotency key was used for another request. Nothing was changed.",
                        code="idempotency.other_request",
                    )
                return before, Change(project=project, version=answer[1], applied=False)
            decision = decide(before)
            version = (before.version if before is not None else 0) + decision.changed
            if key:
                self._answers[actor, key] = (request, version)
            if not decision.changed:
                return decision.project, Change(project=project, version=version, applied=False)
            after = decision.project.but(version=version)
            self.counters.update(statistics.counted(before, after))
            self._keep(after, decision.effects, dirty=extracts.needs_work(decision.effects), quiet=quiet)
            return after, Change(project=project, version=version, applied=True)

    def restore(self, project: Project, effects: Sequence[Effect] = ()) -> Change:
        with self._lock:
            before = self.load(project.id)
            if before is not None and before.version >= project.version:
                return Change(project=project.id, version=before.version, applied=False)
            self._keep(project, effects, dirty=True)
            return Change(project=project.id, version=project.version, applied=True)

    def _keep(self, project: Project, effects: Sequence[Effect], *, dirty: bool, quiet: bool = False) -> None:
        old = self._kept.get(project.id)
        before = old.project if old is not None else None
        waiting = extracts.waiting(project, before, old.waiting if old is not None else {})
        at_driver = extracts.at_driver(project, before, old.at_driver if old is not None else {})
        fresh = any(old is None or old.waiting.get(n) != row for n, row in waiting.items())
        if old is not None:
            for number in old.waiting:
                self._waiting[old.project.driver].pop((project.id, number))
            for number in old.at_driver:
                self._at_driver[old.project.driver].pop((project.id, number))
        self._waiting.setdefault(project.driver, {}).update({(project.id, n): r for n, r in waiting.items()})
        self._at_driver.setdefault(project.driver, {}).update({(project.id, n): r for n, r in at_driver.items()})
        self._kept[project.id] = _Kept(project, waiting, at_driver)
        self._dirty.pop(project.id, None)
        if dirty:
            self._dirty[project.id] = self._clock.now()
        due = extracts.due(effects)
        if due is not None:
            self._timers[project.id] = due
        else:
            self._timers.pop(project.id, None)
        if ledger.is_open(project):
            self._open[project.id] = None
        else:
            self._open.pop(project.id, None)
        if (dirty or fresh) and not quiet:
            self._rung.append(project.id)

    def ring(self, project: str) -> None:
        self._rung.append(project)

    def answer(self) -> str | None:
        """The project whose doorbell rang first and was not answered yet; None: silence."""
        with self._lock:
            return self._rung.popleft() if self._rung else None

    def ring_again(self, now: datetime) -> list[str]:
        with self._lock:
            limit = now - timedelta(seconds=RING_AFTER)
            room = max(len(self._dirty) - len(self._rung), 0)
            chosen = [p for p, since in self._dirty.items() if since <= limit][:room]
            for project in chosen:
                self._rung.append(project)
                self._dirty[project] = now
                self._dirty.move_to_end(project)
            return chosen

    def projects(self) -> Sequence[str]:
        """In the order of their last change."""
        with self._lock:
            return [k.project.id for k in sorted(self._kept.values(), key=_position)]

    def dirty(self) -> Sequence[str]:
        with self._lock:
            return list(self._dirty)

    def due(self, now: datetime, *, again: float = 5.0) -> list[str]:
        with self._lock:
            found = sorted((at, p) for p, at in self._timers.items() if at <= now)
            for _, project in found:
                self._timers[project] = now + timedelta(seconds=again)
            return [p for _, p in found]

    def waiting(self, driver: str) -> Sequence[Waiting]:
        with self._lock:
            return list(self._waiting.get(driver, {}).values())

    def at_driver(self, driver: str) -> Sequence[tuple[Waiting, bool]]:
        with self._lock:
            return list(self._at_driver.get(driver, {}).values())

    def open_projects(self) -> Sequence[str]:
        with self._lock:
            return sorted(self._open)

    def page(
        self, *, state: str = "", tag: str = "", author: str = "", text: str = "", after: str = "", limit: int = 50
    ) -> Page:
        query = Query(
            states=(state,) if state else (),
            tags=(tag,) if tag else (),
            authors=(author,) if author else (),
            text=text,
            after=after,
            limit=limit,
        )
        return self.find(query)

    def find(self, query: Query) -> Page:
        """core.lists.Listing, by looking at everything."""
        with self._lock:
            placed = [(_place(k.project, query), k.project) for k in self._kept.values() if _fits(k.project, query)]
        placed.sort(key=lambda p: p[0], reverse=_descends(query))
        sign = "~" if query.sort == "name" and not query.asking else "-"
        if query.after:
            cut, _, project = query.after.rpartition(sign)
            position = (cut if sign == "~" else int(cut), project)
            placed = [p for p in placed if (p[0] < position if _descends(query) else p[0] > position)]
        shown, more = placed[: query.limit], len(placed) > query.limit
        rows = tuple(summary(p, tally(p, None, NOTHING)) for _, p in shown)
        return Page(rows=rows, next=sign.join(map(str, shown[-1][0])) if more else "")

    def text(self, query: Query) -> tuple[bytes, str]:
        page = self.find(query)
        return b"[" + b",".join(codec.write_record(r) for r in page.rows) + b"]", page.next

    def counts(self, who: frozenset[str] | None, author: str = "") -> Counts:
        with self._lock:
            seen = [k.project for k in self._kept.values() if _visible(k.project, who)]
        states = Counter(_state(p) for p in seen)
        mine = sum(p.author == author and p.trashed is None for p in seen)
        return Counts(states=dict(states), mine=mine, total=sum(p.trashed is None for p in seen))

    def used_pipelines(self, who: frozenset[str] | None) -> dict[str, int]:
        return dict(sorted(Counter(p.pipeline.name for p in self._seen(who)).items()))

    def used_tags(self, who: frozenset[str] | None) -> dict[str, int]:
        return dict(sorted(Counter(t for p in self._seen(who) for t in set(p.tags)).items()))

    def _seen(self, who: frozenset[str] | None) -> list[Project]:
        with self._lock:
            return [k.project for k in self._kept.values() if k.project.trashed is None and _visible(k.project, who)]


def _position(kept: _Kept) -> tuple[int, str]:
    return extracts.milliseconds(kept.project.updated), kept.project.id


def _descends(query: Query) -> bool:
    return query.descending or query.asking


def _place(project: Project, query: Query) -> tuple[int | str, str]:
    if query.asking:
        since = asked_since(project)
        return extracts.milliseconds(since) if since is not None else 0, project.id
    match query.sort:
        case "updated":
            return extracts.milliseconds(project.updated), project.id
        case "created":
            return extracts.milliseconds(project.created), project.id
        case "priority":
            return project.priority * indexes.RANK + extracts.milliseconds(project.updated), project.id
        case "name":
            return project.name.casefold()[: indexes.LONGEST_NAME], project.id


def _state(project: Project) -> str:
    return TRASH if project.trashed is not None else project.state.value


def _visible(project: Project, who: frozenset[str] | None) -> bool:
    return who is None or not who.isdisjoint(indexes.audience_of(project))


def _called(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns)


def _fits(project: Project, query: Query) -> bool:
    state, pipeline, tags = _state(project), project.pipeline.name, set(project.tags)
    return (
        _visible(project, query.who)
        and (state in query.states if query.states else state != TRASH)
        and state not in query.not_states
        and tags.issuperset(query.tags)
        and tags.isdisjoint(query.not_tags)
        and (not query.authors or project.author in query.authors)
        and project.author not in query.not_authors
        and (not query.pipelines or _called(pipeline, query.pipelines))
        and not _called(pipeline, query.not_pipelines)
        and (not query.participants or not set(query.participants).isdisjoint(indexes.audience_of(project)))
        and query.text.casefold() in f"{project.name.casefold()}\n{project.id}"
        and (not query.asking or asked_since(project) is not None)
    )
