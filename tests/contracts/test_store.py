"""What every store promises, on the real one and on the one in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.builders import (
    HandClock,
    a_pipeline,
    a_project,
    a_running_stage,
    a_stage,
    an_ended_stage,
    decided,
    unchanged,
)
from tests.valkey import Server, running_server, server  # noqa: F401
from winslow_nomad.core import ledger
from winslow_nomad.core import messages as m
from winslow_nomad.core.decide import decide_all
from winslow_nomad.core.decision import Decision
from winslow_nomad.core.effects import Effect, Notify, PrepareWorkspace, SealStage, WakeAt
from winslow_nomad.core.errors import Conflict, Refused
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import StageState
from winslow_nomad.core.statistics import Cell
from winslow_nomad.store.lease import Lease
from winslow_nomad.store.memory import MemoryStore
from winslow_nomad.store.queue import Doorbells
from winslow_nomad.store.redis import RedisStore
from winslow_nomad.store.statistics import Statistics

Store = RedisStore | MemoryStore
DAY = timedelta(days=1)


class Kind:
    """A store under test, and how to look behind it."""

    def __init__(
        self,
        store: Store,
        clock: HandClock,
        bells: Callable[[], int],
        counters: Callable[[], dict[Cell, int]],
        next_epoch: Callable[[], int],
    ) -> None:
        self.store = store
        self.clock = clock
        self.bells = bells
        self.counters = counters
        self.next_epoch = next_epoch


@pytest.fixture(params=["redis", "memory"])
def kind(request: pytest.FixtureRequest) -> Kind:
    clock = HandClock()
    if request.param == "memory":
        memory = MemoryStore(clock)

        def raised() -> int:
            memory.epoch += 1
            return memory.epoch

        return Kind(memory, clock, lambda: len(memory._rung), lambda: dict(memory.counters), raised)
    found: Server = request.getfixturevalue("server")
    owners = iter("abcdefgh")

    def taken() -> int:
        found.client.delete(found.keys.lease("controller"))
        epoch = Lease(found.client, next(owners), keys=found.keys).hold()
        assert epoch is not None
        return epoch

    statistics = Statistics(found.client, found.keys)
    return Kind(
        RedisStore(found.client, keys=found.keys, clock=clock),
        clock,
        Doorbells(found.client, found.keys).length,
        lambda: dict(statistics.read(clock.now() - DAY, clock.now() + DAY)),
        taken,
    )


@pytest.fixture
def store(kind: Kind) -> Store:
    return kind.store


def put(store: Store, project: Project, *effects: Effect) -> Project:
    return store.change(project.id, lambda _: decided(project, *effects))[0]


def edited(*effects: Effect, **changes: object) -> Callable[[Project | None], Decision]:
    def decide(project: Project | None) -> Decision:
        assert project is not None
        return decided(project.but(**changes), *effects)

    return decide


def refuse(_: Project | None) -> Decision:
    raise Refused("no")


def test_what_is_not_there_is_none(store: Store) -> None:
    assert store.load("p1") is None
    assert list(store.projects()) == []


def test_a_change_is_read_back_with_the_next_version(store: Store) -> None:
    project, change = store.change("p1", lambda _: decided(a_project()))
    assert (project.version, change.version, change.applied) == (1, 1, True)
    project, change = store.change("p1", edited(name="Other"))
    assert (project.version, change.version) == (2, 2)
    assert store.load("p1") == project
    assert project.name == "Other"


def test_every_part_of_a_project_comes_back(store: Store) -> None:
    whole = a_project(
        stages={3: a_running_stage(3), 4: a_stage(4)},
        sealing={2: a_stage(2, state=StageState.FAILED, ended=a_project().created)},
        ended={1: an_ended_stage(1, results={"vehicles": 3, "speed": 2.5, "ok": True, "note": "é\n"})},
        values={"A": "1"},
        tags=("x", "y"),
    )
    put(store, whole)
    assert store.load("p1") == whole.but(version=1)


def test_stages_that_go_from_open_to_ended_are_in_one_place_only(store: Store) -> None:
    put(store, a_project(stages={1: a_running_stage(1)}))
    done = a_running_stage(1).but(state=StageState.SUCCEEDED, ended=a_project().created)
    store.change("p1", edited(stages={}, sealing={1: done}))
    loaded = store.load("p1")
    assert loaded is not None and (dict(loaded.stages), set(loaded.sealing)) == ({}, {1})
    store.change("p1", edited(sealing={}, ended={1: an_ended_stage(1)}))
    loaded = store.load("p1")
    assert loaded is not None and (dict(loaded.sealing), set(loaded.ended)) == ({}, {1})


def test_an_unchanged_decision_writes_nothing(kind: Kind) -> None:
    before = put(kind.store, a_project())
    rung = kind.bells()
    _, change = kind.store.change("p1", lambda p: unchanged(before.but(name="never stored")))
    assert (change.applied, change.version) == (False, 1)
    assert kind.store.load("p1") == before
    assert kind.bells() == rung


def test_what_decide_raises_passes_through_and_nothing_is_written(store: Store) -> None:
    before = put(store, a_project())
    with pytest.raises(Refused):
        store.change("p1", refuse, key="k", request="r", actor="ann")
    assert store.load("p1") == before
    _, change = store.change("p1", edited(name="now"), key="k", request="r", actor="ann")
    assert change.applied


def test_a_repeated_key_answers_what_was_answered(store: Store) -> None:
    put(store, a_project())
    _, first = store.change("p1", edited(name="A"), key="k", request="r", actor="ann")
    store.change("p1", edited(name="B"))
    project, second = store.change("p1", edited(name="A"), key="k", request="r", actor="ann")
    assert (first.applied, first.version) == (True, 2)
    assert (second.applied, second.version) == (False, 2)
    assert project.name == "B"


def test_the_key_of_another_request_is_a_conflict(store: Store) -> None:
    put(store, a_project())
    store.change("p1", edited(name="A"), key="k", request="r", actor="ann")
    with pytest.raises(Conflict):
        store.change("p1", edited(name="B"), key="k", request="other", actor="ann")
    loaded = store.load("p1")
    assert loaded is not None and loaded.name == "A"


def test_the_same_key_of_two_people_are_two_keys(store: Store) -> None:
    put(store, a_project())
    store.change("p1", edited(name="A"), key="k", request="r", actor="ann")
    assert store.change("p1", edited(name="B"), key="k", request="s", actor="bob")[1].applied


def test_a_key_is_remembered_for_a_decision_without_a_change_too(store: Store) -> None:
    before = put(store, a_project())
    store.change("p1", lambda _: unchanged(before), key="k", request="r", actor="ann")
    assert not store.change("p1", edited(name="late"), key="k", request="r", actor="ann")[1].applied


def test_outstanding_effects_make_a_project_dirty_until_a_commit_without_them(store: Store) -> None:
    put(store, a_project(), PrepareWorkspace(stage=1, attempt=1))
    assert list(store.dirty()) == ["p1"]
    store.change("p1", edited(name="still"), )  # fmt: skip
    assert list(store.dirty()) == []


def test_waiting_for_time_and_telling_people_leave_it_clean(kind: Kind) -> None:
    put(kind.store, a_project(), WakeAt(at=kind.clock.now() + DAY), Notify(what="gate", text="look"))
    assert list(kind.store.dirty()) == []
    assert kind.bells() == 0


def test_a_commit_with_outstanding_effects_rings(kind: Kind) -> None:
    put(kind.store, a_project(), SealStage(stage=1))
    assert kind.bells() == 1
    kind.store.change("p1", edited(SealStage(stage=1), name="again"))
    assert kind.bells() == 2


def test_a_stage_that_may_start_rings_although_nothing_is_outstanding(kind: Kind) -> None:
    put(kind.store, a_project())
    assert kind.bells() == 0
    kind.store.change("p1", edited(stages={1: a_stage(1)}))
    assert kind.bells() == 1
    kind.store.change("p1", edited(name="the same stage still waits"))
    assert kind.bells() == 1


def test_those_dirty_longest_come_first(kind: Kind) -> None:
    for project in ("b", "a"):
        put(kind.store, a_project(project), SealStage(stage=1))
        kind.clock.pass_by(1)
    assert list(kind.store.dirty()) == ["b", "a"]


def test_what_stays_dirty_is_rung_again_only_while_the_queue_is_shorter(kind: Kind) -> None:
    store = kind.store
    put(store, a_project("a"), SealStage(stage=1))
    put(store, a_project("b"), SealStage(stage=1))
    assert store.ring_again(kind.clock.pass_by(10)) == []  # both doorbells are still in the queue
    while kind.bells():
        empty_queue(store)
    assert store.ring_again(kind.clock.now()) == ["a", "b"]
    assert kind.bells() == 2
    empty_queue(store)
    assert store.ring_again(kind.clock.now()) == []  # rung just now
    assert store.ring_again(kind.clock.pass_by(3)) == ["a", "b"]


def empty_queue(store: Store) -> None:
    if isinstance(store, MemoryStore):
        store._rung.clear()
    else:
        store._client.delete(store._bells._queue.key)


def test_a_timer_is_due_when_its_time_has_come_and_again_until_it_is_settled(kind: Kind) -> None:
    store, clock = kind.store, kind.clock
    at = clock.now() + timedelta(seconds=30)
    put(store, a_project(), WakeAt(at=at), WakeAt(at=at + DAY))
    assert store.due(clock.pass_by(29.9)) == []
    assert store.due(clock.pass_by(0.2)) == ["p1"]
    assert store.due(clock.now()) == []
    assert store.due(clock.pass_by(6)) == ["p1"]
    store.change("p1", edited(name="settled"))
    assert store.due(clock.pass_by(3600)) == []


def test_a_timer_moves_with_the_state(kind: Kind) -> None:
    put(kind.store, a_project(), WakeAt(at=kind.clock.now() + timedelta(seconds=5)))
    kind.store.change("p1", edited(WakeAt(at=kind.clock.now() + DAY)))
    assert kind.store.due(kind.clock.pass_by(60)) == []
    assert kind.store.due(kind.clock.pass_by(86400)) == ["p1"]


def assert_ledger(store: Store) -> None:
    """The lists say what each project says."""
    projects = [p for i in store.projects() if (p := store.load(i)) is not None]
    for driver in {p.driver for p in projects} | {"local", "nomad"}:
        mine = [p for p in projects if p.driver == driver]
        assert by_key(store.waiting(driver)) == by_key(w for p in mine for w in ledger.waiting(p))
        there = sorted((w.key, unplaced) for w, unplaced in store.at_driver(driver))
        assert there == sorted((w.key, unplaced) for p in mine for w, unplaced in ledger.at_driver(p))
    assert list(store.open_projects()) == sorted(p.id for p in projects if ledger.is_open(p))


def by_key(rows: object) -> list[object]:
    return sorted(rows, key=lambda w: w.key)  # type: ignore[call-overload, no-any-return]


def test_the_ledger_follows_every_commit(store: Store) -> None:
    put(store, a_project("a", stages={1: a_stage(1), 2: a_running_stage(2), 3: a_stage(3, turn=9)}))
    put(store, a_project("b", driver="nomad", stages={1: a_stage(1)}))
    assert_ledger(store)
    store.change("a", edited(priority=90))
    assert_ledger(store)
    store.change("a", edited(stages={1: a_running_stage(1)}))
    assert_ledger(store)
    assert len(store.waiting("nomad")) == 1 and len(store.waiting("local")) == 0
    store.change("b", edited(driver="local"))
    assert_ledger(store)
    store.change("a", edited(stages={}, sealing={1: a_running_stage(1)}))
    store.change("b", edited(stages={}))
    assert_ledger(store)
    store.change("a", edited(sealing={}, ended={1: an_ended_stage(1)}))
    assert_ledger(store)
    assert list(store.open_projects()) == []


def test_pages_are_newest_first_and_complete(kind: Kind) -> None:
    for number in range(7):
        put(kind.store, a_project(f"p{number}", updated=kind.clock.pass_by(1 if number % 2 else 0)))
    seen: list[str] = []
    after = ""
    while True:
        page = kind.store.page(limit=3, after=after)
        seen += [row.id for row in page.rows]
        if not page.next:
            break
        after = page.next
    # p1 and p2 share a time, p3 and p4 too: of one time the higher id comes first
    assert seen == ["p6", "p5", "p4", "p3", "p2", "p1", "p0"]


def test_pages_filter_by_state_tag_author_and_name(store: Store) -> None:
    put(store, a_project("a", name="Crossing NORTH", tags=("red", "blue")))
    put(store, a_project("b", name="Crossing south", author="bob", tags=("red",)))
    put(store, a_project("c", name="Bridge", stages={1: a_running_stage(1)}))
    assert ids(store.page(tag="red")) == ["b", "a"]
    assert ids(store.page(tag="red", author="ann")) == ["a"]
    assert ids(store.page(text="north")) == ["a"]
    assert ids(store.page(state="running")) == ["c"]
    store.change("a", edited(tags=("blue",)))
    store.change("c", edited(stages={}))
    assert ids(store.page(tag="red")) == ["b"]
    assert ids(store.page(state="running")) == []
    row = store.page(tag="blue").rows[0]
    assert (row.name, row.state, row.pipeline, row.version) == ("Crossing NORTH", "idle", "traffic", 2)


def ids(page: object) -> list[str]:
    return [row.id for row in page.rows]  # type: ignore[attr-defined]


def test_a_former_controller_is_refused(kind: Kind) -> None:
    put(kind.store, a_project())
    old = kind.next_epoch()
    kind.store.change("p1", edited(name="mine"), epoch=old)
    new = kind.next_epoch()
    with pytest.raises(Conflict, match="lease"):
        kind.store.change("p1", edited(name="late"), epoch=old)
    kind.store.change("p1", edited(name="of the new one"), epoch=new)
    loaded = kind.store.load("p1")
    assert loaded is not None and loaded.name == "of the new one"


def test_a_lease_that_passes_on_while_it_is_decided_refuses_the_commit(kind: Kind) -> None:
    if isinstance(kind.store, MemoryStore):
        pytest.skip("decides and commits under one lock")
    put(kind.store, a_project())
    old = kind.next_epoch()

    def decide(project: Project | None) -> Decision:
        kind.next_epoch()
        return edited(name="late")(project)

    with pytest.raises(Conflict, match="lease"):
        kind.store.change("p1", decide, epoch=old)
    loaded = kind.store.load("p1")
    assert loaded is not None and loaded.version == 1


def test_statistics_count_a_start_and_an_end_once(kind: Kind) -> None:
    store, start = kind.store, a_project().created
    put(store, a_project(stages={1: a_stage(1), 2: a_stage(2, "track", inputs={"detect": 1})}))
    running = {n: s.but(state=StageState.RUNNING, started=start + timedelta(seconds=60)) for n, s in a_project(
        stages={1: a_stage(1), 2: a_stage(2, "track", inputs={"detect": 1})}).stages.items()}  # fmt: skip
    store.change("p1", edited(stages=running))
    store.change("p1", edited(name="no news"))
    ended = running[1].but(state=StageState.FAILED, ended=start + timedelta(seconds=60 + 900))
    store.change("p1", edited(stages={2: running[2]}, sealing={1: ended}))
    store.change(
        "p1", edited(stages={2: running[2]}, sealing={}, ended={1: an_ended_stage(1, state=StageState.FAILED)})
    )
    counted = kind.counters()
    totals: dict[tuple[str, str], int] = {}
    for cell, amount in counted.items():
        assert cell.pipeline == "traffic" and cell.quarter % 900 == 0
        if cell.what[0] in "tw" and cell.what[1:].isdecimal():
            continue  # how many took so long
        totals[cell.what, cell.stage] = totals.get((cell.what, cell.stage), 0) + amount
    assert totals == {
        ("started_by_hand", "detect"): 1,
        ("started", "track"): 1,
        ("idle", "detect"): 60,
        ("idle", "track"): 60,
        ("ended_failed", "detect"): 1,
        ("active", "detect"): 900,
        ("active_by_hand", "detect"): 900,
    }
    assert len([c for c in counted if c.what == "active"]) == 2  # it ran across a quarter's end


def test_restoring_writes_a_whole_project_when_it_is_absent_or_older(store: Store) -> None:
    whole = a_project(version=7, stages={2: a_stage(2)}, ended={1: an_ended_stage(1)}, tags=("x",))
    assert store.restore(whole).applied
    assert store.load("p1") == whole
    assert list(store.dirty()) == ["p1"]
    assert ids(store.page(tag="x")) == ["p1"]
    assert_ledger(store)
    assert not store.restore(whole.but(name="same version")).applied
    assert not store.restore(whole.but(version=3, name="older")).applied
    assert store.load("p1") == whole
    assert store.restore(whole.but(version=9, stages={}, tags=())).applied
    loaded = store.load("p1")
    assert loaded is not None and (loaded.version, dict(loaded.stages)) == (9, {})
    assert_ledger(store)
    assert store.change("p1", edited(name="on"))[0].version == 10


def test_many_who_change_one_project_at_once_lose_nothing(kind: Kind) -> None:
    put(kind.store, a_project(comments=()))
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(25):
                kind.store.change(
                    "p1", lambda p, n=number: decided(p.but(values={**p.values, f"{name}{n}": "x"}), SealStage(stage=1))
                )
        except BaseException as error:  # noqa: BLE001 shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    loaded = kind.store.load("p1")
    assert loaded is not None and (loaded.version, len(loaded.values)) == (101, 100)
    assert kind.bells() == 100


def test_thousands_of_stages_in_one_commit_are_written_and_removed(store: Store) -> None:
    many = {n: a_stage(n) for n in range(1, 5001)}
    put(store, a_project(stages=many))
    loaded = store.load("p1")
    assert loaded is not None and len(loaded.stages) == 5000
    assert len(store.waiting("local")) == 5000
    store.change("p1", edited(stages={}))
    assert len(store.waiting("local")) == 0
    assert dict((store.load("p1") or loaded).stages) == {}


def test_real_decisions_go_through(store: Store) -> None:
    now = datetime(2025, 1, 1, tzinfo=UTC)
    created = m.CreateProject(project="p1", name="One", pipeline=a_pipeline(), start=True, actor="ann")
    store.change("p1", lambda p: decide_all(p, [created], now), key="k", request="r", actor="ann")
    project, _ = store.change("p1", lambda p: decide_all(p, [m.Admitted(stage=1)], now))
    assert project.stages[1].state is StageState.PREPARING
    assert store.load("p1") == project
    assert list(store.dirty()) == ["p1"]
    assert_ledger(store)
