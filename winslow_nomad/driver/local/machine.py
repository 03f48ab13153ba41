"""This machine and its processes, as /proc shows them. A process is always named by pid and start time
together (and the boot id beside them), since pids are used again; nothing here trusts a pid alone."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_EXEC_TRIES = 5


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores and bytes that attempts may use, and which boot of which machine this is."""

    host: str
    boot_id: str
    cpu: float
    memory: int
    pool: str = "default"
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Process:
    """`start` counts clock ticks since boot, field 22 of /proc/<pid>/stat."""

    pid: int
    start: int


def this_machine(
    cpu: float | None = None,
    memory: int | None = None,
    pool: str = "default",
    tags: frozenset[str] = frozenset(),
) -> Machine:
    """What the machine has, unless the settings say less (or more)."""
    return Machine(
        host=socket.gethostname(),
        boot_id=(_PROC / "sys/kernel/random/boot_id").read_text().strip(),
        cpu=float(len(os.sched_getaffinity(0))) if cpu is None else cpu,
        memory=_memory() if memory is None else memory,
        pool=pool,
        tags=tags,
    )


def _memory() -> int:
    """Bytes: the machine's, or less where a container limits it."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _MEMORY_LIMITS:
        with suppress(OSError, ValueError):
            total = min(total, int(path.read_text()))
    return total


def uptime() -> float:
    """Seconds since boot, time asleep included: comparable between processes of one boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def process(pid: int) -> Process | None:
    """The process that has this pid now; None: there is none, or it is a zombie."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name may hold spaces and brackets
    return None if fields[0] in (b"Z", b"X") else Process(pid, int(fields[19]))


def alive(who: Process) -> bool:
    return process(who.pid) == who


def open_pidfd(who: Process) -> int | None:
    """A descriptor of exactly this process, readable when it has ended; None: it has."""
    try:
        descriptor = os.pidfd_open(who.pid)
    except OSError:
        return None
    if alive(who):  # asked after the open: the descriptor cannot be that of a later one
        return descriptor
    os.close(descriptor)
    return None


def send(who: Process, number: signal.Signals) -> bool:
    """False: it has ended. A process that took over the pid is never hit."""
    descriptor = open_pidfd(who)
    if descriptor is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


Marks = frozenset[str]


def carrying(*any_of: Marks) -> Iterator[Process]:
    """Living processes that were started with all `NAME=value` of one of the sets, but this one."""
    wanted = [{os.fsencode(m) for m in marks} for marks in any_of]
    own = os.getpid()
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit() or int(entry.name) == own:
            continue
        who = process(int(entry.name))
        if who is None:
            continue
        environ = _environment(who)
        if any(marks.issubset(environ) for marks in wanted) and alive(who):
            yield who


def _environment(who: Process) -> list[bytes]:
    """What it was started with. In the middle of an exec nothing can be read: it is asked again, or a
    process that is just being started would be overlooked."""
    for _ in range(_EXEC_TRIES):
        try:
            environ = (_PROC / str(who.pid) / "environ").read_bytes()
        except OSError:
            return []  # ended meanwhile, or another user's
        if environ or not _has_memory(who.pid):
            return environ.split(b"\0")
        time.sleep(0.001)
    return []  # started with an empty environment


def _has_memory(pid: int) -> bool:
    """Kernel threads have none."""
    with suppress(OSError):
        return (_PROC / str(pid) / "statm").read_bytes().split()[0] != b"0"
    return False


def end_all(*any_of: Marks, patience: float = 5.0) -> list[Process]:
    """SIGKILL to every process that carries the marks, until none is left; those that would not go within
    `patience` seconds (stuck in the kernel on a dead share) are answered."""
    deadline = time.monotonic() + patience
    while left := list(carrying(*any_of)):
        if time.monotonic() > deadline:
            return left
        for who in left:
            send(who, signal.SIGKILL)
        _await_end(left, deadline)
    return []


def _await_end(processes: Sequence[Process], deadline: float) -> None:
    while any(alive(p) for p in processes) and time.monotonic() < deadline:
        time.sleep(0.001)
