"""What a decision asks the world to do: a closed set. Effects are derived from the project's state by
`outstanding`, so that nothing can be forgotten and nothing stays that is done; carrying one out twice
is harmless."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from winslow_nomad.core.model import Value


class PrepareWorkspace(Value):
    kind: Literal["prepare_workspace"] = "prepare_workspace"
    stage: int
    attempt: int


class SubmitAttempt(Value):
    kind: Literal["submit_attempt"] = "submit_attempt"
    stage: int
    attempt: int


class StopAttempt(Value):
    """withdraw: only if nothing has claimed it yet."""

    kind: Literal["stop_attempt"] = "stop_attempt"
    stage: int
    attempt: int
    how: Literal["withdraw", "terminate", "kill"]


class SealStage(Value):
    kind: Literal["seal_stage"] = "seal_stage"
    stage: int


class WakeAt(Value):
    kind: Literal["wake_at"] = "wake_at"
    at: datetime


class Notify(Value):
    """Tell people: carried by the live stream, and by the outbox, which is written in the same commit."""

    kind: Literal["notify"] = "notify"
    what: Literal["gate", "failure", "finished", "impossible"]
    text: str
    stage: int = 0


Effect = PrepareWorkspace | SubmitAttempt | StopAttempt | SealStage | WakeAt | Notify
