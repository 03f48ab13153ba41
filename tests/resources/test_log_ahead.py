"""Logs whose share shows late what is written: seen by way of the node, the same bytes at the same places."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.resources.logged import LogWriter
from tests.resources.test_log_lines import NoSecrets
from tests.waiting import until
from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.core.ports import LogStream, Spool
from winslow_nomad.resources.log_ahead import LogAhead
from winslow_nomad.resources.log_cache import LogCache
from winslow_nomad.resources.log_files import opened
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.share_logs import ShareLog, ShareLogs

NAMES = ("out", "err", "index")


class NodeLog:
    """core.ports.Spool over files. `away`: the node does not answer; `gone`: it has no such log any more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = 0
        self.away = self.gone = False

    def size(self, stream: LogStream) -> int | None:
        self.asked += 1
        if self.away:
            raise DriverUnavailable("the node does not answer")
        file = self.folder / stream
        return file.stat().st_size if file.exists() and not self.gone else None

    def sizes(self) -> dict[LogStream, int] | None:
        raise AssertionError("nobody needs all of them")

    def read(self, stream: LogStream, offset: int, count: int) -> bytes:
        assert count > 0 and offset < (self.folder / stream).stat().st_size, "Nomad answers that with an error as text"
        return (self.folder / stream).read_bytes()[offset : offset + count]


class Looking(Reader):
    """Counts the looks of those who watch logs; none of them happens while `still` is held."""

    looks = 0

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.still = threading.Lock()

    def call(self, work, what, deadline=None):
        if what != "logs that are watched":
            return super().call(work, what, deadline)
        with self.still:
            found = super().call(work, what, deadline)
            self.looks += 1
            return found


class Late:
    """What a node writes, and a share that shows it when told to."""

    def __init__(self, base: Path) -> None:
        self.node = LogWriter(base / "node")
        for name in NAMES:
            (self.node.log / name).touch()
        self.share = base / "share"
        (self.share / "a" / "log").mkdir(parents=True)
        self.spool = NodeLog(self.node.log)
        self.reader = Looking(self.share)
        self.logs = ShareLogs(self.reader, LogCache(base / "cache", worth=0), NoSecrets())
        self.heard = 0

    def log(self, *, ended: bool = False, find: Callable[[], Spool | None] | None = None) -> ShareLog:
        return ShareLog(self.logs, self.logs._lines_of("a"), 1, ended, find or (lambda: self.spool))

    def watch(self, log: ShareLog) -> Callable[[], None]:
        def tell() -> None:
            self.heard += 1

        return self.logs.watch(log, tell)

    def looks(self) -> int:
        return self.reader.looks

    def show(self, **most: int) -> None:
        """All, or so many bytes of some."""
        for name in NAMES:
            data = (self.node.log / name).read_bytes()
            (self.share / "a" / "log" / name).write_bytes(data[: most.get(name, len(data))])

    def texts(self, *, ended: bool = False) -> list[str]:
        return [line.text for line in self.log(ended=ended).page(0, 1000).lines]


@pytest.fixture
def late(tmp_path: Path) -> Late:
    return Late(tmp_path)


def test_what_the_share_does_not_show_yet_is_seen_from_the_node_while_somebody_looks(late: Late) -> None:
    end = late.watch(late.log())
    late.node.write(0, b"one\ntwo\n")
    until(lambda: late.heard and late.texts() == ["one", "two"], 10)
    late.node.write(1, b"three\nfo")
    until(lambda: late.texts() == ["one", "two", "three", "fo"], 10)
    assert [line.stream for line in late.log().page(0, 9).lines] == ["out", "out", "err", "err"]
    late.node.write(1, b"ur\n")
    until(lambda: late.texts()[-1] == "four", 10)
    end()
    assert late.texts()[-1] == "four", "what was seen stays until the share has it"


def shown_after(late: Late, seconds: float, *, fresh: bool = False) -> int:
    """How many lines a share, which shows them so many seconds after they were written, must show before the node is
    asked. `fresh`: with each comes one that was written only now."""
    late.node.clock = lambda: time.time() - seconds
    late.node.write(0, b"0\n")
    late.show()
    end = late.watch(late.log())
    until(lambda: late.texts() == ["0"], 10)
    looks = late.looks()
    until(lambda: late.looks() > looks + 1, 10)
    shown = lines = 1
    while not late.spool.asked and shown < 20:
        with late.reader.still:
            late.node.write(0, b"%d\n" % lines)
            if fresh:
                late.node.clock = time.time
                late.node.write(0, b"now\n")
                late.node.clock = lambda: time.time() - seconds
            late.show()
        shown, lines = shown + 1, lines + 1 + fresh
        until(lambda n=lines: len(late.texts()) == n, 10)
        looks = late.looks()
        until(lambda n=looks: late.spool.asked or late.looks() > n + 1, 10)
    if late.spool.asked:
        late.node.write(0, b"not on the share\n")
        until(lambda: late.texts()[-1] == "not on the share", 10)
    end()
    return shown


def test_a_share_that_is_late_again_and_again_is_noticed_by_the_times_in_the_index(late: Late) -> None:
    assert 3 < shown_after(late, 0.95) < 8, "one that is late now and then is left alone"


def test_a_share_that_is_seconds_late_is_noticed_at_once_even_where_the_last_line_it_shows_is_young(late: Late) -> None:
    """A share that shows what is written every three seconds shows then what was written just before, too."""
    assert shown_after(late, 3.0, fresh=True) == 2


def test_a_share_that_shows_lines_soon_is_left_alone(late: Late) -> None:
    assert shown_after(late, 0.05) == 20


def test_the_end_comes_from_the_share_and_nothing_is_there_twice(late: Late) -> None:
    end = late.watch(late.log())
    late.node.write(0, b"a" * 300_000 + b"\nlast\n")
    until(lambda: late.texts()[-1:] == ["last"], 10)
    late.spool.gone = True
    late.node.write(0, b"very last\n")
    late.show()
    until(lambda: late.texts(ended=True)[1:] == ["last", "very last"], 10)
    end()
    assert late.log(ended=True).raw().size == (late.node.log / "out").stat().st_size
    asked = late.spool.asked
    until(lambda: late.texts(ended=True)[1:] == ["last", "very last"], 10)
    assert late.spool.asked == asked


def test_a_node_that_does_not_answer_keeps_nobody_from_what_the_share_has(late: Late) -> None:
    late.spool.away = True
    late.node.write(0, b"one\n")
    end = late.watch(late.log())
    until(lambda: late.spool.asked, 10)
    late.show()
    until(lambda: late.texts() == ["one"], 10)
    late.spool.away = False
    late.node.write(0, b"two\n")
    until(lambda: late.texts() == ["one", "two"], 10)
    end()


def test_nobody_is_asked_for_a_log_that_has_ended_or_that_nobody_watches(late: Late) -> None:
    found: list[int] = []
    late.node.write(0, b"one\n")
    late.show()
    late.log(find=lambda: found.append(1)).page(0, 9)
    end = late.watch(late.log(ended=True, find=lambda: found.append(1)))
    for number in range(4):
        heard = late.heard
        late.node.write(0, b"%d\n" % number)
        late.show()
        until(lambda h=heard: late.heard > h, 10)
    end()
    assert not found


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60),
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), max_size=8),
)  # fmt: skip
def test_bytes_of_share_and_node_together_are_those_that_were_written(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, first: int, second: int, third: int,
    reads: list[tuple[int, int]],
) -> None:  # fmt: skip
    """The share has come to `first` when the node is looked at the first time, to `third` at the end."""
    folder = tmp_path_factory.mktemp("log")
    first, second, third = sorted((first, second, third))
    (folder / "node").mkdir()
    (folder / "log").mkdir()
    for name in NAMES:
        (folder / "node" / name).write_bytes(data[:second])
        (folder / "log" / name).write_bytes(data[:first])
    ahead = LogAhead(lambda: None, lambda: False, lambda: None)
    with opened(folder) as files:
        ahead.over(files)
    ahead._look(NodeLog(folder / "node"))
    for name in NAMES:
        (folder / "log" / name).write_bytes(data[:third])
    with opened(folder) as files:
        for _ in range(2):
            seen = ahead.over(files)
            assert seen.sizes == [len(data[: max(second, third)])] * 3
            for offset, length in reads:
                assert seen.read(0, offset, length) == data[: max(second, third)][offset : offset + length]
