"""The worlds in which the driver contract is tried. A new driver adds one case and passes the same suite."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from tests.cluster.nomad import SHARE_VOLUME, Cluster
from tests.driver.attempt_tree import AttemptTree
from tests.waiting import until
from winslow_nomad import config_nomad
from winslow_nomad.core.inventory import Node
from winslow_nomad.core.pipeline import GIB, Placement, Resources
from winslow_nomad.core.ports import AttemptRef, AttemptSpec, Driver, Observation
from winslow_nomad.driver.local.driver import LocalDriver
from winslow_nomad.driver.local.machine import end_all, this_machine
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.client import Client
from winslow_nomad.driver.nomad.driver import NomadDriver
from winslow_nomad.driver.nomad.site import Site
from winslow_nomad.driver.simulated.attempts import MemoryAttempts
from winslow_nomad.driver.simulated.clock import VirtualClock
from winslow_nomad.driver.simulated.driver import SimulatedDriver
from winslow_nomad.driver.simulated.script import Act
from winslow_nomad.runner import ARCHITECTURES, binary

CPU, MEMORY = 4.0, 4 * GIB


@dataclass(frozen=True)
class Does:
    """What the command of an attempt does. hold: it works until `Case.release`."""

    code: int = 0
    signal: int | None = None
    hold: bool = False
    ignores_terminate: bool = False
    eats_memory: bool = False


class Case(Protocol):
    """A world with one machine of `cores` and 4 GiB."""

    driver: Driver
    attempts: Any
    cores: float

    def prepared(self, does: Does, **more: Any) -> AttemptSpec: ...

    def release(self, ref: AttemptRef) -> None: ...

    def until(self, condition: Callable[[], Any]) -> None:
        """Let time pass."""
        ...

    def runs(self, ref: AttemptRef) -> int:
        """How many times its command was ever started."""
        ...

    def restarted(self) -> Driver:
        """What a process of Winslow that starts anew uses."""
        ...

    def following(self, report: Callable[[Observation], None], enough: Callable[[], bool]) -> None:
        """Follow until `enough()`."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class LocalCase:
    base: Path
    cores: float = CPU
    attempts: AttemptTree = field(init=False)
    driver: LocalDriver = field(init=False)
    specs: list[AttemptSpec] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.base / "share").mkdir()
        self.attempts = AttemptTree(self.base / "share")
        self.driver = self.restarted()
        self.project = secrets.token_hex(6)  # its processes are told from those of other tests by it

    def restarted(self, **more: Any) -> LocalDriver:
        known = {"machine": this_machine(cpu=CPU, memory=MEMORY), "runner": binary()} | more
        return LocalDriver(
            share=self.base / "share",
            home=self.base / "home",
            attempts=self.attempts,
            clock=SystemClock(),
            **known,
        )

    def prepared(self, does: Does, **more: Any) -> AttemptSpec:
        number = len(self.specs) + 1
        ref = more.pop("ref", None) or AttemptRef(project=self.project, stage=number, attempt=1)
        spec = self.attempts.make(ref, shell(does), **more)
        fifo = self.base / "share" / spec.workspace / "go"
        if does.hold and not fifo.exists():
            os.mkfifo(fifo)
        self.specs.append(spec)
        return spec

    def release(self, ref: AttemptRef) -> None:
        open_for_writing(self.attempts.directory(ref) / "workspace/go")

    def until(self, condition: Callable[[], Any]) -> None:
        until(condition, 20.0)

    def runs(self, ref: AttemptRef) -> int:
        starts = self.attempts.directory(ref) / "output/starts"
        return len(starts.read_text().splitlines()) if starts.exists() else 0

    def following(self, report: Callable[[Observation], None], enough: Callable[[], bool]) -> None:
        following(self.driver, report, enough)

    def close(self) -> None:
        for spec in self.specs:
            self.attempts.cancel(spec.ref)
            self.attempts.control(spec.ref, "kill")
            self.driver.stop(spec.ref, "terminate")  # at once, where the other takes a second
        last = self.restarted()
        until(lambda: all(o.phase in ("ended", "absent") for o in last.observe([s.ref for s in self.specs])))
        # One that was cancelled before it had started finds that out only now, and writes it down.
        assert not end_all(frozenset({f"WINSLOW_LOCAL_DRIVER={self.base / 'home/local'}"}))
        shutil.rmtree(self.base)


@dataclass
class NomadCase:
    """A real cluster, to itself; with a share, and jobs, of its own. `token`: instead of the cluster's."""

    cluster: Cluster
    token: str = ""
    attempts: AttemptTree = field(init=False)
    driver: NomadDriver = field(init=False)
    specs: list[AttemptSpec] = field(default_factory=list)
    cores: float = field(init=False)

    def __post_init__(self) -> None:
        self.project = secrets.token_hex(6)
        self.root = self.cluster.share / self.project
        for arch in ARCHITECTURES:
            target = self.root / "bin" / "test" / arch / "winslow-run"
            target.parent.mkdir(parents=True)
            shutil.copy(binary(arch), target)
            target.chmod(0o755)
        self.attempts = AttemptTree(self.root)
        self.driver = self.restarted()
        self.cores = self.driver.inventory().nodes[0].cpu

    def restarted(self, **changes: Any) -> NomadDriver:
        found = config_nomad.read({}, self.cluster.environment, "the cluster")
        known = {
            "address": found.address,
            "namespace": found.namespace,
            "token": self.token or found.token,
            "ca": found.ca_cert,
            "certificate": found.client_cert,
            "key": found.client_key,
        }
        access = Access(**{**known, **changes})
        site = Site(
            installation="test",
            namespace=access.namespace,
            share_volume=SHARE_VOLUME,
            share_roots={"*": str(self.root)},
            uid=os.getuid(),
            gid=os.getgid(),
            runner_version="test",
        )
        return NomadDriver(client=Client(access), site=site, attempts=self.attempts, clock=SystemClock())

    def prepared(self, does: Does, **more: Any) -> AttemptSpec:
        ref = more.pop("ref", None) or AttemptRef(project=self.project, stage=len(self.specs) + 1, attempt=1)
        inside = {"PATH": "/bin", "HOME": "/workspace", "WINSLOW_OUTPUT": "/output"}
        command = shell(does, "exec tail /dev/zero")
        spec = self.attempts.make(ref, command, environment=inside, **more).but(image="box:1")
        fifo = self.root / spec.workspace / "go"
        if does.hold and not fifo.exists():
            os.mkfifo(fifo)
        self.specs.append(spec)
        return spec

    def release(self, ref: AttemptRef) -> None:
        open_for_writing(self.attempts.directory(ref) / "workspace/go")

    def until(self, condition: Callable[[], Any]) -> None:
        until(condition, 40.0, every=0.05)

    def runs(self, ref: AttemptRef) -> int:
        starts = self.attempts.directory(ref) / "output/starts"
        return len(starts.read_text().splitlines()) if starts.exists() else 0

    def following(self, report: Callable[[Observation], None], enough: Callable[[], bool]) -> None:
        following(self.driver, report, enough, 40.0)

    def close(self) -> None:
        for spec in self.specs:
            self.attempts.cancel(spec.ref)
            self.attempts.control(spec.ref, "kill")
            self.driver.stop(spec.ref, "kill")
        until(lambda: all(n.cpu_used == 0 for n in self.restarted().inventory().nodes), 40.0, every=0.1)
        for made in self.cluster.api("GET", "/v1/jobs"):
            self.cluster.api("DELETE", f"/v1/job/{made['ID']}", purge="true")
        self.driver.close()
        shutil.rmtree(self.root)


def open_for_writing(fifo: Path) -> None:
    """Waits until somebody reads."""

    def opened() -> bool:
        with contextlib.suppress(OSError):
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            return True
        return False

    until(opened, 20.0)


def following(
    driver: Driver, report: Callable[[Observation], None], enough: Callable[[], bool], seconds: float = 10.0
) -> None:
    done = threading.Event()
    thread = threading.Thread(target=driver.follow, args=(report, done.is_set))
    thread.start()
    try:
        until(enough, seconds)
    finally:
        done.set()
        thread.join()


PYTHON_THAT_EATS = (
    "exec python3 -c \"x = bytearray(b'x') * (300 << 20); input = open('/dev/full'); import signal; signal.pause()\""
)


def shell(does: Does, that_eats: str = PYTHON_THAT_EATS) -> tuple[str, ...]:
    steps = ["trap '' TERM"] if does.ignores_terminate else []
    steps.append('echo x >> "$WINSLOW_OUTPUT/starts"')
    if does.hold:
        steps.append('read line < "$HOME/go"')
    if does.eats_memory:
        steps.append(that_eats)
    steps.append(f"kill -{does.signal} $$" if does.signal else f"exit {does.code}")
    return ("sh", "-c", "; ".join(steps))


@dataclass
class SimulatedCase:
    acts: dict[AttemptRef, Act] = field(default_factory=dict)
    cores: float = CPU

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.attempts = MemoryAttempts(lambda: self.clock.seconds)
        self.driver = SimulatedDriver(
            [Node(name="alder", cpu=CPU, memory=MEMORY)],
            lambda spec, _: self.acts[spec.ref],
            clock=self.clock,
            attempts=self.attempts,
        )

    def restarted(self) -> SimulatedDriver:
        return self.driver

    def prepared(self, does: Does, **more: Any) -> AttemptSpec:
        ref = more.pop("ref", None) or AttemptRef(project="p", stage=len(self.acts) + 1, attempt=1)
        self.acts[ref] = Act(
            seconds=1000.0 if does.hold else 1.0,
            code=does.code,
            signal=does.signal,
            out_of_memory=does.eats_memory,
            stop_seconds=None if does.ignores_terminate else 0.5,
        )
        known: dict[str, Any] = {
            "resources": Resources(cpu=1, memory=64 << 20),
            "placement": Placement(),
            "timeout": None,
            "stop_grace": 30.0,
            "priority": 50,
            "avoid": (),
        }
        return AttemptSpec(
            ref=ref, stage_id="work", directory=str(ref), workspace=f"{ref}/workspace", image="", entrypoint=None,
            command=None, run_as="winslow", pipeline_folder=None, stages={}, previous_node="",
            installation="test", fingerprint=secrets.token_hex(8), **(known | more),
        )  # fmt: skip

    def release(self, ref: AttemptRef) -> None:
        """It ends by itself when its time has come."""

    def until(self, condition: Callable[[], Any]) -> None:
        for _ in range(10_000):
            if condition():
                return
            self.driver.advance(self.clock.now() + timedelta(seconds=0.5))
        raise AssertionError(f"never so: {condition}")

    def runs(self, ref: AttemptRef) -> int:
        return self.driver.started[ref]

    def following(self, report: Callable[[Observation], None], enough: Callable[[], bool]) -> None:
        self.driver.follow(report, enough)
        assert enough()

    def close(self) -> None:
        pass


def local_case() -> LocalCase:
    """Not beneath /tmp, which every stage may write."""
    return LocalCase(Path(tempfile.mkdtemp(prefix="drivers-", dir="/var/tmp")))


Kind = Literal["local", "simulated", "nomad"]


@contextlib.contextmanager
def driver_case(kind: Kind, cluster: Callable[[], Cluster]) -> Iterator[Case]:
    """`cluster`: a Nomad for the case that needs one; may skip."""
    case: Case
    match kind:
        case "local":
            case = local_case()
        case "simulated":
            case = SimulatedCase()
        case "nomad":
            case = NomadCase(cluster())
    try:
        yield case
    finally:
        case.close()
