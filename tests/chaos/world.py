"""A whole Winslow in processes of its own over a temporary home, with a supervisor that starts again what ends,
as systemd would, and with eyes on what must never happen meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.waiting import until
from winslow_nomad import config
from winslow_nomad.driver.local.machine import Process, alive, process, send

ROOT = Path(__file__).parents[2]
CLI = (sys.executable, "-m", "winslow_nomad.cli")
ROLES = {
    "controller": (*CLI, "controller"),
    "worker": (*CLI, "worker"),
    "operations": (*CLI, "worker", "operations"),
    "up": (*CLI, "up"),
}


@dataclass(frozen=True)
class Killed:
    """A runner that was killed. `unfinished`: its command had not said "done" when the runner was dead."""

    attempt: str
    unfinished: bool


@dataclass
class Member:
    """A process that is to be there."""

    name: str
    argv: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    ended: list[int] = field(default_factory=list)


class World:
    """`cpu` cores are booked, not used: the stages mostly sleep."""

    def __init__(self, base: Path, **settings: str) -> None:
        self.base = base
        self.home = base / "h"
        self.environment = {
            **os.environ,
            "WINSLOW_HOME": str(self.home),
            "WINSLOW_CPU": "16",
            "WINSLOW_MEMORY": str(16 << 30),
            "WINSLOW_SWEEP_SECONDS": "1",
            "WINSLOW_USER": "chaos",
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        (base / "logs").mkdir()
        self.members: dict[str, Member] = {}
        self.lock = threading.RLock()
        self.random = Random(0)  # of the one who kills
        self._delays = Random()
        self.violations: list[str] = []
        self.records: dict[Path, dict[str, str]] = {}
        self.killed_runners: list[Killed] = []
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def settings(self) -> config.Settings:
        return config.load(self.environment)

    @property
    def share(self) -> Path:
        return Path(self.environment.get("WINSLOW_SHARE") or self.home / "share")

    # --- processes

    def start(self, *roles: str) -> None:
        for role in roles:
            self.add(role, ROLES[role.rstrip("0123456789")])
        for target in (self._supervise, self._watch):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self._threads.append(thread)

    def add(self, name: str, argv: tuple[str, ...]) -> None:
        with self.lock:
            self.members[name] = Member(name, argv)

    def drop(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        with self.lock:
            member = self.members.pop(name)
        if member.process is not None:
            member.process.send_signal(number)
            member.process.wait(20)

    def _supervise(self) -> None:
        while not self._ended.is_set():
            with self.lock:
                for member in self.members.values():
                    self._keep_up(member)
            self._ended.wait(0.02)

    def _keep_up(self, member: Member) -> None:
        running = member.process
        if running is not None and running.poll() is None:
            return
        if running is not None:
            member.ended.append(running.returncode)
            member.process = None
            member.start_at = time.monotonic() + self._delays.uniform(0.0, 0.3)
        if time.monotonic() >= member.start_at:
            with (self.base / "logs" / member.name).open("ab") as words:
                member.process = subprocess.Popen(
                    member.argv,
                    env=self.environment,
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=words,
                    stderr=words,
                    start_new_session=True,
                )

    def stop(self) -> dict[str, int]:
        """Ask all to end, as systemd does at shutdown; their exit codes."""
        self._ended.set()
        for thread in self._threads:
            thread.join(10)
        running = {n: m.process for n, m in self.members.items() if m.process is not None}
        for started in running.values():
            started.send_signal(signal.SIGTERM)
        codes = {}
        for name, started in running.items():
            try:
                codes[name] = started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()
                codes[name] = started.wait(20)
                self.violations.append(f"{name} did not end within 20 s when asked to")
        return codes

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        self._ended.set()
        for thread in self._threads:
            thread.join(10)
        for member in self.members.values():
            if member.process is not None and member.process.poll() is None:
                member.process.kill()
                member.process.wait()
        deadline = time.monotonic() + 10
        while (left := list(self._everything())) and time.monotonic() < deadline:
            for who in left:
                send(who, signal.SIGKILL)
            time.sleep(0.02)

    def _everything(self) -> Iterator[Process]:
        """A store that a test itself has started is known by its title alone."""
        yield from (who for who, _ in self.processes())
        for who, _ in everybody():
            with suppress(OSError):
                if f"unixsocket:{self.home}/".encode() in Path(f"/proc/{who.pid}/cmdline").read_bytes():
                    yield who

    def processes(self) -> Iterator[tuple[Process, dict[str, str]]]:
        """All that belong to this home, with what they were started with."""
        own = {f"WINSLOW_HOME={self.home}", f"WINSLOW_LOCAL_DRIVER={self.home / 'local'}"}
        for who, environ in everybody():
            if any(f"{k}={environ.get(k)}" in own for k in ("WINSLOW_HOME", "WINSLOW_LOCAL_DRIVER")):
                yield who, environ

    # --- victims

    @property
    def store_pid(self) -> int | None:
        try:
            pid = int((self.home / "store" / "server.pid").read_text())
        except (OSError, ValueError):
            return None
        with suppress(OSError):
            if str(self.home).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return None

    def runners(self) -> list[tuple[Process, str]]:
        """Runners and the processes that carry for them, each with its attempt."""
        return [(w, e["WINSLOW_RUNNER"]) for w, e in self.processes() if "WINSLOW_RUNNER" in e]

    def pid_of(self, name: str) -> int | None:
        with self.lock:
            member = self.members.get(name)
            running = member.process if member is not None else None
            return running.pid if running is not None and running.poll() is None else None

    def kill(self, what: str) -> bool:
        """SIGKILL to one of them; False: there is none just now."""
        if what == "runner":
            return self._kill_runner()
        pid: int | None
        if what == "store":
            pid = self.store_pid
        elif what == "helper":
            pid = self._helper()
        else:
            pid = self.pid_of(what)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def freeze(self, what: str, seconds: float) -> bool:
        """SIGSTOP, and SIGCONT after `seconds`: what comes back then still believes what it believed before."""
        pid = self.store_pid if what == "store" else self.pid_of(what)
        if pid is None:
            return False

        def send(number: signal.Signals) -> None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

        send(signal.SIGSTOP)
        thaw = threading.Timer(seconds, send, (signal.SIGCONT,))
        thaw.daemon = True
        thaw.start()
        self._threads.append(thaw)
        return True

    def _helper(self) -> int | None:
        """A child of one of the processes, such as the one that writes to the share, or a copy."""
        mains = {self.pid_of(n) for n in list(self.members)} - {None}
        found = [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if parent_of(pid) in mains]
        return self.random.choice(sorted(found)) if found else None

    def _kill_runner(self) -> bool:
        found = self.runners()
        if not found:
            return False
        who, attempt = self.random.choice(found)
        folder = self.attempt_folder(attempt)
        claim = read_json(folder / "claim") if folder is not None else None
        with suppress(ProcessLookupError):
            os.kill(who.pid, signal.SIGKILL)
        until(lambda: not alive(who), 10)
        if folder is not None and claim is not None and claim.get("pid") == who.pid:
            finished = (folder / "end.json").exists() or last_word(folder) in ("done", "failed")
            self.killed_runners.append(Killed(attempt, not finished))
        return True

    def attempt_folder(self, attempt: str) -> Path | None:
        project, stage, number = attempt.split("/")
        found = list((self.share / "projects" / project / "stages").glob(f"{stage}-*"))
        return found[0] / "attempts" / number if found else None

    # --- eyes

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            self.look()

    def look(self) -> None:
        self._one_attempt_at_a_time()
        for path in (self.share / "projects").glob("*/stages/*/stage.json"):
            if path not in self.records:
                with suppress(FileNotFoundError):
                    self.records[path] = fingerprint(path.parent)

    def _one_attempt_at_a_time(self) -> None:
        working: dict[str, dict[str, list[Process]]] = {}
        for who, environ in self.processes():
            attempt = environ.get("WINSLOW_ATTEMPT", "")
            if attempt and "WINSLOW_RUNNER" not in environ:
                working.setdefault(attempt.rpartition("/")[0], {}).setdefault(attempt, []).append(who)
        for attempts in working.values():
            still = [a for a, those in attempts.items() if any(alive(p) for p in those)]
            if len(still) > 1:
                self.violations.append(f"two attempts of one stage work at once: {still}")

    def words(self) -> dict[str, str]:
        return {p.name: p.read_text(errors="replace") for p in sorted((self.base / "logs").iterdir())}


def parent_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def everybody() -> Iterator[tuple[Process, dict[str, str]]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            who = process(int(entry.name))
            if who is None:
                continue
            with suppress(OSError):
                text = Path(f"/proc/{who.pid}/environ").read_bytes()
                environ = dict(p.split("=", 1) for p in text.decode(errors="replace").split("\0") if "=" in p)
                if alive(who):
                    yield who, environ


def fingerprint(folder: Path) -> dict[str, str]:
    """All files of an ended stage: where links lead, and what the bytes add up to. A copy for an attempt that was
    cancelled meanwhile is no part of it, and goes when whoever made it is found dead; nor is the file that becomes
    a record by link(2), nor the note of a runner that Nomad has started too late, and that was refused."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if "/.partial-" in name or name.endswith(".tmp") or path.name.startswith("refused-"):
            continue
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "directory"
    return found


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def executions(attempt: Path) -> list[str]:
    try:
        return [line.split()[0] for line in (attempt / "output" / "executions").read_text().splitlines()]
    except OSError:
        return []


def last_word(attempt: Path) -> str:
    return (executions(attempt) or [""])[-1]


@contextmanager
def a_world(**settings: str) -> Iterator[World]:
    """Kept for looking at when the test fails and WINSLOW_CHAOS_KEEP is set."""
    base = Path(tempfile.mkdtemp(prefix="wc-", dir="/tmp"))
    world = World(base, **settings)
    failed = True
    try:
        yield world
        failed = False
    finally:
        world.end()
        if failed and os.environ.get("WINSLOW_CHAOS_KEEP"):
            print(f"kept: {base}")
        else:
            shutil.rmtree(base, ignore_errors=True)
