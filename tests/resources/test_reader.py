from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from tests.waiting import until
from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.resources.reader import Reader


def test_what_is_not_there_is_no_error(root, writer, reader):
    assert reader.read("nothing") is None and reader.names("nothing") == []


def test_a_file_is_read_up_to_its_limit(root, writer, reader):
    (root / "f").write_bytes(b"x" * 100)
    assert reader.read("f", 10) == b"x" * 10 and reader.read("f") == b"x" * 100


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_refused_and_never_waited_for(root, writer, reader, kind):
    path = root / "f"
    {"link": lambda: path.symlink_to("/etc/passwd"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    began = time.monotonic()
    with pytest.raises(OSError):
        reader.read("f")
    assert time.monotonic() - began < 5


def test_a_read_that_hangs_is_left_in_time_and_others_go_on(root, writer):
    reader = Reader(root, deadline=0.2, threads=3)
    released = threading.Event()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(ShareUnavailable) as caught:
            reader.call(released.wait, "a file")
        assert caught.value.code == "share.stalled" and time.monotonic() - began < 5
    assert "winslow.json" in reader.names(".")
    with pytest.raises(ShareUnavailable):
        reader.call(released.wait, "a file")
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(ShareUnavailable):  # all threads hang: said at once
            reader.names(".")
    assert time.monotonic() - began < 5
    released.set()
    assert until(lambda: _names(reader))


def test_a_share_that_hangs_is_tried_by_one_and_costs_the_others_nothing(root, writer):
    reader = Reader(root, deadline=0.4)
    hang = threading.Event()
    with pytest.raises(ShareUnavailable):
        reader.call(hang.wait, "a file")
    assert reader.names(".")  # the share answers: only that file hung

    reader.root = Hanging(root, hang)
    for _ in range(2):
        with pytest.raises(ShareUnavailable):
            reader.read("a")
    began = time.monotonic()
    for _ in range(100):
        with pytest.raises(ShareUnavailable):
            reader.read("a")
    assert time.monotonic() - began < 5
    hang.set()
    assert until(lambda: _names(reader), 2)


class Hanging(type(Path())):  # type: ignore[misc]
    """A path below which every look waits until it is told to go on."""

    def __new__(cls, path: Path, hang: threading.Event) -> Hanging:
        made = super().__new__(cls, path)
        made.hang = hang
        return made

    def __truediv__(self, name: str) -> Path:
        self.hang.wait(20)
        return Path(str(self)) / name


def _names(reader: Reader) -> list[str]:
    try:
        return reader.names(".")
    except ShareUnavailable:
        return []


def test_many_readers_share_a_few_threads(root, writer):
    reader = Reader(root, threads=2)
    before = threading.active_count()
    answers: list[list[str]] = []
    threads = [threading.Thread(target=lambda: answers.append(reader.names("."))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [["winslow.json"]] * 50 and threading.active_count() <= before + 2


def test_a_forked_child_reads_with_threads_of_its_own(root, writer, reader):
    reader.names(".")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if reader.names(".") == ["winslow.json"] else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
