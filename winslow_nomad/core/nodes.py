"""Nodes as screens show them: what they have, what works on them, how busy they are at this moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import Field

from winslow_nomad.core.inventory import Inventory, Node
from winslow_nomad.core.model import Value


class CardLoad(Value):
    """One GPU now. percent: of its time that it works; temperature in degrees Celsius; memory in bytes."""

    index: int
    uuid: str = ""
    model: str
    memory: int
    memory_used: int | None = None
    percent: float | None = None
    temperature: float | None = None
    watts: float | None = None
    attempts: tuple[str, ...] = Field(default=(), description="<project>/<stage>/<attempt> that it is booked for")


class Load(Value):
    """A node now. cpu: cores that are busy; memory and disk in bytes; up: seconds since it started. None: not known."""

    at: datetime
    cpu: float | None = None
    memory: int | None = None
    disk_free: int | None = None
    disk_total: int | None = None
    up: float | None = None
    cards: tuple[CardLoad, ...] = ()
    facts: dict[str, str] = {}


class Loads(Protocol):
    """What a driver can say of its nodes beside their inventory."""

    def loads(self) -> Mapping[str, Load]:
        """By name of the node; those that cannot be asked are left out. Raises DriverUnavailable."""
        ...

    def draining(self) -> Mapping[str, str] | None:
        """Nodes that take no new work, with the reason. None: this driver drains none."""
        ...

    def drain(self, node: str, text: str) -> None:
        """Nothing new starts there, what runs goes on to its end. Raises Refused (driver.no_drain), NotFound."""
        ...

    def undrain(self, node: str) -> None: ...


class Busy(Value):
    """An attempt that works on a node, or has been given to it. Memory in bytes."""

    project: str
    name: str
    stage: int
    id: str
    attempt: int
    cpu: float
    memory: int
    gpus: int = 0
    since: datetime | None = None
    percent: float | None = None
    expected: datetime | None = None
    cut_off: datetime | None = Field(default=None, description="since when its node cannot be asked")


class NodeNow(Value):
    """`idle_since`: nothing has worked on it since; None: something does, or nobody knows."""

    driver: str
    node: Node
    load: Load | None = None
    busy: tuple[Busy, ...] = ()
    draining: str | None = None
    can_drain: bool = False
    idle_since: datetime | None = None


class Sample(Value):
    """Of one node at one time; percent of all that it has."""

    at: datetime
    cpu: float | None = None
    memory: float | None = None
    gpu: float | None = None
    gpu_memory: float | None = None
    gpus_used: int = 0
    gpus: int = 0


class Nodes(Protocol):
    """Raises NotFound (node.not_found), Refused, Unavailable."""

    def inventory(self, driver: str) -> Inventory: ...

    def all(self) -> Sequence[NodeNow]: ...

    def get(self, node: str) -> NodeNow: ...

    def waiting(self) -> int:
        """Stages of all projects that wait for a machine."""
        ...

    def samples(self, node: str, since: datetime, until: datetime) -> Sequence[Sample]:
        """The oldest first."""
        ...

    def drain(self, node: str, text: str) -> NodeNow: ...

    def undrain(self, node: str) -> NodeNow: ...
