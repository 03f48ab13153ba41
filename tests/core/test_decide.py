"""`decide`, told as short stories: what a person does, what the outside reports, what becomes of the project."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.core.stories import DIAMOND, FAILED, SUCCESS, ids, open_ids, run_until, run_until_attempt, started
from tests.core.world import World, chain, pipeline
from winslow_nomad.core import messages as m
from winslow_nomad.core.errors import Conflict, NotFound, Refused
from winslow_nomad.core.facts import describe
from winslow_nomad.core.line import why
from winslow_nomad.core.pipeline import Gpu, Resources
from winslow_nomad.core.project import ProjectState
from winslow_nomad.core.stage import Cause, Outcome, Overrides, Reason, StageState


def test_a_chain_runs_to_its_end_and_the_project_has_succeeded():
    world = started(chain("detect", "track", "report"))
    world.settle()
    assert ids(world) == ["detect:succeeded", "track:succeeded", "report:succeeded"]
    assert world.project.state is ProjectState.SUCCEEDED
    assert world.project.ended[3].inputs == {"detect": 1, "track": 2}


def test_a_stage_keeps_the_code_it_was_admitted_with_and_a_queued_one_takes_the_new():
    made = chain("detect", "track").but(folder="one")
    world = started(made)
    number = run_until(world, "detect")
    world.send(m.EditPipeline(pipeline=made.but(folder="two")))
    assert world.project.stages[number].folder == "one"
    world.end((number, 1), Outcome(cause=Cause.NODE_LOST, started=world.now))
    again = run_until_attempt(world, number, 2)
    assert again.folder == "one"
    world.end((number, 2), SUCCESS.but(started=world.now))
    follower = run_until(world, "track")
    assert world.project.stages[follower].folder == "two"


def test_parallel_branches_are_open_at_the_same_time():
    world = started(pipeline({"id": "a"}, {"id": "b", "needs": ("a",)}, {"id": "c", "needs": ("a",)}))
    run_until(world, "b")
    run_until(world, "c")
    assert open_ids(world) == ["b", "c"]
    assert len(world.running()) == 2


def test_a_join_of_all_waits_for_every_branch():
    world = started(DIAMOND)
    world.settle()
    assert sorted(ids(world)) == ["a:succeeded", "b:succeeded", "c:succeeded", "d:succeeded"]
    assert world.project.ended[4].inputs == {"a": 1, "b": 2, "c": 3}


def test_a_join_of_any_starts_once_with_the_first_branch():
    world = started(
        pipeline(
            {"id": "a"},
            {"id": "b", "needs": ("a",)},
            {"id": "c", "needs": ("a",)},
            {"id": "d", "needs": ("b", "c"), "join": "any"},
        )
    )
    world.settle()
    assert [i for i in ids(world) if i.startswith("d")] == ["d:succeeded"]


def test_after_a_redo_of_one_branch_the_join_runs_again_with_the_other_branch_as_it_was():
    world = started(DIAMOND)
    world.settle()
    world.send(m.RedoStage(stage=2, actor="ada"))
    world.settle()
    last = world.project.ended[max(world.project.ended)]
    assert last.id == "d"
    assert last.inputs == {"a": 1, "b": 5, "c": 3}


def when(text: str, **results: str) -> World:
    made = pipeline(
        {"id": "a", "results": {"n": "integer"}},
        {"id": "b", "needs": ("a",), "when": text},
        {"id": "c", "needs": ("b",)},
    )
    world = started(made)
    number = run_until(world, "a")
    world.end((number, 1), SUCCESS.but(started=world.now, results=results))
    world.settle()
    return world


def test_a_condition_that_is_true_lets_the_stage_run():
    assert ids(when("a.results.n > 5", n="6")) == ["a:succeeded", "b:succeeded", "c:succeeded"]


def test_a_condition_that_is_false_skips_the_stage_and_all_that_only_follows_it():
    assert ids(when("a.results.n > 5", n="5")) == ["a:succeeded", "b:skipped", "c:skipped"]


def test_a_condition_that_cannot_be_computed_asks_a_person_and_is_never_false():
    world = when("a.results.n > 5")
    assert [g.kind for g in world.project.gates] == ["condition"]
    assert world.project.state is ProjectState.WAITING
    world.send(m.AnswerGate(gate=world.project.gates[0].id, answer="go", actor="ada"))
    world.settle()
    assert ids(world) == ["a:succeeded", "b:succeeded", "c:succeeded"]


def test_a_condition_over_a_result_of_the_wrong_type_asks_a_person():
    assert [g.kind for g in when("a.results.n > 5", n="many").project.gates] == ["condition"]


def confirming(ask: str) -> World:
    world = started(pipeline({"id": "a"}, {"id": "b", "needs": ("a",), "confirm": {"ask": ask, "show": ("a/x.png",)}}))
    world.settle()
    return world


def test_a_confirmation_holds_the_stage_until_a_person_answers():
    world = confirming("always")
    gate = world.project.gates[0]
    assert gate.kind == "confirm"
    assert gate.show == ("0001-a/output/x.png",)
    assert not world.admit()
    world.send(m.AnswerGate(gate=gate.id, actor="ada"))
    world.settle()
    assert ids(world) == ["a:succeeded", "b:succeeded"]


def test_a_gate_answered_twice_says_so_the_second_time():
    world = confirming("always")
    gate = world.project.gates[0].id
    world.send(m.AnswerGate(gate=gate))
    assert isinstance(world.try_send(m.AnswerGate(gate=gate, answer="stop")), Refused)


def test_confirm_once_does_not_ask_again_when_the_stage_has_run_before():
    world = confirming("once")
    world.send(m.AnswerGate(gate=world.project.gates[0].id))
    world.settle()
    world.send(m.RedoStage(stage=1))
    world.settle()
    assert not world.project.gates
    assert len(world.project.ended) == 4


def test_redoing_the_stage_behind_a_gate_takes_the_question_back_and_asks_a_new_one():
    world = confirming("always")
    world.send(m.RedoStage(stage=1, overrides=Overrides(values={"MIN_AREA": "400"}), actor="ada"))
    assert not world.project.gates
    assert open_ids(world) == ["a"]
    world.settle()
    assert [g.show for g in world.project.gates] == [("0003-a/output/x.png",)]


def test_missing_values_are_asked_for_and_the_stage_goes_on_once_they_are_given():
    made = pipeline({"id": "a"}, parameters={"VIDEO": {"kind": "string"}})
    world = started(made)
    assert [g.missing for g in world.project.gates] == [("VIDEO",)]
    assert not world.admit()
    world.send(m.SetValues(values={"VIDEO": "x"}))
    world.settle()
    assert ids(world) == ["a:succeeded"]


def test_a_pause_takes_effect_after_the_running_stage():
    world = started(chain("a", "b"))
    run_until(world, "a")
    world.send(m.PauseProject(actor="ada"))
    assert world.project.state is ProjectState.RUNNING
    world.settle()
    assert ids(world) == ["a:succeeded"]
    assert world.project.state is ProjectState.PAUSED
    reason = why(world.project, world.project.stages[2], world.now)
    assert reason is not None and reason.kind == "paused"
    world.send(m.ResumeProject(actor="ada"))
    world.settle()
    assert ids(world) == ["a:succeeded", "b:succeeded"]


def test_a_pause_withdraws_what_only_waits_at_the_driver():
    world = started(chain("a"))
    world.admit()
    world.fact(m.WorkspaceReady(stage=1, attempt=1))
    world.prepared.add((1, 1))
    world.fact(m.AttemptWaits(stage=1, attempt=1, reason=Reason(kind="busy", text="waits for a GPU")))
    world.send(m.PauseProject())
    for effect in world.effects():
        world.perform(effect)
    while world.deliver():
        pass
    assert world.project.stages[1].state is StageState.QUEUED
    assert world.claims[1, 1] == "cancelled"
    world.send(m.ResumeProject())
    world.settle()
    assert ids(world) == ["a:succeeded"]


def test_resume_one_only_starts_one_stage_and_pauses_again():
    world = started(chain("a", "b", "c"))
    world.send(m.PauseProject())
    world.send(m.ResumeProject(single=True))
    world.settle()
    assert ids(world) == ["a:succeeded"]
    assert world.project.state is ProjectState.PAUSED


def test_pause_after_a_stage_pauses_when_it_has_succeeded():
    world = started(chain("a", "b"))
    world.send(m.PauseAfter(id="a"))
    world.settle()
    assert ids(world) == ["a:succeeded"]
    assert world.project.pause is not None and world.project.pause.kind == "pause_after"


def test_a_failure_pauses_the_project_and_is_listed():
    world = started(chain("a", "b"))
    world.settle(FAILED.but(started=world.now))
    assert ids(world) == ["a:failed"]
    assert [f.stage for f in world.project.failures] == [1]
    assert world.project.state is ProjectState.PAUSED
    assert "exit code 3" in world.project.failures[0].message


def test_a_redo_after_a_failure_clears_it_and_the_project_goes_on():
    world = started(chain("a", "b"))
    world.settle(FAILED.but(started=world.now))
    world.send(m.RedoStage(stage=1))
    world.settle()
    assert ids(world) == ["a:failed", "a:succeeded", "b:succeeded"]
    assert not world.project.failures
    assert world.project.state is ProjectState.SUCCEEDED


def test_skipping_a_failed_stage_lets_the_project_go_on():
    world = started(chain("a", "b"))
    world.settle(FAILED.but(started=world.now))
    world.send(m.SkipStage(stage=1, actor="ada"))
    world.settle()
    assert ids(world) == ["a:failed", "a:skipped", "b:succeeded"]
    assert not world.project.failures


@pytest.mark.parametrize("cause", [Cause.RUNNER_LOST, Cause.NODE_LOST, Cause.SUPERSEDED])
def test_a_lost_node_is_tried_again_as_often_as_the_policy_says(cause):
    world = started(pipeline({"id": "a", "retry": {"node_lost": 2}}))
    world.settle(Outcome(cause=cause, started=world.now))
    assert ids(world) == ["a:failed"]
    assert len(world.project.sealing.get(1, world.sealed.get(1)).attempts) == 3


def test_a_runner_that_never_started_is_not_said_to_have_been_killed():
    world = started(chain("a"))
    number = run_until(world, "a")
    stage = world.project.stages[number]
    lost = Outcome(cause=Cause.RUNNER_LOST, message="no image")
    assert describe(stage, lost) == "a was killed together with its runner: no image"
    waiting = stage.but(attempts=(stage.attempts[0].but(started=None),))
    assert describe(waiting, lost) == "a could not be started on its node: no image"


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome(cause=Cause.EXIT, code=3), "a ended with exit code 3"),
        (Outcome(cause=Cause.EXIT, signal=9), "a was ended by signal 9 (SIGKILL)"),
        (Outcome(cause=Cause.EXIT, signal=63), "a was ended by signal 63"),
        (
            Outcome(cause=Cause.TIMEOUT, message="not done after ..."),
            "a ran longer than its 12 h",
        ),
        (
            Outcome(cause=Cause.OUT_OF_MEMORY, message="more than the allowed ...", peak_memory_bytes=247770112),
            "a used all of its 64 MiB of memory and more: 236.3 MiB",
        ),
        (Outcome(cause=Cause.OUT_OF_MEMORY, peak_memory_bytes=2**26), "a used all of its 64 MiB of memory"),
        (Outcome(cause=Cause.EXEC_FAILED, message="nosuch: not found"), "a could not be started: nosuch: not found"),
    ],
)
def test_how_a_stage_ended_is_told_in_the_units_of_its_pipeline(outcome, words):
    world = started(pipeline({"id": "a", "timeout": 43200, "resources": {"memory": 2**26}}))
    stage = world.project.stages[run_until(world, "a")]
    assert describe(stage, outcome) == words


def test_a_stage_that_may_run_for_another_time_in_this_run_ran_longer_than_that():
    world = started(pipeline({"id": "a", "timeout": 43200}))
    stage = world.project.stages[run_until(world, "a")]
    stage = stage.but(overrides=stage.overrides.but(timeout=90))
    assert describe(stage, Outcome(cause=Cause.TIMEOUT)) == "a ran longer than its 90 s"


def test_a_retry_waits_for_its_delay():
    world = started(pipeline({"id": "a", "retry": {"failed": 1, "delay": 60}}))
    number = run_until(world, "a")
    world.end((number, 1), FAILED.but(started=world.now))
    while world.deliver():
        pass
    assert world.project.stages[1].state is StageState.QUEUED
    assert not world.admit()
    world.wait(61)
    world.fact(m.TimerFired())
    world.settle()
    assert ids(world) == ["a:succeeded"]


def test_what_waits_to_be_tried_again_says_how_it_ended_and_where_though_it_never_started():
    world = started(pipeline({"id": "a", "retry": {"node_lost": 1, "delay": 60}}))
    for fact in (m.Admitted(stage=1), m.WorkspaceReady(stage=1, attempt=1), m.AttemptAccepted(stage=1, attempt=1)):
        world.fact(fact)
    full = Outcome(cause=Cause.RUNNER_LOST, message="the disk of docker on n1 is full. " + "x" * 900)
    world.fact(m.AttemptEnded(stage=1, attempt=1, outcome=full, node="n1"))
    stage = world.project.stages[1]
    reason = why(world.project, stage, world.now)
    said = "attempt 2 follows; a could not be started on its node: the disk of docker on n1 is full"
    assert reason is not None and reason.text.startswith(said)
    assert len(reason.text) < 350 and reason.until == stage.retry_at
    assert stage.attempts[0].node == "n1"


@pytest.mark.parametrize(("wrong", "began", "ran"), [(3600, 2, 5), (-3600, 0, 5), (0, 2, 5)])
def test_a_node_whose_clock_is_wrong_makes_no_time_negative_or_hours_long(wrong, began, ran):
    """`began`, `ran`: seconds; one that is behind tells nothing but that it began after it was made."""
    world = started(chain("a"))
    for fact in (m.Admitted(stage=1), m.WorkspaceReady(stage=1, attempt=1), m.AttemptAccepted(stage=1, attempt=1)):
        world.fact(fact)
    made = world.project.stages[1].attempts[0].made
    world.now = made + timedelta(seconds=2)
    theirs = world.now + timedelta(seconds=wrong)
    world.fact(m.AttemptStarted(stage=1, attempt=1, node="n1", started=theirs))
    world.now += timedelta(seconds=5)
    end = SUCCESS.but(started=theirs, ended=theirs + timedelta(seconds=5))
    world.fact(m.AttemptEnded(stage=1, attempt=1, outcome=end))
    ended = world.project.ended[1]
    assert (ended.started - made).total_seconds() == began
    assert (ended.ended - ended.started).total_seconds() == ran


@pytest.mark.parametrize("code", [0, 1])
def test_what_ended_while_nobody_was_there_took_as_long_as_it_ran(code):
    world = started(chain("a"))
    for fact in (m.Admitted(stage=1), m.WorkspaceReady(stage=1, attempt=1), m.AttemptAccepted(stage=1, attempt=1)):
        world.fact(fact)
    began = world.now
    world.fact(m.AttemptStarted(stage=1, attempt=1, node="n1", started=began))
    world.now += timedelta(hours=9)
    outcome = SUCCESS.but(code=code, started=began, ended=began + timedelta(minutes=20))
    world.fact(m.AttemptEnded(stage=1, attempt=1, outcome=outcome))
    assert (world.project.ended[1].ended - began) == timedelta(minutes=20)


def test_a_stage_that_succeeded_says_which_of_its_results_were_left_out():
    world = started(chain("a"))
    for fact in (m.Admitted(stage=1), m.WorkspaceReady(stage=1, attempt=1), m.AttemptAccepted(stage=1, attempt=1)):
        world.fact(fact)
    world.fact(m.AttemptEnded(stage=1, attempt=1, outcome=SUCCESS.but(message="results: line 2 was left out")))
    assert world.project.ended[1].message == "results: line 2 was left out"


def test_a_retry_does_not_wait_for_a_clock_that_was_put_back():
    world = started(pipeline({"id": "a", "retry": {"failed": 1, "delay": 60}}))
    number = run_until(world, "a")
    world.end((number, 1), FAILED.but(started=world.now))
    while world.deliver():
        pass
    world.now -= timedelta(hours=1)
    world.fact(m.TimerFired())
    world.settle()
    assert ids(world) == ["a:succeeded"]


def test_retry_continue_starts_from_the_dead_attempts_workspace():
    world = started(pipeline({"id": "a", "retry": {"failed": 1, "delay": 0, "workspace": "continue"}}))
    number = run_until(world, "a")
    world.end((number, 1), FAILED.but(started=world.now))
    while world.deliver():
        pass
    world.admit()
    source = world.project.stages[1].source
    assert source is not None and (source.kind, source.number) == ("attempt", 1)


def test_stopping_a_queued_stage_ends_it_at_once():
    world = started(chain("a", "b"))
    world.send(m.StopStage(stage=1, actor="ada"))
    assert ids(world) == ["a:stopped"]


def test_a_stop_before_the_submission_takes_the_claim_so_that_nothing_ever_runs():
    world = started(chain("a"))
    world.admit()
    world.fact(m.WorkspaceReady(stage=1, attempt=1))
    late = [e for e in world.effects() if e.kind == "submit_attempt"]
    world.send(m.StopStage(stage=1, actor="ada"))
    world.settle()
    world.prepared.add((1, 1))
    world.perform(late[0])  # the submission was still in flight
    while world.deliver():
        pass
    assert ids(world) == ["a:stopped"]
    assert not world.running()


def test_stop_then_kill_sends_the_harder_word_after_the_softer():
    world = started(chain("a"))
    run_until(world, "a")
    world.send(m.StopStage(stage=1))
    assert [e.how for e in world.effects()] == ["terminate"]
    world.fact(m.StopSent(stage=1, attempt=1, how="terminate"))
    assert world.effects() == []
    world.send(m.StopStage(stage=1, kill=True))
    assert [e.how for e in world.effects()] == ["kill"]


def test_a_stage_that_succeeded_before_the_stop_reached_it_has_succeeded():
    world = started(chain("a"))
    run_until(world, "a")
    world.send(m.StopStage(stage=1))
    world.fact(m.AttemptEnded(stage=1, attempt=1, outcome=SUCCESS.but(started=world.now)))
    assert ids(world) == ["a:succeeded"]


def test_a_late_report_about_an_older_attempt_changes_nothing():
    world = started(pipeline({"id": "a", "retry": {"failed": 1, "delay": 0}}))
    run_until(world, "a")
    world.end((1, 1), FAILED.but(started=world.now))
    while world.deliver():
        pass
    run_until(world, "a")
    before = world.project
    world.fact(m.AttemptEnded(stage=1, attempt=1, outcome=SUCCESS))
    assert world.project == before


def test_an_older_report_of_the_driver_does_not_undo_a_newer_one():
    world = started(chain("a"))
    run_until(world, "a")
    world.fact(m.AttemptInContact(stage=1, attempt=1, index=50))
    before = world.project
    world.fact(m.AttemptOutOfContact(stage=1, attempt=1, index=40, text="gone"))
    assert world.project == before


SWEEP = pipeline({"id": "a"}, {"id": "s", "needs": ("a",), "sweep": {"max_running": 2}}, {"id": "z", "needs": ("s",)})


def test_a_sweep_makes_its_stages_lazily_and_keeps_its_limit():
    world = started(SWEEP, sweeps={"s": {"X": ("1", "2", "3", "4", "5")}})
    run_until(world, "s")
    assert len([s for s in world.project.stages.values() if s.sweep]) == 2
    world.settle()
    points = [e.point["X"] for e in world.project.ended.values() if e.sweep]
    assert sorted(points) == ["1", "2", "3", "4", "5"]


def test_after_a_sweep_the_project_waits_for_a_choice_and_goes_on_with_it():
    world = started(SWEEP, sweeps={"s": {"X": ("1", "2", "3")}})
    world.settle()
    gate = world.project.gates[0]
    assert gate.kind == "choice"
    chosen = next(e.number for e in world.project.ended.values() if e.point == {"X": "2"})
    world.send(m.AnswerGate(gate=gate.id, stage=chosen))
    world.settle()
    last = world.project.ended[max(world.project.ended)]
    assert (last.id, last.inputs["s"]) == ("z", chosen)


def test_a_choice_outside_the_sweep_is_refused():
    world = started(SWEEP, sweeps={"s": {"X": ("1", "2")}})
    world.settle()
    error = world.try_send(m.AnswerGate(gate=world.project.gates[0].id, stage=1))
    assert error is not None and error.code == "sweep.not_a_choice"


def test_a_gathering_stage_follows_the_whole_sweep():
    made = pipeline({"id": "s"}, {"id": "g", "needs": ("s",), "gather": True})
    world = started(made, sweeps={"s": {"X": ("1", "2", "3")}})
    world.settle()
    last = world.project.ended[max(world.project.ended)]
    assert (last.id, last.gathered, last.inputs) == ("g", {"s": 1}, {})


def test_failures_within_a_sweep_are_passed_over_if_it_says_so():
    made = pipeline(
        {"id": "s", "sweep": {"on_failure": "continue", "max_running": 1}}, {"id": "g", "needs": ("s",), "gather": True}
    )
    world = started(made, sweeps={"s": {"X": ("1", "2", "3")}})
    number = run_until(world, "s")
    world.end((number, 1), FAILED.but(started=world.now))
    world.settle()
    assert ids(world) == ["s:failed", "s:succeeded", "s:succeeded", "g:succeeded"]
    assert world.project.state is ProjectState.SUCCEEDED


def test_a_failure_stops_a_sweep_that_does_not_pass_over_failures():
    world = started(
        pipeline({"id": "s", "sweep": {"max_running": 1}}, {"id": "z", "needs": ("s",)}),
        sweeps={"s": {"X": ("1", "2", "3")}},
    )
    world.settle(FAILED.but(started=world.now))
    assert ids(world) == ["s:failed"]
    assert world.project.state is ProjectState.PAUSED


def test_a_sweep_asked_for_in_a_redo_keeps_the_lineage():
    world = started(chain("a", "b"))
    world.settle()
    world.send(m.RedoStage(stage=2, sweep={"X": ("1", "2")}))
    world.settle()
    assert [e.inputs for e in world.project.ended.values() if e.sweep] == [{"a": 1}, {"a": 1}]


def test_jumping_forward_takes_the_newest_lineage_there_is():
    world = started(chain("a", "b", "c"))
    run_until(world, "b")
    world.send(m.StopStage(stage=2))
    world.settle()
    world.send(m.EnqueueStage(id="c"))
    world.settle()
    last = world.project.ended[max(world.project.ended)]
    assert (last.id, last.inputs, last.source.kind, last.source.number) == ("c", {"a": 1}, "stage", 1)


def test_what_a_person_adds_lines_up_behind_what_runs_unless_asked_otherwise():
    world = started(chain("a"))
    run_until(world, "a")
    world.send(m.EnqueueStage(id="a", comment="second"))
    assert not world.admit()
    reason = why(world.project, world.project.stages[2], world.now)
    assert reason is not None and reason.kind == "line"
    world.send(m.EnqueueStage(id="a", at_once=True))
    assert world.admit()


def test_queued_stages_can_be_reordered():
    world = started(chain("a"))
    run_until(world, "a")
    world.send(m.EnqueueStage(id="a", comment="first"))
    world.send(m.EnqueueStage(id="a", comment="second"))
    world.send(m.Reorder(stages=(3, 2)))
    run_order = []
    for _ in range(400):
        if not world.project.stages:
            break
        running = [s.number for s in world.project.stages.values() if s.state is StageState.RUNNING]
        run_order += [n for n in running if n not in run_order]
        if not (world.deliver() or world.admit()):
            effects = world.effects()
            for effect in effects:
                world.perform(effect)
            if not effects and world.running():
                world.end(world.running()[0], SUCCESS.but(started=world.now))
    assert run_order == [1, 3, 2]


def test_editing_the_pipeline_changes_queued_stages_and_adds_what_follows_now():
    world = started(chain("a", "b"))
    world.settle()
    world.send(m.EditPipeline(pipeline=chain("a", "b", "c")))
    world.settle()
    assert ids(world) == ["a:succeeded", "b:succeeded", "c:succeeded"]


def test_editing_a_pipeline_that_somebody_else_changed_is_a_conflict():
    world = started(chain("a"))
    error = world.try_send(m.EditPipeline(pipeline=chain("a", "b"), expected_version=99))
    assert isinstance(error, Conflict)


def test_a_queued_stage_can_be_changed_and_a_running_one_cannot():
    world = started(chain("a"))
    world.send(m.ChangeQueued(stage=1, overrides=Overrides(resources=Resources(gpu=Gpu(count=2)))))
    assert world.project.stages[1].overrides.resources.gpu.count == 2
    run_until(world, "a")
    assert isinstance(world.try_send(m.ChangeQueued(stage=1, comment="x")), Refused)


def test_what_can_never_fit_pauses_the_project_and_goes_on_by_itself():
    world = started(pipeline({"id": "a"}))
    world.fact(m.BecameImpossible(stage=1, text="no node has a GPU"))
    assert world.project.pause is not None and world.project.pause.kind == "impossible"
    world.fact(m.BecamePossible(stage=1))
    world.settle()
    assert ids(world) == ["a:succeeded"]


def test_a_skipped_stage_passes_its_own_workspace_source_on():
    made = pipeline(
        {"id": "a", "results": {"n": "integer"}},
        {"id": "b", "needs": ("a",), "when": "a.results.n > 5"},
        {"id": "c", "needs": ("a", "b"), "workspace": "b"},
    )
    world = started(made)
    number = run_until(world, "a")
    world.end((number, 1), SUCCESS.but(started=world.now, results={"n": "1"}))
    world.settle()
    last = world.project.ended[max(world.project.ended)]
    assert (last.id, last.source.kind, last.source.number) == ("c", "stage", 1)


def test_stopping_the_project_stops_everything_and_pauses_it():
    world = started(DIAMOND)
    run_until(world, "b")
    world.send(m.StopProject(actor="ada"))
    world.settle()
    assert world.project.state is ProjectState.PAUSED
    assert not world.project.stages
    assert not world.running()


def test_a_project_in_the_trash_accepts_only_its_restoration():
    world = started(chain("a", "b"))
    world.send(m.TrashProject(actor="ada"))
    assert isinstance(world.try_send(m.StartProject()), Refused)
    world.send(m.RestoreProject())
    world.send(m.StartProject())


def test_commands_about_what_does_not_exist_say_so():
    world = started(chain("a"))
    assert isinstance(world.try_send(m.StopStage(stage=9)), NotFound)
    assert isinstance(world.try_send(m.EnqueueStage(id="nope")), NotFound)
    assert isinstance(world.try_send(m.RedoStage(stage=9)), NotFound)
    assert isinstance(world.try_send(m.ChooseOfSweep(sweep=4, stage=1)), NotFound)


def test_a_condition_sees_the_defaults_of_parameters():
    made = pipeline(
        {"id": "a"},
        {"id": "b", "needs": ("a",), "when": "number(values.LIMIT) > 5"},
        parameters={"LIMIT": {"kind": "integer", "default": "3"}},
    )
    world = started(made)
    world.settle()
    assert ids(world) == ["a:succeeded", "b:skipped"]


def test_a_queued_stage_whose_secret_an_edit_removed_does_not_break_the_project():
    made = pipeline({"id": "a", "secrets": ("KEY",)}, secrets={"KEY": {}})
    world = started(made)
    assert [g.missing for g in world.project.gates] == [("KEY",)]
    world.send(m.EditPipeline(pipeline=pipeline({"id": "a"})))
    world.settle()
    assert ids(world) == ["a:succeeded"]


@pytest.mark.parametrize("name", ["1X", "a b", "", "WINSLOW_HOME", "X=Y", "é"])
def test_what_cannot_be_a_variable_is_refused_and_changes_nothing(name):
    world = started(chain("a"))
    error = world.try_send(m.SetValues(values={name: "1"}))
    assert error is not None and error.code == "value.name"


def test_a_value_with_a_nul_is_refused():
    error = started(chain("a")).try_send(m.EnqueueStage(id="a", overrides=Overrides(environment={"X": "a\0b"})))
    assert error is not None and error.code == "value.nul"


def test_what_follows_a_stage_that_a_person_skipped_goes_on():
    world = started(chain("a", "b", "c"))
    run_until(world, "a")
    world.send(m.PauseProject())
    world.settle()
    world.send(m.SkipStage(stage=2, actor="ada"))
    world.send(m.ResumeProject())
    world.settle()
    assert ids(world) == ["a:succeeded", "b:skipped", "c:succeeded"]
    assert world.project.ended[3].source.number == 1


def test_a_missing_secret_is_asked_for_and_can_be_given():
    world = started(pipeline({"id": "a", "secrets": ("KEY",)}, secrets={"KEY": {}}))
    assert [g.missing for g in world.project.gates] == [("KEY",)]
    assert isinstance(world.try_send(m.SetSecrets(secrets={"OTHER": "secret:1"})), NotFound)
    world.send(m.SetSecrets(secrets={"KEY": "secret:1"}))
    world.settle()
    assert ids(world) == ["a:succeeded"]
