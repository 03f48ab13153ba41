"""A person at a terminal: a real process on a pseudo-terminal, which types when it reads something."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def take_terminal() -> None:
    """Keys such as Ctrl-C become signals of the new session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Person:
    """`said` is everything that was on the screen so far, without colours and cursor movements."""

    def __init__(self, program: Sequence[str], **environment: str) -> None:
        here, there = pty.openpty()
        env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120", "LINES": "40", **environment}
        self.process = subprocess.Popen(
            program,
            stdin=there,
            stdout=there,
            stderr=there,
            env=env,
            cwd=ROOT,
            start_new_session=True,
            preexec_fn=take_terminal,
        )
        os.close(there)
        self._tty = here
        self._raw = b""
        self._read_to = 0

    @property
    def raw(self) -> str:
        return self._raw.decode("utf-8", "replace")

    @property
    def said(self) -> str:
        return STEERING.sub("", self.raw)

    def reads(self, text: str, seconds: float = 30.0) -> None:
        """Wait until `text` appears behind what was read before."""
        deadline = time.monotonic() + seconds
        while text not in self.said[self._read_to :]:
            assert time.monotonic() < deadline, f"{text!r} is not on the screen:\n{self.said}"
            assert self.looks() or text in self.said[self._read_to :], f"ended without {text!r}:\n{self.said}"
        self._read_to = self.said.index(text, self._read_to) + len(text)

    def looks(self) -> bool:
        """Take in what is new on the screen. False: nothing more will come."""
        ready, _, _ = select.select([self._tty], [], [], 0.1)
        if not ready:
            return True
        try:
            data = os.read(self._tty, 65536)
        except OSError:  # Linux says EIO when the last process has closed its end
            return False
        self._raw += data
        return bool(data)

    def types(self, text: str) -> None:
        os.write(self._tty, text.encode() + b"\n")

    def presses(self, key: bytes) -> None:
        os.write(self._tty, key)

    def leaves(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def ends(self, seconds: float = 30.0) -> int:
        """The exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still there:\n{self.said}"
            self.looks()
        while self.looks() and select.select([self._tty], [], [], 0)[0]:
            pass
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._tty)
