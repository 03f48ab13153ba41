"""What every list of projects promises, on the real store and on the one in memory, and that both say the same."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest

from tests.builders import START, HandClock, a_pipeline, a_project, a_running_stage, a_stage, decided
from tests.valkey import Server, running_server, server  # noqa: F401
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.lists import Query, Sort
from winslow_nomad.core.project import Failure, Gate, Member, Pause, Project
from winslow_nomad.store.memory import MemoryStore
from winslow_nomad.store.redis import RedisStore
from winslow_nomad.store.schema import SCHEMA, open_schema
from winslow_nomad.store.transaction import ask

Store = RedisStore | MemoryStore
ALL = frozenset({"ann", "bob", "@lab", "@everyone"})


@pytest.fixture(params=["redis", "memory"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore(HandClock())
    found: Server = request.getfixturevalue("server")
    return RedisStore(found.client, keys=found.keys, clock=HandClock())


def put(store: Store, project: Project) -> None:
    store.change(project.id, lambda _: decided(project))


def everything(store: Store, query: Query) -> list[str]:
    """All pages of a query, by following `next`."""
    found: list[str] = []
    after = ""
    for _ in range(1000):
        page = store.find(query.but(after=after))
        assert len(page.rows) <= query.limit
        found += [row.id for row in page.rows]
        if not page.next:
            return found
        after = page.next
    raise AssertionError("pages without end")


def some_project(number: int, chance: random.Random) -> Project:
    people = ["ann", "bob", "cyd", "@lab", "@everyone"]
    members = tuple(Member(user=u) for u in chance.sample(people, chance.randrange(3)))
    gate = Gate(id="g1", kind="confirm", stage=1, question="Go?", since=START + timedelta(seconds=chance.randrange(50)))
    pause = Pause(kind="failure", text="track failed", since=START + timedelta(seconds=chance.randrange(50)))
    state = chance.randrange(5)
    return a_project(
        f"p{number:04d}",
        name=chance.choice(["Crossing NORTH", "Straße süd", "bridge", f"Ort {number}"]),
        author=chance.choice(["ann", "bob", "cyd"]),
        participants=members,
        tags=tuple(chance.sample(["red", "blue", "a|b", "ü"], chance.randrange(3))),
        pipeline=a_pipeline(name=chance.choice(["traffic", "traffic-night", "other"])),
        priority=chance.choice([10, 50, 90]),
        created=START - timedelta(minutes=number * 7 % 13),
        updated=START + timedelta(milliseconds=chance.randrange(40)),
        trashed=START if chance.random() < 0.1 else None,
        stages={1: a_running_stage(1)} if state == 0 else {1: a_stage(1)} if state == 1 else {},
        gates=(gate,) if state == 2 else (),
        pause=pause if state == 3 else None,
    )


def some_query(chance: random.Random) -> Query:
    def maybe(*values: str) -> tuple[str, ...]:
        return (chance.choice(values),) if chance.random() < 0.3 else ()

    sorts: list[Sort] = ["updated", "created", "name", "priority"]
    states = maybe("running", "queued", "waiting", "paused", "idle", "trashed")
    return Query(
        who=chance.choice([None, frozenset({"ann", "@everyone"}), frozenset({"bob", "@lab", "@everyone"}), ALL]),
        states=(*states, "idle") if states and chance.random() < 0.4 else states,
        not_states=maybe("running", "idle"),
        tags=maybe("red", "blue", "a|b"),
        not_tags=maybe("ü", "red"),
        authors=maybe("ann", "bob", "nobody"),
        not_authors=maybe("cyd"),
        pipelines=maybe("traffic", "traffic*", "none*", "other"),
        not_pipelines=maybe("traffic-night", "t*"),
        participants=maybe("@lab", "cyd"),
        text=chance.choice(["", "", "north", "STRASSE", "p00", "Ort"]),
        asking=chance.random() < 0.2,
        sort=chance.choice(sorts),
        descending=chance.random() < 0.7,
        limit=chance.choice([1, 3, 7, 100]),
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_the_store_finds_is_what_looking_at_every_project_finds(server: Server, seed: int) -> None:  # noqa: F811
    chance = random.Random(seed)
    real, plain = RedisStore(server.client, keys=server.keys), MemoryStore(HandClock())
    for number in range(60):
        for _ in range(chance.randrange(1, 3)):  # the second time everything about it is another
            project = some_project(number, chance)
            put(real, project)
            put(plain, project)
    asked = [some_query(chance) for _ in range(150)]
    answers = [everything(real, q) for q in asked]
    for query, found in zip(asked, answers, strict=True):
        assert found == everything(plain, query), query
    assert any(len(a) > 20 for a in answers) and any(0 < len(a) < 5 for a in answers)
    for who in (None, ALL, frozenset({"ann"}), frozenset({"nobody"})):
        assert real.counts(who, "ann") == plain.counts(who, "ann")
        assert real.used_pipelines(who) == plain.used_pipelines(who)
        assert real.used_tags(who) == plain.used_tags(who)


def test_a_page_comes_back_short_when_its_cap_is_reached_and_goes_on_from_there(server: Server) -> None:  # noqa: F811
    store = RedisStore(server.client, keys=server.keys)
    for number in range(700):
        tags = ("red",) if number in (3, 650) else ()
        put(store, a_project(f"p{number:03d}", tags=tags, priority=number // 7))
    query = Query(tags=("red",), sort="priority", limit=10, cap=100)
    page = store.find(query)
    assert [r.id for r in page.rows] == ["p650"] and page.next
    found = [page]
    while found[-1].next:
        found.append(store.find(query.but(after=found[-1].next)))
    assert [r.id for p in found for r in p.rows] == ["p650", "p003"]
    assert len(found) == 2


@pytest.mark.parametrize("after", ["x", "-p1", "12", "1-", "1e9-p1", "'; --", "9" * 40 + "-p1"])
def test_a_place_that_was_never_answered_is_refused(server: Server, after: str) -> None:  # noqa: F811
    with pytest.raises(Invalid) as caught:
        RedisStore(server.client, keys=server.keys).find(Query(after=after))
    assert caught.value.code == "list.cursor"


def test_a_row_says_what_its_line_on_the_screen_needs(store: Store) -> None:
    gate = Gate(id="g1", kind="confirm", stage=2, question="Start track?", show=("0001-detect/a.jpg",), since=START)
    failure = Failure(stage=1, id="detect", cause="exit", message="x" * 900, since=START)
    put(store, a_project(stages={2: a_stage(2, "track")}, gates=(gate,), failures=(failure,)))
    row = store.find(Query()).rows[0]
    assert [(c.id, c.state) for c in row.strip] == [("detect", "later"), ("track", "waiting"), ("report", "later")]
    assert row.current is not None and (row.current.stage, row.current.id, row.current.state) == (2, "track", "waiting")
    assert row.current.reason == "waits for you: Start track?"
    assert (row.state, row.reason, row.gates) == ("waiting", "Start track?", (gate,))
    assert len(row.failures[0].message) == 400


def test_a_store_of_an_older_winslow_is_put_into_the_new_indexes_once(server: Server) -> None:  # noqa: F811
    keys = server.keys
    store = RedisStore(server.client, keys=keys)
    put(store, a_project("a", tags=("red",)))
    put(store, a_project("b", participants=(Member(user="@lab"),)))
    derived = [k for k in server.client.scan_iter(f"{keys.prefix}:idx:*") if k.decode() != keys.updated]
    server.client.delete(*derived)
    server.client.hset(keys.project("a"), "summary", '{"id":"a","name":"A","state":"idle","pipeline":"x","updated":1}')
    server.client.sadd(f"{keys.prefix}:idx:state:idle", "a", "b")
    server.client.set(keys.schema, json.dumps({"format": 1, "schema": 1, "written_by": "0.1"}))
    assert open_schema(server.client, keys) == SCHEMA
    assert open_schema(server.client, keys) == SCHEMA
    assert [r.id for r in store.find(Query(tags=("red",))).rows] == ["a"]
    assert store.find(Query(tags=("red",))).rows[0].pipeline == "traffic"
    assert store.counts(frozenset({"@lab"})).states == {"idle": 1}
    assert store.counts(None, "ann").mine == 2
    assert ask(server.client, ("EXISTS", f"{keys.prefix}:idx:state:idle"))[0] == 0
