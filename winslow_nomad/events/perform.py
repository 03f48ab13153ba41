"""Carries out one effect and answers with the facts that follow. Everything here may be done twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from winslow_nomad.core import messages as m
from winslow_nomad.core.draft import with_attempt
from winslow_nomad.core.effects import Effect, PrepareWorkspace, SealStage, StopAttempt, SubmitAttempt
from winslow_nomad.core.errors import (
    DriverRejected,
    DriverUnavailable,
    ImageRefused,
    Invalid,
    NotFound,
    Refused,
    RegistryUnavailable,
    ShareUnavailable,
)
from winslow_nomad.core.images import Image
from winslow_nomad.core.operations import Operations
from winslow_nomad.core.ports import AttemptRef, Attempts, Driver, Observation
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Outcome, Reason
from winslow_nomad.events.pinning import Pinning

REGISTRY = "registry "  # how the name of one begins that an effect waits for


class Parked(Exception):
    """An effect has to wait for `what` (a driver's name, or "share"); it stays outstanding."""

    def __init__(self, what: str, facts: Sequence[m.AnyFact]) -> None:
        super().__init__(what)
        self.what = what
        self.facts = list(facts)


@dataclass(frozen=True)
class Performer:
    drivers: Mapping[str, Driver]
    attempts: Attempts
    operations: Operations
    pinning: Pinning

    def needs(self, project: Project, effect: Effect) -> tuple[str, ...]:
        """What the effect cannot do without."""
        if isinstance(effect, SubmitAttempt):
            return (project.driver, "share")
        if isinstance(effect, PrepareWorkspace):
            host = self.pinning.registry(project, effect.stage)
            return ("share", f"{REGISTRY}{host}") if host else ("share",)
        return ("share",) if isinstance(effect, SealStage) else ()

    def __call__(self, project: Project, effect: Effect) -> list[m.AnyFact]:
        """The facts that follow. Raises Parked when the outside cannot be reached."""
        try:
            match effect:
                case PrepareWorkspace():
                    return self.prepare(project, effect)
                case SubmitAttempt():
                    return self.submit(project, effect)
                case StopAttempt():
                    return self.stop(project, effect)
                case SealStage():
                    return self.seal(project, effect)
                case _:
                    return []
        except DriverUnavailable as error:
            raise Parked(project.driver, parked(effect, "driver_away", str(error))) from error
        except ShareUnavailable as error:
            raise Parked("share", parked(effect, "share", str(error))) from error

    def prepare(self, project: Project, effect: PrepareWorkspace) -> list[m.AnyFact]:
        """The image first: no workspace is copied for what cannot run."""
        where = {"stage": effect.stage, "attempt": effect.attempt}
        pinned: list[m.AnyFact] = []
        try:
            image = self.pinning(project, effect.stage)
            if image is not None:
                pinned.append(m.ImagePinned(**where, image=image))
                project = having(project, effect.stage, image)
            operation = self.attempts.prepare(project, effect.stage, effect.attempt)
        except ImageRefused as error:
            return [m.ImageUnusable(**where, code=error.code, text=str(error))]
        except RegistryUnavailable as error:
            what = f"{REGISTRY}{self.pinning.registry(project, effect.stage)}"
            raise Parked(what, parked(effect, "registry", str(error))) from error
        except (Refused, Invalid, NotFound) as error:
            return [m.WorkspaceFailed(**where, text=str(error), for_ever=True)]
        if operation is None:
            return [*pinned, m.WorkspaceReady(**where)]
        return [*pinned, m.WorkspaceBegun(**where, operation=operation)]

    def submit(self, project: Project, effect: SubmitAttempt) -> list[m.AnyFact]:
        try:
            spec = self.attempts.spec(project, effect.stage, effect.attempt)
            seen = self.drivers[project.driver].submit(spec)
        except (DriverRejected, Invalid, Refused, NotFound) as error:
            return [m.AttemptRejected(stage=effect.stage, attempt=effect.attempt, text=str(error))]
        accepted = m.AttemptAccepted(stage=effect.stage, attempt=effect.attempt, driver=project.driver)
        return [accepted, *facts_of(seen)]

    def stop(self, project: Project, effect: StopAttempt) -> list[m.AnyFact]:
        stage = project.stages[effect.stage]
        ref = AttemptRef(project=project.id, stage=effect.stage, attempt=effect.attempt)
        driver = self.drivers[project.driver]
        if stage.operation is not None:
            self.operations.cancel(stage.operation)
        try:
            outcome = self.attempts.cancel(ref)
            if outcome is not None:
                return [ended(ref, outcome)]
            if effect.how == "withdraw":
                return [m.StopSent(stage=effect.stage, attempt=effect.attempt, how="withdraw")]
            self.attempts.control(ref, effect.how)
        except ShareUnavailable:
            # The share is away, the signal's way need not be. The stop stays outstanding all the same.
            if effect.how != "withdraw":
                driver.stop(ref, effect.how)
            raise
        driver.stop(ref, effect.how)
        return [m.StopSent(stage=effect.stage, attempt=effect.attempt, how=effect.how)]

    def seal(self, project: Project, effect: SealStage) -> list[m.AnyFact]:
        stage = project.sealing[effect.stage]
        self.attempts.seal(project, effect.stage)
        for attempt in stage.attempts:
            self.drivers[project.driver].forget(
                AttemptRef(project=project.id, stage=stage.number, attempt=attempt.number)
            )
        return [m.StageSealed(stage=effect.stage)]


def having(project: Project, stage: int, image: Image) -> Project:
    """As it will be once what was found is committed."""
    found = project.stages[stage]
    changed = with_attempt(found, found.attempts[-1].but(image=image))
    return project.but(stages={**project.stages, stage: changed})


def parked(effect: Effect, kind: str, text: str) -> list[m.AnyFact]:
    if isinstance(effect, PrepareWorkspace | SubmitAttempt | StopAttempt):
        reason = Reason.model_validate({"kind": kind, "text": text})
        return [m.EffectParked(stage=effect.stage, attempt=effect.attempt, reason=reason)]
    return []


def ended(ref: AttemptRef, outcome: Outcome, index: int = 0, node: str = "") -> m.AttemptEnded:
    return m.AttemptEnded(stage=ref.stage, attempt=ref.attempt, index=index, outcome=outcome, node=node)


def facts_of(seen: Observation) -> list[m.AnyFact]:
    """What a driver's word means for the project. Absence means nothing by itself."""
    where = {"stage": seen.ref.stage, "attempt": seen.ref.attempt, "index": seen.index}
    match seen.phase:
        case "waiting" if seen.reason is not None:
            return [m.AttemptWaits(**where, reason=seen.reason)]
        case "running" if seen.started is not None:
            return [
                m.AttemptStarted(**where, node=seen.node, started=seen.started),
                m.AttemptInContact(**where),
            ]
        case "out_of_contact":
            return [m.AttemptOutOfContact(**where, text=seen.text or "out of contact")]
        case "ended" if seen.outcome is not None:
            started = seen.outcome.started
            begun = [m.AttemptStarted(**where, node=seen.node, started=started)] if started is not None else []
            return [*begun, ended(seen.ref, seen.outcome, seen.index, seen.node)]
        case _:
            return []
