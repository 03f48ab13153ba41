"""The journal on the share and the store's state are one, whatever is killed when; and back again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import START, HandClock, a_pipeline, a_project, a_running_stage, a_stage, an_ended_stage, decided
from tests.resources.share import make_share, tree
from tests.valkey import Server, running_server, server
from tests.waiting import until
from winslow_nomad.core import journal as core_journal
from winslow_nomad.core.decision import Decision
from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import StageState
from winslow_nomad.resources import journals
from winslow_nomad.resources.journals import Folded, RawLine, fold, highest_epoch, merge, read_lines
from winslow_nomad.resources.mirror import Mirror, append
from winslow_nomad.resources.rebuild import rebuild
from winslow_nomad.store.journal import JournalFeed
from winslow_nomad.store.redis import RedisStore

__all__ = ["running_server", "server"]


class Lines:
    """The store's list of lines, in memory."""

    def __init__(self, *lines: RawLine) -> None:
        self.waiting = {str(n): line for n, line in enumerate(lines)}

    def pending(self, count: int) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        return [(c, line["project"], line) for c, line in list(self.waiting.items())[:count]]

    def done(self, cursors: Sequence[str]) -> None:
        for cursor in cursors:
            self.waiting.pop(cursor, None)


def line(version: int, project: str = "p1", epoch: int = 1, **changes: Any) -> dict[str, Any]:
    head = {"id": project, "name": f"v{version}", "created": START.isoformat(), "updated": START.isoformat()}
    made = {
        "format": 1, "epoch": epoch, "project": project, "version": version, "time": START.isoformat(),
        "head": {**head, "version": version, "next_number": version + 1, **changes.pop("head", {})}, "pipeline": "d",
        "stages": [json.loads(a_stage(version).model_dump_json())],
        "removed": [version - 1] if version > 1 else [],
        **changes,
    }  # fmt: skip
    if version == 1 or made.get("whole"):
        made["pipeline_text"] = a_pipeline().model_dump_json()
    return made


def rebuilt(root: Path) -> dict[str, Project]:
    found: dict[str, Project] = {}
    rebuild(root, lambda p: found.__setitem__(p.id, p))
    return found


@pytest.fixture
def share(tmp_path: Path) -> Path:
    return make_share(tmp_path / "share")


def test_lines_are_on_the_share_before_they_are_done(share: Path) -> None:
    lines = Lines(line(1), line(2), line(1, "p2"))
    assert Mirror(share, lines, 3).step() == 3
    assert lines.waiting == {}
    assert sorted(p.name for p in (share / "projects").iterdir()) == ["p1", "p2"]
    written, torn = read_lines((share / "projects/p1/journal/3.jsonl").read_bytes(), "p1")
    assert (written, torn) == ([line(1), line(2)], 0)
    cache = json.loads((share / "projects/p1/project.json").read_text())
    assert (cache["version"], cache["name"], cache["state"]) == (2, "v2", "queued")
    assert [s["number"] for s in cache["stages"]] == [2]


def test_project_json_goes_on_from_what_another_mirror_wrote(share: Path) -> None:
    Mirror(share, Lines(line(1), line(2)), 1).step()
    for damage in (lambda p: None, lambda p: p.unlink(), lambda p: p.write_text("{"), lambda p: p.write_text("[]")):
        epoch = highest_epoch(share) + 1
        damage(share / "projects/p1/project.json")
        version = epoch + 1
        Mirror(share, Lines(line(version)), epoch).step()
        cache = json.loads((share / "projects/p1/project.json").read_text())
        assert (cache["version"], [s["number"] for s in cache["stages"]]) == (version, [version])


def test_a_torn_line_of_a_killed_mirror_is_passed_over(share: Path) -> None:
    mirror = Mirror(share, Lines(line(1), line(2)), 1)
    mirror.step()
    path = share / "projects/p1/journal/1.jsonl"
    with path.open("ab") as file:
        file.write(json.dumps(line(3)).encode()[:100])
    Mirror(share, Lines(line(3)), 1).step()
    written, torn = read_lines(path.read_bytes(), "p1")
    assert ([w["version"] for w in written], torn) == ([1, 2, 3], 1)
    assert rebuilt(share)["p1"].version == 3


def test_what_a_killed_mirror_was_writing_is_taken_away_by_the_next(share: Path) -> None:
    folder = share / "projects" / "p1"
    folder.mkdir(parents=True)
    (folder / ".project.json.6.tmp").write_text("{")
    (folder / ".project.json.8.tmp").write_text("{")  # of a later term than ours: not for us to touch
    Mirror(share, Lines(line(1)), 7).step()
    assert sorted(p.name for p in folder.iterdir()) == [".project.json.8.tmp", "journal", "project.json"]


def test_one_project_that_cannot_be_written_does_not_hold_up_the_others(share: Path) -> None:
    (share / "projects").mkdir()
    (share / "projects" / "p1").write_text("a file where a folder should be")
    lines = Lines(*(line(v) for v in range(1, 600)), line(1, "p2"))
    mirror = Mirror(share, lines, 1)
    for _ in range(3):
        with pytest.raises(ShareUnavailable):
            mirror.step()
    assert {entry["project"] for entry in lines.waiting.values()} == {"p1"}
    (share / "projects" / "p1").unlink()
    while mirror.step():
        pass
    assert rebuilt(share)["p1"].version == 599


def test_a_second_writer_of_one_file_is_refused(share: Path, tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "1.jsonl"
    append(path, b"one\n")
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            append(path, b"two\n")
    assert path.read_bytes() == b"one\n"


def test_what_cannot_be_appended_in_full_is_taken_back(filesystem: Callable[..., Path]) -> None:
    path = filesystem("tmpfs", 1) / "1.jsonl"
    append(path, b"one\n")
    with pytest.raises(OSError, match="No space"):
        append(path, b"x" * (2 << 20) + b"\n")
    assert path.read_bytes() == b"one\n"


def test_a_full_share_loses_nothing_and_goes_on(filesystem: Callable[..., Path]) -> None:
    room = filesystem("tmpfs", 2)
    root = make_share(room / "share")
    lines = Lines(*(line(v) for v in range(1, 30)))
    with pytest.raises(OSError), (room / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    mirror = Mirror(root, lines, 1)
    with pytest.raises(ShareUnavailable) as trouble:
        mirror.step()
    assert trouble.value.code == "share.full"
    assert len(lines.waiting) == 29
    (room / "filler").unlink()
    assert mirror.step() == 29
    assert rebuilt(root)["p1"].version == 29


def test_a_read_only_or_missing_share_is_named(filesystem: Callable[..., Path]) -> None:
    root = make_share(filesystem("tmpfs", 2))
    mirror = Mirror(root, Lines(line(1)), 1)
    assert os.system(f"mount -o remount,ro {root}") == 0
    with pytest.raises(ShareUnavailable) as trouble:
        mirror.step()
    assert trouble.value.code == "share.read_only"
    assert os.system(f"mount -o remount,rw {root}") == 0
    (root / "winslow.json").unlink()
    with pytest.raises(ShareUnavailable) as trouble:
        mirror.step()
    assert trouble.value.code == "share.gone"
    assert tree(root) == {}


def test_the_loop_reports_trouble_and_its_end(share: Path) -> None:
    (share / "winslow.json").rename(share / "away")
    lines, told = Lines(line(1)), []

    def report(wrong: Any) -> None:
        told.append(wrong.code if wrong else None)
        if wrong:
            (share / "away").rename(share / "winslow.json")

    Mirror(share, lines, 1).run(lambda: not lines.waiting and None in told, report, every=0.01)
    assert told == ["share.gone", None]


# --- reading journals


def test_a_history_that_was_put_back_counts_from_there() -> None:
    """The store was restored at version 3 and went on under a higher epoch."""
    old = [line(v) for v in range(1, 8)]
    new = [line(v, epoch=2, head={"name": "other"}) for v in range(4, 6)]
    state = fold(merge([*old, *new]), Folded("p1"))
    assert (state.version, state.head["name"]) == (5, "other")
    same_epoch = [line(v, head={"name": "other"}) for v in range(4, 6)]
    state = fold(merge([*old, *same_epoch]), Folded("p1"))
    assert (state.version, state.head["name"]) == (5, "other")


def test_what_is_known_of_an_ended_stage_is_what_the_last_line_says() -> None:
    folded = fold(
        merge([line(1, ended=[json.loads(an_ended_stage(1, message="first").model_dump_json())])]), Folded("p1")
    )
    assert folded.to_project().ended[1].message == "first"
    folded.apply(line(2, ended=[json.loads(an_ended_stage(1, message="second").model_dump_json())]))
    assert folded.to_project().ended[1].message == "second"


def test_a_whole_line_needs_none_before_it() -> None:
    whole = line(9, epoch=3, whole=True, removed=[])
    state = fold(merge([line(1), line(2), line(8), whole, line(10, epoch=3)]), Folded("p1"))
    assert (state.version, list(state.stages)) == (10, [10])


@st.composite
def mirrored(draw: st.DrawFn) -> tuple[int, list[tuple[int, bytes]]]:
    """What mirrors leave that are cut off, paused and woken at any point: (last version, writes by epoch). A
    line is mirrored once a mirror has appended it and said so; what is cut off is repeated by the next."""
    last = draw(st.integers(1, 15))
    jump = draw(st.integers(1, 20))
    history = [line(v, epoch=1 + (v >= jump)) for v in range(1, last + 1)]
    files: dict[int, bytes] = {}
    done, epoch = 0, 1
    paused: list[tuple[int, list[RawLine]]] = []
    while done < last:
        epoch += draw(st.integers(0, 1))
        batch = history[done : done + draw(st.integers(1, 5))]
        what = draw(st.sampled_from(["whole", "torn", "unsaid", "paused"]))
        text = b"".join(json.dumps(entry).encode() + b"\n" for entry in batch)
        before = files.get(epoch, b"")
        if before and not before.endswith(b"\n"):
            text = b"\n" + text
        if what == "torn":
            text = text[: draw(st.integers(0, len(text)))]
        if what == "paused":
            paused.append((epoch, batch))
            epoch += 1
            continue
        files[epoch] = before + text
        if what == "whole":
            done += len(batch)
        if paused and draw(st.booleans()):
            late, batch = paused.pop(draw(st.integers(0, len(paused) - 1)))
            before = files.get(late, b"")
            heal = b"\n" if before and not before.endswith(b"\n") else b""
            files[late] = before + heal + b"".join(json.dumps(entry).encode() + b"\n" for entry in batch)
            done = max(done, batch[-1]["version"])
    return last, sorted(files.items())


@settings(max_examples=100, deadline=None)
@given(mirrored(), st.randoms())
def test_whatever_mirrors_leave_adds_up_to_the_last_version(
    made: tuple[int, list[tuple[int, bytes]]], rng: random.Random
) -> None:
    last, files = made
    lines: list[RawLine] = []
    for _, data in files:
        lines += read_lines(data, "p1")[0]
    state = fold(merge(lines), Folded("p1"))
    assert state.version == last
    assert list(state.stages) == [last]
    assert state.to_project() == core_journal.replay(core_journal.read_line(json.dumps(entry)) for entry in lines)
    rng.shuffle(lines)
    assert fold(merge(lines), Folded("p1")) == state, "the order of files and lines does not matter"


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(1, 12)), st.lists(st.binary(max_size=30), max_size=4))
def test_damage_costs_what_lies_behind_it_and_nothing_else(lost: set[int], rubbish: list[bytes]) -> None:
    texts = [json.dumps(line(v)).encode() for v in range(1, 13) if v not in lost]
    for number, dirt in enumerate(rubbish):
        texts.insert(min(number * 3, len(texts)), dirt)
    lines, torn = read_lines(b"\n".join(texts), "p1")
    state = fold(merge(lines), Folded("p1"))
    assert state.version == min(lost, default=13) - 1
    assert len(lines) == 12 - len(lost)
    assert torn <= sum(dirt.count(b"\n") + 1 for dirt in rubbish)


# --- the real store


PROGRAM = """
import json, sys
from pathlib import Path
from winslow_nomad.resources.mirror import Mirror
from winslow_nomad.store.client import Address, state_client
from winslow_nomad.store.journal import JournalFeed
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.redis import SystemClock
feed = JournalFeed(state_client(Address(socket=sys.argv[2])), SystemClock(), Keys(sys.argv[3]))
class Lines:
    done = feed.done
    def pending(self, count):
        print('.', flush=True)
        return [(c, p, json.loads(l)) for c, p, l in feed.pending(min(count, 7))]
Mirror(Path(sys.argv[1]), Lines(), int(sys.argv[4])).run(lambda: False, print, every=0.001)
"""


def changed(rng: random.Random, before: Project) -> Decision:
    number = before.next_number
    stages, ended = dict(before.stages), dict(before.ended)
    choice = rng.random()
    if choice < 0.5 or not stages:
        stages[number] = a_running_stage(number, "detect", comment="x" * rng.randrange(300))
        after = before.but(stages=stages, next_number=number + 1)
    elif choice < 0.8:
        gone = stages.pop(rng.choice(list(stages)))
        ended[gone.number] = an_ended_stage(gone.number)
        after = before.but(stages=stages, ended=ended)
    else:
        after = before.but(pipeline=a_pipeline("detect", name=f"edited {rng.randrange(3)}"), tags=(str(number),))
    return decided(after)


def run_kills(server: Server, root: Path, seed: int, kills: int, projects: int) -> None:
    rng = random.Random(seed)
    store = RedisStore(server.client, keys=server.keys)
    names = [f"p{n}" for n in range(projects)]
    for name in names:
        store.change(name, lambda _, name=name: decided(a_project(name)))  # type: ignore[misc]
    feed = JournalFeed(server.client, HandClock(), server.keys)

    def mirror(epoch: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", PROGRAM, str(root), server.address.socket, server.keys.prefix, str(epoch)]
        return subprocess.Popen(words, stdout=subprocess.PIPE)

    epoch = 1
    for _ in range(kills):
        process = mirror(epoch)
        assert process.stdout is not None
        process.stdout.read(1)
        for _ in range(rng.randrange(1, 40)):
            store.change(rng.choice(names), lambda before: changed(rng, before))  # type: ignore[arg-type]
        for _ in range(rng.randrange(4)):
            process.stdout.read(1)
        process.kill()
        process.wait()
        process.stdout.close()
        epoch += rng.randrange(2)
    process = mirror(epoch)
    try:
        until(lambda: feed.lag().lines == 0, seconds=20)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    found = rebuilt(root)
    assert found == {name: store.load(name) for name in names}
    for name in names:
        cache = journals.read_cache(root / "projects" / name / "project.json", name)
        assert cache is not None and cache.to_project() == found[name]


def test_a_mirror_that_is_killed_again_and_again_loses_nothing(server: Server, share: Path) -> None:
    run_kills(server, share, seed=random.randrange(10**6), kills=6, projects=3)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(10))
def test_many_kills_of_the_mirror(server: Server, share: Path, seed: int) -> None:
    run_kills(server, share, seed=seed, kills=30, projects=5)


@pytest.mark.chaos
def test_two_mirrors_one_of_them_paused_lose_nothing(server: Server, share: Path) -> None:
    """The lease passed on while the first was stopped; it wakes up and writes into its own file."""
    import signal

    rng = random.Random(7)
    store = RedisStore(server.client, keys=server.keys)
    store.change("p0", lambda _: decided(a_project("p0")))
    feed = JournalFeed(server.client, HandClock(), server.keys)
    words = [sys.executable, "-c", PROGRAM, str(share), server.address.socket, server.keys.prefix]
    mirrors = [subprocess.Popen([*words, str(epoch)], stdout=subprocess.DEVNULL) for epoch in (1, 2)]
    try:
        for turn in range(60):
            mirrors[turn % 2].send_signal(signal.SIGSTOP)
            for _ in range(5):
                store.change("p0", lambda before: changed(rng, before))  # type: ignore[arg-type]
            mirrors[turn % 2].send_signal(signal.SIGCONT)
        until(lambda: feed.lag().lines == 0, seconds=20)
    finally:
        for process in mirrors:
            process.kill()
            process.wait()
    assert rebuilt(share)["p0"] == store.load("p0")


# --- rebuilding


def test_what_cannot_be_restored_is_said_and_the_rest_is_restored(share: Path) -> None:
    Mirror(share, Lines(*(line(v, p) for p in ("p1", "p2", "p3", "p4") for v in (1, 2, 3))), 4).step()
    journal = share / "projects/p1/journal/4.jsonl"
    rows = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(rows[0] + rows[1][:50] + b"\n" + rows[2])
    (share / "projects/p1/project.json").unlink()
    (share / "projects/p2/journal/4.jsonl").write_bytes(b"")
    (share / "projects/p2/project.json").unlink()
    (share / "projects/p3/journal/4.jsonl").write_bytes(b"")
    (share / "projects/strange").mkdir()
    found: dict[str, Project] = {}
    report = rebuild(share, lambda p: found.__setitem__(p.id, p))
    assert {p: found[p].version for p in found} == {"p1": 1, "p3": 3, "p4": 3}
    assert (report.restored, report.epoch) == (3, 4)
    said = {p.project: " ".join(p.lost) for p in report.projects}
    assert "behind version 1: 1 later changes, up to version 3" in said["p1"]
    assert "no beginning" in said["p2"]
    assert (said["p3"], said["p4"]) == ("", "")
    assert set(said) == {"p1", "p2", "p3", "p4"}


def record(number: int, state: str, **fields: Any) -> str:
    stage = json.loads(a_running_stage(number).model_dump_json())
    return json.dumps({"format": 1, **stage, "state": state, "counting_attempt": 1, "node": "n1", **fields})


def test_an_ended_stage_is_believed_over_the_journal(share: Path) -> None:
    Mirror(share, Lines(line(1), line(2)), 1).step()
    stages = share / "projects/p1/stages"
    for number, state in ((1, "succeeded"), (2, "failed"), (7, "stopped")):
        (stages / f"{number:04d}-detect").mkdir(parents=True)
        (stages / f"{number:04d}-detect" / "stage.json").write_text(record(number, state, results={"n": 3}))
    (stages / "0009-detect").mkdir()
    (stages / "0009-detect" / "stage.json").write_text("{torn")
    (stages / "0000" / "workspace").mkdir(parents=True)
    found: dict[str, Project] = {}
    report = rebuild(share, lambda p: found.__setitem__(p.id, p))
    project = found["p1"]
    assert {n: e.state for n, e in project.ended.items()} == {
        1: StageState.SUCCEEDED, 2: StageState.FAILED, 7: StageState.STOPPED,
    }  # fmt: skip
    assert project.stages == {}
    assert project.ended[2].results == {"n": 3}
    assert project.ended[2].attempt == 1
    assert project.next_number > 7
    assert any("0009-detect" in note for note in report.projects[0].notes)


def test_an_attempt_that_ended_unseen_is_noted(share: Path) -> None:
    first = line(1)
    first["stages"] = [json.loads(a_running_stage(1).model_dump_json())]
    Mirror(share, Lines(first), 1).step()
    attempt = share / "projects/p1/stages/0001-detect/attempts/1"
    attempt.mkdir(parents=True)
    (attempt / "end.json").write_text("{}")
    report = rebuild(share, lambda p: None)
    assert any("Attempt 1 of stage 1 has ended" in note for note in report.projects[0].notes)


def test_a_rebuild_may_be_repeated_and_never_goes_back(server: Server, share: Path) -> None:
    Mirror(share, Lines(line(1), line(2)), 1).step()
    store = RedisStore(server.client, keys=server.keys)
    rebuild(share, store.restore)
    store.change("p1", lambda before: decided(before.but(name="newer")))  # type: ignore[union-attr]
    rebuild(share, store.restore)
    restored = store.load("p1")
    assert restored is not None
    assert (restored.name, restored.version) == ("newer", 3)


def test_without_the_mark_nothing_is_taken_for_an_empty_share(tmp_path: Path) -> None:
    with pytest.raises(ShareUnavailable):
        rebuild(tmp_path, lambda p: None)


def test_the_highest_epoch_is_that_of_the_lines_however_long_the_last_one_is(share: Path) -> None:
    journal = share / "projects/p1/journal/3.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text(json.dumps({**line(1), "epoch": 9, "text": "x" * 300_000}) + "\n")
    assert highest_epoch(share) == 9
