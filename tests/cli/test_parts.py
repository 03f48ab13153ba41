"""Parts of the command line that are hard to see through the door."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli import worlds
from tests.fakes.client import FakeClient
from tests.resources import some
from winslow_nomad.cli import asking, edge, outputs, screen, words
from winslow_nomad.cli.follow import exit_code
from winslow_nomad.cli.run import what_next
from winslow_nomad.core.messages import CreateProject
from winslow_nomad.core.project import Pause
from winslow_nomad.core.stage import StageState


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (0.4, "0.4 s"), (41.2, "41 s"), (59.6, "1 min"), (200, "3 min 20 s"), (11640, "3 h 14 min"),
     (3600, "1 h"), (183_600, "2 d 3 h")],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_sizes_and_numbers_have_units_and_commas() -> None:
    assert [words.size(n) for n in (812, 14_890_000, 5 << 40)] == ["812 B", "14.2 MiB", "5.0 TiB"]
    assert [words.number(v) for v in (1204, True, 0.123456789, "a\x1b")] == ["1,204", "true", "0.123457", "a\ufffd"]


def test_what_waits_reads_as_one_sentence() -> None:
    assert words.Said("submitted", "waits", "for a GPU: both are in use").sentence == "waits for a GPU: both are in use"
    assert words.Said("failed", "cannot start", "no node has it").sentence == "cannot start: no node has it"


def test_who_waits_to_be_changed_is_not_called_stopped_and_is_told_how(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where an earlier try was stopped: it is lined up again."""
    never = Pause(kind="impossible", text="0002-detect cannot start", stage=2, since=some.NOW)
    before = some.ended(1, state=StageState.STOPPED)
    assert exit_code(some.project(before)) == edge.STOPPED
    found = some.project(before, some.stage(2, attempts=()), pause=never)
    assert exit_code(found) == edge.WAITING
    what_next(FakeClient(worlds.world(tmp_path)), found, edge.WAITING)
    told = capsys.readouterr().err
    assert "winslow change p1 2 --memory" in told and "winslow skip p1 2" in told


def test_of_many_stages_the_open_ones_and_the_newest_are_shown_and_the_rest_is_counted(tmp_path: Path) -> None:
    world = worlds.world(tmp_path)
    client = FakeClient(world)
    grid = {"SPEED": tuple(map(str, range(1, 41)))}
    made = CreateProject(project="p", name="p", pipeline=world.pipelines["swept"], sweeps={"try_out": grid}, start=True)
    client.send("p", made)
    while len(world.projects["p"].ended) < 30:
        client.events("p")
    project = world.projects["p"]
    rows, left_out = screen.chosen(project, 10)
    assert len(rows) == 10 and set(project.stages) <= {r.number for r in rows}
    assert left_out == len(project.stages) + len(project.ended) - 10
    assert max(project.ended) in {r.number for r in rows}
    console = Console(width=100, height=16, force_terminal=True)
    with console.capture() as shown:
        console.print(screen.stages(console, project, {}, datetime.now(UTC)))
    assert len(shown.get().splitlines()) <= 16 and f"and {left_out} more stages" in shown.get()


def test_a_share_that_does_not_answer_never_holds_a_command_up() -> None:
    hang = threading.Event()

    def stalled() -> str:
        hang.wait(30)
        return "too late"

    began = time.monotonic()
    assert outputs.within(0.05, stalled, "otherwise") == "otherwise"
    assert time.monotonic() - began < 5
    hang.set()


def test_a_share_that_says_no_is_not_an_accident_but_a_mistake_of_ours_is() -> None:
    def no() -> str:
        raise PermissionError

    def mistake() -> str:
        raise ZeroDivisionError

    assert outputs.within(5, no, "otherwise") == "otherwise"
    with pytest.raises(ZeroDivisionError):
        outputs.within(5, mistake, "otherwise")


def test_files_of_an_output_are_listed_in_order_and_the_rest_is_counted(tmp_path: Path) -> None:
    for n in range(outputs.MOST + 3):
        (tmp_path / f"{n:03}").write_text("x" * n)
    found = outputs.files(tmp_path)
    assert found is not None
    files, left_out = found
    assert [f.size for f in files] == list(range(outputs.MOST)) and left_out == 3


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a,b\n" * 100, b'"open'])
def test_only_small_tables_are_shown_at_the_gate(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "counts.csv"
    path.write_bytes(content)
    assert len(asking.small_table(path)) <= 1
    path.write_bytes(b"min_area,detections\n20,1204\n300,368\n")
    assert asking.small_table(path) == ["min_area  detections", "      20        1204", "     300         368"]
