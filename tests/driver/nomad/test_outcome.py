"""What has become of an attempt: every recorded case, and what must hold whatever the documents say."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.driver.nomad import replay
from winslow_nomad.core.ports import AttemptRef, Observation
from winslow_nomad.core.stage import Cause, Outcome, Reason
from winslow_nomad.driver.claim import Claim, parse_claim
from winslow_nomad.driver.nomad.outcome import ENDING, Verdict, judge, observation

REF = AttemptRef(project="p", stage=1, attempt=1)
WHEN = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
EXIT = Outcome(cause=Cause.EXIT, code=0, started=WHEN, ended=WHEN)
JOBS = [(name, job) for name in replay.cases() for job in replay.job_ids(name)]
JOB = {"ID": "j", "Status": "running", "Stop": False, "ModifyIndex": 5}


Document = dict[str, Any]


def allocation(number: int = 1, client: str = "running", task: Document | None = None, **more: Any) -> Document:
    """Number n is older than n + 1; its id is a-n, on the node n-n."""
    running = {"State": "running", "StartedAt": "2026-11-22T15:00:00.5Z", "Events": [{"Type": "Started", "Time": 1}]}
    known = {
        "ID": f"a-{number}",
        "JobID": "j",
        "NodeID": f"id-{number}",
        "NodeName": f"n-{number}",
        "CreateIndex": 10 * number,
        "ModifyIndex": 10 * number + 5,
        "ClientStatus": client,
        "DesiredStatus": "run",
        "TaskStates": {"winslow": running | (task or {})},
    }
    return known | more


def pending(number: int = 1, **more: Any) -> Document:
    task = {"State": "pending", "StartedAt": None, "Events": [{"Type": "Received"}]}
    return allocation(number, "pending", task, **more)


def dead(code: str = "0", number: int = 1, client: str = "complete", **details: str) -> Document:
    end = {"Type": "Terminated", "Details": {"exit_code": code, "oom_killed": "false", **details}}
    task = {"State": "dead", "FinishedAt": "2026-11-22T15:01:00Z", "Events": [{"Type": "Started", "Time": 1}, end]}
    return allocation(number, client, task)


def claim(number: int) -> Claim:
    return Claim(kind="runner", owner=f"a-{number}", time=WHEN)


# --- recorded cases


def expected() -> dict[str, list[str]]:
    """By case; `recordings/expected.txt` was read line by line against what is known of each case."""
    found: dict[str, list[str]] = {}
    for line in replay.EXPECTED.read_text().splitlines():
        if not line.startswith(" "):
            found[line] = []
        found[list(found)[-1]].append(line)
    return found


def test_every_recorded_case_is_answered_as_it_was_reviewed() -> None:
    wanted = expected()
    assert list(wanted) == replay.cases()
    assert len(wanted) == 141
    for name, lines in wanted.items():
        assert replay.answers(name) == lines


def test_no_recorded_case_is_ever_a_success_without_a_record_of_the_end() -> None:
    """There are many in which Nomad itself says complete."""
    complete = 0
    for name, job_id in JOBS:
        for world in replay.stream(name, job_id):
            complete += any(a["ClientStatus"] == "complete" for a in world.allocations.values())
            end = world.verdict().end(answered=1e9, grace=0.0)
            assert end is None or not end.succeeded
    assert complete > 100


def test_what_is_seen_of_a_recorded_case_never_goes_back_to_waiting_and_its_index_never_shrinks() -> None:
    for name, job_id in JOBS:
        seen = [observation(REF, world.verdict(), None) for world in replay.stream(name, job_id)]
        seen = [o for o in seen if o.phase != "absent"]
        for before, after in pairwise(seen):
            assert after.index >= before.index, name
            assert (before.phase, after.phase) not in {("running", "waiting"), ("out_of_contact", "waiting")}, name


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(JOBS), st.randoms(use_true_random=False), st.booleans())
def test_no_order_repetition_or_loss_of_events_changes_the_answer_once_everything_was_listed(
    chosen: tuple[str, str], random: Random, ends: bool
) -> None:
    name, job_id = chosen
    *_, last = replay.stream(name, job_id)
    end = EXIT if ends else None
    events = [e for e in replay.events(name) if not e[3]]
    world = replay.World(job_id)
    reports: list[Observation] = []
    for topic, _, document, _ in random.choices(events, k=random.randrange(2 * len(events))):
        world.apply(topic, document)
        world.claim = last.claim if random.random() < 0.5 else world.claim
        reports.append(observation(REF, world.verdict(), None))
    for document in random.sample(listed := [*last.allocations.values()], len(listed)):
        world.apply("Allocation", document)
    world.job, world.claim = last.job, last.claim
    asked = observation(REF, world.verdict(), end)
    assert asked == observation(REF, last.verdict(), end)
    known = asked
    for report in random.sample([*reports, asked], len(reports) + 1):
        known = report if report.index > known.index else known
    if asked.phase != "absent":
        assert known.phase == asked.phase


# --- rules


def test_the_record_of_the_end_wins_over_whatever_nomad_says() -> None:
    for documents in ([], [pending()], [allocation()], [dead("137")], [allocation(client="lost")]):
        seen = observation(REF, judge(JOB, documents, None), EXIT)
        assert (seen.phase, seen.outcome) == ("ended", EXIT)
    gone = observation(REF, judge(None, [], None), EXIT)
    assert gone.outcome == EXIT
    assert gone.index > observation(REF, judge(JOB, [allocation(ModifyIndex=10**12)], claim(1)), None).index


STOPPED = Outcome(cause=Cause.STOPPED, code=143, started=WHEN, ended=WHEN)


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        ({"DesiredStatus": "evict"}, "Nomad gave its place to a job of higher priority"),
        (
            {"DesiredStatus": "stop", "DesiredTransition": {"Migrate": True, "MigrateDisablePlacement": True}},
            "n-1 was drained",
        ),
        ({"DesiredStatus": "stop", "DesiredTransition": {"Migrate": True}}, "somebody stopped its allocation in Nomad"),
        (
            {"DesiredStatus": "stop", "DesiredDescription": "alloc is lost since its node is down"},
            "Nomad says: alloc is lost since its node is down",
        ),
        ({"DesiredStatus": "stop", "DesiredDescription": "alloc not needed due to job update"}, ""),
        ({}, ""),
    ],
)
@pytest.mark.parametrize("dies", [False, True])
def test_who_wanted_the_end_of_one_that_was_asked_to_end_is_told(seen: Document, text: str, dies: bool) -> None:
    """Not where its job was stopped: that is what Winslow does when a person stops it."""
    one = (dead("143") if dies else allocation()) | seen
    outcome = observation(REF, judge(JOB, [allocation(2), one], claim(1)), STOPPED).outcome
    assert outcome == STOPPED.but(message=text)
    for end in (EXIT, STOPPED.but(message="it has words of its own")):
        assert observation(REF, judge(JOB, [one], claim(1)), end).outcome == end


def test_what_nomad_calls_a_success_is_running_until_the_share_has_answered_for_a_grace_time() -> None:
    verdict = judge(JOB, [dead("0")], claim(1))
    seen = observation(REF, verdict, None)
    assert (seen.phase, seen.text, seen.node, seen.started is not None) == ("running", ENDING, "n-1", True)
    assert verdict.end(answered=9.9, grace=10.0) is None
    end = verdict.end(answered=10.0, grace=10.0)
    assert end is not None
    assert (end.cause, end.code, end.ended) == (Cause.RUNNER_LOST, None, datetime(2026, 11, 22, 15, 1, tzinfo=UTC))


def test_what_never_started_needs_no_grace() -> None:
    event = {"Type": "Driver Failure", "Details": {"driver_error": "Failed to pull `x`: manifest unknown"}}
    failed = allocation(client="failed", task={"State": "dead", "StartedAt": None, "Events": [event]})
    end = judge(JOB, [failed], None).end(answered=0.0, grace=10.0)
    assert end is not None
    assert (end.cause, end.started) == (Cause.EXEC_FAILED, None)
    assert end.message.startswith("there is no image x at its registry")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("Failed to pull `x:1`: Error response from daemon: manifest for x:1 not found", Cause.EXEC_FAILED),
        ("Failed to pull `x:1`: pull access denied for x, repository does not exist", Cause.EXEC_FAILED),
        ("Failed to pull `x:1`: dial tcp: lookup registry: no such host", Cause.RUNNER_LOST),
        ("Failed to pull `x:1`: dial unix /run/docker.sock: permission denied", Cause.RUNNER_LOST),
        ("failed to create container: bind source path does not exist: /srv/x", Cause.RUNNER_LOST),
    ],
)
def test_an_image_that_is_not_there_is_the_stage_s_fault_and_a_broken_node_is_not(error: str, cause: Cause) -> None:
    event = {"Type": "Driver Failure", "Details": {"driver_error": error}}
    failed = allocation(client="failed", task={"State": "dead", "StartedAt": None, "Events": [event]})
    verdict = judge(JOB, [failed], None)
    assert verdict.cause is cause
    assert error.rpartition("`: ")[2].removeprefix("Error response from daemon: ") in verdict.message


def test_whoever_holds_the_claim_counts_however_many_allocations_there_are() -> None:
    documents = [dead("3", 1, "failed"), allocation(2), pending(3)]
    first = judge(JOB, documents, claim(1))
    assert (first.phase, first.allocation, first.others) == ("over", "a-1", ("a-2", "a-3"))
    second = judge(JOB, documents, claim(2))
    assert (second.phase, second.node, second.others) == ("running", "n-2", ("a-1", "a-3"))


def test_without_a_claim_what_runs_or_may_run_goes_before_what_waits_and_what_is_over() -> None:
    away, over, waits, runs = allocation(1, "lost"), dead("0", 2), pending(3), allocation(4)
    for documents, node in [([over, waits], "n-3"), ([away, over, waits], "n-1"), ([away, over, waits, runs], "n-4")]:
        assert judge(JOB, documents, None).node == node
        assert judge(JOB, documents[::-1], None).node == node


def test_a_claim_of_an_allocation_that_nomad_has_forgotten_leaves_no_other_in_its_place() -> None:
    verdict = judge(JOB, [allocation(2)], claim(1))
    assert (verdict.phase, verdict.others) == ("out_of_contact", ("a-2",))
    assert verdict.end(1e9, 0.0) is None


def test_contact_lost_is_never_an_end() -> None:
    for status in ("unknown", "lost"):
        for seen in (None, claim(1)):
            verdict = judge(JOB, [allocation(client=status)], seen)
            assert (verdict.phase, verdict.end(1e9, 0.0)) == ("out_of_contact", None)


def test_docker_breaking_off_is_no_end_of_the_container() -> None:
    verdict = judge(JOB, [dead("0", client="failed", exit_message="unexpected EOF")], claim(1))
    assert (verdict.phase, verdict.end(1e9, 0.0)) == ("out_of_contact", None)


def test_a_task_that_is_not_dead_runs_whatever_its_allocation_is_called() -> None:
    """A time limit in Nomad: complete, FinishedAt set, and the process works on."""
    for status in ("complete", "failed"):
        late = allocation(client=status, task={"FinishedAt": "2026-11-22T15:01:00Z"})
        assert judge(JOB | {"Status": "dead"}, [late], claim(1)).phase == "running"


def test_a_start_that_only_the_claim_tells_of_is_a_start() -> None:
    verdict = judge(JOB, [pending()], claim(1))
    assert (verdict.phase, verdict.started) == ("running", WHEN)


def test_a_start_is_known_by_its_time_or_by_its_event_of_which_only_the_last_ten_are_kept() -> None:
    long = allocation(task={"Events": [{"Type": "Signaling", "Time": i} for i in range(10)]})
    early = allocation(task={"StartedAt": None, "Events": [{"Type": "Started", "Time": 1_795_361_346_000_000_000}]})
    assert judge(JOB, [long], None).phase == "running"
    assert judge(JOB, [early], None).started == datetime(2026, 11, 22, 15, 29, 6, tzinfo=UTC)


def test_a_later_phase_and_a_claim_that_was_seen_have_the_higher_index() -> None:
    """Whatever list it was that came too late."""
    waits = observation(REF, judge(JOB, [pending(ModifyIndex=10**9)], None), None)
    runs = observation(REF, judge(JOB, [allocation()], None), None)
    claimed = observation(REF, judge(JOB, [allocation()], claim(1)), None)
    assert waits.index < runs.index < claimed.index


def test_a_node_lost_before_the_start_is_waited_for_unless_a_runner_has_claimed() -> None:
    before = pending(ClientStatus="lost", DesiredStatus="stop")
    assert judge(JOB, [before], None).phase == "waiting"
    assert judge(JOB, [before], claim(1)).phase == "out_of_contact"
    assert judge(JOB | {"Stop": True}, [before], None).phase == "out_of_contact", "nobody places it again"


def test_a_node_that_returns_and_gives_up_what_it_never_started_ends_nothing() -> None:
    """Nomad has placed it anew, or waits for room to: what the first node says is about nothing."""
    description = "alloc is lost since its node is down"
    task = {"State": "dead", "StartedAt": None, "Events": [{"Type": "Received"}]}
    gone = allocation(1, "complete", DesiredStatus="stop", DesiredDescription=description, task=task)
    for task_states in (gone["TaskStates"], None):
        back = gone | {"TaskStates": task_states}
        assert judge(JOB, [back], None).phase == "waiting"
        assert judge(JOB, [back, allocation(2)], claim(2)).phase == "running"
        assert judge(JOB, [back, pending(2, ClientStatus="lost")], None).phase == "waiting"
        assert judge(JOB | {"Stop": True}, [back], None).phase == "over", "nobody places it again"
    ran = allocation(1, "complete", DesiredStatus="stop", DesiredDescription=description, task={"State": "dead"})
    assert judge(JOB, [ran], claim(1)).phase == "over"


def test_a_job_without_allocations_waits_and_one_that_is_stopped_or_unknown_is_absent() -> None:
    assert judge(JOB | {"Status": "pending"}, [], None).phase == "waiting"
    assert judge(JOB | {"Stop": True}, [], None).phase == "absent"
    assert judge(None, [], None).phase == "absent"
    assert observation(REF, judge(None, [], None), None) == Observation(ref=REF, phase="absent")


def test_a_cancelled_claim_ends_it() -> None:
    verdict = judge(JOB, [allocation()], Claim(kind="cancelled"))
    end = verdict.end(answered=0.0, grace=10.0)
    assert end is not None and end.cause is Cause.CANCELLED


def test_a_claim_that_is_half_written_says_nothing_yet() -> None:
    torn = parse_claim(b'{"format":1,"tok')
    assert torn is not None and torn.kind == "unreadable"
    assert judge(JOB, [allocation()], torn) == judge(JOB, [allocation()], None)
    assert parse_claim(None) is None


def test_the_reason_of_the_caller_stands_unless_something_has_happened() -> None:
    mine = Reason(kind="busy", text="waits for a GPU", ahead=2)
    for documents in ([], [pending()]):
        assert observation(REF, judge(JOB, documents, None), None, mine).reason == mine
    plain = observation(REF, judge(JOB, [pending()], None), None).reason
    assert plain is not None and plain.text == "is being started"
    for found, text in [
        (pending(ClientStatus="lost"), "n-1 was lost before it started there"),
        (pending(DesiredStatus="evict"), "Nomad gave its place to a job of higher priority before it started"),
    ]:
        reason = observation(REF, judge(JOB, [found], None), None, mine).reason
        assert reason is not None and reason.text == text


def test_memory_is_named_where_docker_says_so_whatever_the_code() -> None:
    for code in ("0", "137"):
        verdict = judge(JOB, [dead(code, client="failed", oom_killed="true", exit_message="OOM Killed")], claim(1))
        assert (verdict.phase, verdict.cause) == ("over", Cause.OUT_OF_MEMORY)


def test_a_second_start_that_its_claim_refused_is_told_as_such() -> None:
    refused = dead("90", client="failed", exit_message="Docker container exited with non-zero exit code: 90")
    assert "started a second time" in judge(JOB, [refused], claim(1)).message


FIELDS = ["ClientStatus", "DesiredStatus", "NodeName", "ModifyIndex", "DesiredTransition"]
words = st.sampled_from(["", "running", "pending", "complete", "failed", "lost", "unknown", "run", "stop", "evict"])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(FIELDS), max_size=3),
    words,
    words,
    st.sampled_from([None, claim(1), claim(2), Claim(kind="cancelled"), Claim()]),
    st.booleans(),
)
def test_documents_with_fields_missing_never_raise_and_never_succeed(
    missing: list[str], client: str, desired: str, seen: Claim | None, stopped: bool
) -> None:
    found = {k: v for k, v in allocation(1, client, DesiredStatus=desired).items() if k not in missing}
    for documents in ([found], [found, pending(2)], [{"ID": "a-1", "TaskStates": None}]):
        verdict = judge(JOB | {"Stop": stopped}, documents, seen)
        end = verdict.end(1e9, 0.0)
        assert end is None or not end.succeeded
        assert isinstance(verdict, Verdict)
        observation(REF, verdict, None)
