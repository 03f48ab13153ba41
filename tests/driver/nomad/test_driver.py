"""The driver over a small real HTTP server: starting exactly once, stopping, looking, following, and what it costs.
What a real cluster does with all that is tried in tests/contracts and tests/cluster."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.driver.attempt_tree import AttemptTree
from tests.driver.nomad.server import FakeNomad
from tests.waiting import until
from winslow_nomad.core.errors import DriverRejected, DriverUnavailable
from winslow_nomad.core.pipeline import Resources
from winslow_nomad.core.ports import AttemptRef, AttemptSpec, Observation
from winslow_nomad.core.stage import Cause, Outcome
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.client import Client
from winslow_nomad.driver.nomad.driver import NomadDriver
from winslow_nomad.driver.nomad.site import Site

GRACE = 10.0


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """A server, a share, and as many drivers (processes) as a test makes; `seconds` is their monotonic clock."""

    def __init__(self, root: Path, server: FakeNomad) -> None:
        self.server = server
        self.tree = AttemptTree(root)
        self.seconds = 1000.0
        self.count = 0
        self.driver = self.another()
        self.worker = self.another()

    def another(self, *, resync: float = 1000.0, pulse: float = 1000.0, **changes: Any) -> NomadDriver:
        access = Access(**{"address": self.server.address, "answer": 0.3, **changes})
        site = Site(installation="test", share_roots={"*": "/srv"}, runner_version="1")
        return NomadDriver(
            client=Client(access),
            site=site,
            attempts=self.tree,
            clock=Clock(),
            monotonic=lambda: self.seconds,
            end_grace=GRACE,
            resync=resync,
            pulse=pulse,
        )

    def spec(self, **more: Any) -> AttemptSpec:
        self.count += 1
        ref = AttemptRef(project="p", stage=self.count, attempt=1)
        return self.tree.make(ref, ("true",), **more).but(image="box:1")

    def submitted(self, **more: Any) -> AttemptSpec:
        """By another process than the one that follows."""
        spec = self.spec(**more)
        self.worker.submit(spec)
        return spec

    def job(self, ref: AttemptRef) -> str:
        return next(j for j, d in self.server.jobs.items() if d["Meta"]["winslow_ref"] == str(ref))

    def place(self, ref: AttemptRef, **changes: Any) -> str:
        return str(self.server.place(self.job(ref), **changes)["ID"])

    def runs(self, ref: AttemptRef, **changes: Any) -> str:
        """Placed, started, and claimed by its runner."""
        allocation = self.place(ref, **changes)
        self.server.starts(allocation)
        self.claim(ref, allocation)
        return allocation

    def claim(self, ref: AttemptRef, allocation: str) -> None:
        claim = {"kind": "runner", "owner": allocation, "time": "2026-01-01T00:00:00Z"}
        (self.tree.directory(ref) / "claim").write_text(json.dumps(claim))

    def runner_ends(self, ref: AttemptRef, code: int = 0) -> None:
        now = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
        self.tree.publish_end(ref, Outcome(cause=Cause.EXIT, code=code, started=now, ended=now))

    def see(self, ref: AttemptRef, after: float = 100.0, driver: NomadDriver | None = None) -> Observation:
        self.seconds += after
        return (driver or self.driver).observe([ref])[0]

    def ended(self, ref: AttemptRef, after: float) -> Outcome:
        """As soon as the rest of its log is here, which is fetched beside."""
        self.seconds += after
        until(lambda: self.see(ref, 0.0).phase == "ended")
        return self.see(ref, 0.0).outcome


@pytest.fixture
def server() -> Iterator[FakeNomad]:
    with FakeNomad() as made:
        made.add_node("n1")
        made.add_node("n2")
        yield made


@pytest.fixture
def world(server: FakeNomad, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, server)
    yield made
    made.driver.close()


# --- starting


def test_a_start_is_one_write_and_says_why_it_waits(world: World, server: FakeNomad) -> None:
    seen = world.driver.submit(world.spec())
    assert seen.phase == "waiting" and seen.reason is not None
    assert (server.count("PUT"), len(server.jobs)) == (1, 1)


def test_the_same_start_by_another_process_changes_nothing(world: World, server: FakeNomad) -> None:
    spec = world.submitted()
    before = dict(server.jobs)
    world.runs(spec.ref)
    assert world.another().submit(spec).phase == "running"
    assert list(server.jobs) == list(before)


def test_another_specification_under_the_same_name_is_rejected(world: World, server: FakeNomad) -> None:
    spec = world.submitted()
    with pytest.raises(DriverRejected, match="another specification"):
        world.another().submit(spec.but(fingerprint="another"))
    assert server.jobs[world.job(spec.ref)]["Meta"]["winslow_fingerprint"] == spec.fingerprint


def test_a_start_whose_answer_was_lost_is_found_out_and_made_once(world: World, server: FakeNomad) -> None:
    lost = iter(["lose"])
    server.faults = lambda method, path: next(lost, None) if method == "PUT" else None
    assert world.driver.submit(world.spec()).phase == "waiting"
    assert len(server.jobs) == 1


def test_a_start_that_was_lost_before_it_was_read_is_repeated(world: World, server: FakeNomad) -> None:
    lost = iter(["refuse"])
    server.faults = lambda method, path: next(lost, None) if method == "PUT" else None
    assert world.driver.submit(world.spec()).phase == "waiting"
    assert (server.count("PUT"), len(server.jobs)) == (2, 1)


def test_a_start_that_cannot_be_settled_is_tried_again_later_and_is_one_job_then(
    world: World, server: FakeNomad
) -> None:
    spec = world.spec()
    world.driver.inventory()  # so that the start is all that is asked for
    server.faults = lambda method, path: "lose" if method == "PUT" else "refuse"
    with pytest.raises(DriverUnavailable):
        world.driver.submit(spec)
    server.faults = lambda method, path: None
    assert world.driver.submit(spec).phase == "waiting"
    assert len(server.jobs) == 1


@pytest.mark.parametrize("text", ["No cluster leader", "raft: leadership lost while committing log"])
def test_a_cluster_without_a_leader_rejects_nothing_for_ever(world: World, server: FakeNomad, text: str) -> None:
    world.driver.inventory()
    server.answers = lambda method, path: (500, text) if method == "PUT" and path == "/v1/jobs" else None
    with pytest.raises(DriverUnavailable):
        world.driver.submit(world.spec())


def test_a_cluster_without_a_leader_is_asked_once_since_each_answer_takes_it_five_seconds(
    world: World, server: FakeNomad
) -> None:
    world.driver.submit(world.spec())
    begun = len(server.asked)
    server.answers = lambda method, path: (500, "No cluster leader")
    with pytest.raises(DriverUnavailable) as away:
        world.driver.submit(world.spec())
    assert away.value.code == "nomad.no_leader"
    assert server.asked[begun:] == [("PUT", "/v1/jobs")]


def test_what_nomad_finds_wrong_with_a_job_rejects_it_in_nomads_words(world: World, server: FakeNomad) -> None:
    wrong = {"ValidationErrors": ["Task winslow: missing image"], "Error": "x", "Warnings": ""}
    answers = {"/v1/jobs": (500, "1 error occurred"), "/v1/validate/job": (200, json.dumps(wrong))}
    world.driver.inventory()
    server.answers = lambda method, path: answers.get(path) if method == "PUT" else None
    with pytest.raises(DriverRejected, match="missing image") as refused:
        world.driver.submit(world.spec())
    assert refused.value.code == "nomad.job_refused"


@pytest.mark.parametrize("what", ['namespace "winslow"', 'node pool "gpu"'])
def test_what_an_administrator_has_to_make_is_named_to_all_who_wait_for_it(
    world: World, server: FakeNomad, what: str
) -> None:
    wrong = {"ValidationErrors": [f'job "x" is in nonexistent {what}'], "Error": "x", "Warnings": ""}
    answers = {"/v1/jobs": (500, "1 error occurred"), "/v1/validate/job": (200, json.dumps(wrong))}
    world.driver.inventory()
    server.answers = lambda method, path: answers.get(path) if method == "PUT" else None
    with pytest.raises(DriverUnavailable) as away:
        world.driver.submit(world.spec())
    assert away.value.code == "nomad.not_set_up"
    assert away.value.message.partition(":")[0] == f"Nomad has no {what.replace(chr(34), '')}"


def test_a_missing_right_waits_for_who_can_give_it(world: World, server: FakeNomad) -> None:
    server.answers = lambda method, path: (403, "Permission denied") if method == "PUT" else None
    with pytest.raises(DriverUnavailable, match="submit-job") as refused:
        world.another(token="t").submit(world.spec())
    assert refused.value.code == "nomad.forbidden"
    assert server.count("PUT") == 1, "a refusal is not asked for twice"


def test_what_was_cancelled_or_has_ended_makes_no_job(world: World, server: FakeNomad) -> None:
    cancelled, ended = world.spec(), world.spec()
    world.tree.cancel(cancelled.ref)
    world.runner_ends(ended.ref, code=3)
    assert world.driver.submit(cancelled).outcome.cause is Cause.CANCELLED
    assert world.driver.submit(ended).outcome.code == 3
    assert server.jobs == {}


def test_a_nomad_that_is_too_old_starts_nothing(world: World, server: FakeNomad) -> None:
    server.version = "1.11.2"
    with pytest.raises(DriverUnavailable, match=r"1\.11\.2 is too old") as refused:
        world.driver.submit(world.spec())
    assert refused.value.code == "nomad.too_old"
    server.version = "1.11.3"
    assert world.driver.submit(world.spec()).phase == "waiting"


# --- stopping and forgetting


def test_a_stop_claims_what_nobody_has_and_stops_the_job(world: World, server: FakeNomad) -> None:
    spec = world.submitted()
    world.driver.stop(spec.ref, "terminate")
    assert server.jobs[world.job(spec.ref)]["Stop"]
    assert world.see(spec.ref).outcome.cause is Cause.CANCELLED


def test_a_stop_of_what_runs_leaves_the_end_to_its_runner(world: World, server: FakeNomad) -> None:
    spec = world.submitted()
    world.runs(spec.ref)
    world.driver.stop(spec.ref, "terminate")
    assert server.jobs[world.job(spec.ref)]["Stop"]
    assert world.tree.end(spec.ref) is None
    assert world.see(spec.ref).phase == "running"


def test_what_is_forgotten_is_stopped_once_and_never_purged(world: World, server: FakeNomad) -> None:
    spec = world.submitted()
    world.runs(spec.ref)
    world.runner_ends(spec.ref)
    world.driver.forget(spec.ref)
    assert world.see(spec.ref).outcome.succeeded
    assert server.jobs[world.job(spec.ref)]["Stop"]
    assert not any(query.get("purge") for query in server.queries)


# --- looking


def test_it_runs_where_and_since_nomad_says(world: World) -> None:
    spec = world.submitted()
    world.runs(spec.ref, node="n2")
    seen = world.see(spec.ref)
    assert (seen.phase, seen.node, seen.started) == ("running", "n2", datetime(2026, 1, 1, tzinfo=UTC))


def test_a_clean_exit_without_an_end_record_is_no_success(world: World, server: FakeNomad) -> None:
    spec = world.submitted()
    server.ends(world.runs(spec.ref), code=0)
    assert (world.see(spec.ref).phase, world.see(spec.ref, GRACE - 1).phase) == ("running", "running")
    assert world.ended(spec.ref, 2.0).cause is Cause.RUNNER_LOST
    assert world.tree.end(spec.ref).cause is Cause.RUNNER_LOST
    assert (world.tree.directory(spec.ref) / "control").read_text() == "superseded\n"


def test_an_end_record_that_shows_late_still_counts(world: World, server: FakeNomad) -> None:
    spec = world.submitted()
    server.ends(world.runs(spec.ref), code=0)
    assert world.see(spec.ref).text == "the end is being written"
    world.runner_ends(spec.ref)
    assert world.see(spec.ref, GRACE + 1).outcome.succeeded


def test_the_rest_of_a_killed_runners_log_is_fetched_before_its_end_is_published(
    world: World, server: FakeNomad
) -> None:
    spec = world.submitted()
    allocation = world.runs(spec.ref)
    log = world.tree.directory(spec.ref) / "log"
    for stream, data in (("out", b"0123456789"), ("err", b""), ("index", b"i" * 16)):
        server.files[allocation, f"alloc/winslow/{stream}"] = data
        (log / stream).write_bytes(data[:4])
    server.ends(allocation, code=137)
    assert world.see(spec.ref).phase == "running"
    world.ended(spec.ref, GRACE + 1)
    assert (log / "out").read_bytes() == b"0123456789"


def test_a_node_that_cannot_be_asked_for_the_log_is_waited_for_but_not_for_ever(
    world: World, server: FakeNomad
) -> None:
    spec = world.submitted()
    server.ends(world.runs(spec.ref), code=137)
    server.answers = lambda method, path: (500, "No path to node") if path.startswith("/v1/client/fs") else None
    assert [world.see(spec.ref).phase, world.see(spec.ref, GRACE + 1).phase] == ["running", "running"]
    assert world.see(spec.ref, 70.0).outcome.cause is Cause.RUNNER_LOST


def test_what_failed_before_it_started_ends_at_once_and_can_never_start(world: World, server: FakeNomad) -> None:
    spec = world.submitted()
    error = "Failed to pull `box:1`: manifest unknown"
    events = [{"Type": "Driver Failure", "Time": 1, "Details": {"driver_error": error}}]
    states = {"winslow": {"State": "dead", "Failed": True, "StartedAt": None, "Events": events}}
    server.becomes(world.place(spec.ref), ClientStatus="failed", TaskStates=states)
    seen = world.see(spec.ref)
    assert seen.phase == "ended" and "manifest unknown" in seen.outcome.message
    assert seen.outcome.cause is Cause.EXEC_FAILED
    assert json.loads((world.tree.directory(spec.ref) / "claim").read_text())["kind"] == "cancelled"


def test_a_job_that_vanished_is_absent_and_never_an_outcome(world: World, server: FakeNomad) -> None:
    spec = world.submitted()
    world.runs(spec.ref)
    server.purge(world.job(spec.ref))
    assert world.see(spec.ref) == Observation(ref=spec.ref, phase="absent")
    assert world.tree.end(spec.ref) is None


def test_a_job_that_somebody_stopped_in_nomad_is_still_looked_at(world: World, server: FakeNomad) -> None:
    spec = world.submitted()
    allocation = world.runs(spec.ref)
    server._job_changed(world.job(spec.ref), Stop=True, index=server._next())
    assert world.see(spec.ref).phase == "running"
    assert world.see(spec.ref, driver=world.another()).phase == "running", "lists leave stopped jobs out"
    server.becomes(allocation, ClientStatus="complete", DesiredStatus="stop")
    world.runner_ends(spec.ref, code=143)
    assert world.see(spec.ref).outcome.code == 143


def test_a_node_out_of_contact_is_told_and_its_attempt_left_alone(world: World, server: FakeNomad) -> None:
    spec = world.submitted()
    server.becomes(world.runs(spec.ref, node="n2"), ClientStatus="unknown")
    seen = world.see(spec.ref)
    assert seen.phase == "out_of_contact" and "n2" in seen.text
    assert world.tree.end(spec.ref) is None


def test_who_waits_learns_how_many_are_ahead(world: World) -> None:
    full = Resources(cpu=8, memory=64 << 20)
    specs = [world.submitted(resources=full) for _ in range(4)]
    for spec, node in zip(specs, ("n1", "n2"), strict=False):
        world.runs(spec.ref, node=node)
    assert [world.see(s.ref).reason.ahead for s in specs[2:]] == [0, 1]


def test_whoever_starts_many_asks_every_ten_seconds_what_the_others_are_about(world: World, server: FakeNomad) -> None:
    world.submitted()
    before = len(server.asked)
    for _ in range(20):
        world.seconds += 3.0
        world.submitted()
    asked = [path for _, path in server.asked[before:]]
    assert asked.count("/v1/jobs") == 20 + 5 and len(asked) <= 20 + 5 * 5


def test_nomad_away_is_said_and_not_asked_again_by_everyone_who_looks(world: World, server: FakeNomad) -> None:
    specs = [world.submitted() for _ in range(3)]
    server.faults = lambda method, path: "refuse"
    before = len(server.asked)
    for spec in specs:
        with pytest.raises(DriverUnavailable):
            world.see(spec.ref, after=2.5 if spec is specs[0] else 0.01)
    assert len(server.asked) - before <= 3, "one question, repeated as reads are"


# --- following


class Followed:
    """Follows in a thread, as the controller does."""

    def __init__(self, driver: NomadDriver) -> None:
        self.driver = driver
        self.reports: list[Observation] = []
        self.done = threading.Event()
        self.thread = threading.Thread(target=driver.follow, args=(self.reports.append, self.done.is_set))

    def __enter__(self) -> Followed:
        self.thread.start()
        until(lambda: self.driver.lag.following)
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join(timeout=10)
        assert not self.thread.is_alive()

    def heard(self, ref: AttemptRef, phase: str) -> Observation:
        def last() -> Observation | None:
            mine = [r for r in list(self.reports) if r.ref == ref]
            return mine[-1] if mine and mine[-1].phase == phase else None

        return until(last)


def phases(followed: Followed, ref: AttemptRef) -> list[str]:
    return [r.phase for r in followed.reports if r.ref == ref]


def test_who_follows_hears_each_change_once_and_asks_nothing(world: World, server: FakeNomad) -> None:
    with Followed(world.driver) as followed:
        spec = world.submitted()
        followed.heard(spec.ref, "waiting")
        before = len(server.asked)
        allocation = world.runs(spec.ref)
        followed.heard(spec.ref, "running")
        server.becomes(allocation, Extra=1)
        world.runner_ends(spec.ref, code=5)
        server.ends(allocation, code=5)
        assert followed.heard(spec.ref, "ended").outcome.code == 5
        world.seconds += 100.0
        assert world.driver.observe([spec.ref])[0].outcome.code == 5
        assert len(world.driver.inventory().nodes) == 2
        assert len(server.asked) == before
    assert phases(followed, spec.ref).count("running") == 1
    assert phases(followed, spec.ref)[-1] == "ended"


def test_a_report_comes_as_soon_as_the_event(world: World, server: FakeNomad) -> None:
    with Followed(world.driver) as followed:
        spec = world.submitted()
        world.runs(spec.ref)
        followed.heard(spec.ref, "running")
        assert world.driver.lag.seconds < 0.1
        assert (world.driver.lag.waiting, world.driver.lag.resyncs) == (0, 1)


def test_what_should_be_mended_is_said_once_a_day(
    world: World, server: FakeNomad, caplog: pytest.LogCaptureFixture
) -> None:
    """A token that ends soon ends on a day on which nobody thinks of it."""

    def warned() -> int:
        return sum("may do everything in this cluster" in record.getMessage() for record in caplog.records)

    server.token = (200, {"Type": "management", "ExpirationTime": None})
    with Followed(world.another(token="t")):
        until(lambda: warned() == 1)
        world.seconds += 3600.0 * 23
        asked = len(server.asked)
        world.submitted()
        until(lambda: len(server.asked) > asked)
        assert warned() == 1
        world.seconds += 3600.0 * 2
        until(lambda: warned() == 2)


def test_what_was_missed_while_nobody_listened_is_heard_on_the_next_connection(world: World, server: FakeNomad) -> None:
    with Followed(world.driver) as followed:
        specs = [world.submitted() for _ in range(3)]
        allocations = [world.runs(s.ref) for s in specs]
        for spec in specs:
            followed.heard(spec.ref, "running")
        server.faults = lambda method, path: "refuse"
        server.hang_up()
        until(lambda: not world.driver.lag.following)
        world.runner_ends(specs[0].ref)
        server.ends(allocations[0])
        server.becomes(allocations[1], ClientStatus="unknown")
        late = world.spec()
        server.forget_events()
        server.faults = lambda method, path: None
        assert followed.heard(specs[0].ref, "ended").outcome.succeeded
        followed.heard(specs[1].ref, "out_of_contact")
        world.worker.submit(late)
        followed.heard(late.ref, "waiting")
        assert phases(followed, specs[2].ref).count("running") == 1, "there was nothing new about this one"


def test_events_that_are_lost_without_a_sign_are_found_by_the_next_comparison(world: World, server: FakeNomad) -> None:
    driver = world.another(resync=0.3)
    with Followed(driver) as followed:
        spec = world.submitted()
        allocation = world.runs(spec.ref)
        followed.heard(spec.ref, "running")
        server._subscribers, kept = [], server._subscribers
        world.runner_ends(spec.ref)
        server.ends(allocation)
        server._subscribers = kept
        assert followed.heard(spec.ref, "ended").outcome.succeeded
        assert driver.lag.reconnects == 1


def test_a_garbled_stream_is_left_and_nothing_is_lost(world: World, server: FakeNomad) -> None:
    with Followed(world.driver) as followed:
        spec = world.submitted()
        followed.heard(spec.ref, "waiting")
        server.says(b"}{ not an event\n")
        world.runs(spec.ref)
        followed.heard(spec.ref, "running")
        until(lambda: world.driver.lag.reconnects >= 2)


def test_a_stream_that_is_rejected_says_why_and_is_asked_for_with_pauses(
    world: World, server: FakeNomad, caplog: pytest.LogCaptureFixture
) -> None:
    server.greets = False
    server.answers = lambda method, path: (403, "ACL token not found") if path == "/v1/jobs" else None
    server.faults = lambda method, path: "refuse" if path == "/v1/event/stream" else None
    driver, done = world.another(token="secret-token"), threading.Event()
    thread = threading.Thread(target=driver.follow, args=(lambda seen: None, done.is_set))
    thread.start()
    until(lambda: "does not know Winslow's token" in caplog.text)
    until(lambda: server.count("GET", "/v1/event/stream") >= 4)
    begun = server.count("GET", "/v1/event/stream")
    done.wait(0.5)
    assert server.count("GET", "/v1/event/stream") - begun <= 3
    server.greets, server.answers, server.faults = True, lambda method, path: None, lambda method, path: None
    until(lambda: driver.lag.following)
    done.set()
    thread.join()
    assert "secret-token" not in caplog.text


def test_what_came_after_the_snapshot_of_a_cluster_that_was_put_back_is_gone_though_nothing_was_listed_since(
    world: World, server: FakeNomad
) -> None:
    """The index of the snapshot is higher than that of the last list, and lower than that of the last event."""
    with Followed(world.driver) as followed:
        world.submitted()
        snapshot = server.index
        after = world.submitted()
        followed.heard(after.ref, "waiting")
        server.restore(index=snapshot)
        until(lambda: world.driver.lag.reconnects >= 2 and world.driver.lag.following)
        assert world.see(after.ref).phase == "absent"


def test_a_stream_that_stands_still_is_noticed_though_it_gives_signs_of_life(world: World, server: FakeNomad) -> None:
    with Followed(world.another(pulse=0.1)) as followed:
        spec = world.submitted()
        followed.heard(spec.ref, "waiting")
        server.stand_still()
        world.runs(spec.ref)
        followed.heard(spec.ref, "running")


def test_a_cluster_that_was_put_back_is_noticed_though_its_stream_gives_signs_of_life(
    world: World, server: FakeNomad
) -> None:
    driver = world.another(pulse=0.1)
    with Followed(driver) as followed:
        spec = world.submitted()
        followed.heard(spec.ref, "waiting")
        server.stand_still()
        server.restore(index=3)
        until(lambda: driver.lag.reconnects >= 2 and driver.lag.following)
        assert driver.observe([spec.ref])[0].phase == "absent"


def test_a_quiet_cluster_is_followed_on_one_stream(world: World, server: FakeNomad) -> None:
    """Also where others do something that is not told: each time that costs one more look."""
    driver = world.another(pulse=0.05)
    with Followed(driver) as followed:
        followed.heard(world.submitted().ref, "waiting")
        for looks in range(1, 4):
            asked = server.count("GET", "/v1/jobs")
            until(lambda asked=asked: server.count("GET", "/v1/jobs") > asked + 4)
            assert (driver.lag.resyncs, driver.lag.reconnects) == (looks, 1)
            server.index += 1
            until(lambda looks=looks: driver.lag.resyncs > looks)
        assert driver.lag.following


def test_a_busy_cluster_is_followed_on_one_stream(world: World, server: FakeNomad) -> None:
    """Events that overtake what Nomad has answered are no sign that it was put back."""
    driver = world.another(pulse=0.001)
    with Followed(driver) as followed:
        asked = server.count("GET", "/v1/jobs")
        specs = [world.submitted() for _ in range(40)]
        for spec in specs:
            followed.heard(spec.ref, "waiting")
        until(lambda: server.count("GET", "/v1/jobs") > asked + 40)
        assert (driver.lag.reconnects, driver.lag.resyncs) == (1, 1)


def test_who_follows_learns_within_seconds_that_nomad_refuses_though_the_stream_goes_on(
    world: World, server: FakeNomad
) -> None:
    driver = world.another(pulse=0.1)
    with Followed(driver):
        until(lambda: driver.lag.following)
        server.answers = lambda method, path: (403, "Permission denied") if path == "/v1/jobs" else None
        until(lambda: not driver.lag.following)
        server.answers = lambda method, path: None
        until(lambda: driver.lag.following)


def test_a_nomad_that_answers_slowly_keeps_no_event_waiting(world: World, server: FakeNomad) -> None:
    driver = world.another(pulse=0.1, answer=30.0)
    with Followed(driver) as followed:
        spec = world.submitted()
        followed.heard(spec.ref, "waiting")
        slow, over = threading.Event(), threading.Event()

        def answers(method: str, path: str) -> None:
            if path == "/v1/jobs":
                slow.set()
                over.wait(20)

        server.answers = answers
        assert slow.wait(5.0)
        world.runs(spec.ref)
        followed.heard(spec.ref, "running")
        over.set()


def test_an_event_that_comes_before_the_lists_have_it_is_not_lost(
    world: World, server: FakeNomad, caplog: pytest.LogCaptureFixture
) -> None:
    """Nomad tells of a change an instant before it can be read."""
    with Followed(world.driver) as followed:
        spec = world.submitted()
        followed.heard(spec.ref, "waiting")
        asked = server.count("GET", "/v1/jobs")
        jobs, index, server.jobs, server.index = server.jobs, server.index, {}, 10

        def answers(method: str, path: str) -> None:
            if path == "/v1/jobs" and server.count("GET", path) > asked + 1:
                server.jobs, server.index = jobs, index

        server.answers = answers
        server.hang_up()
        until(lambda: world.driver.lag.reconnects >= 2 and world.driver.lag.following)
        assert world.see(spec.ref).phase == "waiting"
        assert "put back" not in caplog.text


def test_a_cluster_that_was_put_back_to_an_earlier_state_is_read_anew(world: World, server: FakeNomad) -> None:
    with Followed(world.driver) as followed:
        old = world.submitted()
        world.runs(old.ref)
        followed.heard(old.ref, "running")
        server.restore(index=3)
        until(lambda: world.driver.lag.reconnects >= 2 and world.driver.lag.following)
        assert world.see(old.ref).phase == "absent"
        new = world.submitted()
        followed.heard(new.ref, "waiting")
        world.runs(new.ref)
        followed.heard(new.ref, "running")


def test_a_runner_that_left_no_end_is_noticed_though_no_further_event_comes(world: World, server: FakeNomad) -> None:
    with Followed(world.driver) as followed:
        spec = world.submitted()
        server.ends(world.runs(spec.ref), code=137)
        until(lambda: any(r.text == "the end is being written" for r in list(followed.reports)))
        world.seconds += GRACE + 1
        assert followed.heard(spec.ref, "ended").outcome.cause is Cause.RUNNER_LOST


def test_a_node_that_does_not_answer_keeps_no_report_of_others_waiting(world: World, server: FakeNomad) -> None:
    driver = world.another(answer=5.0)
    with Followed(driver) as followed:
        killed, other = world.submitted(), world.submitted()
        server.faults = lambda method, path: "silence" if path.startswith("/v1/client/fs") else None
        server.ends(world.runs(killed.ref), code=137)
        until(lambda: any(r.text == "the end is being written" for r in list(followed.reports)))
        world.seconds += GRACE + 1
        until(lambda: server.count("GET", "/v1/client/fs"))
        begun = time.monotonic()
        world.runs(other.ref)
        followed.heard(other.ref, "running")
        assert time.monotonic() - begun < 4.0
        world.seconds += 100.0
        assert followed.heard(killed.ref, "ended").outcome.cause is Cause.RUNNER_LOST
    driver.close()


def test_jobs_of_other_installations_and_of_people_are_nobodys(world: World, server: FakeNomad) -> None:
    with Followed(world.driver) as followed:
        made = {"Namespace": "winslow", "Meta": None, "Priority": 50}
        for job_id in ("test-2-p-0001-1-abcdef", "test-something", "other-p-0001-1-000000"):
            server.answer("PUT", "/v1/jobs", {}, {"Job": made | {"ID": job_id}})
            server.place(job_id)
        spec = world.submitted()
        followed.heard(spec.ref, "waiting")
    assert {r.ref for r in followed.reports} == {spec.ref}


# --- what it costs


def test_two_hundred_attempts_cost_a_follower_nothing_and_others_little(world: World, server: FakeNomad) -> None:
    specs = [world.submitted() for _ in range(200)]
    for spec in specs[:100]:
        world.runs(spec.ref)
    refs = [s.ref for s in specs]
    others = [world.another() for _ in range(3)]
    with Followed(world.driver):
        before = len(server.asked)
        for second in range(60):
            world.seconds += 1.0
            world.driver.inventory()
            for other in others:
                other.inventory()
            if second % 5 == 0:
                for begin in range(0, 200, 10):  # the sweep asks project by project
                    assert len(world.driver.observe(refs[begin : begin + 10])) == 10
        assert len(server.asked) - before <= 60, "at most one a second, of all processes together"


def test_without_a_follower_a_sweep_over_many_projects_is_three_questions(world: World, server: FakeNomad) -> None:
    specs = [world.submitted() for _ in range(50)]
    world.driver.inventory()
    world.seconds += 5.0
    before = len(server.asked)
    for spec in specs:
        assert world.driver.observe([spec.ref])[0].phase == "waiting"
    assert len(server.asked) - before == 3, "jobs, allocations, evaluations"
