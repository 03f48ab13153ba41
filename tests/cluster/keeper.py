"""Owns the machines of one test cluster, and clears all of it away when whoever started it is gone, however it went.

    python keeper.py SLOT DIRECTORY

A machine is a process that is number 1 of its own pid, mount and network namespace: when it ends, the kernel ends
everything in it (agents, docker, containers). Commands are JSON lines on stdin, answered on stdout. The end of stdin is
the order to end: a test process that was killed sends it too. If this process is itself killed, the kernel ends the
machines, and what is left of names and directories is cleared by the next cluster that takes the slot.
It must import nothing outside of the standard library, and start no thread: machines are tied to the life of the
thread that made them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def interface(slot: int) -> str:
    """Every network name and cgroup of a cluster starts with this."""
    return f"wc{slot}"


def live_and_reap() -> None:
    """Number 1 of a machine: has /proc and /run to itself, and buries orphans."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    for kind, at in (("proc", "/proc"), ("tmpfs", "/run")):
        subprocess.run(["mount", "-t", kind, kind, at], check=True)
    print("up", flush=True)
    while True:
        signal.sigwait([signal.SIGCHLD])
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Machine:
    def __init__(self, namespace: str) -> None:
        command = ["nsenter", f"--net=/run/netns/{namespace}", "unshare", "--pid", "--fork", "--kill-child"]
        # slave: what is mounted on this machine later (a share that hangs) shows there too, and nothing comes back
        command += ["--mount", "--propagation", "slave", sys.executable, "-I", "-S", __file__, "machine"]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != b"up\n":
            raise RuntimeError(f"no machine in {namespace}: {self.process.wait()}")
        (self.first,) = children(self.process.pid)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.first, signal.SIGKILL)
        self.process.wait()


def clear(slot: int, directory: Path) -> None:
    """Removes whatever carries the name of the slot. Its machines are dead, or about to die."""
    prefix = interface(slot)
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    for line in names.splitlines():
        if line.startswith(f"{prefix}-"):
            subprocess.run(["ip", "netns", "delete", line.split()[0]], check=False)
    # By name, too: sockets that nobody owns any more may keep a deleted namespace, and its cable, for minutes.
    for link in links(slot):
        subprocess.run(["ip", "link", "delete", link], stderr=subprocess.DEVNULL, check=False)
    for point in reversed(mounted_under(directory)):
        subprocess.run(["umount", "--lazy", point], check=False)
    for group in Path("/sys/fs/cgroup").glob(f"*/{prefix}-*"):
        remove_group(group)
    shutil.rmtree(directory, ignore_errors=True)


def links(slot: int) -> list[str]:
    """Bridge and cables of a slot: `wc1`, `wc1n2`, but not `wc12`."""
    ours = re.compile(rf"{interface(slot)}(\D.*)?")
    return [link for link in os.listdir("/sys/class/net") if ours.fullmatch(link)]


def mounted_under(directory: Path) -> list[str]:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith(f"{directory}/")]


def remove_group(top: Path) -> None:
    """A control group can be removed once the kernel has buried its last process."""
    deadline = time.monotonic() + 10
    for folder, _, _ in os.walk(top, topdown=False):
        while True:
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.05)
            else:
                break


def keep(slot: int, directory: Path) -> None:
    machines: dict[str, Machine] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        name = asked["machine"]
        try:
            if asked["do"] == "start":
                machines[name] = Machine(asked["namespace"])
            else:
                machines.pop(name).end()
            answer: dict[str, object] = {"pid": machines[name].first if name in machines else None}
        except (OSError, RuntimeError, ValueError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
    for machine in machines.values():
        machine.end()
    clear(slot, directory)


if __name__ == "__main__":
    if sys.argv[1:] == ["machine"]:
        live_and_reap()
    else:
        # An interrupt is meant for the tests; their end is what ends this process.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        keep(int(sys.argv[1]), Path(sys.argv[2]))
