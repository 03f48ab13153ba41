"""What has become of an attempt on this machine, told from its files and from /proc.

end.json comes first, then the claim, then the process that made it; never a guess. An end is published
here only where no runner is left that could: the runner is dead, its carrier is gone, and so is every
process of the command."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from winslow_nomad.core.ports import AttemptRef, Attempts, Clock, Observation
from winslow_nomad.core.stage import Cause, Outcome, Reason
from winslow_nomad.driver.claim import Claim, parse_claim
from winslow_nomad.driver.local.booking import Booking
from winslow_nomad.driver.local.files import Files
from winslow_nomad.driver.local.machine import Machine, Marks, Process, alive, carrying, end_all

Phase = Literal["waiting", "running", "ended", "out_of_contact"]
_LATER: dict[Phase, int] = {"waiting": 0, "running": 1, "out_of_contact": 1, "ended": 2}
_STEP = 1_000_000  # more than the revisions of a booking: a later phase has the higher index
ENDED_INDEX = _LATER["ended"] * _STEP

STARTING = Reason(kind="busy", text="is being started", ahead=0)
BY_WINSLOW = frozenset({Cause.SUPERSEDED, Cause.RUNNER_LOST, Cause.NODE_LOST})


class Judge:
    """`home` is the directory of this driver; it tells our processes from those of another installation."""

    def __init__(
        self,
        *,
        share: Path,
        home: Path,
        attempts: Attempts,
        machine: Machine,
        clock: Clock,
        files: Files,
    ) -> None:
        self._share, self._attempts, self._files = share, attempts, files
        self._machine, self._clock = machine, clock
        self.own_mark = f"WINSLOW_LOCAL_DRIVER={home}"

    def runner_of(self, booking: Booking) -> Process | None:
        """The runner that holds the claim, if it lives here. Once noted, the share is not asked again."""
        known = Process(booking.pid, booking.pid_start)
        if booking.pid and booking.boot_id == self._machine.boot_id:
            return known if alive(known) else None
        claim = self.claim(booking)
        here = claim is not None and claim.kind == "runner" and self._is_here(claim) and alive(process_of(claim))
        return process_of(claim) if claim is not None and here else None

    def noted(self, booking: Booking) -> Booking:
        """The booking with its runner's process, where that was not known yet."""
        runner = None if booking.pid else self.runner_of(booking)
        return booking if runner is None else booking.but(pid=runner.pid, pid_start=runner.start)

    def directory(self, booking: Booking) -> Path:
        return self._share / booking.spec.directory

    def claim(self, booking: Booking) -> Claim | None:
        return parse_claim(self._files.read(self.directory(booking) / "claim"))

    def runner_marks(self, ref: AttemptRef) -> Marks:
        """Carried by the runner and its carrier, not by the command."""
        return frozenset({f"WINSLOW_RUNNER={ref}", self.own_mark})

    def command_marks(self, ref: AttemptRef) -> Marks:
        return frozenset({f"WINSLOW_ATTEMPT={ref}", self.own_mark})

    def look(self, booking: Booking) -> Observation:
        """Raises OSError or ShareUnavailable when the attempt's files cannot be read."""
        outcome = self._attempts.end(booking.spec.ref)
        if outcome is not None:
            return self._ended(booking, outcome)
        claim = self.claim(booking)
        if claim is None or claim.kind == "unreadable":
            return self._observe(booking, "waiting", reason=self._waits(booking))
        if claim.kind == "cancelled":
            return self._ended(booking, Outcome(cause=Cause.CANCELLED))
        if claim.host != self._machine.host:
            text = f"runs on {claim.host}; only that machine can tell about it"
            return self._observe(booking, "out_of_contact", node=claim.host, text=text)
        if claim.boot_id != self._machine.boot_id:
            text = f"{claim.host} was started anew while it ran"
            return self._lost(booking, Cause.NODE_LOST, text)
        if alive(process_of(claim)):
            return self._observe(booking, "running", node=claim.host, started=claim.time)
        return self._without_runner(booking, claim)

    def is_free(self, booking: Booking) -> bool:
        """Is what it held free again? An end that Winslow published does not end the runner by itself."""
        observation = self.look(booking)
        outcome = observation.outcome
        if observation.phase != "ended" or outcome is None:
            return False
        return outcome.cause not in BY_WINSLOW or self.runner_of(booking) is None

    def never_claimed(self, booking: Booking) -> bool:
        """A launched attempt whose runner is gone before it claimed (or while it did)."""
        claim = self.claim(booking)
        if claim is not None and claim.kind != "unreadable":
            return False
        return booking.boot_id != self._machine.boot_id or not self._starting(booking)

    def give_up(self, booking: Booking, text: str) -> None:
        """For what `never_claimed` says and is not tried again: no process is left that could claim it."""
        self._lost(booking, Cause.RUNNER_LOST, text)

    def _waits(self, booking: Booking) -> Reason | None:
        return STARTING if booking.state == "launched" else booking.reason

    def _is_here(self, claim: Claim) -> bool:
        return (claim.host, claim.boot_id) == (self._machine.host, self._machine.boot_id)

    def _starting(self, booking: Booking) -> bool:
        return any(carrying(self.runner_marks(booking.spec.ref)))

    def _without_runner(self, booking: Booking, claim: Claim) -> Observation:
        if self._starting(booking):  # its carrier still brings log and end to the share
            text = "the end is being written"
            return self._observe(booking, "running", node=claim.host, started=claim.time, text=text)
        outcome = self._attempts.end(booking.spec.ref)  # published between the two looks
        if outcome is not None:
            return self._ended(booking, outcome)
        return self._lost(booking, Cause.RUNNER_LOST, "the runner was killed")

    def _lost(self, booking: Booking, cause: Cause, text: str) -> Observation:
        left = end_all(self.command_marks(booking.spec.ref), self.runner_marks(booking.spec.ref))
        if left:
            pids = ", ".join(str(p.pid) for p in left)
            stuck = f"{text}; processes that cannot be ended: {pids}"
            return self._observe(booking, "out_of_contact", node=self._machine.host, text=stuck)
        outcome = Outcome(cause=cause, message=text, ended=self._clock.now())
        return self._ended(booking, self._attempts.publish_end(booking.spec.ref, outcome))

    def _ended(self, booking: Booking, outcome: Outcome) -> Observation:
        node = "" if outcome.cause is Cause.CANCELLED else self._machine.host
        return self._observe(booking, "ended", node=node, started=outcome.started, outcome=outcome)

    def _observe(self, booking: Booking, phase: Phase, **more: object) -> Observation:
        values = {"ref": booking.spec.ref, "phase": phase, **more}
        return Observation.model_validate(values | {"index": _LATER[phase] * _STEP + booking.revision})


def process_of(claim: Claim) -> Process:
    """The runner that made it."""
    return Process(claim.pid, claim.pid_start)
