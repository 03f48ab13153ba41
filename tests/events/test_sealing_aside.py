"""Sealing beside the worker: asked often, done once, and never in the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.waiting import until
from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.events.advance import Sealing


class Seals:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.trouble: Exception | None = None
        self.may_go = threading.Event()
        self.may_go.set()

    def __call__(self, project: str) -> None:
        self.may_go.wait()
        self.done.append(project)
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
def seals() -> Seals:
    return Seals()


@pytest.fixture
def sealing(seals: Seals) -> Iterator[Sealing]:
    aside = Sealing(seals)
    aside.start()
    yield aside
    seals.may_go.set()
    aside.stop()


def test_a_project_asked_for_many_times_is_sealed_once(seals: Seals, sealing: Sealing) -> None:
    for _ in range(100):
        sealing.ask("p1")
    sealing.ask("p2")
    until(lambda: seals.done[-1:] == ["p2"])
    assert seals.done == ["p1", "p2"]


def test_what_is_asked_for_while_it_is_being_sealed_is_sealed_again(seals: Seals, sealing: Sealing) -> None:
    seals.may_go.clear()
    sealing.ask("p1")
    until(lambda: not sealing._known)
    sealing.ask("p1")
    seals.may_go.set()
    until(lambda: seals.done == ["p1", "p1"])


@pytest.mark.parametrize("trouble", [ShareUnavailable("away"), RuntimeError("broken")])
def test_a_seal_that_fails_does_not_end_the_thread(seals: Seals, sealing: Sealing, trouble: Exception) -> None:
    seals.trouble = trouble
    sealing.ask("p1")
    until(lambda: seals.done == ["p1"])
    seals.trouble = None
    sealing.ask("p2")
    until(lambda: seals.done == ["p1", "p2"])


def test_what_was_asked_for_is_still_sealed_when_it_is_told_to_stop() -> None:
    seals = Seals()
    aside = Sealing(seals)
    aside.start()
    aside.ask("p1")
    aside.stop()
    assert seals.done == ["p1"]
