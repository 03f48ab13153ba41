"""Why an attempt waits, in words: what is missing, what is in use, how many are ahead.

Nomad reports "all are busy" and "there can never be one" alike in several cases, so the answer comes from our own
inventory. What Nomad says of a placement that failed is told where the inventory sees room, for it knows of more
than we count: disks, ports, quotas. It is old: written when the job came in, and not renewed while it waits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from winslow_nomad.core.admit import Class, class_of, possible, why_busy
from winslow_nomad.core.inventory import Inventory
from winslow_nomad.core.pipeline import Placement, Resources
from winslow_nomad.core.stage import Reason
from winslow_nomad.core.verdicts import has_room
from winslow_nomad.driver.nomad.job import Asks, asks_of
from winslow_nomad.driver.nomad.outcome import STARTING, task_of

Document = Mapping[str, Any]

_COUNTED = ("memory", "cpu", "cores", "devices", "missing devices")  # the inventory tells about these
_LAYERS = re.compile(r"Pulled ([0-9]+)/([0-9]+)")


class Unplaced:
    """Says why each of many jobs waits, from one look at the cluster: what stages ask for repeats, and is worked out
    once. `jobs`: those that Nomad has placed nowhere, with their meta."""

    def __init__(self, jobs: Iterable[Document], inventory: Inventory) -> None:
        self._inventory = inventory
        self._ahead: dict[str, int] = {}
        self._known: dict[Asks, tuple[Reason, bool]] = {}
        before: Counter[Class] = Counter()
        for job in sorted(jobs, key=_place):
            asks = asks_of(job.get("Meta") or {})
            if asks is not None:
                kind = class_of(asks.resources, asks.placement)
                self._ahead[str(job.get("ID"))] = before[kind]
                before[kind] += 1

    def reason(self, job: Document, metrics: Document | None = None) -> Reason | None:
        """`metrics`: of the placement that failed, for its one group: of `FailedTGAllocs` of an evaluation or a plan.
        None: the job does not tell what it asked for."""
        asks = asks_of(job.get("Meta") or {})
        if asks is None:
            return None
        if asks not in self._known:
            self._known[asks] = waiting(*asks, self._inventory), any(has_room(*asks, n) for n in self._inventory.nodes)
        reason, room = self._known[asks]
        other = _other_than_counted(metrics or {}) if room else ""
        if other:
            return reason.but(text=f"waits for a place: {other}")
        ahead = self._ahead.get(str(job.get("ID")), 0)
        if reason.kind != "busy" or not ahead:
            return reason
        return reason.but(text=f"{reason.text}, {ahead} stage{'s' * (ahead != 1)} ahead", ahead=ahead)


def waiting(resources: Resources, placement: Placement, inventory: Inventory) -> Reason:
    """For what Nomad has placed nowhere, with nobody ahead of it."""
    text = possible(resources, placement, inventory)
    if text is not None:
        return Reason(kind="impossible", text=f"cannot start: {text}")
    return why_busy(resources, placement, inventory)


def _place(job: Document) -> tuple[int, int]:
    """In Nomad's line: priority first, then age."""
    return -int(job.get("Priority") or 0), int(job.get("CreateIndex") or 0)


def starting(allocation: Document) -> Reason:
    """For one that has a node and has not started there yet."""
    node = allocation.get("NodeName") or "its node"
    events = task_of(allocation).get("Events") or ()
    last = events[-1] if events else {}
    details = last.get("Details") or {}
    if last.get("Type") != "Driver":
        return Reason(kind="busy", text=f"{STARTING} on {node}")
    image = str(details.get("image") or "").strip()
    text = f"the image {image} is being fetched on {node}" if image else f"its image is being fetched on {node}"
    layers = _LAYERS.search(str(last.get("DisplayMessage") or last.get("DriverMessage") or ""))
    return Reason(kind="busy", text=text + (f", {layers[1]} of {layers[2]} layers are there" if layers else ""))


def _other_than_counted(metrics: Document) -> str:
    """What Nomad lacked that the inventory does not count, and on how many nodes."""
    kept = [(metrics.get(key) or {}) for key in ("DimensionExhausted", "ConstraintFiltered")]
    found = {what: n for each in kept for what, n in each.items() if what.partition(":")[0] not in _COUNTED}
    found.pop("computed class ineligible", None)  # says only that another node of the class was refused
    told = [f"{what} ({n} node{'s' * (n != 1)})" for what, n in sorted(found.items())]
    told += [f"quota: {limit}" for limit in metrics.get("QuotaExhausted") or ()]
    return f"Nomad says: {', '.join(told)}" if told else ""
