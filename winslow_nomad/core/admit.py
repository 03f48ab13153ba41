"""Who may start next, and why the others wait: pure, deterministic, the same for every driver.

The order is ours, not the driver's: priority, then the least served user, then age; within a project its
own line. Only a few attempts of a class wait at the driver at a time, so that what waits can still be
reordered and edited. It must never admit what no node could ever hold."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property

from winslow_nomad.core.allowance import FREE, NOTHING, Allowance, Use, beyond, why_never, why_waits
from winslow_nomad.core.inventory import GpuGroup, Inventory, Node
from winslow_nomad.core.model import Value
from winslow_nomad.core.pipeline import GIB, MIB, Gpu, Placement, Resources
from winslow_nomad.core.stage import Reason

OWN_SHARE = 50  # up to a fiftieth of its memory a card keeps for itself and does not tell of
Class = tuple[str, tuple[str, ...], str, int]
Need = tuple[Class, float, int, int]


class Waiting(Value):
    """A stage that could start now if there were room; or an attempt that waits unplaced at the driver."""

    project: str
    stage: int
    priority: int = 50  # 0..100, higher first
    actor: str = ""  # whose share of the machines it counts against
    queued: datetime
    resources: Resources = Resources()
    placement: Placement = Placement()
    turn: int = 1  # the project's line: turn, then order, then number
    order: float = 0.0
    limit: Allowance = FREE  # of its project

    @cached_property
    def key(self) -> tuple[str, int]:
        return self.project, self.stage

    @cached_property
    def kind(self) -> Class:
        return class_of(self.resources, self.placement)

    @cached_property
    def need(self) -> Need:
        """Stages with the same need have the same answer to "where could it run?"."""
        gpu = self.resources.gpu
        return self.kind, self.resources.cpu, memory_of(self.resources), gpu.count if gpu else 0


class Policy(Value):
    """served: how many stages of a user are at the driver now (placed or not); a user not named has none. limits:
    what each user may have in use at the same time; one not named, as much as there is."""

    served: dict[str, float] = {}
    limits: dict[str, Allowance] = {}
    unplaced: int = 8
    unplaced_per_gpu: int = 2
    explained: int | None = None  # how many at the head of the line learn why they wait; None: all


@dataclass(frozen=True, slots=True)
class Admission:
    """`admitted` in the order in which they are to be submitted; `held` has a reason for every other one."""

    admitted: tuple[Waiting, ...]
    held: dict[tuple[str, int], Reason]


def class_of(resources: Resources, placement: Placement) -> Class:
    """What competes for the same machines: pool, tags, and the GPU asked for ("cpu" for none)."""
    gpu = resources.gpu
    return (
        placement.pool,
        tuple(sorted(placement.require)),
        gpu.model if gpu else "cpu",
        gpu.memory if gpu else 0,
    )


def memory_of(resources: Resources) -> int:
    """Bytes that must exist: what it may use at most."""
    return max(resources.memory, resources.memory_max or 0)


def model_matches(pattern: str, model: str) -> bool:
    """A glob without regard to case, against the name or its end: RTX* finds NVIDIA GeForce RTX 2080 Ti."""
    if not pattern:
        return True
    words = model.lower().split()
    return any(fnmatchcase(" ".join(words[i:]), pattern.lower()) for i in range(len(words)))


def least_memory(gpu: Gpu) -> int:
    """Bytes that a GPU must tell of to be what is asked for: a card that is sold with 24 GiB tells of 24,564 MiB."""
    return gpu.memory - gpu.memory // OWN_SHARE


def suits(gpu: Gpu, group: GpuGroup) -> bool:
    """Is one GPU of the group what is asked for?"""
    return group.memory >= least_memory(gpu) and model_matches(gpu.model, group.model)


def eligible(placement: Placement, node: Node) -> bool:
    return node.pool == placement.pool and node.tags.issuperset(placement.require)


def fits(resources: Resources, placement: Placement, node: Node) -> bool:
    """Could the node hold it if it were idle and ready?"""
    gpu = resources.gpu
    return (
        eligible(placement, node)
        and resources.cpu <= node.cpu
        and memory_of(resources) <= node.memory
        and (gpu is None or any(suits(gpu, g) and g.count >= gpu.count for g in node.gpus))
    )


def possible(resources: Resources, placement: Placement, inventory: Inventory) -> str | None:
    """None: some known node could hold it. Else a sentence that names the constraint and the nearest node."""
    nodes = list(inventory.nodes)
    if not nodes:
        return "there is no node yet" if inventory.seen else None
    limits: dict[str, str] = {}
    for topic, narrow in NARROWINGS:
        kept, words, nearest = narrow(resources, placement, nodes)
        if not kept:
            limits.pop(topic, None)  # what was said of it before is part of what is said now
            subject = "no node" + (f" with {' and '.join(limits.values())}" if limits else "")
            return f"{subject} {'is in' if topic == 'pool' else 'has'} {words}: {nearest}"
        if len(kept) < len(nodes):
            limits[topic] = words if topic != "pool" else f"its place in {words}"
        nodes = kept
    return None


Narrowed = tuple[list[Node], str, str]


def _pool(_: Resources, placement: Placement, nodes: Sequence[Node]) -> Narrowed:
    kept = [n for n in nodes if n.pool == placement.pool]
    pools = ", ".join(sorted({n.pool for n in nodes}))
    return kept, f"the pool {placement.pool}", f"the pools are {pools}"


def _tags(_: Resources, placement: Placement, nodes: Sequence[Node]) -> Narrowed:
    wanted = placement.require
    kept = [n for n in nodes if n.tags.issuperset(wanted)]
    nearest = max(nodes, key=lambda n: (len(n.tags.intersection(wanted)), n.name))
    lacks = ", ".join(t for t in wanted if t not in nearest.tags)
    return kept, f"the tag{'s' * (len(wanted) > 1)} {', '.join(wanted)}", f"{nearest.name} lacks {lacks}"


def _model(resources: Resources, _: Placement, nodes: Sequence[Node]) -> Narrowed:
    gpu = resources.gpu
    if gpu is None:
        return list(nodes), "", ""
    kept = [n for n in nodes if any(model_matches(gpu.model, g.model) for g in n.gpus)]
    there = ", ".join(sorted({f"{short(g.model)} ({n.name})" for n in nodes for g in n.gpus}))
    words = f"a GPU like {gpu.model}" if gpu.model else "a GPU"
    return kept, words, f"there is {there}" if there else "there is no GPU at all"


def _gpu_memory(resources: Resources, _: Placement, nodes: Sequence[Node]) -> Narrowed:
    gpu = resources.gpu
    if gpu is None:
        return list(nodes), "", ""
    kept = [n for n in nodes if any(suits(gpu, g) for g in n.gpus)]
    largest, node = _best(nodes, gpu, lambda g: g.memory)
    nearest = f"the largest is {short(largest.model)}, {size(largest.memory)}, on {node.name}"
    return kept, _one_gpu(gpu), nearest


def _gpu_count(resources: Resources, _: Placement, nodes: Sequence[Node]) -> Narrowed:
    gpu = resources.gpu
    if gpu is None:
        return list(nodes), "", ""
    kept = [n for n in nodes if any(suits(gpu, g) and g.count >= gpu.count for g in n.gpus)]
    most, node = _best(nodes, gpu, lambda g: g.count if suits(gpu, g) else 0)
    nearest = f"the most are {most.count} {short(most.model)} on {node.name}"
    return kept, f"{_gpus(gpu)} of one model", nearest


def _memory(resources: Resources, _: Placement, nodes: Sequence[Node]) -> Narrowed:
    need = memory_of(resources)
    kept = [n for n in nodes if n.memory >= need]
    best = max(nodes, key=lambda n: (n.memory, n.name))
    return kept, f"{size(need)} of memory", f"the most is {size(best.memory)}, on {best.name}"


def _cpu(resources: Resources, _: Placement, nodes: Sequence[Node]) -> Narrowed:
    kept = [n for n in nodes if n.cpu >= resources.cpu]
    best = max(nodes, key=lambda n: (n.cpu, n.name))
    return kept, cores(resources.cpu), f"the most is {best.cpu:g}, on {best.name}"


NARROWINGS = (
    ("pool", _pool),
    ("tags", _tags),
    ("gpu", _model),
    ("gpu", _gpu_memory),
    ("gpu", _gpu_count),
    ("memory", _memory),
    ("cpu", _cpu),
)


def _best(nodes: Sequence[Node], gpu: Gpu, worth: Callable[[GpuGroup], int]) -> tuple[GpuGroup, Node]:
    found = [(worth(g), n.name, g, n) for n in nodes for g in n.gpus if model_matches(gpu.model, g.model)]
    _, _, group, node = max(found, key=lambda f: f[:2])
    return group, node


def size(amount: int) -> str:
    """Bytes as people write them: 16 GiB, 1.5 GiB, 512 MiB."""
    if amount >= GIB:
        return f"{round(amount / GIB, 1):.12g} GiB"
    return f"{round(amount / MIB, 1):g} MiB"


def cores(count: float) -> str:
    return f"{count:g} core{'s' * (count != 1)}"


def short(model: str) -> str:
    """The model without the words that all have: RTX 2080 Ti."""
    return model.removeprefix("NVIDIA ").removeprefix("GeForce ")


def _one_gpu(gpu: Gpu) -> str:
    model = f" like {gpu.model}" if gpu.model else ""
    return "a GPU" + model + (f" with {size(gpu.memory)}" if gpu.memory else "")


def _gpus(gpu: Gpu) -> str:
    return _one_gpu(gpu) if gpu.count == 1 else f"{gpu.count} GPUs" + _one_gpu(gpu).removeprefix("a GPU")


def _in_use(used: int, count: int) -> str:
    if count == 1:
        return "the only one is in use"
    if used == count:
        return "both are in use" if count == 2 else f"all {count} are in use"
    return f"{used} of {count} are in use"


def why_busy(resources: Resources, placement: Placement, inventory: Inventory, ahead: int = 0) -> Reason:
    """What is missing, what is in use, and how many are ahead, for what some node could hold when idle."""
    return _busy(_waits_for(resources, placement, inventory), ahead)


def _busy(missing: str, ahead: int) -> Reason:
    line = f", {ahead} stage{'s' * (ahead != 1)} ahead" if ahead else ""
    return Reason(kind="busy", text=f"waits for {missing}{line}", ahead=ahead)


def _waits_for(resources: Resources, placement: Placement, inventory: Inventory) -> str:
    able = [n for n in inventory.nodes if fits(resources, placement, n)]
    ready = [n for n in able if n.ready]
    if ready:
        return _missing(resources, ready)
    names = ", ".join(f"{n.name} ({n.note})" if n.note else n.name for n in able) or "a fitting node"
    return f"{names} to be ready"


def _missing(resources: Resources, nodes: Sequence[Node]) -> str:
    gpu = resources.gpu
    if gpu is not None:
        groups = [g for n in nodes for g in n.gpus if suits(gpu, g) and g.count >= gpu.count]
        if not any(g.count - g.used >= gpu.count for g in groups):
            return f"{_gpus(gpu)}: {_in_use(sum(g.used for g in groups), sum(g.count for g in groups))}"
    most = max(nodes, key=lambda n: (n.cpu - n.cpu_used, n.name))
    if most.cpu - most.cpu_used < resources.cpu:
        free = f"{round(most.cpu - most.cpu_used, 2):g} of {most.cpu:g}"
        return f"{cores(resources.cpu)}: {free} are free on {most.name}"
    most = max(nodes, key=lambda n: (n.memory - n.memory_used, n.name))
    if most.memory - most.memory_used < memory_of(resources):
        free = f"{size(most.memory - most.memory_used)} of {size(most.memory)}"
        return f"{size(memory_of(resources))} of memory: {free} are free on {most.name}"
    return "its turn" if gpu is None else f"{_gpus(gpu)}: those that are free are for others"


def never(waiting: Waiting, inventory: Inventory, limits: Mapping[str, Allowance]) -> str | None:
    """None: it can run one day. Else a sentence: no node could hold it, or it alone is more than is allowed."""
    return possible(waiting.resources, waiting.placement, inventory) or _forbidden(waiting, limits) or None


def _forbidden(waiting: Waiting, limits: Mapping[str, Allowance]) -> str:
    own = limits.get(waiting.actor, FREE)
    if own == FREE and waiting.limit == FREE:
        return ""
    return why_never(waiting.actor or "whoever started it", own, waiting.resources) or why_never(
        "this project", waiting.limit, waiting.resources
    )


class InUse:
    """What users and projects have at drivers, as far as anything limits them."""

    def __init__(self, limits: Mapping[str, Allowance], standing: Iterable[Waiting]) -> None:
        self._limits = limits
        self._users: dict[str, Use] = {}
        self._projects: dict[str, Use] = {}
        for one in standing:
            self.add(one)

    def add(self, one: Waiting) -> None:
        if one.actor in self._limits:
            self._users[one.actor] = self._users.get(one.actor, NOTHING).plus(one.resources)
        if one.limit != FREE:
            self._projects[one.project] = self._projects.get(one.project, NOTHING).plus(one.resources)

    def why_not(self, one: Waiting) -> str:
        """Empty: one more may start."""
        own = self._limits.get(one.actor, FREE)
        if own == FREE and one.limit == FREE:
            return ""
        use = self._users.get(one.actor, NOTHING)
        field = beyond(own, use, one.resources)
        if field:
            return why_waits(one.actor or "whoever started it", own, use, field)
        use = self._projects.get(one.project, NOTHING)
        field = beyond(one.limit, use, one.resources)
        return why_waits("this project", one.limit, use, field) if field else ""


def admit(
    waiting: Iterable[Waiting],
    inventory: Inventory,
    unplaced: Iterable[Waiting],
    policy: Policy,
    standing: Iterable[Waiting] = (),
) -> Admission:
    """Which of `waiting` are submitted now, given what already waits `unplaced` at the driver, and all that is on its
    way to any driver or runs there (`standing`).

    Of each class at most max(8, 2 x GPUs of the class) wait unplaced. Everything else is held: impossible with the
    constraint named, beyond what somebody may use, or busy with its position, as far down the line as the policy
    explains."""
    at_driver = Counter(u.kind for u in unplaced)
    held: dict[tuple[str, int], Reason] = {}
    candidates: list[Waiting] = []
    if not inventory.nodes and inventory.seen is None:
        why = f": {inventory.note}" if inventory.note else ""
        away = Reason(kind="driver_away", text=f"waits for the driver {inventory.driver} to show its nodes{why}")
        return Admission((), {w.key: away for w in waiting})
    verdict: dict[Need, str | None] = {}
    room: dict[Class, int] = {}
    for w in waiting:
        if w.need not in verdict:
            verdict[w.need] = possible(w.resources, w.placement, inventory)
        text = verdict[w.need] or _forbidden(w, policy.limits)
        if text:
            held[w.key] = Reason(kind="impossible", text=f"cannot start: {text}")
            continue
        candidates.append(w)
        if w.kind not in room:
            room[w.kind] = limit(w, inventory, policy) - at_driver[w.kind]
    return _choose(candidates, inventory, at_driver, room, policy, held, InUse(policy.limits, standing))


def _choose(
    candidates: Sequence[Waiting],
    inventory: Inventory,
    at_driver: Counter[Class],
    room: dict[Class, int],
    policy: Policy,
    held: dict[tuple[str, int], Reason],
    in_use: InUse,
) -> Admission:
    """Goes down the line only as far as there is room or something to explain: with thousands waiting, most
    of them are not looked at."""
    admitted: list[Waiting] = []
    ahead = Counter(at_driver)
    missing: dict[Need, str] = {}
    places = sum(r for r in room.values() if r > 0)
    unexplained = len(candidates) if policy.explained is None else policy.explained
    if not places and not unexplained:
        return Admission((), held)
    line = Line(candidates, policy.served)
    for w in line:
        why_not = in_use.why_not(w)
        if why_not:
            if unexplained > 0:
                unexplained -= 1
                held[w.key] = Reason(kind="limit", text=why_not)
            continue  # others pass it: it is not ahead of them
        if room[w.kind] > 0:
            room[w.kind] -= 1
            places -= 1
            admitted.append(w)
            line.serve(w.actor)
            in_use.add(w)
        elif unexplained > 0:
            unexplained -= 1
            if w.need not in missing:
                missing[w.need] = _waits_for(w.resources, w.placement, inventory)
            held[w.key] = _busy(missing[w.need], ahead[w.kind])
        ahead[w.kind] += 1
        if not places and not unexplained:
            break
    return Admission(tuple(admitted), held)


def limit(waiting: Waiting, inventory: Inventory, policy: Policy) -> int:
    """How many of its class may wait unplaced at the driver."""
    gpu = waiting.resources.gpu
    if gpu is None:
        return policy.unplaced
    nodes = (n for n in inventory.nodes if eligible(waiting.placement, n))
    gpus = sum(g.count for n in nodes for g in n.gpus if suits(gpu, g))
    return max(policy.unplaced, policy.unplaced_per_gpu * gpus)


class Line:
    """Iterates over what waits in the order of fairness: priority, the least served user, age.

    A project has one line of its own (turn, order, number), and only its head stands in the common one.
    `serve` counts a stage for a user while iterating."""

    def __init__(self, waiting: Iterable[Waiting], served: dict[str, float]) -> None:
        self._served = dict(served)
        projects: dict[tuple[int, str], list[Waiting]] = defaultdict(list)
        for w in waiting:
            projects[w.priority, w.project].append(w)
        self._lines: dict[int, list[list[Waiting]]] = defaultdict(list)
        for (priority, _), line in projects.items():
            line.sort(key=lambda w: (w.turn, w.order, w.stage), reverse=True)
            self._lines[priority].append(line)

    def serve(self, actor: str) -> None:
        self._served[actor] = self._served.get(actor, 0.0) + 1.0

    def __iter__(self) -> Iterator[Waiting]:
        for priority in sorted(self._lines, reverse=True):
            yield from self._fairly(self._lines[priority])

    def _fairly(self, lines: Iterable[list[Waiting]]) -> Iterator[Waiting]:
        heads: dict[str, list[tuple[datetime, str, int, list[Waiting]]]] = defaultdict(list)
        users: list[tuple[float, datetime, str]] = []

        def enter(line: list[Waiting]) -> None:
            head = line[-1]
            heapq.heappush(heads[head.actor], (head.queued, head.project, head.stage, line))
            stand(head.actor)

        def stand(actor: str) -> None:
            if heads[actor]:
                heapq.heappush(users, (self._served.get(actor, 0.0), heads[actor][0][0], actor))

        for line in lines:
            enter(line)
        while users:
            served, age, actor = heapq.heappop(users)
            mine = heads[actor]
            if not mine or (served, age) != (self._served.get(actor, 0.0), mine[0][0]):
                continue  # an older entry of a user who stands elsewhere by now
            *_, line = heapq.heappop(mine)
            yield line.pop()
            if line:
                enter(line)
            stand(actor)
