"""Reading logs: both streams in order, while somebody writes, and without secrets."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.resources.reading import patient
from winslow_nomad.core.client import LogChunk
from winslow_nomad.resources.log_text import HIDDEN, Mask, Masker
from winslow_nomad.resources.logs import LogReader, chunks


class Writer:
    def __init__(self, root: Path) -> None:
        self.log = root / "a" / "log"
        self.log.mkdir(parents=True)

    def write(self, stream: int, data: bytes, *, indexed: bool = True) -> None:
        with (self.log / ("out" if stream == 1 else "err")).open("ab") as file:
            file.write(data)
        if indexed:
            self.note(stream, len(data))

    def note(self, stream: int, length: int) -> None:
        with (self.log / "index").open("ab") as file:
            file.write(struct.pack("<QII", 1_700_000_000_000_000, length, stream))


def text(found: list[LogChunk]) -> bytes:
    return b"".join(c.data for c in found)


def test_both_streams_come_in_the_order_of_the_index(tmp_path):
    writer = Writer(tmp_path)
    writer.write(1, b"one\n")
    writer.write(2, b"two\n")
    writer.write(1, b"three\n")
    found = LogReader(patient(tmp_path), "a").more()
    assert [(c.stream, c.data) for c in found] == [("out", b"one\n"), ("err", b"two\n"), ("out", b"three\n")]


def test_what_the_index_promises_and_the_stream_does_not_show_yet_is_waited_for(tmp_path):
    writer = Writer(tmp_path)
    log = LogReader(patient(tmp_path), "a")
    writer.note(1, 6)
    writer.note(2, 2)
    writer.write(2, b"e\n", indexed=False)
    assert log.more() == []
    writer.write(1, b"abc", indexed=False)
    assert text(log.more()) == b"abc"
    writer.write(1, b"def", indexed=False)
    assert text(log.more()) == b"defe\n"


def test_a_torn_record_at_the_end_of_the_index_is_left_for_later(tmp_path):
    writer = Writer(tmp_path)
    writer.write(1, b"x\n")
    with (writer.log / "index").open("ab") as file:
        file.write(b"\x01\x02")
    assert text(LogReader(patient(tmp_path), "a").more()) == b"x\n"


def test_bytes_without_an_index_record_come_at_the_end(tmp_path):
    writer = Writer(tmp_path)
    writer.write(1, b"noted\n")
    writer.write(1, b"not noted\n", indexed=False)
    found = list(chunks(LogReader(patient(tmp_path), "a"), False, lambda: True, lambda: None))
    assert text(found) == b"noted\nnot noted\n"


def test_following_ends_when_the_attempt_has_ended_and_all_is_read(tmp_path):
    writer = Writer(tmp_path)
    writer.write(1, b"first\n")
    looks: list[int] = []

    def wait() -> None:
        looks.append(1)
        writer.write(1, b"second\n")

    found = list(chunks(LogReader(patient(tmp_path), "a"), True, lambda: bool(looks), wait))
    assert text(found) == b"first\nsecond\n"


def test_a_log_that_is_not_there_is_empty(tmp_path):
    assert list(chunks(LogReader(patient(tmp_path), "nothing"), False, lambda: True, lambda: None)) == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=40)), max_size=30))
def test_any_interleaving_is_read_back_byte_for_byte(parts):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder))
        for stream, data in parts:
            writer.write(stream, data)
        found = list(chunks(LogReader(patient(Path(folder)), "a"), False, lambda: True, lambda: None))
        assert [({"out": 1, "err": 2}[c.stream], c.data) for c in found] == parts


SECRETS = ("s3cret-value-42", "swordfish-swordfish")


@settings(deadline=None)
@given(
    st.sampled_from(SECRETS),
    st.one_of(st.binary(max_size=60), st.sampled_from(["s3cret-", "swordfish"]).map(str.encode)),
    st.binary(max_size=60),
    st.lists(st.integers(0, 140), max_size=5),
)
def test_a_secret_never_shows_however_the_chunks_are_cut(secret, before, after, cuts):
    whole = before + secret.encode() + after
    mask = Mask(lambda: Masker(SECRETS))
    points = sorted({min(c, len(whole)) for c in cuts} | {0, len(whole)})
    shown = b"".join(mask.apply(LogChunk(stream="out", data=whole[a:b])).data for a, b in pairwise(points))
    shown += b"".join(c.data for c in mask.rest())
    assert shown == whole.replace(secret.encode(), HIDDEN)


def test_a_secret_that_begins_with_another_one_is_hidden_to_its_end():
    mask = Mask(lambda: Masker(["password", "password-of-all"]))
    shown = [mask.apply(LogChunk(stream="out", data=d)).data for d in (b"a password", b"-of-all b")]
    assert b"".join(shown) == b"a ******** b"


def test_short_values_are_not_masked_since_they_would_hide_everything():
    assert Mask(lambda: Masker(["1"])).apply(LogChunk(stream="out", data=b"111")).data == b"111"
