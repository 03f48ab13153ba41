"""`winslow run` with a person at the terminal: questions, answers, Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.person import Person
from tests.waiting import until

Sits = Callable[..., Person]
Sent = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def sits(tmp_path: Path) -> Iterator[Sits]:
    """A person who has just typed `winslow ...`."""
    people: list[Person] = []

    def sit(*args: str, special: str = "", **environment: str) -> Person:
        program = [sys.executable, "-m", "tests.cli.at_terminal", str(tmp_path), special, *args]
        people.append(Person(program, **environment))
        return people[-1]

    yield sit
    for person in people:
        person.close()


@pytest.fixture
def sent(tmp_path: Path) -> Sent:
    """Commands that the installation has accepted."""
    return lambda: [json.loads(line) for line in (tmp_path / "sent").read_text(encoding="utf-8").splitlines()]


def answers(sent: Sent) -> list[str]:
    return [c["answer"] for c in sent() if c["kind"] == "answer_gate"]


def test_a_confirmation_shows_paths_small_tables_and_results_and_go_lets_it_run(
    sits: Sits, video: Path, tmp_path: Path, sent: Sent
) -> None:
    person = sits("run", "street", "--input", str(video))
    person.reads("Start track?")
    person.reads("0002-inspect/output/preview.jpg")
    person.reads("second  count")
    person.reads("0001-detect: detections 1,204")
    person.reads("Answer:")
    person.types("go")
    assert person.ends() == 0
    assert str(tmp_path / "share") in person.said
    assert answers(sent) == ["go"]


def test_the_first_letter_and_the_place_are_answers_too_and_anything_else_is_asked_again(
    sits: Sits, video: Path, sent: Sent
) -> None:
    person = sits("run", "street", "--input", str(video))
    person.reads("Answer:")
    person.types("s")
    person.reads("Answer with one of go, redo, skip, stop")
    person.types("")
    person.reads("Answer with one of")
    person.types("3")
    assert person.ends() == 0
    assert answers(sent) == ["skip"]


def test_redo_asks_which_stage_and_with_what_and_the_question_comes_again(sits: Sits, video: Path, sent: Sent) -> None:
    person = sits("run", "street", "--input", str(video))
    person.reads("Answer:")
    person.types("redo")
    person.reads("Redo which stage (detect, inspect)?")
    person.types("detect")
    person.reads("detect ran with MIN_AREA=300, VIDEO=bikes.mp4")
    person.reads("Redo detect with")
    person.types("MIN_ARAE=340")
    person.reads("has no parameter MIN_ARAE. Did you mean MIN_AREA?")
    person.types("MIN_AREA=7")
    person.reads("7 is less than 20")
    person.types("MIN_AREA=340")
    person.reads("Start track?")
    person.types("go")
    assert person.ends() == 0
    redo = next(c for c in sent() if c["kind"] == "redo_stage")
    assert redo["stage"] == 1 and redo["overrides"]["values"] == {"MIN_AREA": "340"}


def test_stop_ends_with_4(sits: Sits, video: Path) -> None:
    person = sits("run", "street", "--input", str(video))
    person.reads("Answer:")
    person.types("stop")
    assert person.ends() == 4


def test_the_end_of_input_leaves_the_question_open_and_ends_with_3(sits: Sits, video: Path) -> None:
    person = sits("run", "street", "--input", str(video))
    person.reads("Answer:")
    person.presses(b"\x04")
    assert person.ends() == 3
    assert "winslow gate street-" in person.said


def test_a_question_that_somebody_else_answers_is_taken_back(sits: Sits, video: Path) -> None:
    person = sits("run", "street", "--input", str(video))
    person.reads("Answer:")
    person.leaves(signal.SIGUSR1)
    person.reads("It was answered elsewhere.")
    assert person.ends() == 0


def test_missing_values_are_asked_for_one_by_one_until_they_are_right(sits: Sits, sent: Sent) -> None:
    person = sits("run", "asking")
    person.reads("CITY (Which city):")
    person.types("Ulm")
    person.reads("LANES:")
    person.types("nine")
    person.reads("LANES: 'nine' is not an integer")
    person.reads("LANES:")
    person.types("4")
    assert person.ends() == 0
    assert sent()[-1]["values"] == {"CITY": "Ulm", "LANES": "4"}


def test_a_missing_file_is_asked_for_and_brought_into_the_input_pool(sits: Sits, video: Path, sent: Sent) -> None:
    person = sits("run", "street", "--yes")
    person.reads("VIDEO (Video):")
    person.types("/nowhere/at/all.mp4")
    person.reads("there is no file /nowhere/at/all.mp4")
    person.types(str(video))
    assert person.ends() == 0
    assert {"VIDEO": "bikes.mp4"} in [c.get("values") for c in sent()]


def test_a_choice_shows_values_and_results_of_the_sweep_and_takes_a_number(sits: Sits, sent: Sent) -> None:
    person = sits("run", "swept", "--sweep", "SPEED=1..3")
    person.reads("With which of the 3 stages of try_out")
    person.reads("2  SPEED=2  score 7")
    person.reads("Go on with which stage")
    person.types("99")
    person.reads("Go on with which stage")
    person.types("2")
    assert person.ends() == 0
    assert sent()[-1]["stage"] == 2


def test_a_secret_is_asked_for_without_showing_it(sits: Sits) -> None:
    person = sits("run", "secretive", LICENCE="")
    person.reads("LICENCE (not shown):")
    person.types("open sesame")
    assert person.ends() == 0
    assert "open sesame" not in person.said


def test_ctrl_c_pauses_and_says_what_goes_on_and_how_to_go_on(sits: Sits, sent: Sent) -> None:
    person = sits("run", "plain", special="one")
    person.reads("still at it")
    person.presses(b"\x03")
    person.reads("Paused; 0001-one will go on by itself and nothing new starts.")
    person.reads("Go on with: winslow run --resume plain-")
    assert person.ends() == 3
    assert sent()[-1]["kind"] == "pause_project"


def test_ctrl_c_in_a_question_pauses_as_well(sits: Sits, video: Path) -> None:
    person = sits("run", "street", "--input", str(video))
    person.reads("Answer:")
    person.presses(b"\x03")
    person.reads("Paused. Go on with: winslow run --resume street-")
    assert person.ends() == 3


def test_ctrl_c_while_the_store_is_away_says_that_nothing_was_paused(sits: Sits) -> None:
    person = sits("run", "plain", special="one,away")
    person.reads("still at it")
    person.presses(b"\x03")
    person.reads("Not paused (The store is away.)")
    assert person.ends() == 3


def test_the_cursor_is_shown_again_however_the_run_ends(sits: Sits) -> None:
    person = sits("run", "plain", special="one")
    person.reads("still at it")
    person.presses(b"\x03")
    person.ends()
    assert person.raw.rfind("\x1b[?25h") > person.raw.rfind("\x1b[?25l")


def test_sigterm_leaves_in_good_order_without_pausing(sits: Sits, sent: Sent) -> None:
    person = sits("run", "plain", special="one")
    person.reads("still at it")
    person.leaves(signal.SIGTERM)
    assert person.ends() == 128 + signal.SIGTERM
    assert "nothing was paused" in person.said
    assert [c["kind"] for c in sent()] == ["create_project"]


def test_up_says_where_its_data_is_and_ends_on_ctrl_c(sits: Sits, tmp_path: Path) -> None:
    person = sits("up")
    person.reads(f"Its data is in {tmp_path / 'share'}")
    person.reads("Ctrl-C ends it")
    person.presses(b"\x03")
    assert person.ends() == 0


def test_a_log_line_cannot_steer_the_terminal(sits: Sits, tmp_path: Path) -> None:
    (tmp_path / "evil").write_bytes(b"\x1b]0;owned\x07 \x1b[2Jgone\n")
    person = sits("run", "plain", special="one:evil")
    person.reads("gone")
    person.presses(b"\x03")
    person.ends()
    assert "\x1b]0;owned" not in person.raw and "\x1b[2J" not in person.raw


def test_the_live_lines_show_a_bar_where_the_heartbeat_tells_progress(sits: Sits, video: Path) -> None:
    person = sits("run", "street", "--input", str(video), special="detect:40")
    until(lambda: person.looks() and "━" in person.said)
    assert "0001-detect running" in person.said
    person.presses(b"\x03")
    person.ends()
