"""An attempt directory and the runner in it, as a driver would make and start them; waits for conditions only."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.waiting import until

PYTHON = [sys.executable, "-S", "-E", "-c"]
QUIET_SANITIZER = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1",
}


@dataclass(frozen=True)
class Record:
    """One entry of log/index."""

    time_us: int
    length: int
    stream: str


class Attempt:
    """What Winslow prepares, what the runner leaves behind, and the runner's processes."""

    def __init__(self, path: Path, spool: Path, program: Sequence[str]) -> None:
        self.path = path
        self.spool = spool
        self.program = list(program)
        self.mark = f"{path.name}-{os.urandom(6).hex()}"
        self.runners: list[subprocess.Popen[bytes]] = []

    def prepare(
        self, *command: str, environment: dict[str, str] | None = None, control: str | None = "run\n"
    ) -> Attempt:
        for name in ("workspace", "output"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        (self.path / "command").write_bytes(b"".join(os.fsencode(part) + b"\0" for part in command))
        variables = {"PATH": os.environ["PATH"], "WINSLOW_ATTEMPT": self.mark, **(environment or {})}
        secret = os.open(self.path / "environment", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(secret, b"".join(os.fsencode(f"{k}={v}") + b"\0" for k, v in variables.items()))
        os.close(secret)
        if control is not None:
            (self.path / "control").write_text(control)
        return self

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} | options
        runner = subprocess.Popen(
            [*self.program, "--attempt", str(self.path), "--spool", str(self.spool), *arguments],
            env={**os.environ, **QUIET_SANITIZER, **options.pop("env", {})},
            start_new_session=True,
            **options,
        )
        self.runners.append(runner)
        return runner

    def run(self, *arguments: str, seconds: float = 60, **options: Any) -> tuple[int, str]:
        """Exit status and the runner's own lines."""
        runner = self.start(*arguments, **options)
        _, said = runner.communicate(timeout=seconds)
        return runner.returncode, said.decode()

    def say(self, word: str) -> None:
        """Rewrites `control` in place."""
        with (self.path / "control").open("r+b") as file:
            file.write(word.encode() + b"\n")
            file.truncate()

    @property
    def end(self) -> dict[str, Any]:
        return json.loads((self.path / "end.json").read_text())

    @property
    def claim(self) -> dict[str, Any]:
        return json.loads((self.path / "claim").read_text())

    @property
    def ended(self) -> bool:
        return (self.path / "end.json").exists()

    def log(self, stream: str = "out") -> bytes:
        path = self.path / "log" / stream
        return path.read_bytes() if path.exists() else b""

    def index(self) -> list[Record]:
        content = self.log("index")
        assert len(content) % 16 == 0
        names = {1: "out", 2: "err"}
        return [Record(time, length, names[stream]) for time, length, stream in struct.iter_unpack("<QII", content)]

    def in_order(self) -> bytes:
        """Both streams as the index interleaves them; fails when index and streams disagree."""
        at, logs, whole = {"out": 0, "err": 0}, {name: self.log(name) for name in ("out", "err")}, b""
        for record in self.index():
            whole += logs[record.stream][at[record.stream] : at[record.stream] + record.length]
            at[record.stream] += record.length
        assert at == {name: len(log) for name, log in logs.items()}
        return whole

    def carrier(self, runner: subprocess.Popen[bytes]) -> int:
        """The process id of the runner's carrier, as soon as it has named itself."""

        def find() -> int:
            for pid in children(runner.pid):
                if name_of(pid) == "winslow-carrier":
                    return pid
            return 0

        return until(find)

    def processes(self) -> list[int]:
        """Live processes that carry this attempt's mark."""
        wanted = f"WINSLOW_ATTEMPT={self.mark}".encode()
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    environment = Path(f"/proc/{entry}/environ").read_bytes()
                    if wanted in environment.split(b"\0") and state_of(int(entry)) not in "ZX":
                        found.append(int(entry))
                except OSError:
                    continue
        return found

    def clean_up(self) -> None:
        for runner in self.runners:
            if runner.poll() is None:
                os.kill(runner.pid, signal.SIGSTOP)  # or it would start another carrier
                until(lambda runner=runner: state_of(runner.pid) in "TtZX")
                for pid in [*children(runner.pid), runner.pid]:
                    end(pid)
            runner.communicate()
        for pid in self.processes():
            end(pid)


def end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def gone(pid: int) -> bool:
    return state_of(pid) in "ZX"
