"""`winslow-run --probe`: what it finds out about a directory, and that it leaves nothing there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def probe(runner: Path, folder: Path) -> tuple[int, dict[str, str]]:
    done = subprocess.run([runner, "--probe", folder], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, dict(line.partition("=")[::2] for line in done.stdout.splitlines())


def test_writes_and_copies_are_timed_and_nothing_stays(plain: Path, tmp_path: Path) -> None:
    code, told = probe(plain, tmp_path)
    assert code == 0 and not list(tmp_path.iterdir())
    space = os.statvfs(tmp_path)
    assert int(told["total"]) == space.f_blocks * space.f_frsize and 0 < int(told["free"]) <= int(told["total"])
    assert int(told["copied"]) == 16 * 2**20 and int(told["write_us"]) > 0 and int(told["through_us"]) > 0
    assert ("clone_us" in told) != ("clone_error" in told), "blocks can be shared, or they cannot"
    same = subprocess.run(["cp", "--reflink=always", plain, tmp_path / "copy"], capture_output=True, check=False)
    on_this = plain.stat().st_dev == tmp_path.stat().st_dev
    assert not on_this or (same.returncode == 0) == ("clone_us" in told)


def test_a_directory_that_cannot_be_written_is_an_error_in_words(plain: Path) -> None:
    done = subprocess.run([plain, "--probe", "/proc"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 125 and "/proc" in done.stderr


def test_files_that_are_in_the_way_are_not_followed(plain: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "probe-small").symlink_to(outside)
    assert probe(plain, folder)[0] == 125 and outside.read_text() == "mine"
    assert (folder / "probe-small").is_symlink(), "and what it did not make, it does not remove"
