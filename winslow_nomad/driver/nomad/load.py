"""How busy the nodes are, as Nomad's agents on them tell (`/v1/client/stats`), and draining them.

Only looks, and drains when a person asks. Sources of the figures: gopsutil for the machine, the plugin
nomad-device-nvidia for GPUs. Must never keep a screen waiting for a node that does not answer: that one is left out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from winslow_nomad.core.errors import DriverUnavailable, NotFound, Refused
from winslow_nomad.core.nodes import CardLoad, Load
from winslow_nomad.core.pipeline import MIB
from winslow_nomad.driver.nomad import job
from winslow_nomad.driver.nomad.client import Client
from winslow_nomad.driver.nomad.nodes import ENDED, NodeDetail, device_memory
from winslow_nomad.driver.nomad.picture import Picture

Document = Mapping[str, Any]

FRESH = 5.0  # seconds that an answer is good for
PACE = 20.0  # nodes asked in a second, at most
PATIENCE = 2.0  # seconds that whoever looks waits for all nodes together
ASKING = 8  # at once
FACTS = {  # what screens call it -> the attribute of a node
    "processor": "cpu.modelname",
    "kernel": "kernel.version",
    "architecture": "cpu.arch",
    "nomad": "nomad.version",
    "docker": "driver.docker.version",
}


class NomadLoads:
    """core.nodes.Loads for the driver `nomad`."""

    def __init__(
        self,
        client: Client,
        picture: Picture,
        nodes: Callable[[], tuple[NodeDetail, ...]],
        installation: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._picture, self._nodes = client, picture, nodes
        self._installation, self._monotonic = installation, monotonic
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._asking: dict[str, Future[Document | None]] = {}  # id of the node -> its answer to come
        self._told: dict[str, tuple[float, Document]] = {}  # the newest, and when it came
        self._askers = ThreadPoolExecutor(ASKING, thread_name_prefix="nomad-stats")

    def loads(self) -> Mapping[str, Load]:
        able = [n for n in self._nodes() if n.status == "ready"]
        stats = self._stats([n.id for n in able])
        documents, allocations = self._picture.nodes()
        by_id = {d["ID"]: d for d in documents}
        held = cards_held(allocations, self._installation)
        return {n.node.name: read(stats[n.id], by_id.get(n.id, {}), held) for n in able if n.id in stats}

    def draining(self) -> Mapping[str, str]:
        return {n.node.name: n.drained_for for n in self._nodes() if n.draining or not n.eligible}

    def drain(self, node: str, text: str) -> None:
        """Without a deadline: services of others move away, what runs of batch jobs, such as stages, goes on to its
        end."""
        self._change(node, lambda found: self._client.drain(found, text))

    def undrain(self, node: str) -> None:
        self._change(node, self._client.undrain)

    def close(self) -> None:
        self._askers.shutdown(wait=False, cancel_futures=True)

    def _change(self, node: str, change: Callable[[str], None]) -> None:
        found = next((n for n in self._nodes() if n.node.name == node), None)
        if found is None:
            raise NotFound(f"Nomad has no node {node[:100]!r}. Nothing was changed.", code="node.not_found")
        try:
            change(found.id)
        except DriverUnavailable as error:
            if error.code != "nomad.forbidden":
                raise
            raise Refused(
                f"Winslow's token may not drain nodes: {node} was left as it is.",
                hint="Add the policy of nomad/policy-winslow-nodes.hcl to it, or use `nomad node drain`.",
                code="driver.no_drain",
            ) from error
        self._picture.look_at_node(found.id)

    def _stats(self, nodes: list[str]) -> dict[str, Document]:
        """Of those that have answered, now or a moment ago."""
        age = max(FRESH, len(nodes) / PACE)
        with self._lock:
            now = self._monotonic()
            if now - self._asked_at >= age:
                self._asked_at = now
                begun: dict[str, Future[Document | None]] = {
                    n: self._askers.submit(self._client.stats, n) for n in nodes if n not in self._asking
                }
                self._asking |= begun
                wait(begun.values(), timeout=PATIENCE)  # not for those that keep others waiting since longer
            now = self._monotonic()
            for node, asked in list(self._asking.items()):
                if asked.done():
                    del self._asking[node]
                    with suppress(DriverUnavailable):  # it is left out, and asked again
                        found = asked.result()
                        if found is not None:
                            self._told[node] = now, found
            wanted = set(nodes)
            self._told = {n: t for n, t in self._told.items() if n in wanted and now - t[0] < 3 * age}
            return {node: found for node, (_, found) in self._told.items()}


def read(stats: Document, node: Document, held: Mapping[str, tuple[str, ...]]) -> Load:
    """What an agent tells of its machine. `held`: a card's UUID -> the attempts that it was given to."""
    memory, disk = stats.get("Memory") or {}, stats.get("AllocDirStats") or {}
    attributes = node.get("Attributes") or {}
    processors = [c.get("TotalPercent") for c in stats.get("CPU") or ()]
    busy = [p for p in processors if isinstance(p, int | float)]
    total, available = memory.get("Total"), memory.get("Available")
    facts = {name: str(attributes[key]) for name, key in FACTS.items() if attributes.get(key)}
    return Load(
        at=datetime.fromtimestamp(int(stats.get("Timestamp") or 0) / 1e9, UTC),
        cpu=round(sum(busy) / 100, 2) if busy else None,
        memory=total - available if total and available is not None else None,
        disk_free=disk.get("Available"),
        disk_total=disk.get("Size"),
        up=stats.get("Uptime"),
        cards=tuple(_cards(stats, node, held)),
        facts=facts,
    )


def cards_held(allocations: Iterable[Document], installation: str) -> dict[str, tuple[str, ...]]:
    """UUID of a card -> the attempts of this installation that have it."""
    held: dict[str, tuple[str, ...]] = {}
    for allocation in allocations:
        ref = job.ref_of(str(allocation.get("JobID", "")), None, installation)
        if ref is None or allocation.get("ClientStatus") in ENDED:
            continue
        for task in ((allocation.get("AllocatedResources") or {}).get("Tasks") or {}).values():
            for device in task.get("Devices") or ():
                for uuid in device.get("DeviceIDs") or ():
                    held[uuid] = (*held.get(uuid, ()), str(ref))
    return held


def _cards(stats: Document, node: Document, held: Mapping[str, tuple[str, ...]]) -> Iterator[CardLoad]:
    """All that the node offers, also those without figures; in the order of their UUIDs, which stays."""
    told: dict[str, Document] = {}
    for group in stats.get("DeviceStats") or ():
        for uuid, about in (group.get("InstanceStats") or {}).items():
            told[uuid] = ((about or {}).get("Stats") or {}).get("Attributes") or {}
    devices = (node.get("NodeResources") or {}).get("Devices") or ()
    known = [
        (str(instance["ID"]), device)
        for device in devices
        if device.get("Type") == "gpu" and device.get("Vendor") == "nvidia"
        for instance in device.get("Instances") or ()
    ]
    for index, (uuid, device) in enumerate(sorted(known, key=lambda k: k[0])):
        figures = told.get(uuid, {})
        used = _figure(figures, "Memory state")
        yield CardLoad(
            index=index,
            uuid=uuid,
            model=str(device.get("Name", "")),
            memory=device_memory(device),
            memory_used=int(used * MIB) if used is not None else None,
            percent=_figure(figures, "GPU utilization"),
            temperature=_figure(figures, "Temperature"),
            watts=_watts(figures),
            attempts=held.get(uuid, ()),
        )


def _figure(figures: Document, name: str) -> float | None:
    found = (figures.get(name) or {}).get("IntNumeratorVal")
    return float(found) if isinstance(found, int | float) else None


MOST_WATTS = 2_000.0


def _watts(figures: Document) -> float | None:
    """The plugin (1.1.0) gives NVML's milliwatts out as watts; no card draws more than MOST_WATTS."""
    found = _figure(figures, "Power usage")
    return found if found is None or found <= MOST_WATTS else round(found / 1000, 1)
