"""What the nodes of a driver have and what is in use: a value, the base of every "busy" and "impossible"."""

from __future__ import annotations

from datetime import datetime

from winslow_nomad.core.model import Value


class GpuGroup(Value):
    """GPUs of one model on one node; a request is served from one group."""

    model: str
    memory: int  # bytes each
    count: int
    used: int = 0


class Node(Value):
    name: str
    pool: str = "default"
    tags: frozenset[str] = frozenset()
    ready: bool = True  # up, eligible, and it sees the share
    cpu: float  # cores
    memory: int  # bytes
    cpu_used: float = 0.0
    memory_used: int = 0
    gpus: tuple[GpuGroup, ...] = ()
    note: str = ""  # why it is not ready


class Inventory(Value):
    """`seen`: when the driver told; None: never yet, and `note` says what keeps it from telling."""

    driver: str
    nodes: tuple[Node, ...] = ()
    seen: datetime | None = None
    note: str = ""
