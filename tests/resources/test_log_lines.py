"""A log by lines: whatever was written, in whatever pieces, is what a plain reading of it gives."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.resources.logged import LogWriter, Plain, plain_lines
from tests.resources.reading import patient
from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.core.logs import LogLine, Stream
from winslow_nomad.resources.log_cache import LogCache
from winslow_nomad.resources.log_files import LogFiles
from winslow_nomad.resources.log_index import LineIndex
from winslow_nomad.resources.log_lines import Lines, Page
from winslow_nomad.resources.log_text import NOTHING, SHOWN, Masker
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.share_logs import ShareLog, ShareLogs

pieces = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(st.text("ab\n\r", max_size=12).map(str.encode), st.binary(max_size=20))),
    max_size=40,
)


class NoSecrets:
    texts: dict[str, str] = {}

    def references(self) -> list[str]:
        return list(self.texts)

    def reveal(self, reference: str) -> str:
        return self.texts[reference]


@contextmanager
def fresh(*, worth: int = 0, secrets: NoSecrets | None = None) -> Iterator[tuple[LogWriter, ShareLogs]]:
    """A log that is empty, and what reads it. worth 0: every index is kept in the cache."""
    with tempfile.TemporaryDirectory(prefix="lines-") as name:
        root = Path(name)
        logs = ShareLogs(patient(root), LogCache(root / "cache", worth=worth), secrets or NoSecrets())
        yield LogWriter(root / "a"), logs


def opened(logs: ShareLogs, *, ended: bool = True) -> ShareLog:
    return ShareLog(logs, logs._lines_of("a"), 1, ended)


def all_lines(log: ShareLog, step: int = 7, stream: Stream | None = None) -> list[LogLine]:
    found: list[LogLine] = []
    while True:
        page = log.page(len(found), step, stream)
        if not page.lines:
            assert page.total == len(found)
            return found
        found += page.lines


def as_shown(line: Plain) -> str:
    """Of a short line: what the last carriage return left."""
    return line.raw.rstrip(b"\r").split(b"\r")[-1].decode("utf-8", "replace")


def check(found: list[LogLine], wanted: list[Plain]) -> None:
    assert [(x.n, x.stream, x.text, x.open) for x in found] == [
        (n, ("out", "err")[p.stream], as_shown(p), p.open) for n, p in enumerate(wanted)
    ]
    for line, plain in zip(found, wanted, strict=True):
        assert (line.at.timestamp() if line.at else 0) == pytest.approx(plain.micros / 1e6)


@given(pieces, st.tuples(st.binary(max_size=30), st.binary(max_size=30)), st.integers(1, 50))
@settings(max_examples=60)
def test_any_bytes_in_any_pieces_give_the_lines_of_a_plain_reading(written, rest, step):
    with fresh() as (writer, logs):
        for stream, data in written:
            writer.write(stream, data)
        live = opened(logs, ended=False)
        check(all_lines(live, step), plain_lines(writer.records))
        for stream in (0, 1):
            writer.write(stream, rest[stream], indexed=False)
        check(all_lines(live, step), plain_lines(writer.records))
        check(all_lines(opened(logs), step), plain_lines(writer.records, rest))


@given(pieces, st.data())
@settings(max_examples=40)
def test_a_line_keeps_its_number_while_the_log_grows(written, data):
    with fresh() as (writer, logs):
        for stream, piece in written:
            writer.write(stream, piece)
            if data.draw(st.booleans()):
                check(all_lines(opened(logs, ended=False), 5), plain_lines(writer.records))


@given(pieces)
@settings(max_examples=40)
def test_one_stream_alone_is_counted_by_itself_and_keeps_the_numbers_of_the_whole(written):
    with fresh() as (writer, logs):
        for stream, piece in written:
            writer.write(stream, piece)
        wanted = plain_lines(writer.records)
        for number, name in enumerate(("out", "err")):
            found = all_lines(opened(logs), 3, name)
            assert [x.n for x in found] == [n for n, p in enumerate(wanted) if p.stream == number]


def many(writer: LogWriter, seed: int, records: int = 400) -> None:
    """Enough for many places of the index: short lines, long lines, empty lines, lines over several records."""
    import random

    chance = random.Random(seed)
    for _ in range(records):
        kind = chance.randrange(8)
        data = b"".join(b"%d %s\n" % (chance.randrange(1000), b"x" * chance.randrange(90)) for _ in range(kind * 9))
        if kind == 6:
            data = b"\n" * chance.randrange(3000)
        if kind == 7:
            data = b"y" * chance.randrange(400_000)
        writer.write(chance.random() < 0.3, data)


@pytest.mark.parametrize("seed", range(4))
def test_a_large_log_is_the_same_from_any_line_on(seed):
    import random

    with fresh() as (writer, logs):
        many(writer, seed)
        wanted = plain_lines(writer.records)
        log = opened(logs)
        places, _ = logs._lines_of("a").refresh(final=True)
        assert places.known > 20
        chance = random.Random(seed)
        for _ in range(60):
            start = chance.randrange(len(wanted))
            page = log.page(start, 40)
            assert page.total == len(wanted)
            for line, plain in zip(page.lines, wanted[start : start + 40], strict=True):
                assert (line.stream, line.open) == (("out", "err")[plain.stream], plain.open)
                length = len(plain.raw)
                assert line.more_bytes == max(0, length - SHOWN) and line.text == plain.raw[:SHOWN].decode()
        for name, number in (("out", 0), ("err", 1)):
            own = [n for n, p in enumerate(wanted) if p.stream == number]
            start = len(own) // 2
            assert [x.n for x in log.page(start, 30, name).lines] == own[start : start + 30]


def test_a_page_from_the_end_counts_backwards():
    with fresh() as (writer, logs):
        writer.write(0, b"".join(b"%d\n" % n for n in range(100)))
        page = opened(logs).page(-3, 10)
        assert (page.start, [x.text for x in page.lines]) == (97, ["97", "98", "99"])
        assert opened(logs).page(-1000, 2).start == 0


def test_a_long_line_is_cut_and_says_by_how_much():
    with fresh() as (writer, logs):
        writer.write(0, b"a" * (3 << 20))
        writer.write(1, b"between\n")
        writer.write(0, b"a" * (3 << 20) + b"\nnext\n")
        first, second, third = opened(logs).page(0, 10).lines
        assert len(first.text) == SHOWN and first.more_bytes == (6 << 20) - SHOWN
        assert (second.text, third.text, third.n) == ("between", "next", 2)


def test_of_a_progress_bar_of_megabytes_the_last_state_is_shown():
    with fresh() as (writer, logs):
        for percent in range(100):
            writer.write(1, b"\r%d%% " % percent + b"#" * 20_000)
        writer.write(1, b"\r 99% done\r 100% done\n")
        line = opened(logs).page(0, 1).lines[0]
        assert (line.text, line.more_bytes) == (" 100% done", 0)


def test_windows_ends_of_line_are_not_shown_and_colours_are():
    with fresh() as (writer, logs):
        writer.write(0, b"\x1b[31mred\x1b[0m\r\nplain\r\n")
        assert [x.text for x in opened(logs).page(0, 9).lines] == ["\x1b[31mred\x1b[0m", "plain"]


def test_what_the_index_promises_is_waited_for_until_the_attempt_has_ended():
    with fresh() as (writer, logs):
        writer.write(0, b"one\n")
        writer.note(0, 100)
        writer.note(1, 4)
        writer.write(1, b"err\n", indexed=False)
        writer.write(0, b"tw", indexed=False)
        assert [x.text for x in opened(logs, ended=False).page(0, 9).lines] == ["one", "tw"]
        page = opened(logs).page(0, 9)
        assert [(x.text, x.at is None) for x in page.lines] == [("one", False), ("tw", False), ("err", True)]
        writer.write(0, b"o\n", indexed=False)  # brought from the node later
        assert [x.text for x in opened(logs).page(0, 9).lines] == ["one", "two", "err"]


def test_a_record_that_comes_after_all_gives_its_bytes_their_time():
    with fresh() as (writer, logs):
        writer.write(1, b"late\n", indexed=False)
        assert opened(logs).page(0, 1).lines[0].at is None
        writer.note(1, 5)
        assert opened(logs).page(0, 1).lines[0].at is not None


@pytest.mark.parametrize("damage", ["lost", "torn", "other", "shrunk", "foreign"])
def test_an_index_that_is_lost_or_belongs_to_another_log_is_made_anew(damage):
    with fresh() as (writer, logs):
        many(writer, 1, 150)
        before = [x.text for x in opened(logs).page(-50, 50).lines]
        root = writer.log.parents[1]
        (kept,) = (root / "cache").iterdir()
        if damage == "lost":
            kept.unlink()
        elif damage == "torn":
            kept.write_bytes(kept.read_bytes()[:-100])
        elif damage == "foreign":
            kept.write_bytes(b"")
        elif damage == "shrunk":
            for name in ("out", "err", "index"):
                (writer.log / name).unlink()
            writer.records.clear()
            writer.write(0, b"new\n")
            before = ["new"]
        else:  # another log of the same size in the same files
            sizes = [(writer.log / name).stat().st_size for name in ("out", "err")]
            for name, size in zip(("out", "err"), sizes, strict=True):
                (writer.log / name).write_bytes(b"new\n" * (size // 4) + b"n" * (size % 4))
            with (writer.log / "index").open("r+b") as file:
                file.seek(-16, 2)
                record = file.read(16)
                file.seek(-16, 2)
                file.write(bytes([record[0] ^ 1]) + record[1:])
            uncached = ShareLogs(patient(root), LogCache(root / "none"), NoSecrets())
            before = [x.text for x in opened(uncached).page(-50, 50).lines]
        again = ShareLogs(patient(root), LogCache(root / "cache", worth=0), NoSecrets())
        assert [x.text for x in opened(again).page(-50, 50).lines] == before


def test_an_index_goes_on_where_it_was_kept():
    with fresh() as (writer, logs):
        many(writer, 2, 100)
        opened(logs, ended=False).page(0, 1)
        root = writer.log.parents[1]
        many(writer, 3, 100)
        again = ShareLogs(patient(root), LogCache(root / "cache", worth=0), NoSecrets())
        cache = LogCache(root / "cache", worth=0)
        loaded = cache.load("a")
        assert loaded is not None and loaded.places().reached.record == 100
        assert opened(again).page(-1, 1).total == len(plain_lines(writer.records))


def test_the_cache_keeps_no_more_than_it_should(tmp_path):
    cache = LogCache(tmp_path / "c", files=10)
    for number in range(25):
        cache.keep(f"projects/p/stages/{number:04d}-a/attempts/1", LineIndex().dump())
    assert len(list((tmp_path / "c").iterdir())) <= 10
    assert cache.load("projects/p/stages/0024-a/attempts/1") is not None


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path):
    (tmp_path / "c").write_text("in the way")
    cache = LogCache(tmp_path / "c", worth=0)
    cache.keep("a", b"")
    assert cache.load("a") is None


def test_links_are_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(b"hidden\n")
    writer = LogWriter(tmp_path / "share/a")
    (writer.log / "out").symlink_to(tmp_path / "secret")
    writer.note(0, 7)
    lines = Lines(patient(tmp_path / "share"), "a", LogCache(tmp_path / "c"))
    with pytest.raises(OSError, match="symbolic"):
        lines.refresh(final=True)
    (tmp_path / "share/b").mkdir()
    (tmp_path / "share/b/log").symlink_to(writer.log)
    places, _ = Lines(patient(tmp_path / "share"), "b", LogCache(tmp_path / "c")).refresh(final=True)
    assert places.reached.bytes == 0


def test_a_log_that_hangs_is_told_and_whoever_hangs_in_it_disturbs_nobody_later(tmp_path):
    writer = LogWriter(tmp_path / "a")
    writer.write(0, b"one\n")
    writer.write(1, b"not noted\n", indexed=False)
    hanging: list[Callable[[], object]] = []

    class Hanging(Reader):
        def call(self, work, what, deadline=None):
            if not hanging:
                hanging.append(work)
                raise ShareUnavailable("away", code="share.stalled")
            return super().call(work, what, deadline)

    lines = Lines(Hanging(tmp_path), "a", LogCache(tmp_path / "c"))
    with pytest.raises(ShareUnavailable):
        lines.refresh(final=True)
    assert lines.refresh(final=False)[0].reached.lines(None) == 1
    hanging[0]()  # now it comes back, and takes the log for one that has ended
    assert lines.refresh(final=False)[0].reached.lines(None) == 1
    writer.write(0, b"two\n")
    assert lines.refresh(final=False)[0].reached.lines(None) == 2


def test_the_end_of_a_very_long_line_is_found_without_reading_all_of_it(tmp_path):
    writer = LogWriter(tmp_path / "a")
    writer.write(0, b"a" * (64 << 20) + b"\nnext\n")
    read = 0

    class Counted(LogFiles):
        def read(self, which, offset, length):
            nonlocal read
            data = super().read(which, offset, length)
            read += len(data)
            return data

    places, _ = Lines(patient(tmp_path), "a", LogCache(tmp_path / "c")).refresh(final=True)
    names = [tmp_path / "a" / "log" / name for name in ("out", "index", "index")]
    files = Counted([os.open(name, os.O_RDONLY) for name in names])
    page = Page(files, places, NOTHING)
    (line,) = page.lines(page.begun(0, 1, None))
    assert line.more_bytes == (64 << 20) - SHOWN and read < 4 << 20


@pytest.mark.parametrize("place", [0, SHOWN - 20, SHOWN - 1, SHOWN, -SHOWN - 5, -SHOWN - 18, -30])
@pytest.mark.parametrize("bar", [False, True])
def test_a_secret_is_hidden_wherever_a_long_line_is_cut(place, bar):
    secret = b"swordfish-swordfish"
    secrets = NoSecrets()
    secrets.texts = {"secret:1": secret.decode()}
    line = bytearray(b"x" * 3 * SHOWN)
    start = place if place >= 0 else len(line) + place
    line[start : start + len(secret)] = secret
    if bar:
        line[-2:-1] = b"\r"
        line[-SHOWN + 40 : -SHOWN + 41] = b"\r"
    with fresh(secrets=secrets) as (writer, logs):
        writer.write(0, bytes(line) + b"\n")
        text = opened(logs).page(0, 1).lines[0].text
        assert not any(secret[a : a + 5].decode() in text for a in range(len(secret) - 4))


def test_a_cut_hides_a_secret_as_a_whole():
    masker = Masker(["swordfish-swordfish"])
    text = b"ab swordfish-swordfish cd"
    for start in range(len(text)):
        for end in range(start, len(text)):
            shown = masker.line(text, start, end)
            assert not any(b"swordfish"[a : a + 2] in shown for a in range(8)), (start, end)


def test_a_secret_at_the_end_is_hidden_as_a_whole_although_its_end_may_begin_another_one():
    masker = Masker(["swordfish-swordfish"])
    text = b"ab swordfish-swordfish"
    assert masker.line(text, 0, len(text) - masker.held(text)) == b"ab "
    assert masker.same_length(text, cut=True) == b"ab " + b"*" * 19


class ComesJustAfter(NoSecrets):
    """A secret that is made, and written to the log, the moment after somebody has asked which there are."""

    def __init__(self) -> None:
        self.texts = {}
        self.then: Callable[[], None] | None = None

    def references(self) -> list[str]:
        before = super().references()
        if self.then is not None:
            self.texts["secret:1"] = "swordfish-swordfish"
            self.then()
            self.then = None
        return before


@pytest.mark.parametrize(
    "look",
    [
        lambda log: log.page(0, 9),
        lambda log: log.page(-9, 9),
        lambda log: log.unfinished(),
        lambda log: log.search("swordfish", regex=False, case=True, start=None, limit=9, backwards=False),
        lambda log: log.read(0, 1000),
    ],
    ids=["a page", "the end", "a line under way", "a search", "the bytes"],
)
def test_a_secret_made_while_somebody_looks_is_not_shown_to_them(look):
    secrets = ComesJustAfter()
    with fresh(secrets=secrets) as (writer, logs):
        writer.write(0, b"begun ")
        secrets.then = lambda: writer.write(0, b"swordfish-swordfish\nswordfish-swordfish")
        log = opened(logs, ended=False)
        assert "swordfish" not in str(look(log))
        assert secrets.then is None, "it was made"
        assert "swordfish" not in str(look(log))
