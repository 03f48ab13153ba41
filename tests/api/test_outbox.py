"""What waits for a slow client: merged, bounded, and never out of date."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from winslow_nomad.api.live.messages import FolderDelta, InboxDelta, ItemsDelta, LogDelta, ProjectsDelta
from winslow_nomad.api.live.outbox import LINES, MOST, Bell, Grown, Items, Rows, Texts


def only_text(texts: list[str]) -> str:
    (text,) = texts
    return text


def only(texts: list[str]) -> Any:
    return json.loads(only_text(texts))


def rows(known: dict[str, str]) -> Rows:
    return Rows("projects", "rows", known.get, cursor="5-0")


def test_a_row_that_changes_again_and_again_is_sent_once_and_as_it_is_then():
    known = {"a": '{"v":1}', "b": '{"v":1}'}
    out = rows(known)
    for _ in range(1000):
        out.put("a")
    out.put("b")
    known["a"] = '{"v":2}'
    assert only(out.take())["data"] == {"rows": [{"v": 2}, {"v": 1}], "removed": []}
    assert out.take() == []


def test_what_came_last_counts_of_a_row_that_goes_and_comes():
    out = rows({"a": "{}"})
    out.put("a")
    out.remove("a")
    assert only(out.take())["data"] == {"rows": [], "removed": ["a"]}
    out.remove("a")
    out.put("a")
    assert only(out.take())["data"] == {"rows": [{}], "removed": []}


def test_too_many_rows_become_a_gap_and_no_more_memory():
    out = rows({})
    for number in range(10 * MOST):
        out.put(f"p{number}")
    assert len(out.changed) + len(out.removed) <= MOST
    assert only(out.take()) == {"type": "gap", "topic": "projects", "cursor": "5-0"}
    assert out.take() == []


def test_a_row_that_is_not_remembered_any_more_is_a_gap():
    out = rows({"a": "{}"})
    out.put("a")
    out.put("b")
    assert only(out.take())["type"] == "gap"


def test_messages_about_a_project_become_a_gap_when_nobody_takes_them():
    out = Texts("project:p", most=3)
    for number in range(3):
        out.put(str(number))
    assert out.take() == ["0", "1", "2"]
    for number in range(100):
        out.put(str(number))
    assert len(out.waiting) <= 3 and only(out.take())["type"] == "gap"


def test_lines_that_nobody_takes_become_a_number():
    out = Grown("log:p/1/1")
    total = 0
    for _ in range(1000):
        out.put(total + 100, False, True, {n: "{}" for n in range(total, total + 100)})
        total += 100
        assert len(out.lines) <= LINES
    found = only(out.take())
    assert (found["type"], found["cursor"], found["data"]["lines"]) == ("total", "100000", [])
    assert out.take() == []


def test_what_a_client_missed_never_replaces_what_came_since():
    out = Grown("log:p/1/1")
    out.put(5, True, True, {3: '"new"', 4: '"newest"'})
    out.put_before(4, False, True, {2: '"old"', 3: '"stale"'})
    found = only(out.take())["data"]
    assert (found["total"], found["ended"], found["lines"]) == (5, True, ["old", "new", "newest"])


names = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=5)


@given(st.lists(st.tuples(names, st.booleans()), max_size=20))
def test_things_with_any_names_make_messages_that_can_be_read(changes):
    out = Items("nodes", "transfers")
    wanted: dict[str, bool] = {}
    for name, there in changes:
        if there:
            out.put(name, json.dumps(name))
        else:
            out.remove(name)
        wanted[name] = there
    if not wanted:
        assert out.take() == []
        return
    found = only(out.take())["data"]
    assert sorted(found["transfers"]) == sorted(n for n, there in wanted.items() if there)
    assert sorted(found["removed"]) == sorted(n for n, there in wanted.items() if not there)


def test_messages_are_what_the_description_says():
    out = rows({})
    out.remove('a"b')
    assert ProjectsDelta.model_validate_json(out.take()[0]).data.removed == ['a"b']
    inbox = Rows("inbox", "items", {"a": ""}.get, cursor="1-0")
    inbox.remove("b")
    assert InboxDelta.model_validate_json(inbox.take()[0]).data.removed == ["b"]
    items = Items("transfers", "transfers")
    items.remove("x")
    assert ItemsDelta.model_validate_json(items.take()[0]).data.removed == ["x"]
    bell = Bell('files:inputs/a"b')
    bell.ring("1f")
    bell.ring("2e")
    told = FolderDelta.model_validate_json(only_text(bell.take()))
    assert (told.topic, told.cursor, bell.take()) == ('files:inputs/a"b', "2e", [])
    log = Grown("log:p/1/1")
    log.put(1, False, False, {})
    assert LogDelta.model_validate_json(log.take()[0]).data.complete is False
