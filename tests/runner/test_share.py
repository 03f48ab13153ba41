"""What the share may do to the runner: full, read-only, frozen, gone, without rights. Needs root."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runner.attempt import PYTHON, Attempt, children, state_of
from tests.waiting import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="faults of file systems are made by root")

COUNT_UNTIL_TOLD = """
import os
i = 0
while not os.path.exists("{stop}") or i < {least}:
    os.write(1, b"%09d\\n" % i); i += 1
"""


def mount(*arguments: str) -> None:
    result = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"cannot mount here: {result.stderr.strip()}")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A share of 2 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=2m", "none", str(place))
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A share with a file system that can be frozen."""
    place, image = tmp_path / "disk", tmp_path / "image"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    made = subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("cannot make an ext4 image here")
    mount("-o", "loop", str(image), str(place))
    yield place
    subprocess.run(["fsfreeze", "-u", str(place)], capture_output=True, check=False)
    subprocess.run(["umount", "-l", str(place)], check=False)


def numbers(count: int) -> bytes:
    return b"".join(b"%09d\n" % i for i in range(count))


def stop_file(tmp_path: Path) -> Path:
    return tmp_path / "stop"


def command(tmp_path: Path, least: int = 0) -> list[str]:
    return [*PYTHON, COUNT_UNTIL_TOLD.format(stop=tmp_path / "stop", least=least)]


def spooled(attempt: Attempt) -> int:
    try:
        return (attempt.spool / "out").stat().st_size
    except FileNotFoundError:
        return 0


def unmoved(attempt: Attempt) -> tuple[bytes, int] | None:
    """The log, and how much of it the index tells of, at one moment: a full disk makes the carrier cut both back."""
    before = attempt.log()
    told = sum(record.length for record in attempt.index())
    return (before, told) if attempt.log() == before else None


def test_a_full_share_stops_nothing_and_gets_everything_once_there_is_room(
    program: Path, make: Callable[..., Attempt], small: Path, tmp_path: Path
) -> None:
    attempt = make(program, path=small / "a").prepare(*command(tmp_path, 400_000))
    runner = attempt.start("--workdir", "/", "--heartbeat", "0.05")
    until(lambda: spooled(attempt) >= 4_000_000)
    until(lambda: os.statvfs(small).f_bfree == 0 or len(attempt.log()) > 1_000_000)
    assert runner.poll() is None and len(attempt.log()) < 2 << 20
    written, told = until(lambda: unmoved(attempt))
    assert told <= len(written)  # the index never tells of what is not there
    assert written == numbers(400_000)[: len(written)]
    (tmp_path / "stop").touch()
    until(lambda: not [pid for pid in attempt.processes() if pid != runner.pid])
    assert not attempt.ended and runner.poll() is None
    subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True)
    _, said = runner.communicate(timeout=30)
    assert runner.returncode == 0 and b"No space left" in said and b"back to normal" in said
    size = attempt.end["log"]["out"]
    assert size >= 4_000_000 and attempt.log() == numbers(size // 10)


def test_a_share_that_becomes_read_only_is_waited_for(
    program: Path, make: Callable[..., Attempt], disk: Path, tmp_path: Path
) -> None:
    """A file system cannot become read-only under open files, so the remount happens between two carriers."""
    attempt = make(program, path=disk / "a").prepare(
        "sh", "-c", f"echo one; while ! [ -e {tmp_path}/stop ]; do sleep 0.01; done"
    )
    runner = attempt.start("--workdir", "/")
    until(lambda: attempt.log() == b"one\n" and attempt.path.joinpath("heartbeat").exists())
    carrier = attempt.carrier(runner)
    os.kill(runner.pid, signal.SIGSTOP)  # or it would start the next one at once
    os.kill(carrier, signal.SIGKILL)  # gives its descriptors back, or the remount would be refused
    remounted = until(
        lambda: (
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], capture_output=True, check=False).returncode == 0
            or runner.poll() is not None
        )
    )
    os.kill(runner.pid, signal.SIGCONT)
    assert remounted and runner.poll() is None
    (tmp_path / "stop").touch()
    until(lambda: not [pid for pid in attempt.processes() if pid != runner.pid])
    assert runner.poll() is None and not attempt.ended
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    runner.communicate(timeout=30)
    assert runner.returncode == 0 and attempt.end["cause"] == "exit" and attempt.log() == b"one\n"


def test_a_frozen_share_stops_neither_the_command_nor_a_stop_by_signal(
    program: Path, make: Callable[..., Attempt], disk: Path, tmp_path: Path
) -> None:
    attempt = make(program, path=disk / "a").prepare(*command(tmp_path))
    runner = attempt.start("--workdir", "/")
    until(lambda: len(attempt.log()) > 0)
    carrier = attempt.carrier(runner)
    subprocess.run(["fsfreeze", "-f", str(disk)], check=True)
    until(lambda: state_of(carrier) == "D")
    before = spooled(attempt)
    until(lambda: spooled(attempt) > before + 1_000_000)
    runner.send_signal(signal.SIGTERM)
    until(lambda: children(runner.pid) == [carrier])  # the command has ended, and was reaped
    assert runner.poll() is None
    subprocess.run(["fsfreeze", "-u", str(disk)], check=True)
    runner.communicate(timeout=30)
    assert attempt.end["cause"] == "stopped" and attempt.end["signal"] == 15
    assert attempt.log() == numbers(len(attempt.log()) // 10 + 1)[: len(attempt.log())]
    assert attempt.end["log"]["out"] == len(attempt.log()) > before


def test_a_frozen_share_and_a_small_spool_hold_the_command_back(
    plain: Path, make: Callable[..., Attempt], disk: Path, tmp_path: Path
) -> None:
    attempt = make(plain, path=disk / "a").prepare(*command(tmp_path))
    runner = attempt.start("--workdir", "/", "--spool-limit", "1000000")
    until(lambda: len(attempt.log()) > 0)
    carrier = attempt.carrier(runner)
    subprocess.run(["fsfreeze", "-f", str(disk)], check=True)
    (writer,) = [pid for pid in children(runner.pid) if pid != carrier]
    until(lambda: Path(f"/proc/{writer}/wchan").read_text() in ("pipe_write", "anon_pipe_write", "pipe_wait_writable"))
    assert spooled(attempt) - len(attempt.log()) < 1_000_000 + (2 << 20)
    subprocess.run(["fsfreeze", "-u", str(disk)], check=True)
    (tmp_path / "stop").touch()
    runner.communicate(timeout=30)
    assert runner.returncode == 0 and attempt.log() == numbers(attempt.end["log"]["out"] // 10)


def test_a_share_that_is_gone_from_its_place_still_gets_the_end(
    program: Path, make: Callable[..., Attempt], disk: Path, tmp_path: Path
) -> None:
    """A lazy unmount: the path is gone, what is held open lives on; the end is there when it is mounted again."""
    attempt = make(program, path=disk / "a").prepare(*command(tmp_path))
    runner = attempt.start("--workdir", "/")
    until(lambda: len(attempt.log()) > 0)
    subprocess.run(["umount", "-l", str(disk)], check=True)
    assert not attempt.path.exists()
    (tmp_path / "stop").touch()
    runner.communicate(timeout=30)
    assert runner.returncode == 0
    mount("-o", "loop", str(tmp_path / "image"), str(disk))
    assert attempt.end["cause"] == "exit" and attempt.log() == numbers(attempt.end["log"]["out"] // 10)


def test_a_share_that_is_unusable_before_the_claim_is_125(
    plain: Path, make: Callable[..., Attempt], small: Path
) -> None:
    attempt = make(plain, path=small / "a").prepare("echo")
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    status, said = attempt.run()
    assert status == 125 and "Read-only" in said
    subprocess.run(["mount", "-o", "remount,rw", str(small)], check=True)
    assert not (attempt.path / "claim").exists()


def test_after_the_command_a_second_request_to_stop_ends_the_wait_for_a_dead_share(
    plain: Path, make: Callable[..., Attempt], disk: Path, tmp_path: Path
) -> None:
    attempt = make(plain, path=disk / "a").prepare(*command(tmp_path, 100))
    runner = attempt.start("--workdir", "/", "--grace", "0.1")
    until(lambda: len(attempt.log()) > 0)
    carrier = attempt.carrier(runner)
    subprocess.run(["fsfreeze", "-f", str(disk)], check=True)
    until(lambda: state_of(carrier) == "D")
    (tmp_path / "stop").touch()
    until(lambda: children(runner.pid) == [carrier])
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(20) == 0
    subprocess.run(["fsfreeze", "-u", str(disk)], check=True)
    assert not attempt.ended
    assert spooled(attempt) >= len(attempt.log())  # kept for whoever fetches the rest


def test_a_full_spool_disk_holds_the_command_back_and_loses_nothing(
    program: Path, make: Callable[..., Attempt], small: Path, tmp_path: Path
) -> None:
    """Not our limit but the disk itself is full, while the carrier cannot carry."""
    attempt = make(program, spool=small / "spool").prepare(*command(tmp_path, 500_000))
    runner = attempt.start()
    until(lambda: len(attempt.log()) > 0)
    carrier = attempt.carrier(runner)
    os.kill(carrier, signal.SIGSTOP)
    until(lambda: os.statvfs(small).f_bfree == 0)
    (writer,) = [pid for pid in children(runner.pid) if pid != carrier]
    until(lambda: Path(f"/proc/{writer}/wchan").read_text() in ("pipe_write", "anon_pipe_write", "pipe_wait_writable"))
    subprocess.run(["mount", "-o", "remount,size=100m", str(small)], check=True)
    os.kill(carrier, signal.SIGCONT)
    (tmp_path / "stop").touch()
    runner.communicate(timeout=30)
    assert runner.returncode == 0 and attempt.log() == numbers(attempt.end["log"]["out"] // 10)
    assert len(attempt.log()) >= 5_000_000


def test_without_rights_on_the_attempt_it_is_125(plain: Path, make: Callable[..., Attempt]) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        program = place / "winslow-run"
        program.write_bytes(plain.read_bytes())
        program.chmod(0o755)
        (place / "theirs").mkdir()
        os.chown(place / "theirs", 65534, 65534)
        attempt = make(program, path=place / "attempt", spool=place / "theirs/spool").prepare("echo")
        status, said = attempt.run(user=65534, group=65534, extra_groups=[])
    assert status == 125 and "claim: Permission denied" in said


def test_a_carrier_alone_without_its_share_still_ends_what_is_left(
    plain: Path, make: Callable[..., Attempt], disk: Path
) -> None:
    attempt = make(plain, path=disk / "a").prepare("sh", "-c", "setsid sleep 1000 & echo ready; sleep 1001")
    runner = attempt.start("--workdir", "/")
    until(lambda: attempt.log() == b"ready\n")
    first = attempt.carrier(runner)
    subprocess.run(["umount", "-l", str(disk)], check=True)
    os.kill(first, signal.SIGKILL)
    until(lambda: (second := attempt.carrier(runner)) != first and second)
    runner.kill()
    until(lambda: not attempt.processes())
    mount("-o", "loop", str(disk.parent / "image"), str(disk))
    until(lambda: attempt.ended)
    assert attempt.end["cause"] == "runner_lost"


@pytest.fixture
def bare(plain: Path, tmp_path: Path) -> Path:
    """A root with the runner, one program and nothing else: no shell, no /dev, no /proc; mounted read-only later."""
    place = tmp_path / "bare"
    for name in ("bin", "attempt/workspace", "spool", "proc"):
        (place / name).mkdir(parents=True)
    for name in ("winslow-run", "busy"):
        (place / "bin" / name).write_bytes(plain.read_bytes())
        (place / "bin" / name).chmod(0o755)
    return place


@pytest.mark.parametrize("with_proc", [True, False])
def test_in_an_image_with_nothing_but_one_program_and_a_read_only_root_it_works(
    bare: Path, make: Callable[..., Attempt], with_proc: bool
) -> None:
    """The program is the runner itself, asked for its version: a static program that needs nothing."""
    attempt = make(["unused"], path=bare / "attempt").prepare("/bin/busy", "--version")
    proc = f"mount -t proc none {bare}/proc && " if with_proc else ""
    script = (
        f"mount --bind {bare} {bare} && mount -t tmpfs none {bare}/spool && "
        f"mount --bind {bare}/attempt {bare}/attempt && {proc}"
        f"mount -o remount,bind,ro {bare} && exec chroot {bare} /bin/winslow-run --attempt /attempt --spool /spool/x"
    )
    result = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script], capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert attempt.end["cause"] == "exit" and attempt.log().startswith(b"winslow-run 1+")
    assert json.loads((attempt.path / "claim").read_text())["pid"] == 1


def test_another_directory_in_the_place_of_the_attempts_is_written_to_only_with_our_claim_in_it(
    fast_attempt: Attempt, tmp_path: Path
) -> None:
    """A file handle that has died is looked for again by its path, which may lead to anything by then."""
    attempt = fast_attempt.prepare("sh", "-c", f"read x < {tmp_path}/go; exit 5")
    os.mkfifo(tmp_path / "go")
    runner = attempt.start()
    until(lambda: (attempt.path / "heartbeat").exists())
    claim = (attempt.path / "claim").read_bytes()
    shutil.rmtree(attempt.path)
    attempt.path.mkdir()
    (tmp_path / "go").write_text("go\n")
    said = runner.stderr
    assert said is not None
    until(lambda: b"cannot publish the end" in said.readline())
    again = time.monotonic() + 0.5  # it tries on after a tenth of a second
    until(lambda: time.monotonic() > again)
    assert list(attempt.path.iterdir()) == []
    (attempt.path / "claim").write_bytes(claim)
    until(lambda: attempt.ended)
    assert attempt.end["code"] == 5
