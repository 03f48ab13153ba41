"""Tables made of logs: the rows that a plain reading of the lines gives, however the log grew and whoever died."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.resources.logged import LogWriter, plain_lines
from tests.resources.test_log_lines import NoSecrets, fresh, opened
from winslow_nomad.core.errors import Invalid, NotFound, Unavailable
from winslow_nomad.core.pipeline import LogParser
from winslow_nomad.resources.log_patterns import LinePattern
from winslow_nomad.resources.log_rows import LONGEST_FIELD, path_of
from winslow_nomad.resources.log_tables import HELD, LONGEST_LINE, ShareTables
from winslow_nomad.resources.share_logs import ShareLog, ShareLogs

COUNTS = LogParser(file="counts.csv", pattern=r"frame (?P<frame>\d+): (?P<vehicles>\d+)")


def rows(
    tables: ShareTables, logs: ShareLogs, parser: LogParser, path: str = "counts.csv", **how: bool
) -> list[list[str]]:
    """All there is, after as many looks as it takes."""
    log = opened(logs, **how)
    while not (made := tables.make(log, [parser], {"MODEL": "fast"})).complete:
        pass
    if path not in [t.path for t in made.tables]:
        return []
    file = tables.open(log, [parser], {"MODEL": "fast"}, path)
    text = file.read(0, file.entry.bytes).decode()
    file.close()
    assert file.entry.bytes == next(t.bytes for t in made.tables if t.path == path)
    found = list(csv.reader(io.StringIO(text)))
    assert len(found) - 1 == next(t.rows for t in made.tables if t.path == path)
    return found


def tables_of(writer: LogWriter, logs: ShareLogs) -> ShareTables:
    return ShareTables(logs, writer.log.parents[1] / "tables")


def test_named_groups_become_columns_and_the_header_is_written_once():
    with fresh() as (writer, logs):
        tables = tables_of(writer, logs)
        writer.write(0, b"frame 1: 7 vehicles\nnoise\n")
        assert rows(tables, logs, COUNTS, ended=False) == [
            ["time", "frame", "vehicles"], ["2023-11-14T22:13:20.001+00:00", "1", "7"],
        ]  # fmt: skip
        writer.write(1, b"frame 2: 8\r\nfra")
        assert len(rows(tables, logs, COUNTS, ended=False)) == 3
        writer.write(0, b"frame 3: 9\n")
        writer.write(1, b"me 4: 10\n")
        found = rows(tables, logs, COUNTS)
        assert [row[1:] for row in found] == [["frame", "vehicles"], ["1", "7"], ["2", "8"], ["4", "10"], ["3", "9"]]


def test_columns_may_hold_groups_variables_and_what_is_known_of_the_match():
    columns = {"where": "${SOURCE}:${LINE}", "all": "<${MATCH}>", "model": "${MODEL}", "x": "${NONE}$$"}
    parser = COUNTS.but(columns=columns)
    with fresh() as (writer, logs):
        writer.write(0, b"first\n")
        writer.write(1, b'say frame 1: 7, "quoted"\n')
        found = rows(tables_of(writer, logs), logs, parser)
        assert found == [["where", "all", "model", "x"], ["err:1", "<frame 1: 7>", "fast", "${NONE}$$"]]


def test_a_log_can_make_several_files_and_none_of_them_leads_out():
    parser = LogParser(file="per/${class}.csv", pattern=r"class=(?P<class>\S+) n=(?P<n>\d+)")
    with fresh() as (writer, logs):
        writer.write(0, b"class=car n=1\nclass=../../etc/passwd n=2\nclass=car n=3\n")
        tables = tables_of(writer, logs)
        made = tables.make(opened(logs), [parser], {})
        assert [(t.path, t.rows) for t in made.tables] == [("per/_._.._etc_passwd.csv", 1), ("per/car.csv", 2)]
        with pytest.raises(NotFound):
            tables.open(opened(logs), [parser], {}, "../../state.json")


@pytest.mark.parametrize("value", ["", ".", "..", "../x", "/", "\0", "a" * 500, ".hidden", "ü\n", "a/b"])
def test_whatever_a_log_says_is_one_plain_name(value):
    made = path_of("${x}.csv", {"x": value})
    assert "/" not in made and not made.startswith(".") and "\0" not in made and "\n" not in made
    assert len(made) < 200


def test_only_so_many_files_are_made():
    parser = LogParser(file="${n}.csv", pattern=r"(?P<n>\d+)")
    with fresh() as (writer, logs):
        writer.write(0, b"".join(b"%d\n" % n for n in range(500)))
        assert len(tables_of(writer, logs).make(opened(logs), [parser], {}).tables) == 100


def test_a_pattern_may_span_lines_of_one_stream():
    parser = LogParser(file="counts.csv", pattern=r"epoch (?P<epoch>\d+)\n.*loss (?P<loss>[\d.]+)", lines=3)
    with fresh() as (writer, logs):
        tables = tables_of(writer, logs)
        writer.write(0, b"epoch 1\n")
        assert rows(tables, logs, parser, ended=False) == []
        writer.write(1, b"loss 9\n")
        writer.write(0, b"  loss 0.5\nepoch 2\nsomething\nloss 0.4\nepoch 3\nloss 0.3\n")
        found = rows(tables, logs, parser)
        assert [row[1:] for row in found[1:]] == [["1", "0.5"], ["3", "0.3"]]


def test_secrets_are_in_no_table():
    secrets = NoSecrets()
    secrets.texts = {"secret:1": "swordfish-swordfish"}
    parser = LogParser(file="counts.csv", pattern=r"key=(?P<key>\S+)")
    with fresh(secrets=secrets) as (writer, logs):
        writer.write(0, b"key=swordfish-swordfish\n")
        assert rows(tables_of(writer, logs), logs, parser)[1][1] == "********"


def test_what_a_process_that_died_had_added_is_cut_off_again():
    with fresh() as (writer, logs):
        tables = tables_of(writer, logs)
        writer.write(0, b"frame 1: 7\n")
        rows(tables, logs, COUNTS, ended=False)
        (file,) = (writer.log.parents[1] / "tables").rglob("*.csv")
        file.write_bytes(file.read_bytes() + b"half a row that nobody finished")
        writer.write(0, b"frame 2: 8\n")
        assert [row[1:] for row in rows(tables, logs, COUNTS)] == [["frame", "vehicles"], ["1", "7"], ["2", "8"]]


@pytest.mark.parametrize("damage", ["lost", "torn", "short"])
def test_tables_that_are_damaged_are_made_anew(damage):
    with fresh() as (writer, logs):
        tables = tables_of(writer, logs)
        writer.write(0, b"frame 1: 7\nframe 2: 8\n")
        before = rows(tables, logs, COUNTS)
        folder = writer.log.parents[1] / "tables"
        (file,) = folder.rglob("*.csv")
        (state,) = folder.rglob("state.json")
        if damage == "lost":
            file.unlink()
        elif damage == "torn":
            state.write_text(state.read_text()[:20])
        else:
            file.write_bytes(b"")
        assert rows(tables, logs, COUNTS) == before


def test_an_old_log_is_read_by_a_parser_that_was_changed_later():
    with fresh() as (writer, logs):
        tables = tables_of(writer, logs)
        writer.write(0, b"frame 1: 7\n")
        rows(tables, logs, COUNTS)
        again = COUNTS.but(columns={"v": "${vehicles}"})
        assert rows(tables, logs, again) == [["v"], ["7"]]


def test_no_more_logs_are_kept_than_should_be():
    with fresh() as (writer, logs):
        tables = ShareTables(logs, writer.log.parents[1] / "tables", keep=3)
        for number in range(6):
            LogWriter(writer.log.parents[1] / f"a{number}").write(0, b"frame 1: 1\n")
            tables.make(ShareLog(logs, logs._lines_of(f"a{number}"), 1, True), [COUNTS], {})
        assert len(list((writer.log.parents[1] / "tables").iterdir())) == 3


pieces = st.lists(st.tuples(st.integers(0, 1), st.text("a1\n", max_size=10).map(str.encode)), max_size=25)


@given(pieces, st.data())
@settings(max_examples=40)
def test_in_whatever_pieces_a_log_comes_its_rows_are_the_same(written, data):
    parser = LogParser(file="counts.csv", pattern=r"a(?P<n>1+)", columns={"line": "${LINE}", "n": "${n}"})
    with fresh() as (writer, logs):
        tables = tables_of(writer, logs)
        for stream, piece in written:
            writer.write(stream, piece)
            if data.draw(st.booleans()):
                rows(tables, logs, parser, ended=False)
        found = rows(tables, logs, parser)
        wanted = []
        for n, line in enumerate(plain_lines(writer.records)):
            hit = re.search(rb"a(1+)", line.raw)
            if hit:
                wanted.append([str(n), hit[1].decode()])
        assert sorted(found[1:], key=lambda row: int(row[0])) == wanted


@given(pieces, st.data(), st.integers(2, 3))
@settings(max_examples=40)
def test_windows_are_the_same_in_whatever_pieces_a_log_comes(written, data, size):
    parser = LogParser(file="counts.csv", pattern=r"a1*\n(?:.*\n)?a", lines=size, columns={"line": "${LINE}"})
    with fresh() as (writer, logs):
        tables = tables_of(writer, logs)
        for stream, piece in written:
            writer.write(stream, piece)
            if data.draw(st.booleans()):
                rows(tables, logs, parser, ended=False)
        found = rows(tables, logs, parser)
        wanted = []
        before: list[list[tuple[int, bytes]]] = [[], []]
        for n, line in enumerate(plain_lines(writer.records)):
            window = before[line.stream]
            window.append((n, line.raw))
            del window[:-size]
            if re.search(rb"(?m)a1*\n(?:.*\n)?a", b"\n".join(text for _, text in window)):
                wanted.append(str(window[0][0]))
                window.clear()
        assert sorted(int(row[0]) for row in found[1:]) == sorted(map(int, wanted))


def look(tables: ShareTables, logs: ShareLogs, *parsers: LogParser) -> tuple[float, list[int], bool]:
    """One look: how long it took, rows by table, and whether it came to the end."""
    began = time.monotonic()
    made = tables.make(opened(logs), parsers, {})
    return time.monotonic() - began, [t.rows for t in made.tables], made.complete


def rows_kept(tables: ShareTables, logs: ShareLogs, parser: LogParser) -> int:
    """Lines of the one table, as it lies there."""
    file = tables.open(opened(logs), [parser], {}, parser.file)
    try:
        return file.read(0, file.entry.bytes).count(b"\n")
    finally:
        file.close()


def on_disk(tables: ShareTables) -> int:
    return sum(path.stat().st_size for path in tables._folder.rglob("*.csv"))


def test_an_expression_that_takes_for_ever_is_refused():
    with pytest.raises(Invalid, match="too intricate"):
        LinePattern("(?:a?b?){500}" * 60 + "!")
    with pytest.raises(Invalid, match="too intricate"):
        LinePattern("(?P<x>a)?" + "(a)?" * 30 + "(?:a?b?){60}!")


@pytest.mark.chaos
def test_a_look_ends_in_time_whatever_the_parsers_are_and_each_comes_further():
    slow = LogParser(file="slow.csv", pattern="(?:a?b?){499}" * 2 + "(?P<end>!)")
    spanning = LogParser(file="wide.csv", pattern="(?P<all>(?:.|\n)*)!", lines=100)
    with fresh() as (writer, logs):
        writer.write(0, (b"a" * 199 + b"\n") * 5000)
        writer.write(0, b"frame 1: 7\n")
        tables = tables_of(writer, logs)
        took, _, complete = look(tables, logs, slow, COUNTS, spanning)
        assert took < 15 and not complete  # the first one alone would take minutes
        before = -1
        for _ in range(3):
            came = sorted(
                state.get("next", 0)
                for file in tables._folder.rglob("state.json")
                for state in json.loads(file.read_bytes())["parsers"]
            )
            assert sum(came) > before
            before = sum(came)
            look(tables, logs, slow, COUNTS, spanning)
        assert rows(tables, logs, COUNTS)[1][1:] == ["1", "7"]


def test_what_parsers_write_has_a_bound_and_the_rest_of_the_log_is_left():
    parser = LogParser(file="${k}.csv", pattern=r"(?P<k>\d) (?P<all>.*)", columns={"a": "${all}" * 50, "b": "${MATCH}"})
    with fresh() as (writer, logs):
        writer.write(0, b"".join(b"%d %s\n" % (n % 7, b"x" * 900) for n in range(5000)))
        tables = ShareTables(logs, writer.log.parents[1] / "tables", largest=1_000_000)
        made = tables.make(opened(logs), [parser], {})
        assert made.complete and all(t.full for t in made.tables)
        assert on_disk(tables) < 1_000_000 + 2 * HELD
        file = tables.open(opened(logs), [parser], {}, made.tables[0].path)
        found = list(csv.reader(io.StringIO(file.read(0, file.entry.bytes).decode())))
        assert max(len(field) for row in found for field in row) == LONGEST_FIELD
        file.close()


def test_ever_new_parsers_do_not_fill_the_disk():
    with fresh() as (writer, logs):
        writer.write(0, (b"frame 1: 7 " + b"y" * 900 + b"\n") * 200)
        tables = ShareTables(logs, writer.log.parents[1] / "tables", in_all=1_000_000)
        for number in range(20):
            look(tables, logs, LogParser(file="x.csv", pattern="(?P<all>.+)", columns={f"c{number}": "${all}"}))
        assert on_disk(tables) <= 2_000_000  # counted each time that so much was written
        assert look(tables, logs, LogParser(file="x.csv", pattern="(?P<all>.+)"))[1] == [200]


def test_a_disk_that_is_nearly_full_gets_no_tables_and_keeps_those_that_there_are():
    full = False
    with fresh() as (writer, logs):
        writer.write(0, b"frame 1: 7\n")
        tables = ShareTables(logs, writer.log.parents[1] / "tables", no_room=lambda _: full)
        assert look(tables, logs, COUNTS)[1] == [1]
        full = True
        writer.write(0, b"frame 2: 8\n")
        with pytest.raises(Unavailable) as said:
            look(tables, logs, COUNTS)
        assert said.value.code == "table.no_room" and "winslow doctor" in said.value.hint
        assert rows_kept(tables, logs, COUNTS) == 2, "the header and the first row"
        full = False
        assert look(tables, logs, COUNTS)[1:] == ([2], True), "from where it stood"


def test_tables_make_room_when_the_disk_becomes_full():
    """Those that nobody has looked at for the longest time go."""
    full = False
    with fresh() as (writer, logs):
        writer.write(0, b"frame 1: 7\n")
        tables = ShareTables(logs, writer.log.parents[1] / "tables", no_room=lambda _: full)
        for number in range(3):
            look(tables, logs, COUNTS.but(columns={f"c{number}": "1"}))
        before = on_disk(tables)
        full = True
        assert look(tables, logs, LogParser(file="none.csv", pattern="(?P<nothing>never)"))[1] == []
        assert before > 0 == on_disk(tables)


def test_who_looks_while_another_reads_is_answered_with_what_there_is():
    with fresh() as (writer, logs):
        writer.write(0, b"frame 1: 7\n")
        tables = tables_of(writer, logs)
        look(tables, logs, COUNTS)
        (lock,) = tables._folder.rglob("lock")
        with lock.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            took, found, complete = look(tables, logs, COUNTS)
            assert (found, complete) == ([1], False) and took < 10
            file = tables.open(opened(logs), [COUNTS], {}, "counts.csv")
            assert file.entry.bytes > 0
            file.close()
        assert look(tables, logs, COUNTS)[2]


def test_what_is_no_text_becomes_some():
    parser = LogParser(file="${x}.csv", pattern=r"x=(?P<x>\S+)", columns={"x": "${x}", "all": "${MATCH}"})
    with fresh() as (writer, logs):
        writer.write(0, b"x=\xff\xfe\x00\nx=\xed\xa0\x80\nx=\xc3\nx=\xf0\x9f\x98\x80\n")
        tables = tables_of(writer, logs)
        made = tables.make(opened(logs), [parser], {})
        assert made.complete and sum(t.rows for t in made.tables) >= 1


def test_a_secret_at_the_place_where_a_long_line_is_cut_is_hidden():
    secrets = NoSecrets()
    secrets.texts = {"secret:1": "swordfish-swordfish"}
    parser = LogParser(file="counts.csv", pattern=r"(?P<key>sw?o?r?d?f?i?s?h?)$")
    with fresh(secrets=secrets) as (writer, logs):
        writer.write(0, b"x" * (LONGEST_LINE - 9) + b"swordfish-swordfish and more\n")
        assert rows(tables_of(writer, logs), logs, parser) == []
