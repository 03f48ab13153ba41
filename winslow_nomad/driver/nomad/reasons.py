"""Why an attempt waits, in words: what is missing, what is in use, how many are ahead; and a line for each node.

Nomad reports "all are busy" and "there can never be one" alike in several cases, so that the answer comes
from our own inventory; what Nomad says about a failed placement is added where the inventory sees no reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from winslow_nomad.core.admit import cores, fits, memory_of, possible, size, suits, why_busy
from winslow_nomad.core.inventory import Inventory, Node
from winslow_nomad.core.model import Value
from winslow_nomad.core.pipeline import Placement, Resources
from winslow_nomad.core.stage import Reason
from winslow_nomad.driver.nomad.outcome import STARTING, task_of

Document = Mapping[str, Any]


class NodeVerdict(Value):
    """`fits`: it could run there if the node were idle and ready."""

    node: str
    fits: bool
    text: str


def waiting(
    resources: Resources, placement: Placement, inventory: Inventory, ahead: int = 0, metrics: Document | None = None
) -> Reason:
    """For an attempt that Nomad has placed nowhere. `metrics`: of the failed placement (`FailedTGAllocs` of its
    newest evaluation, or of a plan)."""
    text = possible(resources, placement, inventory)
    if text is not None:
        return Reason(kind="impossible", text=f"cannot start: {text}")
    return why_busy(resources, placement, inventory, ahead)


def starting(allocation: Document) -> Reason:
    """For one that has a node and has not started there yet."""
    node = allocation.get("NodeName")
    return Reason(kind="busy", text=f"{STARTING} on {node}")


def table(resources: Resources, placement: Placement, inventory: Inventory) -> tuple[NodeVerdict, ...]:
    """Each node of the pool with what keeps the attempt from it."""
    return ()
