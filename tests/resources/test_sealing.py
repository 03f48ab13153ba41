from __future__ import annotations

import json
import os

import pytest

from tests.resources import some
from tests.resources.conftest import attempts_on, command
from tests.waiting import until
from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.core.stage import Attempt, EnvironmentValue, Source, StageState
from winslow_nomad.resources.scribe import Scribe

STAGE = "projects/p1/stages/0001-detect"


def ran(attempts, root, **fields):
    """A stage with two attempts, the second of which ended well and left an output."""
    both = (Attempt(number=1, made=some.NOW), Attempt(number=2, made=some.NOW))
    stage = some.stage(1, attempts=both, **fields)
    for number in (1, 2):
        attempts.prepare(some.project(stage), 1, number)
    output = root / STAGE / "attempts/2/output"
    (output / "frames").mkdir()
    (output / "frames/0001.png").write_bytes(b"x" * 10)
    (output / "counts.csv").write_text("12")
    (output / os.fsdecode(b"\xff.bin")).write_text("x")
    return stage


def test_the_record_says_all_and_no_secret(attempts, root):
    values = (
        EnvironmentValue(name="MIN", value="300", origin="project"),
        EnvironmentValue(name="KEY", value="secret:s1", origin="project", secret=True),
    )
    stage = ran(
        attempts, root, environment=values, inputs={"given": 0}, results={"vehicles": 12}, comment="é 🎥", folder="d1"
    )
    attempts.seal(some.sealing(stage, author="ada", driver="nomad"), 1)
    text = (root / STAGE / "stage.json").read_text()
    record = json.loads(text)
    assert record["project"] == {"id": "p1", "name": "Crossroads", "author": "ada", "driver": "nomad"}
    assert record["pipeline"] == {"name": "traffic", "folder": "d1"}
    assert record["format"] == 1 and record["name"] == "0001-detect" and record["state"] == "succeeded"
    assert record["definition"]["command"] == ["python", "detect.py"] and record["node"] == "n1"
    assert record["environment"][0] == {"name": "MIN", "value": "300", "origin": "project", "secret": False}
    assert record["environment"][1] == {"name": "KEY", "value": "********", "origin": "project", "secret": True}
    assert "swordfish" not in text and "secret:s1" not in text
    assert record["counting_attempt"] == 2 and record["attempts"][1]["outcome"]["cpu_seconds"] == 1.5
    assert record["results"] == {"vehicles": 12} and record["comment"] == "é 🎥" and record["inputs"] == {"given": 0}
    sizes = {f["path"]: f["bytes"] for f in record["output"]["files"]}
    assert sizes == {"frames/0001.png": 10, "counts.csv": 2, "\udcff.bin": 1}
    assert record["output"]["bytes"] == 13 and record["output"]["complete"] is True


def test_links_lead_to_the_attempt_that_counts(attempts, root):
    attempts.seal(some.sealing(ran(attempts, root)), 1)
    for name in ("workspace", "output", "log"):
        link = root / STAGE / name
        assert str(link.readlink()) == f"attempts/2/{name}" and link.is_dir()


def test_secrets_of_attempts_that_never_read_them_are_gone_with_the_end(attempts, root):
    stage = ran(attempts, root)
    first, second = root / STAGE / "attempts/1", root / STAGE / "attempts/2"
    first.mkdir(exist_ok=True)
    for path in (first / "environment", second / "environment", second / ".environment.1234-5.tmp"):
        path.write_text("KEY=secret")
    attempts.seal(some.sealing(stage), 1)
    assert not [p for p in (root / STAGE).rglob("*environment*")]


def test_sealing_again_rewrites_nothing(attempts, root, writer, book, clock):
    stage = ran(attempts, root)
    attempts.seal(some.sealing(stage), 1)
    before = (root / STAGE / "stage.json").read_bytes()
    inode = (root / STAGE / "stage.json").stat().st_ino
    (root / STAGE / "attempts/2/output/late.txt").write_text("written after the end")
    again = some.sealing(stage.but(message="another message"))
    attempts.seal(again, 1)
    attempts_on(writer, book, clock).seal(again, 1)
    assert (root / STAGE / "stage.json").read_bytes() == before
    assert (root / STAGE / "stage.json").stat().st_ino == inode


def test_two_records_computed_at_once_leave_the_first(attempts, root, writer, reader):
    from winslow_nomad.resources.sealing import Sealing

    stage = ran(attempts, root)
    folder = root / STAGE
    sealing = Sealing(writer, reader)
    one = sealing._record(some.sealing(stage.but(message="one")), stage.but(message="one"), STAGE)
    two = sealing._record(some.sealing(stage.but(message="two")), stage.but(message="two"), STAGE)
    writer.perform(two, "x")
    writer.perform(one, "x")
    assert json.loads((folder / "stage.json").read_text())["message"] == "two"


def test_a_stage_that_never_ran_has_a_record_and_no_links(attempts, root):
    stage = some.stage(1, attempts=())
    attempts.seal(some.sealing(stage, state=StageState.SKIPPED), 1)
    assert [p.name for p in (root / STAGE).iterdir()] == ["stage.json"]
    assert not (root / "projects/p1/output").exists()


def test_the_view_shows_the_newest_output_of_each_stage_that_succeeded(attempts, root):
    attempts.seal(some.sealing(ran(attempts, root)), 1)
    view = root / "projects/p1/output"
    assert (view / "detect/counts.csv").read_text() == "12"
    assert str((view / "detect").readlink()) == "../stages/0001-detect/attempts/2/output"
    failed = some.stage(4)
    attempts.prepare(some.project(failed), 4, 1)
    others = {1: some.ended(1, attempt=2)}
    attempts.seal(some.sealing(failed, state=StageState.FAILED, others=others), 4)
    assert "0001-detect" in str((view / "detect").readlink())
    redo = some.stage(5)
    attempts.prepare(some.project(redo), 5, 1)
    attempts.seal(some.sealing(redo, others=others), 5)
    assert "0005-detect" in str((view / "detect").readlink())


def test_a_stale_copy_of_the_project_does_not_take_the_view_back(attempts, root):
    old = ran(attempts, root)
    redo = some.stage(5)
    attempts.prepare(some.project(redo), 5, 1)
    attempts.seal(some.sealing(redo), 5)
    attempts.seal(some.sealing(old), 1)
    assert "0005-detect" in str((root / "projects/p1/output/detect").readlink())


def test_a_deleted_view_comes_back_with_the_next_seal(attempts, root):
    stage = ran(attempts, root)
    attempts.seal(some.sealing(stage), 1)
    command("rm", "-r", root / "projects/p1/output")
    attempts.seal(some.sealing(stage), 1)
    assert (root / "projects/p1/output/detect/counts.csv").exists()


def test_the_workspace_of_a_shared_sweep_is_found_from_its_stages(attempts, root):
    stage = some.stage(1, sweep=4, source=Source(kind="sweep_shared", number=4))
    sweeps = {4: some.sweep(4, workspace="shared")}
    attempts.prepare(some.project(stage, sweeps=sweeps), 1, 1)
    (root / "projects/p1/sweeps/4/workspace/model").touch()
    attempts.seal(some.sealing(stage, sweeps=sweeps), 1)
    assert (root / STAGE / "workspace/model").exists()


def test_an_output_too_large_to_list_is_said_to_be_incomplete(attempts, root):
    stage = ran(attempts, root)
    many = root / STAGE / "attempts/2/output/many"
    many.mkdir()
    for number in range(5100):
        (many / str(number)).touch()
    attempts.seal(some.sealing(stage), 1)
    manifest = json.loads((root / STAGE / "stage.json").read_text())["output"]
    assert manifest["complete"] is False and len(manifest["files"]) == 5000


def test_a_full_share_seals_nothing_and_later_all(filesystem, book, clock):
    root = filesystem("tmpfs", 4)
    writer = Scribe(root)
    writer.establish("x")
    attempts = attempts_on(writer, book, clock)
    stage = ran(attempts, root)
    filler = root / "inputs"
    with pytest.raises(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    with pytest.raises(ShareUnavailable) as caught:
        attempts.seal(some.sealing(stage), 1)
    assert caught.value.code == "share.full" and "0001-detect was not sealed" in str(caught.value)
    assert not (root / STAGE / "stage.json").exists()
    filler.unlink()
    attempts.seal(some.sealing(stage), 1)
    assert json.loads((root / STAGE / "stage.json").read_text())["state"] == "succeeded"
    writer.close()


def test_a_share_frozen_while_sealing_ends_with_one_whole_record(filesystem, book, clock):
    root = filesystem("ext4", 32)
    writer = Scribe(root, deadline=0.4)
    writer.establish("x")
    attempts = attempts_on(writer, book, clock)
    stage = ran(attempts, root)
    command("fsfreeze", "-f", root)
    try:
        with pytest.raises(ShareUnavailable) as caught:
            attempts.seal(some.sealing(stage), 1)
        assert caught.value.code == "share.stalled"
    finally:
        command("fsfreeze", "-u", root)

    def sealed() -> bool:
        try:
            attempts.seal(some.sealing(stage), 1)
            return True
        except ShareUnavailable:
            return False

    until(sealed)
    assert json.loads((root / STAGE / "stage.json").read_text())["name"] == "0001-detect"
    writer.close()
