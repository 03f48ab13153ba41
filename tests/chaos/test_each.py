from __future__ import annotations

import pytest

from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.events.each import each


def handling(errors: dict[str, Exception], handled: list[str]) -> None:
    def act(project: str) -> None:
        if project in errors:
            raise errors[project]
        handled.append(project)

    each("timer", ["a", "b", "c"], act)


@pytest.mark.parametrize("code", ["store.unreadable", "store.newer"])
def test_a_project_that_cannot_be_read_keeps_no_other_waiting(code: str) -> None:
    handled: list[str] = []
    handling({"a": StoreUnavailable("unreadable", code=code)}, handled)
    assert handled == ["b", "c"]


def test_an_error_that_nobody_expected_keeps_no_other_waiting() -> None:
    handled: list[str] = []
    handling({"b": KeyError("x")}, handled)
    assert handled == ["a", "c"]


def test_a_store_that_is_away_is_not_asked_again_for_each_project() -> None:
    handled: list[str] = []
    with pytest.raises(StoreUnavailable):
        handling({"b": StoreUnavailable("away")}, handled)
    assert handled == ["a"]
