"""A program of this machine that works on the share for us, in a process group of its own, politely, and
gone when we are: it may hang with the share, we only look at it now and then and can leave.
"""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    output: str
    errors: str


@cache
def polite() -> tuple[str, ...]:
    """What goes before a command: it ends with us, and lets others go first where they want the same disk."""
    words: list[str] = []
    if shutil.which("setpriv"):
        words += ["setpriv", "--pdeathsig", "KILL"]
    if shutil.which("ionice"):
        words += ["ionice", "-c", "2", "-n", "7"]
    if shutil.which("nice"):
        words += ["nice", "-n", "5"]
    return tuple(words)


class Child:
    """Started at once. Its output goes to local files, so that it never waits for us."""

    def __init__(self, command: Sequence[str]) -> None:
        self._out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `wait` and `leave`
        self._err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [*polite(), *command],
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
            cwd="/",
        )
        self._handle = os.pidfd_open(self.pid)  # readable when it has ended

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
