"""What the API writes to the share, by processes of their own (`portering`): a process with a dirty descriptor on a
hanging NFS mount can neither end nor start others until the server is back, and the API must do both. A thread
would not do: it would make this very process such a one.

Each process does one thing at a time. An upload has one for as long as its connection lasts, everything else borrows
one for a moment. One that does not answer in time is sent SIGKILL and left behind; while too many are left behind,
everybody is told at once. Calls wait, and belong into threads.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from winslow_nomad.core import errors
from winslow_nomad.core.errors import ShareUnavailable, WinslowError
from winslow_nomad.resources.layout import MARK
from winslow_nomad.resources.work import condition

PROGRAM = Path(__file__).with_name("portering.py")
BUFFER = 4 * 1024 * 1024  # as portering has it
LARGEST_ANSWER = 256 * 1024
ALIVE = b"{}"  # as portering says it
SOON = 10.0  # seconds for what touches only names
WRITE = 60.0  # for four megabytes: a disk that has fallen behind makes its writers wait
FINISH = 600.0  # for bringing to the disk what is still in memory
KEPT_IDLE = 4


class Porter:
    """One process and our end of its socket. Not to be used by two threads at once."""

    def __init__(self, share: Path) -> None:
        self.share = share
        self.fit = True  # it has answered everything so far
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.memory = os.memfd_create("winslow-upload", os.MFD_CLOEXEC)
        os.ftruncate(self.memory, 2 * BUFFER)
        self._map = mmap.mmap(self.memory, 2 * BUFFER)
        view = memoryview(self._map)
        self.buffers: Sequence[memoryview] = (view[:BUFFER], view[BUFFER:])
        with theirs:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", str(PROGRAM), str(share), MARK],
                {"LC_ALL": "C.UTF-8"},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
                    (os.POSIX_SPAWN_DUP2, self.memory, 4),
                    *[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(2)],
                ],
                setsid=True,
            )

    def tell(self, what: str) -> None:
        """Without an answer; also while another thread waits for one."""
        with suppress(OSError):
            self._socket.send(json.dumps({"do": what}).encode())

    def ask(self, what: str, deadline: float = SOON, *, connection: int = -1, **request: Any) -> Any:
        """`connection`: a descriptor that goes along. `deadline`: seconds between two signs of life, which whatever
        takes long gives. Raises what the process says, and ShareUnavailable where it says nothing: then it is not fit
        any more."""
        fit, self.fit = self.fit, False
        if not fit:
            raise died()
        try:
            self._socket.settimeout(deadline)
            data = json.dumps({"do": what, **request}).encode()
            socket.send_fds(self._socket, [data], [connection] if connection >= 0 else [])
            while (text := self._socket.recv(LARGEST_ANSWER)) == ALIVE:
                pass
        except TimeoutError as late:
            raise stalled(self.share) from late
        except OSError as broken:
            raise died() from broken
        if not text:
            raise died()
        self.fit = True
        answer = json.loads(text)
        if "error" in answer:
            said = answer["error"]
            kind: type[WinslowError] = getattr(errors, said["kind"], WinslowError)
            raise kind(said["message"], hint=said["hint"], code=said["code"])
        if "errno" in answer:
            failed = OSError(answer["errno"], answer["text"])
            raise condition(failed) or ShareUnavailable(
                f"The share says: {answer['text']}; nothing was changed.",
                hint="Look at owner and mode of the folder it was about.",
                code="share.denied",
            )
        return answer["answer"]

    def abandon(self) -> None:
        """Kill it and wait for nothing."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.let_go()

    def let_go(self) -> None:
        """It ends by itself; what it holds open of an upload stays as it is."""
        self._socket.close()
        for view in self.buffers:
            view.release()
        with suppress(BufferError):
            self._map.close()
        os.close(self.memory)

    def gone(self) -> bool:
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True


class Porters:
    """`at_once`: uploads of this process that may be written at the same time, each with a process of its own.
    `establish`: makes the share Winslow's own, if nobody has used it before; called before anything is written."""

    def __init__(
        self,
        share: Path,
        *,
        establish: Callable[[], object] = lambda: None,
        at_once: int = 32,
        stuck_at_most: int = 8,
    ) -> None:
        self.share = share
        self._establish = establish
        self._at_once = at_once
        self._stuck_at_most = stuck_at_most
        self._lock = threading.Lock()
        self._idle: list[Porter] = []
        self._left: list[Porter] = []  # told to end, not yet gone
        self._long = 0

    def ask(self, what: str, deadline: float = SOON, **request: Any) -> Any:
        with self.lent() as porter:
            return porter.ask(what, deadline, **request)

    @contextmanager
    def lent(self) -> Iterator[Porter]:
        porter = self.take()
        try:
            yield porter
        finally:
            self.give_back(porter)

    def take(self, *, long: bool = False) -> Porter:
        """Raises ShareUnavailable where the share hangs, TooMany where all that may be `long` are."""
        with self._lock:
            self._bury()
            if len(self._left) >= self._stuck_at_most:
                raise stalled(self.share)
            if long and self._long >= self._at_once:
                raise errors.TooMany(
                    f"{self._at_once} files are being written at this moment; nothing was begun.",
                    hint="It is tried again.",
                    retry_after=2.0,
                    code="upload.many",
                )
            self._long += long
            porter = self._idle.pop() if self._idle else None
        try:
            if porter is None:
                self._establish()
            return porter or Porter(self.share)
        except BaseException:
            with self._lock:
                self._long -= long
            raise

    def give_back(self, porter: Porter, *, long: bool = False) -> None:
        with self._lock:
            self._long -= long
            if porter.fit and len(self._idle) < KEPT_IDLE:
                self._idle.append(porter)
                return
            self._left.append(porter)
        if porter.fit:
            porter.let_go()
        else:
            porter.abandon()

    def close(self) -> None:
        """Let all go; waits for none of them."""
        with self._lock:
            for porter in self._idle:
                porter.let_go()
            self._left += self._idle
            self._idle.clear()
            self._bury()

    def _bury(self) -> None:
        self._left = [p for p in self._left if not p.gone()]


def stalled(share: Path) -> ShareUnavailable:
    return ShareUnavailable(
        f"The share {share} does not answer; perhaps nothing was changed.",
        hint="Look at its server and the network, then look at the folder.",
        code="share.stalled",
    )


def died() -> ShareUnavailable:
    return ShareUnavailable(
        "The process that writes to the share was killed; perhaps nothing was changed.",
        hint="Look at the folder, then try again.",
        code="share.unavailable",
    )
