"""Starting a runner: nothing that the go-between does may hold up the other stages of this machine."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.waiting import until
from winslow_nomad.driver.local.launch import Launcher


def go_between(folder: Path, text: str) -> None:
    program = folder / "setsid"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_a_runner_is_started_and_not_waited_for(tmp_path):
    began = time.monotonic()
    Launcher(()).launch(["/bin/sh", "-c", "echo $$; exec sleep 2"], {}, tmp_path / "words")
    assert time.monotonic() - began < 1.5
    until(lambda: (tmp_path / "words").read_text().strip().isdigit(), seconds=10)


def test_a_go_between_that_does_not_end_is_ended_and_told(tmp_path, monkeypatch):
    go_between(tmp_path, "exec sleep 60")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    began = time.monotonic()
    with pytest.raises(OSError, match=r"did not end within 0\.2 s"):
        Launcher((), patience=0.2).launch(["true"], {"PATH": "/usr/bin:/bin"}, tmp_path / "words")
    assert time.monotonic() - began < 10


def test_a_go_between_that_fails_is_told(tmp_path, monkeypatch):
    go_between(tmp_path, "exit 7")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(OSError, match="status 7"):
        Launcher(()).launch(["true"], {}, tmp_path / "words")
