"""What may go by itself: never what a result descends from, never a record, log or output that counts."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.resources.some import NOW, definition, ended, project, stage, sweep
from winslow_nomad.core.project import Keeping, Project
from winslow_nomad.core.retention import AT_ONCE, Retention, kept, obsolete, useless
from winslow_nomad.core.stage import (
    Attempt,
    AttemptState,
    Cause,
    EndedStage,
    Outcome,
    Overrides,
    Source,
    StageState,
)

DAY = timedelta(days=1)
FAILED = StageState.FAILED
DEFAULT = Retention()


def paths(found: Project, after: timedelta, policy: Retention = DEFAULT, **more: object) -> list[str]:
    return [r.path for r in obsolete(found, NOW + after, policy, **more)]  # type: ignore[arg-type]


def test_the_workspace_of_a_failed_stage_goes_after_seven_days() -> None:
    found = project(ended(1, state=FAILED, attempt=1))
    assert paths(found, 7 * DAY - timedelta(seconds=1)) == []
    assert paths(found, 7 * DAY) == ["projects/p1/stages/0001-detect/attempts/1/workspace"]


def test_a_project_may_keep_things_for_longer_or_shorter_than_the_installation() -> None:
    found = project(ended(1, state=FAILED, attempt=2))
    workspace, superseded = "attempts/2/workspace", "attempts/1/workspace"

    def left(days: float, **keep: float | None) -> list[str]:
        policy = Retention().of(found.but(keep=Keeping(**keep)))
        return [path.partition("detect/")[2] for path in paths(found, days * DAY, policy)]

    assert workspace in left(7) and workspace not in left(29, failed_days=30)
    assert workspace in left(30, failed_days=30) and workspace in left(0, failed_days=0)
    assert superseded in left(30) and superseded not in left(30, superseded_days=90)
    assert superseded not in left(7, failed_days=0), "one does not change the other"


def test_what_nothing_needs_is_told_before_its_time_with_the_moment_it_goes() -> None:
    found = project(ended(1, state=FAILED, attempt=2))
    goes = {removal.path.partition("detect/")[2]: at for removal, at in useless(found, Retention())}
    assert goes == {
        "attempts/2/workspace": NOW + 7 * DAY,
        "attempts/1/output": NOW + 30 * DAY,
        "attempts/1/workspace": NOW + 30 * DAY,
    }
    never = Retention(failed_workspaces=None, superseded_attempts=None)
    assert {at for _, at in useless(found, never)} == {None}
    back = useless(found, Retention(), {"projects/p1/stages/0001-detect/attempts/2/workspace": NOW + DAY})
    assert (back[-1][0].since, back[-1][1]) == (NOW + DAY, NOW + 8 * DAY), "what was taken back counts from then"


def test_what_a_superseded_attempt_left_goes_after_thirty_days_but_its_log() -> None:
    found = project(ended(1, attempt=3))
    assert paths(found, 30 * DAY - timedelta(seconds=1)) == []
    left = [f"projects/p1/stages/0001-detect/attempts/{n}/{part}" for n in (1, 2) for part in ("output", "workspace")]
    assert paths(found, 30 * DAY) == left


def test_a_superseded_attempt_of_an_open_stage_counts_from_its_own_end() -> None:
    gone = Attempt(number=1, made=NOW, state=AttemptState.ENDED, outcome=Outcome(cause=Cause.NODE_LOST, ended=NOW))
    second = Attempt(number=2, made=NOW + 20 * DAY)
    found = project(stage(attempts=(gone, second)))
    assert len(paths(found, 30 * DAY)) == 2
    continued = project(stage(attempts=(gone, second), source=Source(kind="attempt", number=1)))
    assert paths(continued, 400 * DAY) == [], "the next attempt is a copy of it"


def test_a_failed_stage_that_others_build_on_stays() -> None:
    bad = ended(1, state=FAILED)
    by_input = project(bad, ended(2, "track", inputs={"detect": 1}))
    by_copy = project(bad, ended(2, "track", source=Source(kind="stage", number=1)))
    by_wish = project(bad, stage(2, "track", state=StageState.QUEUED, attempts=(), overrides=Overrides(workspace="#1")))
    gathered = project(bad.but(sweep=1), ended(2, "track", gathered={"detect": 1}), sweeps={1: sweep(1, closed=True)})
    undecided = project(bad.but(sweep=1), sweeps={1: sweep(1)})
    for found in (by_input, by_copy, by_wish, gathered, undecided):
        assert paths(found, 4000 * DAY) == []


def test_what_a_failed_stage_alone_builds_on_goes_with_it() -> None:
    found = project(ended(1, state=FAILED), ended(2, "track", state=FAILED, inputs={"detect": 1}))
    assert len(paths(found, 7 * DAY)) == 2


def test_what_a_person_took_back_gets_its_time_anew() -> None:
    found = project(ended(1, state=FAILED))
    path = "projects/p1/stages/0001-detect/attempts/1/workspace"
    restored = {path: NOW + 8 * DAY}
    assert paths(found, 14 * DAY, restored=restored) == []
    assert paths(found, 15 * DAY, restored=restored) == [path]


def test_another_rule_keeps_and_lets_go_of_other_things() -> None:
    found = project(ended(1, state=FAILED, attempt=2))
    assert paths(found, 4000 * DAY, Retention(failed_workspaces=None, superseded_attempts=DAY)) == [
        "projects/p1/stages/0001-detect/attempts/1/output",
        "projects/p1/stages/0001-detect/attempts/1/workspace",
    ]


# --- for any history

IDS = ["detect", "track", "report"]


@st.composite
def histories(draw: st.DrawFn) -> Project:
    stages: list[EndedStage] = []
    sweeps = draw(st.integers(0, 2))
    for number in range(1, draw(st.integers(0, 12)) + 1):
        earlier = [s.number for s in stages]
        source = draw(
            st.sampled_from(
                [None, Source(kind="empty"), Source(kind="sweep_shared", number=1)]
                + [Source(kind="stage", number=n) for n in earlier]
            )
        )
        inputs = {i: draw(st.sampled_from(earlier)) for i in draw(st.sets(st.sampled_from(IDS)))} if earlier else {}
        stages.append(
            ended(
                number,
                draw(st.sampled_from(IDS)),
                state=draw(st.sampled_from([StageState.SUCCEEDED, FAILED, StageState.STOPPED, StageState.SKIPPED])),
                inputs=inputs,
                source=source,
                attempt=draw(st.integers(0, 3)),
                sweep=draw(st.sampled_from([None, *range(1, sweeps + 1)])),
            )
        )
    numbered = {n: sweep(n, closed=draw(st.booleans())) for n in range(1, sweeps + 1)}
    opened = []
    if stages and draw(st.booleans()):
        opened.append(
            stage(
                50,
                "track",
                state=StageState.QUEUED,
                attempts=(),
                inputs={"detect": draw(st.sampled_from(stages)).number},
            )
        )
    made = project(*stages, *opened, sweeps=numbered)
    return made.but(pipeline=made.pipeline.but(stages=tuple(definition(i) for i in IDS)))


@given(histories())
def test_whatever_happened_nothing_that_counts_ever_goes(found: Project) -> None:
    removals = obsolete(found, NOW + 4000 * DAY, AT_ONCE)
    assert len({r.path for r in removals}) == len(removals)
    results = {n for n, s in found.ended.items() if s.state in (StageState.SUCCEEDED, StageState.SKIPPED)}
    needed = set(results) | {n for s in found.stages.values() for n in s.inputs.values()}
    while True:
        more = {n for s in needed for n in found.ended[s].inputs.values()}
        more |= {found.ended[s].source.number for s in needed if _copies(found.ended[s])}  # type: ignore[union-attr]
        if more <= needed:
            break
        needed |= more
    assert needed <= kept(found) | set(found.stages)
    for removal in removals:
        of = found.ended[removal.stage]
        assert removal.path.startswith(f"projects/p1/stages/{of.name}/attempts/{removal.attempt}/")
        assert removal.path.rpartition("/")[2] in ("workspace", "output")
        if removal.attempt == of.attempt:
            assert of.number not in needed
            assert of.state in (FAILED, StageState.STOPPED)
            assert removal.path.endswith("/workspace"), "the output of an ended stage stays"


def _copies(of: EndedStage) -> bool:
    return of.source is not None and of.source.kind == "stage"


@given(histories(), st.integers(0, 60), st.integers(0, 60))
def test_what_may_go_today_may_go_tomorrow(found: Project, first: int, later: int) -> None:
    today = {r.path for r in obsolete(found, NOW + first * DAY, DEFAULT)}
    tomorrow = {r.path for r in obsolete(found, NOW + (first + later) * DAY, DEFAULT)}
    assert today <= tomorrow
    assert not obsolete(found, NOW + 4000 * DAY, Retention(failed_workspaces=None, superseded_attempts=None))
