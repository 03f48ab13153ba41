"""A program of this machine that works on the share for us, in a process group of its own, politely, and
gone when we are: it may hang with the share, we only look at it now and then and can leave.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

LOOK_EVERY = 0.15  # seconds
TEXT = 64 * 1024  # bytes kept of what it says
WHO_PROCESS, BEST_EFFORT, LOWEST = 1, 2 << 13, 7  # ioprio_set(2)

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    output: str
    errors: str


@cache
def ending_with_us() -> tuple[str, ...]:
    """What goes before a long command, so that the kernel ends it with the thread that started it. Without it a
    copy whose worker was killed goes on until somebody takes its directory away, which is only a waste."""
    return ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()


def others_first(process: int) -> None:
    """The lowest best-effort priority for the disk (ioprio_set(2)). The processors are shared evenly: beside
    stages that keep them all busy, a copy of many small files would otherwise take twice as long."""
    number = {"x86_64": 251, "aarch64": 30}.get(os.uname().machine)
    if number is not None:
        _libc.syscall(number, WHO_PROCESS, process, BEST_EFFORT | LOWEST)


class Child:
    """Started at once. Its output goes to local files, so that it never waits for us."""

    def __init__(self, command: Sequence[str], *, long: bool = False) -> None:
        self._out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `wait` and `leave`
        self._err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [*(ending_with_us() if long else ()), *command],
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
            cwd="/",
        )
        self._handle = os.pidfd_open(self.pid)  # readable when it has ended
        if long:
            others_first(self.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def written(self) -> int:
        """Bytes it has written so far; 0 when it has ended or may not be looked at."""
        with suppress(OSError, ValueError):
            for line in Path(f"/proc/{self.pid}/io").read_text().splitlines():
                if line.startswith("wchar:"):
                    return int(line.split()[1])
        return 0

    def wait(self, look: Callable[[], None]) -> Ended:
        """Until it ends; `look` is called again and again. What it raises ends the child and comes out."""
        try:
            while not select.select([self._handle], [], [], LOOK_EVERY)[0]:
                look()
            return Ended(self._process.wait(), _tail(self._out, TEXT * 1024), _tail(self._err, TEXT))
        except BaseException:
            self.leave()
            raise
        finally:
            self._close()

    def leave(self) -> None:
        """Kill the whole group, unless it has ended; never waits for one that the share holds."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.2)
        self._close()

    def _close(self) -> None:
        self._out.close()
        self._err.close()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _tail(file: IO[bytes], size: int) -> str:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - size))
    return file.read(size).decode("utf-8", "replace")
