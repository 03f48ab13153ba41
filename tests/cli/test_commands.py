"""Every other command: what it sends, what it says, and what it says to programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.fakes.client import FakeClient, FakeDoors, Plan, World
from winslow_nomad import __version__
from winslow_nomad.cli.main import app
from winslow_nomad.core import messages as m
from winslow_nomad.core.allowance import Allowance
from winslow_nomad.core.begins import Begin
from winslow_nomad.core.client import Finding
from winslow_nomad.core.pipeline import GIB, Pipeline, StageDefinition
from winslow_nomad.core.stage import StageState
from winslow_nomad.core.verdicts import NodeVerdict

Call = Callable[..., Result]
Told = Callable[..., dict[str, Any]]


@pytest.fixture
def done(winslow: Call, world: World) -> str:
    """A project that has succeeded."""
    assert winslow("run", "plain", "--name", "done").exit_code == 0
    return next(iter(world.projects))


@pytest.fixture
def gated(winslow: Call, world: World, video: Path) -> str:
    """A project that waits at a confirmation."""
    assert winslow("run", "street", "--input", str(video)).exit_code == 3
    return next(iter(world.projects))


def last(world: World) -> Any:
    return world.sent[-1]


def test_projects_lists_what_there_is_as_a_table_and_as_json(winslow: Call, told: Told, done: str) -> None:
    result = winslow("projects")
    assert done in result.stdout and "succeeded" in result.stdout and "plain" in result.stdout
    (entry,) = told("projects")["projects"]
    assert entry["id"] == done and entry["name"] == "done" and entry["author"] == "mara"
    assert set(entry) == {"id", "name", "state", "pipeline", "author", "tags", "updated", "version"}


def test_projects_of_a_state_that_does_not_exist_is_refused_with_a_guess(winslow: Call) -> None:
    result = winslow("projects", "--state", "runing")
    assert result.exit_code == 2 and "Did you mean running?" in result.stderr


def test_an_empty_list_is_a_sentence(winslow: Call, told: Told) -> None:
    assert winslow("projects").stdout == "There are no projects.\n"
    assert told("projects")["projects"] == []


def test_show_finds_a_project_by_id_start_of_id_and_name(told: Told, done: str) -> None:
    for name in (done, done[:9], "done"):
        assert told("show", name)["project"]["id"] == done


def test_show_says_what_a_project_waits_for(winslow: Call, gated: str) -> None:
    text = winslow("show", gated).stdout
    assert "waits for you: Start track?" in text
    assert "0001-detect" in text and "detections 1,204" in text


def test_show_of_a_stage_that_waits_says_what_keeps_it_from_each_node(
    winslow: Call, told: Told, world: World, gated: str
) -> None:
    number = next(iter(world.projects[gated].stages))
    world.nodes = [NodeVerdict(node="birch", fits=True, free=False, text="2 of 2 GPUs in use")]
    said = " ".join(winslow("show", gated, str(number)).stdout.split())
    assert "birch yes no 2 of 2 GPUs in use" in said
    assert told("show", gated, str(number))["nodes"] == [world.nodes[0].model_dump()]
    assert "nodes" not in told("show", gated, "1"), "it has ended"


def test_show_says_when_what_waits_may_start(winslow: Call, told: Told, world: World, gated: str) -> None:
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    number = next(iter(world.projects[gated].stages))
    text = "about 40 min: 14 runs of detect took 12 to 15 min, and it is next"
    world.begins[number] = Begin(likely=at, earliest=at, latest=at, text=text)
    said = " ".join(winslow("show", gated).stdout.split())
    assert "may start in about 40 min" in said
    stages = {s["number"]: s["begins"] for s in told("show", gated)["project"]["stages"]}
    assert stages.pop(number)["text"] == text and not any(stages.values())


def test_show_of_a_stage_is_its_whole_record(winslow: Call, told: Told, done: str) -> None:
    record = told("show", done, "one")["record"]
    assert record["number"] == 1 and record["attempts"][0]["outcome"]["code"] == 0
    assert "attempts.1.outcome.cause" in winslow("show", done, "1").stdout


def test_the_json_of_a_project_keeps_its_keys(told: Told, gated: str) -> None:
    project = told("show", gated)["project"]
    assert set(project) == {
        "id", "name", "state", "reason", "version", "pipeline", "driver", "author", "tags", "priority", "values",
        "created", "updated", "trashed", "pause", "gates", "failures", "sweeps", "stages",
    }  # fmt: skip
    assert set(project["stages"][0]) == {
        "number", "id", "name", "state", "reason", "message", "queued", "started", "ended", "seconds", "attempts",
        "node", "results", "inputs", "sweep", "point", "redo_of", "values", "comment", "output", "begins",
    }  # fmt: skip
    assert set(project["gates"][0]) == {"id", "kind", "stage", "sweep", "question", "show", "missing", "since"}


def test_log_writes_the_bytes_of_a_stage_as_they_are(winslow: Call, world: World) -> None:
    world.plans["two"] = Plan(out=b"\xff\x00 binary\n")
    winslow("run", "plain", "--name", "logs")
    assert winslow("log", "logs", "two").stdout_bytes == b"\xff\x00 binary\ntold on stderr\n"
    assert winslow("log", "logs", "--stream", "err").stdout_bytes == b"told on stderr\n"
    assert winslow("log", "logs", "--stream", "both").exit_code == 2


def test_pause_resume_and_resume_one_only(winslow: Call, world: World, gated: str) -> None:
    assert winslow("pause", gated, "--comment", "lunch").exit_code == 0
    pause = world.projects[gated].pause
    assert pause is not None and pause.text == "lunch"
    assert winslow("resume", gated, "--single").exit_code == 0
    assert world.projects[gated].pause is None and world.projects[gated].single


def test_redo_carries_everything_that_was_changed(winslow: Call, world: World, done: str) -> None:
    changed = ["--set", "SPEED=3", "--env", "DEBUG=1", "--command", "sh -c 'echo hello'", "--image", "other:2"]
    result = winslow("redo", done, "one", *changed, "--cpu", "1.5", "--memory", "2 GiB", "--comment", "why not")
    assert result.exit_code == 0, result.output
    command = last(world)
    assert isinstance(command, m.RedoStage) and command.stage == 1 and command.comment == "why not"
    assert command.overrides.command == ("sh", "-c", "echo hello") and command.overrides.image == "other:2"
    assert command.overrides.values == {"SPEED": "3"} and command.overrides.environment == {"DEBUG": "1"}
    resources = command.overrides.resources
    assert resources is not None and (resources.cpu, resources.memory) == (1.5, 2 * GIB)
    assert command.actor == "mara"


def test_show_says_with_which_values_of_its_own_a_stage_runs(winslow: Call, done: str) -> None:
    assert winslow("redo", done, "one", "--set", "SPEED=3").exit_code == 0
    assert "-one (SPEED=3)" in winslow("show", done).stdout
    assert "0001-one " in winslow("show", done).stdout, "it ran with the values that all have"


def test_a_stage_that_has_not_started_is_changed_and_keeps_what_was_changed_before(
    winslow: Call, world: World, done: str
) -> None:
    assert winslow("redo", done, "one", "--set", "SPEED=3", "--cpu", "1.5").exit_code == 0
    changed = winslow("change", done, "one", "--memory", "2 GiB", "--env", "DEBUG=1", "--comment", "too small")
    assert changed.exit_code == 0, changed.output
    command = last(world)
    assert isinstance(command, m.ChangeQueued) and command.comment == "too small"
    stage = world.projects[done].stages[command.stage]
    assert stage.overrides.values == {"SPEED": "3"} and stage.overrides.environment == {"DEBUG": "1"}
    assert stage.overrides.resources is not None
    assert (stage.overrides.resources.cpu, stage.overrides.resources.memory) == (1.5, 2 * GIB)


def test_a_change_of_nothing_is_refused(winslow: Call, world: World, done: str) -> None:
    sent = len(world.sent)
    assert "[cli.nothing_to_do]" in winslow("change", done, "one").stderr
    assert len(world.sent) == sent
    assert "[stage.ended]" in winslow("change", done, "one", "--cpu", "2").stderr


def test_redo_as_a_sweep(winslow: Call, world: World, done: str) -> None:
    assert winslow("redo", done, "1", "--sweep", "SPEED=1..3").exit_code == 0
    assert last(world).sweep == {"SPEED": ("1", "2", "3")}


def test_enqueue_jumps_to_any_stage(winslow: Call, world: World, done: str) -> None:
    assert winslow("enqueue", done, "two", "--after", "one", "--at-once").exit_code == 0
    assert isinstance(last(world), m.EnqueueStage) and last(world).after == (1,) and last(world).at_once


def test_stop_of_a_project_and_of_a_stage_with_kill(winslow: Call, world: World, done: str) -> None:
    winslow("enqueue", done, "two")
    assert winslow("stop", done, "two", "--kill").exit_code == 0
    assert world.projects[done].ended[3].state is StageState.STOPPED
    assert winslow("stop", done).exit_code == 0
    assert isinstance(last(world), m.StopProject)


def test_skip_of_a_failed_stage_lets_the_project_succeed(winslow: Call, world: World) -> None:
    world.plans["two"] = Plan(code=1)
    winslow("run", "plain", "--name", "skipping")
    assert winslow("skip", "skipping", "two").exit_code == 0
    assert winslow("run", "--resume", "skipping").exit_code == 0


def test_reorder_names_queued_stages(winslow: Call, world: World, done: str) -> None:
    winslow("enqueue", done, "one")
    winslow("enqueue", done, "two")
    assert winslow("reorder", done, "4", "3").exit_code == 0
    assert last(world).stages == (4, 3)


def test_gate_shows_what_is_asked_and_takes_an_answer(winslow: Call, told: Told, world: World, gated: str) -> None:
    assert "g1: Start track?" in winslow("gate", gated).stdout
    (gate,) = told("gate", gated)["gates"]
    assert gate["kind"] == "confirm" and gate["look_at"][0].endswith("/0002-inspect/output/preview.jpg")
    assert winslow("gate", gated, "g1", "--skip").exit_code == 0
    assert last(world).answer == "skip"
    assert "asks nothing" in winslow("gate", gated).stdout


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["g9", "--go"], "gate.not_found"),
        (["--go", "--skip"], "gate.unclear"),
        (["--set", "WRONG=1"], "cli.unknown_parameter"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(winslow: Call, gated: str, args: list[str], code: str) -> None:
    result = winslow("gate", gated, *args)
    assert result.exit_code == 2 and f"[{code}]" in result.stderr


def test_a_stage_of_a_sweep_is_chosen_by_its_number(winslow: Call, world: World) -> None:
    winslow("run", "swept", "--sweep", "SPEED=1..3", "--name", "choosing")
    assert "[gate.unclear]" in winslow("gate", "choosing", "--go").stderr
    assert "2  SPEED=2  score 7" in winslow("gate", "choosing").stdout
    assert winslow("gate", "choosing", "--choose", "2").exit_code == 0
    assert winslow("run", "--resume", "choosing").exit_code == 0


def test_set_and_unset_change_values(winslow: Call, world: World, done: str) -> None:
    assert winslow("set", done, "SPEED=4").exit_code == 0
    assert world.projects[done].values == {"SPEED": "4"}
    assert winslow("set", done, "--unset", "SPEED").exit_code == 0
    assert world.projects[done].values == {}
    assert "[cli.nothing_to_do]" in winslow("set", done).stderr


def test_edit_replaces_the_projects_own_pipeline(winslow: Call, world: World, done: str) -> None:
    assert winslow("edit", done, "swept").exit_code == 0
    assert world.projects[done].pipeline.name == "swept"


def test_comment_is_kept_and_shown(winslow: Call, done: str) -> None:
    assert winslow("comment", done, "looks fine", "--stage", "two").exit_code == 0
    assert "mara on stage 2" in winslow("show", done).stdout


def test_delete_needs_a_yes_where_nobody_can_be_asked_and_restore_undoes_it(
    winslow: Call, world: World, done: str
) -> None:
    assert "[cli.not_confirmed]" in winslow("delete", done).stderr
    assert world.projects[done].trashed is None
    assert winslow("delete", done, "--yes").exit_code == 0
    assert world.projects[done].trashed is not None
    assert "in the trash" in winslow("redo", done, "one").stderr
    assert winslow("restore", done).exit_code == 0
    assert world.projects[done].trashed is None


def test_describe_changes_what_is_named_and_leaves_the_rest(winslow: Call, world: World, done: str) -> None:
    changed = ["--name", "street", "--tag", "red", "--tag", "b14", "--priority", "70"]
    assert winslow("describe", done, *changed, "--limit", "gpus=2 memory=1.5GiB", "--keep-failed", "30").exit_code == 0
    found = world.projects[done]
    assert (found.name, found.tags, found.priority) == ("street", ("red", "b14"), 70)
    assert found.limit == Allowance(gpus=2, memory=3 * 2**29) and found.keep.failed_days == 30
    assert winslow("describe", done, "--untag", "red", "--limit", "none", "--keep-failed", "default").exit_code == 0
    found = world.projects[done]
    assert (found.name, found.tags, found.limit, found.keep.failed_days) == ("street", ("b14",), Allowance(), None)
    for wrong, code in (
        ((), "cli.nothing_to_do"),
        (("--limit", "gpu=2"), "cli.not_a_limit"),
        (("--limit", ""), "cli.not_a_limit"),
        (("--keep-failed", "soon"), "cli.not_days"),
    ):
        result = winslow("describe", done, *wrong)
        assert result.exit_code == 2 and f"[{code}]" in result.stderr, wrong
    assert world.projects[done] == found


def test_clean_says_what_it_begins_and_whether_anybody_does_it(winslow: Call, world: World, done: str) -> None:
    result = winslow("clean", done)
    assert result.stdout == "What failed stages of done left behind goes to the trash.\n"
    assert "Nobody works on files here now" in result.stderr
    world.served = True
    assert winslow("clean", done).stderr == ""
    assert winslow("clean", "nothing-like-it").exit_code == 2


def test_validate_says_what_is_right_and_names_line_and_column_of_what_is_wrong(
    winslow: Call, told: Told, tmp_path: Path
) -> None:
    assert winslow("validate", "street").stdout == "street is right: 3 stages (detect, inspect, track)\n"
    assert [s["id"] for s in told("validate", "street")["pipeline"]["stages"]] == ["detect", "inspect", "track"]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("x")
    result = winslow("validate", str(wrong))
    assert result.exit_code == 2 and f"{wrong}:3:5: gpus is not a key here; did you mean gpu?" in result.stderr
    (problem,) = told("validate", str(wrong), code=2)["problems"]
    assert (problem["line"], problem["column"], problem["code"]) == (3, 5, "pipeline.unknown_key")


def test_validate_says_which_stages_only_their_image_can_tell(winslow: Call, told: Told, world: World) -> None:
    detect = StageDefinition(id="detect", image="registry.example.org/tool:1")
    world.pipelines["imaged"] = Pipeline(name="imaged", stages=(detect,))
    said = winslow("validate", "imaged").stdout
    assert "detect gives no command: it runs what the image registry.example.org/tool:1 runs by itself" in said
    assert len(told("validate", "imaged")["notes"]) == 1 and told("validate", "street")["notes"] == []
    refused = winslow("run", "imaged")
    assert refused.exit_code == 2 and "[stage.no_command]" in refused.stderr and not world.sent
    assert winslow("run", "imaged", "--driver", "nomad").exit_code == 0


def test_doctor_ends_with_1_only_when_something_has_to_be_put_right(winslow: Call, told: Told, world: World) -> None:
    world.findings = (Finding(severity="ok", subject="store", text="Valkey 9.1"),)
    assert winslow("doctor").exit_code == 0
    world.findings += (Finding(severity="problem", subject="share", text="It is full.", fix="Delete something."),)
    assert told("doctor", code=1)["findings"][1]["fix"] == "Delete something."
    assert "It is full. Delete something." in winslow("doctor").stdout


def test_doctor_looks_at_the_nodes_of_the_cluster_when_asked(winslow: Call, told: Told) -> None:
    assert [f["text"] for f in told("doctor", "--nomad")["findings"]] == ["ready"]
    assert told("doctor", "--nomad", "--image", "box:1")["findings"][1]["text"] == "sees the share, in box:1"
    assert winslow("doctor", "--image", "box:1").exit_code == 2


def test_what_is_about_this_machine_says_so_to_somebody_who_is_logged_in_elsewhere(world: World) -> None:
    doors = FakeDoors(world)
    doors.server = "https://winslow.example.org"
    for args in (["backup", "b"], ["rebuild"], ["restore-backup", "b"]):
        told = CliRunner().invoke(app, args, obj=doors).stderr
        assert told == f"This is about the data of this machine, in {world.root}. {doors.server} keeps its own.\n"


def test_the_rest_of_the_commands_do_what_they_say(winslow: Call, world: World, tmp_path: Path) -> None:
    assert winslow("rebuild").stdout == "3 projects restored.\n"
    assert str(tmp_path / "b") in winslow("backup", str(tmp_path / "b")).stdout
    assert "was restored" in winslow("restore-backup", "x").stdout
    assert json.loads(winslow("schema").stdout)["$schema"].startswith("https://json-schema.org/")
    for args in (["controller"], ["worker"], ["worker", "operations"]):
        assert winslow(*args).exit_code == 0
        assert world.opened[-1] == args[-1]
    assert winslow("worker", "everything").exit_code == 2


def test_version_says_its_number(winslow: Call, told: Told) -> None:
    assert winslow("version").stdout == f"winslow {__version__}\n"
    assert told("version") == {"format": 1, "version": __version__}


def test_every_command_carries_a_key_of_its_own(winslow: Call, world: World, done: str) -> None:
    winslow("comment", done, "once")
    winslow("comment", done, "once")
    assert len(world.projects[done].comments) == 2
    assert all(len(k) >= 6 for k in world.keys)


def test_a_command_that_nobody_carries_out_says_so(winslow: Call, world: World, done: str) -> None:
    told_so = "Nobody runs stages here now"
    assert told_so in winslow("redo", done, "one").stderr
    assert told_so in winslow("show", done).stderr, "else a stage seems to wait for its turn for ever"
    assert told_so not in winslow("show", done, "one").stderr
    assert told_so not in winslow("pause", done).stderr, "there is nothing to carry out"
    world.served = True
    assert told_so not in winslow("resume", done).stderr


def test_the_client_is_closed_after_each_command(world: World, done: str) -> None:
    assert FakeClient(world).project(done).id == done
    assert world.opened.count("engine local") == world.opened.count("engine closed") == 1
