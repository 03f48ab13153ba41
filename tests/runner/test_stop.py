"""Stopping, timeout, memory, signals; and that nothing of the tree is left afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runner.attempt import PYTHON, Attempt, children, gone, state_of
from tests.waiting import until

POLITE = "trap 'echo checkpoint; exit 42' TERM; echo ready; while :; do sleep 0.01; done"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.01; done"


def ready(attempt: Attempt) -> None:
    until(lambda: b"ready\n" in attempt.log())


@pytest.mark.parametrize("way", ["control", signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_polite_stop_lets_the_command_end_and_keeps_its_code(attempt: Attempt, way: str | signal.Signals) -> None:
    runner = attempt.prepare("sh", "-c", POLITE).start()
    ready(attempt)
    if isinstance(way, signal.Signals):
        runner.send_signal(way)
    else:
        attempt.say("terminate")
    assert runner.wait(20) == 42
    assert (attempt.end["cause"], attempt.end["code"]) == ("stopped", 42)
    assert attempt.log() == b"ready\ncheckpoint\n"


def test_a_command_is_asked_to_end_once_though_control_and_a_signal_say_so(attempt: Attempt) -> None:
    """Nomad's stop follows the word in `control`. ffmpeg, for one, leaves its file unfinished at the second signal."""
    script = "trap 'echo asked' TERM; trap 'echo later; exit 0' USR1; echo ready; while :; do sleep 0.01; done"
    runner = attempt.prepare("sh", "-c", script).start()
    ready(attempt)
    attempt.say("terminate")
    until(lambda: b"asked\n" in attempt.log())
    runner.send_signal(signal.SIGTERM)
    until(lambda: not pending(runner.pid))
    runner.send_signal(signal.SIGUSR1)
    runner.wait(20)
    assert attempt.log() == b"ready\nasked\nlater\n"


def pending(pid: int) -> int:
    """Signals that have been sent to a process, and that it has not taken yet."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("ShdPnd")).split()[1], 16)


def test_a_command_that_dies_of_the_polite_signal_is_stopped_too(attempt: Attempt) -> None:
    runner = attempt.prepare("sleep", "1000").start()
    until(lambda: (attempt.path / "heartbeat").exists() and len(attempt.processes()) == 1)
    attempt.say("terminate")
    assert runner.wait(20) == 128 + 15
    assert (attempt.end["cause"], attempt.end["code"], attempt.end["signal"]) == ("stopped", None, 15)


def test_who_does_not_end_in_time_is_killed(attempt: Attempt) -> None:
    runner = attempt.prepare("sh", "-c", STUBBORN).start("--grace", "0.2")
    ready(attempt)
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(20) == 137
    assert (attempt.end["cause"], attempt.end["signal"]) == ("killed", 9)


@pytest.mark.parametrize(("word", "cause"), [("kill", "killed"), ("superseded", "superseded")])
def test_a_hard_word_in_control_kills_without_grace(attempt: Attempt, word: str, cause: str) -> None:
    runner = attempt.prepare("sh", "-c", STUBBORN).start()
    ready(attempt)
    attempt.say(word)
    assert runner.wait(20) == 137
    assert (attempt.end["cause"], attempt.end["signal"]) == (cause, 9)


def test_kill_after_terminate_does_not_wait_for_the_grace(attempt: Attempt) -> None:
    runner = attempt.prepare("sh", "-c", STUBBORN).start("--grace", "1000")
    ready(attempt)
    attempt.say("terminate")
    until(lambda: state_of(runner.pid) != "X")
    runner.send_signal(signal.SIGTERM)
    attempt.say("kill")
    assert runner.wait(20) == 137
    assert attempt.end["cause"] == "killed"


def test_control_at_every_moment_gives_one_true_end(plain: Path, make: Callable[..., Attempt]) -> None:
    """A short command, and a word that comes at another moment each time."""
    causes = set()
    for step in range(24):
        attempt = make(plain).prepare("sh", "-c", "echo one; echo two")
        word = ("terminate", "kill", "superseded")[step % 3]
        runner = attempt.start()
        moments: list[Callable[[], bool]] = [
            lambda: True,
            lambda a=attempt: a.spool.exists(),
            lambda a=attempt: (a.path / "claim").exists(),
            lambda a=attempt: (a.path / "heartbeat").exists(),
            lambda a=attempt: (a.path / "log/out").exists(),
            lambda a=attempt: a.log() != b"",
            lambda a=attempt: (a.path / "log/index").exists(),
            lambda a=attempt: a.ended,
        ]
        until(moments[step // 3], every=0)
        attempt.say(word)
        runner.communicate(timeout=20)
        end = attempt.end
        causes.add(end["cause"])
        assert end["cause"] in {"exit", {"terminate": "stopped", "kill": "killed"}.get(word, word)}
        assert attempt.log() == {True: b"one\ntwo\n"}.get(end["code"] == 0, attempt.log())
        assert b"one\ntwo\n".startswith(attempt.log())
        assert not attempt.processes()
    assert "exit" in causes


def test_half_or_unknown_words_in_control_change_nothing(fast_attempt: Attempt) -> None:
    attempt = fast_attempt.prepare("sh", "-c", "trap 'exit 9' TERM; echo ready; while ! [ -e go ]; do sleep 0.01; done")
    runner = attempt.start()
    ready(attempt)
    carrier = attempt.carrier(runner)

    def reads() -> int:
        return int(Path(f"/proc/{carrier}/io").read_text().split("syscr:")[1].split()[0])

    for word in ("nonsense\n", "terminat", "run\nkill\n", "terminate "):
        (attempt.path / "control").write_text(word)
        before = reads()
        until(lambda before=before: reads() > before)  # it has looked
    (attempt.path / "workspace/go").touch()
    assert runner.wait(20) == 0
    assert attempt.end["cause"] == "exit"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_other_signals_reach_the_command_and_end_nothing(attempt: Attempt, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.01; done"
    runner = attempt.prepare("sh", "-c", script).start()
    ready(attempt)
    runner.send_signal(number)
    assert runner.wait(20) == 7
    assert attempt.end["cause"] == "exit" and attempt.log().endswith(b"got " + name.encode() + b"\n")


def test_a_stopped_command_is_woken_to_hear_that_it_shall_end(attempt: Attempt) -> None:
    runner = attempt.prepare("sh", "-c", "trap 'exit 8' TERM; echo ready; kill -STOP $$; exit 9").start()
    ready(attempt)
    until(lambda: [pid for pid in attempt.processes() if state_of(pid) == "T"])
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(20) in (8, 9)
    assert attempt.end["cause"] == "stopped"


def test_a_timeout_asks_first_and_is_124(attempt: Attempt) -> None:
    status, _ = attempt.prepare("sh", "-c", POLITE).run("--timeout", "0.3")
    assert status == 124
    assert (attempt.end["cause"], attempt.end["code"]) == ("timeout", 42)
    assert attempt.log().endswith(b"checkpoint\n") and "0.3" in attempt.end["message"]


def test_a_timeout_kills_who_does_not_listen(attempt: Attempt) -> None:
    status, _ = attempt.prepare("sh", "-c", STUBBORN).run("--timeout", "0.2", "--grace", "0.2")
    assert status == 124
    assert (attempt.end["cause"], attempt.end["signal"]) == ("timeout", 9)


def test_a_command_that_ends_before_its_timeout_knows_nothing_of_it(attempt: Attempt) -> None:
    assert attempt.prepare("true").run("--timeout", "1000")[0] == 0
    assert attempt.end["cause"] == "exit"


def test_more_memory_than_allowed_ends_the_whole_tree(attempt: Attempt) -> None:
    """Two processes of 60 MB each, which only together are too much."""
    script = "import os, time\nos.fork()\nb = os.urandom(60_000_000)\nwhile True: time.sleep(1)"
    status, _ = attempt.prepare(*PYTHON, script).run("--memory", "100000000")
    assert status == 137
    assert attempt.end["cause"] == "out_of_memory" and "100000000" in attempt.end["message"]
    assert attempt.end["peak_memory_bytes"] > 100_000_000
    assert not attempt.processes()


def test_memory_shared_by_processes_counts_once(attempt: Attempt) -> None:
    script = """
import os, time
b = os.urandom(60_000_000)
pids = [os.fork() for _ in range(2)]
begin = time.monotonic()
while time.monotonic() - begin < 1.5: time.sleep(0.1)
"""
    assert attempt.prepare(*PYTHON, script).run("--memory", "110000000")[0] == 0
    assert 60_000_000 < attempt.end["peak_memory_bytes"] < 110_000_000


def test_background_grandchildren_die_with_the_command(attempt: Attempt) -> None:
    script = (
        "setsid sh -c 'sleep 1000 & sleep 1001 & wait' & (setsid sleep 1002 &); env -i sleep 1003 & echo ready; exit 3"
    )
    status, _ = attempt.prepare("sh", "-c", script).run()
    assert status == 3
    assert not attempt.processes()
    assert b"ready" in attempt.log()
    assert attempt.end["cause"] == "exit" and attempt.end["code"] == 3


def test_a_detached_daemon_without_our_mark_is_found_as_well(attempt: Attempt) -> None:
    daemon = """
import os, time
os.environ.clear()
for _ in range(2):
    if os.fork(): os._exit(0)
    os.setsid()
open("pid.tmp", "w").write(str(os.getpid())); os.rename("pid.tmp", "pid")
time.sleep(1000)
"""
    attempt.prepare("sh", "-c", 'env -i "$@"; while ! [ -e pid ]; do sleep 0.01; done', "sh", *PYTHON, daemon).run()
    assert gone(int((attempt.path / "workspace/pid").read_text()))


def test_a_tree_that_keeps_forking_is_ended(attempt: Attempt) -> None:
    script = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        while True:
            if os.fork(): os._exit(0)
            os.setsid()
print("ready", flush=True)
time.sleep(0.2)
"""
    runner = attempt.prepare(*PYTHON, script).start()
    ready(attempt)
    attempt.say("kill")
    runner.wait(30)
    assert not attempt.processes()


def test_zombies_are_reaped_all_along(attempt: Attempt) -> None:
    script = "for i in $(seq 50); do (sh -c 'true' &) ; done; echo ready; exec sleep 1000"
    runner = attempt.prepare("sh", "-c", script).start()
    ready(attempt)
    until(lambda: len(children(runner.pid)) == 2)  # the carrier and the command
    assert all(state_of(pid) != "Z" for pid in children(runner.pid))


def test_a_pipe_held_open_from_outside_does_not_keep_the_end_waiting(attempt: Attempt, tmp_path: Path) -> None:
    """A process that is not ours gets hold of the log's pipe."""
    attempt.prepare("sh", "-c", "echo ready; read x < go")
    os.mkfifo(attempt.path / "workspace/go")
    runner = attempt.start()
    ready(attempt)
    command = next(pid for pid in attempt.processes() if pid != runner.pid)
    holder = os.open(f"/proc/{command}/fd/1", os.O_WRONLY)
    os.write(holder, b"from outside\n")
    (attempt.path / "workspace/go").write_text("go\n")
    assert runner.wait(20) == 0
    os.close(holder)
    assert attempt.log() == b"ready\nfrom outside\n"


def test_as_the_first_process_of_a_container_it_reaps_and_hears_signals(fast_attempt: Attempt) -> None:
    if os.geteuid() != 0 or subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("needs root and process namespaces")
    attempt = fast_attempt
    attempt.program = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *attempt.program]
    runner = attempt.prepare("sh", "-c", "setsid sleep 1000 & " + POLITE).start()
    ready(attempt)
    assert attempt.claim["pid"] == 1
    (main,) = children(runner.pid)
    os.kill(main, signal.SIGTERM)
    runner.communicate(timeout=20)
    assert attempt.end["cause"] == "stopped" and attempt.end["code"] == 42
    assert not attempt.processes()
