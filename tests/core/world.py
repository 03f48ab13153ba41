"""An outside for `decide`, in memory: claims, end records, and a post that delays, repeats and reorders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.core.invariants import check
from winslow_nomad.core import messages as m
from winslow_nomad.core.decide import decide
from winslow_nomad.core.effects import Effect, Notify, PrepareWorkspace, SealStage, StopAttempt, SubmitAttempt, WakeAt
from winslow_nomad.core.errors import WinslowError
from winslow_nomad.core.line import startable
from winslow_nomad.core.outstanding import outstanding
from winslow_nomad.core.pipeline import Pipeline, StageDefinition
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import AttemptState, Cause, EndedStage, Outcome, Stage

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
Key = tuple[int, int]


def pipeline(*stages: StageDefinition | dict[str, Any], **fields: Any) -> Pipeline:
    made = [s if isinstance(s, StageDefinition) else StageDefinition.model_validate(s) for s in stages]
    return Pipeline(name="test", stages=tuple(made), **fields)


def chain(*ids: str) -> Pipeline:
    before = (None, *ids[:-1])
    return pipeline(*({"id": i, "needs": (b,) if b else ()} for i, b in zip(ids, before, strict=True)))


class World:
    """Performs effects as an honest outside does: at most one claim for an attempt, the first end counts."""

    def __init__(self, made: Pipeline, **fields: Any) -> None:
        self.now = START
        self.project: Project = None  # type: ignore[assignment]
        self.claims: dict[Key, str] = {}  # "runner" or "cancelled"
        self.ends: dict[Key, Outcome] = {}
        self.prepared: set[Key] = set()
        self.sealed: dict[int, Stage] = {}
        self.seen_ended: dict[int, EndedStage] = {}
        self.post: list[m.AnyFact] = []
        self.delivered: list[m.AnyFact] = []
        self.entries: list[m.Entry] = []
        self.notices: list[Notify] = []
        create = m.CreateProject(project="p1", name="test", pipeline=made, actor="ada", **fields)
        self._apply(create)

    def _apply(self, message: m.Message) -> bool:
        decision = decide(self.project, message, self.now)
        if not decision.changed:
            assert decision.project == self.project
        self.project = decision.project
        self.entries += decision.facts
        self.notices += [e for e in decision.effects if isinstance(e, Notify)]
        check(self.project, self.now)
        for number, ended in self.project.ended.items():
            assert self.seen_ended.setdefault(number, ended) == ended, "an ended stage never changes"
        assert set(self.seen_ended) == set(self.project.ended), "an ended stage is never lost"
        return decision.changed

    def send(self, command: m.AnyCommand) -> Project:
        self._apply(command)
        return self.project

    def try_send(self, command: m.AnyCommand) -> WinslowError | None:
        """A refused command leaves no trace."""
        before = self.project
        try:
            self._apply(command)
        except WinslowError as error:
            assert self.project is before
            return error
        return None

    def fact(self, fact: m.AnyFact) -> None:
        """Facts never raise, and the same fact again changes nothing."""
        self._apply(fact)
        self.delivered.append(fact)
        if not isinstance(fact, m.StopSent | m.EffectParked | m.HeldBack | m.BecameImpossible):
            assert not self._apply(fact), f"{fact.kind} twice made a difference"

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # what the outside does

    def admit(self, index: int = 0) -> bool:
        may = startable(self.project, self.now)
        if not may:
            return False
        self.fact(m.Admitted(stage=may[index % len(may)].number))
        return True

    def effects(self) -> list[Effect]:
        return [e for e in outstanding(self.project) if not isinstance(e, WakeAt)]

    def perform(self, effect: Effect) -> None:
        """Puts the facts that follow into the post."""
        match effect:
            case PrepareWorkspace(stage=s, attempt=a):
                self.prepared.add((s, a))
                self.post.append(m.WorkspaceReady(stage=s, attempt=a))
            case SubmitAttempt(stage=s, attempt=a):
                assert (s, a) in self.prepared, "nothing is submitted before its workspace is there"
                self.post.append(m.AttemptAccepted(stage=s, attempt=a, driver="test"))
                self.start((s, a))
            case StopAttempt(stage=s, attempt=a, how=how):
                if (s, a) in self.ends:
                    self.post.append(m.AttemptEnded(stage=s, attempt=a, outcome=self.ends[s, a]))
                elif self.claims.setdefault((s, a), "cancelled") == "cancelled":
                    self.end((s, a), Outcome(cause=Cause.CANCELLED))
                else:
                    self.post.append(m.StopSent(stage=s, attempt=a, how=how))
                    if how != "withdraw":
                        self.end((s, a), Outcome(cause=Cause.STOPPED, code=143, started=self.now))
            case SealStage(stage=s):
                record = self.project.sealing[s]
                assert self.sealed.setdefault(s, record) == record, "a sealed record never changes"
                self.post.append(m.StageSealed(stage=s))

    def start(self, key: Key) -> None:
        if self.claims.setdefault(key, "runner") == "runner" and key not in self.ends:
            self.post.append(m.AttemptStarted(stage=key[0], attempt=key[1], node="n1", started=self.now))

    def end(self, key: Key, outcome: Outcome) -> None:
        """The first end counts; every report says what counts."""
        settled = self.ends.setdefault(key, outcome)
        self.post.append(m.AttemptEnded(stage=key[0], attempt=key[1], outcome=settled))

    def running(self) -> list[Key]:
        return [k for k, who in self.claims.items() if who == "runner" and k not in self.ends]

    def deliver(self, index: int = 0, again: bool = False) -> bool:
        if not self.post:
            return False
        fact = self.post[index % len(self.post)] if again else self.post.pop(index % len(self.post))
        self.fact(fact)
        return True

    def sweep(self) -> None:
        """List everything, send what is so now."""
        for stage in list(self.project.stages.values()):
            attempt = stage.attempt
            if attempt is None or attempt.state is AttemptState.ENDED:
                continue
            key = (stage.number, attempt.number)
            if key in self.ends:
                self.fact(m.AttemptEnded(stage=key[0], attempt=key[1], outcome=self.ends[key]))
            elif self.claims.get(key) == "runner":
                self.fact(m.AttemptStarted(stage=key[0], attempt=key[1], node="n1", started=self.now))
        self.fact(m.TimerFired())

    def settle(self, outcome: Outcome | None = None, rounds: int = 2000) -> Project:
        """Let everything happen that happens by itself, each attempt ending as `outcome` (success)."""
        for _ in range(rounds):
            if self.deliver() or self.admit():
                continue
            effects = self.effects()
            if effects:
                for effect in effects:
                    self.perform(effect)
                continue
            running = self.running()
            if running:
                success = Outcome(cause=Cause.EXIT, code=0, started=self.now, ended=self.now)
                self.end(running[0], outcome or success)
                continue
            late = [s.retry_at for s in self.project.stages.values() if s.retry_at is not None]
            if late and self.project.pause is None:
                self.now = max(self.now, min(late))
                self.fact(m.TimerFired())
                continue
            return self.project
        raise AssertionError("it does not come to rest")
