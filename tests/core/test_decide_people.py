"""What people ask for, in all its corners: refused with a reason that says what to do, or done and nothing besides."""

from __future__ import annotations

from tests.core.stories import DIAMOND, FAILED, SUCCESS, ids, open_ids, run_until, started
from tests.core.world import World, chain, pipeline
from winslow_nomad.core import messages as m
from winslow_nomad.core.errors import Invalid, NotFound, Refused
from winslow_nomad.core.line import startable
from winslow_nomad.core.project import Member, ProjectState
from winslow_nomad.core.stage import Overrides, Source, StageState

SWEEP = pipeline({"id": "a"}, {"id": "s", "needs": ("a",), "sweep": {"max_running": 2}}, {"id": "z", "needs": ("s",)})
GRID = {"X": ("1", "2", "3", "4")}


def code(world: World, command: m.AnyCommand) -> str:
    error = world.try_send(command)
    assert error is not None, f"{command.kind} was not refused"
    return error.code


def of(world: World, what: str) -> list[m.Entry]:
    return [e for e in world.entries if e.what == what]


def end_with(world: World, number: int, failed: bool = True) -> None:
    outcome = (FAILED if failed else SUCCESS).but(started=world.now)
    world.end((number, len(world.project.stages[number].attempts)), outcome)
    while world.deliver():
        pass


def points(world: World) -> list[str]:
    return [s.point["X"] for s in world.project.stages.values() if s.sweep]


# --- projects


def test_who_makes_a_project_owns_it_unless_others_are_named():
    made = World(chain("a"), tags=("north",), priority=70, values={"X": "1"}).project
    assert (made.author, made.participants) == ("ada", (Member(user="ada", role="owner"),))
    assert (made.tags, made.priority, made.values) == (("north",), 70, {"X": "1"})
    shared = World(chain("a"), participants=(Member(user="bob"),)).project
    assert (shared.author, shared.participants) == ("ada", (Member(user="bob"),))


def test_a_project_that_is_to_start_at_once_does():
    assert open_ids(World(chain("a"), start=True)) == ["a"]
    assert open_ids(World(chain("a"))) == []


def test_a_value_has_the_type_of_its_parameter_and_is_kept_in_one_form():
    made = pipeline({"id": "a"}, parameters={"N": {"kind": "integer", "default": "1"}})
    world = World(made)
    assert isinstance(world.try_send(m.SetValues(values={"N": "many"})), Invalid)
    assert isinstance(world.try_send(m.EnqueueStage(id="a", sweep={"N": ("1", "many")})), Invalid)
    assert world.send(m.SetValues(values={"N": " 7 ", "X": " 7 "})).values == {"N": "7", "X": " 7 "}
    assert world.send(m.SetValues(values={"N": None})).values == {"X": " 7 "}


def test_those_who_lose_a_project_are_told_so_and_the_author_is_one_of_them():
    world = World(chain("a"), participants=(Member(user="ada"), Member(user="bob"), Member(user="eve")))
    world.send(m.Describe(participants=(Member(user="eve"),), author="eve"))
    (entry,) = of(world, "described")
    assert entry.data == {"left": "ada bob"}
    world.send(m.Describe(name="another"))
    assert of(world, "described")[-1].data == {} and of(world, "described")[-1].text == "name"
    before = world.project
    assert world.send(m.Describe(name="another", priority=50)) is before, "as it was: no change"


def test_a_comment_is_about_a_stage_that_exists_and_the_last_fifty_are_kept():
    world = started(chain("a"))
    assert code(world, m.AddComment(text="x", stage=9)) == "stage.not_found"
    for number in range(51):
        world.send(m.AddComment(text=str(number), stage=1, actor="ada"))
    assert [c.text for c in world.project.comments] == [str(n) for n in range(1, 51)]
    assert of(world, "commented")[0].id == "a"


# --- pauses and failures


def test_a_redo_of_one_of_two_failures_leaves_the_other_and_the_pause():
    world = started(DIAMOND)
    b, c = run_until(world, "b"), run_until(world, "c")
    end_with(world, b)
    end_with(world, c)
    assert [f.stage for f in world.project.failures] == [b, c]
    world.send(m.RedoStage(stage=b, resume=False))
    assert [f.stage for f in world.project.failures] == [c]
    assert world.project.pause is not None
    world.send(m.SkipStage(stage=c))
    assert not world.project.failures and world.project.pause is None


def test_a_redo_that_is_not_to_resume_leaves_a_persons_pause():
    world = started(chain("a"))
    world.settle()
    world.send(m.PauseProject())
    world.send(m.RedoStage(stage=1, resume=False))
    assert world.project.pause is not None and not startable(world.project)
    world.send(m.EnqueueStage(id="a"))
    assert world.project.pause is None


def test_a_redo_of_what_a_failure_came_from_clears_it():
    world = started(chain("a", "b"))
    end_with(world, run_until(world, "b"))
    assert [f.id for f in world.project.failures] == ["b"]
    world.send(m.RedoStage(stage=1))
    assert not world.project.failures


def test_a_resume_acknowledges_the_failures_it_goes_on_from():
    world = started(chain("a"))
    end_with(world, run_until(world, "a"))
    assert [f.acknowledged for f in world.project.failures] == [False]
    world.send(m.ResumeProject())
    assert [f.acknowledged for f in world.project.failures] == [True]
    assert world.project.state is ProjectState.FAILED


def test_a_pause_by_a_person_stands_above_the_one_of_a_failure():
    world = started(chain("a"))
    end_with(world, run_until(world, "a"))
    world.send(m.PauseProject(actor="ada", text="until Monday"))
    assert world.project.pause is not None
    assert (world.project.pause.kind, world.project.pause.text) == ("person", "until Monday")
    before = world.project
    assert world.send(m.PauseProject(actor="bob", text="for good")) == before, "who paused first is named"


def test_pause_after_is_for_a_stage_under_way_or_the_next_one_and_can_be_taken_back():
    world = started(chain("a", "b", "c"))
    world.send(m.PauseAfter(id="a"))
    assert world.project.stages[1].pause_after and not world.project.pause_after
    world.send(m.PauseAfter(id="a", on=False))
    assert not world.project.stages[1].pause_after
    world.send(m.PauseAfter(id="b"))
    world.send(m.PauseAfter(id="c"))
    world.send(m.PauseAfter(id="c", on=False))
    assert world.project.pause_after == ("b",)
    world.settle()
    assert (ids(world), world.project.pause_after) == (["a:succeeded", "b:succeeded"], ())


def test_a_pause_after_a_stage_that_failed_is_the_pause_of_the_failure():
    world = started(chain("a"))
    world.send(m.PauseAfter(id="a"))
    end_with(world, run_until(world, "a"))
    assert world.project.pause is not None and world.project.pause.kind == "failure"


# --- stages


def test_a_stop_of_what_has_ended_or_was_asked_to_stop_changes_nothing():
    world = started(chain("a"))
    run_until(world, "a")
    world.send(m.StopStage(stage=1))
    before = world.project
    assert world.send(m.StopStage(stage=1)) is before
    world.settle()
    before = world.project
    assert world.send(m.StopStage(stage=1)) is before


def test_a_stage_cannot_go_on_from_one_that_runs_or_is_not_there():
    world = started(chain("a", "b"))
    run_until(world, "a")
    assert code(world, m.EnqueueStage(id="b", after=(1,))) == "stage.not_ended"
    assert code(world, m.EnqueueStage(id="b", after=(9,))) == "stage.not_found"
    assert code(world, m.RemoveQueued(stage=9)) == "stage.not_found"
    assert code(world, m.RemoveQueued(stage=1)) == "stage.started"
    world.settle()
    assert code(world, m.RemoveQueued(stage=1)) == "stage.ended"
    assert code(world, m.SkipStage(stage=1)) == "stage.not_skippable"


def test_a_stage_that_was_tried_is_stopped_and_not_taken_back():
    world = started(pipeline({"id": "a", "retry": {"failed": 1, "delay": 60}}))
    end_with(world, run_until(world, "a"))
    assert code(world, m.RemoveQueued(stage=1)) == "stage.was_tried"
    world.send(m.StopStage(stage=1))
    assert ids(world) == ["a:stopped"]
    assert world.project.ended[1].source == Source(kind="empty")


def test_what_is_queued_is_changed_and_not_redone():
    world = started(chain("a"))
    assert code(world, m.RedoStage(stage=1)) == "stage.still_queued"


def test_a_change_of_a_queued_stage_keeps_what_it_does_not_name_and_is_told():
    world = started(pipeline({"id": "a"}, parameters={"V": {"kind": "string"}}))
    assert [g.missing for g in world.project.gates] == [("V",)]
    world.send(m.ChangeQueued(stage=1, overrides=Overrides(values={"V": "1"}), comment="try"))
    assert not world.project.gates, "its value is there now"
    world.send(m.ChangeQueued(stage=1, pause_after=True))
    stage = world.project.stages[1]
    assert (stage.overrides.values, stage.comment, stage.pause_after) == ({"V": "1"}, "try", True)
    assert len(of(world, "stage_changed")) == 2
    before = world.project
    assert world.send(m.ChangeQueued(stage=1)) is before


def test_a_value_that_is_taken_away_is_asked_for_before_the_stage_starts():
    made = pipeline({"id": "a"}, parameters={"V": {"kind": "string"}})
    world = started(made, values={"V": "1"})
    assert world.project.gates == ()
    world.send(m.SetValues(values={"V": None}))
    assert [g.missing for g in world.project.gates] == [("V",)]
    assert code(world, m.AnswerGate(gate=world.project.gates[0].id, values={"W": "1"})) == "gate.values_missing"
    world.send(m.AnswerGate(gate=world.project.gates[0].id, values={"V": "2"}))
    assert (world.project.gates, world.project.values) == ((), {"V": "2"})


def test_a_question_about_values_can_be_answered_by_leaving_the_stage_out():
    made = pipeline({"id": "a"}, {"id": "b", "needs": ("a",)}, parameters={"V": {"kind": "string"}})
    world = started(made)
    world.send(m.AnswerGate(gate=world.project.gates[0].id, answer="skip", actor="ada"))
    assert ids(world) == ["a:skipped"] and open_ids(world) == ["b"]
    world.send(m.AnswerGate(gate=world.project.gates[0].id, answer="stop", actor="ada"))
    assert ids(world) == ["a:skipped", "b:stopped"] and not world.project.gates
    assert [e.message for e in world.project.ended.values()] == ["skipped by ada", "stopped by ada"]


def test_what_was_confirmed_is_not_asked_again_when_something_else_changes():
    world = started(pipeline({"id": "a", "confirm": {"ask": "always"}}))
    gate = world.project.gates[0]
    assert gate.question == "Start a?"
    world.send(m.AnswerGate(gate=gate.id, values={"X": "1"}))
    world.send(m.SetValues(values={"Y": "1"}))
    assert not world.project.gates
    assert world.project.stages[1].overrides.values == {"X": "1"}, "values given with the answer are for this stage"


def test_a_condition_a_person_decided_is_not_computed_again():
    made = pipeline({"id": "a"}, {"id": "b", "needs": ("a",), "when": "a.results.n > 5", "confirm": {"ask": "always"}})
    world = started(made)
    world.settle()
    world.send(m.AnswerGate(gate=world.project.gates[0].id))
    assert [g.kind for g in world.project.gates] == ["confirm"], "both questions, one after the other"
    world.send(m.AnswerGate(gate=world.project.gates[0].id))
    world.settle()
    assert ids(world) == ["a:succeeded", "b:succeeded"]


def test_what_a_person_adds_is_neither_confirmed_nor_subject_to_its_condition():
    made = pipeline({"id": "a"}, {"id": "b", "needs": ("a",), "when": "a.results.n > 5", "confirm": {"ask": "always"}})
    world = World(made)
    world.send(m.EnqueueStage(id="b", actor="bob", comment="by hand", pause_after=True))
    stage = world.project.stages[1]
    assert not world.project.gates and not stage.automatic
    assert (stage.actor, stage.comment, stage.pause_after) == ("bob", "by hand", True)


def test_those_named_last_come_first_whatever_was_named_before():
    world = World(pipeline(*({"id": i} for i in ("a", "b", "c", "d", "e"))))
    world.send(m.EnqueueStage(id="a"))
    for stage_id in "bcde":
        world.send(m.EnqueueStage(id=stage_id, at_once=True))
    world.send(m.Reorder(stages=(2, 3)))
    world.send(m.Reorder(stages=(5, 4)))
    assert [s.number for s in startable(world.project)] == [5, 4, 2, 3, 1]
    assert code(world, m.Reorder(stages=(1, 2, 1))) == "reorder.repeated"
    assert code(world, m.Reorder(stages=(1, 9))) == "stage.not_found"


def test_a_redo_keeps_its_own_values_beneath_the_new_ones():
    world = World(chain("a"))
    base = Overrides(values={"X": "1", "Y": "1"}, environment={"E": "1"}, command=("one",), image="one", timeout=5)
    world.send(m.EnqueueStage(id="a", overrides=base))
    world.settle()
    top = Overrides(values={"Y": "2"}, environment={"F": "2"}, image="two")
    world.send(m.RedoStage(stage=1, overrides=top))
    assert world.project.stages[2].overrides == Overrides(
        values={"X": "1", "Y": "2"}, environment={"E": "1", "F": "2"}, command=("one",), image="two", timeout=5
    )
    assert world.project.stages[2].redo_of == 1


def test_a_redo_of_one_of_a_sweep_has_the_values_of_its_point():
    world = started(SWEEP, sweeps={"s": GRID})
    world.settle()
    member = next(e for e in world.project.ended.values() if e.point == {"X": "3"})
    world.send(m.RedoStage(stage=member.number))
    (redone,) = world.project.stages.values()
    assert (redone.overrides.values, redone.sweep, redone.redo_of) == ({"X": "3"}, None, member.number)


# --- sweeps


def test_a_sweep_that_needs_a_confirmation_asks_once_for_all_of_it():
    made = pipeline({"id": "a"}, {"id": "s", "needs": ("a",), "confirm": {"ask": "always", "show": ("a/x.png",)}})
    for answer, state in (("go", ["1", "2", "3", "4"]), ("stop", [])):
        world = started(made, sweeps={"s": GRID})
        world.settle()
        (gate,) = world.project.gates
        assert (gate.question, gate.sweep, gate.stage) == ("Start 4 stages of s?", 1, 0)
        assert gate.show == ("0001-a/output/x.png",)
        assert points(world) == []
        world.send(m.AnswerGate(gate=gate.id, answer=answer))
        world.settle()
        assert [e.point["X"] for e in world.project.ended.values() if e.sweep] == state
        assert not world.project.gates and world.project.sweeps[1].closed


def test_a_sweep_that_was_stopped_makes_no_more_and_lets_what_runs_end():
    world = started(SWEEP, sweeps={"s": GRID})
    end_with(world, run_until(world, "a"), failed=False)
    world.admit()
    world.send(m.StopSweep(sweep=1))
    assert points(world) == ["1"], "the one that was queued is stopped"
    assert world.project.stages[2].stop == ""
    world.settle()
    sweep = world.project.sweeps[1]
    assert (sweep.closed, sweep.succeeded, sweep.stopped, sweep.next) == (True, 1, 1, 2)
    assert not world.project.gates, "who stopped it chooses by itself, or goes on otherwise"
    before = world.project
    assert world.send(m.StopSweep(sweep=1)) is before
    assert code(world, m.StopSweep(sweep=9)) == "sweep.not_found"


def test_a_sweep_can_be_stopped_with_all_that_runs_of_it():
    world = started(SWEEP, sweeps={"s": GRID})
    first = run_until(world, "s")
    world.send(m.StopSweep(sweep=1, running=True))
    assert world.project.stages[first].stop == "terminate"


def test_one_of_a_sweep_that_is_taken_back_makes_room_for_the_next():
    world = started(SWEEP, sweeps={"s": GRID})
    run_until(world, "a")
    end_with(world, 1, failed=False)
    assert points(world) == ["1", "2"]
    world.send(m.RemoveQueued(stage=2))
    assert points(world) == ["2", "3"]
    for number in (3, 4, 5):
        world.send(m.RemoveQueued(stage=number))
    assert world.project.sweeps[1].closed, "none is left"
    assert "none of the 4 stages of s succeeded" in {f.message for f in world.project.failures}


def test_a_sweep_without_a_success_is_a_failure_of_the_project_and_nothing_follows():
    made = pipeline({"id": "s", "sweep": {"on_failure": "continue"}}, {"id": "g", "needs": ("s",), "gather": True})
    world = started(made, sweeps={"s": {"X": ("1", "2")}})
    world.settle(FAILED.but(started=world.now))
    assert ids(world) == ["s:failed", "s:failed"]
    (failure,) = world.project.failures
    assert (failure.stage, failure.id, failure.cause) == (0, "s", "sweep")
    assert failure.message == "none of the 2 stages of s succeeded"
    assert world.project.pause is not None and world.project.pause.text == failure.message


def test_two_failures_of_a_sweep_that_stops_at_the_first_are_one():
    world = started(SWEEP, sweeps={"s": GRID})
    run_until(world, "s")
    while len(world.running()) < 2:
        assert world.deliver() or world.admit() or [world.perform(e) for e in world.effects()]
    for number, _ in world.running():
        end_with(world, number)
    assert len(world.project.failures) == 1
    sweep = world.project.sweeps[1]
    assert (sweep.halted, sweep.closed, sweep.failed, sweep.next) == (True, True, 2, 2)


def test_the_only_success_of_a_sweep_is_gone_on_with_and_nobody_is_asked():
    made = pipeline({"id": "s", "sweep": {"on_failure": "continue"}}, {"id": "z", "needs": ("s",)})
    world = started(made, sweeps={"s": {"X": ("1", "2")}})
    end_with(world, run_until(world, "s"))
    world.settle()
    last = world.project.ended[max(world.project.ended)]
    assert (last.id, last.inputs) == ("z", {"s": 2})


def test_a_choice_may_be_made_again_for_another():
    world = started(SWEEP, sweeps={"s": GRID})
    world.settle()
    world.send(m.ChooseOfSweep(sweep=1, stage=3))
    assert not world.project.gates
    world.settle()
    world.send(m.ChooseOfSweep(sweep=1, stage=4))
    world.settle()
    assert [e.inputs["s"] for e in world.project.ended.values() if e.id == "z"] == [3, 4]


def test_a_stop_of_the_project_leaves_the_choice_among_what_has_ended():
    world = started(SWEEP, sweeps={"s": GRID})
    world.settle()
    (gate,) = world.project.gates
    world.send(m.StopProject())
    assert world.project.gates == (gate,)
    world.send(m.ResumeProject())
    world.send(m.AnswerGate(gate=gate.id, stage=3))
    world.settle()
    assert ids(world)[-1] == "z:succeeded"


def test_a_redo_of_what_a_sweep_came_from_ends_the_sweep_and_its_question():
    world = started(SWEEP, sweeps={"s": GRID})
    run_until(world, "s")
    world.send(m.RedoStage(stage=1))
    assert world.project.sweeps[1].halted
    other = started(SWEEP, sweeps={"s": GRID})
    other.settle()
    assert [g.kind for g in other.project.gates] == ["choice"]
    other.send(m.RedoStage(stage=1))
    assert not other.project.gates
    assert not other.project.sweeps[1].halted, "it was over: its stages may still be chosen"


def test_a_sweep_a_person_asks_for_takes_its_limits_from_the_wish_then_the_pipeline():
    world = World(pipeline({"id": "s", "sweep": {"max_running": 3, "on_failure": "continue", "workspace": "shared"}}))
    world.send(m.EnqueueStage(id="s", sweep=GRID))
    world.send(m.EnqueueStage(id="s", sweep=GRID, max_running=1, sweep_workspace="nested", comment="again"))
    one, two = world.project.sweeps.values()
    assert (one.max_running, one.workspace, one.on_failure, one.total) == (3, "shared", "continue", 4)
    assert (two.max_running, two.workspace, two.comment, two.number) == (1, "nested", "again", 2)


# --- the pipeline


def test_a_stage_whose_definition_is_gone_is_taken_back_unless_it_was_tried():
    retry = {"failed": 1, "delay": 60}
    world = started(pipeline({"id": "a", "retry": retry}))
    run_until(world, "a")
    world.send(m.EditPipeline(pipeline=pipeline({"id": "a", "retry": retry}, {"id": "b"})))
    end_with(world, 1)
    world.send(m.EditPipeline(pipeline=chain("c")))
    assert open_ids(world) == ["a", "c"]
    assert [(e.id, e.text) for e in of(world, "stage_removed")] == [
        ("b", "its definition was removed from the pipeline")
    ]


def test_a_sweep_whose_definition_is_gone_makes_no_more():
    world = started(SWEEP, sweeps={"s": GRID})
    world.settle()
    asked = world.project.gates
    world.send(m.EditPipeline(pipeline=chain("a")))
    assert asked and world.project.gates == asked, "it was over; its choice is still a person's"
    other = started(SWEEP, sweeps={"s": GRID})
    run_until(other, "s")
    other.send(m.EditPipeline(pipeline=chain("a")))
    other.settle()
    assert (other.project.sweeps[1].closed, other.project.sweeps[1].next) == (True, 2)


def test_a_stage_that_ran_first_runs_again_once_it_is_to_follow_another():
    world = started(chain("b"))
    world.settle()
    world.send(m.EditPipeline(pipeline=chain("a", "b")))
    world.settle()
    assert ids(world) == ["b:succeeded", "a:succeeded", "b:succeeded"]
    assert world.project.ended[3].inputs == {"a": 2}


def test_an_edit_of_a_project_that_never_started_starts_nothing():
    world = World(chain("a"))
    world.send(m.EditPipeline(pipeline=chain("a", "b")))
    assert not world.project.stages
    assert isinstance(world.try_send(m.PauseAfter(id="c")), NotFound)


# --- the trash


def test_in_the_trash_nothing_runs_and_nothing_is_asked():
    made = pipeline({"id": "a"}, {"id": "b", "needs": ("a",), "confirm": {"ask": "always"}})
    world = started(made)
    world.settle()
    world.send(m.TrashProject(actor="ada"))
    assert (world.project.gates, dict(world.project.stages)) == ((), {})
    assert ids(world) == ["a:succeeded", "b:stopped"]
    before = world.project
    assert world.send(m.TrashProject()) is before
    world.send(m.RestoreProject())
    assert world.project.pause is not None, "it goes on when a person says so"
    before = world.project
    assert world.send(m.RestoreProject()) is before
    assert isinstance(world.try_send(m.SkipStage(stage=1)), Refused)
    assert world.project.ended[2].state is StageState.STOPPED
