"""What a stage of the local driver can reach: all it needs to work, and nothing of Winslow or of others."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from tests.contracts.driver_cases import LocalCase
from tests.waiting import until
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.driver.local.confine import landlock_version, rules

pytestmark = pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")

PROBE = r"""
import json, os, pathlib, sys
answers = {}
def attempt(name, action):
    try:
        action()
        answers[name] = "yes"
    except OSError as error:
        answers[name] = type(error).__name__
for name, kind, path in json.loads(sys.argv[1]):
    p = pathlib.Path(path)
    def make(p=p):
        p.write_text("x")
        p.unlink()
    attempt(name, {"read": p.read_bytes, "list": lambda p=p: os.listdir(p), "append": lambda p=p: p.open("a"),
                   "make": make, "remove": p.unlink}[kind])
pathlib.Path(os.environ["WINSLOW_OUTPUT"], "answers").write_text(json.dumps(answers))
"""


def answers(case: LocalCase, questions: list[tuple[str, str, Path]]) -> dict[str, str]:
    ref = AttemptRef(project=case.project, stage=90, attempt=1)
    asked = json.dumps([(name, kind, str(path)) for name, kind, path in questions])
    spec = case.attempts.make(ref, (sys.executable, "-c", PROBE, asked))
    case.specs.append(spec)
    case.driver.submit(spec)
    until(lambda: case.attempts.end(ref))
    assert case.attempts.end(ref).succeeded, case.attempts.output(ref, "err")
    return json.loads((case.attempts.directory(ref) / "output/answers").read_text())


def test_a_stage_reaches_neither_winslows_home_nor_other_projects_nor_changes_its_inputs(
    case: LocalCase,
) -> None:
    share, home = case.base / "share", case.base / "home"
    own = case.attempts.directory(AttemptRef(project=case.project, stage=90, attempt=1))
    (home / "secret.key").write_text("s")
    (home / "store").mkdir()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(home / "store/socket"))
    others = share / "projects/other/stages/0001-work/attempts/1"
    (others / "output").mkdir(parents=True)
    (others / "environment").write_text("SECRET=1")
    (share / "inputs").mkdir()
    (share / "inputs/video").write_text("v")
    (share / "pipelines").mkdir()
    (share / "pipelines/main.py").write_text("p")
    found = answers(
        case,
        [
            ("key", "read", home / "secret.key"),
            ("home", "list", home),
            ("store", "list", home / "store"),
            ("bookings", "list", home / "local/attempts"),
            ("other project", "list", others),
            ("its secrets", "read", others / "environment"),
            ("writing there", "make", others / "output/x"),
            ("a change of an input", "append", share / "inputs/video"),
            ("a new input", "make", share / "inputs/new"),
            ("removal of an input", "remove", share / "inputs/video"),
            ("a pipeline", "append", share / "pipelines/main.py"),
            ("its own end", "make", own / "end.json"),
            ("its own control", "append", own / "control"),
            ("somewhere else", "make", Path("/var/tmp/escaped")),
            ("the system", "make", Path("/etc/escaped")),
        ],
    )
    listening.close()
    assert set(found.values()) == {"PermissionError"}, found
    assert (share / "inputs/video").read_text() == "v"


def test_a_stage_can_do_all_that_a_program_normally_does(case: LocalCase) -> None:
    share = case.base / "share"
    own = case.attempts.directory(AttemptRef(project=case.project, stage=90, attempt=1))
    (share / "inputs").mkdir()
    (share / "inputs/video").write_text("v")
    found = answers(
        case,
        [
            ("input", "read", share / "inputs/video"),
            ("workspace", "make", own / "workspace/x"),
            ("output", "make", own / "output/x"),
            ("results", "append", own / "results"),
            ("progress", "append", own / "progress"),
            ("temporary", "make", Path("/tmp/winslow-confinement-test")),
            ("shared memory", "make", Path("/dev/shm/winslow-confinement-test")),
            ("null", "append", Path("/dev/null")),
            ("processes", "read", Path("/proc/self/status")),
            ("names", "read", Path("/etc/passwd")),
        ],
    )
    assert set(found.values()) == {"yes"}, found


def test_python_with_subprocesses_threads_ssl_and_numpy_works_in_a_stage(case: LocalCase) -> None:
    program = """
import multiprocessing, numpy, ssl, subprocess, tempfile, threading
assert ssl.create_default_context()
assert numpy.arange(10).sum() == 45
assert subprocess.run(["sh", "-c", "echo out | cat; echo err >/dev/stderr"], capture_output=True).stdout == b"out\\n"
with tempfile.TemporaryDirectory() as name, open(f"{name}/f", "w") as file:
    file.write("x")
t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
with multiprocessing.get_context("spawn").Pool(1) as pool:
    assert pool.map(abs, [-1]) == [1]
"""
    ref = AttemptRef(project=case.project, stage=91, attempt=1)
    spec = case.attempts.make(ref, (sys.executable, "-c", program))
    case.specs.append(spec)
    case.driver.submit(spec)
    until(lambda: case.attempts.end(ref), 30.0)
    assert case.attempts.end(ref).succeeded, case.attempts.output(ref, "err")


def test_a_stage_reads_the_outputs_of_its_own_lineage_only(case: LocalCase) -> None:
    base = case.base / "share/projects" / case.project / "stages"
    for name in ("0001-detect", "0002-other"):
        (base / name / "attempts/1/output").mkdir(parents=True)
        (base / name / "attempts/1/output/f").write_text(name)
    ref = AttemptRef(project=case.project, stage=90, attempt=1)
    lineage = {"detect": f"projects/{case.project}/stages/0001-detect/attempts/1/output"}
    script = f"cat {base}/0001-detect/attempts/1/output/f; cat {base}/0002-other/attempts/1/output/f"
    spec = case.attempts.make(ref, ("sh", "-c", script), stages=lineage)
    case.specs.append(spec)
    case.driver.submit(spec)
    until(lambda: case.attempts.end(ref))
    assert case.attempts.output(ref) == "0001-detect"
    assert case.attempts.end(ref).code == 1


def test_where_winslow_itself_lives_in_tmp_a_stage_gets_a_temporary_directory_of_its_own(
    tmp_path: Path,
) -> None:
    case = LocalCase(tmp_path)
    try:
        ref = AttemptRef(project=case.project, stage=90, attempt=1)
        spec = case.attempts.make(ref, ("sh", "-c", 'echo "$TMPDIR"; mktemp; ls /tmp'))
        case.specs.append(spec)
        case.driver.submit(spec)
        until(lambda: case.attempts.end(ref))
        own, made = case.attempts.output(ref).splitlines()
        assert made.startswith(own) and own.startswith(str(tmp_path / "home"))
        assert "cannot open directory '/tmp'" in case.attempts.output(ref, "err")
    finally:
        case.close()


def test_links_are_never_followed_into_what_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "beside").mkdir()
    (tmp_path / "link").symlink_to("home")
    entries = rules(forbidden=[tmp_path / "link"], readable=[], writable=[]).split(b"\0")
    mine = [e for e in entries if e.startswith(f"ro:{tmp_path}".encode())]
    assert mine == [f"ro:{tmp_path}/beside".encode()]


def test_a_share_that_lies_in_winslows_home_opens_nothing_else_of_it(tmp_path: Path) -> None:
    projects = tmp_path / "home/share/projects"
    (projects / "mine").mkdir(parents=True)
    (tmp_path / "home/secret.key").touch()
    listed = rules(forbidden=[tmp_path / "home", projects], readable=[projects.parent], writable=[projects / "mine"])
    mine = [e for e in listed.split(b"\0") if str(tmp_path).encode() in e]
    assert mine == [f"ro:{projects.parent}".encode(), f"rw:{projects}/mine".encode()]
