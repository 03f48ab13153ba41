"""How busy this machine is at this moment: /proc for processor, memory and disk, NVML for its GPUs. Only looks."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winslow_nomad.core.errors import Refused
from winslow_nomad.core.nodes import CardLoad, Load
from winslow_nomad.core.ports import Clock
from winslow_nomad.driver.local.book import Book
from winslow_nomad.driver.local.gpus import Nvml
from winslow_nomad.driver.local.machine import Machine, uptime

APART = 0.2  # seconds between two looks at the counters of the processor; nearer ones tell nothing
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Ticks:
    """Of all processors since boot, in clock ticks."""

    at: float
    busy: int
    total: int


class LocalLoads:
    """core.nodes.Loads for the driver `local`. `home`: as for the driver; `disk`: a directory whose file system is
    shown."""

    def __init__(
        self,
        *,
        machine: Machine,
        home: Path,
        disk: Path,
        clock: Clock,
        cards: Callable[[], list[CardLoad]] | None = None,
    ) -> None:
        self._machine = machine
        self._book = Book(home / "local")
        self._disk = disk
        self._clock = clock
        self._cards = cards or CardReader()
        self._lock = threading.Lock()
        self._before = ticks()
        self._cpu: float | None = None
        self._facts = {
            "processor": processor(),
            "kernel": platform.release(),
            "architecture": platform.machine(),
        }

    def loads(self) -> Mapping[str, Load]:
        free, total = _space(self._disk)
        load = Load(
            at=self._clock.now(),
            cpu=self._busy_cores(),
            memory=memory_in_use(),
            disk_free=free,
            disk_total=total,
            up=uptime(),
            cards=tuple(self._with_attempts(self._cards())),
            facts=self._facts,
        )
        return {self._machine.host: load}

    def draining(self) -> None:
        return None

    def drain(self, node: str, text: str) -> None:  # noqa: ARG002 - who can, needs them
        raise _no_drain()

    def undrain(self, node: str) -> None:  # noqa: ARG002 - who can, needs it
        raise _no_drain()

    def _busy_cores(self) -> float | None:
        with self._lock:
            now = ticks()
            if now.at - self._before.at >= APART:
                self._cpu = busy_cores(self._before, now)
                self._before = now
            return self._cpu

    def _with_attempts(self, cards: Iterable[CardLoad]) -> Iterable[CardLoad]:
        held: dict[str, list[str]] = {}
        for booking in self._book.all():
            if booking.state == "launched":
                for uuid in booking.gpus:
                    held.setdefault(uuid, []).append(str(booking.spec.ref))
        return (c.but(attempts=tuple(held.get(c.uuid, ()))) for c in cards)


def _no_drain() -> Refused:
    return Refused(
        "The local driver has one node, this machine, and cannot drain it. Nothing was changed.",
        hint="Pause the projects that would start next.",
        code="driver.no_drain",
    )


def ticks() -> Ticks:
    """proc(5): user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user."""
    fields = [int(f) for f in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    return Ticks(time.monotonic(), sum(fields) - fields[3] - fields[4], sum(fields))


def busy_cores(before: Ticks, now: Ticks) -> float:
    """Cores that worked in between, on the average."""
    total = now.total - before.total
    return round((os.cpu_count() or 1) * max(0, now.busy - before.busy) / total, 2) if total > 0 else 0.0


def memory_in_use() -> int:
    """Bytes that nobody else could have at once."""
    found = {}
    for line in (_PROC / "meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024
    return found["MemTotal"] - found.get("MemAvailable", found["MemFree"])


def processor() -> str:
    """Its model, as far as it is told."""
    with suppress(OSError):
        for line in (_PROC / "cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _space(path: Path) -> tuple[int | None, int | None]:
    try:
        found = os.statvfs(path)
    except OSError:
        return None, None
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


class CardReader:
    """What NVML tells of each GPU now. What one does not tell (a passed-through card has no power reading) is left
    out; a machine without NVIDIA's driver has none."""

    def __init__(self) -> None:
        self._nvml = Nvml()

    def __call__(self) -> list[CardLoad]:
        known = self._nvml().found
        if not known:
            return []
        nvml = self._nvml.ready()
        return [_card(nvml, index, card.uuid, card.model, card.memory) for index, card in enumerate(known)]


def _card(nvml: Any, index: int, uuid: str, model: str, memory: int) -> CardLoad:
    def told(ask: Callable[[Any], float]) -> float | None:
        try:
            return ask(nvml.nvmlDeviceGetHandleByUUID(uuid.encode()))
        except nvml.NVMLError:
            return None

    used = told(lambda h: nvml.nvmlDeviceGetMemoryInfo(h).used)
    watts = told(lambda h: nvml.nvmlDeviceGetPowerUsage(h) / 1000)
    return CardLoad(
        index=index,
        uuid=uuid,
        model=model,
        memory=memory,
        memory_used=int(used) if used is not None else None,
        percent=told(lambda h: nvml.nvmlDeviceGetUtilizationRates(h).gpu),
        temperature=told(lambda h: nvml.nvmlDeviceGetTemperature(h, nvml.NVML_TEMPERATURE_GPU)),
        watts=round(watts, 1) if watts is not None else None,
    )
