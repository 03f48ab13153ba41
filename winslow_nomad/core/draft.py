"""The working copy inside one decision: collects changes to a project and says what happened. Never
leaves `decide`; every state change of a stage goes through `move`, which holds the transition tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from winslow_nomad.core.effects import Notify
from winslow_nomad.core.messages import Entry
from winslow_nomad.core.project import Failure, Gate, Pause, Project, Sweep
from winslow_nomad.core.stage import (
    ATTEMPT_TRANSITIONS,
    TRANSITIONS,
    Attempt,
    AttemptState,
    EndedStage,
    Stage,
    StageState,
)


class Draft:
    def __init__(self, project: Project, now: datetime, actor: str = "") -> None:
        self.before = project
        self.project = project
        self.now = now
        self.actor = actor
        self.entries: list[Entry] = []
        self.notices: list[Notify] = []

    @property
    def changed(self) -> bool:
        return self.project is not self.before

    def set(self, **changes: Any) -> None:
        self.project = self.project.but(**changes)

    def note(self, what: str, stage: Stage | EndedStage | None = None, text: str = "", **data: Any) -> None:
        number = stage.number if stage else 0
        name = "" if stage is None else stage.definition.id if isinstance(stage, Stage) else stage.id
        attempt = stage.attempt.number if isinstance(stage, Stage) and stage.attempt else 0
        self.entries.append(Entry(what=what, stage=number, id=name, attempt=attempt, text=text, data=data))

    def put(self, stage: Stage) -> Stage:
        self.set(stages={**self.project.stages, stage.number: stage})
        return stage

    def drop(self, stage: Stage) -> None:
        self.set(stages={n: s for n, s in self.project.stages.items() if n != stage.number})

    def put_sweep(self, sweep: Sweep) -> Sweep:
        self.set(sweeps={**self.project.sweeps, sweep.number: sweep})
        return sweep

    def move(self, stage: Stage, state: StageState, **changes: Any) -> Stage:
        """A stage in its next state; the table decides whether that may be."""
        if state not in TRANSITIONS[stage.state]:
            raise AssertionError(f"no transition {stage.state} -> {state} of stage {stage.number}")
        return self.put(stage.but(state=state, **changes))

    def move_attempt(self, stage: Stage, state: AttemptState, **changes: Any) -> Stage:
        attempt = stage.attempts[-1]
        if state not in ATTEMPT_TRANSITIONS[attempt.state]:
            raise AssertionError(f"no transition {attempt.state} -> {state} of attempt {stage.number}/{attempt.number}")
        return self.put(with_attempt(stage, attempt.but(state=state, **changes)))

    def open_gate(self, gate: Gate, stage: Stage | None) -> None:
        self.set(gates=(*self.project.gates, gate), next_gate=self.project.next_gate + 1)
        self.note("gate_opened", stage, gate.question, gate=gate.id, gate_kind=gate.kind)
        self.notices.append(Notify(what="gate", text=gate.question, stage=gate.stage))

    def close_gates(self, *, stage: int = 0, sweep: int = 0, gate: str = "") -> None:
        def meant(g: Gate) -> bool:
            return bool((stage and g.stage == stage) or (sweep and g.sweep == sweep) or (gate and g.id == gate))

        if any(meant(g) for g in self.project.gates):
            self.set(gates=tuple(g for g in self.project.gates if not meant(g)))

    def pause(self, kind: Any, text: str, stage: int = 0, code: str = "") -> None:
        """The first reason stays, unless a person's own pause replaces it."""
        if self.project.pause is not None and kind != "person":
            return
        self.set(pause=Pause(kind=kind, text=text, actor=self.actor, stage=stage, since=self.now, code=code))
        self.note("paused", self.project.stages.get(stage), text, pause_kind=kind)

    def unpause(self) -> None:
        if self.project.pause is not None:
            self.set(pause=None, failures=tuple(f.but(acknowledged=True) for f in self.project.failures))
            self.note("resumed")
        for stage in self.project.stages.values():
            if stage.held:
                self.put(stage.but(held=False, reason=None))

    def fail(self, stage: int, definition: str, cause: str, message: str) -> None:
        failure = Failure(stage=stage, id=definition, cause=cause, message=message, since=self.now)
        self.set(failures=(*self.project.failures, failure))
        self.notices.append(Notify(what="failure", text=message, stage=stage))


def with_attempt(stage: Stage, attempt: Attempt) -> Stage:
    return stage.but(attempts=(*stage.attempts[:-1], attempt))
