"""Nodes as their cards show them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from pydantic import Field

from winslow_nomad.api.views.base import Answer, Request, example
from winslow_nomad.core.inventory import GpuGroup
from winslow_nomad.core.nodes import Busy, Load, NodeNow, Sample

HIDDEN = "a project that is not yours"


class NodeView(Answer):
    """state: ready, idle, draining, down (not ready, with the reason in `note`), cut_off (it cannot be asked, and works
    on all the same). `booked` is what stages asked for, `load` what is used at this moment."""

    name: str
    driver: str
    pool: str
    tags: list[str]
    state: Literal["ready", "idle", "draining", "down", "cut_off"]
    ready: bool
    note: str = ""
    draining: str | None = None
    can_drain: bool = Field(description="whether its driver can keep new work away from it")
    cpu: float = Field(description="cores")
    memory: int
    cpu_booked: float
    memory_booked: int
    gpus: list[GpuGroup]
    gpus_total: int
    gpus_booked: int
    busy: list[Busy] = Field(description="what works on it; names of projects that the caller may not see are left out")
    idle_since: datetime | None = None
    free_at: datetime | None = Field(default=None, description="likely, when what works on it has ended")
    load: Load | None = None

    model_config = example(
        name="alder", driver="nomad", pool="default", tags=["fast-disk"], state="ready", ready=True,
        can_drain=True, cpu=16.0,
        memory=68719476736, cpu_booked=10.0, memory_booked=42949672960,
        gpus=[{"model": "NVIDIA GeForce RTX 4080", "memory": 17171480576, "count": 2, "used": 2}], gpus_total=2,
        gpus_booked=2, busy=[],
    )  # fmt: skip


class NodesView(Answer):
    """`waiting`: stages of all projects that wait for a machine."""

    items: list[NodeView]
    gpus: int
    gpus_booked: int
    running: int
    waiting: int

    model_config = example(items=[], gpus=8, gpus_booked=6, running=8, waiting=3)


class Samples(Answer):
    """The oldest first; percent of all that the node has."""

    node: str
    items: list[Sample]

    model_config = example(node="alder", items=[{"at": "2026-11-24T14:30:00Z", "cpu": 61.0, "gpu": 93.0}])


class Draining(Request):
    """Why, for everybody to read."""

    text: str = Field(default="", max_length=500)

    model_config = example(text="new fan")


def node_view(now: NodeNow, seen: Collection[str] | None) -> NodeView:
    """`seen`: ids of the projects among those on it that the caller may see; None: all."""
    node = now.node
    ends = [b.expected for b in now.busy]
    known = [e for e in ends if e is not None]
    return NodeView(
        name=node.name,
        driver=now.driver,
        pool=node.pool,
        tags=sorted(node.tags),
        state=_state(now),
        ready=node.ready,
        note=node.note,
        draining=now.draining,
        can_drain=now.can_drain,
        cpu=node.cpu,
        memory=node.memory,
        cpu_booked=node.cpu_used,
        memory_booked=node.memory_used,
        gpus=list(node.gpus),
        gpus_total=sum(g.count for g in node.gpus),
        gpus_booked=sum(g.used for g in node.gpus),
        busy=[b if seen is None or b.project in seen else _hidden(b) for b in now.busy],
        idle_since=now.idle_since,
        free_at=max(known) if known and len(known) == len(ends) else None,
        load=now.load if seen is None or now.load is None else _without_names(now.load, seen),
    )


def _state(now: NodeNow) -> Literal["ready", "idle", "draining", "down", "cut_off"]:
    if now.draining is not None:
        return "draining"
    if any(b.cut_off is not None for b in now.busy):
        return "cut_off"
    if not now.node.ready:
        return "down"
    return "ready" if now.busy else "idle"


def _hidden(busy: Busy) -> Busy:
    return busy.but(project="", name=HIDDEN, stage=0, id="", attempt=0)


def _without_names(load: Load, seen: Collection[str]) -> Load:
    def cut(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(n for n in names if n.split("/", 1)[0] in seen)

    return load.but(cards=tuple(c.but(attempts=cut(c.attempts)) for c in load.cards))
