"""How states and reasons read on every screen: a word, and why or how it ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from winslow_nomad.core.line import why
from winslow_nomad.core.project import Project, ProjectState
from winslow_nomad.core.stage import ENDED, EndedStage, Stage

WAITS_FOR_PERSON = "waits for you"


def count(amount: int, thing: str) -> str:
    """`1 stage`, `5 stages`."""
    return f"{amount:,} {thing}{'' if amount == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Said:
    """look: which shape and colour (a state, or `waiting`, `failed`, `later`); word: the state as it reads;
    detail: why, or how it ended."""

    look: str
    word: str
    detail: str = ""

    @property
    def sentence(self) -> str:
        """`failed: exit code 3`, `waits for a GPU: both are in use`."""
        if not self.detail:
            return self.word
        return f"{self.word} {self.detail}" if self.detail.startswith("for ") else f"{self.word}: {self.detail}"


def of_stage(project: Project, stage: Stage | EndedStage, now: datetime) -> Said:
    """What a stage's line says: `waits for a GPU: both are in use, 2 stages ahead`."""
    if isinstance(stage, EndedStage) or stage.state in ENDED:
        return Said(look=stage.state.value, word=stage.state.value, detail=stage.message)
    for gate in project.gates:
        if gate.stage == stage.number:
            return Said(look="waiting", word=WAITS_FOR_PERSON, detail=gate.question)
    reason = why(project, stage, now)
    look = word = stage.state.value
    if stage.stop in ("terminate", "kill"):
        return Said(look=look, word="is being stopped")
    text = reason.text if reason is not None else ""
    for start in ("waits", "cannot start"):
        if text.startswith(start):
            rest = text.removeprefix(start).lstrip(":").strip()
            return Said(look="failed" if start == "cannot start" else look, word=start, detail=rest)
    return Said(look=look, word="waits" if word == "submitted" else word, detail=text)


def of_project(project: Project, state: ProjectState | None = None) -> Said:
    """The project's state with its reason. `state`: where it is known already."""
    state = state or project.state
    if project.trashed is not None:
        return Said(look="idle", word="in the trash")
    if state is ProjectState.WAITING:
        return Said(look="waiting", word=WAITS_FOR_PERSON, detail="; ".join(g.question for g in project.gates))
    if state is ProjectState.PAUSED and project.pause is not None:
        look = "failed" if project.pause.kind in ("failure", "impossible") else "paused"
        return Said(look=look, word="paused", detail=project.pause.text)
    if state is ProjectState.FAILED:
        return Said(look="failed", word="failed", detail="; ".join(f.message for f in project.failures))
    return Said(look=state.value, word=state.value)
