"""Which stages belong together, and what a workspace starts from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.stories import FAILED, SUCCESS, ids, run_until, started
from tests.core.world import World, chain, pipeline
from tests.resources.some import ended, project
from winslow_nomad.core import messages as m
from winslow_nomad.core.lineage import agree, ancestors, counting, point_name
from winslow_nomad.core.project import ProjectState
from winslow_nomad.core.stage import Overrides, Source, StageState

LINEAGES = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3))


def source_of(world: World, number: int) -> tuple[str, int]:
    stage = world.project.stages.get(number) or world.project.ended[number]
    assert stage.source is not None
    return stage.source.kind, stage.source.number


@given(LINEAGES, LINEAGES)
def test_two_lineages_go_together_where_neither_names_another_execution(one: dict[str, int], two: dict[str, int]):
    assert agree(one, two) == all(one[k] == two[k] for k in one.keys() & two.keys())


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(StageState), st.booleans()), max_size=6))
def test_of_each_definition_the_newest_end_outside_of_a_sweep_is_what_counts(history: list[tuple[Any, ...]]):
    found = [
        ended(number, name, state=state, sweep=1 if member else None)
        for number, (name, state, member) in enumerate(history, start=1)
        if state in (StageState.SUCCEEDED, StageState.SKIPPED, StageState.FAILED, StageState.STOPPED)
    ]
    newest = {e.id: e for e in found if e.sweep is None}
    good = {n.number for n in newest.values() if n.state in (StageState.SUCCEEDED, StageState.SKIPPED)}
    assert {e.number for e in counting(project(*found))} == good


def test_ancestors_come_nearest_first_and_once():
    made = pipeline(
        {"id": "a"}, {"id": "b", "needs": ("a",)}, {"id": "c", "needs": ("a",)}, {"id": "d", "needs": ("c", "b")}
    )
    assert ancestors(made, made.by_id["d"]) == ["c", "b", "a"]


def test_a_workspace_continues_from_the_first_of_those_it_follows_that_ran():
    made = pipeline({"id": "a"}, {"id": "b"}, {"id": "c", "needs": ("b", "a")})
    world = started(made)
    world.settle()
    assert source_of(world, 3) == ("stage", 2)
    other = started(made)
    other.send(m.SkipStage(stage=2))
    other.settle()
    assert (ids(other)[-1], source_of(other, 3)) == ("c:succeeded", ("stage", 1))


def test_where_all_it_follows_was_skipped_it_starts_where_those_would_have():
    world = started(chain("a", "b", "c"))
    world.fact(m.FilesGiven())
    world.send(m.SkipStage(stage=1))
    world.send(m.SkipStage(stage=2))
    world.settle()
    assert [source_of(world, number) for number in (1, 2, 3)] == [("given", 0)] * 3


def test_the_first_stage_starts_from_the_files_that_were_given_or_from_nothing():
    given = started(chain("a"))
    given.fact(m.FilesGiven())
    given.admit()
    assert source_of(given, 1) == ("given", 0)
    bare = started(chain("a"))
    bare.admit()
    assert source_of(bare, 1) == ("empty", 0)


def test_what_never_ran_passes_its_own_start_on_and_is_no_place_to_continue_from():
    world = started(chain("a", "b"))
    world.settle()
    world.send(m.EnqueueStage(id="b"))
    world.send(m.StopStage(stage=3))
    assert (world.project.ended[3].attempt, source_of(world, 3)) == (0, ("stage", 1))
    world.send(m.EnqueueStage(id="b", overrides=Overrides(workspace="#3")))
    world.settle()
    assert source_of(world, 4) == ("stage", 1)


@pytest.mark.parametrize(
    ("wanted", "source"),
    [("empty", ("empty", 0)), ("a", ("stage", 1)), ("#3", ("stage", 3)), ("#9", ("empty", 0)), (None, ("stage", 2))],
)
def test_a_person_says_what_a_workspace_starts_from(wanted: str | None, source: tuple[str, int]):
    world = started(chain("a", "b", "c"))
    world.settle()
    world.send(m.RedoStage(stage=3, overrides=Overrides(workspace=wanted)))
    world.admit()
    assert source_of(world, 4) == source


def test_the_pipeline_says_what_a_workspace_starts_from_where_no_person_does():
    made = pipeline({"id": "a"}, {"id": "b", "needs": ("a",), "workspace": "empty"})
    world = started(made)
    world.settle()
    assert source_of(world, 2) == ("empty", 0)
    world.send(m.RedoStage(stage=2, overrides=Overrides(workspace="a")))
    world.admit()
    assert source_of(world, 3) == ("stage", 1)


@pytest.mark.parametrize(
    ("workspace", "kind", "number", "point"),
    [("separate", "stage", 1, ""), ("shared", "sweep_shared", 1, ""), ("nested", "sweep_nested", 1, "X=1.5")],
)
def test_the_stages_of_a_sweep_work_apart_together_or_side_by_side(workspace, kind, number, point):
    made = pipeline({"id": "a"}, {"id": "s", "needs": ("a",), "sweep": {"workspace": workspace}})
    world = started(made, sweeps={"s": {"X": ("1.5",)}})
    run_until(world, "s")
    assert world.project.stages[2].source == Source(kind=kind, number=number, point=point)


def test_a_gathering_stage_starts_empty_and_a_person_gathers_the_newest_sweep():
    made = pipeline({"id": "s"}, {"id": "t"}, {"id": "g", "needs": ("s",), "gather": True})
    world = started(made, sweeps={"s": {"X": ("1",)}})
    world.settle()
    world.send(m.EnqueueStage(id="s", sweep={"X": ("1", "2")}))
    world.send(m.EnqueueStage(id="t", sweep={"X": ("1", "2")}))
    world.settle()
    world.send(m.EnqueueStage(id="g"))
    (added,) = world.project.stages.values()
    assert added.gathered == {"s": 2}, "of what it follows, the newest"
    world.settle()
    assert source_of(world, added.number) == ("empty", 0)
    world.send(m.EnqueueStage(id="t"))
    assert next(iter(world.project.stages.values())).gathered == {}


def test_a_gathering_stage_that_follows_another_too_waits_for_both():
    made = pipeline({"id": "s"}, {"id": "t"}, {"id": "g", "needs": ("s", "t"), "gather": True})
    world = started(made, sweeps={"s": {"X": ("1", "2")}})
    world.settle()
    gathering = [e for e in world.project.ended.values() if e.id == "g"]
    assert [(e.gathered, sorted(e.inputs)) for e in gathering] == [({"s": 1}, ["t"])]


@pytest.mark.parametrize("last", ["s", "t"])
@pytest.mark.parametrize("both", [False, True])
def test_a_gathering_stage_starts_whichever_of_those_it_follows_ends_last(last: str, both: bool):
    made = pipeline({"id": "s"}, {"id": "t"}, {"id": "g", "needs": ("s", "t"), "gather": True})
    grid = {"X": ("1", "2")}
    world = World(made, sweeps={"s": grid, "t": grid} if both else {"s": grid})
    world.send(m.StartProject())
    while any(s.definition.id != last for s in world.project.stages.values()):
        other = next(s for s in world.project.stages.values() if s.definition.id != last)
        number = other.number
        world.fact(m.Admitted(stage=number))
        world.fact(m.AttemptEnded(stage=number, attempt=1, outcome=SUCCESS.but(started=world.now)))
    assert {s.definition.id for s in world.project.stages.values()} == {last}
    world.settle()
    (gathering,) = [e for e in world.project.ended.values() if e.id == "g"]
    assert set(gathering.gathered) == ({"s", "t"} if both else {"s"})
    assert set(gathering.inputs) == (set() if both else {"t"})
    world.send(m.StartProject())
    assert not world.project.stages, "it is not made twice"
    assert world.project.state is ProjectState.SUCCEEDED


def test_what_a_gathering_stage_follows_alone_can_be_redone_and_it_gathers_the_same_sweep_again():
    made = pipeline({"id": "s"}, {"id": "t"}, {"id": "g", "needs": ("s", "t"), "gather": True})
    world = started(made, sweeps={"s": {"X": ("1", "2")}})
    world.settle()
    again = next(e.number for e in world.project.ended.values() if e.id == "t")
    world.send(m.RedoStage(stage=again))
    world.settle()
    assert [e.gathered for e in world.project.ended.values() if e.id == "g"] == [{"s": 1}, {"s": 1}]


def test_a_sweep_that_was_stopped_is_not_gathered():
    made = pipeline({"id": "s"}, {"id": "t"}, {"id": "g", "needs": ("s", "t"), "gather": True})
    world = started(made, sweeps={"s": {"X": ("1", "2")}})
    number = run_until(world, "s")
    world.send(m.StopSweep(sweep=1, running=True))
    world.fact(m.AttemptEnded(stage=number, attempt=1, outcome=SUCCESS.but(started=world.now)))
    world.settle()
    assert world.project.sweeps[1].succeeded == 1
    assert "g" not in {e.id for e in world.project.ended.values()}


def test_a_sweep_without_a_success_is_not_gathered_beside_what_ends_later():
    made = pipeline(
        {"id": "s", "sweep": {"on_failure": "continue"}}, {"id": "t"}, {"id": "g", "needs": ("s", "t"), "gather": True}
    )
    world = started(made, sweeps={"s": {"X": ("1", "2")}})
    members = [s.number for s in world.project.stages.values() if s.sweep]
    for number in members:
        world.fact(m.Admitted(stage=number))
        world.fact(m.AttemptEnded(stage=number, attempt=1, outcome=FAILED.but(started=world.now)))
    world.send(m.ResumeProject())
    world.settle()
    assert sorted(ids(world)) == ["s:failed", "s:failed", "t:succeeded"]


@pytest.mark.parametrize("swept", [False, True])
def test_what_a_redo_took_back_does_not_come_back_when_the_project_is_started_again(swept: bool):
    made = pipeline(
        {"id": "a"}, {"id": "b", "needs": ("a",)}, {"id": "c", "needs": ("b",), "confirm": {"ask": "always"}}
    )
    world = started(made)
    world.settle()
    world.send(m.RedoStage(stage=1, sweep={"X": ("1", "2")} if swept else {}))
    world.send(m.StartProject())
    assert {s.definition.id for s in world.project.stages.values()} == {"a"} and not world.project.gates


def test_a_stage_goes_on_from_the_ends_a_person_names():
    world = started(chain("a", "b"))
    world.settle()
    world.send(m.RedoStage(stage=1))
    world.settle()
    world.send(m.EnqueueStage(id="b", after=(1,)))
    assert [s.inputs for s in world.project.stages.values()] == [{"a": 1}]


def test_a_failed_end_is_no_part_of_a_new_lineage():
    world = started(chain("a", "b", "c"))
    world.settle()
    world.send(m.RedoStage(stage=2))
    number = run_until(world, "b")
    world.end((number, 1), FAILED.but(started=world.now))
    while world.deliver():
        pass
    world.send(m.EnqueueStage(id="c"))
    assert [s.inputs for s in world.project.stages.values()] == [{"a": 1, "b": 2}]


VALUES = st.text(max_size=80) | st.text("a ,=_", max_size=4) | st.text("日", min_size=60, max_size=120)


@given(st.lists(st.tuples(VALUES, VALUES), max_size=5, unique=True))
def test_each_point_of_a_sweep_has_a_directory_of_its_own(points: list[tuple[str, str]]):
    names = [point_name({"X": x, "Y": y}) for x, y in points]
    assert len(set(names)) == len(names)
    for name in names:
        assert name.startswith("X=") and len(name.encode()) <= 255 and "/" not in name and "\0" not in name


def test_a_point_is_read_in_the_name_of_its_directory():
    assert point_name({"MIN_AREA": "100", "MODEL": "v1.5-fast_b"}) == "MIN_AREA=100,MODEL=v1.5-fast_b"
    assert point_name({"MODEL": "a/b c"}).startswith("MODEL=a_b_c-")
    assert point_name({}) == "point"
