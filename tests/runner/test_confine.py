"""Confinement by Landlock: what the command may touch, and what happens where it cannot be had."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import pytest

from tests.runner.attempt import PYTHON, Attempt
from tests.waiting import until


def landlock_version() -> int:
    return ctypes.CDLL(None).syscall(444, None, 0, 1)


needs_landlock = pytest.mark.skipif(landlock_version() < 3, reason="this kernel has no Landlock (version 3 or later)")


def confine(attempt: Attempt, tmp_path: Path, *entries: str) -> list[str]:
    system = [
        f"ro:{path}" for path in ("/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/no/such/place", sys.prefix)
    ]
    system.append(f"ro:{Path(sys.executable).resolve().parents[1]}")
    file = tmp_path / "confine"
    file.write_bytes(b"".join(os.fsencode(entry) + b"\0" for entry in (*system, *entries)))
    return ["--confine", str(file)]


@needs_landlock
def test_a_confined_command_writes_only_where_it_may(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "readable").write_text("readable")
    script = f"""
import os
def what(do):
    try: do(); return "yes"
    except OSError as error: return error.strerror
print(what(lambda: open("here", "w").write("x")))
print(what(lambda: open("{tmp_path}/readable").read()))
print(what(lambda: open("{tmp_path}/readable", "a")))
print(what(lambda: os.truncate("{tmp_path}/readable", 0)))
print(what(lambda: open("{tmp_path}/secret").read()))
print(what(lambda: open("{tmp_path}/new", "w")))
print(what(lambda: os.unlink("{tmp_path}/secret")))
print(what(lambda: open("/dev/null", "w").write("x")))
print(what(lambda: open("/dev/stderr", "w").write("x")))
print(what(lambda: os.kill({os.getpid()}, 0)) if {landlock_version()} >= 6 else "Operation not permitted")
os.mkdir("a"); os.mkdir("b"); open("a/f", "w").close(); os.rename("a/f", "b/f")
"""
    workspace = attempt.prepare(*PYTHON, script).path / "workspace"
    allowed = (f"rw:{workspace}", f"ro:{tmp_path}/readable")
    assert attempt.run(*confine(attempt, tmp_path, *allowed))[0] == 0, attempt.log("err")
    denied = "Permission denied"
    assert attempt.log().decode().splitlines() == [
        *("yes", "yes", denied, denied, denied, denied, denied, "yes", "yes"), "Operation not permitted"
    ]  # fmt: skip
    assert (tmp_path / "readable").read_text() == "readable" and (workspace / "b/f").exists()


@needs_landlock
def test_a_program_outside_of_what_is_allowed_cannot_be_executed(attempt: Attempt, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    assert attempt.prepare(str(program)).run(*confine(attempt, tmp_path))[0] == 126
    assert attempt.end["cause"] == "exec_failed" and "Permission denied" in attempt.end["message"]


@needs_landlock
def test_an_empty_confinement_confines(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "confine").write_bytes(b"")
    assert attempt.prepare("/bin/true").run("--confine", str(tmp_path / "confine"))[0] == 126


def test_new_privileges_are_given_up(attempt: Attempt, tmp_path: Path) -> None:
    attempt.prepare("grep", "NoNewPrivs", "/proc/self/status").run(*confine(attempt, tmp_path))
    assert attempt.log().split() == [b"NoNewPrivs:", b"1"]


@pytest.mark.parametrize("content", [b"rx:/usr\0", b"ro:usr\0", b"ro:/usr"])
def test_a_confinement_that_is_not_understood_runs_nothing(attempt: Attempt, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "confine").write_bytes(content)
    assert attempt.prepare("touch", "ran").run("--confine", str(tmp_path / "confine"))[0] == 126
    assert attempt.end["cause"] == "exec_failed" and "confine" in attempt.end["message"]


def test_a_confinement_that_cannot_be_read_is_125_before_any_claim(attempt: Attempt, tmp_path: Path) -> None:
    status, said = attempt.prepare("true").run("--confine", str(tmp_path / "missing"))
    assert status == 125 and "confinement" in said and not (attempt.path / "claim").exists()


@needs_landlock
def test_a_confined_command_still_dies_with_its_runner(attempt: Attempt, tmp_path: Path) -> None:
    attempt.prepare("sh", "-c", "setsid sleep 1000 & echo ready; sleep 1000")
    runner = attempt.start(*confine(attempt, tmp_path, f"rw:{attempt.path}/workspace"))
    until(lambda: attempt.log() == b"ready\n")
    runner.kill()
    until(lambda: attempt.ended and not attempt.processes())
    assert attempt.end["cause"] == "runner_lost"
