"""Names of processes that hold leases, and whether such a process can still come back.

A name says which process of which boot of which machine it is (and in which pid namespace its number
counts), so that a dead owner is told from one that cannot be seen from here. Of those that cannot be seen
nothing is ever said: their leases run out by themselves."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path


def owner() -> str:
    """Of this process: `<host>:<pid>@<where>`. What it is the owner for may follow behind a space."""
    return f"{socket.gethostname()}:{os.getpid()}@{where()}"


def gone(name: str) -> bool:
    """True: the process has ended for ever. False: it lives, or it is not to be seen from here."""
    process, _, place = name.partition(" ")[0].rpartition("@")
    pid = process.rpartition(":")[2]
    if place != where() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)  # unlike /proc it also answers for processes of other users
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


@cache
def where() -> str:
    """One boot of one machine, and one numbering of its processes."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
