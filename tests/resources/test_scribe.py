from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.resources.conftest import command
from tests.waiting import until
from winslow_nomad.core.errors import Refused, ShareUnavailable
from winslow_nomad.resources import scribe
from winslow_nomad.resources.layout import MARK
from winslow_nomad.resources.scribe import Scribe


def children() -> list[int]:
    """Writing processes of ours that live."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == os.getpid() and str(scribe.PROGRAM).encode() in words:
                found.append(int(entry.name))
    return found


def test_a_file_is_replaced_whole_with_its_mode(writer, root):
    writer.perform([scribe.mkdir("a/b"), scribe.write("a/b/environment", "A=\udcff\0", mode=0o600)], "x")
    writer.perform([scribe.write("a/b/environment", "B=é\0", mode=0o600)], "x")
    file = root / "a/b/environment"
    assert file.read_bytes() == "B=é\0".encode() and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in (root / "a/b").iterdir()] == ["environment"]


def test_bytes_that_are_no_utf8_arrive_as_they_are(writer, root):
    writer.perform([scribe.write("file", os.fsdecode(b"\xff\xfe"))], "x")
    assert (root / "file").read_bytes() == b"\xff\xfe"


@pytest.mark.parametrize("path", ["../out", "/etc/x", "a/../../out", "", "a//b"])
def test_a_path_that_leaves_the_share_is_refused_by_the_process_as_well(writer, root, path):
    with pytest.raises(ShareUnavailable):
        writer.perform([scribe.write(path, "x")], "x")
    assert not (root.parent / "out").exists()


def test_a_link_in_place_of_a_control_file_is_not_followed(writer, root, tmp_path):
    (tmp_path / "elsewhere").write_text("mine")
    (root / "control").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ShareUnavailable):
        writer.perform([scribe.raise_word("control", "kill", ("run", "kill"))], "x")
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_what_is_published_first_counts_for_ever(writer, root):
    first = writer.perform([scribe.publish("end.json", "one")], "x")[0]
    second = writer.perform([scribe.publish("end.json", "two")], "x")[0]
    again = writer.perform([scribe.publish("end.json", "one")], "x")[0]
    assert first == {"made": True, "data": "one"} == again and second == {"made": False, "data": "one"}
    assert [p.name for p in root.iterdir() if p.name != MARK] == ["end.json"]


def test_a_weaker_word_that_comes_late_does_not_take_back_a_stronger_one(writer, root):
    order = ("run", "terminate", "kill", "superseded")
    words = [writer.perform([scribe.raise_word("control", w, order)], "x")[0] for w in ("run", "kill", "terminate")]
    assert words == ["run", "kill", "kill"] and (root / "control").read_text() == "kill\n"


def test_control_is_rewritten_in_place(writer, root):
    writer.perform([scribe.create("control", "run\n")], "x")
    before = (root / "control").stat().st_ino
    writer.perform([scribe.raise_word("control", "superseded", ("run", "superseded"))], "x")
    assert (root / "control").stat().st_ino == before and (root / "control").read_text() == "superseded\n"


def test_a_rename_never_meets_what_is_there(writer, root):
    for name in ("a", "b"):
        (root / name).mkdir()
    assert writer.perform([scribe.rename("a", "b")], "x") == [{"made": False}]
    assert (root / "a").is_dir()
    assert writer.perform([scribe.rename("a", "c")], "x") == [{"made": True}]
    assert writer.perform([scribe.rename("a", "c")], "x") == [{"made": False}]


def test_nothing_is_done_after_a_name_that_must_not_be_there(writer, root):
    (root / "claim").touch()
    assert writer.perform([scribe.unless("claim"), scribe.write("command", "x")], "x") == [False]
    assert not (root / "command").exists()


def test_a_view_follows_and_a_fixed_link_does_not(writer, root):
    writer.perform([scribe.symlink("view", "1", replace=True), scribe.symlink("fixed", "1")], "x")
    writer.perform([scribe.symlink("view", "2", replace=True), scribe.symlink("fixed", "1")], "x")
    assert (root / "view").readlink() == Path("2")
    with pytest.raises(ShareUnavailable):
        writer.perform([scribe.symlink("fixed", "2")], "x")
    assert (root / "fixed").readlink() == Path("1")


def test_many_threads_publish_one_name_and_one_wins(writer):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: writer.perform([scribe.publish("claim", str(n))], "x")[0], range(40)))
    assert sum(a["made"] for a in made) == 1 and len({a["data"] for a in made}) == 1


def test_a_writing_process_that_was_killed_is_replaced_unnoticed(writer, root):
    for number in range(5):
        writer.perform([scribe.write("file", str(number))], "x")
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        writer.perform([scribe.write("file", "after")], "x")
        assert (root / "file").read_text() == "after"


def test_an_append_is_not_repeated_behind_the_back_of_who_asked(writer, root):
    writer.perform([scribe.append("journal", "one\n")], "x")
    (pid,) = children()
    os.kill(pid, signal.SIGKILL)
    until(lambda: "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2])
    with pytest.raises(ShareUnavailable):
        writer.perform([scribe.append("journal", "two\n")], "the journal was not written")
    writer.perform([scribe.append("journal", "two\n")], "x")
    assert (root / "journal").read_text() == "one\ntwo\n"


def test_writing_processes_end_with_whoever_asked(tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from winslow_nomad.resources.scribe import Scribe\n"
        f"s = Scribe(Path({str(tmp_path / 's')!r})); s.establish('x'); print(s._crew.idle[0].pid, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    until(lambda: not Path(f"/proc/{int(run.stdout)}/cmdline").exists())


def test_a_writing_process_is_small(tmp_path):
    """So it starts quickly, too: most of a start is what is read."""
    one = Scribe(tmp_path / "share")
    one.establish("x")
    pages = Path(f"/proc/{children()[-1]}/statm").read_text().split()[1]
    one.close()
    assert int(pages) * os.sysconf("SC_PAGE_SIZE") < 12 << 20
    until(lambda: not children())


def test_an_unmounted_share_is_told_from_a_share(writer, root):
    shutil.move(root, root.with_name("away"))
    root.mkdir()
    with pytest.raises(ShareUnavailable) as caught:
        writer.perform([scribe.write("file", "x")], "the file was not written")
    assert caught.value.code == "share.gone" and "the file was not written" in str(caught.value)
    assert list(root.iterdir()) == []
    root.rmdir()
    shutil.move(root.with_name("away"), root)
    writer.perform([scribe.write("file", "x")], "x")


def test_a_directory_with_other_files_does_not_become_a_share(tmp_path):
    (tmp_path / "thesis.tex").touch()
    writer = Scribe(tmp_path)
    with pytest.raises(Refused) as caught:
        writer.establish("x")
    writer.close()
    assert caught.value.code == "share.not_empty" and [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_full_share_says_so_and_takes_up_again_when_there_is_room(filesystem):
    root = filesystem("tmpfs", 1)
    writer = Scribe(root)
    writer.establish("x")
    with pytest.raises(ShareUnavailable) as caught:
        writer.perform([scribe.write("big", "x" * (2 << 20))], "the big file was not written")
    assert caught.value.code == "share.full" and "the big file was not written" in str(caught.value)
    assert [p.name for p in root.iterdir()] == [MARK]
    writer.perform([scribe.write("small", "x")], "x")
    writer.close()


def test_a_read_only_share_says_so_and_takes_up_again(filesystem):
    root = filesystem("tmpfs", 1)
    writer = Scribe(root)
    writer.establish("x")
    command("mount", "-o", "remount,ro", root)
    with pytest.raises(ShareUnavailable) as caught:
        writer.perform([scribe.mkdir("a")], "x")
    assert caught.value.code == "share.read_only"
    command("mount", "-o", "remount,rw", root)
    writer.perform([scribe.mkdir("a")], "x")
    writer.close()


def test_a_frozen_share_holds_one_caller_until_its_deadline_and_nobody_after_the_thaw(filesystem):
    root = filesystem("ext4", 32)
    writer = established(Scribe(root, deadline=0.4))
    writer.perform([scribe.write("before", "x")], "x")
    command("fsfreeze", "-f", root)
    try:
        for _ in range(8):
            began = time.monotonic()
            with pytest.raises(ShareUnavailable) as caught:
                writer.perform([scribe.write("late", "x"), scribe.write("later", "x")], "late was not written")
            assert caught.value.code == "share.stalled" and time.monotonic() - began < 5
        assert writer.stuck() <= 3
        began = time.monotonic()
        with ThreadPoolExecutor(20) as pool:
            refused = list(pool.map(lambda n: _code(writer, n), range(40)))
        assert set(refused) == {"share.stalled"} and time.monotonic() - began < 5
    finally:
        command("fsfreeze", "-u", root)
    until(lambda: _code(writer, 1) == "")
    assert (root / "before").read_text() == "x"
    until(lambda: writer.stuck() == 0)
    assert not (root / "later").exists(), "an abandoned process went on with its steps"
    writer.close()


def test_of_many_callers_one_at_a_time_waits_for_a_frozen_share(filesystem):
    root = filesystem("ext4", 32)
    writer = established(Scribe(root, deadline=0.4, width=20, stuck_at_most=100))
    command("fsfreeze", "-f", root)
    try:
        _code(writer, 0)

        def waited(number: int) -> bool:
            began = time.monotonic()
            assert _code(writer, number) == "share.stalled"
            return time.monotonic() - began > 0.2

        with ThreadPoolExecutor(20) as pool:
            assert sum(pool.map(waited, range(40))) <= 1
    finally:
        command("fsfreeze", "-u", root)
    writer.close()


def test_no_more_processes_hang_than_allowed(filesystem):
    root = filesystem("ext4", 32)
    writer = established(Scribe(root, deadline=0.2, stuck_at_most=1))
    command("fsfreeze", "-f", root)
    try:
        ends = time.monotonic() + scribe.TRIAL_EVERY + 0.5
        while time.monotonic() < ends:
            assert _code(writer, 0) == "share.stalled" and writer.stuck() == 1
        assert len(children()) == 1
    finally:
        command("fsfreeze", "-u", root)
    until(lambda: _code(writer, 1) == "")
    writer.close()


def established(writer: Scribe) -> Scribe:
    """Its deadline is short, and the first process takes a while to start on a busy machine."""

    def done() -> bool:
        with suppress(ShareUnavailable):
            writer.establish("x")
            return True
        return False

    until(done)
    return writer


def _code(writer: Scribe, number: int) -> str:
    try:
        writer.perform([scribe.write(f"file{number}", "x")], "x")
        return ""
    except ShareUnavailable as error:
        return error.code


def test_a_process_with_a_hanging_share_still_ends(filesystem):
    root = filesystem("ext4", 32)
    program = (
        "import sys; from pathlib import Path\n"
        "from winslow_nomad.resources.scribe import Scribe, write\n"
        "from winslow_nomad.core.errors import ShareUnavailable\n"
        f"s = Scribe(Path({str(root)!r}), deadline=0.3); s.establish('x')\n"
        "print('up', flush=True); sys.stdin.readline()\n"
        "try: s.perform([write('f', 'x')], 'x')\n"
        "except ShareUnavailable as e: print(e.code, flush=True)\n"
        "s.close()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    command("fsfreeze", "-f", root)
    try:
        out, _ = process.communicate("\n", timeout=3)
    finally:
        command("fsfreeze", "-u", root)
    assert out == "share.stalled\n" and process.returncode == 0


def test_a_forked_child_has_writing_processes_of_its_own(writer, root):
    writer.perform([scribe.write("a", "x")], "x")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for number in range(20):
                writer.perform([scribe.write(f"child{number}", "x")], "x")
            code = 0 if children() else 2
        finally:
            os._exit(code)
    for number in range(20):
        writer.perform([scribe.write(f"parent{number}", "x")], "x")
    assert os.waitpid(pid, 0)[1] == 0
    assert len(list(root.glob("child*"))) == len(list(root.glob("parent*"))) == 20


def test_bytes_put_at_their_place_twice_are_there_once(writer, root):
    (root / "log").write_bytes(b"line 1\nli")
    for _ in range(2):
        writer.perform([scribe.put("log", 9, os.fsdecode(b"ne \xff\n")), scribe.put("other", 0, "x")], "x")
    assert (root / "log").read_bytes() == b"line 1\nline \xff\n"
    assert (root / "other").read_bytes() == b"x"


def test_a_shorter_word_leaves_nothing_of_a_longer_one(writer, root):
    (root / "control").write_text("terminate\n")
    writer.perform([scribe.raise_word("control", "kill", ("run", "terminate", "kill"))], "control")
    assert (root / "control").read_text() == "kill\n"
