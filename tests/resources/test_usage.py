"""Figures of the disk: right, kept, and never waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.resources.share import children, make_share
from tests.resources.some import NOW, ended, project, stage
from tests.waiting import until
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Attempt, StageState
from winslow_nomad.resources.trash import Trash, TrashEntry
from winslow_nomad.resources.usage import Usage, measure

HOUR = 3600.0


@pytest.fixture
def share(tmp_path: Path) -> Path:
    return make_share(tmp_path / "share")


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def passing() -> Time:
    return Time()


@pytest.fixture
def usage(share: Path, tmp_path: Path, passing: Time) -> Usage:
    return Usage(share, tmp_path / "local" / "usage.json", passing)


def blocks(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def attempt(share: Path, number: int, attempt: int, *, workspace: int, output: int = 0, name: str = "detect") -> None:
    folder = share / f"projects/p1/stages/{number:04d}-{name}/attempts/{attempt}"
    blocks(folder / "workspace" / "deep" / "file", workspace)
    blocks(folder / "output" / "file", output)


def test_sizes_are_those_of_du(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    blocks(top / "a" / "b", 100_000)
    os.link(top / "a" / "b", top / "a" / "again")
    (top / "a" / "link").symlink_to("/usr")
    with (top / "sparse").open("wb") as file:
        file.truncate(10**9)
    (top / "line\nbreak").write_text("x")
    said = subprocess.run(["du", "-s", "-B1", str(top)], capture_output=True, check=True, text=True)
    found = measure(top)
    assert found.bytes == int(said.stdout.split()[0])
    assert found.complete
    assert found.inside["a"] >= 100_000
    assert measure(tmp_path / "nothing").bytes == 0


def test_a_survey_names_the_largest_things_that_may_go(usage: Usage, share: Path, tmp_path: Path) -> None:
    attempt(share, 1, 1, workspace=3_000_000)
    attempt(share, 2, 1, workspace=2_000_000, output=9_000_000)
    attempt(share, 2, 2, workspace=5_000_000)
    blocks(share / "projects/p1/output/x", 1_000_000)
    trash = Trash(share)
    made = TrashEntry(id="e1", paths=("projects/p1/output",), project="p1", why="old", actor="ada", at=NOW)
    trash.put(made)
    found = project(ended(1, state=StageState.FAILED), ended(2, attempt=2))
    assert usage.survey(lambda: [found], trash.entries(), NOW + timedelta(days=1))
    named = [(m.path, m.bytes // 1_000_000) for m in usage.may_go()]
    assert named == [
        ("projects/p1/stages/0002-detect/attempts/1/output", 9),
        ("projects/p1/stages/0001-detect/attempts/1/workspace", 3),
        ("projects/p1/stages/0002-detect/attempts/1/workspace", 2),
        ("trash/e1", 1),
    ]
    sentence = usage.largest()
    assert sentence.startswith("The largest things that may go: 8.6 MiB output of attempt 1")
    assert "trash" not in sentence, "only the first three are named"
    total = usage.total("projects/p1").bytes
    assert 19_000_000 < total < 19_200_000
    again = Usage(share, tmp_path / "local" / "usage.json")
    assert again.total("projects/p1").bytes == total, "figures survive a restart"


def test_what_is_final_is_counted_once_and_the_rest_again(usage: Usage, share: Path, passing: Time) -> None:
    attempt(share, 1, 1, workspace=1_000_000)
    attempt(share, 2, 1, workspace=1_000_000, name="track")
    found = project(ended(1), stage(2, "track", attempts=(Attempt(number=1, made=NOW),)))

    def sizes() -> list[int]:
        assert usage.survey(lambda: [found], [], NOW)
        names = ("0001-detect", "0002-track")
        return [(usage.size_of(f"projects/p1/stages/{n}/attempts/1") or 0) // 1_000_000 for n in names]

    assert sizes() == [1, 1]
    attempt(share, 1, 1, workspace=3_000_000)
    attempt(share, 2, 1, workspace=3_000_000, name="track")
    assert sizes() == [1, 1], "not an hour old"
    passing.now += HOUR + 1
    assert sizes() == [1, 3]
    usage.forget("projects/p1/stages/0001-detect/attempts/1/workspace")
    assert sizes() == [3, 3]


def test_projects_that_are_gone_are_forgotten(usage: Usage, share: Path) -> None:
    attempt(share, 1, 1, workspace=1000)
    assert usage.survey(lambda: [project(ended(1))], [], NOW)
    assert usage.total("projects/p1").bytes > 0
    assert usage.survey(list[Project], [], NOW)
    assert usage.total("projects/p1").bytes == 0
    assert usage.largest() == ""


@pytest.fixture
def many(share: Path) -> Iterator[list[Project]]:
    attempt(share, 1, 1, workspace=10)
    folder = share / "projects/p1/stages/0001-detect/attempts/1"
    for number in range(2, 3000):
        (folder.parent / str(number)).mkdir()
    yield [project(ended(1, attempt=2999))]


def test_a_pass_can_be_cancelled_and_goes_on_later(usage: Usage, many: list[Project]) -> None:
    def enough() -> bool:
        return usage.known("projects/p1/stages/0001-detect/attempts/1") is not None

    began = time.monotonic()
    assert not usage.survey(lambda: many, [], NOW, stopping=enough)
    assert time.monotonic() - began < 10
    assert usage.survey(lambda: many, [], NOW)
    assert usage.known("projects/p1/stages/0001-detect/attempts/2999") is not None


def test_a_child_that_hangs_is_left_after_the_time_given(usage: Usage, many: list[Project]) -> None:
    """A stopped process stands for one that the share holds: it says nothing and obeys nothing but SIGKILL."""
    stopped: list[int] = []

    def stop() -> bool:
        found = children("resources.usage")
        if found and not stopped:
            os.kill(found[0], signal.SIGSTOP)
            stopped.append(found[0])
        return False

    began = time.monotonic()
    assert not usage.survey(lambda: many, [], NOW, stopping=stop, longest=1.0)
    assert 1.0 <= time.monotonic() - began < 30
    assert stopped
    assert children("resources.usage") == []
    assert usage.survey(lambda: many, [], NOW), "the next pass is not held up"


def test_one_pass_counts_at_a_time(usage: Usage, many: list[Project]) -> None:
    stop = threading.Event()
    first = threading.Thread(target=lambda: usage.survey(lambda: many, [], NOW, stopping=stop.is_set))
    first.start()
    try:
        until(lambda: usage.known("projects/p1/stages/0001-detect/attempts/1"))
        refused = not usage.count([("projects", False)])
        assert refused or not first.is_alive()
    finally:
        stop.set()
        first.join()
