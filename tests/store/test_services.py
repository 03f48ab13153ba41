"""Lease, breakers, operations, secrets, schema and the check of an external server."""

from __future__ import annotations

import stat
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.builders import START, HandClock, a_project, decided
from tests.valkey import Server
from tests.waiting import until
from winslow_nomad.core.effects import SealStage
from winslow_nomad.core.errors import Invalid, NotFound, StoreUnavailable
from winslow_nomad.core.operations import Operation
from winslow_nomad.store.breaker import FAILURES, Breakers, awake
from winslow_nomad.store.check import check_server
from winslow_nomad.store.client import Address, state_client
from winslow_nomad.store.lease import Lease
from winslow_nomad.store.operations import RedisOperations
from winslow_nomad.store.queue import Doorbells
from winslow_nomad.store.redis import RedisStore
from winslow_nomad.store.schema import SCHEMA, open_schema
from winslow_nomad.store.secrets import Secrets


def run_out(server: Server) -> None:
    server.client.delete(server.keys.lease("controller"))


def test_one_holds_the_lease_and_the_others_stand_by(server: Server) -> None:
    first, second = Lease(server.client, "a", keys=server.keys), Lease(server.client, "b", keys=server.keys)
    assert first.hold() == 1
    assert second.hold() is None
    assert second.holder() == "a"
    first.release()
    assert second.hold() == 2
    assert first.hold() is None


def test_the_lease_of_one_who_has_ended_for_ever_is_not_waited_for(server: Server) -> None:
    dead: set[str] = set()
    first = Lease(server.client, "a", keys=server.keys)
    second = Lease(server.client, "b", keys=server.keys, gone=dead.__contains__)
    assert (first.hold(), second.hold()) == (1, None)
    dead.add("a")
    assert second.hold() == 2
    assert second.holder() == "b"


def test_the_epoch_grows_with_every_holder_and_not_with_renewals(server: Server) -> None:
    now = [0.0]
    first = Lease(server.client, "a", keys=server.keys, seconds=9, monotonic=lambda: now[0])
    second = Lease(server.client, "b", keys=server.keys)
    assert first.hold() == 1
    now[0] = 4
    assert first.hold() == 1
    run_out(server)
    now[0] = 8
    assert first.hold() == 1  # nobody had it in between
    run_out(server)
    assert second.hold() == 2
    run_out(server)
    now[0] = 12
    assert first.hold() == 3


def test_a_lease_that_the_servers_clock_made_hours_long_is_not_waited_for(server: Server) -> None:
    first, second = Lease(server.client, "a", keys=server.keys), Lease(server.client, "b", keys=server.keys)
    assert first.hold() == 1
    server.client.pexpire(server.keys.lease("controller"), 5900)
    assert second.hold() is None
    server.client.pexpire(server.keys.lease("controller"), 3_605_000)  # what a clock put back by an hour does
    assert second.hold() == 2


def test_a_lease_runs_out_by_itself(server: Server) -> None:
    assert Lease(server.client, "a", keys=server.keys, seconds=0.05).hold() == 1
    second = Lease(server.client, "b", keys=server.keys)
    deadline = time.monotonic() + 5
    while second.hold() is None:
        assert time.monotonic() < deadline
    assert second.hold() == 2


def test_while_the_store_is_away_a_holder_holds_only_as_long_as_its_lease(directory: Path, server: Server) -> None:
    now = [0.0]
    lease = Lease(server.client, "a", keys=server.keys, seconds=9, monotonic=lambda: now[0])
    assert lease.hold() == 1
    lease._client = state_client(Address(socket=str(directory / "nobody")))
    now[0] = 8
    assert lease.hold() == 1 and not lease.lost
    now[0] = 10
    assert lease.lost
    with pytest.raises(StoreUnavailable):
        lease.hold()


def test_many_who_want_the_lease_at_once_get_one_holder(server: Server) -> None:
    epochs: list[int | None] = []
    threads = [
        threading.Thread(target=lambda n=n: epochs.append(Lease(server.client, f"o{n}", keys=server.keys).hold()))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(e for e in epochs if e is not None) == [1]


def test_after_a_restore_epochs_go_on_above_those_of_the_journal(server: Server) -> None:
    lease = Lease(server.client, "a", keys=server.keys)
    lease.raise_epoch(41)
    lease.raise_epoch(7)
    assert lease.hold() == 42


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def breakers(server: Server, clock: HandClock) -> Breakers:
    return Breakers(server.client, clock, server.keys)


def break_it(breakers: Breakers, project: str = "p1") -> None:
    for _ in range(FAILURES):
        assert breakers.allows("nomad")
        breakers.failed("nomad", project, "no route to host")


def test_a_breaker_opens_after_several_failures_in_a_row_and_says_why(breakers: Breakers) -> None:
    breakers.failed("nomad", "p1", "refused")
    breakers.succeeded("nomad")
    break_it(breakers)
    assert not breakers.allows("nomad")
    assert breakers.allows("local")
    state = breakers.state("nomad")
    assert (state.state, state.text) == ("open", "no route to host")
    assert [s.name for s in breakers.states()] == ["nomad"]


def test_when_the_pause_is_over_exactly_one_may_try(breakers: Breakers, clock: HandClock, server: Server) -> None:
    break_it(breakers)
    clock.pass_by(1.1)
    other = Breakers(server.client, clock, server.keys)
    assert breakers.allows("nomad")
    assert not other.allows("nomad")
    other.failed("nomad", "p2")  # it was not allowed to try: this says nothing
    assert breakers.state("nomad").state == "half_open"
    breakers.failed("nomad", "p1", "still away")
    assert breakers.state("nomad").state == "open"
    clock.pass_by(1.1)
    assert not breakers.allows("nomad")  # the pause has doubled
    clock.pass_by(1)
    assert breakers.allows("nomad")


def test_one_failure_that_says_enough_opens_it_at_once(breakers: Breakers) -> None:
    breakers.failed("share", "p1", "it hangs", at_once=True)
    assert not breakers.allows("share")
    assert breakers.why("share") == "it hangs"


def test_a_pause_is_over_within_seconds_when_the_clock_is_put_back(
    breakers: Breakers, clock: HandClock, server: Server
) -> None:
    break_it(breakers)
    assert not breakers.allows("nomad")
    clock.pass_by(-3600)
    assert awake(server.client, server.keys, clock.now()) == {"p1"}
    assert breakers.allows("nomad")


def test_what_was_marked_before_the_clock_was_put_back_is_rung_again(clock: HandClock, server: Server) -> None:
    store = RedisStore(server.client, keys=server.keys, clock=clock)
    store.change("p1", lambda _: decided(a_project("p1"), SealStage(stage=1)))
    server.client.delete(Doorbells(server.client, server.keys)._queue.key)
    clock.pass_by(-3600)
    assert store.ring_again(clock.now()) == ["p1"]
    server.client.delete(Doorbells(server.client, server.keys)._queue.key)
    assert store.ring_again(clock.now()) == []  # rung just now
    clock.pass_by(3)
    assert store.ring_again(clock.now()) == ["p1"]


def test_one_who_tried_and_was_killed_does_not_keep_it_open_for_ever(
    breakers: Breakers, clock: HandClock, server: Server
) -> None:
    break_it(breakers)
    clock.pass_by(1.1)
    assert Breakers(server.client, clock, server.keys).allows("nomad")
    assert not breakers.allows("nomad")
    clock.pass_by(11)
    assert breakers.allows("nomad")


def test_parked_projects_are_rung_when_it_closes_and_left_in_peace_before(
    breakers: Breakers, clock: HandClock, server: Server
) -> None:
    store = RedisStore(server.client, keys=server.keys, clock=clock)
    bells = Doorbells(server.client, server.keys)
    for project in ("p1", "p2", "p3"):
        store.change(project, lambda _, p=project: decided(a_project(p), SealStage(stage=1)))
    server.client.delete(bells._queue.key)
    break_it(breakers, "p1")
    breakers.failed("nomad", "p2")
    clock.pass_by(0.5)
    assert store.ring_again(clock.now() + timedelta(seconds=0)) == []
    server.client.zadd(server.keys.dirty, {p: 0 for p in ("p1", "p2", "p3")})
    assert store.ring_again(clock.now()) == ["p3"]  # the others wait for nomad
    clock.pass_by(1)
    server.client.delete(bells._queue.key)
    rung = store.ring_again(clock.now())
    assert len(rung) == 1 and rung[0] in ("p1", "p2")  # somebody has to try
    server.client.delete(bells._queue.key)
    assert breakers.allows("nomad")
    breakers.succeeded("nomad")
    assert bells.length() == 2
    assert breakers.state("nomad").state == "closed"
    breakers.succeeded("nomad")
    assert bells.length() == 2


def an_operation(operation: str = "o1", **changes: object) -> Operation:
    return Operation(**{"id": operation, "kind": "workspace", "made": START, **changes})  # type: ignore[arg-type]


@pytest.fixture
def operations(server: Server, clock: HandClock) -> RedisOperations:
    return RedisOperations(server.client, server.reader, clock, server.keys)


def test_an_operation_is_put_once(operations: RedisOperations) -> None:
    first = operations.put(an_operation(text="first"))
    assert operations.put(an_operation(text="second")) == first == operations.get("o1")


def test_the_oldest_is_taken_first_and_by_one_only(operations: RedisOperations) -> None:
    operations.put(an_operation("young", made=START + timedelta(seconds=1)))
    operations.put(an_operation("old"))
    taken = operations.take("a", 10)
    assert taken is not None and (taken.id, taken.owner, taken.state) == ("old", "a", "running")
    other = operations.take("b", 10)
    assert other is not None and other.id == "young"
    assert operations.take("c", 10) is None


def test_an_operation_that_was_given_by_an_answer_that_got_lost_is_given_again(operations: RedisOperations) -> None:
    operations.put(an_operation())
    lost = operations.take("a", 10)
    again = operations.take("a", 10)
    assert lost is not None and again is not None and again.id == lost.id
    assert operations.take("b", 10) is None


def test_an_operation_whose_owner_died_is_taken_by_another(operations: RedisOperations, clock: HandClock) -> None:
    operations.put(an_operation())
    dead = operations.take("a", 10)
    assert dead is not None
    clock.pass_by(9)
    assert operations.renew(dead.but(bytes_done=5), 10)
    clock.pass_by(9)
    assert operations.take("b", 10) is None
    clock.pass_by(2)
    taken = operations.take("b", 10)
    assert taken is not None and (taken.owner, taken.bytes_done) == ("b", 5)
    assert not operations.renew(dead, 10)
    assert not operations.finish(dead.but(state="done"))
    assert operations.finish(taken.but(state="done", text="copied"))
    assert operations.list() == []
    assert [o.state for o in operations.list(open_only=False)] == ["done"]
    assert not operations.finish(taken.but(state="failed"))


def test_a_dead_owner_is_not_waited_for_until_a_clock_that_was_put_back_catches_up(
    operations: RedisOperations, clock: HandClock
) -> None:
    operations.put(an_operation())
    assert operations.take("a", 30) is not None
    assert operations.take("b", 30) is None
    clock.pass_by(-3600)
    assert operations.take("b", 30) is not None


def test_the_operation_of_one_who_has_ended_for_ever_is_not_waited_for(server: Server, clock: HandClock) -> None:
    dead: set[str] = set()
    operations = RedisOperations(server.client, server.reader, clock, server.keys, dead.__contains__)
    operations.put(Operation(id="o1", kind="workspace", made=START))
    assert operations.take("a", 30.0) is not None
    operations.cancel("o1")  # what it has left is still to be taken away
    assert operations.take("b", 30.0) is None
    dead.add("a")
    taken = operations.take("b", 30.0)
    assert taken is not None and taken.owner == "b"


def test_cancelling_reaches_the_owner_at_its_next_renewal(operations: RedisOperations) -> None:
    operations.put(an_operation())
    taken = operations.take("a", 10)
    assert taken is not None
    operations.cancel("o1")
    assert not operations.renew(taken, 10)
    assert operations.finish(taken.but(state="cancelled"))
    assert operations.take("b", 10) is None


def test_cancelling_before_anybody_took_it_ends_it(operations: RedisOperations) -> None:
    operations.put(an_operation())
    operations.cancel("o1")
    found = operations.get("o1")
    assert found is not None and found.state == "cancelled"
    assert operations.take("a", 10) is None
    operations.cancel("o1")
    operations.cancel("unknown")


def test_waiting_ends_when_an_operation_is_put(operations: RedisOperations) -> None:
    began = time.monotonic()
    operations.wait(0.05)
    timer = threading.Timer(0.05, lambda: operations.put(an_operation()))
    timer.start()
    operations.wait(10)
    timer.join()
    assert time.monotonic() - began < 5
    assert operations.take("a", 1) is not None


@pytest.fixture
def secrets(server: Server, clock: HandClock, directory: Path) -> Secrets:
    return Secrets(server.client, directory / "keys" / "secret.key", clock, server.keys)


def test_a_secret_is_readable_with_the_key_and_nowhere_in_the_store(
    secrets: Secrets, server: Server, directory: Path
) -> None:
    reference = secrets.put("LICENCE", "hunter2-é")
    assert reference.startswith("secret:")
    assert secrets.reveal(reference) == "hunter2-é"
    stored = server.client.hgetall(server.keys.secrets)
    assert all(b"hunter2" not in text for text in stored.values())
    assert stat.S_IMODE((directory / "keys" / "secret.key").stat().st_mode) == 0o600
    assert [(r.reference, r.name) for r in secrets.list()] == [(reference, "LICENCE")]
    secrets.delete(reference)
    with pytest.raises(NotFound):
        secrets.reveal(reference)


def test_a_secret_cannot_be_passed_off_as_another(secrets: Secrets, server: Server) -> None:
    one, two = secrets.put("ONE", "1"), secrets.put("TWO", "2")
    text = server.client.hget(server.keys.secrets, two.removeprefix("secret:"))
    server.client.hset(server.keys.secrets, one.removeprefix("secret:"), text)
    with pytest.raises(StoreUnavailable):
        secrets.reveal(one)


def test_a_lost_key_file_is_never_replaced_while_there_are_secrets(secrets: Secrets, directory: Path) -> None:
    reference = secrets.put("LICENCE", "x")
    key = directory / "keys" / "secret.key"
    saved = key.read_bytes()
    key.unlink()
    with pytest.raises(StoreUnavailable):
        secrets.reveal(reference)
    with pytest.raises(StoreUnavailable):
        secrets.put("OTHER", "y")
    assert not key.exists()
    key.write_bytes(saved)
    key.chmod(0o644)
    with pytest.raises(StoreUnavailable, match="0600"):
        secrets.reveal(reference)
    key.chmod(0o600)
    assert secrets.reveal(reference) == "x"


def test_two_who_make_the_key_at_once_agree(server: Server, clock: HandClock, directory: Path) -> None:
    boxes = [Secrets(server.client, directory / "secret.key", clock, server.keys) for _ in range(8)]
    references: list[str] = []
    threads = [threading.Thread(target=lambda b=b: b._make_key()) for b in boxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    references = [b.put("X", "v") for b in boxes]
    assert {boxes[0].reveal(r) for r in references} == {"v"}
    assert [p.name for p in directory.iterdir()] == ["secret.key"]


def test_a_secret_has_a_largest_size(secrets: Secrets) -> None:
    with pytest.raises(Invalid):
        secrets.put("HUGE", "x" * 70_000)


def test_a_newer_schema_stops_with_a_sentence(server: Server) -> None:
    assert open_schema(server.client, server.keys) == SCHEMA
    assert open_schema(server.client, server.keys) == SCHEMA
    server.client.set(server.keys.schema, '{"format": 1, "schema": 99, "written_by": "7.0"}')
    with pytest.raises(StoreUnavailable, match=r"Winslow 7\.0 \(schema 99\)") as caught:
        open_schema(server.client, server.keys)
    assert caught.value.code == "store.newer"


def test_an_external_server_is_judged_by_its_settings(server: Server) -> None:
    client = server.client
    assert check_server(client) == []
    try:
        client.config_set("appendfsync", "everysec")
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert [(f.severity, f.code) for f in check_server(client)] == [
            ("warn", "store.late_sync"),
            ("refuse", "store.eviction"),
        ]
        client.config_set("appendonly", "no")
        assert ("refuse", "store.no_log") in [(f.severity, f.code) for f in check_server(client)]
    finally:
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "always")
        client.config_set("maxmemory-policy", "noeviction")


def test_a_server_that_hides_its_settings_is_a_warning(server: Server) -> None:
    client = server.client
    client.execute_command("ACL", "SETUSER", "shy", "on", ">pw", "~*", "+@all", "-config")
    try:
        shy = state_client(Address(url=f"unix://shy:pw@{server.address.socket}"))
        assert [(f.severity, f.code) for f in check_server(shy)] == [("warn", "store.durability_unknown")]
    finally:
        client.execute_command("ACL", "DELUSER", "shy")


def test_who_lost_its_lease_gives_back_nobody_elses(server: Server) -> None:
    first = Lease(server.client, "a", keys=server.keys, seconds=0.05)
    second = Lease(server.client, "b", keys=server.keys)
    assert first.hold() == 1
    until(lambda: second.hold() == 2)
    first.release()
    assert second.holder() == "b"
