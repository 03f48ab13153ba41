"""The driver `local`: attempts as process trees of this machine.

Any number of processes may hold one over the same directory. What starts is decided under one lock; the
claim on the share stays the fence, so that a start that is repeated after a crash runs nothing twice.
It must never be the parent of a runner, and never end one otherwise than by asking the runner."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from winslow_nomad.core.admit import memory_of, possible, why_busy
from winslow_nomad.core.errors import DriverRejected, ShareUnavailable
from winslow_nomad.core.inventory import Inventory
from winslow_nomad.core.ports import AttemptRef, Attempts, AttemptSpec, Clock, Observation
from winslow_nomad.core.stage import Reason
from winslow_nomad.driver.local import confine, environment, machine
from winslow_nomad.driver.local.book import Book
from winslow_nomad.driver.local.booking import Booking, Plan, node_of, plan
from winslow_nomad.driver.local.files import Files, PlainFiles
from winslow_nomad.driver.local.follow import Follower
from winslow_nomad.driver.local.gpus import Cards, Nvml
from winslow_nomad.driver.local.judge import STARTING, Judge
from winslow_nomad.driver.local.launch import Launcher
from winslow_nomad.driver.local.machine import Machine

START_PATIENCE = 5.0  # seconds a runner may take to claim before it is looked for
LAUNCHES = 3


class LocalDriver:
    """share: the root that directories in specs are relative to. home: Winslow's own directory (store,
    secret key, and `local/` for this driver), on a local disk, hidden from stages. runner: the program. files:
    how those on the share are reached, which may hang."""

    name = "local"

    def __init__(
        self,
        *,
        share: Path,
        home: Path,
        attempts: Attempts,
        runner: Path,
        clock: Clock,
        machine: Machine,
        gpus: Callable[[], Cards] | None = None,
        launcher: Launcher | None = None,
        start_patience: float = START_PATIENCE,
        files: Files | None = None,
    ) -> None:
        self._share, self._home, self._runner = share, home, runner
        self._attempts, self._clock, self._machine = attempts, clock, machine
        self._gpus = gpus or Nvml()
        self._launcher = launcher or Launcher()
        self._patience = start_patience
        self._book = Book(home / "local")
        self._files = files or PlainFiles()
        self._judge = Judge(
            share=share, home=self._book.home, attempts=attempts, machine=machine, clock=clock, files=self._files
        )
        self.confines = confine.landlock_version() > 0

    def submit(self, spec: AttemptSpec) -> Observation:
        with _share_errors(), self._book.locked():
            known = self._book.get(spec.ref)
            if known is None:
                self._refuse_impossible(spec)
                self._start_what_fits(fresh=spec)
            elif known.spec.fingerprint != spec.fingerprint:
                raise DriverRejected(
                    f"Attempt {spec.ref} was submitted before with another specification; that one stays.",
                    hint="Start a new attempt.",
                )
        return self._observe(spec.ref)

    def stop(self, ref: AttemptRef, how: Literal["terminate", "kill"]) -> None:
        """The word in `control` is what counts; the signal makes the runner read it at once. What no
        runner has claimed is claimed here, so that it never starts."""
        booking = self._book.get(ref)
        if booking is None:
            return
        with _share_errors():
            runner = self._judge.runner_of(booking)
            if runner is None and self._attempts.cancel(ref) is None:
                runner = self._judge.runner_of(booking)
        if runner is None:
            self.pump()
        elif how == "terminate":
            machine.send(runner, signal.SIGTERM)

    def observe(self, refs: Iterable[AttemptRef]) -> list[Observation]:
        wanted = list(refs)
        self.pump()
        with _share_errors():
            return [self._observe(ref) for ref in wanted]

    def follow(self, report: Callable[[Observation], None], stopping: Callable[[], bool]) -> None:
        Follower(self._book, self._judge, self.pump, report).run(stopping)

    def inventory(self) -> Inventory:
        self.pump()
        node = node_of(self._book.all(), self._machine, self._gpus().found)
        return Inventory(driver=self.name, nodes=(node,), seen=self._clock.now())

    def forget(self, ref: AttemptRef) -> None:
        with _share_errors(), self._book.locked():
            booking = self._book.get(ref)
            if booking is not None:
                self._book.put(booking.but(forgotten=True))
                self._start_what_fits()

    def pump(self) -> None:
        """Free what has ended and start what fits now. Called by whoever learns of an end."""
        with self._book.locked():
            self._start_what_fits()

    # --- what happens under the lock

    def _refuse_impossible(self, spec: AttemptSpec) -> None:
        cards = self._gpus() if spec.resources.gpu else Cards()
        idle = Inventory(driver=self.name, nodes=(node_of((), self._machine, cards.found),), seen=self._clock.now())
        text = possible(spec.resources, spec.placement, idle)
        if text is not None and not cards.lost:  # a lost GPU may come back: then it waits
            raise DriverRejected(f"Attempt {spec.ref} cannot start here: {text}.", hint="Ask for less.")

    def _start_what_fits(self, fresh: AttemptSpec | None = None) -> None:
        bookings = self._book.all()
        if fresh is not None:
            sequence = max((b.sequence for b in bookings), default=0) + 1
            bookings += self._settled([Booking(spec=fresh, sequence=sequence)])
        if fresh is None or any(b.state == "waiting" for b in bookings[:-1]):
            bookings = list(self._settled(bookings))
        cards = self._cards(bookings)
        planned = plan(bookings, self._machine, cards.found)
        if fresh is not None and any(b.spec is fresh for b in planned.waits):
            bookings = list(self._settled(bookings))  # perhaps something has ended unseen
            planned = plan(bookings, self._machine, cards.found)
        started = {b.spec.ref: self._start(b, gpus) for b, gpus in planned.starts}
        self._explain(planned, [started.get(b.spec.ref, b) for b in bookings], cards, fresh)

    def _cards(self, bookings: Sequence[Booking]) -> Cards:
        """NVML is asked only when a GPU is to be given: that keeps a CPU stage's start quick."""
        wants = any(b.state == "waiting" and b.spec.resources.gpu for b in bookings)
        return self._gpus() if wants else Cards()

    def _settled(self, bookings: Iterable[Booking]) -> Iterator[Booking]:
        for booking in bookings:
            settled = booking
            with suppress(OSError, ShareUnavailable):  # cannot be told now: it keeps what it has
                settled = self._settle(booking)
            if settled.state == "ended" and settled.forgotten:
                self._book.remove(settled.spec.ref)
                continue
            if settled is not booking:
                self._book.put(settled)
            yield settled

    def _settle(self, booking: Booking) -> Booking:
        if booking.state == "ended":
            return booking
        if booking.state == "waiting":
            return self._claimed_while_waiting(booking)
        if self._judge.is_free(booking):
            return booking.but(state="ended", gpus=(), reason=None, revision=booking.revision + 1)
        if booking.state == "launched" and self._is_overdue(booking) and self._judge.never_claimed(booking):
            if booking.launches < LAUNCHES:
                return booking.but(state="waiting", gpus=(), revision=booking.revision + 1)
            self._judge.give_up(booking, f"the runner could not be started: {self._last_words(booking)}")
        return self._judge.noted(booking)

    def _claimed_while_waiting(self, booking: Booking) -> Booking:
        """Cancelled, or known from before its booking was lost: it must not be started again."""
        claim = self._judge.claim(booking)
        if claim is None:
            return booking
        here = claim.kind == "unreadable" or self._judge.runner_of(booking) is not None
        state = {"state": "launched", "boot_id": self._machine.boot_id} if here else {"state": "ended"}
        return booking.but(**state, revision=booking.revision + 1)

    def _is_overdue(self, booking: Booking) -> bool:
        return booking.boot_id != self._machine.boot_id or machine.uptime() - booking.launched > self._patience

    def _start(self, booking: Booking, gpus: tuple[str, ...]) -> Booking:
        """Written down before it is done: whoever comes after a crash repeats it, and the claim decides."""
        revision = booking.revision + 1
        try:
            self._end_earlier_attempts(booking.spec.ref)
            argv = self._prepare(booking, gpus)
            launched = booking.but(
                state="launched",
                gpus=gpus,
                boot_id=self._machine.boot_id,
                launched=machine.uptime(),
                launches=booking.launches + 1,
                reason=STARTING,
                revision=revision,
            )
            self._book.put(launched)
            self._launcher.launch(argv, self._runner_environment(booking.spec.ref), self._words(booking))
        except (OSError, ShareUnavailable) as error:
            reason = Reason(kind="share", text=f"cannot be started now: {error}")
            launched = booking.but(reason=reason, revision=revision + 1)
            self._book.put(launched)
        return launched

    def _prepare(self, booking: Booking, gpus: tuple[str, ...]) -> list[str]:
        spec, run = booking.spec, self._book.run_directory(booking.spec.ref)
        directory = self._judge.directory(booking)
        (run / "spool").mkdir(mode=0o700, parents=True, exist_ok=True)
        variables = environment.of_gpus(gpus)
        name, _, value = self._judge.own_mark.partition("=")
        variables |= {name: value, "WINSLOW_ATTEMPT": str(spec.ref)}
        argv = [str(self._runner), "--attempt", str(directory), "--spool", str(run / "spool")]
        argv += ["--owner", f"local@{self._machine.host}", "--workdir", str(self._share / spec.workspace)]
        argv += ["--grace", f"{spec.stop_grace:g}", "--memory", str(memory_of(spec.resources))]
        argv += ["--heartbeat", f"{spec.heartbeat:g}"]
        if spec.timeout is not None:
            argv += ["--timeout", f"{spec.timeout:g}"]
        if self._book.socket_usable:
            argv += ["--notify", str(self._book.socket)]
        path = directory / "environment"
        text = self._files.read(path)
        if text is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        written: list[Path] = []
        if self.confines:
            scratch = self._files.look(lambda: self._scratch(run))
            variables |= {"TMPDIR": str(scratch)} if scratch != Path("/tmp") else {}
            argv += ["--confine", str(run / "confine")]
            # a file can be opened by name under Landlock only when it is there
            written = [directory / name for name in ("results", "progress")]
        self._files.put(path, environment.with_variables(text, variables), written)
        if self.confines:
            (run / "confine").write_bytes(self._files.look(lambda: self._rules(spec, scratch, written)))
        return argv

    def _scratch(self, run: Path) -> Path:
        """/tmp; a directory of its own where /tmp holds what is hidden and so cannot be opened as a whole."""
        shared = Path("/tmp").resolve()
        if not any(path.resolve().is_relative_to(shared) for path in self._hidden()):
            return Path("/tmp")
        own = run / "tmp"
        own.mkdir(mode=0o700, exist_ok=True)
        return own

    def _hidden(self) -> list[Path]:
        return [self._home, *(self._share / name for name in ("projects", "uploads", "trash"))]

    def _rules(self, spec: AttemptSpec, scratch: Path, written: Sequence[Path]) -> bytes:
        directory = self._share / spec.directory
        readable = [self._share / "inputs", directory / "stages", *(self._share / d for d in spec.stages.values())]
        if spec.pipeline_folder is not None:
            readable.append(self._share / spec.pipeline_folder)
        writable = [self._share / spec.workspace, directory / "output", *written, scratch]
        return confine.rules(forbidden=self._hidden(), readable=readable, writable=writable)

    def _runner_environment(self, ref: AttemptRef) -> dict[str, str]:
        return dict(entry.split("=", 1) for entry in self._judge.runner_marks(ref))

    def _end_earlier_attempts(self, ref: AttemptRef) -> None:
        """Nothing of an attempt before this one may still work."""
        earlier = [ref.but(attempt=number) for number in range(1, ref.attempt)]
        marks = [m(r) for r in earlier for m in (self._judge.command_marks, self._judge.runner_marks)]
        left = machine.end_all(*marks) if marks else []
        if left:
            pids = ", ".join(str(p.pid) for p in left)
            raise OSError(f"processes of an earlier attempt cannot be ended: {pids}")

    def _explain(self, planned: Plan, bookings: Sequence[Booking], cards: Cards, fresh: AttemptSpec | None) -> None:
        """Write down why each of the others waits, where that has changed."""
        if not planned.waits:
            return
        node = node_of(bookings, self._machine, cards.found)
        now = Inventory(driver=self.name, nodes=(node,))
        stored = {b.spec.ref: b for b in bookings}
        for ahead, booking in enumerate(planned.waits):
            spec = booking.spec
            reason = why_busy(spec.resources, spec.placement, now, ahead)
            if cards.lost and spec.resources.gpu:
                text = f"{reason.text}; {cards.lost} of this machine's GPUs cannot be reached"
                reason = reason.but(text=text)
            before = stored[spec.ref]
            if reason != before.reason or booking.passed != before.passed or spec is fresh:
                self._book.put(booking.but(reason=reason, revision=booking.revision + 1))

    # --- small things

    def _observe(self, ref: AttemptRef) -> Observation:
        booking = self._book.get(ref)
        if booking is not None:
            return self._judge.look(booking)
        outcome = self._attempts.end(ref)
        if outcome is not None:
            return Observation(ref=ref, phase="ended", outcome=outcome, started=outcome.started)
        return Observation(ref=ref, phase="absent")

    def _words(self, booking: Booking) -> Path:
        return self._book.run_directory(booking.spec.ref) / "words"

    def _last_words(self, booking: Booking) -> str:
        try:
            lines = self._words(booking).read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it said nothing"


@contextmanager
def _share_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ShareUnavailable(
            f"The files of an attempt cannot be read or written: {error}.", hint="Nothing was lost."
        ) from error
