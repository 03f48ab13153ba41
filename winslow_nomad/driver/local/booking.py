"""Which attempts fit on this machine and which of them start next: pure rules over bookings.

An attempt keeps its cores, bytes and GPUs from the decision to start it until its end is known. The order
is priority, then submission; a smaller attempt may start before a bigger one that does not fit, but only
so often: then what the bigger one lacks is kept for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from winslow_nomad.core.admit import memory_of, suits
from winslow_nomad.core.inventory import GpuGroup, Node
from winslow_nomad.core.model import Record
from winslow_nomad.core.pipeline import Gpu
from winslow_nomad.core.ports import AttemptSpec
from winslow_nomad.core.stage import Reason
from winslow_nomad.driver.local.gpus import Card
from winslow_nomad.driver.local.machine import Machine

PASSES = 16  # how often others may start before one that does not fit


class Booking(Record):
    """What this machine keeps of one attempt, from submit to forget.

    waiting: nothing was started. launched: a runner was started and holds what is booked (`gpus` by
    UUID). ended: nothing is booked any more."""

    format: int = 1
    spec: AttemptSpec
    sequence: int
    state: Literal["waiting", "launched", "ended"] = "waiting"
    revision: int = 1
    passed: int = 0
    reason: Reason | None = None
    gpus: tuple[str, ...] = ()
    boot_id: str = ""
    launched: float = 0.0  # seconds since that boot
    launches: int = 0
    pid: int = 0  # of the runner that holds the claim, once seen
    pid_start: int = 0
    forgotten: bool = False  # goes as soon as nothing of it is left

    @property
    def place(self) -> tuple[int, int]:
        return -self.spec.priority, self.sequence


@dataclass(frozen=True, slots=True)
class Plan:
    """`starts`: with the UUIDs of the GPUs that each gets. `waits`: why the others do not, and who was
    passed (one more time than before)."""

    starts: tuple[tuple[Booking, tuple[str, ...]], ...]
    waits: tuple[Booking, ...]


class _Free:
    """What is left of the machine while starts are picked."""

    def __init__(self, machine: Machine, cards: Sequence[Card], held: Iterable[Booking]) -> None:
        self.cpu, self.memory = machine.cpu, machine.memory
        self.cards = {card.uuid: card for card in cards}
        for booking in held:
            self.take(booking, booking.gpus)

    def take(self, booking: Booking, gpus: Iterable[str]) -> None:
        self.cpu -= booking.spec.resources.cpu
        self.memory -= memory_of(booking.spec.resources)
        for uuid in gpus:
            self.cards.pop(uuid, None)

    def lacks(self, booking: Booking) -> frozenset[str]:
        wanted = booking.spec.resources
        short = {
            "cpu": wanted.cpu > self.cpu + 1e-9,  # sums of 0.1 cores are not exact
            "memory": memory_of(wanted) > self.memory,
            "gpu": wanted.gpu is not None and self.choose(wanted.gpu) is None,
        }
        return frozenset(name for name, is_short in short.items() if is_short)

    def choose(self, gpu: Gpu) -> tuple[str, ...] | None:
        """GPUs of one model, of the smallest that suffices, so that big ones stay for who needs them."""
        groups: dict[tuple[int, str], list[str]] = defaultdict(list)
        for card in self.cards.values():
            if suits(gpu, GpuGroup(model=card.model, memory=card.memory, count=1)):
                groups[card.memory, card.model].append(card.uuid)
        enough = [sorted(uuids) for _, uuids in sorted(groups.items()) if len(uuids) >= gpu.count]
        return tuple(enough[0][: gpu.count]) if enough else None


def plan(bookings: Iterable[Booking], machine: Machine, cards: Sequence[Card]) -> Plan:
    """What starts now. Waiting attempts come back with their reason and how many are ahead."""
    every = list(bookings)
    held = [b for b in every if b.state == "launched"]
    free, idle = _Free(machine, cards, held), _Free(machine, cards, ())
    starts: list[tuple[Booking, tuple[str, ...]]] = []
    waits: list[Booking] = []
    kept: set[str] = set()
    for booking in sorted((b for b in every if b.state == "waiting"), key=lambda b: b.place):
        lacks = free.lacks(booking)
        gpu = booking.spec.resources.gpu
        uses = {"cpu", "memory"} | ({"gpu"} if gpu else set())
        if not lacks and not uses & kept:
            gpus = (free.choose(gpu) or ()) if gpu else ()
            free.take(booking, gpus)
            starts.append((booking, gpus))
            waits = [w.but(passed=w.passed + 1) for w in waits]
            continue
        if booking.passed >= PASSES and not idle.lacks(booking):  # else nothing that ends will ever help it
            kept |= lacks
        waits.append(booking)
    return Plan(tuple(starts), tuple(waits))


def node_of(bookings: Iterable[Booking], machine: Machine, cards: Sequence[Card]) -> Node:
    """The machine as a node, with what is booked on it."""
    held = [b for b in bookings if b.state == "launched"]
    taken = {uuid for b in held for uuid in b.gpus}
    groups: dict[tuple[str, int], list[Card]] = defaultdict(list)
    for card in cards:
        groups[card.model, card.memory].append(card)
    return Node(
        name=machine.host,
        pool=machine.pool,
        tags=machine.tags,
        cpu=machine.cpu,
        memory=machine.memory,
        cpu_used=round(sum(b.spec.resources.cpu for b in held), 6),
        memory_used=sum(memory_of(b.spec.resources) for b in held),
        gpus=tuple(
            GpuGroup(model=model, memory=memory, count=len(of), used=sum(c.uuid in taken for c in of))
            for (model, memory), of in sorted(groups.items())
        ),
    )
