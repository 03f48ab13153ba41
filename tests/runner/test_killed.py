"""kill -9 of every part of the runner: an end that says so, nothing left running, and a log that is a true prefix."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runner.attempt import PYTHON, Attempt, children, end, gone, name_of
from tests.waiting import until

NUMBERS = "import os\ni = 0\nwhile True:\n os.write(1 + i % 3 // 2, b'%09d\\n' % i); i += 1"


def is_a_prefix(attempt: Attempt) -> int:
    """How many numbers arrived; fails unless each stream is a prefix of what was written, and the index agrees."""
    for stream, mine in (("out", lambda i: i % 3 < 2), ("err", lambda i: i % 3 == 2)):
        log = attempt.log(stream)
        expected = (b"%09d\n" % i for i in range(1 << 30) if mine(i))
        for at in range(0, len(log), 10):
            piece, whole = log[at : at + 10], next(expected)
            assert whole.startswith(piece) and (piece == whole or at + 10 > len(log)), (stream, at, piece, whole)
    told = {"out": 0, "err": 0}
    for record in attempt.index():
        told[record.stream] += record.length
    assert told == {stream: len(attempt.log(stream)) for stream in told}
    return len(attempt.log("out")) // 10


def test_when_the_main_process_is_killed_the_carrier_tells_and_cleans_up(attempt: Attempt) -> None:
    script = "setsid sleep 1000 & env -i sleep 1001 & (sleep 1002 &) ; echo all; exec sleep 1003"
    runner = attempt.prepare("sh", "-c", script).start()
    until(lambda: attempt.log() == b"all\n" and len(attempt.processes()) == 3)
    (command,) = [p for p in children(runner.pid) if p != attempt.carrier(runner) and p in attempt.processes()][:1]
    family = attempt.processes() + children(command)
    runner.kill()
    until(lambda: attempt.ended)
    assert (attempt.end["cause"], attempt.end["code"], attempt.end["signal"]) == ("runner_lost", None, None)
    assert attempt.end["token"] == attempt.claim["token"] and attempt.end["started"]
    until(lambda: all(gone(pid) for pid in family))
    assert attempt.log() == b"all\n"
    until(lambda: not attempt.spool.exists())


def test_a_killed_main_process_takes_processes_without_a_mark_along_when_they_share_the_session(
    attempt: Attempt,
) -> None:
    script = "env -i sh -c 'echo $$ > pid; exec sleep 1000' & while ! [ -s pid ]; do sleep 0.01; done; echo all; wait"
    runner = attempt.prepare("sh", "-c", script).start()
    until(lambda: attempt.log() == b"all\n")
    unmarked = int((attempt.path / "workspace/pid").read_text())
    assert unmarked not in attempt.processes() and not gone(unmarked)
    runner.kill()
    until(lambda: attempt.ended)
    assert gone(unmarked)


def test_what_was_still_in_the_pipe_when_the_main_process_died_is_in_the_log(attempt: Attempt) -> None:
    attempt.prepare("sh", "-c", "echo one; read x < go; echo two; echo three >&2; touch wrote; exec sleep 1000")
    os.mkfifo(attempt.path / "workspace/go")
    runner = attempt.start()
    until(lambda: attempt.log() == b"one\n")
    os.kill(runner.pid, 19)
    (attempt.path / "workspace/go").write_text("go\n")
    until(lambda: (attempt.path / "workspace/wrote").exists())
    runner.kill()
    until(lambda: attempt.ended)
    assert attempt.log("out") == b"one\ntwo\n" and attempt.log("err") == b"three\n"
    assert attempt.in_order() == b"one\ntwo\nthree\n"


def test_an_end_that_the_main_process_knew_before_it_was_killed_is_the_one_that_counts(attempt: Attempt) -> None:
    attempt.prepare("sh", "-c", "read x < ../go; echo last; exit 5")
    os.mkfifo(attempt.path / "go")
    runner = attempt.start()
    until(lambda: (attempt.path / "heartbeat").exists())
    carrier = attempt.carrier(runner)
    os.kill(carrier, 19)
    (attempt.path / "go").write_text("go\n")
    said = runner.stderr
    assert said is not None
    until(lambda: b"ended with 5" in said.readline())
    runner.kill()
    os.kill(carrier, 18)
    until(lambda: attempt.ended)
    assert (attempt.end["cause"], attempt.end["code"]) == ("exit", 5)
    assert attempt.log() == b"last\n"


def test_a_main_process_killed_before_the_start_is_told_as_such(attempt: Attempt) -> None:
    runner = attempt.prepare("touch", "ran", control="").start()
    until(lambda: (attempt.path / "claim").exists() and attempt.claim)
    runner.kill()
    until(lambda: attempt.ended)
    assert attempt.end["cause"] == "runner_lost" and "before" in attempt.end["message"]
    assert attempt.end["started"] is None
    until(lambda: not (attempt.path / "environment").exists())
    assert not (attempt.path / "workspace/ran").exists()


def test_when_all_of_the_runner_is_killed_nothing_is_published_and_the_command_is_dead(attempt: Attempt) -> None:
    runner = attempt.prepare("sh", "-c", "echo x; exec sleep 1000").start()
    until(lambda: attempt.log() == b"x\n")
    carrier = attempt.carrier(runner)
    (command,) = [pid for pid in children(runner.pid) if pid != carrier]
    os.kill(carrier, 19)
    os.kill(runner.pid, 19)
    os.kill(carrier, 9)
    os.kill(runner.pid, 9)
    until(lambda: gone(command) and gone(carrier))
    assert not attempt.ended and attempt.log() == b"x\n"


def test_a_killed_process_group_leaves_the_carrier_to_tell(attempt: Attempt) -> None:
    runner = attempt.prepare("sleep", "1000").start()
    until(lambda: (attempt.path / "heartbeat").exists())
    attempt.carrier(runner)
    os.killpg(runner.pid, 9)
    until(lambda: attempt.ended)
    assert attempt.end["cause"] == "runner_lost"


def test_a_carrier_killed_before_the_claim_was_written_is_followed_by_one_that_may(
    plain: Path, make: Callable[..., Attempt]
) -> None:
    """Killed at moments from its birth on; the attempt runs exactly once, or is refused for good."""
    ran = 0
    for step in range(40):
        attempt = make(plain).prepare("sh", "-c", "echo ran >> count")
        runner = attempt.start()
        begin = time.monotonic()
        while not (found := children(runner.pid)) and runner.poll() is None:
            pass
        until(lambda begin=begin, step=step: time.monotonic() - begin > step * 0.0001, every=0)
        for pid in found[:1]:
            if name_of(pid) == "winslow-carrier" or name_of(pid) == "winslow-run":
                end(pid)  # unless it has ended by itself
        runner.communicate(timeout=20)
        count = attempt.path / "workspace/count"
        times = count.read_text().count("ran") if count.exists() else 0
        ran += times
        assert times == (runner.returncode == 0), (runner.returncode, times)
        assert runner.returncode in (0, 90)
        assert attempt.ended == (runner.returncode == 0)
    assert ran > 0


def kill_at_a_random_moment(attempt: Attempt, chance: random.Random, whom: str) -> int:
    runner = attempt.prepare(*PYTHON, NUMBERS).start()
    until(lambda: len(attempt.log()) > 0)
    begin, moment = time.monotonic(), chance.random() * 0.25
    carrier = attempt.carrier(runner)
    until(lambda: time.monotonic() - begin > moment, every=0.0005)
    if whom == "carrier":
        os.kill(carrier, 9)
        attempt.say("kill")
        runner.wait(60)
    else:
        runner.kill()
        until(lambda: attempt.ended, 60)
        assert attempt.end["cause"] == "runner_lost"
    return is_a_prefix(attempt)


@pytest.mark.parametrize("whom", ["main", "carrier"])
def test_killed_at_any_byte_the_log_is_a_true_prefix(plain: Path, make: Callable[..., Attempt], whom: str) -> None:
    chance = random.Random(1)
    assert all(kill_at_a_random_moment(make(plain), chance, whom) for _ in range(5))


@pytest.mark.chaos
@pytest.mark.parametrize("whom", ["main", "carrier"])
def test_killed_at_hundreds_of_moments_the_log_is_a_true_prefix(
    plain: Path, make: Callable[..., Attempt], whom: str
) -> None:
    chance = random.Random()
    for _ in range(150):
        attempt = make(plain)
        assert kill_at_a_random_moment(attempt, chance, whom)
        subprocess.run(["rm", "-rf", str(attempt.path)], check=True)
