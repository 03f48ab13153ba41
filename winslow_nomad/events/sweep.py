"""The periodic look at everything: it gives truth where the reports of drivers give speed.

Lists every open project, asks its driver about each attempt and the book about each operation, and sends
the facts that were missed, through the same path as all others. Must never decide anything itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from winslow_nomad.core import messages as m
from winslow_nomad.core.admit import never
from winslow_nomad.core.effects import SubmitAttempt
from winslow_nomad.core.errors import DriverUnavailable, ShareUnavailable, WinslowError
from winslow_nomad.core.inventory import Inventory
from winslow_nomad.core.ledger import Ledger, as_waiting
from winslow_nomad.core.operations import Operations
from winslow_nomad.core.outstanding import of_stage
from winslow_nomad.core.ports import AttemptRef, Attempts, Driver, Observation, Store
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Attempt, AttemptState, Cause, Outcome, Stage
from winslow_nomad.events.admission import Limits, no_limits
from winslow_nomad.events.contact import Heartbeats
from winslow_nomad.events.each import each
from winslow_nomad.events.perform import ended, facts_of
from winslow_nomad.events.pinning import Pinning

log = logging.getLogger(__name__)
WITH_DRIVER = (AttemptState.INTENDED, AttemptState.SUBMITTED, AttemptState.RUNNING)


class Sweep:
    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        drivers: Mapping[str, Driver],
        attempts: Attempts,
        operations: Operations,
        heartbeats: Heartbeats,
        inventory: Callable[[str], Inventory],
        pinning: Pinning,
        send: Callable[[str, Sequence[m.AnyFact]], object],
        limits: Limits = no_limits,
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.drivers = drivers
        self.attempts = attempts
        self.operations = operations
        self.heartbeats = heartbeats
        self.inventory = inventory
        self.pinning = pinning
        self.send = send
        self.limits = limits
        self._behind: set[AttemptRef] = set()  # at the last look at everything, by what their driver counts
        self._behind_now: set[AttemptRef] = set()

    def __call__(self, epoch: int) -> None:
        self._behind, self._behind_now = self._behind_now, set()
        each("sweep", self.ledger.open_projects(), lambda project: self.of_project(project, epoch))

    def of_project(self, project_id: str, epoch: int) -> None:
        project = self.store.load(project_id)
        if project is None:
            return
        facts = [*self.of_attempts(project), *self.of_operations(project), *self.of_impossible(project)]
        if facts:
            self.send(project_id, [f.but(epoch=epoch) for f in facts])

    def of_attempts(self, project: Project) -> list[m.AnyFact]:
        """What its driver says now about every attempt that is with it."""
        open_stages = [s for s in project.stages.values() if is_with_driver(s)]
        driver = self.drivers.get(project.driver)
        if not open_stages or driver is None:
            return []
        facts: list[m.AnyFact] = []
        away: WinslowError | None = None
        for stage in open_stages:
            ref = AttemptRef(project=project.id, stage=stage.number, attempt=len(stage.attempts))
            try:
                facts += self.of_attempt(stage, driver.observe([ref])[0])
            except DriverUnavailable as error:
                away = error  # others have ended meanwhile, which needs no driver to be seen
            except ShareUnavailable as error:
                away = error
                break
        if away is not None:
            log.warning("sweep: %s", away)
        return facts

    def of_attempt(self, stage: Stage, seen: Observation) -> list[m.AnyFact]:
        attempt = stage.attempts[-1]
        lost = seen.phase in ("absent", "out_of_contact") and attempt.out_of_contact is not None
        if seen.phase == "absent" and attempt.state is not AttemptState.INTENDED:
            found = self.vanished(seen.ref)
            if not lost or any(isinstance(f, m.AttemptEnded) for f in found):
                return found
        if lost:
            return self.patience(stage, seen)
        facts = [f for f in facts_of(seen) if is_news(stage, f)]
        return [f.but(index=0) for f in facts] if self._counts_anew(seen, attempt) else facts

    def _counts_anew(self, seen: Observation, attempt: Attempt) -> bool:
        """Whether its driver counts lower than it did, at two looks in a row: what it says now is no late word then, it
        was restored from a backup."""
        if not 0 < seen.index < attempt.index:
            return False
        self._behind_now.add(seen.ref)
        return seen.ref in self._behind

    def vanished(self, ref: AttemptRef) -> list[m.AnyFact]:
        """The driver knows nothing of it. Only the claim can tell that nothing runs and nothing ever will."""
        try:
            outcome = self.attempts.cancel(ref)
        except ShareUnavailable:
            return []
        if outcome is not None:
            return [ended(ref, outcome)]
        text = "the driver no longer knows it, and its runner has not reported an end"
        return [m.AttemptOutOfContact(stage=ref.stage, attempt=ref.attempt, text=text)]

    def patience(self, stage: Stage, seen: Observation) -> list[m.AnyFact]:
        """Out of contact for too long and no heartbeat: its end is published; who wins that goes on."""
        if not self.heartbeats.stale(seen.ref, stage.definition.patience):
            return []
        outcome = Outcome(cause=Cause.SUPERSEDED, message="its node did not come back in time")
        try:
            settled = self.attempts.publish_end(seen.ref, outcome)
            self.attempts.control(seen.ref, "superseded")
        except ShareUnavailable:
            return []
        self.heartbeats.forget(seen.ref)
        return [ended(seen.ref, settled)]

    def of_operations(self, project: Project) -> list[m.AnyFact]:
        """Copies whose end was not reported, or whose record is gone."""
        facts: list[m.AnyFact] = []
        for stage in project.stages.values():
            if stage.operation is None:
                continue
            operation = self.operations.get(stage.operation)
            where = {"stage": stage.number, "attempt": len(stage.attempts)}
            if operation is None or operation.state in ("failed", "cancelled"):
                text = operation.text if operation is not None else "the copy's record is gone; it is made anew"
                gone = operation is not None and operation.code == "workspace.source_gone"
                facts.append(m.WorkspaceFailed(**where, text=text, for_ever=gone))
            elif operation.state == "done":
                facts.append(m.WorkspaceReady(**where))
        return facts

    def of_impossible(self, project: Project) -> list[m.AnyFact]:
        """A node may have joined that fits, an image have come, or a limit been raised."""
        pause = project.pause
        stage = project.stages.get(pause.stage) if pause is not None and pause.kind == "impossible" else None
        if pause is None or pause.kind != "impossible":
            return []
        if stage is None:
            return [m.BecamePossible(stage=pause.stage)]
        if pause.code.startswith("image.") and not self.pinning.possible(project, stage.number):
            return []
        waiting = as_waiting(project, stage)
        text = never(waiting, self.inventory(project.driver), self.limits([waiting.actor]))
        return [m.BecamePossible(stage=stage.number)] if text is None else []


def is_with_driver(stage: Stage) -> bool:
    """Whether its driver may know more of it than we do. What is still to be submitted is asked for by who submits it:
    with hundreds in line, a driver would be asked for each of them at every sweep, and has never heard of it."""
    if stage.attempt is None or stage.attempt.state not in WITH_DRIVER:
        return False
    return not any(isinstance(effect, SubmitAttempt) for effect in of_stage(stage))


def is_news(stage: Stage, fact: m.AnyFact) -> bool:
    """Spares a commit where the project knows already; decide would ignore it too."""
    attempt = stage.attempts[-1]
    if isinstance(fact, m.AttemptStarted):
        return attempt.state is not AttemptState.RUNNING
    if isinstance(fact, m.AttemptInContact):
        return attempt.out_of_contact is not None
    if isinstance(fact, m.AttemptWaits):
        return stage.reason != fact.reason
    return True
