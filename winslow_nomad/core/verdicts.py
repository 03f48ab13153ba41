"""What each node says to a stage that waits: whether it could hold it, whether it has room now, and what keeps it from
there. Pure; the same for every driver."""

from __future__ import annotations

from pydantic import Field

from winslow_nomad.core.admit import cores, eligible, fits, memory_of, model_matches, short, size, suits
from winslow_nomad.core.inventory import Inventory, Node
from winslow_nomad.core.model import Value
from winslow_nomad.core.pipeline import Gpu, Placement, Resources
from winslow_nomad.core.stage import Stage, StageState


class NodeVerdict(Value):
    """One line of the table."""

    node: str
    fits: bool = Field(description="it could run there if the node were idle and ready")
    free: bool = Field(description="it could now")
    text: str = Field(description="what keeps it from there", examples=["2 of 2 GPUs in use"])


def of_stage(stage: Stage, inventory: Inventory) -> tuple[NodeVerdict, ...]:
    """None where it does not wait for a node."""
    if stage.state not in (StageState.QUEUED, StageState.SUBMITTED):
        return ()
    return table(stage.overrides.resources or stage.definition.resources, stage.definition.placement, inventory)


def table(resources: Resources, placement: Placement, inventory: Inventory) -> tuple[NodeVerdict, ...]:
    """Every node, those that come nearest first, with what keeps the attempt from it."""
    found = [
        NodeVerdict(
            node=node.name,
            fits=fits(resources, placement, node),
            free=has_room(resources, placement, node),
            text=_keeps(resources, placement, node),
        )
        for node in inventory.nodes
    ]
    return tuple(sorted(found, key=lambda v: (not v.free, not v.fits, v.node)))


def has_room(resources: Resources, placement: Placement, node: Node) -> bool:
    """Could the node hold it now?"""
    gpu = resources.gpu
    return (
        node.ready
        and fits(resources, placement, node)
        and node.cpu - node.cpu_used >= resources.cpu
        and node.memory - node.memory_used >= memory_of(resources)
        and (gpu is None or any(suits(gpu, g) and g.count - g.used >= gpu.count for g in node.gpus))
    )


def _keeps(resources: Resources, placement: Placement, node: Node) -> str:
    never = _never(resources, placement, node)
    if never:
        return never
    if not node.ready:
        return node.note or "it is not ready"
    return _in_use(resources, node) or "there is room"


def _never(resources: Resources, placement: Placement, node: Node) -> str:
    if node.pool != placement.pool:
        return f"it is in the pool {node.pool}"
    if not eligible(placement, node):
        return f"it lacks {', '.join(t for t in placement.require if t not in node.tags)}"
    if resources.gpu is not None and (lacks := _no_gpu(resources.gpu, node)):
        return lacks
    if node.memory < memory_of(resources):
        return f"it has {size(node.memory)} of memory"
    return f"it has {cores(node.cpu)}" if node.cpu < resources.cpu else ""


def _no_gpu(gpu: Gpu, node: Node) -> str:
    if not node.gpus:
        return f"it has no GPU ({node.note})" if node.ready and node.note else "it has no GPU"
    if any(suits(gpu, g) and g.count >= gpu.count for g in node.gpus):
        return ""
    fitting = [g for g in node.gpus if suits(gpu, g)]
    if fitting:
        most = max(fitting, key=lambda g: g.count)
        return f"it has {most.count} {short(most.model)}"
    like = [g for g in node.gpus if model_matches(gpu.model, g.model)]
    if like:
        return f"its GPUs have {size(max(g.memory for g in like))} each"
    return f"its GPUs are {', '.join(sorted({short(g.model) for g in node.gpus}))}"


def _in_use(resources: Resources, node: Node) -> str:
    gpu = resources.gpu
    if gpu is not None:
        groups = [g for g in node.gpus if suits(gpu, g) and g.count >= gpu.count]
        if not any(g.count - g.used >= gpu.count for g in groups):
            used, count = sum(g.used for g in groups), sum(g.count for g in groups)
            return f"{used} of {count} GPU{'s' * (count != 1)} in use"
    if node.cpu - node.cpu_used < resources.cpu:
        return f"{round(max(0.0, node.cpu - node.cpu_used), 2):g} of {cores(node.cpu)} free"
    if node.memory - node.memory_used < memory_of(resources):
        return f"{size(max(0, node.memory - node.memory_used))} of {size(node.memory)} of memory free"
    return ""
