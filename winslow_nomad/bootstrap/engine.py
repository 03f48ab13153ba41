"""What runs in a process that moves projects: `winslow run`, `winslow up`, and the single-purpose ones.

In one process: the controller and a worker as threads. Copying, deleting and mirroring are in a process
of their own, because what has written to a share that hangs can neither end nor start children."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from winslow_nomad.bootstrap import files
from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.logs import write_logs
from winslow_nomad.bootstrap.notices import telling
from winslow_nomad.bootstrap.owners import owner
from winslow_nomad.bootstrap.watching import Watching
from winslow_nomad.config import Settings
from winslow_nomad.core import messages as m
from winslow_nomad.core.errors import Unavailable, WinslowError
from winslow_nomad.events.advance import Sealing
from winslow_nomad.events.controller import Chore, Controller
from winslow_nomad.events.each import each
from winslow_nomad.events.jumps import Jumps
from winslow_nomad.store.queue import WorkerThread, answer_with

log = logging.getLogger(__name__)
PR_SET_PDEATHSIG = 1
NOBODY = "nobody"  # no project has this id


class Engine:
    """Controller and worker threads over one installation, and the process for files."""

    def __init__(self, installation: Installation, for_files: Files) -> None:
        self.installation = installation
        self.client = LocalClient(installation)
        self._stopping = threading.Event()
        self._files = for_files
        self._sealing = sealing(installation)
        answer_with(installation.advance)
        self._worker = WorkerThread(installation.worker_client(), worker_queue(installation))
        self._threads = [
            threading.Thread(target=controller(installation).run, args=(self._stopping,), name="controller"),
            threading.Thread(target=for_files.watch, args=(self._stopping,), name="files"),
            threading.Thread(target=Watching(installation, owner()).run, args=(self._stopping,), name="watch"),
            threading.Thread(target=telling(installation, owner()).run, args=(self._stopping,), name="notices"),
        ]

    def start(self) -> None:
        self._sealing.start()
        self._worker.start()
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(Unavailable):
            self.installation.store.ring(NOBODY)  # wakes the worker, which waits for a bell
        self._worker.stop()
        self._sealing.stop()
        for thread in self._threads:
            thread.join(timeout=5)
        self._files.stop()
        self.client.close()


@contextlib.contextmanager
def open_engine(settings: Settings) -> Iterator[Engine]:
    """Call from the main thread, before other threads exist: the process for files is forked here."""
    for_files = Files(settings)
    for_files.start()
    installation = Installation(settings)
    try:
        installation.state  # noqa: B018 - what is wrong with the home is said before what follows from it
        engine = Engine(installation, for_files)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop()
    finally:
        for_files.stop()
        installation.close()


def sealing(installation: Installation) -> Sealing:
    installation.advance.sealing = Sealing(installation.advance.seal)
    return installation.advance.sealing


def worker_queue(installation: Installation) -> str:
    return f"{installation.keys.prefix}-advance"


def controller(installation: Installation) -> Controller:
    """Its chores: what has to be looked at again and again, each with how often."""
    store, sender, clock = installation.store, installation.sender, installation.clock

    jumped = Jumps(clock, time.monotonic)

    def fire_timers(epoch: int) -> None:
        """What is due; when the clock was set, all, since delays may have become hours."""
        projects = store.timers() if jumped() else store.due(clock.now())
        each("timer", projects, lambda project: sender.facts(project, [m.TimerFired(epoch=epoch)]))

    def ring_again(_: int) -> None:
        store.ring_again(clock.now())

    chores = [
        Chore("timers", 0.2, fire_timers),
        Chore("doorbells", 0.5, ring_again),
        Chore("admission", 1.0, lambda _: installation.admission.run(installation.advance.perform)),
        Chore("sweep", installation.settings.sweep_seconds, installation.sweep),
    ]
    return Controller(installation.lease(owner()), installation.drivers, sender.facts, chores, time.monotonic)


class Files:
    """The process that writes to the share at length. First forked, so that it shares memory with this
    one; started anew as a program when it ends before its time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pid = 0

    def start(self) -> None:
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid:
            return
        code = 1
        try:
            os.setpgid(0, 0)  # Ctrl-C at the terminal is for the parent, which ends this one in its own time
            follow_parent(parent)
            run_files(self._settings)
            code = 0
        except WinslowError as error:
            log.info("the process for files ends: %s", error)  # the parent meets the same, or starts it again
        except BaseException:
            log.exception("the process for files failed")
        finally:
            os._exit(code)

    def watch(self, stopping: threading.Event) -> None:
        pause = 0.2
        while not stopping.wait(pause):
            if self._ended():
                log.warning("the process for files has ended; starting it again")
                pause = min(pause * 2, 5.0)
                try:
                    self._pid = self._spawn()
                except OSError as error:  # too many processes, no memory: for now
                    log.warning("the process for files cannot be started: %s", error)

    def _spawn(self) -> int:
        argv = [sys.executable, "-m", "winslow_nomad.worker", "files", str(os.getpid())]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, process_group=0).pid

    def _ended(self) -> bool:
        try:
            return os.waitpid(self._pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    def stop(self) -> None:
        """Asks it to end, and does not wait for a share that hangs."""
        if not self._pid:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        deadline = time.monotonic() + 3
        while not self._ended() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._pid = 0


def follow_parent(parent: int) -> None:
    """End when the parent ends, however it does."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def until_told() -> threading.Event:
    """Set by SIGTERM or SIGINT; the second one ends at once. A signal may find the main thread anywhere, also with
    the event's own lock in its hands: so the handler only writes to a pipe, and a thread sets the event."""
    stopping = threading.Event()
    reading, writing = os.pipe()
    owner = os.getpid()
    before: list[int] = []

    def told(signum: int, frame: object) -> None:  # noqa: ARG001
        if before or os.getpid() != owner:  # in a fork, which has no such thread
            os._exit(128 + signum)
        before.append(signum)
        os.write(writing, b".")

    def pass_on() -> None:
        os.read(reading, 1)
        stopping.set()

    threading.Thread(target=pass_on, name="told", daemon=True).start()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, told)
    return stopping


def run_files(settings: Settings) -> None:
    """Operations and the mirror, until told to end."""
    stopping = until_told()
    installation = Installation(settings)
    try:
        files.run(installation, stopping, owner())
    finally:
        installation.close()


def run_operations(settings: Settings) -> None:
    """As a program of its own."""
    write_logs(logging.INFO)
    run_files(settings)


def run_controller(settings: Settings) -> None:
    write_logs(logging.INFO)
    stopping = until_told()
    installation = Installation(settings)
    try:
        installation.state  # noqa: B018 - as above
        beside = [
            threading.Thread(target=work, args=(stopping,), name=name, daemon=True)
            for name, work in (
                ("watch", Watching(installation, owner()).run),
                ("notices", telling(installation, owner()).run),
            )
        ]
        for thread in beside:
            thread.start()
        controller(installation).run(stopping)
        for thread in beside:
            thread.join(timeout=5)
    finally:
        installation.close()


def run_worker(settings: Settings) -> None:
    """Answers doorbells; restarted whenever RQ gives up, whatever its reason."""
    write_logs(logging.INFO)
    stopping = until_told()
    installation = Installation(settings)
    try:
        installation.state  # noqa: B018 - as above
        aside = sealing(installation)
        answer_with(installation.advance)
        worker = WorkerThread(installation.worker_client(), worker_queue(installation))
        aside.start()
        worker.start()
        stopping.wait()
        worker.stop()
        aside.stop()
    finally:
        installation.close()
