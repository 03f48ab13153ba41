"""The offset of an upload is what is on the disk, whatever was killed; a file gets its name once and replaces nothing
that nobody named."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.resources.share import make_share, tree
from tests.waiting import until
from winslow_nomad.core.errors import Conflict, NoRoom, NotFound, Refused, ShareUnavailable, TooMany, WinslowError
from winslow_nomad.resources import uploads
from winslow_nomad.resources.porter import Porters
from winslow_nomad.resources.uploads import Announced, Part, under_way

ID = "0123456789abcdef" * 2
CONTENT = bytes(range(256)) * 64


@pytest.fixture
def share(tmp_path: Path) -> Path:
    return make_share(tmp_path / "share")


@pytest.fixture
def root(share: Path) -> Iterator[int]:
    fd = os.open(share, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def record(**more: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "id": ID,
        "owner": "mem",
        "space": "inputs",
        "path": "clip.mp4",
        "target": ["inputs", "clip.mp4"],
        "unless": [],
        "length": len(CONTENT),
        "conflict": "refuse",
        "sha256": "",
        "made": "2026-03-04T05:06:07+00:00",
        **more,
    }


def begin(root: int, **more: Any) -> None:
    Announced().begin(root, record(**more), kept_free=0.0, quota=0)


def resume(root: int, at: int = 0, *, verified: bool = False, identifier: str = ID) -> Part:
    return Part.resume(root, identifier, at, verified=verified)


def sent(root: int, data: bytes = CONTENT, at: int = 0) -> Part:
    part = resume(root, at)
    part.write(memoryview(data))
    return part


def test_what_is_written_is_the_offset_and_nothing_else(root: int, share: Path) -> None:
    begin(root)
    sent(root, CONTENT[:1000]).close()
    assert uploads.look(root, ID)["offset"] == 1000
    with (share / "uploads" / f"{ID}.part").open("ab") as part:
        part.write(CONTENT[1000:1500])  # of one that was killed before it could say so
    assert uploads.look(root, ID)["offset"] == 1500
    part_ = sent(root, CONTENT[1500:], 1500)
    assert part_.finish()["done"] == ["inputs", "clip.mp4"]
    part_.close()
    assert (share / "inputs" / "clip.mp4").read_bytes() == CONTENT
    assert sorted(p.name for p in (share / "uploads").iterdir()) == [".lock", f"{ID}.json"]
    assert uploads.look(root, ID)["offset"] == len(CONTENT)


@pytest.mark.parametrize("offset", [1, 999, 1001, len(CONTENT), 10**15])
def test_an_offset_that_is_not_the_size_is_refused(root: int, offset: int) -> None:
    begin(root)
    sent(root, CONTENT[:1000]).close()
    with pytest.raises(Conflict) as refusal:
        resume(root, offset)
    assert refusal.value.code == "upload.offset"
    assert uploads.look(root, ID)["offset"] == 1000


def test_more_than_was_announced_is_refused_and_not_kept(root: int) -> None:
    begin(root)
    with resume(root) as part, pytest.raises(Conflict) as refusal:
        part.write(memoryview(CONTENT + b"x"))
    assert refusal.value.code == "upload.too_long"
    assert uploads.look(root, ID)["offset"] == 0


def test_two_do_not_write_at_once_and_who_comes_last_goes_on(root: int, share: Path) -> None:
    begin(root)
    first = sent(root, CONTENT[:10])
    with pytest.raises(Refused) as refusal:
        Part.take(root, first.folder, record(), patience=0.0)
    assert refusal.value.code == "upload.busy"
    assert uploads.look(root, ID)["busy"] is True
    gave_up = threading.Event()

    def giving_up() -> None:
        until(first.wanted_by_another, 5)
        gave_up.set()
        first.close()

    threading.Thread(target=giving_up).start()
    second = resume(root, 10)
    assert gave_up.is_set()
    second.close()
    assert not (share / "uploads" / f"{ID}.next").exists()


def test_who_waited_for_one_that_finishes_it_hears_that_it_is_done(root: int, share: Path) -> None:
    begin(root)
    first = sent(root)

    def finishing() -> None:
        until(first.wanted_by_another, 5)
        first.finish()
        first.close()

    threading.Thread(target=finishing).start()
    with pytest.raises(Conflict) as refusal:
        resume(root, len(CONTENT))
    assert refusal.value.code == "upload.offset"
    assert uploads.look(root, ID)["done"] == ["inputs", "clip.mp4"]
    assert (share / "inputs" / "clip.mp4").read_bytes() == CONTENT


@pytest.mark.parametrize("now", [b"x" + CONTENT[1:], CONTENT + b"more", b""])
@pytest.mark.parametrize("way", ["look", "resume"])
def test_what_got_its_name_before_a_kill_is_never_cut_though_it_was_changed_since(
    root: int, share: Path, now: bytes, way: str
) -> None:
    begin(root, sha256=hashlib.sha256(CONTENT).hexdigest())
    sent(root).close()
    (share / "inputs").mkdir()
    file = share / "inputs" / "clip.mp4"
    os.link(share / "uploads" / f"{ID}.part", file)  # and then it was killed
    (share / "uploads" / f"{ID}.check").write_text("10")  # whose removal was lost with the power
    file.write_bytes(now)
    if way == "resume":
        with resume(root, len(CONTENT), verified=True) as part:
            assert not part.verify("0" * 64)
    assert uploads.look(root, ID, finish=True)["done"] == ["inputs", "clip.mp4"]
    assert file.read_bytes() == now
    assert sorted(p.name for p in (share / "uploads").iterdir()) == [".lock", f"{ID}.json"]


@pytest.mark.parametrize("conflict", ["refuse", "keep_both"])
def test_a_name_that_was_taken_meanwhile_is_not_touched(root: int, share: Path, conflict: str) -> None:
    begin(root, conflict=conflict)
    (share / "inputs").mkdir()
    (share / "inputs" / "clip.mp4").write_text("theirs")
    (share / "inputs" / "clip-2.mp4").mkdir()
    with sent(root) as part:
        assert part.finish()["done"] == ["inputs", "clip-3.mp4"]
    assert (share / "inputs" / "clip.mp4").read_text() == "theirs"
    assert (share / "inputs" / "clip-3.mp4").read_bytes() == CONTENT


def test_what_is_replaced_is_in_the_trash(root: int, share: Path) -> None:
    begin(root, aside=["f1", '{"id": "f1"}'], conflict="replace")
    (share / "inputs").mkdir()
    (share / "inputs" / "clip.mp4").write_text("theirs")
    with sent(root) as part:
        assert part.finish()["done"] == ["inputs", "clip.mp4"]
    assert (share / "inputs" / "clip.mp4").read_bytes() == CONTENT
    assert (share / "trash/f1/content/0").read_text() == "theirs"
    assert (share / "trash/f1/manifest.json").read_text() == '{"id": "f1"}'


def test_a_folder_is_never_replaced_by_a_file(root: int, share: Path) -> None:
    begin(root, aside=["f1", "{}"], conflict="replace")
    (share / "inputs" / "clip.mp4").mkdir(parents=True)
    with sent(root) as part, pytest.raises(Refused):
        part.finish()
    assert (share / "inputs" / "clip.mp4").is_dir()
    assert (share / "uploads" / f"{ID}.part").stat().st_size == len(CONTENT), "it can still be put elsewhere"


def test_a_folder_that_became_a_link_is_not_written_through(root: int, share: Path, tmp_path: Path) -> None:
    begin(root, target=["inputs", "a", "clip.mp4"])
    (tmp_path / "outside").mkdir()
    (share / "inputs").mkdir()
    (share / "inputs" / "a").symlink_to(tmp_path / "outside")
    with sent(root) as part, pytest.raises(Conflict) as refusal:
        part.finish()
    assert refusal.value.code == "path.changed"
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_sum_of_the_whole_file_is_checked_against_the_disk(root: int, share: Path) -> None:
    begin(root, sha256=hashlib.sha256(CONTENT).hexdigest())
    wrong = b"X" + CONTENT[1:]
    with sent(root, wrong) as part, pytest.raises(Conflict) as refusal:
        part.finish()
    assert refusal.value.code == "upload.checksum"
    assert not (share / "inputs").exists()
    assert uploads.look(root, ID)["offset"] == 0, "it begins anew"
    with sent(root) as part:
        part.finish()
    assert (share / "inputs" / "clip.mp4").read_bytes() == CONTENT


def test_a_piece_whose_sum_is_wrong_is_taken_back(root: int) -> None:
    begin(root)
    sent(root, CONTENT[:100]).close()
    with resume(root, 100, verified=True) as part:
        part.write(memoryview(CONTENT[100:200]))
        assert not part.verify("0" * 64)
        assert part.offset == 100
    with resume(root, 100, verified=True) as part:
        part.write(memoryview(CONTENT[100:200]))
        assert part.verify(hashlib.sha256(CONTENT[100:200]).hexdigest())
    assert uploads.look(root, ID)["offset"] == 200


def test_a_piece_that_was_never_verified_does_not_count(root: int, share: Path) -> None:
    begin(root)
    sent(root, CONTENT[:100]).close()
    child = os.fork()
    if not child:
        part = resume(root, 100, verified=True)
        part.write(memoryview(CONTENT[100:200]))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (share / "uploads" / f"{ID}.part").stat().st_size == 200
    assert uploads.look(root, ID)["offset"] == 100


def test_there_has_to_be_room_for_what_others_announced_too(root: int, share: Path) -> None:
    found = os.statvfs(share)
    free = found.f_bavail * found.f_frsize
    begin(root, length=free // 2)
    with pytest.raises(NoRoom) as refusal:
        begin(root, id="f" * 32, length=free * 2 // 3)
    assert refusal.value.code == "share.full"
    assert not (share / "uploads" / f"{'f' * 32}.part").exists()
    begin(root, id="e" * 32, length=free // 4)


def test_a_person_has_a_quota(root: int) -> None:
    announced = Announced()
    announced.begin(root, record(length=600), kept_free=0.0, quota=1000)
    with pytest.raises(NoRoom) as refusal:
        announced.begin(root, record(id="f" * 32, length=600), kept_free=0.0, quota=1000)
    assert refusal.value.code == "upload.quota"
    announced.begin(root, record(id="f" * 32, length=600, owner="ann"), kept_free=0.0, quota=1000)
    with resume(root, identifier="f" * 32) as part:
        part.write(memoryview(CONTENT[:600]))
        part.finish()
    uploads.drop(root, ID)
    announced.begin(root, record(id="d" * 32, length=1000), kept_free=0.0, quota=1000)


def test_a_stage_that_has_ended_takes_no_more(root: int, share: Path) -> None:
    attempt = share / "projects/p/stages/0001-x/attempts/1"
    (attempt / "workspace").mkdir(parents=True)
    target = ["projects", "p", "stages", "0001-x", "attempts", "1", "workspace", "a"]
    begin(root, target=target, unless=[[*target[:-2], "end.json"]])
    part = sent(root)
    (attempt / "end.json").write_text("{}")
    with pytest.raises(Refused) as refusal:
        part.finish()
    part.close()
    assert refusal.value.code == "stage.ended"
    assert list((attempt / "workspace").iterdir()) == []


def touches_files(event: str) -> bool:
    return event == "open" or (event.startswith("os.") and event != "os.kill")


def steps_of(work: Any) -> int:
    """Do `work` in a child and count what it does to files."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        count = 0

        def count_one(event: str, _: object) -> None:
            nonlocal count
            count += touches_files(event)

        sys.addaudithook(count_one)
        work()
        os.write(write, str(count).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with open(read) as answer:
        return int(answer.read())


def killed_before(work: Any, step: int) -> None:
    """Do `work` in a child that is killed before the step of this number."""
    child = os.fork()
    if not child:
        left = step

        def kill_at(event: str, _: object) -> None:
            nonlocal left
            if touches_files(event):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill_at)
        work()
        os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.parametrize("conflict", ["refuse", "replace"])
def test_whichever_step_it_is_killed_before_the_file_is_there_once(tmp_path: Path, conflict: str) -> None:
    def prepared(number: int) -> tuple[Path, int]:
        share = make_share(tmp_path / f"share{number}")
        (share / "inputs").mkdir()
        if conflict == "replace":
            (share / "inputs" / "clip.mp4").write_text("theirs")
        fd = os.open(share, os.O_RDONLY | os.O_DIRECTORY)
        more = {"aside": ["f1", "{}"]} if conflict == "replace" else {}
        begin(fd, conflict=conflict, **more)
        sent(fd).close()
        return share, fd

    def finishing(fd: int) -> None:
        with resume(fd, len(CONTENT)) as part:
            part.finish()

    share, fd = prepared(0)
    count = steps_of(lambda: finishing(fd))
    assert count > 10
    os.close(fd)
    for step in range(count):
        share, fd = prepared(step + 1)
        killed_before(lambda fd=fd: finishing(fd), step)
        after = uploads.look(fd, ID, finish=True)
        assert after["offset"] == len(CONTENT)
        assert after["done"] == ["inputs", "clip.mp4"], step
        assert tree(share / "inputs") == {"clip.mp4": CONTENT}, step
        if conflict == "replace":
            assert tree(share / "trash" / "f1" / "content") == {"0": b"theirs"}, step
        os.close(fd)


def test_whatever_is_killed_at_its_beginning_leaves_nothing_for_ever(share: Path, root: int) -> None:
    count = steps_of(lambda: begin(root, id="a" * 32))
    for step in range(count):
        killed_before(lambda step=step: begin(root, id=f"{step:032x}"), step)
    begin(root, id="b" * 32)  # its lock has ended with it
    uploads.expire(root, time.time() + uploads.KEPT + 60)
    left = [p.name for p in (share / "uploads").iterdir()]
    assert left == [".lock"], left


def test_an_upload_that_nobody_goes_on_with_is_given_up(root: int, share: Path) -> None:
    begin(root)
    held = sent(root, CONTENT[:10])
    begin(root, id="f" * 32)
    assert uploads.expire(root, time.time()) == 0
    late = time.time() + uploads.KEPT + 60
    assert uploads.expire(root, late) == 1
    with pytest.raises(NotFound):
        uploads.look(root, "f" * 32)
    held.close()
    assert uploads.look(root, ID)["offset"] == 10, "what somebody writes is not given up"
    with resume(root, 10) as part:
        part.write(memoryview(CONTENT[10:]))
        part.finish()
    assert uploads.expire(root, late) == 0
    assert [p.name for p in (share / "uploads").iterdir()] == [".lock"]
    assert (share / "inputs" / "clip.mp4").exists()


@pytest.mark.parametrize(
    "identifier", ["", "..", "../inputs", "0" * 31, "0" * 33, "G" * 32, "0" * 32 + "\n", "0/" * 16]
)
def test_an_id_that_is_none_names_no_file(root: int, identifier: str) -> None:
    for work in (uploads.look, uploads.drop, lambda r, i: Part.resume(r, i, 0, verified=False)):
        with pytest.raises(NotFound):
            work(root, identifier)


def test_a_small_file_is_there_whole_or_leaves_nothing(root: int, share: Path) -> None:
    part = Part.small(root, record(exact=True), 0.0)
    part.write(memoryview(CONTENT[:10]))
    part.close()
    assert [p.name for p in (share / "uploads").iterdir()] == []
    with Part.small(root, record(exact=True), 0.0) as part:
        part.write(memoryview(CONTENT))
        part.finish()
    with Part.small(root, record(exact=True), 0.0) as part, pytest.raises(Refused) as refusal:
        part.write(memoryview(CONTENT))
        part.finish()
    assert refusal.value.code == "path.taken"
    assert tree(share / "inputs") == {"clip.mp4": CONTENT}


def test_only_the_version_that_was_named_is_replaced(root: int, share: Path) -> None:
    (share / "inputs").mkdir()
    place = share / "inputs" / "clip.mp4"
    place.write_text("one")
    tag = uploads.tag_of(place.stat())
    place.write_text("another")
    more = {"exact": True, "aside": ["f1", "{}"]}
    with Part.small(root, record(tag=tag, **more), 0.0) as part, pytest.raises(Conflict) as refusal:
        part.write(memoryview(CONTENT))
        part.finish()
    assert refusal.value.code == "path.version"
    assert place.read_text() == "another"
    with Part.small(root, record(tag=uploads.tag_of(place.stat()), **more), 0.0) as part:
        part.write(memoryview(CONTENT))
        part.finish()
    assert place.read_bytes() == CONTENT
    assert (share / "trash/f1/content/0").read_text() == "another"


# --- the processes


@pytest.fixture
def porters(share: Path) -> Iterator[Porters]:
    made = Porters(share, at_once=3)
    yield made
    made.close()


def limits() -> dict[str, Any]:
    return {"kept_free": 0.0, "quota": 0}


def test_a_writer_that_is_killed_loses_what_it_was_about_to_write_and_its_lock(porters: Porters, share: Path) -> None:
    porters.ask("begin", record=record(), **limits())
    porter = porters.take(long=True)
    porter.ask("open", id=ID, offset=0, verified=False)
    porter.buffers[0][:1000] = CONTENT[:1000]
    assert porter.ask("write", buffer=0, count=1000) == 1000
    os.kill(porter.pid, signal.SIGKILL)
    with pytest.raises(ShareUnavailable):
        porter.ask("write", buffer=0, count=1000)
    assert not porter.fit
    porters.give_back(porter, long=True)
    found = porters.ask("look", id=ID, finish=True)
    assert (found["offset"], found["busy"]) == (1000, False)


def test_a_writer_whose_server_is_killed_ends_with_it(share: Path) -> None:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        porter = Porters(share).take()
        os.write(write, str(porter.pid).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    writer = int(os.read(read, 20))
    until(lambda: not Path(f"/proc/{writer}").exists() or "Z (" in Path(f"/proc/{writer}/status").read_text(), 10)


def test_only_so_many_are_written_at_once_and_names_still_change(porters: Porters, share: Path) -> None:
    taken = [porters.take(long=True) for _ in range(3)]
    with pytest.raises(TooMany):
        porters.take(long=True)
    porters.ask("make_folder", parts=["inputs", "a"], unless=[])
    for porter in taken:
        porters.give_back(porter, long=True)
    porters.give_back(porters.take(long=True), long=True)


def test_a_writer_that_does_not_answer_is_left_behind(porters: Porters, share: Path) -> None:
    with porters.lent() as porter:
        os.kill(porter.pid, signal.SIGSTOP)
        with pytest.raises(ShareUnavailable) as refusal:
            porter.ask("make_folder", 0.1, parts=["inputs", "late"], unless=[])
        assert refusal.value.code == "share.stalled"
    until(porter.gone, 5)
    porters.ask("make_folder", parts=["inputs", "a"], unless=[])
    assert [p.name for p in (share / "inputs").iterdir()] == ["a"], "what was given up is not done late"


def test_nothing_is_written_where_the_share_is_not_mounted(share: Path, porters: Porters) -> None:
    (share / "winslow.json").unlink()
    with pytest.raises(ShareUnavailable) as refusal:
        porters.ask("make_folder", parts=["inputs", "a"], unless=[])
    assert refusal.value.code == "share.gone"
    assert list(share.iterdir()) == []


def test_errors_of_a_writer_come_out_as_they_are(porters: Porters) -> None:
    with pytest.raises(WinslowError) as refusal:
        porters.ask("trash", parts=["inputs", "none"], aside=["f1", "{}"], unless=[])
    assert (type(refusal.value), refusal.value.code) == (NotFound, "path.not_found")


def test_what_is_under_way_is_told_newest_first_without_what_is_complete_small_or_broken(
    porters: Porters, root: int, share: Path
) -> None:
    assert under_way(root) == []
    for number in range(4):
        begin(root, id=f"{number:032x}", path=f"{number}.mp4")
        part = share / "uploads" / f"{number:032x}.part"
        part.write_bytes(b"x" * number)
        os.utime(part, (1000 + number, 1000 + number))
    (share / "uploads" / f"{9:032x}.part").write_bytes(b"small, and without a record")
    (share / "uploads" / f"{3:032x}.json").write_bytes(b'{"torn')
    (share / "uploads" / f"{0:032x}.json").write_text(json.dumps(record(id=f"{0:032x}", done=["inputs", "0.mp4"])))
    (share / "uploads" / f"{0:032x}.part").unlink()
    told = porters.ask("under_way")
    assert [(r["path"], r["offset"], r["modified"]) for r in told] == [("2.mp4", 2, 1002), ("1.mp4", 1, 1001)]


def test_of_very_many_as_many_are_told_as_fit_into_an_answer(porters: Porters, root: int) -> None:
    for number in range(60):
        begin(root, id=f"{number:032x}", path="p" * 4000)
    assert 20 < len(porters.ask("under_way")) < 60
