"""Watching logs: all who look are told soon, by one look, and nobody looks when nobody watches."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

from tests.resources.logged import LogWriter
from tests.waiting import until
from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.resources.log_watch import LogWatch
from winslow_nomad.resources.reader import Reader


class Counting(Reader):
    """Counts its calls; `away`: it does not answer."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.calls = 0
        self.away = False

    def call(self, work, what, deadline=None):
        self.calls += 1
        if self.away:
            raise ShareUnavailable("away", code="share.stalled")
        return super().call(work, what, deadline)


class Heard:
    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self) -> None:
        self.times.append(time.monotonic())


def test_whoever_watches_is_told_soon(tmp_path):
    writer = LogWriter(tmp_path / "a")
    writer.write(0, b"one\n")
    heard = Heard()
    end = LogWatch(Counting(tmp_path)).watch("a", heard)
    until(lambda: len(heard.times) >= 3)  # at once, and twice again in case the bytes are seen later
    count, begun = len(heard.times), time.monotonic()
    writer.write(0, b"two\n")
    until(lambda: len(heard.times) > count)
    assert heard.times[count] - begun < 1.0
    end()


def test_a_log_that_is_not_there_yet_is_noticed_when_it_comes(tmp_path):
    heard, reader = Heard(), Counting(tmp_path)
    end = LogWatch(reader).watch("later", heard)
    until(lambda: reader.calls >= 5)  # it was not there at the first look, and it is looked for again and again
    LogWriter(tmp_path / "later").write(1, b"here\n")
    until(lambda: heard.times)
    end()


def test_many_who_watch_one_log_cost_one_look(tmp_path):
    LogWriter(tmp_path / "a").write(0, b"one\n")
    reader = Counting(tmp_path)
    watch = LogWatch(reader)
    everybody = [Heard() for _ in range(50)]
    ends = [watch.watch("a", heard) for heard in everybody]
    until(lambda: all(heard.times for heard in everybody))
    assert reader.calls < 60  # each that joins may hasten a look; looking at each by itself would be thousands
    for end in ends:
        end()


def test_nobody_looks_when_nobody_watches(tmp_path):
    LogWriter(tmp_path / "a").write(0, b"one\n")
    reader = Counting(tmp_path)
    watch = LogWatch(reader)
    before = {t.ident for t in threading.enumerate() if t.name == "log-watch"}
    end = watch.watch("a", Heard())
    until(lambda: reader.calls > 2)
    end()
    until(lambda: {t.ident for t in threading.enumerate() if t.name == "log-watch"} <= before)
    heard = Heard()
    watch.watch("a", heard)  # and it begins again
    until(lambda: heard.times)


def test_a_share_that_was_away_is_looked_at_again(tmp_path):
    writer = LogWriter(tmp_path / "a")
    writer.write(0, b"one\n")
    reader = Counting(tmp_path)
    heard = Heard()
    end = LogWatch(reader).watch("a", heard)
    until(lambda: len(heard.times) >= 3)
    reader.away = True
    count, calls = len(heard.times), reader.calls
    until(lambda: reader.calls > calls)
    writer.write(0, b"two\n")
    reader.away = False
    until(lambda: len(heard.times) > count)
    end()


def test_who_leaves_twice_or_in_the_middle_harms_nobody(tmp_path):
    writer = LogWriter(tmp_path / "a")
    watch = LogWatch(Counting(tmp_path))
    told: Counter[str] = Counter()
    stay = watch.watch("a", lambda: told.update(["stay"]))
    leave = watch.watch("a", lambda: told.update(["leave"]))
    writer.write(0, b"x\n")
    until(lambda: told["leave"] and told["stay"])
    leave()
    leave()
    count = told["stay"]
    writer.write(0, b"y\n")
    until(lambda: told["stay"] > count)
    stay()
