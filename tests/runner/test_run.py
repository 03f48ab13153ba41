"""Claim, start and end: what the runner does when nothing goes wrong, and how it refuses."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.runner.attempt import PYTHON, QUIET_SANITIZER, Attempt, children
from tests.waiting import until


def test_a_command_runs_and_its_exit_status_is_the_runners(attempt: Attempt) -> None:
    status, said = attempt.prepare("sh", "-c", "echo hello; echo trouble >&2; exit 42").run()
    assert status == 42
    assert attempt.log("out") == b"hello\n"
    assert attempt.log("err") == b"trouble\n"
    assert (attempt.end["cause"], attempt.end["code"], attempt.end["signal"]) == ("exit", 42, None)
    assert "claimed" in said and "started" in said and "42" in said and "published" in said


def test_the_end_record_says_everything_the_contract_names(attempt: Attempt) -> None:
    before = datetime.now(UTC)
    attempt.prepare(*PYTHON, "sum(range(3_000_000)); b = b'x' * 50_000_000; print('done')").run("--owner", "alloc-7")
    end, claim = attempt.end, attempt.claim
    assert set(end) == {
        *("format", "token", "by", "cause", "code", "signal", "started", "ended"),
        *("cpu_seconds", "peak_memory_bytes", "log", "message"),
    }
    assert (end["format"], end["by"], end["token"], end["message"]) == (1, "runner", claim["token"], None)
    started, ended = datetime.fromisoformat(end["started"]), datetime.fromisoformat(end["ended"])
    assert before - timedelta(seconds=1) <= started <= ended <= datetime.now(UTC)
    assert 0.005 < end["cpu_seconds"] < 20
    assert 50_000_000 < end["peak_memory_bytes"] < 200_000_000
    assert end["log"] == {name: len(attempt.log(name)) for name in ("out", "err", "index")}


def test_the_claim_names_the_runners_main_process(attempt: Attempt) -> None:
    runner = attempt.prepare("sleep", "1000").start("--owner", 'an "owner"\n\x7f\xff')
    claim = until(
        lambda: (attempt.path / "claim").exists() and attempt.path.joinpath("heartbeat").exists() and attempt.claim
    )
    about = Path(f"/proc/{runner.pid}/stat").read_text().rpartition(")")[2].split()
    assert (claim["format"], claim["kind"], claim["host"]) == (1, "runner", os.uname().nodename)
    assert (claim["pid"], claim["pid_start"]) == (runner.pid, int(about[19]))
    assert claim["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert claim["owner"].startswith('an "owner"\n\x7f')
    assert len(claim["token"]) == 32 and int(claim["token"], 16) >= 0
    assert (attempt.path / "claim").read_text().endswith("}\n")


def test_the_command_gets_exactly_its_own_environment_and_descriptors(attempt: Attempt) -> None:
    show = "import os, json; print(json.dumps([dict(os.environ), sorted(os.listdir('/proc/self/fd')), os.getcwd()]))"
    attempt.prepare(
        *PYTHON, show, environment={"A": "1", "B": "two words\n=", "WINSLOW_OPEN_MODES": "1", "LC_ALL": "C"}
    )
    inherited = os.open("/dev/null", os.O_RDONLY)
    attempt.run(env={"FROM_OUTSIDE": "1"}, pass_fds=(inherited,))
    os.close(inherited)
    environment, descriptors, place = json.loads(attempt.log("out"))
    assert environment == {
        "A": "1", "B": "two words\n=", "LC_ALL": "C", "PATH": os.environ["PATH"], "WINSLOW_ATTEMPT": attempt.mark
    }  # fmt: skip
    assert descriptors[:3] == ["0", "1", "2"] and len(descriptors) == 4  # the fourth lists the directory
    assert place == str(attempt.path / "workspace")


def test_with_inherit_the_image_keeps_its_own_variables_but_nothing_of_the_allocation(attempt: Attempt) -> None:
    show = "import os, json; print(json.dumps(dict(os.environ)))"
    ours = {"A": "ours", "EMPTY": "", "AB": "x", "LC_ALL": "C"}
    attempt.prepare(*PYTHON, show, environment=ours)
    tokens = ("VAULT_TOKEN", "CONSUL_TOKEN", "CONSUL_HTTP_TOKEN", "NOMAD_TOKEN", "NOMAD_ADDR", "WINSLOW_OPEN_MODES")
    image = {"CUDA_VERSION": "13.1", "NVIDIA_VISIBLE_DEVICES": "GPU-1", "VAULT_ADDR": "b", "ABC": "y=z"}
    image |= QUIET_SANITIZER
    given = {**image, "A": "theirs", "EMPTY": "not", **dict.fromkeys(tokens, "1")}
    runner = ["env", "-i", *(f"{name}={value}" for name, value in given.items()), *attempt.program]
    status, said = Attempt(attempt.path, attempt.spool, runner).run("--inherit")
    assert status == 0, said
    whole = {**image, **ours, "PATH": os.environ["PATH"], "WINSLOW_ATTEMPT": attempt.mark}
    assert json.loads(attempt.log("out")) == whole


def test_a_command_without_a_path_of_its_own_is_found_by_that_of_the_image(attempt: Attempt, tmp_path: Path) -> None:
    tool = tmp_path / "tools" / "greet"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho found in $PWD\n")
    tool.chmod(0o755)
    attempt.prepare("greet")
    (attempt.path / "environment").write_bytes(b"WINSLOW_ATTEMPT=" + attempt.mark.encode() + b"\0")
    place = tmp_path / "workspace"
    place.mkdir()
    arguments = ("--inherit", "--workdir", str(place))
    assert attempt.run(*arguments, env={"PATH": f"{tool.parent}:{os.environ['PATH']}"})[0] == 0
    assert attempt.log("out") == f"found in {place}\n".encode()


def test_the_environment_file_is_gone_once_it_was_read(attempt: Attempt) -> None:
    attempt.prepare("sleep", "1000", environment={"PASSWORD": "hunter2"}).start()
    until(lambda: not (attempt.path / "environment").exists())
    assert not attempt.ended


@pytest.mark.parametrize("racers", [50])
def test_of_fifty_runners_that_race_for_a_claim_exactly_one_runs(fast_attempt: Attempt, racers: int) -> None:
    attempt = fast_attempt.prepare("sh", "-c", "echo ran")
    wait, places = (
        ["sh", "-c", 'read x; exec "$@"', "sh"],
        ["--attempt", str(attempt.path), "--spool", str(attempt.spool)],
    )
    gate, opener = os.pipe()
    waiting = [
        subprocess.Popen(
            [*wait, *attempt.program, *places, "--owner", f"racer-{number}"],
            stdin=gate,
            stderr=subprocess.DEVNULL,
        )
        for number in range(racers)
    ]
    os.close(gate)
    os.close(opener)  # every racer sees the end of the pipe at once
    for racer in waiting:
        racer.wait(30)
    statuses = sorted(runner.returncode for runner in waiting)
    assert statuses == [0] + [90] * (racers - 1)
    assert attempt.log("out") == b"ran\n"
    assert len(list(attempt.path.glob("refused-racer-*"))) == racers - 1
    refusal = next(attempt.path.glob("refused-racer-*")).read_bytes()
    assert refusal == b"" or json.loads(refusal)["token"] == attempt.claim["token"]


@pytest.mark.parametrize(
    "found", ['{"format":1,"token":"00","kind":"cancelled","time":"now"}\n', "", '{"format":1,"tok']
)
def test_a_claim_of_someone_else_is_refused_and_nothing_runs(attempt: Attempt, found: str) -> None:
    attempt.prepare("sh", "-c", "touch ran")
    (attempt.path / "claim").write_text(found)
    status, said = attempt.run("--owner", "alloc/../7")
    assert status == 90 and "refused" in said
    assert (attempt.path / "refused-alloc_.._7").read_text() == found
    assert (attempt.path / "claim").read_text() == found
    assert not (attempt.path / "workspace/ran").exists() and not attempt.ended
    assert (attempt.path / "environment").exists()


def test_a_refused_runner_leaves_the_spool_of_the_first_alone(attempt: Attempt) -> None:
    first = attempt.prepare("sh", "-c", "echo kept; exec sleep 1000").start()
    until(lambda: attempt.log() == b"kept\n")
    inode = (attempt.spool / "out").stat().st_ino
    assert attempt.run()[0] == 90
    assert (attempt.spool / "out").stat().st_ino == inode
    assert sorted(path.name for path in attempt.spool.iterdir()) == ["err", "index", "out"]
    assert first.poll() is None


@pytest.mark.parametrize(
    ("word", "cause", "expected"),
    [("terminate", "stopped", 143), ("kill", "killed", 137), ("superseded", "superseded", 137)],
)
def test_control_between_claim_and_exec_keeps_the_command_from_starting(
    attempt: Attempt, word: str, cause: str, expected: int
) -> None:
    status, _ = attempt.prepare("touch", "ran", control=word + "\n").run()
    assert status == expected
    assert (attempt.end["cause"], attempt.end["code"], attempt.end["started"]) == (cause, None, None)
    assert not (attempt.path / "workspace/ran").exists()
    assert not (attempt.path / "environment").exists()


def test_a_control_file_that_is_being_rewritten_is_waited_for(attempt: Attempt) -> None:
    attempt.prepare("echo", "went", control="").start()
    until(lambda: (attempt.path / "claim").exists())
    assert not attempt.ended
    attempt.say("run")
    until(lambda: attempt.ended)
    assert attempt.log() == b"went\n"


@pytest.mark.parametrize("missing", ["command", "environment"])
def test_an_attempt_without_its_input_ends_as_exec_failed_with_words(attempt: Attempt, missing: str) -> None:
    attempt.prepare("echo")
    (attempt.path / missing).unlink()
    status, _ = attempt.run()
    assert status == 126
    assert attempt.end["cause"] == "exec_failed" and missing in attempt.end["message"]


@pytest.mark.parametrize(
    ("command", "expected", "words"),
    [
        (["no-such-program-anywhere"], 127, "No such file"),
        (["/no/such/program"], 127, "No such file"),
        (["/etc/passwd"], 126, "Permission denied"),
        (["/"], 126, "Permission denied"),
        ([""], 127, "empty"),
    ],
)
def test_a_command_that_cannot_be_executed_says_why(
    attempt: Attempt, command: list[str], expected: int, words: str
) -> None:
    status, _ = attempt.prepare(*command).run()
    assert status == expected
    assert (attempt.end["cause"], attempt.end["code"], attempt.end["started"]) == ("exec_failed", expected, None)
    assert words in attempt.end["message"]
    assert not (attempt.path / "environment").exists()


def ran(attempt: Attempt, content: bytes, mode: int = 0o755) -> tuple[int, str]:
    """A program of this content: the runner's code, and what it wrote about the end."""
    program = attempt.path / "program"
    attempt.prepare(str(program))
    program.write_bytes(content)
    program.chmod(mode)
    return attempt.run()[0], attempt.end["message"]


def test_a_script_without_interpreter_and_a_file_of_no_known_format_are_told_apart(attempt: Attempt) -> None:
    code, said = ran(attempt, b"#!/no/such/interpreter\n")
    assert code == 127 and "interpreter" in said


def test_a_script_with_line_ends_of_windows_says_so(attempt: Attempt) -> None:
    code, said = ran(attempt, b"#!/bin/sh\r\necho hi\r\n")
    assert code == 127 and "line ends of Windows" in said


def test_a_script_without_the_right_to_be_executed_says_what_to_do(attempt: Attempt) -> None:
    code, said = ran(attempt, b"#!/bin/sh\necho hi\n", 0o644)
    assert code == 126 and "chmod +x" in said


def test_a_file_of_no_known_format_is_exec_failed(attempt: Attempt) -> None:
    code, said = ran(attempt, b"\x7fELF nonsense")
    assert code == 126 and "architecture" in said


def test_a_torn_command_is_never_run(attempt: Attempt) -> None:
    attempt.prepare("echo", "a")
    (attempt.path / "command").write_bytes(b"touch\0ran\0unfinis")
    assert attempt.run()[0] == 126
    assert attempt.end["cause"] == "exec_failed" and not (attempt.path / "workspace/ran").exists()


def test_the_command_is_found_by_its_own_path(attempt: Attempt, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "greet").write_text("#!/bin/sh\necho own\n")
    (own / "greet").chmod(0o755)
    attempt.prepare("greet", environment={"PATH": f"/nowhere:{own}"}).run()
    assert attempt.log() == b"own\n"


def test_a_missing_working_directory_is_told(attempt: Attempt) -> None:
    assert attempt.prepare("echo").run("--workdir", "/no/such/place")[0] == 126
    assert "/no/such/place" in attempt.end["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--attempt", "/tmp"], ["--spool", "/tmp"], ["--attempt", "/tmp", "--spool"], [], ["--bogus"],
        ["--attempt", "/tmp", "--spool", "/tmp/x", "--timeout", "soon"],
        ["--attempt", "/tmp", "--spool", "/tmp/x", "--memory", "-1"],
        ["--attempt", "/tmp", "--spool", "/tmp/x", "--heartbeat", "nan"],
        ["--attempt", "/tmp", "--spool", "/tmp/x", "extra"],
    ],
)  # fmt: skip
def test_wrong_usage_is_125_with_the_usage(program: Path, arguments: list[str]) -> None:
    result = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 125 and "usage: winslow-run" in result.stderr


def test_the_version_names_the_sources(plain: Path) -> None:
    said = subprocess.run([plain, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("winslow-run 1+") and len(said.split("+")[1].strip()) == 12


def test_an_attempt_directory_that_is_not_there_is_125(attempt: Attempt) -> None:
    status, said = attempt.run()
    assert status == 125 and "attempt" in said and "No such file" in said


def test_a_spool_that_cannot_be_made_is_125_before_any_claim(attempt: Attempt, tmp_path: Path) -> None:
    attempt.prepare("echo")
    (tmp_path / "file").write_text("")
    attempt.spool = tmp_path / "file" / "spool"
    status, said = attempt.run()
    assert status == 125 and "spool" in said
    assert not (attempt.path / "claim").exists()


def test_an_end_that_winslow_published_first_is_left_alone(attempt: Attempt) -> None:
    attempt.prepare("sh", "-c", "read x < ../go; exit 5")
    os.mkfifo(attempt.path / "go")
    runner = attempt.start()
    until(lambda: (attempt.path / "heartbeat").exists())
    theirs = '{"format":1,"token":"winslow","by":"winslow","cause":"superseded"}\n'
    (attempt.path / "end.json").write_text(theirs)
    (attempt.path / "go").write_text("go\n")
    _, said = runner.communicate(timeout=20)
    assert runner.returncode == 5 and b"left alone" in said
    assert (attempt.path / "end.json").read_text() == theirs
    assert not list(attempt.path.glob(".end-*"))


def test_an_end_of_its_own_that_the_share_calls_somebody_elses_is_known_by_its_token(attempt: Attempt) -> None:
    attempt.prepare("sh", "-c", "read x < ../go")
    os.mkfifo(attempt.path / "go")
    runner = attempt.start()
    until(lambda: (attempt.path / "heartbeat").exists())
    ours = f'{{"format":1,"token":"{attempt.claim["token"]}","by":"runner","cause":"exit"}}\n'
    (attempt.path / "end.json").write_text(ours)
    (attempt.path / "go").write_text("go\n")
    _, said = runner.communicate(timeout=20)
    assert runner.returncode == 0 and b"the end is published" in said and b"left alone" not in said
    assert (attempt.path / "end.json").read_text() == ours
    assert not list(attempt.path.glob(".end-*"))


def test_an_end_raced_with_winslows_is_one_whole_record_of_either(plain: Path, make: Callable[..., Attempt]) -> None:
    winners = set()
    for _ in range(20):
        attempt = make(plain).prepare("true")
        theirs = attempt.path / "theirs"
        theirs.write_text('{"format":1,"token":"winslow","by":"winslow","cause":"superseded"}\n')
        over = threading.Event()

        def race(attempt: Attempt = attempt, theirs: Path = theirs, over: threading.Event = over) -> None:
            while not over.is_set() and not (attempt.path / "log/index").exists():
                pass
            try:
                os.link(theirs, attempt.path / "end.json")
            except FileExistsError:
                return

        racer = threading.Thread(target=race)
        racer.start()
        status, _ = attempt.run()
        over.set()
        racer.join()
        winners.add(attempt.end["by"])
        assert status == 0 and attempt.end["format"] == 1
    assert winners <= {"runner", "winslow"}


def test_the_heartbeat_counts_and_tells_cpu_memory_and_progress(attempt: Attempt) -> None:
    busy = (
        "import os, time\nprint('at 12.5% of it', flush=True)\nb = b'x' * 30_000_000\nwhile True: time.process_time()"
    )
    attempt.prepare(*PYTHON, busy).start("--heartbeat", "0.1")

    def beat() -> dict[str, float] | None:
        try:
            return json.loads((attempt.path / "heartbeat").read_text())
        except (OSError, ValueError):
            return None

    first = until(beat)
    later = until(
        lambda: (now := beat()) and now["counter"] > first["counter"] + 2 and now["cpu_seconds"] > 0.1 and now
    )
    assert later["memory_bytes"] > 30_000_000
    assert until(lambda: (beat() or {}).get("progress") == 12.5)
    (attempt.path / "progress").write_text("77\n")
    assert until(lambda: (beat() or {}).get("progress") == 77)
    assert set(later) == {"counter", "cpu_seconds", "memory_bytes", "progress"}


def test_a_stage_that_has_just_begun_shows_within_seconds_how_it_fares(attempt: Attempt) -> None:
    attempt.prepare("sh", "-c", "echo 40 > ../progress; exec sleep 1000").start("--heartbeat", "1000")
    beat = attempt.path / "heartbeat"
    until(lambda: beat.exists() and '"progress":40' in beat.read_text(), seconds=8, every=0.05)


@pytest.mark.parametrize("nonsense", ["", "abc", "101", "-1", "nan", "1e400", "5 apples", "\0" * 10])
def test_nonsense_in_the_progress_file_is_no_progress(fast_attempt: Attempt, nonsense: str) -> None:
    attempt = fast_attempt
    attempt.prepare("sleep", "1000")
    (attempt.path / "progress").write_text(nonsense)
    attempt.start("--heartbeat", "0.05")
    until(lambda: (attempt.path / "heartbeat").exists() and (attempt.path / "heartbeat").read_text().endswith("}\n"))
    assert json.loads((attempt.path / "heartbeat").read_text())["progress"] is None


def test_a_fifo_in_place_of_a_file_holds_nobody_up(attempt: Attempt) -> None:
    """The command waits for two more heartbeats, and for a second look at `control`."""
    script = """
mkfifo ../progress; rm ../control; mkfifo ../control
for beat in 1 2 3; do seen=$(cat ../heartbeat); while [ "$seen" = "$(cat ../heartbeat)" ]; do sleep 0.01; done; done
"""
    assert attempt.prepare("sh", "-c", script).run("--heartbeat", "0.5", seconds=20)[0] == 0


def test_a_file_left_by_a_carrier_killed_while_publishing_is_replaced_and_never_written_into(attempt: Attempt) -> None:
    """Its temporary name may be another name of a published end by then."""
    os.makedirs(attempt.path)
    os.mkfifo(attempt.path / "go")
    runner = attempt.prepare("sh", "-c", "read x < ../go").start()
    until(lambda: (attempt.path / "heartbeat").exists())
    (attempt.path / "other").write_text("published")
    os.link(attempt.path / "other", attempt.path / f".end-{attempt.claim['token']}")
    (attempt.path / "go").write_text("go\n")
    runner.communicate(timeout=20)
    assert (attempt.path / "other").read_text() == "published"
    assert attempt.end["cause"] == "exit" and not list(attempt.path.glob(".end-*"))


def test_listeners_are_told_of_start_and_end(attempt: Attempt, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "n"))
        ear.settimeout(20)
        attempt.prepare("true").start("--notify", str(tmp_path / "n"))
        assert ear.recv(4096).decode() == f"started {attempt.path}"
        assert ear.recv(4096).decode() == f"ended {attempt.path}"
        assert attempt.ended


def test_a_listener_that_is_deaf_or_absent_changes_nothing(attempt: Attempt, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "n"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
            mouth.setblocking(False)
            with pytest.raises(BlockingIOError):
                while True:
                    mouth.sendto(b"full", str(tmp_path / "n"))
        assert attempt.prepare("true").run("--notify", str(tmp_path / "n"))[0] == 0
    assert attempt.ended


def test_open_modes_lets_others_at_everything_and_follows_no_link(attempt: Attempt, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o600)
    script = f"umask 077; mkdir -p d/e; echo x > d/e/f; echo y > run; chmod 700 run; ln -s {outside} link; chmod 0 d/e"
    assert attempt.prepare("sh", "-c", script, environment={"WINSLOW_OPEN_MODES": "1"}).run()[0] == 0
    modes = {
        name: stat.S_IMODE((attempt.path / "workspace" / name).stat().st_mode) for name in ("d", "d/e", "d/e/f", "run")
    }
    assert modes == {"d": 0o777, "d/e": 0o777, "d/e/f": 0o666, "run": 0o777}
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600


def test_modes_stay_closed_unless_asked_for(attempt: Attempt) -> None:
    assert attempt.prepare("sh", "-c", "umask 077; echo x > f").run()[0] == 0
    assert stat.S_IMODE((attempt.path / "workspace/f").stat().st_mode) == 0o600


def test_the_main_process_runs_from_memory_and_holds_nothing_on_the_share(attempt: Attempt) -> None:
    runner = attempt.prepare("sleep", "1000").start(cwd=str(attempt.path))
    until(lambda: (attempt.path / "heartbeat").exists())
    assert "memfd:winslow-run" in os.readlink(f"/proc/{runner.pid}/exe")
    places = [os.readlink(f"/proc/{runner.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{runner.pid}/fd")]
    places.append(os.readlink(f"/proc/{runner.pid}/cwd"))
    assert not [place for place in places if place.startswith(str(attempt.path))]
    carrier = attempt.carrier(runner)
    held = [os.readlink(f"/proc/{carrier}/fd/{fd}") for fd in os.listdir(f"/proc/{carrier}/fd")]
    assert [place for place in held if place.startswith(str(attempt.path))]  # else this test could not fail
    assert carrier in children(runner.pid)


def test_the_runner_says_nothing_into_the_log_and_ends_though_nobody_reads_what_it_says(attempt: Attempt) -> None:
    out, into = os.pipe()
    os.set_blocking(into, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(into, b"x" * 4096)
    os.set_blocking(into, True)
    runner = attempt.prepare("echo", "only this").start(stderr=into)
    assert runner.wait(20) == 0
    os.close(out)
    os.close(into)
    assert attempt.log("out") == b"only this\n" and attempt.log("err") == b""


def test_the_spool_is_gone_after_a_complete_end(attempt: Attempt) -> None:
    attempt.prepare("echo", "x").run()
    assert not attempt.spool.exists()
