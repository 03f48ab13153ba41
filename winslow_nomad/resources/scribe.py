"""All writing to the share, with a deadline. A process that has written to a hanging NFS mount can neither
end nor start others until the server is back; so a small process of its own (`scribing`) does it, and this
side only waits for its answer, never longer than told.

One that does not answer in time is sent SIGKILL, so that it does nothing more when the share wakes up, and
is left behind. While some hang, one caller at a time tries the share and all others are told at once.
What was asked for may have been done all the same: every step can be repeated.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winslow_nomad.core.errors import Refused, ShareUnavailable
from winslow_nomad.resources.layout import MARK
from winslow_nomad.resources.work import condition

Step = dict[str, Any]

PROGRAM = Path(__file__).with_name("scribing.py")
TRIAL_EVERY = 1.0  # seconds between two tries of a share that hangs
DIED_LATE = 0.5  # a killed one that takes longer to go was held by the share: its going says it is back


def mkdir(path: str, mode: int = 0o755) -> Step:
    """A directory with its parents; one that is there stays."""
    return {"op": "mkdir", "path": path, "mode": mode}


def write(path: str, data: str, *, mode: int = 0o644, sync: bool = True) -> Step:
    """Replace a file whole. `data` may hold bytes that are no UTF-8, as surrogates."""
    return {"op": "write", "path": path, "data": data, "mode": mode, "sync": sync}


def create(path: str, data: str, *, mode: int = 0o644) -> Step:
    """Make a file unless it is there."""
    return {"op": "create", "path": path, "data": data, "mode": mode}


def publish(path: str, data: str, *, mode: int = 0o644, sync: bool = True) -> Step:
    """Once for all and whole. Answers {"made": whether this data counts, "data": what counts}: put
    something of your own into it."""
    return {"op": "publish", "path": path, "data": data, "mode": mode, "sync": sync}


def raise_word(path: str, word: str, order: Sequence[str]) -> Step:
    """Rewrite in place unless it holds a word that comes later in `order`; answers the one that counts."""
    return {"op": "raise", "path": path, "word": word, "order": list(order)}


def append(path: str, data: str) -> Step:
    """At the end of a file, on disk when answered. The one step that is not repeated by itself."""
    return {"op": "append", "path": path, "data": data}


def put(path: str, offset: int, data: str) -> Step:
    """Bytes at their place in a file that grows, on disk when answered."""
    return {"op": "put", "path": path, "offset": offset, "data": data}


def symlink(path: str, target: str, *, replace: bool = False) -> Step:
    return {"op": "symlink", "path": path, "target": target, "replace": replace}


def rename(path: str, target: str) -> Step:
    """Answers {"made": False} where the target is there already; it is never replaced."""
    return {"op": "rename", "path": path, "target": target}


def unlink(path: str) -> Step:
    return {"op": "unlink", "path": path}


def unless(path: str) -> Step:
    """Nothing that follows is done if `path` is there; the answer is False then, and the last."""
    return {"op": "unless", "path": path}


def install(source: Path, path: str) -> Step:
    """A file of this machine onto the share, executable; nothing is done where it is there already."""
    return {"op": "install", "source": str(source), "path": path}


class _Silent(Exception):
    """No answer within the deadline."""


class _Dead(Exception):
    """The process ended before it answered."""


class _Process:
    """One writing process and our end of its socket."""

    def __init__(self, root: Path) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", str(PROGRAM), str(root), MARK],
                {"LC_ALL": "C.UTF-8"},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
                    *[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)],
                ],
                setsid=True,
            )
        self.killed_at = 0.0

    def ask(self, request: bytes, deadline: float) -> Any:
        """Raises _Silent, _Dead. `deadline` is of time.monotonic()."""
        try:
            self._patience(deadline)
            self.socket.sendall(len(request).to_bytes(4, "big") + request)
            size = int.from_bytes(self._exactly(4, deadline), "big")
            return json.loads(self._exactly(size, deadline))
        except TimeoutError:
            raise _Silent from None
        except OSError:
            raise _Dead from None

    def _patience(self, deadline: float) -> None:
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))

    def _exactly(self, count: int, deadline: float) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            self._patience(deadline)
            part = self.socket.recv(count - len(parts))
            if not part:
                raise _Dead
            parts += part
        return bytes(parts)

    def abandon(self) -> None:
        self.killed_at = time.monotonic()
        self.socket.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def gone(self) -> bool:
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True


@dataclass
class _Crew:
    """The processes of one Scribe; what is in no list is at work."""

    idle: list[_Process] = field(default_factory=list)
    stuck: list[_Process] = field(default_factory=list)
    busy: int = 0


class Scribe:
    """Writes below `root`. `deadline`: seconds a call may take. Safe to use from several threads, and in a
    forked child, which gets processes of its own."""

    def __init__(self, root: Path, *, deadline: float = 5.0, width: int = 2, stuck_at_most: int = 3) -> None:
        self.root = root
        self._deadline = deadline
        self._width = width
        self._stuck_at_most = stuck_at_most
        self._free = threading.Condition()
        self._crew = _Crew()
        self._owner = os.getpid()
        self._hangs_since: float | None = None
        self._next_trial = 0.0
        self._trying = False

    def establish(self, name: str) -> None:
        """Make `root` a share, or find that it is one. Refused (code share.not_empty) where it holds other
        files. Until this was done once, every other call says that the share is gone."""
        request = {"establish": json.dumps({"format": 1, "name": name}) + "\n", "steps": []}
        answer = self._ask(json.dumps(request).encode(), repeatable=True, what="the mark of the share was not made")
        if "failed" in answer and answer["failed"]["errno"] == errno.ENOTEMPTY:
            raise Refused(
                f"{self.root} holds files that are not Winslow's; nothing was written there.",
                hint="Name an empty directory, or the root of a share that Winslow has used before.",
                code="share.not_empty",
            )
        if "failed" in answer and answer["failed"]["errno"] in (errno.EEXIST, errno.ENOTDIR):
            raise Refused(
                f"{self.root} is not a directory; nothing was written.",
                hint="Name an empty directory, or the root of a share that Winslow has used before.",
                code="share.not_directory",
            )
        self._settle(answer, "the mark of the share was not made")

    def perform(self, steps: Sequence[Step], what: str, *, deadline: float | None = None) -> list[Any]:
        """Carry out steps in order; one answer for each that was reached. `what`: the end of a sentence
        that says what was not done, such as "stage 0001-detect was not sealed".

        Raises ShareUnavailable (share.full, share.read_only, share.stalled, share.gone, share.denied)."""
        repeatable = all(step["op"] != "append" for step in steps)
        request = json.dumps({"steps": list(steps)}).encode()
        return self._settle(self._ask(request, repeatable, what, deadline), what)

    def stuck(self) -> int:
        """How many writing processes hang now."""
        with self._free:
            self._bury()
            return len(self._crew.stuck)

    def close(self) -> None:
        """Let the processes go; waits for none of them."""
        with self._free:
            for process in self._crew.idle:
                process.abandon()
            self._crew.stuck += self._crew.idle
            self._crew.idle.clear()
            self._bury()

    def _ask(self, request: bytes, repeatable: bool, what: str, patience: float | None = None) -> Any:
        deadline = time.monotonic() + (self._deadline if patience is None else patience)
        with self._turn(what):
            for last in (False, True):
                try:
                    with self._process(deadline, what) as process:
                        return process.ask(request, deadline)
                except _Silent:
                    raise self._stalled(what) from None
                except _Dead:  # somebody killed it; the next one is likely to live
                    if last or not repeatable:
                        break
        raise ShareUnavailable(
            f"The process that writes to the share was killed: perhaps {what}.",
            hint="It is tried again.",
            code="share.unavailable",
        )

    @contextmanager
    def _turn(self, what: str) -> Iterator[None]:
        """While the share hangs, one caller at a time may wait for it."""
        with self._free:
            if self._owner != os.getpid():
                self._owner = os.getpid()
                self._crew = _Crew()
                self._trying = False
            self._bury()
            if len(self._crew.stuck) >= self._stuck_at_most:
                raise self._stalled(what)
            trial = self._hangs_since is not None
            if trial and (self._trying or time.monotonic() < self._next_trial):
                raise self._stalled(what)
            self._trying = self._trying or trial
        try:
            yield
        finally:
            if trial:
                with self._free:
                    self._trying = False

    @contextmanager
    def _process(self, deadline: float, what: str) -> Iterator[_Process]:
        """An idle process, or a new one: given back after an answer, else killed and left behind."""
        with self._free:
            while not self._crew.idle and self._crew.busy >= self._width:
                if not self._free.wait(deadline - time.monotonic()):
                    raise self._stalled(what)
            process = self._crew.idle.pop() if self._crew.idle else _Process(self.root)
            self._crew.busy += 1
        answered = False
        try:
            yield process
            answered = True
        finally:
            with self._free:
                now = time.monotonic()
                self._crew.busy -= 1
                if answered:
                    self._hangs_since = None
                    self._crew.idle.append(process)
                else:
                    process.abandon()
                    self._crew.stuck.append(process)
                    if now >= deadline:
                        self._hangs_since = self._hangs_since or now
                        self._next_trial = now + TRIAL_EVERY
                self._bury()
                self._free.notify()

    def _bury(self) -> None:
        now = time.monotonic()
        for process in list(self._crew.stuck):
            if process.gone():
                self._crew.stuck.remove(process)
                if now - process.killed_at > DIED_LATE:
                    self._next_trial = now

    def _stalled(self, what: str) -> ShareUnavailable:
        since = time.monotonic() - (self._hangs_since or time.monotonic())
        for_how_long = f" for {since:.0f} s" if since >= 1 else ""
        return ShareUnavailable(
            f"The share {self.root} has not answered{for_how_long}: {what}.",
            hint="Look at its server and the network; what waits goes on by itself.",
            code="share.stalled",
        )

    def _settle(self, answer: Any, what: str) -> list[Any]:
        failed = answer.get("failed")
        if failed is None:
            return list(answer["answers"])
        error = OSError(failed["errno"], failed["text"])
        if answer["step"] < 0 and error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise ShareUnavailable(
                f"{self.root} is not Winslow's share now ({MARK} is missing): {what}.",
                hint="Mount the share again; what waits goes on by itself.",
                code="share.gone",
            )
        known = condition(error)
        if known is not None:
            raise ShareUnavailable(f"{known.message.split('. ')[0]}: {what}.", hint=known.hint, code=known.code)
        code = "share.denied" if error.errno in (errno.EACCES, errno.EPERM) else "share.unavailable"
        if answer["step"] < 0:
            said = f"The share {self.root} cannot be used: {failed['text']}; {what}."
        else:
            said = f"{failed['path']} on the share: {failed['text']} ({failed['op']}); {what}."
        denied = "Look at owner and mode of it, and of the directories it lies in."
        raise ShareUnavailable(said, hint=denied if code == "share.denied" else "Run winslow doctor.", code=code)
