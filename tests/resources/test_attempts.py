from __future__ import annotations

import json
import os
import signal
import stat
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.resources import some
from tests.resources.conftest import attempts_on, command
from tests.waiting import until
from winslow_nomad.core.errors import Refused, ShareUnavailable
from winslow_nomad.core.images import Image
from winslow_nomad.core.pipeline import Parameter, ParameterKind, Pipeline
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Attempt, Cause, EnvironmentValue, Outcome, Overrides, Source, StageState
from winslow_nomad.resources.scribe import Scribe

REF = AttemptRef(project="p1", stage=1, attempt=1)
FOLDER = "projects/p1/stages/0001-detect/attempts/1"


def variables(folder: Path) -> dict[str, str]:
    data = (folder / "environment").read_bytes()
    assert data.endswith(b"\0")
    return dict(part.decode("utf-8", "surrogateescape").split("=", 1) for part in data[:-1].split(b"\0"))


def argv(folder: Path) -> list[str]:
    data = (folder / "command").read_bytes()
    assert data == b"" or data.endswith(b"\0")
    return [part.decode() for part in data.split(b"\0")[:-1]]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() and not p.is_symlink() else b""
        for p in folder.rglob("*")
    }


def test_an_attempt_with_an_empty_workspace_is_ready_at_once(attempts, root):
    detect = some.definition(command=("python", "${WINSLOW_PIPELINE}/detect.py", "--min", "${MIN}", "a b\n'"))
    made = some.project(
        some.stage(1, definition=detect, folder="abc123"),
        pipeline=Pipeline(name="t", stages=(detect,), folder="newer", environment={"MIN": "300"}),
    )
    assert attempts.prepare(made, 1, 1) is None
    folder = root / FOLDER
    assert {p.name for p in folder.iterdir()} == {
        "command", "environment", "control", "workspace", "output", "log", "stages",
    }  # fmt: skip
    assert argv(folder) == ["python", f"{root}/pipelines/abc123/detect.py", "--min", "300", "a b\n'"]
    found = variables(folder)
    assert found["WINSLOW_WORKSPACE"] == found["HOME"] == str(folder / "workspace")
    assert found["WINSLOW_RESULTS"] == str(folder / "results") and found["PATH"] == "/usr/bin:/bin"
    assert found["WINSLOW_ATTEMPT"] == "p1/0001/1" and found["WINSLOW_STAGE"] == "detect"
    assert found["PYTHONUNBUFFERED"] == "1" and found["MIN"] == "300"
    assert stat.S_IMODE((folder / "environment").stat().st_mode) == 0o600
    assert (folder / "control").read_text() == "run\n"


def test_in_a_container_the_places_are_fixed(attempts, root):
    made = some.project(some.stage(1), driver="nomad")
    attempts.prepare(made, 1, 1)
    found = variables(root / FOLDER)
    assert (found["WINSLOW_INPUT"], found["WINSLOW_WORKSPACE"], found["HOME"]) == ("/input", "/workspace", "/workspace")
    assert "PATH" not in found and "WINSLOW_PIPELINE" not in found


def test_an_image_s_own_user_can_read_and_write_all_that_its_runner_needs(attempts, root):
    detect = some.definition(run_as="image")
    attempts.prepare(some.project(some.stage(1, definition=detect), driver="nomad"), 1, 1)
    folder = root / FOLDER
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in ("", "log", "output", "workspace")}
    assert set(modes.values()) == {0o777}, modes
    assert all(stat.S_IMODE((folder / name).stat().st_mode) & 0o004 for name in ("command", "environment", "control"))
    assert variables(folder)["WINSLOW_OPEN_MODES"] == "1"


def test_an_image_s_own_user_gets_no_secrets_since_everybody_could_read_them(attempts, root):
    values = (EnvironmentValue(name="KEY", value="secret:s1", origin="project", secret=True),)
    stage = some.stage(1, definition=some.definition(run_as="image"), environment=values)
    with pytest.raises(Refused) as caught:
        attempts.prepare(some.project(stage, driver="nomad"), 1, 1)
    assert caught.value.code == "stage.secret_as_image"
    assert not [p for p in root.rglob("*") if p.is_file() and b"swordfish" in p.read_bytes()]


def test_a_file_of_the_input_pool_becomes_its_real_path(attempts, root):
    detect = some.definition(command=("detect", "${VIDEO}"))
    pipeline = Pipeline(name="t", stages=(detect,), parameters={"VIDEO": Parameter(kind=ParameterKind.FILE)})
    attempts.prepare(
        some.project(some.stage(1, definition=detect), pipeline=pipeline, values={"VIDEO": "a/$HOME x.mp4"}), 1, 1
    )
    assert argv(root / FOLDER) == ["detect", f"{root}/inputs/a/$HOME x.mp4"]


def test_a_secret_reaches_the_environment_and_nothing_else(attempts, root):
    values = (EnvironmentValue(name="KEY", value="secret:s1", origin="project", secret=True),)
    made = some.project(some.stage(1, environment=values))
    attempts.prepare(made, 1, 1)
    assert variables(root / FOLDER)["KEY"] == "swordfish-swordfish"
    others = [p for p in root.rglob("*") if p.is_file() and b"swordfish" in p.read_bytes()]
    assert others == [root / FOLDER / "environment"]
    assert "swordfish" not in attempts.spec(made, 1, 1).model_dump_json()


def test_a_secret_in_the_command_is_refused_for_ever(attempts, root):
    values = (EnvironmentValue(name="KEY", value="secret:s1", origin="project", secret=True),)
    made = some.project(some.stage(1, environment=values, overrides=Overrides(command=("x", "${KEY}"))))
    with pytest.raises(Refused) as caught:
        attempts.prepare(made, 1, 1)
    assert caught.value.code == "expand.undefined"


TOOL = Image(
    name="registry.example.org/tool:1",
    digest="sha256:" + "0" * 64,
    entrypoint=("./run", "$HOME"),
    command=("--fast",),
    directory="/opt/tool",
    architectures=("amd64",),
)


def in_an_image(image: Image | None, **fields: object) -> Project:
    """Of a stage whose registry was asked already."""
    detect = some.definition(**{"image": TOOL.name, "command": None, **fields})
    tried = (Attempt(number=1, made=some.NOW, image=image),)
    return some.project(some.stage(1, definition=detect, attempts=tried), driver="nomad")


def test_a_stage_without_a_command_runs_what_its_image_runs_where_the_image_says(attempts, root):
    made = in_an_image(TOOL)
    attempts.prepare(made, 1, 1)
    assert argv(root / FOLDER) == ["./run", "$HOME", "--fast"]
    spec = attempts.spec(made, 1, 1)
    assert (spec.image, spec.starts_in) == (TOOL.pinned, "/opt/tool")
    assert spec.placement.require == ("arch.amd64",)


def test_the_arguments_of_a_stage_go_to_its_image_s_entry_point_which_works_in_the_workspace(attempts, root):
    made = in_an_image(TOOL.but(architectures=("amd64", "arm64")), command=("--slow", "${WINSLOW_STAGE}"))
    attempts.prepare(made, 1, 1)
    assert argv(root / FOLDER) == ["/opt/tool/./run", "$HOME", "--slow", "detect"]
    spec = attempts.spec(made, 1, 1)
    assert (spec.image, spec.starts_in, spec.placement.require) == (TOOL.pinned, "", ())


def test_what_was_prepared_before_its_image_was_known_is_made_anew(attempts, root):
    attempts.prepare(in_an_image(None, command=("--slow",)), 1, 1)
    made = in_an_image(TOOL, command=("--slow",))
    attempts.spec(made, 1, 1)
    assert argv(root / FOLDER) == ["/opt/tool/./run", "$HOME", "--slow"]


def test_an_image_s_name_has_its_variables_filled_in_and_no_secrets(attempts):
    values = (
        EnvironmentValue(name="TAG", value="7", origin="project"),
        EnvironmentValue(name="KEY", value="secret:s1", origin="project", secret=True),
    )
    detect = some.definition(image="registry.example.org/tool:${TAG}")
    made = some.project(some.stage(1, definition=detect, environment=values))
    assert attempts.image(made, 1) == "registry.example.org/tool:7"
    other = some.project(some.stage(1, overrides=Overrides(image="x.org/${KEY}"), environment=values))
    with pytest.raises(Refused):
        attempts.image(other, 1)


def test_a_stage_without_any_command_is_refused_by_name(attempts):
    made = some.project(some.stage(1, definition=some.definition(command=None)))
    with pytest.raises(Refused) as caught:
        attempts.prepare(made, 1, 1)
    assert caught.value.code == "stage.no_command" and "0001-detect" in str(caught.value)


def test_preparing_twice_changes_nothing_but_is_no_error(attempts, root):
    made = some.project(some.stage(1))
    attempts.prepare(made, 1, 1)
    (root / FOLDER / "workspace" / "mine").touch()
    before = tree(root / FOLDER)
    assert attempts.prepare(made, 1, 1) is None
    assert tree(root / FOLDER) == before


def test_a_late_prepare_does_not_bring_the_secrets_back_to_a_claimed_attempt(attempts, root):
    made = some.project(some.stage(1))
    attempts.prepare(made, 1, 1)
    (root / FOLDER / "environment").unlink()
    (root / FOLDER / "claim").write_text('{"kind":"runner"}')
    attempts.prepare(made, 1, 1)
    assert not (root / FOLDER / "environment").exists()


def test_a_late_prepare_does_not_take_back_a_stop(attempts, root):
    made = some.project(some.stage(1))
    attempts.prepare(made, 1, 1)
    attempts.control(REF, "terminate")
    attempts.prepare(made, 1, 1)
    assert (root / FOLDER / "control").read_text() == "terminate\n"


def test_the_same_attempt_gives_the_same_fingerprint_and_a_changed_one_another(attempts):
    made = some.project(some.stage(1))
    attempts.prepare(made, 1, 1)
    one = attempts.spec(made, 1, 1)
    assert one == attempts.spec(made, 1, 1) and one.directory == FOLDER
    changed = some.project(some.stage(1, overrides=Overrides(command=("other",))))
    assert attempts.spec(changed, 1, 1).fingerprint != one.fingerprint


def test_what_people_change_while_an_attempt_is_submitted_does_not_make_it_another(attempts):
    made = some.project(some.stage(1))
    attempts.prepare(made, 1, 1)
    one = attempts.spec(made, 1, 1)
    edited = made.pipeline.but(folder="newer", environment={"NEW": "1"})
    changed = made.but(priority=90, name="other", values={"X": "1"}, pipeline=edited)
    again = attempts.spec(changed, 1, 1)
    assert again.priority == 90
    assert again.fingerprint == one.fingerprint


@pytest.mark.parametrize("lost", ["command", "environment", "workspace", "all"])
def test_files_lost_with_the_power_are_made_again_before_anything_is_submitted(attempts, root, lost):
    made = some.project(some.stage(1))
    attempts.prepare(made, 1, 1)
    folder = root / FOLDER
    whole = tree(folder)
    if lost == "all":
        command("rm", "-rf", folder)
    elif lost == "workspace":
        (folder / lost).rmdir()
    else:
        (folder / lost).write_bytes(b"")
    attempts.spec(made, 1, 1)
    assert tree(folder) == whole


def test_earlier_stages_are_seen_by_their_names(attempts, root):
    track = some.stage(3, "track", inputs={"detect": 1, "skipped": 2})
    made = some.project(
        some.ended(1, "detect", attempt=2), some.ended(2, "skipped", attempt=0, state=StageState.SKIPPED), track
    )
    output = root / "projects/p1/stages/0001-detect/attempts/2/output"
    output.mkdir(parents=True)
    (output / "counts.csv").write_text("1")
    attempts.prepare(made, 3, 1)
    stages = root / "projects/p1/stages/0003-track/attempts/1/stages"
    assert [p.name for p in stages.iterdir()] == ["detect"]
    assert not (stages / "detect").readlink().is_absolute()
    assert (stages / "detect/counts.csv").read_text() == "1"
    assert attempts.spec(made, 3, 1).stages == {"detect": "projects/p1/stages/0001-detect/attempts/2/output"}


def test_a_gathered_sweep_has_an_entry_for_each_member_and_an_index(attempts, root):
    report = some.stage(9, "report", gathered={"detect": 4})
    members = [
        some.ended(5, sweep=4, point={"X": "1"}, results={"vehicles": 7}),
        some.ended(6, sweep=4, point={"X": "2"}, state=StageState.FAILED),
        some.ended(7, sweep=4, point={"X": "3"}, state=StageState.STOPPED, attempt=0),
        some.ended(8, sweep=3, point={"X": "1"}),
    ]
    attempts.prepare(some.project(report, *members), 9, 1)
    folder = root / "projects/p1/stages/0009-report/attempts/1/stages/detect"
    index = json.loads((folder / "index.json").read_text())
    assert [(e["stage"], e["state"], e["values"]["X"]) for e in index] == [
        (5, "succeeded", "1"), (6, "failed", "2"), (7, "stopped", "3"),
    ]  # fmt: skip
    assert index[0]["results"] == {"vehicles": 7} and index[0]["output"] == str(folder / "0005")
    assert index[2]["output"] is None
    assert {p.name for p in folder.iterdir()} == {"0005", "0006", "index.json"}
    assert os.path.normpath(folder / (folder / "0005").readlink()) == str(
        root / "projects/p1/stages/0005-detect/attempts/1/output"
    )


def test_members_of_a_shared_sweep_work_in_one_directory_made_once(attempts, root):
    source = Source(kind="sweep_shared", number=4)
    one, two = some.stage(5, sweep=4, source=source), some.stage(6, sweep=4, source=source)
    made = some.project(one, two, sweeps={4: some.sweep(4, workspace="shared")})
    assert attempts.prepare(made, 5, 1) is None
    (root / "projects/p1/sweeps/4/workspace/model.bin").touch()
    assert attempts.prepare(made, 6, 1) is None
    for number in (5, 6):
        folder = root / f"projects/p1/stages/{number:04d}-detect/attempts/1"
        assert (folder / "workspace/model.bin").exists()
        assert attempts.spec(made, number, 1).workspace == "projects/p1/sweeps/4/workspace"


# --- claim, cancel, control, end


def test_a_cancelled_attempt_can_never_run_and_says_so_each_time(attempts, root):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    first = attempts.cancel(REF)
    assert first is not None and first.cause is Cause.CANCELLED
    assert json.loads((root / FOLDER / "claim").read_text())["kind"] == "cancelled"
    assert attempts.cancel(REF) == attempts.end(REF) == first
    assert not (root / FOLDER / "environment").exists()


def test_an_attempt_that_a_runner_has_is_not_cancelled(attempts, root):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    (root / FOLDER / "claim").write_text("")  # made, and not written yet
    assert attempts.cancel(REF) is None and attempts.end(REF) is None
    assert not (root / FOLDER / "end.json").exists()


def test_cancelling_what_has_ended_tells_how_it_ended(attempts, root):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    (root / FOLDER / "claim").write_text('{"kind":"runner"}')
    (root / FOLDER / "end.json").write_text('{"format":1,"token":"t","by":"runner","cause":"exit","code":0}')
    outcome = attempts.cancel(REF)
    assert outcome is not None and outcome.succeeded


def test_a_cancel_whose_end_was_not_published_is_completed_by_the_next(attempts, root):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    (root / FOLDER / "claim").write_text('{"format":1,"token":"another","kind":"cancelled"}')
    outcome = attempts.cancel(REF)
    assert outcome is not None and outcome.cause is Cause.CANCELLED and (root / FOLDER / "end.json").exists()


def test_what_was_never_prepared_is_cancelled_without_a_trace(attempts, root):
    outcome = attempts.cancel(REF)
    assert outcome is not None and outcome.cause is Cause.CANCELLED and not (root / "projects").exists()


RUNNER = """
import os, sys
folders = sys.stdin.read().split()
won = []
for folder in folders:
    try:
        fd = os.open(folder + "/claim", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        os.write(fd, b'{"kind":"runner"}')
        os.fsync(fd)
        os.close(fd)
        won.append(folder)
    except FileExistsError:
        pass
print("\\n".join(won))
"""


def test_what_fails_before_any_runner_can_claim_it_ends_with_its_own_cause_and_never_runs(attempts, root):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    failed = Outcome(cause=Cause.EXEC_FAILED, message="there is no such image")
    assert attempts.claim_of(REF) is None
    assert attempts.cancel(REF, failed).cause is Cause.EXEC_FAILED
    assert json.loads(attempts.claim_of(REF))["kind"] == "cancelled"
    assert attempts.cancel(REF).message == "there is no such image"


class Spool:
    """core.ports.Spool over bytes."""

    def __init__(self, **streams: bytes) -> None:
        self.streams = streams
        self.reads: list[tuple[str, int, int]] = []

    def sizes(self) -> dict[str, int] | None:
        return {name: len(data) for name, data in self.streams.items()} or None

    def size(self, stream: str) -> int | None:
        return len(self.streams[stream]) if stream in self.streams else None

    def read(self, stream: str, offset: int, count: int) -> bytes:
        self.reads.append((stream, offset, count))
        return self.streams[stream][offset : offset + count]


def test_the_end_of_a_log_that_a_killed_runner_left_behind_is_brought_to_the_share_byte_by_byte(attempts, root):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    spool = Spool(out=os.urandom(2_500_000), err=b"", index=os.urandom(160))
    log = root / FOLDER / "log"
    (log / "out").write_bytes(spool.streams["out"][:1_000_001])
    (log / "index").write_bytes(spool.streams["index"][:37])
    for _ in range(2):
        assert attempts.complete_log(REF, spool)
    assert (log / "out").read_bytes() == spool.streams["out"]
    assert (log / "index").read_bytes() == spool.streams["index"]
    assert not (log / "err").exists()
    assert [read[:2] for read in spool.reads] == [("out", 1_000_001), ("out", 2_048_577), ("index", 37)]


def test_without_a_spool_the_log_stays_as_it_is(attempts, root):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    (root / FOLDER / "log/out").write_bytes(b"begun")
    assert not attempts.complete_log(REF, Spool())
    assert not attempts.complete_log(AttemptRef(project="nobody", stage=1, attempt=1), Spool(out=b"x"))
    assert (root / FOLDER / "log/out").read_bytes() == b"begun"


def test_a_claim_raced_by_runners_and_a_cancel_has_one_owner(attempts, root):
    stages = [some.stage(n) for n in range(1, 61)]
    made = some.project(*stages)
    for one in stages:
        attempts.prepare(made, one.number, 1)
    folders = {n: root / f"projects/p1/stages/{n:04d}-detect/attempts/1" for n in range(1, 61)}
    runners = [
        subprocess.Popen([sys.executable, "-S", "-c", RUNNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for runner in runners:
        assert runner.stdin is not None
        runner.stdin.write("\n".join(map(str, folders.values())))
        runner.stdin.close()
    cancelled = {str(folders[n]) for n in range(60, 0, -1) if attempts.cancel(REF.but(stage=n)) is not None}
    won = [line for r in runners if r.stdout is not None for line in r.stdout.read().split()]
    for runner in runners:
        runner.wait()
        if runner.stdout is not None:
            runner.stdout.close()
    assert sorted([*won, *cancelled]) == sorted(map(str, folders.values()))
    assert cancelled, "the race had only one side"


def test_the_first_end_counts(attempts, root):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    superseded = Outcome(cause=Cause.SUPERSEDED, message="its node was lost", ended=some.NOW)
    assert attempts.publish_end(REF, superseded).cause is Cause.SUPERSEDED
    later = attempts.publish_end(REF, Outcome(cause=Cause.EXIT, code=0))
    assert later.cause is Cause.SUPERSEDED and later.message == "its node was lost"
    record = json.loads((root / FOLDER / "end.json").read_text())
    assert {"format", "token", "by", "cause", "code", "signal", "started", "ended", "cpu_seconds"} <= set(record)
    assert {"peak_memory_bytes", "log", "message"} <= set(record)


def test_an_end_comes_with_its_results(attempts, root):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    assert attempts.end(REF) is None
    (root / FOLDER / "results").write_text("vehicles=3\n nonsense\n=x\nvehicles = 12\nmean=4.5\r\ntext=a=b\n")
    (root / FOLDER / "end.json").write_text('{"format":1,"cause":"exit","code":0,"new_field":1}')
    outcome = attempts.end(REF)
    assert outcome is not None and outcome.results == {"vehicles": "12", "mean": "4.5", "text": "a=b"}
    assert "line 2, 3" in outcome.message


def test_too_many_results_are_cut_and_said(attempts, root):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    (root / FOLDER / "results").write_bytes(b"".join(b"k%d=%s\n" % (n, b"x" * 100) for n in range(20_000)))
    (root / FOLDER / "end.json").write_text('{"cause":"exit","code":0}')
    outcome = attempts.end(REF)
    assert outcome is not None and len(outcome.results) == 1000 and "1000 keys" in outcome.message


@pytest.mark.parametrize("make", ["fifo", "link", "folder"])
def test_results_that_are_no_file_are_said_and_never_read(attempts, root, make):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    path = root / FOLDER / "results"
    {"fifo": lambda: os.mkfifo(path), "link": lambda: path.symlink_to("/etc/passwd"), "folder": path.mkdir}[make]()
    (root / FOLDER / "end.json").write_text('{"cause":"exit","code":0}')
    outcome = attempts.end(REF)
    assert outcome is not None and outcome.succeeded and outcome.results == {} and "results" in outcome.message


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cause":"exi', '{"cause":"glory"}', "\xff\xff"])
def test_an_end_that_cannot_be_read_is_never_a_success(attempts, root, text):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    (root / FOLDER / "end.json").write_bytes(text.encode("latin-1"))
    outcome = attempts.end(REF)
    assert outcome is not None and outcome.cause is Cause.RUNNER_LOST and not outcome.succeeded


# --- the share in trouble


def test_below_five_percent_free_nothing_starts_and_the_largest_things_are_named(filesystem, book, clock):
    root = filesystem("tmpfs", 10)
    writer = Scribe(root)
    writer.establish("x")
    attempts = attempts_on(writer, book, clock, largest=lambda: "0001-detect holds 9 MiB that may go.")
    filler = root / "inputs"
    filler.write_bytes(b"x" * int(9.8 * (1 << 20)))
    with pytest.raises(ShareUnavailable) as caught:
        attempts.prepare(some.project(some.stage(1)), 1, 1)
    assert caught.value.code == "share.full" and "0001-detect holds 9 MiB" in str(caught.value)
    assert not (root / "projects").exists()
    filler.unlink()
    assert attempts.prepare(some.project(some.stage(1)), 1, 1) is None
    writer.close()


def test_a_frozen_share_stalls_a_prepare_in_time_and_loses_nothing(filesystem, book, clock):
    root = filesystem("ext4", 32)
    writer = Scribe(root, deadline=1.5)
    writer.establish("x")
    attempts = attempts_on(writer, book, clock)
    made = some.project(some.stage(1), some.stage(2))
    attempts.prepare(made, 1, 1)
    command("fsfreeze", "-f", root)
    try:
        began = time.monotonic()
        with pytest.raises(ShareUnavailable) as caught:
            attempts.prepare(made, 2, 1)
        assert caught.value.code == "share.stalled" and time.monotonic() - began < 8
        assert "attempt 1 of 0002-detect" in str(caught.value)
        assert attempts.end(REF) is None and attempts.spec(made, 1, 1).ref == REF  # reading goes on
        with pytest.raises(ShareUnavailable):
            attempts.control(REF, "terminate")
    finally:
        command("fsfreeze", "-u", root)
    until(lambda: _prepared(attempts, made))
    attempts.control(REF, "kill")
    assert (root / FOLDER / "control").read_text() == "kill\n"
    assert argv(root / "projects/p1/stages/0002-detect/attempts/1") == ["python", "detect.py"]
    writer.close()


def _prepared(attempts, made) -> bool:
    try:
        return attempts.prepare(made, 2, 1) is None
    except ShareUnavailable:
        return False


def test_preparing_with_an_empty_workspace_takes_two_milliseconds(attempts):
    made = some.project(*[some.stage(n) for n in range(1, 121)])
    times = []
    for number in range(1, 121):
        began = time.perf_counter()
        attempts.prepare(made, number, 1)
        times.append(time.perf_counter() - began)
    assert statistics.median(times) < 0.003


def test_an_attempt_is_found_by_its_numbers_after_a_restart(attempts, writer, book, clock, root):
    attempts.prepare(some.project(some.stage(1)), 1, 1)
    (root / "projects/p1/stages/.0001-tmp").mkdir()
    fresh = attempts_on(writer, book, clock)
    fresh.control(REF, "terminate")
    assert (root / FOLDER / "control").read_text() == "terminate\n"


def test_the_node_of_the_workspace_it_continues_from_is_told(attempts, root, book):
    made = some.project(
        some.ended(1, node="n7"),
        some.stage(2, "track", source=Source(kind="stage", number=1), attempts=(Attempt(number=1, made=some.NOW),)),
    )
    (root / FOLDER / "workspace").mkdir(parents=True)
    assert attempts.prepare(made, 2, 1) == "workspace-p1-0002-1"
    (root / "projects/p1/stages/0002-track/attempts/1/workspace").mkdir()
    assert attempts.spec(made, 2, 1).previous_node == "n7"


def test_nodes_that_lost_it_or_could_not_start_it_are_to_be_avoided_and_no_others(attempts, root, book):
    causes = (Cause.RUNNER_LOST, Cause.EXIT, Cause.SUPERSEDED, Cause.STOPPED, Cause.NODE_LOST, Cause.RUNNER_LOST)
    nodes = ("n1", "n2", "n3", "n4", "n1", "")
    ended = tuple(
        Attempt(number=n, made=some.NOW, state="ended", node=node, outcome=Outcome(cause=cause))
        for n, (cause, node) in enumerate(zip(causes, nodes, strict=True), 1)
    )
    number = len(ended) + 1
    made = some.project(some.stage(1, attempts=(*ended, Attempt(number=number, made=some.NOW))))
    attempts.prepare(made, 1, number)
    assert attempts.spec(made, 1, number).avoid == ("n1", "n3")


def test_killing_the_writing_process_in_the_middle_of_preparing_leaves_nothing_half(attempts, root):
    from tests.resources.test_scribe import children

    made = some.project(*[some.stage(n) for n in range(1, 31)])
    for number in range(1, 31):
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        attempts.prepare(made, number, 1)
        assert argv(root / f"projects/p1/stages/{number:04d}-detect/attempts/1") == ["python", "detect.py"]
