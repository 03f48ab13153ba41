"""What the one commit does when others, the network and the server get in its way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import HandClock, a_project, a_running_stage, a_stage, an_ended_stage, decided
from tests.store.proxy import Proxy
from tests.valkey import Server
from winslow_nomad.core import journal
from winslow_nomad.core.decision import Decision
from winslow_nomad.core.effects import Notify, SealStage, WakeAt
from winslow_nomad.core.errors import Invalid, OutcomeUnknown, StoreUnavailable
from winslow_nomad.core.project import Project
from winslow_nomad.store import codec
from winslow_nomad.store.client import Address, state_client
from winslow_nomad.store.commit import REMEMBERED
from winslow_nomad.store.embedded import Embedded
from winslow_nomad.store.journal import JournalFeed
from winslow_nomad.store.live import START, Live
from winslow_nomad.store.queue import Doorbells
from winslow_nomad.store.redis import RedisStore
from winslow_nomad.store.transaction import ask


@pytest.fixture
def store(server: Server) -> RedisStore:
    return RedisStore(server.client, keys=server.keys)


@pytest.fixture
def proxy(server: Server, directory: Path) -> Iterator[Proxy]:
    found = Proxy(directory / "proxy.sock", server.address.socket)
    yield found
    found.close()


def add(name: str) -> object:
    def decide(project: Project | None) -> Decision:
        assert project is not None
        return decided(project.but(values={**project.values, name: str(len(project.values))}), SealStage(stage=1))

    return decide


def through(proxy: Proxy, server: Server, deadline: float = 10.0) -> RedisStore:
    return RedisStore(
        state_client(Address(socket=str(proxy.path), password=server.address.password)),
        keys=server.keys,
        deadline=deadline,
    )


def test_a_commit_whose_reply_was_lost_is_applied_once(store: RedisStore, proxy: Proxy, server: Server) -> None:
    store.change("p1", lambda _: decided(a_project()))
    proxy.lose_replies = 1
    project, change = through(proxy, server).change("p1", add("x"))
    assert proxy.lost == 1
    assert (change.applied, change.version, project.version) == (True, 2, 2)
    loaded = store.load("p1")
    assert loaded is not None and loaded.values == {"x": "0"}
    assert Doorbells(server.client, server.keys).length() == 1
    assert len(JournalFeed(server.client, HandClock(), server.keys).pending()) == 2


def test_a_lost_reply_is_found_although_others_went_on_meanwhile(
    store: RedisStore, proxy: Proxy, server: Server
) -> None:
    store.change("p1", lambda _: decided(a_project()))
    calls = 0

    def decide(project: Project | None) -> Decision:
        nonlocal calls
        calls += 1
        return add("mine")(project)  # type: ignore[operator]

    proxy.lose_replies = 1
    proxy.before_cut = lambda: [store.change("p1", add(f"o{n}")) for n in range(3)]
    _, change = through(proxy, server).change("p1", decide)
    assert (calls, change.version) == (1, 2)
    loaded = store.load("p1")
    assert loaded is not None and loaded.version == 5


def test_when_the_log_no_longer_reaches_back_the_outcome_is_unknown_and_nothing_is_done_again(
    store: RedisStore, proxy: Proxy, server: Server
) -> None:
    store.change("p1", lambda _: decided(a_project()))
    proxy.lose_replies = 1
    proxy.before_cut = lambda: [store.change("p1", add(f"o{n}")) for n in range(REMEMBERED)]
    with pytest.raises(OutcomeUnknown):
        through(proxy, server).change("p1", add("mine"))
    loaded = store.load("p1")
    assert loaded is not None and loaded.version == REMEMBERED + 2


def test_a_creation_whose_reply_was_lost_is_not_made_twice(store: RedisStore, proxy: Proxy, server: Server) -> None:
    proxy.lose_replies = 1
    _, change = through(proxy, server).change("p1", lambda _: decided(a_project()))
    assert (change.applied, change.version) == (True, 1)


def test_a_server_that_stays_away_is_unavailable_after_the_deadline(directory: Path) -> None:
    store = RedisStore(state_client(Address(socket=str(directory / "nobody"))), deadline=0.2)
    with pytest.raises(StoreUnavailable) as caught:
        store.change("p1", lambda _: decided(a_project()))
    assert not isinstance(caught.value, OutcomeUnknown)
    with pytest.raises(StoreUnavailable):
        store.load("p1")


def test_an_exec_without_an_answer_is_an_unknown_outcome_when_the_server_stays_away(
    store: RedisStore, proxy: Proxy, server: Server
) -> None:
    store.change("p1", lambda _: decided(a_project()))
    proxy.lose_replies = 1000
    proxy.before_cut = proxy.close_listener
    with pytest.raises(OutcomeUnknown):
        through(proxy, server, deadline=0.3).change("p1", add("x"))


def test_two_processes_see_each_others_changes(store: RedisStore, server: Server) -> None:
    other = RedisStore(state_client(server.address), keys=server.keys)
    store.change("p1", lambda _: decided(a_project(stages={1: a_stage(1), 2: a_stage(2)})))
    assert other.load("p1") == store.load("p1")
    store.change("p1", lambda p: decided(p.but(stages={1: a_running_stage(1), 2: p.stages[2]})))
    assert other.load("p1") == store.load("p1")
    store.change("p1", lambda p: decided(p.but(stages={2: p.stages[2]}, sealing={1: p.stages[1]})))
    assert other.load("p1") == store.load("p1")
    store.change("p1", lambda p: decided(p.but(sealing={}, ended={1: an_ended_stage(1)})))
    assert other.load("p1") == store.load("p1")
    for number in range(3, 3 + 2 * REMEMBERED):  # further than the log reaches
        store.change("p1", lambda p, n=number: decided(p.but(ended={**p.ended, n: an_ended_stage(n)})))
    loaded = other.load("p1")
    assert loaded == store.load("p1")
    assert loaded is not None and len(loaded.ended) == 2 * REMEMBERED + 1
    other.change("p1", lambda p: decided(p.but(stages={})))
    assert dict((store.load("p1") or a_project(stages={1: a_stage()})).stages) == {}


def test_a_process_that_follows_fetches_only_what_is_new(store: RedisStore, server: Server) -> None:
    client = state_client(server.address)
    other = RedisStore(client, keys=server.keys)
    ended = {n: an_ended_stage(n) for n in range(1, 301)}
    store.change("p1", lambda _: decided(a_project(ended=ended)))
    other.load("p1")
    store.change("p1", lambda p: decided(p.but(ended={**p.ended, 301: an_ended_stage(301)})))
    before = server.client.info("stats")["total_net_output_bytes"]
    loaded = other.load("p1")
    sent = server.client.info("stats")["total_net_output_bytes"] - before
    assert loaded == store.load("p1")
    whole = sum(len(codec.write_record(e)) for e in ended.values())
    assert sent < whole / 3


def test_a_typical_ended_stage_takes_at_most_300_bytes(server: Server) -> None:
    typical = an_ended_stage(
        12, "detect", inputs={"prepare": 11}, node="castor", results={"vehicles": 117},
        source={"kind": "stage", "number": 11},
    )  # fmt: skip
    assert len(codec.write_record(typical)) <= 300


def test_only_the_stages_that_changed_are_written(store: RedisStore, server: Server) -> None:
    stages = {n: a_stage(n) for n in range(1, 201)}
    store.change("p1", lambda _: decided(a_project(stages=stages)))
    feed = JournalFeed(server.client, HandClock(), server.keys)
    store.change("p1", lambda p: decided(p.but(stages={**p.stages, 7: a_running_stage(7)})))
    line = json.loads(feed.pending()[-1][2])
    assert [s["number"] for s in line["stages"]] == [7]
    assert "pipeline_text" not in line


def test_the_journal_makes_the_project_again(store: RedisStore, server: Server) -> None:
    feed = JournalFeed(server.client, HandClock(), server.keys)
    store.change("p1", lambda _: decided(a_project(stages={1: a_running_stage(1), 2: a_stage(2)})))
    done = a_running_stage(1).but(ended=a_project().created)
    store.change("p1", lambda p: decided(p.but(stages={2: p.stages[2]}, sealing={1: done})))
    changed = a_project().pipeline.but(name="other")
    store.change("p1", lambda p: decided(p.but(sealing={}, ended={1: an_ended_stage(1)}, pipeline=changed)))
    lines = [journal.read_line(text) for _, _, text in feed.pending()]
    assert journal.replay([*reversed(lines), lines[0]]) == store.load("p1")
    without_the_second = journal.replay([lines[0], lines[2]])
    assert without_the_second is not None and without_the_second.version == 1
    assert journal.replay(lines[1:]) is None


def test_of_two_journals_the_line_of_the_higher_epoch_counts(store: RedisStore, server: Server) -> None:
    feed = JournalFeed(server.client, HandClock(), server.keys)
    store.change("p1", lambda _: decided(a_project()))
    store.change("p1", lambda p: decided(p.but(name="old")))
    first, old = (journal.read_line(text) for _, _, text in feed.pending())
    new = old.but(epoch=old.epoch + 1, head={**old.head, "name": "new"})
    rebuilt = journal.replay([first, new, old])
    assert rebuilt is not None and rebuilt.name == "new"


def test_journal_lines_stay_until_they_are_done(store: RedisStore, server: Server) -> None:
    feed = JournalFeed(server.client, HandClock(), server.keys)
    assert feed.lag().lines == 0
    store.change("p1", lambda _: decided(a_project()))
    store.change("p1", add("x"))
    pending = feed.pending()
    assert [p for _, p, _ in pending] == ["p1", "p1"]
    assert feed.pending() == pending
    feed.done([pending[0][0]])
    feed.done([pending[0][0]])
    assert feed.pending() == pending[1:]
    assert feed.lag().lines == 1


def test_the_live_stream_tells_what_happened_and_of_gaps(store: RedisStore, server: Server) -> None:
    live = Live(server.reader, server.keys)
    assert live.now() == START
    assert live.read(START).happened == ()
    store.change("p1", lambda _: decided(a_project(), Notify(what="gate", text="look here"), what="created"))
    batch = live.read(START)
    assert [(h.project, h.version, h.entry.what) for h in batch.happened] == [("p1", 1, "created"), ("p1", 1, "notice")]
    assert batch.happened[1].entry.text == "look here"
    assert not batch.gap
    assert live.read(batch.cursor).happened == ()
    store.change("p1", add("x"))
    later = live.read(batch.cursor)
    assert [h.version for h in later.happened] == [2] and not later.gap
    server.client.xtrim(server.keys.live, maxlen=0, approximate=False)
    store.change("p1", add("y"))
    assert live.read(batch.cursor).gap
    assert live.read(START).gap
    assert not live.read(live.now()).gap


def test_a_reader_that_waits_gets_what_comes(store: RedisStore, server: Server) -> None:
    live = Live(server.reader, server.keys)
    store.change("p1", lambda _: decided(a_project()))
    cursor = live.now()
    writer = threading.Timer(0.05, lambda: store.change("p1", add("x")))
    writer.start()
    batch = live.read(cursor, timeout=10)
    writer.join()
    assert [h.version for h in batch.happened] == [2]


def test_the_deadlines_are_never_lost_by_a_restart_of_the_reader(store: RedisStore, server: Server) -> None:
    clock = HandClock()
    store.change("p1", lambda _: decided(a_project(), WakeAt(at=clock.now())))
    assert RedisStore(server.client, keys=server.keys).due(clock.now()) == ["p1"]


def test_a_text_that_is_no_unicode_is_refused_and_nothing_is_written(store: RedisStore) -> None:
    before = store.change("p1", lambda _: decided(a_project()))[0]
    with pytest.raises(Invalid):
        store.change("p1", lambda p: decided(p.but(name="\udcff")))
    assert store.load("p1") == before


def test_a_record_of_a_newer_format_is_not_touched(store: RedisStore, server: Server) -> None:
    store.change("p1", lambda _: decided(a_project()))
    server.client.hset(server.keys.project("p1"), "format", codec.FORMAT + 1)
    with pytest.raises(StoreUnavailable, match="newer"):
        RedisStore(server.client, keys=server.keys).change("p1", add("x"))


def test_fields_of_a_newer_version_survive(store: RedisStore, server: Server) -> None:
    store.change("p1", lambda _: decided(a_project(stages={1: a_stage(1)})))
    key = server.keys.project("p1")
    head = json.loads(server.client.hget(key, "head"))
    server.client.hset(key, "head", json.dumps({**head, "mood": "sunny"}))
    other = RedisStore(server.client, keys=server.keys)
    other.change("p1", lambda p: decided(p.but(name="changed")))
    assert json.loads(server.client.hget(key, "head"))["mood"] == "sunny"


def test_a_record_that_cannot_be_read_says_so(store: RedisStore, server: Server) -> None:
    store.change("p1", lambda _: decided(a_project()))
    server.client.hset(server.keys.project("p1"), "head", "{torn")
    with pytest.raises(StoreUnavailable) as caught:
        RedisStore(server.client, keys=server.keys).load("p1")
    assert caught.value.code == "store.unreadable"


def test_an_error_among_several_replies_does_not_mix_the_others_up_with_the_next(proxy: Proxy, server: Server) -> None:
    client = state_client(Address(socket=str(proxy.path), password=server.address.password))
    assert ask(client, ("ECHO", "zero")) == [b"zero"]
    proxy.ahead = b"-LOADING the server reads its data\r\n"
    with pytest.raises(StoreUnavailable):
        ask(client, ("ECHO", "one"), ("ECHO", "two"))
    assert ask(client, ("ECHO", "three")) == [b"three"]


def test_a_store_without_memory_says_so_and_changes_nothing(directory: Path) -> None:
    with Embedded(directory / "data") as own:
        client = state_client(own.address)
        store = RedisStore(client)
        before = store.change("p1", lambda _: decided(a_project()))[0]
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable) as caught:
            store.change("p1", add("x"))
        assert caught.value.code == "store.memory"
        assert store.load("p1") == before
        client.config_set("maxmemory", "0")
        assert store.change("p1", add("x"))[1].applied
