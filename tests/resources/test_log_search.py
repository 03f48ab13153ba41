"""Searching logs: the lines that a plain look at each of them finds, whatever the direction and the limit."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.resources.logged import plain_lines
from tests.resources.test_log_lines import NoSecrets, fresh, many, opened, pieces
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.logs import LogHits
from winslow_nomad.resources.log_patterns import LinePattern, required_literal
from winslow_nomad.resources.share_logs import ShareLog

PATTERNS = ["a", "ab", "a+b$", "^b", "b|^$", "(a|b)b", "[^a]$", "x*"]


def find(log: ShareLog, pattern: str, **how: object) -> LogHits:
    usual = {"regex": True, "case": True, "start": None, "limit": 1000, "backwards": False}
    return log.search(pattern, **{**usual, **how})  # type: ignore[arg-type]


def everything(log: ShareLog, pattern: str, limit: int, backwards: bool) -> list[int]:
    found: list[int] = []
    start: int | None = None
    while True:
        answer = find(log, pattern, limit=limit, backwards=backwards, start=start, seconds=0.0)
        found += [x.n for x in answer.hits]
        if answer.next is None:
            return found
        start = answer.next


@given(pieces, st.sampled_from(PATTERNS), st.booleans(), st.integers(1, 5))
@settings(max_examples=60)
def test_the_lines_found_are_those_that_match_one_by_one(written, pattern, backwards, limit):
    with fresh() as (writer, logs):
        for stream, data in written:
            writer.write(stream, bytes(b for b in data if b < 128))
        wanted = [n for n, line in enumerate(plain_lines(writer.records)) if re.search(pattern.encode(), line.raw)]
        log = opened(logs)
        assert everything(log, pattern, 1000, False) == wanted
        assert everything(log, pattern, limit, backwards) == (wanted[::-1] if backwards else wanted)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("pattern", ["7 x", "^99", "x{80,}$", "y+", "[0-3]+ x*$", "(1|2)[0-9] xxx"])
def test_a_large_log_is_searched_as_a_plain_look_would(seed, pattern):
    with fresh() as (writer, logs):
        many(writer, seed)
        wanted = [n for n, line in enumerate(plain_lines(writer.records)) if re.search(pattern.encode(), line.raw)]
        assert wanted
        log = opened(logs)
        assert everything(log, pattern, 10_000, False) == wanted
        assert everything(log, pattern, 10_000, True) == wanted[::-1]
        middle = wanted[len(wanted) // 2]
        assert [x.n for x in find(log, pattern, start=middle, limit=3).hits] == [n for n in wanted if n >= middle][:3]
        before = find(log, pattern, start=middle, limit=3, backwards=True)
        assert [x.n for x in before.hits] == [n for n in wanted[::-1] if n < middle][:3]


def test_a_search_that_takes_too_long_says_where_to_go_on():
    with fresh() as (writer, logs):
        for number in range(30):
            writer.write(number % 2, b"x" * 999_999 + b"\n")
        answer = find(opened(logs), "nothing of the kind", seconds=0.0)
        assert answer.hits == () and answer.next is not None and 0 < answer.next < 30


def test_a_text_is_not_a_regular_expression_and_case_counts_only_when_asked_for():
    with fresh() as (writer, logs):
        writer.write(0, "a.b\naxb\nA.B\nStraße\n".encode())
        log = opened(logs)
        assert [x.n for x in find(log, "a.b", regex=False).hits] == [0]
        assert [x.n for x in find(log, "a.b", regex=False, case=False).hits] == [0, 2]
        assert [x.n for x in find(log, "a.b").hits] == [0, 1]
        assert [x.n for x in find(log, "STRAßE", case=False).hits] == [3]
        assert [x.n for x in find(log, "Stra.e$").hits] == [3]


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "", "a" * 1001, r"\Aa", "a{5000}", "[z-a]"])
def test_what_cannot_be_searched_for_is_refused_with_a_reason(pattern):
    with pytest.raises(Invalid) as raised:
        LinePattern(pattern)
    assert raised.value.code == "log.pattern" and raised.value.hint
    assert "(?m)" not in str(raised.value)


def test_an_expression_made_to_run_for_ever_does_not():
    with fresh() as (writer, logs):
        writer.write(0, b"a" * 200_000 + b"!\n")
        assert find(opened(logs), "(a+)+$", seconds=20.0).hits == ()


def test_secrets_are_neither_shown_nor_found():
    secrets = NoSecrets()
    secrets.texts = {"secret:1": "swordfish-swordfish"}
    with fresh(secrets=secrets) as (writer, logs):
        writer.write(0, b"the key is swordfish-swordfish!\nnothing\n")
        log = opened(logs)
        assert log.page(0, 2).lines[0].text == "the key is ********!"
        for guess in ("swordfish", "key is s", "key is [a-z]", "fish!"):
            assert find(log, guess).hits == (), guess
        assert [x.n for x in find(log, "the key").hits] == [0]


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        ("(lost|found) [a-z]+ ERROR", "ERROR"),
        ("ERROR code", ""),  # RE2 looks for a beginning by itself
        ("a|needle", ""),
        ("x.*needles?", "needle"),
        ("x.*needle{0,2}", "needl"),
        ("x.*need{2}le", "need"),
        (r"\d+ a\.b\.c", "a.b.c"),
        (r"\d+ \x41bcd", ""),
        (r"(?i).needle", ""),
        ("(?:a|b).needle", "needle"),
        ("[]abc]needle", "needle"),
        (r"[\]]needle", "needle"),
        (".(needle)", ""),
        ("a.needle+s", "needle"),
    ],
)
def test_the_text_looked_for_first_is_one_that_every_match_holds(pattern, literal):
    assert required_literal(pattern) == literal


words = st.lists(
    st.sampled_from(["abc", "def", ".", ".*", "[ab]", "(abc|x)", "a?", "c*", "d+", "e{2}", "abc{0}", r"\.", "(?:q)?"]),
    min_size=1, max_size=6,
).map("".join)  # fmt: skip


@given(words, st.lists(st.text("abcdefq. x", max_size=15), min_size=1, max_size=60))
@settings(max_examples=150)
def test_looking_for_a_text_first_finds_the_same_lines(pattern, lines):
    data = "\n".join(lines).encode() + b"\n"
    wanted = [n for n, line in enumerate(lines) if re.search(pattern, line)]
    found = LinePattern(pattern).lines(data)
    assert [data[:begin].count(b"\n") for begin, _ in found] == wanted


def test_a_search_with_an_intricate_expression_ends_in_time_and_comes_further_each_time():
    with fresh() as (writer, logs):
        writer.write(0, (b"a" * 199 + b"\n") * 3000 + b"!\n")
        log, began = opened(logs), time.monotonic()
        pattern = "(?:a?b?){499}" * 4 + "!"
        first = find(log, pattern, seconds=0.2)
        assert time.monotonic() - began < 30
        assert first.next is not None and first.next > 0
        again = find(log, pattern, seconds=0.2, start=first.next)
        assert again.next is None or again.next > first.next
        back = find(log, pattern, seconds=0.2, backwards=True)
        assert [hit.n for hit in back.hits] == [3000] and (back.next is None or back.next < 3000)
