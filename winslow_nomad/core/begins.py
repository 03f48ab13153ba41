"""When a stage that waits is likely to begin: by what runs on the machines that could hold it, what is before it in
line, and how long such stages have taken so far. Pure; the same for every driver.

The line is played through on the machines as they are, three times: with the times that a tenth, a half and nine tenths
of the runs stayed under. A guess is left out rather than made up: where a time is needed that the history is too thin
for, or that a run has outlasted already, there is no answer. Must never be taken for a promise, nor decide anything."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Protocol

from pydantic import Field

from winslow_nomad.core.admit import Line, Waiting, fits, memory_of, suits
from winslow_nomad.core.durations import Typical
from winslow_nomad.core.inventory import Inventory, Node
from winslow_nomad.core.model import Value
from winslow_nomad.core.pipeline import Placement, Resources
from winslow_nomad.core.project import Project

LEAST_RUNS = 3  # that ended well, from which on there is something to go by
Key = tuple[str, int]


class Begin(Value):
    """`likely` with a margin: in eight of ten cases between `earliest` and `latest`, if nobody changes the line.
    `text`: as people read it, with what it is taken from."""

    likely: datetime
    earliest: datetime
    latest: datetime
    text: str = Field(examples=["about 40 min: 14 runs of detect took 12 to 15 min, and 2 stages are before it"])


class Begins(Protocol):
    def of(self, project: Project) -> Mapping[int, Begin]:
        """By stage number, of those that wait for a machine and of which something can be told. Raises
        StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Takes:
    """How long runs of one stage definition took: seconds that a tenth, a half, nine tenths of them stayed under."""

    name: str
    runs: int
    times: tuple[float, float, float]

    @classmethod
    def of(cls, name: str, typical: Typical | None) -> Takes | None:
        """None: too few have ended well."""
        if typical is None or typical.p10 is None or typical.median is None or typical.p90 is None:
            return None
        runs = typical.ended.get("succeeded", 0)
        return cls(name, runs, (typical.p10, typical.median, typical.p90)) if runs >= LEAST_RUNS else None


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt that holds a place. left: seconds until it ends, for each of the three; None: nobody can tell."""

    node: str
    resources: Resources
    left: tuple[float, float, float] | None
    takes: Takes | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A stage in line."""

    waiting: Waiting
    takes: Takes | None


def left_of(takes: Takes | None, ran: float) -> tuple[float, float, float] | None:
    """Of something that has run for so many seconds. None: unknown, or longer than what is usual."""
    if takes is None or ran > takes.times[2]:
        return None
    low, half, high = (max(0.0, t - ran) for t in takes.times)
    return low, half, high


def by_progress(ran: float, percent: float) -> tuple[float, float, float]:
    """Of something that says itself how far it is."""
    left = ran * (100.0 - min(percent, 100.0)) / percent
    return left, left, left


def line_of(unplaced: Sequence[Waiting], held: Sequence[Waiting], served: Mapping[str, float]) -> list[Waiting]:
    """As they will get their places: those at the driver first, then by the order of admission."""
    first = sorted(unplaced, key=lambda w: (-w.priority, w.queued, w.key))
    return [*first, *Line(held, dict(served))]


def begins(
    line: Sequence[Standing], running: Sequence[Running], inventory: Inventory, now: datetime
) -> dict[Key, Begin]:
    """Of as many of the line as something can be told of."""
    played = [_Play(line, running, inventory.nodes, which).all() for which in range(3)]
    found: dict[Key, Begin] = {}
    for place, standing in enumerate(line):
        key = standing.waiting.key
        times = sorted(p[key] for p in played if key in p)
        if len(times) < len(played) or times[1] <= 0:
            continue  # never, or at once: then something else keeps it waiting that is not known here
        low, half, high = (now + timedelta(seconds=t) for t in times)
        text = _words(standing.waiting, times[1], line[:place], running, inventory.nodes)
        found[key] = Begin(likely=half, earliest=low, latest=high, text=text)
    return found


@dataclass(slots=True)
class _Room:
    """What is free on one node."""

    node: Node
    cpu: float
    memory: int
    gpus: list[int]

    @classmethod
    def of(cls, node: Node) -> _Room:
        gpus = [g.count - g.used for g in node.gpus]
        return cls(node, node.cpu - node.cpu_used, node.memory - node.memory_used, gpus)

    def take(self, resources: Resources, placement: Placement) -> bool:
        if not self.node.ready or not fits(resources, placement, self.node):
            return False
        group = self._group(resources, free=True)
        if self.cpu < resources.cpu or self.memory < memory_of(resources) or group is None:
            return False
        self._change(resources, group, -1)
        return True

    def give_back(self, resources: Resources) -> None:
        group = self._group(resources, free=False)
        self._change(resources, -1 if group is None else group, 1)

    def _group(self, resources: Resources, *, free: bool) -> int | None:
        """Which of its GPUs: the smallest that suit and are free, or are in use; -1: it needs none."""
        gpu = resources.gpu
        if gpu is None:
            return -1
        fitting = [
            (g.memory, i)
            for i, g in enumerate(self.node.gpus)
            if suits(gpu, g) and (self.gpus[i] if free else g.count - self.gpus[i]) >= gpu.count
        ]
        return min(fitting)[1] if fitting else None

    def _change(self, resources: Resources, group: int, sign: int) -> None:
        self.cpu += sign * resources.cpu
        self.memory += sign * memory_of(resources)
        if group >= 0 and resources.gpu is not None:
            self.gpus[group] += sign * resources.gpu.count


@dataclass(slots=True)
class _Play:
    """The line on the machines, by one of the three times."""

    line: Sequence[Standing]
    running: Sequence[Running]
    nodes: Sequence[Node]
    which: int
    _ends: list[tuple[float, int, str, Resources]] = field(default_factory=list)
    _number: count[int] = field(default_factory=count)

    def all(self) -> dict[Key, float]:
        """Seconds until each has its place; what never gets one is left out."""
        rooms = {n.name: _Room.of(n) for n in self.nodes}
        left = list(self.line)
        placed: dict[Key, float] = {}
        for run in self.running:
            if run.left is not None and run.node in rooms:
                self._will_end(run.left[self.which], run.node, run.resources)
        left = self._place(0.0, left, list(rooms.values()), placed)
        while self._ends and left:
            at, _, name, resources = heapq.heappop(self._ends)
            rooms[name].give_back(resources)
            if self._ends and self._ends[0][0] == at:
                continue
            left = self._place(at, left, list(rooms.values()), placed)
        return placed

    def _will_end(self, at: float, node: str, resources: Resources) -> None:
        heapq.heappush(self._ends, (at, next(self._number), node, resources))

    def _place(
        self, at: float, line: Sequence[Standing], rooms: Sequence[_Room], placed: dict[Key, float]
    ) -> list[Standing]:
        """Those that find no place now."""
        later = []
        full: set[object] = set()
        for standing in line:
            waiting = standing.waiting
            if waiting.need in full:
                later.append(standing)
                continue
            room = next((r for r in rooms if r.take(waiting.resources, waiting.placement)), None)
            if room is None:
                full.add(waiting.need)
                later.append(standing)
                continue
            placed[waiting.key] = at
            if standing.takes is not None:
                self._will_end(at + standing.takes.times[self.which], room.node.name, waiting.resources)
        return later


def _words(
    waiting: Waiting, seconds: float, before: Sequence[Standing], running: Sequence[Running], nodes: Sequence[Node]
) -> str:
    able = {n.name for n in nodes if fits(waiting.resources, waiting.placement, n)}
    ahead = [s for s in before if s.waiting.kind == waiting.kind]
    wanted = waiting.resources.gpu is not None
    holding = [r for r in running if r.node in able and (not wanted or r.resources.gpu is not None)]
    told = {t.name: t for t in (*(r.takes for r in holding), *(s.takes for s in ahead)) if t is not None}
    because = _history(list(told.values()))
    place = f"{len(ahead)} stage{'s are' if len(ahead) != 1 else ' is'} before it" if ahead else "it is next"
    return f"{about(seconds)}: {because}, and {place}" if because else f"{about(seconds)}: {place}"


def _history(told: Sequence[Takes]) -> str:
    if not told:
        return ""
    low, high = min(t.times[0] for t in told), max(t.times[2] for t in told)
    if len(told) == 1:
        return f"{told[0].runs} runs of {told[0].name} took {between(low, high)}"
    return f"{sum(t.runs for t in told)} runs of {len(told)} kinds took {between(low, high)}"


def about(seconds: float) -> str:
    amount, unit = _rough(seconds)
    return f"about {amount:g} {unit}"


def between(low: float, high: float) -> str:
    """12 to 15 min; 50 s to 2 min."""
    (least, small), (most, large) = _rough(low), _rough(high)
    if small != large:
        return f"{least:g} {small} to {most:g} {large}"
    return f"{least:g} to {most:g} {large}" if least != most else f"about {most:g} {large}"


def _rough(seconds: float) -> tuple[float, str]:
    """No more exact than it is known."""
    if seconds < 90:
        return max(5.0, 5.0 * round(seconds / 5)) if seconds >= 10 else max(1.0, math.ceil(seconds)), "s"
    if seconds < 90 * 60:
        minutes = round(seconds / 60)
        return float(minutes if minutes < 20 else 5 * round(minutes / 5)), "min"
    hours = seconds / 3600
    return (round(hours * 2) / 2 if hours < 10 else float(round(hours))), "h"
