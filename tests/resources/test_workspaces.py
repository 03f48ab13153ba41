from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.resources import some
from tests.resources.book import FileBook
from tests.resources.conftest import attempts_on, command
from tests.resources.reading import patient
from tests.waiting import until
from winslow_nomad.core.errors import Refused, ShareUnavailable
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.core.stage import Source, StageState
from winslow_nomad.resources.operate import operate
from winslow_nomad.resources.probe import can_reflink
from winslow_nomad.resources.scribe import Scribe
from winslow_nomad.resources.workspaces import CopyWorkspace

ONE = "projects/p1/stages/0001-detect/attempts/1"
TWO = "projects/p1/stages/0002-track/attempts/1"
OPERATION = "workspace-p1-0002-1"


def continuing(**fields):
    return some.project(some.ended(1), some.stage(2, "track", source=Source(kind="stage", number=1), **fields))


def fill(folder: Path, files: int = 20, size: int = 5000) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    block = os.urandom(size)
    for number in range(files):
        below = folder / f"d{number % 3}"
        below.mkdir(exist_ok=True)
        (below / f"f{number}").write_bytes(block)


def digest(folder: Path) -> str:
    """Names, kinds, modes, times and contents of a tree."""
    said = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        found = path.lstat()
        said.update(f"{path.relative_to(folder)!r} {found.st_mode} {found.st_mtime_ns} ".encode())
        if path.is_symlink():
            said.update(str(path.readlink()).encode())
        elif path.is_file():
            said.update(path.read_bytes())
    return said.hexdigest()


def leftovers(root: Path) -> list[str]:
    top = root / "projects"
    places = ("*/stages/*/attempts/*/.partial-*", "*/sweeps/*/.partial-*", "*/sweeps/*/workspace/.partial-*")
    return [p.name for place in places for p in top.glob(place)]


class Worker:
    """A worker in a thread, which ends when the test does."""

    def __init__(self, root: Path, book: FileBook, copies: CopyWorkspace | None = None) -> None:
        self.writer = Scribe(root)
        reader = patient(root)
        self.ends: list[Operation] = []
        self.stop = threading.Event()
        self.copies = copies or CopyWorkspace(
            self.writer, reader, lambda: can_reflink(self.writer, reader), lambda: "0009-old may go."
        )
        arguments = (book, "w", {"workspace": self.copies}, self.ends.append, self.stop.is_set, some.FixedClock())
        self.thread = threading.Thread(target=operate, args=arguments, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.stop.set()
        self.thread.join(10)
        self.writer.close()
        assert not self.thread.is_alive()


@pytest.fixture
def work() -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def start(root: Path, book: FileBook) -> Worker:
        workers.append(Worker(root, book))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


def ended(book: FileBook, operation: str = OPERATION, seconds: float = 20) -> Operation:
    def look() -> Operation | None:
        found = book.get(operation)
        return found if found is not None and found.state not in ("waiting", "running") else None

    found = until(look, seconds)
    assert found is not None
    return found


def test_a_workspace_is_a_whole_copy_of_the_one_before(attempts, root, book, work):
    source = root / ONE / "workspace"
    fill(source)
    (source / "link").symlink_to("d0/f0")
    (source / "dangling").symlink_to("nowhere")
    (source / "empty").mkdir()
    (source / "🎥 a\nb").write_text("x")
    (source / os.fsdecode(b"\xff" * 200)).write_text("x")
    (source / "-rf").write_text("x")
    (source / ".hidden").write_text("x")
    (source / "run").write_text("#!/bin/sh")
    (source / "run").chmod(0o750)
    with open(source / "sparse", "wb") as file:
        file.truncate(50 << 20)
    before = digest(source)
    made = continuing()
    assert attempts.prepare(made, 2, 1) == OPERATION == attempts.prepare(made, 2, 1)
    work(root, book)
    found = ended(book)
    assert found.state == "done", found.text
    target = root / TWO / "workspace"
    assert digest(target) == digest(source) == before
    assert (target / "sparse").stat().st_blocks == 0
    assert (target / "d0/f0").stat().st_ino != (source / "d0/f0").stat().st_ino
    assert attempts.prepare(made, 2, 1) is None and not leftovers(root)
    assert found.files_total == found.files_done > 20 and found.bytes_total > 20 * 4096


def test_a_stage_changed_after_it_was_made_ready_to_begin_empty_gets_its_copy(attempts, root, book, work):
    """Made ahead, the process killed before that was stored, and the stage changed by a person since."""
    fill(root / ONE / "workspace")
    assert attempts.prepare(some.project(some.ended(1), some.stage(2, "track")), 2, 1) is None
    assert list((root / TWO / "workspace").iterdir()) == []
    assert attempts.prepare(continuing(), 2, 1) == OPERATION
    work(root, book)
    assert ended(book).state == "done"
    assert digest(root / TWO / "workspace") == digest(root / ONE / "workspace")
    assert attempts.prepare(continuing(), 2, 1) is None


def test_a_copy_of_an_empty_workspace_is_made_once(attempts, root, book, work):
    (root / ONE / "workspace").mkdir(parents=True)
    assert attempts.prepare(continuing(), 2, 1) == OPERATION
    work(root, book)
    assert ended(book).state == "done"
    assert attempts.prepare(continuing(), 2, 1) is None


def test_sockets_and_pipes_left_by_programs_do_not_hinder_a_copy(attempts, root, book, work, monkeypatch):
    source = root / ONE / "workspace"
    fill(source, 3)
    os.mkfifo(source / "pipe")
    monkeypatch.chdir(source)  # names of sockets may have 108 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("agent.sock")
        attempts.prepare(continuing(), 2, 1)
        work(root, book)
        assert ended(book).state == "done"
    assert digest(root / TWO / "workspace") == digest(source)


def test_files_given_before_the_first_stage_are_where_it_begins(attempts, root, book, work):
    fill(root / "projects/p1/stages/0000/workspace", 3)
    attempts.prepare(some.project(some.stage(2, "track", source=Source(kind="given"))), 2, 1)
    work(root, book)
    assert ended(book).state == "done" and len(list((root / TWO / "workspace").rglob("f*"))) == 3


def test_a_retry_may_continue_in_a_copy_of_the_dead_attempt(attempts, root, book, work):
    fill(root / TWO / "workspace", 3)
    made = some.project(some.stage(2, "track", source=Source(kind="attempt", number=1)))
    assert attempts.prepare(made, 2, 2) == "workspace-p1-0002-2"
    work(root, book)
    assert ended(book, "workspace-p1-0002-2").state == "done"
    assert digest(root / "projects/p1/stages/0002-track/attempts/2/workspace") == digest(root / TWO / "workspace")


@pytest.mark.parametrize("mode", ["shared", "nested"])
def test_a_sweep_with_one_workspace_begins_with_a_copy_made_once(attempts, root, book, work, mode):
    fill(root / ONE / "workspace", 3)
    members = [
        some.stage(
            n, "track", sweep=4, inputs={"detect": 1}, point={"X": str(n)},
            definition=some.definition("track", needs=("detect",)),
            source=Source(kind=f"sweep_{mode}", number=4, point=f"X={n}" if mode == "nested" else ""),
        )
        for n in (2, 3)
    ]  # fmt: skip
    made = some.project(some.ended(1), *members, sweeps={4: some.sweep(4, "track", workspace=mode)})
    ids = [attempts.prepare(made, n, 1) for n in (2, 3)]
    assert None not in ids
    work(root, book)
    for one in ids:
        assert ended(book, str(one)).state == "done"
    top = root / "projects/p1/sweeps/4/workspace"
    for place in [top] if mode == "shared" else [top / "X=2", top / "X=3"]:
        assert digest(place) == digest(root / ONE / "workspace")
    assert attempts.prepare(made, 2, 1) is None and attempts.prepare(made, 3, 1) is None
    assert not leftovers(root)


def test_a_source_that_is_gone_is_refused_for_ever(attempts, root):
    (root / ONE).mkdir(parents=True)
    with pytest.raises(Refused) as caught:
        attempts.prepare(continuing(), 2, 1)
    assert caught.value.code == "workspace.source_gone" and "0001-detect" in str(caught.value)


def test_a_source_that_vanishes_before_the_copy_begins_is_refused_for_ever(attempts, root, book, work):
    fill(root / ONE / "workspace", 3)
    attempts.prepare(continuing(), 2, 1)
    command("rm", "-rf", root / ONE / "workspace")
    work(root, book)
    found = ended(book)
    assert (found.state, found.code) == ("failed", "workspace.source_gone")
    assert not (root / TWO / "workspace").exists() and not leftovers(root)


def test_a_copy_that_failed_is_tried_again_under_another_name_and_not_at_once(attempts, root, book, clock):
    fill(root / ONE / "workspace", 3)
    made = continuing()
    attempts.prepare(made, 2, 1)
    taken = book.take("w", 30)
    book.finish(taken.but(state="failed", code="share.full", text="The share became full.", ended=clock.now()))
    with pytest.raises(ShareUnavailable) as caught:
        attempts.prepare(made, 2, 1)
    assert caught.value.code == "share.full" and "became full" in str(caught.value)
    clock.time += timedelta(seconds=21)
    assert attempts.prepare(made, 2, 1) == f"{OPERATION}-2" == attempts.prepare(made, 2, 1)


def test_cancelling_the_attempt_ends_the_copy_at_once(filesystem, book, work, clock):
    root = filesystem("ext4", 400)
    writer = Scribe(root)
    writer.establish("x")
    attempts = attempts_on(writer, book, clock)
    fill(root / ONE / "workspace", 4, 30 << 20)
    attempts.prepare(continuing(), 2, 1)
    worker = work(root, book)
    until(lambda: copying(root), every=0.001)
    began = time.monotonic()
    attempts.cancel(AttemptRef(project="p1", stage=2, attempt=1))
    assert ended(book).state == "cancelled"
    assert time.monotonic() - began < 5
    assert [o.state for o in worker.ends] == ["cancelled", "cancelled"]
    assert not leftovers(root) and not (root / TWO / "workspace").exists()
    writer.close()


def test_a_copy_without_shared_blocks_begins_only_where_there_is_room(filesystem, book, work, clock):
    root = filesystem("tmpfs", 40)
    writer = Scribe(root)
    writer.establish("x")
    attempts = attempts_on(writer, book, clock)
    fill(root / ONE / "workspace", 3, 7 << 20)  # 21 MiB of 40
    attempts.prepare(continuing(), 2, 1)
    work(root, book)
    found = ended(book)
    assert (found.state, found.code) == ("failed", "share.full")
    assert "0009-old may go" in found.text and "21.0 MiB" in found.text
    assert not leftovers(root)
    (root / "trash").exists() and command("rm", "-rf", root / "trash")
    command("mount", "-o", "remount,size=100m", root)
    clock.time += timedelta(seconds=30)
    again = attempts.prepare(continuing(), 2, 1)
    assert ended(book, str(again)).state == "done"
    writer.close()


def test_on_xfs_blocks_are_shared_and_a_copy_may_be_larger_than_the_free_space(filesystem, book, work, clock):
    root = filesystem("xfs", 400)
    writer = Scribe(root)
    writer.establish("x")
    attempts = attempts_on(writer, book, clock)
    free = os.statvfs(root).f_bavail * os.statvfs(root).f_frsize
    fill(root / ONE / "workspace", 1, int(free * 0.65))
    attempts.prepare(continuing(), 2, 1)
    work(root, book)
    found = ended(book)
    assert found.state == "done", found.text
    assert digest(root / TWO / "workspace") == digest(root / ONE / "workspace")
    writer.close()


def test_a_share_that_fills_up_during_the_copy_is_left_as_it_was(filesystem, book, work, clock):
    root = filesystem("tmpfs", 60)
    writer = Scribe(root)
    writer.establish("x")
    attempts = attempts_on(writer, book, clock)
    fill(root / ONE / "workspace", 3, 6 << 20)
    attempts.prepare(continuing(), 2, 1)
    reader = patient(root)

    def believed() -> bool:
        """Somebody else takes the room between the look and the copy."""
        with open(root / "inputs", "wb") as file:
            file.write(b"x" * (40 << 20) if not (root / "inputs").stat().st_size else b"")
        return True

    copies = CopyWorkspace(writer, reader, believed, lambda: "")
    worker = Worker(root, book, copies)
    found = ended(book)
    worker.close()
    assert (found.state, found.code) == ("failed", "share.full")
    assert not leftovers(root) and not (root / TWO / "workspace").exists()
    writer.close()


def start_process(root: Path, book: Path, owner: str, ends: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tests.resources.operations_worker", root, book, owner, ends]
    return subprocess.Popen([str(w) for w in words])


def quiet(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TZ"


def one_round(root: Path, book: FileBook, tmp_path: Path, operation: str, chance: random.Random) -> None:
    """A first worker is killed or paused somewhere, a second one takes over, the paused one wakes up."""

    def state() -> str:
        found = book.get(operation)
        assert found is not None
        return found.state

    workers = [start_process(root, tmp_path / "book.json", "first", tmp_path / "ends")]
    try:
        until(lambda: state() != "waiting", 20, every=0.001)
        if chance.random() < 0.5:
            until(lambda: leftovers(root) or state() == "done", every=0.0005)
        threading.Event().wait(chance.random() * 0.2)
        how = chance.choice([signal.SIGKILL, signal.SIGSTOP])
        workers[0].send_signal(how)
        if how is signal.SIGSTOP:
            until(lambda: quiet(workers[0].pid))
        while how is signal.SIGSTOP and book.held():  # not with the book of all in its hand
            workers[0].send_signal(signal.SIGCONT)
            workers[0].send_signal(signal.SIGSTOP)
            until(lambda: quiet(workers[0].pid))
        if state() == "running":
            book.expire(operation)
        workers.append(start_process(root, tmp_path / "book.json", "second", tmp_path / "ends"))
        assert ended(book, operation).state == "done"
        workers[0].send_signal(signal.SIGCONT)
        if workers[0].poll() is None:  # the paused one has its say as well
            until(lambda: not leftovers(root))
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def rounds(attempts, root, book, tmp_path, count: int, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    fill(root / ONE / "workspace", 400, 20_000)
    whole = digest(root / ONE / "workspace")
    made = some.project(
        some.ended(1), *[some.stage(n, "track", source=Source(kind="stage", number=1)) for n in range(2, count + 2)]
    )
    for number in range(2, count + 2):
        operation = str(attempts.prepare(made, number, 1))
        target = root / f"projects/p1/stages/{number:04d}-track/attempts/1/workspace"
        one_round(root, book, tmp_path, operation, chance)
        assert digest(target) == whole, f"seed {seed}"
        assert f"{operation} done" in (tmp_path / "ends").read_text().splitlines()
    until(lambda: not leftovers(root))


def test_a_worker_killed_or_paused_anywhere_leaves_one_whole_workspace(attempts, root, book, tmp_path):
    rounds(attempts, root, book, tmp_path, 5, random.randrange(10**6))


@pytest.mark.chaos
def test_many_workers_killed_or_paused_anywhere_leave_one_whole_workspace_each(attempts, root, book, tmp_path):
    rounds(attempts, root, book, tmp_path, 60, random.randrange(10**6))


def test_killing_the_copying_program_fails_the_operation_and_leaves_nothing(filesystem, book, work, clock):
    root = filesystem("ext4", 400)
    writer = Scribe(root)
    writer.establish("x")
    attempts = attempts_on(writer, book, clock)
    fill(root / ONE / "workspace", 4, 30 << 20)
    attempts.prepare(continuing(), 2, 1)
    work(root, book)
    os.kill(until(lambda: copying(root), every=0.0005), signal.SIGKILL)
    found = ended(book)
    assert (found.state, found.code) == ("failed", "workspace.copy_failed")
    assert not (root / TWO / "workspace").exists() and not leftovers(root)
    writer.close()


def copying(root: Path) -> int:
    """The process that runs cp for this share, once it has begun to write."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] == b"cp" and any(str(root).encode() in w for w in words) and leftovers(root):
                return int(entry.name)
    return 0


def test_two_workers_on_one_copy_publish_one_and_discard_the_other(attempts, root, book):
    fill(root / ONE / "workspace", 300, 5000)
    attempts.prepare(continuing(), 2, 1)
    operation = book.get(OPERATION)
    reader = patient(root)
    writer = Scribe(root)
    copies = CopyWorkspace(writer, reader, lambda: True, lambda: "")
    gate = threading.Barrier(2)
    said: list[str] = []

    def one() -> None:
        gate.wait()
        try:
            said.append(copies(operation, lambda *_: None))
        except Exception as error:  # noqa: BLE001 - the one whose directory was taken away
            said.append(repr(error))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digest(root / TWO / "workspace") == digest(root / ONE / "workspace"), said
    assert not leftovers(root)
    writer.close()


def test_a_frozen_share_does_not_hold_the_worker_when_it_shall_end(filesystem, book, clock):
    root = filesystem("ext4", 400)
    writer = Scribe(root)
    writer.establish("x")
    attempts = attempts_on(writer, book, clock)
    fill(root / ONE / "workspace", 4, 30 << 20)
    attempts.prepare(continuing(), 2, 1)
    quick = Scribe(root, deadline=0.5)
    worker = Worker(root, book, CopyWorkspace(quick, patient(root), lambda: True, lambda: ""))
    until(lambda: copying(root), every=0.001)
    command("fsfreeze", "-f", root)
    try:
        began = time.monotonic()
        worker.close()
        assert time.monotonic() - began < 5
    finally:
        command("fsfreeze", "-u", root)
    assert book.get(OPERATION).state == "running"  # given back: the next worker begins anew
    again = Worker(root, book)
    assert ended(book).state == "done"
    again.close()
    assert digest(root / TWO / "workspace") == digest(root / ONE / "workspace") and not leftovers(root)
    writer.close()
    quick.close()


def test_an_ended_stage_without_an_attempt_passes_nothing_on(attempts):
    made = some.project(
        some.ended(1, attempt=0, state=StageState.STOPPED),
        some.stage(2, "track", source=Source(kind="stage", number=1)),
    )
    with pytest.raises(Refused):
        attempts.prepare(made, 2, 1)
