"""What waits because something cannot be reached says why, and says it once."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.resources.some import project, stage
from winslow_nomad.core.effects import PrepareWorkspace
from winslow_nomad.core.errors import DriverUnavailable, ShareUnavailable, Unavailable
from winslow_nomad.core.messages import EffectParked
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Reason, StageState
from winslow_nomad.events.advance import Advance
from winslow_nomad.events.perform import Parked, parked

EFFECT = PrepareWorkspace(stage=1, attempt=1)
FULL = "Less than 5% of the share is free; nothing was started. The largest that may go: p9 (4 GiB)."


class Full:
    """A share without room; the breaker opens and closes as it is told."""

    def __init__(self) -> None:
        self.open = False

    def needs(self, project: Project, effect: Any) -> list[str]:
        return ["share"]

    def __call__(self, project: Project, effect: Any) -> list[Any]:
        raise Parked("share", parked(effect, "share", FULL)) from ShareUnavailable("Less than 5% is free.")

    def allows(self, what: str) -> bool:
        return not self.open

    def why(self, what: str) -> str:
        return "Less than 5% is free"

    def failed(self, *args: Any, **named: Any) -> None: ...


def test_a_reason_with_its_remedy_stays_while_nothing_is_tried() -> None:
    """Else two texts took turns, each time as a commit, all night."""
    share = Full()
    advance = Advance(cast(Any, None), cast(Any, None), cast(Any, share), cast(Any, None), cast(Any, share))
    waits = stage(1, state=StageState.PREPARING)

    def said(reason: Reason | None) -> list[str]:
        told = advance.perform_one(project(waits.but(reason=reason)), EFFECT)
        return [fact.reason.text for fact in told if isinstance(fact, EffectParked)]

    assert said(None) == [FULL]
    share.open = True
    assert said(None) == ["Less than 5% is free. It is tried again by itself."]
    assert said(Reason(kind="share", text=FULL)) == []
    assert said(Reason(kind="driver_away", text="Nomad is away")) != []
    share.open = False
    assert said(Reason(kind="share", text="Less than 5% is free. It is tried again by itself.")) == [FULL]


@pytest.mark.parametrize(
    ("error", "enough"),
    [
        (DriverUnavailable("It has no leader.", code="nomad.no_leader"), True),
        (DriverUnavailable("It is silent.", code="nomad.silent"), True),
        (DriverUnavailable("It lost the connection.", code="nomad.no_answer"), False),
        (ShareUnavailable("It does not answer.", code="share.stalled"), True),
    ],
)
def test_what_costs_a_worker_many_seconds_is_tried_for_one_project_and_not_for_each(
    error: Unavailable, enough: bool
) -> None:
    opened: list[bool] = []

    class Away(Full):
        def __call__(self, project: Project, effect: Any) -> list[Any]:
            raise Parked("nomad", []) from error

        def failed(self, *args: Any, at_once: bool = False) -> None:
            opened.append(at_once)

    away = Away()
    advance = Advance(cast(Any, None), cast(Any, None), cast(Any, away), cast(Any, None), cast(Any, away))
    assert advance.perform_one(project(stage(1, state=StageState.PREPARING)), EFFECT) == []
    assert opened == [enough]
