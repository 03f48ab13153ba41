"""The line of a project: what may start, what stands before what, and what is said of those that wait."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.resources.some import NOW, project, stage, sweep
from winslow_nomad.core.line import startable, why
from winslow_nomad.core.project import Gate, Pause, Project, Sweep
from winslow_nomad.core.stage import Attempt, Reason, Stage, StageState

MINUTE = timedelta(minutes=1)
OPEN = [StageState.QUEUED, StageState.PREPARING, StageState.SUBMITTED, StageState.RUNNING]
BUSY = Reason(kind="busy", text="all 4 GPUs are in use")
PAUSED = Pause(kind="person", text="lunch", since=NOW)


def queued(number: int = 1, stage_id: str = "detect", **fields: object) -> Stage:
    return stage(number, stage_id, **{"attempts": (), **fields})


def asked(number: int, question: str = "Start it?") -> Gate:
    return Gate(id=f"g{number}", kind="confirm", stage=number, question=question, since=NOW)


@st.composite
def stages(draw: st.DrawFn, number: int) -> Stage:
    state = draw(st.sampled_from(OPEN))
    return stage(
        number,
        draw(st.sampled_from(["detect", "track"])),
        state=state,
        turn=draw(st.integers(1, 3)),
        order=float(draw(st.integers(0, 2))),
        held=state is StageState.PREPARING and draw(st.booleans()),
        retry_at=draw(st.sampled_from([None, NOW - MINUTE, NOW, NOW + MINUTE])) if state is StageState.QUEUED else None,
        reason=draw(st.sampled_from([None, BUSY])),
        attempts=() if state is StageState.QUEUED else (Attempt(number=1, made=NOW),),
    )


@st.composite
def sweeps(draw: st.DrawFn, number: int) -> Sweep:
    flags: dict[str, Any] = {name: draw(st.booleans()) for name in ("closed", "halted", "confirmed")}
    return sweep(number, turn=draw(st.integers(1, 3)), next=draw(st.integers(0, 2)), **flags)


@st.composite
def lines(draw: st.DrawFn) -> Project:
    found = [draw(stages(number)) for number in range(1, draw(st.integers(1, 5)) + 1)]
    gated = [s.number for s in found if s.state is StageState.QUEUED and draw(st.integers(0, 3)) == 0]
    choice = Gate(id="g0", kind="choice", sweep=1, question="Which?", since=NOW)
    return project(
        *found,
        sweeps={n: draw(sweeps(n)) for n in range(1, draw(st.integers(0, 2)) + 1)},
        gates=(*([choice] if draw(st.booleans()) else []), *(asked(n) for n in gated)),
        pause=draw(st.sampled_from([None, None, None, PAUSED])),
        trashed=draw(st.sampled_from([None, None, None, NOW])),
    )


def may_go_on(found: Project) -> list[int]:
    """The turns of all that neither waits for a person nor is held back by a pause: it goes before later turns."""
    waits = {g.stage for g in found.gates}
    turns = [s.turn for s in found.stages.values() if not s.held and s.number not in waits]
    makes_more = [s for s in found.sweeps.values() if not (s.closed or s.halted) and s.next < s.total and s.confirmed]
    return turns + [s.turn for s in makes_more]


@given(lines())
def test_a_stage_may_start_when_nothing_of_an_earlier_turn_can_go_on_and_nobody_holds_it(found: Project) -> None:
    may = {s.number for s in startable(found, NOW)}
    for one in found.stages.values():
        held = found.pause is not None or found.trashed is not None or any(g.stage == one.number for g in found.gates)
        early = one.retry_at is not None and one.retry_at > NOW
        behind = any(turn < one.turn for turn in may_go_on(found))
        free = one.state is StageState.QUEUED and not held and not early and not behind
        assert (one.number in may) == free


@given(lines())
def test_who_may_start_stands_in_the_order_people_gave_then_by_age(found: Project) -> None:
    may = startable(found, NOW)
    assert [(s.order, s.number) for s in may] == sorted((s.order, s.number) for s in may)


@given(lines())
def test_without_a_time_those_that_wait_for_their_retry_stand_in_line_too(found: Project) -> None:
    at_last = NOW + 2 * MINUTE
    assert startable(found) == startable(found, at_last)


@given(lines())
def test_what_waits_names_the_nearest_thing_that_holds_it(found: Project) -> None:
    for one in found.stages.values():
        said = why(found, one, NOW)
        if one.state is not StageState.QUEUED:
            assert said == one.reason
            continue
        assert said is not None
        if one.number in {g.stage for g in found.gates}:
            assert said.kind == "gate"
        elif found.pause is not None:
            assert said.kind == "paused"
        elif one.retry_at is not None and one.retry_at > NOW:
            assert (said.kind, said.until) == ("retry", one.retry_at)
        elif any(turn < one.turn for turn in may_go_on(found)):
            ahead = [s for s in found.stages.values() if s.turn < one.turn]
            assert (said.kind, said.ahead) == ("line", len(ahead))
            assert all(s.definition.id in said.text for s in ahead)
        else:
            assert said.kind == "busy"


def test_the_reasons_are_sentences_with_what_a_person_needs_to_know() -> None:
    lost = Attempt(number=1, made=NOW)
    late = queued(1, attempts=(lost,), retry_at=NOW + MINUTE)
    asks = project(queued(1), queued(2, "track"), gates=(asked(2, "Start track?"), asked(1, "Start detect?")))
    behind_both = project(queued(1, "track"), queued(2), queued(3, turn=2))
    makes_more = project(queued(1, turn=2), sweeps={1: sweep(1, confirmed=True)})

    def said(found: Project, number: int) -> str:
        reason = why(found, found.stages[number], NOW)
        assert reason is not None
        return reason.text

    assert said(asks, 1) == "waits for a person: Start detect?"
    assert said(project(queued(), pause=PAUSED), 1) == "the project is paused: lunch"
    assert said(project(late), 1) == "attempt 2 follows after a delay"
    assert said(behind_both, 3) == "in line behind detect, track of the same project"
    never = Reason(kind="impossible", text="cannot start: no node has a GPU")
    behind_never = project(queued(1, "track"), queued(2, reason=never), queued(3, turn=2))
    stuck = "in line behind detect, track of the same project; 0002-detect cannot start: no node has a GPU"
    assert said(behind_never, 3) == stuck
    assert said(makes_more, 1) == "in line behind a sweep of the same project"
    assert said(project(queued()), 1) == "waits for its turn among the stages of all projects"
    assert said(project(queued(reason=BUSY)), 1) == "all 4 GPUs are in use"
