"""Operations in a process of their own: done, refused, cancelled, killed, hung."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.resources.book import FileBook
from tests.resources.share import children, make_share, tree
from tests.resources.some import NOW, FixedClock
from tests.waiting import until
from winslow_nomad.core.errors import Refused, ShareUnavailable, WinslowError
from winslow_nomad.core.operations import Operation
from winslow_nomad.resources.apart import Apart
from winslow_nomad.resources.operate import operate
from winslow_nomad.resources.pool import Pool
from winslow_nomad.resources.trash import Trash
from winslow_nomad.resources.work import Cancelled, unwatched

BIG = 300 * 1024 * 1024


@pytest.fixture
def share(tmp_path: Path) -> Path:
    return make_share(tmp_path / "share")


def importing(source: Path, size: int = 0, name: str = "") -> Operation:
    if size:
        with source.open("wb") as file:
            file.truncate(size)
    arguments = {"source": str(source), "name": name or source.name}
    return Operation(id="o1", kind="import", arguments=arguments, made=NOW)


def test_an_import_a_checksum_and_a_deletion_are_done_and_said_in_words(share: Path, tmp_path: Path) -> None:
    apart = Apart(share, {})
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"film" * 1000)
    assert apart(importing(source), unwatched) == "in the input pool as 'clip.mp4'"
    assert (share / "inputs/clip.mp4").read_bytes() == source.read_bytes()
    checksum = Operation(id="o2", kind="checksum", arguments={"path": "clip.mp4"}, made=NOW)
    assert apart(checksum, unwatched).startswith("SHA-256 ")
    trash = Trash(share)
    (share / "projects/p1/stages").mkdir(parents=True)
    trash.put_project("p1", "e1", "ada", NOW)
    delete = Operation(id="o3", kind="delete", arguments={"entry": "e1"}, made=NOW)
    assert apart(delete, unwatched).endswith("freed")
    assert trash.entries() == []


def test_what_goes_wrong_comes_back_as_the_same_error(share: Path, tmp_path: Path) -> None:
    apart = Apart(share, {})
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"one")
    apart(importing(source), unwatched)
    source.write_bytes(b"two")
    with pytest.raises(Refused, match=r"clip-2\.mp4") as refusal:
        apart(importing(source), unwatched)
    assert refusal.value.code == "pool.name_taken"
    (share / "winslow.json").unlink()
    with pytest.raises(ShareUnavailable) as trouble:
        apart(importing(source, name="other"), unwatched)
    assert trouble.value.code == "share.gone"


def test_progress_comes_and_a_cancel_leaves_nothing_within_a_second(share: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    cancelled_at: list[float] = []

    def watch(done: int, total: int, *_: int) -> None:
        seen.append(done)
        if 0 < done < total and not cancelled_at:
            cancelled_at.append(time.monotonic())
            raise Cancelled

    operation = importing(tmp_path / "big", BIG)
    for _ in range(5):  # a very fast disk may be done before it can be cancelled
        try:
            Apart(share, {})(operation, watch)
            (share / "inputs/big").unlink()
        except Cancelled:
            break
    else:
        pytest.skip("this disk is too fast")
    assert time.monotonic() - cancelled_at[0] < 1.5
    assert tree(share / "inputs") == {}
    assert children("resources.apart") == []


def test_a_killed_child_is_said_and_the_operation_can_be_repeated(share: Path, tmp_path: Path) -> None:
    operation = importing(tmp_path / "big", BIG)

    def kill(*_: int) -> None:
        for child in children("resources.apart"):
            os.kill(child, signal.SIGKILL)

    with pytest.raises(WinslowError) as trouble:
        Apart(share, {})(operation, kill)
    assert trouble.value.code == "operation.died"
    assert Apart(share, {})(operation, unwatched) == "in the input pool as 'big'"
    assert os.listdir(share / "inputs") == ["big"]


def test_a_frozen_share_holds_the_child_and_not_the_worker(filesystem: Callable[..., Path], tmp_path: Path) -> None:
    room = filesystem("ext4", 64)
    share = make_share(room / "share")
    source = tmp_path / "clip.mp4"
    source.write_bytes(os.urandom(1000))
    began = time.monotonic()
    subprocess.run(["fsfreeze", "-f", str(room)], check=True)

    def watch(*_: int) -> None:
        if time.monotonic() - began > 1.0:
            raise Cancelled

    try:
        with pytest.raises(Cancelled):
            Apart(share, {})(importing(source), watch)
        assert time.monotonic() - began < 4
    finally:
        subprocess.run(["fsfreeze", "-u", str(room)], check=True)
    until(lambda: not children("resources.apart"))
    assert Apart(share, {})(importing(source), unwatched)
    assert (share / "inputs/clip.mp4").read_bytes() == source.read_bytes()


def test_in_the_loop_of_operations_a_big_import_is_done(share: Path, tmp_path: Path, book: FileBook) -> None:
    pool = Pool(share, {}, lambda: "o1", lambda: NOW)
    source = tmp_path / "clip.mp4"
    source.write_bytes(os.urandom(9 * 1024 * 1024))
    operation = pool.import_path(source)
    assert isinstance(operation, Operation)
    book.put(operation)
    done: list[Operation] = []
    stop = threading.Event()
    apart = Apart(share, {})
    loop = threading.Thread(
        target=operate, args=(book, "w1", {"import": apart}, done.append, stop.is_set, FixedClock())
    )
    loop.start()
    try:
        until(lambda: done)
    finally:
        stop.set()
        loop.join()
    assert (done[0].state, done[0].text) == ("done", "in the input pool as 'clip.mp4'")
    assert pool.import_path(share / "inputs/clip.mp4") == "clip.mp4"
