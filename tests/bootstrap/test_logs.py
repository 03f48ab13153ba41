"""Lines of the log name what they are about, and nobody from outside writes one."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from tests import builders
from winslow_nomad.bootstrap.logs import Lines
from winslow_nomad.core import messages as m
from winslow_nomad.core.about import about
from winslow_nomad.core.effects import Effect, SubmitAttempt
from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.core.ports import AttemptRef, Observation
from winslow_nomad.core.project import Project
from winslow_nomad.events.advance import Advance
from winslow_nomad.events.controller import Controller
from winslow_nomad.events.each import each
from winslow_nomad.events.perform import Parked


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(Lines().format(record))


@contextmanager
def logged(name: str = "winslow_nomad") -> Iterator[list[str]]:
    handler, logger = Kept(), logging.getLogger(name)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def fields(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(line))


def test_a_line_names_what_it_is_about_and_nothing_of_it_stays_behind() -> None:
    log = logging.getLogger("winslow_nomad.test")
    with logged() as lines:
        with about(project="p1"), about(attempt="p1/0001/1"):
            log.info("inside", extra={"about": {"operation": "o1"}})
        log.info("outside")
    inside, outside = map(fields, lines)
    assert (inside["project"], inside["attempt"], inside["operation"]) == ("p1", "p1/0001/1", "o1")
    assert "project" not in outside and re.fullmatch(r"\d{4}-.*Z", outside["time"])


def test_text_from_outside_writes_neither_lines_nor_fields() -> None:
    with logged() as lines, about(project='x" level=error'):
        logging.getLogger("winslow_nomad.test").info("%s", "a\nlevel=error user=root")
    (line,) = lines
    assert "\n" not in line and r"a\nlevel" in line
    assert fields(line)["level"] == "info"


class NoBreaker:
    def allows(self, what: str) -> bool:
        return bool(what)

    def why(self, what: str) -> str:
        return what

    def failed(self, what: str, project: str, text: str = "", *, at_once: bool = False) -> None:
        assert what and project and isinstance(text, str) and not at_once

    def succeeded(self, what: str) -> None:
        assert what


class Away:
    def needs(self, project: Project, effect: Effect) -> tuple[str, ...]:
        return (f"{project.id} {effect.kind}",)

    def __call__(self, project: Project, effect: Effect) -> list[m.AnyFact]:
        raise Parked("local", []) from StoreUnavailable(f"{project.id} {effect.kind}")


def test_what_a_worker_cannot_do_is_said_of_its_attempt() -> None:
    advance = Advance(None, None, Away(), None, NoBreaker())  # type: ignore[arg-type]
    with logged() as lines:
        advance.perform(builders.a_project("p1"), [SubmitAttempt(stage=4, attempt=2)])
    assert fields(lines[0])["project"] == "p1" and fields(lines[0])["attempt"] == "p1/0004/2"


def test_what_the_sweep_stumbles_over_is_said_of_its_project() -> None:
    with logged() as lines:
        each("sweep", ["p1", "p2"], lambda project: 1 // (project != "p1"))
    assert [fields(line.split(" error=")[0])["project"] for line in lines] == ["p1"]


def test_a_report_that_cannot_be_stored_is_said_of_its_attempt() -> None:
    def store_away(*_: object) -> None:
        raise StoreUnavailable("away")

    controller = Controller(None, {}, store_away, [], float)  # type: ignore[arg-type]
    with logged() as lines:
        ref = AttemptRef(project="p1", stage=4, attempt=2)
        controller.report(None, Observation(ref=ref, phase="out_of_contact", node="castor"))  # type: ignore[arg-type]
    assert fields(lines[0])["attempt"] == "p1/0004/2"
