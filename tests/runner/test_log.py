"""The log: exactly what the process wrote, in order, on the share within moments, bounded by the spool."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runner.attempt import PYTHON, Attempt, children
from tests.waiting import until


def test_every_byte_value_arrives_as_it_was_written(attempt: Attempt) -> None:
    attempt.prepare(
        *PYTHON, "import os; os.write(1, bytes(range(256)) * 1000); os.write(2, bytes(range(255, -1, -1)))"
    ).run()
    assert attempt.log("out") == bytes(range(256)) * 1000
    assert attempt.log("err") == bytes(range(255, -1, -1))
    assert [(r.stream, r.length) for r in attempt.index() if r.stream == "err"] == [("err", 256)]


def test_reopening_the_standard_streams_in_the_middle_loses_nothing(attempt: Attempt) -> None:
    script = (
        "echo 1 >&2; echo 2 > /dev/stderr; echo 3 >&2; echo a; echo b > /dev/stdout; echo c | tee /dev/stderr; echo d"
    )
    attempt.prepare("sh", "-c", script).run()
    assert attempt.log("err") == b"1\n2\n3\nc\n"
    assert attempt.log("out") == b"a\nb\nc\nd\n"


def test_the_last_line_before_a_sudden_death_is_kept(attempt: Attempt) -> None:
    attempt.prepare("sh", "-c", "echo last words; kill -9 $$").run()
    assert attempt.log() == b"last words\n"
    assert (attempt.end["cause"], attempt.end["code"], attempt.end["signal"]) == ("exit", None, 9)


def test_an_attempt_that_says_nothing_has_three_empty_files(attempt: Attempt) -> None:
    attempt.prepare("true").run()
    assert [attempt.log(name) for name in ("out", "err", "index")] == [b""] * 3
    assert sorted(path.name for path in (attempt.path / "log").iterdir()) == ["err", "index", "out"]


def test_the_index_tells_the_order_of_both_streams(attempt: Attempt) -> None:
    """Each line waits until the runner has read the one before it, so that there is an order to tell."""
    script = """
import fcntl, os, struct, termios
def flush(fd):
    while struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"0000"))[0]: pass
for i in range(200):
    fd = 1 + (i * i % 7 > 2)
    os.write(fd, b"%d\\n" % i)
    flush(fd)
"""
    attempt.prepare(*PYTHON, script).run()
    assert attempt.in_order().split() == [b"%d" % number for number in range(200)]
    times = [record.time_us for record in attempt.index()]
    assert times == sorted(times) and abs(times[-1] / 1e6 - time.time()) < 60


def test_reads_of_one_stream_at_one_moment_share_a_record(fast_attempt: Attempt) -> None:
    attempt = fast_attempt.prepare(*PYTHON, "import os\nfor i in range(20000): os.write(1, b'x')")
    attempt.run()
    assert sum(record.length for record in attempt.index()) == 20000
    assert len(attempt.index()) < 500


def test_a_line_is_on_the_share_while_the_process_still_runs(attempt: Attempt) -> None:
    attempt.prepare("sh", "-c", "echo early; exec sleep 1000").start()
    until(lambda: attempt.log() == b"early\n" and len(attempt.index()) == 1)
    assert not attempt.ended


def test_a_line_of_fifty_million_bytes_is_one_line(fast_attempt: Attempt) -> None:
    attempt = fast_attempt.prepare(*PYTHON, "import sys; sys.stdout.write('x' * 50_000_000 + '\\n')")
    attempt.run()
    assert attempt.log() == b"x" * 50_000_000 + b"\n"


def test_two_streams_at_full_speed_arrive_whole_and_agree_with_the_index(fast_attempt: Attempt) -> None:
    script = """
import os, random, hashlib, sys
r, sums = random.Random(7), [hashlib.sha256(), hashlib.sha256()]
block = r.randbytes(300_000)
for i in range(400):
    n, s = r.randrange(1, 300_000), r.randrange(2)
    sums[s].update(block[:n]); at = 0
    while at < n: at += os.write(1 + s, block[at:n])
open("sums", "w").write(" ".join(s.hexdigest() for s in sums))
"""
    attempt = fast_attempt.prepare(*PYTHON, script)
    assert attempt.run()[0] == 0
    whole = attempt.in_order()
    assert len(whole) == len(attempt.log("out")) + len(attempt.log("err")) > 30_000_000
    sums = (attempt.path / "workspace/sums").read_text().split()
    assert [hashlib.sha256(attempt.log(name)).hexdigest() for name in ("out", "err")] == sums


def test_reads_within_ten_milliseconds_share_a_record(fast_attempt: Attempt) -> None:
    """Every piece is read on its own, since the next one waits until the pipe is empty."""
    script = """
import fcntl, os, struct, termios
for i in range(60):
    os.write(1, b"piece")
    while struct.unpack("i", fcntl.ioctl(1, termios.FIONREAD, b"0000"))[0]: pass
"""
    fast_attempt.prepare(*PYTHON, script).run()
    assert fast_attempt.log() == b"piece" * 60
    assert len(fast_attempt.index()) < 30


def test_a_full_spool_holds_the_command_back_and_loses_nothing(fast_attempt: Attempt) -> None:
    """The carrier is stopped, as if the share hung: the command may fill the limit and the pipe, and no more."""
    limit, total = 3_000_000, 20_000_000
    script = f"""
import os
open("ready", "w").close()
while not os.path.exists("go"): pass
for i in range({total} // 10): os.write(1, b"%09d\\n" % i)
open("done", "w").close()
"""
    attempt = fast_attempt.prepare(*PYTHON, script)
    workspace, said = attempt.path / "workspace", attempt.path / "said"
    with said.open("wb") as into:
        runner = attempt.start("--spool-limit", str(limit), stderr=into)
    until(lambda: (workspace / "ready").exists())
    carrier = attempt.carrier(runner)
    os.kill(carrier, signal.SIGSTOP)
    (workspace / "go").touch()
    until(lambda: b"spool is full" in said.read_bytes() or (workspace / "done").exists())
    (writer,) = [pid for pid in children(runner.pid) if pid != carrier]
    until(lambda: Path(f"/proc/{writer}/wchan").read_text() in ("pipe_write", "anon_pipe_write", "pipe_wait_writable"))
    assert not (workspace / "done").exists()
    assert limit <= (attempt.spool / "out").stat().st_size <= limit + (1 << 20)
    os.kill(carrier, signal.SIGCONT)
    runner.wait(60)
    assert attempt.log() == b"".join(b"%09d\n" % i for i in range(total // 10))
    assert attempt.end["code"] == 0


def test_the_index_on_the_share_never_tells_of_bytes_that_are_not_there(attempt: Attempt) -> None:
    """A limit on the size of the carrier's files lets the small index through, but not the log."""
    script = "while ! [ -e go ]; do sleep 0.01; done; seq 100000; while ! [ -e stop ]; do sleep 0.01; done"
    said = attempt.path / "said"
    attempt.prepare("sh", "-c", script)
    with said.open("wb") as into:
        runner = attempt.start(stderr=into)
    until(lambda: (attempt.path / "log/index").exists())
    carrier = attempt.carrier(runner)
    resource.prlimit(carrier, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    (attempt.path / "workspace/go").touch()
    until(lambda: b"File too large" in said.read_bytes() and (attempt.spool / "out").stat().st_size == 588_895)
    until(lambda: (attempt.spool / "index").stat().st_size > 0)
    for _ in range(3):
        seen = reads(carrier)
        until(lambda seen=seen: reads(carrier) > seen)
        told = sum(record.length for record in attempt.index())
        assert told <= len(attempt.log()) <= 100_000
    resource.prlimit(carrier, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    (attempt.path / "workspace/stop").touch()
    assert runner.wait(30) == 0
    assert attempt.in_order() == b"".join(b"%d\n" % i for i in range(1, 100_001))


def reads(pid: int) -> int:
    return int(Path(f"/proc/{pid}/io").read_text().split("syscr:")[1].split()[0])


def test_what_is_safe_on_the_share_is_punched_out_of_the_spool(fast_attempt: Attempt) -> None:
    script = "import os\nfor i in range(300): os.write(1, bytes([i % 251]) * 1_000_000)\nos.read(3, 1)"
    attempt = fast_attempt.prepare("sh", "-c", 'mkfifo f; exec 3<> f; exec "$@"', "sh", *PYTHON, script)
    attempt.start()
    until(lambda: len(attempt.log()) == 300_000_000, 60)
    about = until(lambda: (s := (attempt.spool / "out").stat()).st_blocks * 512 < 90_000_000 and s)
    assert about.st_size == 300_000_000
    assert about.st_blocks * 512 >= 60_000_000


@pytest.mark.parametrize("killings", [3])
def test_a_killed_carrier_is_replaced_and_the_log_stays_exact(
    plain: Path, make: Callable[..., Attempt], killings: int
) -> None:
    attempt = make(plain).prepare(
        *PYTHON,
        "import os\ni = 0\nwhile not os.path.exists('stop') or i % 1000:\n os.write(1 + i % 2, b'%09d\\n' % i); i += 1",
    )
    runner, seen = attempt.start("--heartbeat", "0.05"), set()
    for _ in range(killings):
        carrier = until(lambda: (c := attempt.carrier(runner)) not in seen and c)
        before = len(attempt.log())
        until(lambda before=before: len(attempt.log()) > before)
        os.kill(carrier, 9)
        seen.add(carrier)
    until(lambda: attempt.carrier(runner) not in seen)
    (attempt.path / "workspace/stop").touch()
    runner.communicate(timeout=60)
    assert attempt.end["cause"] == "exit" and attempt.end["code"] == 0
    numbers = sorted(int(line) for name in ("out", "err") for line in attempt.log(name).split())
    assert numbers == list(range(len(numbers))) and len(numbers) % 1000 == 0
    assert [int(line) % 2 for line in attempt.log("err").split()] == [1] * (len(numbers) // 2)
    assert attempt.in_order()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("at 45%", 45), ("12.5% done", 12.5), ("\r 99%|#### | 5/6", 99), ("100%", 100), ("0%", 0), ("5% then 7%", 7),
        ("101%", None), ("x45%", None), ("-5%", None), ("1.2.3%", None), ("%", None), (".5%", None), ("3 %", None),
        ("50% but then 300%", 50), ("%45 % %%", None),
    ],
)  # fmt: skip
def test_progress_is_read_from_the_log(fast_attempt: Attempt, line: str, expected: float | None) -> None:
    """The last beat, after the line has arrived, decides."""
    attempt = fast_attempt
    attempt.prepare("sh", "-c", 'printf %s "$1"; exec sleep 1000', "sh", line).start("--heartbeat", "0.02")
    until(lambda: attempt.log() == line.encode())

    def beat() -> dict[str, float]:
        try:
            return json.loads((attempt.path / "heartbeat").read_text())
        except (OSError, ValueError):
            return {}

    counter = until(lambda: beat().get("counter"))
    assert until(lambda: (b := beat()) and b["counter"] > counter + 1 and b)["progress"] == expected


def test_an_idle_attempt_costs_next_to_nothing(fast_attempt: Attempt) -> None:
    runner = fast_attempt.prepare("sleep", "1000").start()
    until(lambda: (fast_attempt.path / "log/index").exists())
    carrier = fast_attempt.carrier(runner)

    def switches() -> int:
        return sum(
            int(line.split()[1])
            for pid in (runner.pid, carrier)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if "ctxt_switches" in line
        )

    begin, before = time.monotonic(), switches()
    until(lambda: time.monotonic() - begin > 2)
    assert switches() - before < 40  # it looks at `control` once a second


@pytest.mark.chaos
def test_a_billion_bytes_of_log_arrive_whole_and_the_spool_stays_small(fast_attempt: Attempt) -> None:
    attempt = fast_attempt.prepare(
        *PYTHON, "import os, random\nb = random.Random(1).randbytes(1_000_000)\nfor i in range(1000): os.write(1, b)"
    )
    runner, most = attempt.start("--spool-limit", str(200 << 20)), 0
    while runner.poll() is None:
        path = attempt.spool / "out"
        with contextlib.suppress(FileNotFoundError):
            most = max(most, path.stat().st_blocks * 512)
        try:
            runner.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    block = random.Random(1).randbytes(1_000_000)
    with (attempt.path / "log/out").open("rb") as file:
        for _ in range(1000):
            assert file.read(1_000_000) == block
        assert file.read(1) == b""
    assert most < (200 + 64 + 16) << 20
    assert sum(record.length for record in attempt.index()) == 1_000_000_000
