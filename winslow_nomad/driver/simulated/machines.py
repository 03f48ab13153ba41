"""The simulated nodes: what is free on each, and which one a request gets. Knows no attempts' fates."""

from __future__ import annotations

from collections.abc import Iterable

from winslow_nomad.core.admit import eligible, memory_of, suits
from winslow_nomad.core.inventory import GpuGroup, Node
from winslow_nomad.core.pipeline import Gpu
from winslow_nomad.core.ports import AttemptRef, AttemptSpec


class Room:
    """What one placed attempt takes: a node, and how many GPUs of which of its groups."""

    def __init__(self, node: str, group: int | None, gpus: int) -> None:
        self.node, self.group, self.gpus = node, group, gpus


class Machine:
    def __init__(self, node: Node) -> None:
        self.node = node
        self.cut = False  # it works, but nobody hears of it
        self.gone = False  # it is dead
        self.unheard: list[AttemptRef] = []  # what ended while it was cut
        self.cpu, self.memory = node.cpu, node.memory
        self._groups: dict[tuple[str, int], list[int]] = {}
        self.gpus = [group.count for group in node.gpus]

    def room(self, spec: AttemptSpec) -> Room | None:
        wanted, gpu = spec.resources, spec.resources.gpu
        if wanted.cpu > self.cpu + 1e-9 or memory_of(wanted) > self.memory:
            return None
        if self.cut or self.gone or not self.node.ready or not eligible(spec.placement, self.node):
            return None
        if gpu is None:
            return Room(self.node.name, None, 0)
        for index in self._suitable(gpu):
            if self.gpus[index] >= gpu.count:
                return Room(self.node.name, index, gpu.count)
        return None

    def _suitable(self, gpu: Gpu) -> list[int]:
        """Groups that may serve the request, those with the least memory first; worked out once for each."""
        known = self._groups.get((gpu.model, gpu.memory))
        if known is None:
            groups = enumerate(self.node.gpus)
            known = [i for _, i in sorted((g.memory, i) for i, g in groups if suits(gpu, g))]
            self._groups[gpu.model, gpu.memory] = known
        return known

    def change(self, spec: AttemptSpec, room: Room, sign: int) -> None:
        self.cpu -= sign * spec.resources.cpu
        self.memory -= sign * memory_of(spec.resources)
        if room.group is not None:
            self.gpus[room.group] -= sign * room.gpus

    def shown(self) -> Node:
        """As the driver sees it."""
        away = self.cut or self.gone
        return self.node.but(
            ready=self.node.ready and not away,
            note="out of contact" if away else self.node.note,
            cpu_used=round(self.node.cpu - self.cpu, 6),
            memory_used=self.node.memory - self.memory,
            gpus=tuple(
                GpuGroup(model=g.model, memory=g.memory, count=g.count, used=g.count - free)
                for g, free in zip(self.node.gpus, self.gpus, strict=True)
            ),
        )


class Machines:
    def __init__(self, nodes: Iterable[Node]) -> None:
        self._machines = {node.name: Machine(node) for node in nodes}

    def __getitem__(self, name: str) -> Machine:
        return self._machines[name]

    def join(self, node: Node) -> None:
        self._machines[node.name] = Machine(node)

    def shown(self) -> tuple[Node, ...]:
        return tuple(m.shown() for m in self._machines.values())

    def place(self, spec: AttemptSpec, only: str | None) -> Room | None:
        """The preferred node, else the one with the smallest GPU that suffices and the least left over; one that is to
        be avoided where there is no other.
        only: where alone there can be room, because something was freed there."""
        preferred = self._machines.get(spec.previous_node)
        if spec.placement.prefer == "previous_node" and preferred is not None and spec.previous_node not in spec.avoid:
            room = preferred.room(spec)
            if room is not None:
                return room
        if only is not None:
            return self._machines[only].room(spec)
        found = [room for m in self._machines.values() if (room := m.room(spec))]
        return min(found, key=lambda room: (room.node in spec.avoid, self._waste(room), room.node), default=None)

    def _waste(self, room: Room) -> tuple[int, float]:
        machine = self._machines[room.node]
        memory = 0 if room.group is None else machine.node.gpus[room.group].memory
        return memory, machine.cpu

    def take(self, spec: AttemptSpec, room: Room) -> None:
        self._machines[room.node].change(spec, room, 1)

    def release(self, spec: AttemptSpec, room: Room) -> None:
        self._machines[room.node].change(spec, room, -1)
