"""Documents as Nomad gives them, cut to what anybody reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Document = dict[str, Any]


def gpu_device(model: str, memory: int, ids: Sequence[str], unit: str = "MiB") -> Document:
    empty = {"Bool": None, "Float": None, "Int": None, "String": None, "Unit": ""}
    return {
        "Vendor": "nvidia",
        "Type": "gpu",
        "Name": model,
        "Attributes": {
            "memory": empty | {"Int": memory, "Unit": unit},
            "power": empty | {"Int": 55, "Unit": "W"},
            "driver_version": empty | {"String": "580.65.06"},
        },
        "Instances": [{"ID": i, "Healthy": True, "HealthDescription": ""} for i in ids],
    }


RTX_4070 = gpu_device("NVIDIA GeForce RTX 4070", 12282, ("GPU-4070-a", "GPU-4070-b"))
RTX_A6000 = gpu_device("NVIDIA RTX A6000", 49140, ("GPU-a6000",))


def node(name: str, devices: Sequence[Document] = (), *, cores: int = 8, mhz: int = 3000, **changes: Any) -> Document:
    found: Document = {
        "ID": f"00000000-0000-0000-0000-{name.encode().hex():>012}",
        "Name": name,
        "Datacenter": "dc1",
        "NodeClass": "",
        "NodePool": "default",
        "Status": "ready",
        "SchedulingEligibility": "eligible",
        "Drain": False,
        "DrainStrategy": None,
        "HTTPAddr": "10.0.0.2:4646",
        "ModifyIndex": 14,
        "Meta": {},
        "Attributes": {
            "cpu.arch": "amd64",
            "cpu.numcores": str(cores),
            "cpu.totalcompute": str(cores * mhz),
            "nomad.version": "2.0.6",
            "os.name": "debian",
            "os.version": "12.11",
            "driver.docker": "1",
            "driver.docker.version": "28.5.1",
            "driver.docker.runtimes": "io.containerd.runc.v2,nvidia,runc",
            "driver.docker.volumes.enabled": "true",
        },
        "Drivers": {"docker": {"Detected": True, "Healthy": True, "HealthDescription": "Healthy"}},
        "HostVolumes": {"winslow-share": {"Name": "winslow-share", "Path": "/srv/winslow", "ReadOnly": False}},
        "NodeResources": {
            "Cpu": {"CpuShares": cores * mhz, "TotalCpuCores": cores, "ReservableCpuCores": list(range(cores))},
            "Memory": {"MemoryMB": 32768},
            "Disk": {"DiskMB": 500_000},
            "Devices": list(devices) or None,
        },
        "ReservedResources": {"Cpu": {"CpuShares": 0}, "Memory": {"MemoryMB": 0}, "Disk": {"DiskMB": 0}},
    }
    return found | changes


def allocation(on: Document, *, cpu: int = 3000, memory: int = 1024, **changes: Any) -> Document:
    """With `gpus`: (model, ids) of what it was given; with `cores`: whole ones."""
    model, ids = changes.pop("gpus", ("", ()))
    cores = changes.pop("cores", None)
    device = {"Vendor": "nvidia", "Type": "gpu", "Name": model, "DeviceIDs": list(ids)}
    task = {
        "Cpu": {"CpuShares": cpu, "ReservedCores": cores},
        "Memory": {"MemoryMB": memory, "MemoryMaxMB": 0},
        "Devices": [device] if ids else None,
    }
    found = {
        "ID": "11111111-0000-0000-0000-000000000000",
        "JobID": "somebody-else",
        "Namespace": "default",
        "NodeID": on["ID"],
        "NodeName": on["Name"],
        "ClientStatus": "running",
        "DesiredStatus": "run",
        "AllocatedResources": {"Tasks": {"main": task}, "Shared": {"DiskMB": 300}},
    }
    return found | changes
