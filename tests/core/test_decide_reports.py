"""What the outside reports, and what becomes of the project: late, early, repeated, and of things that are gone."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from tests.core.stories import FAILED, SUCCESS, ids, run_until, run_until_attempt, started
from tests.core.world import START, World, chain, pipeline
from winslow_nomad.core import messages as m
from winslow_nomad.core.effects import PrepareWorkspace, StopAttempt, SubmitAttempt, WakeAt
from winslow_nomad.core.facts import describe
from winslow_nomad.core.outstanding import outstanding
from winslow_nomad.core.project import Pause, ProjectState
from winslow_nomad.core.stage import AttemptState, Cause, EnvironmentValue, Outcome, Reason, StageState

FIRST = {"stage": 1, "attempt": 1}
BUSY = Reason(kind="busy", text="all 4 GPUs are in use")


def prepared(made=None) -> World:
    """Its first stage has a workspace and is to be submitted."""
    world = started(made or chain("a", "b"))
    world.admit()
    world.fact(m.WorkspaceReady(**FIRST))
    return world


def tried_again(**retry) -> World:
    """Its first attempt has failed."""
    world = started(pipeline({"id": "a", "retry": {"failed": 1, **retry}}))
    run_until(world, "a")
    world.fact(m.AttemptEnded(**FIRST, outcome=FAILED.but(started=world.now)))
    return world


def notices(world: World) -> list[tuple[str, int]]:
    return [(n.what, n.stage) for n in world.notices]


def of(world: World, what: str) -> list[m.Entry]:
    return [e for e in world.entries if e.what == what]


# --- what cannot start


def test_what_can_never_fit_is_told_once_and_said_on_the_stage():
    world = started(chain("a"))
    world.fact(m.BecameImpossible(stage=1, text="no node has a GPU"))
    world.fact(m.BecameImpossible(stage=1, text="no node has two GPUs"))
    assert world.project.stages[1].reason == Reason(kind="impossible", text="cannot start: no node has two GPUs")
    assert world.project.pause is not None and world.project.pause.stage == 1
    assert world.project.pause.text == "a cannot start: no node has a GPU"
    assert notices(world) == [("impossible", 1)]


def test_what_could_never_fit_goes_on_without_the_old_reason_once_it_fits():
    world = started(chain("a"))
    world.fact(m.BecameImpossible(stage=1, text="no node has a GPU"))
    world.fact(m.BecamePossible(stage=2))
    assert world.project.pause is not None, "another stage's luck is not this one's"
    world.fact(m.BecamePossible(stage=1))
    assert world.project.pause is None and world.project.stages[1].reason is None


@pytest.mark.parametrize("kind", ["failure", "pause_after", "person"])
def test_a_pause_of_another_kind_does_not_end_because_something_fits_now(kind):
    world = started(chain("a", "b"))
    world.project = world.project.but(pause=Pause(kind=kind, text="because", stage=1, since=world.now))
    world.fact(m.BecamePossible(stage=1))
    assert world.project.pause is not None


def test_a_stage_whose_image_cannot_be_had_goes_back_into_the_line_and_says_which_error_it_was():
    world = started(chain("a"))
    world.admit()
    world.fact(m.ImageUnusable(**FIRST, code="image.not_found", text="there is no image a:1"))
    stage = world.project.stages[1]
    assert (stage.state, stage.attempts) == (StageState.QUEUED, ())
    assert stage.reason == Reason(kind="impossible", text="cannot start: there is no image a:1", code="image.not_found")
    assert world.project.pause is not None
    assert (world.project.pause.stage, world.project.pause.code) == (1, "image.not_found")
    assert notices(world) == [("impossible", 1)]


def test_an_unusable_image_ends_no_pause_of_a_person_and_a_stop_that_was_asked_for_is_not_forgotten():
    world = started(chain("a"))
    world.admit()
    world.send(m.PauseProject(actor="ada"))
    world.fact(m.ImageUnusable(**FIRST, code="image.not_found", text="there is none"))
    assert world.project.pause is not None and world.project.pause.kind == "person"
    assert world.project.stages[1].state is StageState.QUEUED and not world.project.stages[1].held
    assert not notices(world)
    other = started(chain("a"))
    other.admit()
    other.send(m.StopStage(stage=1, actor="ada"))
    other.fact(m.ImageUnusable(**FIRST, code="image.not_found", text="there is none"))
    assert StopAttempt(stage=1, attempt=1, how="terminate") in other.effects()


# --- its workspace


def test_while_a_workspace_is_copied_the_stage_says_so_and_the_copy_is_asked_for_once():
    world = started(chain("a"))
    world.admit()
    assert world.effects() == [PrepareWorkspace(stage=1, attempt=1)]
    world.fact(m.WorkspaceBegun(**FIRST, operation="o1"))
    assert world.effects() == []
    assert world.project.stages[1].reason == Reason(kind="workspace", text="its workspace is being copied")
    world.fact(m.WorkspaceReady(**FIRST))
    assert world.project.stages[1].reason is None and world.project.stages[1].operation is None
    assert world.effects() == [SubmitAttempt(stage=1, attempt=1)]


def test_a_copy_that_failed_for_now_is_begun_anew_and_the_stage_says_what_was_wrong():
    world = started(chain("a"))
    world.admit()
    world.fact(m.WorkspaceBegun(**FIRST, operation="o1"))
    world.fact(m.WorkspaceFailed(**FIRST, text="the disk is full"))
    assert world.effects() == [PrepareWorkspace(stage=1, attempt=1)]
    assert world.project.stages[1].reason == Reason(kind="share", text="the disk is full")


def test_a_workspace_that_can_never_be_made_fails_the_stage_with_the_reason():
    world = started(chain("a"))
    world.admit()
    world.fact(m.WorkspaceFailed(**FIRST, text="the source is gone", for_ever=True))
    assert ids(world) == ["a:failed"]
    assert world.project.ended[1].message == "a could not get its workspace: the source is gone"
    assert world.project.ended[1].cause == "workspace"


# --- the driver


def test_what_the_driver_refuses_for_ever_has_failed_with_its_words():
    world = prepared()
    world.fact(m.AttemptRejected(**FIRST, text="unknown field"))
    assert world.project.ended[1].message == "a cannot be run: unknown field"
    assert world.project.ended[1].cause == "rejected"
    assert world.project.ended[1].attempt == 0, "it never ran"
    assert [s.state for s in world.project.sealing.values()] == [StageState.FAILED]


def test_a_refusal_of_what_the_driver_had_accepted_changes_nothing():
    world = prepared()
    world.fact(m.AttemptAccepted(**FIRST))
    world.fact(m.AttemptRejected(**FIRST, text="unknown field"))
    assert world.project.stages[1].state is StageState.SUBMITTED


def test_what_waits_at_the_driver_says_why_and_no_longer_once_it_runs():
    world = prepared()
    world.fact(m.AttemptWaits(**FIRST, reason=BUSY))
    assert (world.project.stages[1].state, world.project.stages[1].reason) == (StageState.SUBMITTED, BUSY)
    world.fact(m.AttemptStarted(**FIRST, node="n1", started=world.now))
    world.fact(m.AttemptWaits(**FIRST, reason=BUSY))
    assert (world.project.stages[1].state, world.project.stages[1].reason) == (StageState.RUNNING, None)


def test_what_cannot_be_done_now_says_so_on_the_stage_and_stays_to_be_done():
    world = prepared()
    away = Reason(kind="driver_away", text="Nomad does not answer")
    world.fact(m.EffectParked(**FIRST, reason=away))
    assert world.project.stages[1].reason == away
    assert world.effects() == [SubmitAttempt(stage=1, attempt=1)]


def test_a_start_is_told_once_with_how_long_the_stage_had_waited():
    world = prepared()
    world.wait(90)
    world.fact(m.AttemptStarted(**FIRST, node="n1", started=world.now))
    (entry,) = of(world, "stage_started")
    assert (entry.stage, entry.text, entry.data) == (1, "n1", {"automatic": True, "waited": 90.0})
    again = tried_again(delay=0)
    run_until_attempt(again, 1, 2)
    assert (len(of(again, "stage_started")), len(of(again, "attempt_started"))) == (1, 2)


def test_a_stage_has_started_when_its_first_attempt_did():
    world = started(pipeline({"id": "a", "retry": {"failed": 1, "delay": 0}}))
    run_until(world, "a")
    first = world.now
    world.wait(60)
    world.fact(m.AttemptEnded(**FIRST, outcome=FAILED.but(started=first)))
    stage = run_until_attempt(world, 1, 2)
    assert (stage.started, stage.attempts[0].started) == (first, first)
    assert stage.attempts[1].started == first + timedelta(seconds=60)


def test_an_end_whose_start_nobody_saw_tells_when_it_started():
    world = prepared()
    world.fact(m.AttemptAccepted(**FIRST))
    began = world.now
    world.wait(60)
    world.fact(m.AttemptEnded(**FIRST, outcome=SUCCESS.but(started=began)))
    assert (world.project.ended[1].started, world.project.ended[1].attempt) == (began, 1)
    (entry,) = of(world, "stage_ended")
    assert entry.data == {"state": "succeeded", "automatic": True, "seconds": 60.0}


@pytest.mark.parametrize("seen", ["nothing", "workspace", "accepted", "started"])
def test_an_end_is_taken_however_little_was_seen_before_it(seen):
    steps = [m.WorkspaceReady(**FIRST), m.AttemptAccepted(**FIRST), m.AttemptStarted(**FIRST, started=START)]
    for cause, code, ran in product(Cause, (0, 1), (False, True)):
        world = started(pipeline({"id": "a", "retry": {"node_lost": 0}}))
        world.admit()
        for fact in steps[: ["nothing", "workspace", "accepted", "started"].index(seen)]:
            world.fact(fact)
        outcome = Outcome(cause=cause, code=code, started=START if ran else None)
        world.fact(m.AttemptEnded(**FIRST, outcome=outcome))
        if cause is Cause.CANCELLED:
            assert world.project.stages[1].state is StageState.QUEUED
            continue
        ended = world.project.ended[1]
        assert ended.state is (StageState.SUCCEEDED if outcome.succeeded else StageState.FAILED)
        assert ended.attempt == (1 if ran or outcome.succeeded or seen == "started" else 0), "0: it never ran"


def test_what_ran_before_the_withdrawal_reached_it_runs_on_and_a_stop_is_still_a_stop():
    world = prepared()
    world.fact(m.AttemptWaits(**FIRST, reason=BUSY))
    world.send(m.PauseProject())
    world.fact(m.AttemptStarted(**FIRST, node="n1", started=world.now))
    assert (world.project.stages[1].stop, world.effects()) == ("", [])
    other = prepared()
    other.fact(m.AttemptAccepted(**FIRST))
    other.send(m.StopStage(stage=1, actor="ada"))
    other.fact(m.AttemptStarted(**FIRST, node="n1", started=other.now))
    assert other.effects() == [StopAttempt(stage=1, attempt=1, how="terminate")]


def test_a_stop_says_who_asked_for_it():
    world = started(chain("a"))
    run_until(world, "a")
    world.send(m.StopStage(stage=1, actor="ada"))
    world.fact(m.AttemptEnded(**FIRST, outcome=Outcome(cause=Cause.STOPPED, started=world.now)))
    assert (ids(world), world.project.ended[1].message) == (["a:stopped"], "stopped by ada")
    assert not world.project.failures


# --- contact


def test_a_node_out_of_contact_is_told_once_and_forgotten_once_it_is_back():
    world = started(pipeline({"id": "a", "patience": 900}))
    run_until(world, "a")
    since = world.now
    world.fact(m.AttemptOutOfContact(**FIRST, text="n1 does not answer"))
    assert world.project.stages[1].reason == Reason(kind="contact", text="n1 does not answer")
    assert WakeAt(at=since + timedelta(seconds=900)) in outstanding(world.project)
    world.wait(30)
    world.fact(m.AttemptOutOfContact(**FIRST, text="n1 still does not answer"))
    attempt = world.project.stages[1].attempt
    assert attempt is not None and attempt.out_of_contact == since, "patience counts from the first report"
    world.fact(m.AttemptInContact(**FIRST))
    attempt = world.project.stages[1].attempt
    assert attempt is not None and attempt.out_of_contact is None and world.project.stages[1].reason is None
    assert outstanding(world.project) == ()
    assert (len(of(world, "out_of_contact")), len(of(world, "in_contact"))) == (1, 1)


def test_a_newer_report_of_the_driver_counts_and_is_remembered():
    world = started(chain("a"))
    run_until(world, "a")
    world.fact(m.AttemptOutOfContact(**FIRST, index=7, text="cut off"))
    attempt = world.project.stages[1].attempt
    assert attempt is not None and (attempt.index, attempt.out_of_contact) == (7, world.now)
    world.fact(m.AttemptInContact(**FIRST, index=6))
    assert world.project.stages[1].attempt == attempt
    world.fact(m.AttemptInContact(**FIRST, index=8))
    attempt = world.project.stages[1].attempt
    assert attempt is not None and (attempt.index, attempt.out_of_contact) == (8, None)


def test_an_end_counts_whatever_the_driver_has_reported_since():
    world = started(chain("a"))
    run_until(world, "a")
    world.fact(m.AttemptInContact(**FIRST, index=50))
    world.fact(m.AttemptEnded(**FIRST, index=3, outcome=SUCCESS.but(started=world.now)))
    assert ids(world) == ["a:succeeded"]


# --- trying again


def test_each_kind_of_end_has_its_own_number_of_retries():
    world = started(pipeline({"id": "a", "retry": {"failed": 1, "node_lost": 1, "timeout": 1, "delay": 0}}))
    ends = [FAILED, Outcome(cause=Cause.NODE_LOST), Outcome(cause=Cause.TIMEOUT)]
    for number, outcome in enumerate(ends, start=1):
        run_until_attempt(world, 1, number)
        world.fact(m.AttemptEnded(stage=1, attempt=number, outcome=outcome.but(started=world.now)))
    run_until_attempt(world, 1, 4)
    world.fact(m.AttemptEnded(stage=1, attempt=4, outcome=FAILED.but(started=world.now)))
    assert (ids(world), world.project.ended[1].attempt) == (["a:failed"], 4)
    assert world.project.ended[1].message == "a ended with exit code 3 (attempt 4)"


@pytest.mark.parametrize(
    ("cause", "policy"),
    [
        (Cause.EXIT, "failed"),
        (Cause.EXEC_FAILED, "failed"),
        (Cause.OUT_OF_MEMORY, "failed"),
        (Cause.TIMEOUT, "timeout"),
        (Cause.RUNNER_LOST, "node_lost"),
        (Cause.NODE_LOST, "node_lost"),
        (Cause.SUPERSEDED, "node_lost"),
        (Cause.STOPPED, "node_lost"),
        (Cause.KILLED, "node_lost"),
    ],
)
@pytest.mark.parametrize("allowed", ["failed", "timeout", "node_lost"])
def test_an_attempt_is_tried_again_under_the_policy_for_its_end_and_no_other(cause, policy, allowed):
    retry = {"failed": 0, "timeout": 0, "node_lost": 0, "delay": 0}
    world = started(pipeline({"id": "a", "retry": retry | {allowed: 1}}))
    run_until(world, "a")
    world.fact(m.AttemptEnded(**FIRST, outcome=Outcome(cause=cause, code=1, started=world.now)))
    assert (1 in world.project.stages) == (policy == allowed)


def test_a_retry_says_which_attempt_follows_and_when_and_asks_to_be_woken_for_it():
    world = tried_again(delay=60)
    stage = world.project.stages[1]
    due = world.now + timedelta(seconds=60)
    assert stage.reason == Reason(kind="retry", text="attempt 2 follows; a ended with exit code 3", until=due)
    assert WakeAt(at=due) in outstanding(world.project)
    world.now = due
    world.fact(m.TimerFired())
    assert world.project.stages[1].retry_at is None and world.project.stages[1].reason is None


def test_a_retry_without_delay_stands_in_line_at_once():
    stage = tried_again(delay=0).project.stages[1]
    assert (stage.state, stage.retry_at, stage.reason) == (StageState.QUEUED, None, None)


def test_the_world_is_woken_at_the_first_of_several_times():
    made = pipeline({"id": "a", "retry": {"failed": 1, "delay": 60}}, {"id": "b", "retry": {"failed": 1, "delay": 20}})
    world = started(made)
    for number in (1, 2):
        run_until(world, "ab"[number - 1])
        failed = FAILED.but(started=world.now)
        world.fact(m.AttemptEnded(stage=number, attempt=1, outcome=failed))
    assert outstanding(world.project)[-1] == WakeAt(at=world.now + timedelta(seconds=20))


def test_a_retry_has_what_the_first_attempt_had_but_a_fresh_workspace_unless_it_is_to_continue():
    for workspace, source in (("fresh", "empty"), ("continue", "attempt")):
        world = tried_again(delay=0, workspace=workspace)
        world.send(m.SetValues(values={"NEW": "1"}))
        world.admit()
        stage = world.project.stages[1]
        assert stage.source is not None and stage.source.kind == source
        assert "NEW" not in {v.name for v in stage.environment or ()}


def test_an_environment_is_settled_when_the_stage_is_admitted():
    world = started(chain("a"))
    installed = EnvironmentValue(name="SITE", value="north", origin="installation")
    world.fact(m.Admitted(stage=1, installation=(installed,)))
    assert installed in (world.project.stages[1].environment or ())


def test_the_results_of_a_failed_stage_are_kept():
    world = started(pipeline({"id": "a", "results": {"n": "integer"}}))
    run_until(world, "a")
    world.fact(m.AttemptEnded(**FIRST, outcome=FAILED.but(started=world.now, results={"n": "5"})))
    assert world.project.ended[1].results == {"n": 5}


def test_an_end_is_told_in_the_words_of_its_cause():
    world = started(pipeline({"id": "a", "timeout": 60, "resources": {"memory": 2**31}}))
    stage = world.project.stages[run_until(world, "a")]
    told = [
        (Outcome(cause=Cause.EXIT, code=3), "a ended with exit code 3"),
        (Outcome(cause=Cause.EXIT, code=139, signal=11), "a was ended by signal 11 (SIGSEGV)"),
        (Outcome(cause=Cause.TIMEOUT), "a ran longer than its 1 min"),
        (Outcome(cause=Cause.OUT_OF_MEMORY), "a used all of its 2 GiB of memory"),
        (Outcome(cause=Cause.EXEC_FAILED, message="no such file"), "a could not be started: no such file"),
        (Outcome(cause=Cause.NODE_LOST), "the node of a was lost"),
        (Outcome(cause=Cause.SUPERSEDED), "the node of a was lost"),
        (Outcome(cause=Cause.KILLED), "a was ended from outside"),
        (Outcome(cause=Cause.REJECTED), "a cannot be run"),
        (Outcome(cause=Cause.WORKSPACE), "a could not get its workspace"),
    ]
    assert [describe(stage, outcome) for outcome, _ in told] == [text for _, text in told]
    unlimited = stage.but(definition=stage.definition.but(timeout=None))
    assert describe(unlimited, Outcome(cause=Cause.TIMEOUT)) == "a ran too long"


# --- pauses and what is under way


def test_what_is_prepared_in_a_pause_is_held_back_and_submitted_afterwards():
    world = started(chain("a"))
    world.admit()
    world.send(m.PauseProject(actor="ada"))
    assert world.project.stages[1].reason == Reason(kind="paused", text="prepared; held back by the pause by ada")
    world.fact(m.WorkspaceReady(**FIRST))
    assert world.effects() == [] and world.project.state is ProjectState.PAUSED
    assert world.project.stages[1].reason is not None, "it still says why it waits"
    world.send(m.ResumeProject())
    assert world.effects() == [SubmitAttempt(stage=1, attempt=1)]
    assert world.project.stages[1].reason is None


def test_what_was_withdrawn_from_the_driver_stands_in_line_again_as_if_it_had_not_been_tried():
    world = prepared(pipeline({"id": "a", "retry": {"failed": 0, "node_lost": 0, "delay": 60}}))
    world.fact(m.AttemptWaits(**FIRST, reason=BUSY))
    world.send(m.PauseProject())
    world.fact(m.StopSent(**FIRST, how="withdraw"))
    assert world.project.stages[1].stop == ""
    world.fact(m.AttemptEnded(**FIRST, outcome=Outcome(cause=Cause.CANCELLED)))
    stage = world.project.stages[1]
    assert (stage.state, stage.retry_at) == (StageState.QUEUED, None)
    assert stage.attempts[0].state is AttemptState.ENDED


def test_a_softer_word_after_the_harder_is_not_sent_again():
    world = started(chain("a"))
    run_until(world, "a")
    world.send(m.StopStage(stage=1, kill=True))
    world.fact(m.StopSent(**FIRST, how="kill"))
    world.fact(m.StopSent(**FIRST, how="terminate"))
    world.send(m.StopStage(stage=1))
    assert world.effects() == []
    assert len(of(world, "stop_asked")) == 1
