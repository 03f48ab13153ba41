"""Attempt directories in memory, with the two rules that everything rests on: whoever claims first may
run, and the first end counts. For tests and scale experiments; the files themselves are not imitated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Literal

from winslow_nomad.core.ports import AttemptRef, AttemptSpec, Heartbeat, Spool
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Cause, Outcome

Word = Literal["run", "terminate", "kill", "superseded"]
_BEAT = 10.0  # seconds


class MemoryAttempts:
    """Implements core.ports.Attempts. `seconds`: the virtual time. The simulated runners use `claim` and
    `alive`; `on_word` is called when a word was written that they have to obey."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._claims: dict[AttemptRef, str] = {}
        self._words: dict[AttemptRef, Word] = {}
        self.ends: dict[AttemptRef, Outcome] = {}
        self._beating: dict[AttemptRef, tuple[float, float | None]] = {}
        self.sealed: set[tuple[str, int]] = set()
        self.on_word: Callable[[AttemptRef], None] | None = None

    def prepare(self, project: Project, stage: int, attempt: int) -> str | None:  # noqa: ARG002
        """Always ready at once."""
        return None

    def image(self, project: Project, stage: int) -> str:
        found = project.stages[stage]
        return found.definition.image if found.overrides.image is None else found.overrides.image

    def spec(self, project: Project, stage: int, attempt: int) -> AttemptSpec:
        found = project.stages[stage]
        definition, overrides = found.definition, found.overrides
        directory = f"projects/{project.id}/stages/{found.name}/attempts/{attempt}"
        spec = AttemptSpec(
            ref=AttemptRef(project=project.id, stage=stage, attempt=attempt),
            stage_id=definition.id,
            directory=directory,
            workspace=f"{directory}/workspace",
            image=self.image(project, stage),
            entrypoint=definition.entrypoint if overrides.entrypoint is None else overrides.entrypoint,
            command=definition.command if overrides.command is None else overrides.command,
            resources=overrides.resources or definition.resources,
            placement=definition.placement,
            timeout=overrides.timeout if overrides.timeout is not None else definition.timeout,
            stop_grace=definition.stop_grace,
            heartbeat=definition.heartbeat,
            run_as=definition.run_as,
            priority=project.priority,
            pipeline_folder=None,
            stages={},
            previous_node="",
            avoid=(),
            installation="simulated",
            fingerprint="",
        )
        return spec.but(fingerprint=hashlib.sha256(spec.model_dump_json().encode()).hexdigest())

    def cancel(self, ref: AttemptRef, outcome: Outcome | None = None) -> Outcome | None:
        if ref in self.ends:
            return self.ends[ref]
        if self._claims.setdefault(ref, "cancelled") != "cancelled":
            return None
        return self.publish_end(ref, outcome or Outcome(cause=Cause.CANCELLED))

    def claim_of(self, ref: AttemptRef) -> bytes | None:
        holder = self._claims.get(ref)
        if holder is None:
            return None
        return json.dumps({"kind": "cancelled" if holder == "cancelled" else "runner", "owner": holder}).encode()

    def claim(self, ref: AttemptRef, token: str) -> bool:
        """A runner's try. False: it must not run anything."""
        won = self._claims.setdefault(ref, token) == token
        if won:
            self._beating.setdefault(ref, (self._seconds(), None))
        return won

    def control(self, ref: AttemptRef, word: Word) -> None:
        self._words[ref] = word
        if self.on_word is not None:
            self.on_word(ref)

    def word(self, ref: AttemptRef) -> Word:
        return self._words.get(ref, "run")

    def end(self, ref: AttemptRef) -> Outcome | None:
        return self.ends.get(ref)

    def publish_end(self, ref: AttemptRef, outcome: Outcome) -> Outcome:
        return self.ends.setdefault(ref, outcome)

    def complete_log(self, ref: AttemptRef, spool: Spool) -> bool:  # noqa: ARG002
        """There are no logs here."""
        return False

    def heartbeat(self, ref: AttemptRef) -> Heartbeat | None:
        if ref not in self._beating:
            return None
        began, silent = self._beating[ref]
        last = self._seconds() if silent is None else silent
        return Heartbeat(counter=1 + int((last - began) / _BEAT))

    def silence(self, ref: AttemptRef) -> None:
        """The runner's heart stands still from now on."""
        if ref in self._beating and self._beating[ref][1] is None:
            self._beating[ref] = (self._beating[ref][0], self._seconds())

    def seal(self, project: Project, stage: int) -> None:
        self.sealed.add((project.id, stage))
