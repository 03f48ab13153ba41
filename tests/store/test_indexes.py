"""What commits keep beside the projects: it is what one would write who made it all at once from the projects alone."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.builders import START, a_pipeline, a_project, a_running_stage, a_stage, an_ended_stage, decided
from tests.valkey import Server
from winslow_nomad.core.decision import Decision
from winslow_nomad.core.effects import Effect, SealStage, WakeAt
from winslow_nomad.core.project import Gate, Member, Project
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.redis import RedisStore
from winslow_nomad.store.reindex import reindex

NAMES = st.sampled_from(["ann", "bob", "@lab"])
GATE = Gate(id="g1", kind="confirm", stage=1, question="Start it?", since=START)
STAGES = [a_stage(1), a_stage(1, order=3.0), a_running_stage(1), a_running_stage(2)]


@st.composite
def projects(draw: st.DrawFn, name: str) -> Project:
    open_ones = (
        []
        if draw(st.integers(0, 4)) == 0
        else draw(st.lists(st.sampled_from(STAGES), min_size=1, max_size=2, unique_by=lambda s: s.number))
    )
    return a_project(
        name,
        name=draw(st.sampled_from(["Crossroads", "CROSSROADS", "Straße"])),
        author=draw(NAMES),
        participants=tuple(Member(user=n) for n in draw(st.lists(NAMES, max_size=2, unique=True))),
        tags=tuple(draw(st.lists(st.sampled_from(["north", "south"]), max_size=2, unique=True))),
        priority=draw(st.integers(0, 100)),
        driver=draw(st.sampled_from(["nomad", "nomad", "local"])),
        pipeline=a_pipeline(name=draw(st.sampled_from(["traffic", "birds"]))),
        trashed=draw(st.sampled_from([None, None, None, START])),
        gates=draw(st.sampled_from([(), (), (GATE,)])),
        stages={s.number: s for s in open_ones},
        ended={9: an_ended_stage(9)} if draw(st.booleans()) else {},
        updated=START + timedelta(minutes=draw(st.integers(0, 9))),
        next_number=10,
    )


EFFECTS: st.SearchStrategy[tuple[Effect, ...]] = st.sampled_from(
    [(), (SealStage(stage=1),), (WakeAt(at=START),), (SealStage(stage=1), WakeAt(at=START + timedelta(hours=1)))]
)
STEPS = st.sampled_from(["p1", "p1", "p2"]).flatmap(lambda name: st.tuples(projects(name), EFFECTS))
HISTORIES = st.lists(STEPS, min_size=2, max_size=6)


def write(store: RedisStore, wanted: Project, effects: tuple[Effect, ...]) -> None:
    def decide(before: Project | None) -> Decision:
        return decided(wanted.but(version=before.version if before is not None else 0), *effects)

    store.change(wanted.id, decide)


def held(client: Redis, keys: Keys, *parts: str) -> dict[str, Any]:
    """By the end of its key. A count of nothing, and the name of an audience that is gone, say nothing."""
    found: dict[str, Any] = {}
    for key in (k.decode() for part in parts for k in client.scan_iter(f"{keys.prefix}:{part}", count=1000)):
        end = key.removeprefix(f"{keys.prefix}:")
        match client.type(key):
            case b"zset":
                found[end] = dict(client.zrange(key, 0, -1, withscores=True))
            case b"set":
                found[end] = client.smembers(key)
            case b"hash":
                fields = {f: v for f, v in client.hgetall(key).items() if v != b"0"}
                found |= {end: fields} if fields else {}
    audiences = {field.split(b"|")[1] for field in found.get("idx:counts", {})}
    known = found.get("idx:audiences", {})
    return found | ({"idx:audiences": {a: known.get(a) for a in audiences}} if audiences else {})


PROPERTY = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@PROPERTY
@given(HISTORIES)
def test_indexes_made_anew_are_those_that_commits_have_kept(server: Server, history: Any) -> None:
    keys = Keys(f"t{secrets.token_hex(4)}")
    store = RedisStore(server.client, keys=keys)
    for wanted, effects in history:
        write(store, wanted, effects)
    before = held(server.client, keys, "idx:*")
    alive = []
    assert reindex(server.client, keys, lambda: alive.append(1)) == len({p.id for p, _ in history})
    assert held(server.client, keys, "idx:*") == before


@PROPERTY
@given(HISTORIES)
def test_after_any_history_lists_and_marks_are_as_if_the_last_state_had_been_the_first(
    server: Server, history: Any
) -> None:
    lived, fresh = Keys(f"t{secrets.token_hex(4)}"), Keys(f"t{secrets.token_hex(4)}")
    store = RedisStore(server.client, keys=lived)
    for wanted, effects in history:
        write(store, wanted, effects)
    last = {wanted.id: (wanted, effects) for wanted, effects in history}
    for wanted, effects in last.values():
        write(RedisStore(server.client, keys=fresh), wanted, effects)
    parts = ("idx:*", "open", "timers", "waiting:local", "waiting:nomad", "at:local", "at:nomad")
    assert held(server.client, lived, *parts) == held(server.client, fresh, *parts)
    to_do = {name.encode() for name, (_, effects) in last.items() if any(isinstance(e, SealStage) for e in effects)}
    assert set(server.client.zrange(lived.dirty, 0, -1)) == to_do
    assert set(server.client.zrange(lived.dirty_since, 0, -1)) == to_do
