"""Machines of a test cluster: each a pid, mount and network namespace, joined by a cable to one bridge.

This process stands at the bridge too (`.1`), and reaches every machine by its address. Cutting a cable, killing a
process and pulling the plug are what happens to real ones. Needs root.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.keeper import children, clear, interface
from tests.waiting import until

SLOTS = 100
BASE = "10.77"


class Process:
    """A program that runs in a machine. `pid` is the one this side knows it by."""

    def __init__(self, command: Sequence[str | Path], first: int, log: Path, environment: Mapping[str, str]) -> None:
        self.name = Path(command[0]).name
        self.log = log
        with log.open("ab") as out:
            self.outside = subprocess.Popen(
                ["nsenter", f"--target={first}", "--pid", "--net", "--mount", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **environment},
            )
        self.pid = until(self._inside)

    def _inside(self) -> int:
        found = children(self.outside.pid) if self.outside.poll() is None else []
        if self.outside.poll() is not None:
            raise AssertionError(f"{self.name} ended at once:\n{tail(self.log)}")
        return found[0] if found else 0

    @property
    def running(self) -> bool:
        return self.outside.poll() is None

    def kill(self, number: int = signal.SIGKILL, wait: bool = True) -> None:
        """Sends a signal; waits until the program has gone, unless told not to (for one that goes on)."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        if wait:
            self.outside.wait(60)


@dataclass
class Machine:
    """`first` is its process number 1, as this side knows it; 0 while it has no power."""

    name: str
    address: str
    namespace: str
    cable: str
    first: int

    def start(self, *command: str | Path, log: Path, environment: Mapping[str, str] | None = None) -> Process:
        return Process(command, self.first, log, environment or {})

    def run(self, *command: str | Path) -> str:
        """The output of a program that ends by itself and well."""
        inside = ["nsenter", f"--target={self.first}", "--pid", "--net", "--mount", "--", *command]
        done = subprocess.run(inside, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{command} on {self.name}: {done.stderr or done.stdout}")
        return done.stdout


class Rack:
    """All machines of one cluster. Clusters live side by side: each has a slot of its own, and with it a subnet, names
    and a directory; slots of test runs that were killed are cleared when they are taken again."""

    def __init__(self) -> None:
        self.slot, lock = take_slot()
        self.directory = Path(f"/tmp/winslow-cluster-{self.slot}")
        self.machines: dict[str, Machine] = {}
        try:
            clear(self.slot, self.directory)
            self.directory.mkdir(mode=0o755)
            script = Path(__file__).with_name("keeper.py")
            self.keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", script, str(self.slot), self.directory],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                pass_fds=[lock],
                start_new_session=True,
            )
        finally:
            os.close(lock)
        bridge = interface(self.slot)
        ip("link", "add", bridge, "type", "bridge")
        ip("address", "add", f"{self.gateway}/24", "dev", bridge)
        ip("link", "set", bridge, "up")

    @property
    def gateway(self) -> str:
        """The address of this process on the bridge."""
        return self.address(1)

    @property
    def subnet(self) -> str:
        return f"{BASE}.{self.slot}.0/24"

    def address(self, host: int) -> str:
        return f"{BASE}.{self.slot}.{host}"

    def add(self, name: str, host: int) -> Machine:
        """A machine with the last part of its address. The name is short, since an interface carries it."""
        bridge = interface(self.slot)
        namespace, cable, address = f"{bridge}-{name}", f"{bridge}{name}", self.address(host)
        if len(cable) > 15 or not name[:1].isalpha():
            raise ValueError(f"{name!r} cannot be a machine: it begins with a letter, and has few of them")
        ip("netns", "add", namespace)
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("link", "set", cable, "master", bridge, "up")
        ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
        ip("-n", namespace, "link", "set", "eth0", "up")
        self.machines[name] = Machine(name, address, namespace, cable, 0)
        self.power_on(name)
        return self.machines[name]

    def power_on(self, name: str) -> None:
        machine = self.machines[name]
        machine.first = self._ask({"do": "start", "machine": name, "namespace": machine.namespace})["pid"]

    def power_off(self, name: str) -> None:
        """Pulls the plug: everything on the machine is dead when this returns. Its disk stays."""
        self._ask({"do": "end", "machine": name})
        self.machines[name].first = 0

    def cut(self, name: str) -> None:
        """Nothing gets through in either direction, and nobody is told."""
        ip("link", "set", self.machines[name].cable, "down")

    def join(self, name: str) -> None:
        ip("link", "set", self.machines[name].cable, "up")

    def stop(self) -> None:
        assert self.keeper.stdin is not None and self.keeper.stdout is not None
        self.keeper.stdin.close()
        self.keeper.wait(60)
        self.keeper.stdout.close()

    def _ask(self, command: dict[str, str]) -> Any:
        assert self.keeper.stdin is not None and self.keeper.stdout is not None
        self.keeper.stdin.write(json.dumps(command) + "\n")
        self.keeper.stdin.flush()
        answer = json.loads(self.keeper.stdout.readline())
        if "error" in answer:
            raise AssertionError(f"{command}: {answer['error']}")
        return answer


def take_slot() -> tuple[int, int]:
    """The lowest free slot, and the lock that holds it."""
    for slot in range(SLOTS):
        lock = os.open(f"/tmp/winslow-cluster-{slot}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return slot, lock
    raise AssertionError(f"all {SLOTS} slots for test clusters are taken")


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"ip {' '.join(arguments)}: {done.stderr}")


def tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
