"""A backup taken while everything goes on is whole, and restores into a store that goes on from there."""

from __future__ import annotations

import json
import random
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import START, HandClock, a_pipeline, a_project, a_running_stage, a_stage, an_ended_stage, decided
from tests.resources.share import make_share
from tests.valkey import Server
from winslow_nomad.core.effects import SealStage
from winslow_nomad.core.errors import Invalid, NotFound, Refused
from winslow_nomad.core.project import Project
from winslow_nomad.resources.backup import read_backup, write_backup
from winslow_nomad.resources.journals import highest_epoch
from winslow_nomad.resources.mirror import Mirror
from winslow_nomad.resources.rebuild import rebuild
from winslow_nomad.store.dump import LEFT_OUT, Record, dump, load, restorer
from winslow_nomad.store.journal import JournalFeed
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.lease import Lease
from winslow_nomad.store.redis import RedisStore
from winslow_nomad.store.secrets import Secrets

CLOCK = HandClock()


class Lines:
    def __init__(self, feed: JournalFeed) -> None:
        self._feed = feed
        self.done = feed.done

    def pending(self, count: int) -> list[tuple[str, str, Any]]:
        return [(c, p, json.loads(text)) for c, p, text in self._feed.pending(count)]


@pytest.fixture
def fresh(server: Server) -> Iterator[Keys]:
    """Another, empty store."""
    yield Keys(server.keys.prefix + "-fresh")


def rich(name: str) -> Project:
    return a_project(
        name,
        name="Ümläut\n📹",
        stages={1: a_running_stage(1), 3: a_stage(3, "track")},
        ended={2: an_ended_stage(2)},
        values={"X": "1"},
        secrets={"LICENCE": "secret:abc"},
    )


def filled(server: Server) -> RedisStore:
    store = RedisStore(server.client, keys=server.keys)
    for name in ("p1", "p2"):
        store.change(name, lambda _, name=name: decided(rich(name), SealStage(stage=2)))  # type: ignore[misc]
    return store


def mirrored(server: Server, keys: Keys, share: Path, epoch: int) -> None:
    mirror = Mirror(share, Lines(JournalFeed(server.client, CLOCK, keys)), epoch)
    while mirror.step():
        pass


def saved(server: Server, target: Path) -> Path:
    write_backup(target, dump(server.client, server.keys))
    return target


def test_everything_comes_back(server: Server, fresh: Keys, tmp_path: Path) -> None:
    store = filled(server)
    Lease(server.client, "a", keys=server.keys).hold()
    key_file = tmp_path / "key"
    reference = Secrets(server.client, key_file, CLOCK, server.keys).put("LICENCE", "sesame")
    server.client.hset(f"{server.keys.prefix}:later:addition", mapping={"a": b"\xff\xfe", "b": "2"})
    server.client.set(f"{server.keys.prefix}:later:text", "x", px=60_000)
    server.client.zadd(f"{server.keys.prefix}:later:order", {"m": 1.5})
    server.client.sadd(f"{server.keys.prefix}:later:set", "m", "n")
    server.client.rpush(f"{server.keys.prefix}:later:list", "m", "m")
    file = saved(server, tmp_path / "b.zip")
    sentences = read_backup(file, lambda records: load(server.client, fresh, records))
    assert sentences[0] == "2 projects restored."
    again = RedisStore(server.client, keys=fresh)
    assert {p: again.load(p) for p in again.projects()} == {p: store.load(p) for p in store.projects()}
    assert Secrets(server.client, key_file, CLOCK, fresh).reveal(reference) == "sesame"
    for name in ("addition", "text", "order", "set", "list"):
        first, second = (f"{prefix}:later:{name}" for prefix in (server.keys.prefix, fresh.prefix))
        kind = server.client.type(first)
        assert server.client.type(second) == kind
        read = {
            b"hash": "hgetall",
            b"string": "get",
            b"set": "smembers",
            b"zset": "zrange",
            b"list": "lrange",
        }[kind]  # type: ignore[index]
        more = (0, -1) if read in ("zrange", "lrange") else ()
        assert getattr(server.client, read)(first, *more) == getattr(server.client, read)(second, *more)
    assert 0 < server.client.pttl(f"{fresh.prefix}:later:text") <= 60_000  # type: ignore[operator]
    assert sorted(again.dirty()) == ["p1", "p2"], "what was outstanding is taken up"


def test_secrets_are_in_it_encrypted_and_nothing_else_of_them(server: Server, tmp_path: Path) -> None:
    Secrets(server.client, tmp_path / "key", CLOCK, server.keys).put("LICENCE", "sesame-open-now")
    file = saved(server, tmp_path / "b.zip")
    with zipfile.ZipFile(file) as archive:
        text = b"".join(archive.read(name) for name in archive.namelist())
    assert b"LICENCE" in text
    assert b"sesame" not in text
    assert (tmp_path / "key").read_bytes().hex().encode() not in text


def test_each_project_is_one_version_whole_while_others_write(server: Server, fresh: Keys, tmp_path: Path) -> None:
    """Every version's stages all carry its number: a mixture of two versions would show."""
    store = RedisStore(server.client, keys=server.keys)
    names = [f"p{n}" for n in range(4)]

    def versioned(name: str, mark: int) -> Project:
        stages = {n: a_stage(n, comment=str(mark)) for n in range(1, 20)}
        return a_project(name, name=str(mark), stages=stages, pipeline=a_pipeline(name=f"pipeline {mark % 3}"))

    for name in names:
        store.change(name, lambda _, name=name: decided(versioned(name, 0)))  # type: ignore[misc]
    stop = threading.Event()
    written = [0]

    def write() -> None:
        own = RedisStore(server.client, keys=server.keys)
        rng = random.Random(1)
        while not stop.is_set():
            written[0] += 1
            name = rng.choice(names)
            own.change(name, lambda before: decided(versioned(name, before.version + 1)))  # type: ignore[union-attr] # noqa: B023

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(10):
            before = written[0]
            file = saved(server, tmp_path / f"{number}.zip")
            keys = Keys(f"{fresh.prefix}{number}")
            read_backup(file, lambda records: load(server.client, keys, records))  # noqa: B023
            again = RedisStore(server.client, keys=keys)
            for name in names:
                found = again.load(name)
                assert found is not None
                assert {s.comment for s in found.stages.values()} == {found.name}
                assert found.pipeline.name == f"pipeline {int(found.name) % 3}"
            assert written[0] > before
    finally:
        stop.set()
        writer.join()


def test_a_store_with_projects_is_left_alone_unless_forced(server: Server, fresh: Keys, tmp_path: Path) -> None:
    store = filled(server)
    server.client.zadd(f"{server.keys.prefix}:later:order", {"m": 1.5})
    server.client.rpush(f"{server.keys.prefix}:later:list", "m", "n")
    file = saved(server, tmp_path / "b.zip")
    store.change("p1", lambda before: decided(before.but(name="newer")))  # type: ignore[union-attr]
    with pytest.raises(Refused) as refusal:
        read_backup(file, lambda records: load(server.client, server.keys, records))
    assert refusal.value.code == "backup.store_not_empty"
    for key in server.client.scan_iter(match=f"{server.keys.prefix}:p:p2*"):
        server.client.delete(key)
    server.client.zadd(f"{server.keys.prefix}:later:order", {"m": 2.5})
    sentences = read_backup(file, lambda records: load(server.client, server.keys, records, force=True))
    assert sentences[0] == "1 project restored."
    assert "1 project left" in sentences[1]
    again = RedisStore(server.client, keys=server.keys)
    first, second = again.load("p1"), again.load("p2")
    assert first is not None and first.name == "newer"
    assert second is not None and second.but(version=0) == rich("p2")
    assert server.client.zscore(f"{server.keys.prefix}:later:order", "m") == 2.5, "what was there stays"
    assert server.client.lrange(f"{server.keys.prefix}:later:list", 0, -1) == [b"m", b"n"], "and nothing is there twice"


def test_a_store_that_has_only_secrets_is_not_empty(server: Server, fresh: Keys, tmp_path: Path) -> None:
    """Its key file would be taken for that of the backup."""
    Secrets(server.client, tmp_path / "key", CLOCK, fresh).put("LICENCE", "sesame")
    with pytest.raises(Refused) as refusal:
        load(server.client, fresh, [])
    assert refusal.value.code == "backup.store_not_empty"


def test_a_project_whose_pipeline_is_missing_from_the_backup_is_damaged(server: Server, fresh: Keys) -> None:
    filled(server)
    records = [r for r in dump(server.client, server.keys) if r.kind != "pipeline"]
    with pytest.raises(Invalid) as refusal:
        load(server.client, fresh, records)
    assert refusal.value.code == "backup.damaged"


def test_what_is_restored_and_all_that_follows_has_a_higher_epoch_than_any_journal(server: Server, fresh: Keys) -> None:
    filled(server)
    Lease(server.client, "a", keys=server.keys).hold()
    load(server.client, fresh, list(dump(server.client, server.keys)), epoch=50)
    lines = [json.loads(text) for _, _, text in JournalFeed(server.client, CLOCK, fresh).pending(10)]
    assert [line["project"] for line in lines if line["whole"]] == ["p1", "p2"]
    restored = min(line["epoch"] for line in lines)
    assert restored > 50
    for name in ("controller", "mirror"):
        held = Lease(server.client, "b", keys=fresh, name=name).hold()
        assert held is not None and held > restored


def test_after_an_old_backup_the_journals_tell_the_new_history(server: Server, fresh: Keys, tmp_path: Path) -> None:
    """Backup at version 1, history up to 3, store lost, backup restored, history goes on: a rebuild finds that."""
    share = make_share(tmp_path / "share")
    store = filled(server)
    lease = Lease(server.client, "a", keys=server.keys)
    assert lease.hold() == 1
    file = saved(server, tmp_path / "b.zip")
    for _ in range(3):
        store.change("p1", lambda before: decided(before.but(name="void")))  # type: ignore[union-attr]
    mirrored(server, server.keys, share, 1)
    for journal in (share / "projects").glob("p2/journal/*"):
        journal.unlink()  # this one's history is missing on the share
    (share / "projects/p2/project.json").unlink()
    read_backup(file, lambda records: load(server.client, fresh, records, epoch=highest_epoch(share)))
    again = RedisStore(server.client, keys=fresh)
    epoch = Lease(server.client, "b", keys=fresh).hold()
    assert epoch is not None
    assert epoch > 1
    again.change("p1", lambda before: decided(before.but(name="true")))  # type: ignore[union-attr]
    mirrored(server, fresh, share, epoch)
    found: dict[str, Project] = {}
    report = rebuild(share, lambda p: found.__setitem__(p.id, p))
    assert found["p1"].name == "true"
    assert found == {p: again.load(p) for p in ("p1", "p2")}
    assert report.losses == []


def test_an_old_backup_and_then_a_rebuild_lose_nothing_that_was_mirrored(
    server: Server, fresh: Keys, tmp_path: Path
) -> None:
    share = make_share(tmp_path / "share")
    store = filled(server)
    Lease(server.client, "a", keys=server.keys).hold()
    file = saved(server, tmp_path / "b.zip")
    for number in range(3):
        store.change("p1", lambda before: decided(before.but(name=f"n{number}")))  # type: ignore[union-attr] # noqa: B023
    mirrored(server, server.keys, share, 1)
    wanted = store.load("p1")
    for round_ in range(2):  # and once more, after history went on
        keys = Keys(f"{fresh.prefix}{round_}")
        read_backup(file, lambda records: load(server.client, keys, records, epoch=highest_epoch(share)))  # noqa: B023
        rebuild(share, restorer(server.client, keys, highest_epoch(share)))
        again = RedisStore(server.client, keys=keys)
        assert again.load("p1") == wanted
        epoch = Lease(server.client, "b", keys=keys).hold()
        assert epoch is not None
        again.change("p1", lambda before: decided(before.but(name="later")))  # type: ignore[union-attr]
        wanted = again.load("p1")
        mirrored(server, keys, share, epoch)
        found: dict[str, Project] = {}
        assert rebuild(share, lambda p: found.__setitem__(p.id, p)).losses == []  # noqa: B023
        assert found == {p: again.load(p) for p in ("p1", "p2")}


@pytest.mark.parametrize("where", ["start", "middle", "end", "cut", "empty"])
def test_a_damaged_backup_restores_nothing(server: Server, fresh: Keys, tmp_path: Path, where: str) -> None:
    filled(server)
    file = saved(server, tmp_path / "b.zip")
    data = bytearray(file.read_bytes())
    at = {"start": 60, "middle": len(data) // 2, "end": len(data) - 30, "cut": 0, "empty": 0}[where]
    data[at] ^= 0x55
    file.write_bytes(data[: len(data) // 2] if where == "cut" else b"" if where == "empty" else data)
    with pytest.raises(Invalid) as trouble:
        read_backup(file, lambda records: load(server.client, fresh, records))
    assert trouble.value.code == "backup.damaged"
    assert RedisStore(server.client, keys=fresh).projects() == []


def test_an_existing_file_is_never_overwritten(server: Server, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_text("mine")
    with pytest.raises(Refused):
        saved(server, tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_text() == "mine"
    with pytest.raises(NotFound):
        read_backup(tmp_path / "none.zip", lambda records: ())


def test_a_folder_gets_a_file_named_by_the_time(server: Server, tmp_path: Path) -> None:
    sentences = write_backup(tmp_path, dump(server.client, server.keys))
    (made,) = tmp_path.iterdir()
    assert str(made) in sentences[0]


def test_a_backup_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[Record]:
        yield Record("about", "", b"{}")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        write_backup(tmp_path / "b.zip", broken())
    assert list(tmp_path.iterdir()) == []


def test_a_newer_backup_is_refused_with_a_sentence(server: Server, fresh: Keys) -> None:
    records = [Record("about", "", json.dumps({"format": 9, "schema": 99, "written_by": "9.0"}).encode())]
    with pytest.raises(Refused, match="newer than this Winslow"):
        load(server.client, fresh, records)


def test_every_key_is_either_taken_along_or_left_out_on_purpose() -> None:
    """A new key in `Keys` has to be judged: is it derived or short-lived (LEFT_OUT), or does nothing else know it?"""
    taken = {"stat", "secrets", "people", "groups", "tokens", "settings", "library", "library-mirror", "source",
             "audit", "rules", "registries"}  # fmt: skip
    words = set()
    for name, member in vars(Keys).items():
        if name.startswith("_") or name in ("prefix", "edition"):  # an edition lies beside the key it counts
            continue
        made = getattr(Keys("x"), name)
        key = made if isinstance(member, property) else made(*["y"] * (member.__code__.co_argcount - 1))
        words.add(key.split(":")[1])
    assert words == taken | LEFT_OUT


def test_times_of_the_records_are_kept_to_the_microsecond(server: Server, fresh: Keys, tmp_path: Path) -> None:
    store = RedisStore(server.client, keys=server.keys)
    at = START.replace(microsecond=123457)
    store.change("p1", lambda _: decided(a_project("p1", updated=at)))
    file = saved(server, tmp_path / "b.zip")
    read_backup(file, lambda records: load(server.client, fresh, records))
    found = RedisStore(server.client, keys=fresh).load("p1")
    assert found is not None
    assert found.updated == at
