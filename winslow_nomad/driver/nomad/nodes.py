"""What the nodes of a cluster have and what is in use, read from Nomad's documents.

In: whole node documents (`/v1/node/:id`, or the events of the topic Node; the list of nodes leaves attributes
and meta out), and allocations with their resources (`/v1/allocations?resources=true`), of all namespaces that
may be read. Out: for each node what admission needs (core.inventory) and what screens show. A node that is
down, draining or lacks something stays listed with the reason: "there is none" and "there is one, but" are
different answers. Must never take a value for granted: documents of other versions leave fields out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from winslow_nomad.core.inventory import GpuGroup, Inventory, Node
from winslow_nomad.core.model import Value
from winslow_nomad.core.pipeline import MIB
from winslow_nomad.driver.nomad.site import Site, tags_of

Document = Mapping[str, Any]
ENDED = frozenset({"complete", "failed", "lost"})  # client states; in any other an allocation holds what it was given
DEFAULT_MHZ = 1000.0  # of a core, where a node does not say


class NodeDetail(Value):
    """`core_mhz`: what Nomad counts for one core of this node. `lacks`: what it has not that stages need, in
    words with the fix. `shares_name`: what it is called, where others are called so, too. Sizes in bytes."""

    node: Node
    id: str
    node_pool: str = ""
    datacenter: str = ""
    node_class: str = ""
    address: str = ""
    agent: str = ""  # host and port of its agent
    status: str = ""
    eligible: bool = True
    draining: bool = False
    drained_for: str = ""  # why it takes nothing new
    nomad: str = ""
    docker: str = ""
    architecture: str = ""
    system: str = ""
    core_mhz: float = DEFAULT_MHZ
    disk: int = 0
    runtimes: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    drivers: dict[str, str] = {}  # name -> "healthy", or what is wrong
    meta: dict[str, str] = {}
    lacks: tuple[str, ...] = ()
    shares_name: str = ""
    modified: int = 0


def read_nodes(nodes: Iterable[Document], allocations: Iterable[Document], site: Site) -> tuple[NodeDetail, ...]:
    """The nodes that pipelines can ask for, by name. Of several documents with one name (a node whose state was
    wiped registers anew) the one that can be used, else the newest, stands for all; but machines that are there at the
    same time under one name (copies of a disk) are each a node, told apart by their ids."""
    used: dict[str, list[Document]] = {}
    for allocation in allocations:
        if allocation.get("ClientStatus") not in ENDED:
            used.setdefault(str(allocation.get("NodeID", "")), []).append(allocation)
    called: dict[str, list[NodeDetail]] = {}
    for document in nodes:
        detail = _detail(document, used.get(str(document.get("ID", "")), ()), site)
        if detail is not None:
            called.setdefault(detail.node.name, []).append(detail)
    found: list[NodeDetail] = []
    for name, same in called.items():
        there = [n for n in same if n.status == "ready"]
        if len(there) > 1:
            found += [n.but(node=n.node.but(name=f"{name} ({n.id[:8]})"), shares_name=name) for n in there]
        else:
            found.append(max(same, key=_worth))
    return tuple(sorted(found, key=lambda n: n.node.name))


def inventory(nodes: Sequence[NodeDetail], seen: datetime) -> Inventory:
    return Inventory(driver="nomad", nodes=tuple(n.node for n in nodes), seen=seen)


def _worth(detail: NodeDetail) -> tuple[bool, bool, int]:
    return detail.node.ready, detail.status == "ready", detail.modified


def _detail(document: Document, allocations: Sequence[Document], site: Site) -> NodeDetail | None:
    node_pool = str(document.get("NodePool") or "default")
    pool = site.pool(node_pool)
    if pool is None:
        return None
    attributes = _texts(document.get("Attributes"))
    resources, reserved = document.get("NodeResources") or {}, document.get("ReservedResources") or {}
    shares = _number(resources, "Cpu", "CpuShares") or _float(attributes.get("cpu.totalcompute"))
    count = _number(resources, "Cpu", "TotalCpuCores") or _float(attributes.get("cpu.numcores"))
    core_mhz = shares / count if shares and count else DEFAULT_MHZ
    runtimes = tuple(filter(None, attributes.get("driver.docker.runtimes", "").split(",")))
    lacks = tuple(_lacks(document, attributes, site))
    usable_gpus = "nvidia" in runtimes
    gpus = _gpus(resources.get("Devices"), allocations)
    free_from = _not_ready(document) or lacks[:1]
    note = "; ".join(free_from)
    if gpus and not usable_gpus:
        lacks = (*lacks, NO_RUNTIME)
        note = note or NO_RUNTIME
    cpu_used = sum(_cpu(a, core_mhz) for a in allocations)
    return NodeDetail(
        node=Node(
            name=str(document.get("Name", "")),
            pool=pool,
            tags=tags_of(document),
            ready=not free_from,
            cpu=round((shares - _number(reserved, "Cpu", "CpuShares")) / core_mhz, 3),
            memory=int(_number(resources, "Memory", "MemoryMB") - _number(reserved, "Memory", "MemoryMB")) * MIB,
            cpu_used=round(cpu_used, 3),
            memory_used=sum(_memory(a) for a in allocations),
            gpus=gpus if usable_gpus else (),
            note=note,
        ),
        id=str(document.get("ID", "")),
        node_pool=node_pool,
        datacenter=str(document.get("Datacenter", "")),
        node_class=str(document.get("NodeClass", "")),
        address=str(document.get("Address") or document.get("HTTPAddr") or ""),
        agent=str(document.get("HTTPAddr") or ""),
        status=str(document.get("Status", "")),
        eligible=document.get("SchedulingEligibility", "eligible") == "eligible",
        draining=bool(document.get("Drain") or document.get("DrainStrategy")),
        drained_for=_drained_for(document),
        nomad=str(document.get("Version") or attributes.get("nomad.version", "")),
        docker=attributes.get("driver.docker.version", ""),
        architecture=attributes.get("cpu.arch", ""),
        system=" ".join(filter(None, (attributes.get("os.name"), attributes.get("os.version")))),
        core_mhz=core_mhz,
        disk=int(_number(resources, "Disk", "DiskMB") - _number(reserved, "Disk", "DiskMB")) * MIB,
        runtimes=runtimes,
        volumes=tuple(sorted(document.get("HostVolumes") or {})),
        drivers={name: _health(about) for name, about in sorted((document.get("Drivers") or {}).items())},
        meta=_texts(document.get("Meta")),
        lacks=lacks,
        modified=int(document.get("ModifyIndex") or 0),
    )


NO_RUNTIME = "its GPUs cannot be used: docker has no runtime nvidia (restart the Nomad agent after adding it)"


def _not_ready(document: Document) -> tuple[str, ...]:
    status = document.get("Status")
    if status == "disconnected":
        return ("it is cut off from Nomad",)
    if status != "ready":
        return (f"it is {status or 'unknown'}",)
    if document.get("Drain") or document.get("DrainStrategy"):
        return ("it is being drained",)
    if document.get("SchedulingEligibility", "eligible") != "eligible":
        return ("it takes no new work (ineligible)",)
    return ()


MARKED = "Node marked as"  # how an event of a node begins that tells of its eligibility


def _drained_for(document: Document) -> str:
    """As whoever drained it said; what Nomad itself or an older drain says of one that is eligible is nothing."""
    draining = bool(document.get("Drain") or document.get("DrainStrategy"))
    if not draining and document.get("SchedulingEligibility", "eligible") == "eligible":
        return ""
    last = document.get("LastDrain") or {}
    said = str((last.get("Meta") or {}).get("message", ""))
    if draining:
        return said or "drained by Nomad's operators"
    events = [str(e.get("Message", "")) for e in document.get("Events") or ()]  # the oldest first
    newest = next((e for e in reversed(events) if "drain" in e or e.startswith(MARKED)), "")
    by_hand = newest.startswith(MARKED) or last.get("Status") != "complete"  # the last drain was an earlier one
    return "made ineligible by Nomad's operators" if by_hand or not said else said


def _lacks(document: Document, attributes: Mapping[str, str], site: Site) -> Iterable[str]:
    docker = (document.get("Drivers") or {}).get("docker") or {}
    if not docker.get("Detected") or not docker.get("Healthy"):
        yield f"docker does not work there ({docker.get('HealthDescription') or 'not detected'})"
    elif attributes.get("driver.docker.volumes.enabled", "true") not in ("true", "1"):
        yield "docker mounts nothing there (set volumes.enabled of Nomad's docker plugin)"
    volume = (document.get("HostVolumes") or {}).get(site.share_volume)
    if volume is None:
        yield f"it does not offer the share (host volume {site.share_volume})"
    elif volume.get("ReadOnly"):
        yield f"it offers the share read-only (host volume {site.share_volume})"
    if site.share_root(str(document.get("NodePool") or "default")) is None:
        yield "nobody said where the share is on nodes of its pool"


def _health(about: Any) -> str:
    if not isinstance(about, Mapping) or not about.get("Detected"):
        return "not there"
    return "healthy" if about.get("Healthy") else str(about.get("HealthDescription") or "unhealthy")


def _gpus(devices: Any, allocations: Sequence[Document]) -> tuple[GpuGroup, ...]:
    used: Counter[tuple[str, str, str]] = Counter()
    for device in (d for a in allocations for d in _devices(a)):
        used[_device_key(device)] += len(device.get("DeviceIDs") or ())
    groups = []
    for device in devices or ():
        if device.get("Type") != "gpu" or device.get("Vendor") != "nvidia":
            continue
        healthy = [i for i in device.get("Instances") or () if i.get("Healthy", True)]
        taken = min(used[_device_key(device)], len(healthy))
        model = str(device.get("Name", ""))
        groups.append(GpuGroup(model=model, memory=device_memory(device), count=len(healthy), used=taken))
    return tuple(sorted((g for g in groups if g.count), key=lambda g: (g.memory, g.model)))


def _device_key(device: Document) -> tuple[str, str, str]:
    return str(device.get("Vendor")), str(device.get("Type")), str(device.get("Name"))


def _devices(allocation: Document) -> Iterable[Document]:
    for task in _tasks(allocation):
        yield from task.get("Devices") or ()


UNITS = {"kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}


def device_memory(device: Document) -> int:
    """Bytes of each card of a group."""
    value = (device.get("Attributes") or {}).get("memory") or {}
    amount = next((value[k] for k in ("Int", "Float") if value.get(k) is not None), 0)
    return int(amount * UNITS.get(str(value.get("Unit") or "MiB"), MIB))


def _tasks(allocation: Document) -> Iterable[Document]:
    return list(((allocation.get("AllocatedResources") or {}).get("Tasks") or {}).values())


def _cpu(allocation: Document, core_mhz: float) -> float:
    total = 0.0
    for task in _tasks(allocation):
        cpu = task.get("Cpu") or {}
        cores = cpu.get("ReservedCores") or ()
        total += len(cores) if cores else float(cpu.get("CpuShares") or 0) / core_mhz
    return total


def _memory(allocation: Document) -> int:
    return sum(int(_number(task, "Memory", "MemoryMB")) for task in _tasks(allocation)) * MIB


def _number(document: Document, *path: str) -> float:
    found: Any = document
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) else 0.0


def _float(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _texts(found: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in (found or {}).items()}
