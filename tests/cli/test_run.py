"""`winslow run` where nobody sits at a terminal: lines, answers for programs, and exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import Result

from tests.fakes.client import Plan, World
from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.core.messages import AnswerGate, CreateProject

Call = Callable[..., Result]
Told = Callable[..., dict[str, Any]]


def test_a_pipeline_that_succeeds_ends_with_0_and_lists_every_stage_and_its_results(
    winslow: Call, world: World, video: Path
) -> None:
    result = winslow("run", "street", "--input", str(video), "--yes")
    assert result.exit_code == 0, result.output
    assert "0001-detect: running" in result.output
    assert "0001-detect: succeeded" in result.output and "detections 1,204" in result.output
    (project,) = world.projects
    assert str(world.root / project / "stages" / "0003-track" / "output" / "tracks.csv") in result.output
    assert world.opened == ["engine local", "engine closed"]


def test_log_lines_of_stages_are_shown_between_the_lines_about_states(winslow: Call, video: Path) -> None:
    result = winslow("run", "street", "--input", str(video), "--yes")
    assert "0001-detect | frame 1" in result.output and "0001-detect | frame 2" in result.output
    places = [result.output.index(f"0001-detect{t}") for t in (": running", " | frame 1", " | told", ": succeeded")]
    assert places == sorted(places)


def test_a_flood_of_log_lines_is_shown_in_part_and_that_is_said(winslow: Call, world: World) -> None:
    world.plans["one"] = Plan(out=b"".join(b"line %d\n" % n for n in range(100_000)) + b"x" * 1_000_000 + b"\n")
    result = winslow("run", "plain")
    assert result.exit_code == 0
    assert "lines are not shown here; they are in the log" in result.output
    assert "line 99999" in result.output and "line 500\n" not in result.output
    assert max(map(len, result.output.splitlines())) < 1000


def test_yes_answers_a_confirmation_by_itself_and_says_so_with_what_was_to_be_looked_at(
    winslow: Call, world: World, video: Path
) -> None:
    result = winslow("run", "street", "--input", str(video), "--yes")
    assert "Answered with go, as --yes says" in result.output
    assert "0002-inspect/output/preview.jpg" in result.output
    assert [c.answer for c in world.sent if isinstance(c, AnswerGate)] == ["go"]


def test_a_gate_without_a_terminal_ends_with_3_and_says_how_to_answer_later(winslow: Call, video: Path) -> None:
    result = winslow("run", "street", "--input", str(video))
    assert result.exit_code == 3
    assert "winslow gate street-" in result.output and "--go (or --skip, --stop)" in result.output
    assert "/0002-inspect/output/counts.csv" in result.output
    assert "winslow run --resume street-" in result.output


def test_a_project_left_at_a_gate_goes_on_after_the_answer_and_with_resume(
    winslow: Call, world: World, video: Path
) -> None:
    winslow("run", "street", "--input", str(video))
    (project,) = world.projects
    assert winslow("gate", project, "--go").exit_code == 0
    result = winslow("run", "--resume", project)
    assert result.exit_code == 0, result.output
    assert len(world.projects) == 1
    assert "0001-detect | frame 1" not in result.output, "what ended before is history"


def test_a_stage_that_fails_ends_with_1_and_says_where_to_look(winslow: Call, world: World) -> None:
    world.plans["one"] = Plan(code=3)
    result = winslow("run", "plain")
    assert result.exit_code == 1
    assert "one ended with exit code 3" in result.output
    (project,) = world.projects
    assert f"winslow log {project} 1" in result.output and f"winslow redo {project} 1" in result.output


def test_a_failed_project_succeeds_after_redo_and_resume(winslow: Call, world: World) -> None:
    world.plans["one"] = Plan(code=3)
    winslow("run", "plain")
    (project,) = world.projects
    world.plans["one"] = Plan()
    assert winslow("redo", project, "one", "--set", "SPEED=9").exit_code == 0
    assert winslow("run", "--resume", project).exit_code == 0
    assert world.projects[project].ended[2].overrides.values == {"SPEED": "9"}


def test_a_project_that_is_stopped_ends_with_4(winslow: Call, world: World, video: Path) -> None:
    winslow("run", "street", "--input", str(video))
    (project,) = world.projects
    winslow("gate", project, "--stop")
    assert winslow("run", "--resume", project).exit_code == 4


def test_a_pause_asked_for_in_the_pipeline_ends_with_3(winslow: Call, world: World) -> None:
    plain = world.pipelines["plain"]
    first = plain.stages[0].but(pause_after=True)
    world.pipelines["plain"] = plain.but(stages=(first, plain.stages[1]))
    result = winslow("run", "plain")
    assert result.exit_code == 3 and "paused after 0001-one, as asked" in result.output


def test_a_store_that_is_away_ends_with_5_and_one_sentence(winslow: Call, world: World) -> None:
    world.broken = StoreUnavailable("The store did not answer within 5 s.", hint="Stages run on without it.")
    result = winslow("run", "plain")
    assert result.exit_code == 5
    assert result.stderr == (
        "winslow: The store did not answer within 5 s. Stages run on without it. [store.unavailable]\n"
    )


def test_the_json_of_a_run_is_one_object_with_exit_code_stages_and_outputs(told: Told, video: Path) -> None:
    answer = told("run", "street", "--input", str(video), "--yes")
    assert answer["exit"] == 0
    project = answer["project"]
    assert project["state"] == "succeeded" and project["values"] == {"VIDEO": "bikes.mp4"}
    assert [s["name"] for s in project["stages"]] == ["0001-detect", "0002-inspect", "0003-track"]
    assert project["stages"][0]["results"] == {"detections": 1204}
    assert Path(project["stages"][2]["output"]).is_dir()


def test_with_json_progress_goes_to_stderr(winslow: Call) -> None:
    result = winslow("run", "plain", "--json")
    assert result.stdout.startswith("{") and "0001-one: running" in result.stderr


def test_values_names_tags_and_driver_reach_the_project(winslow: Call, world: World, video: Path) -> None:
    args = ["--name", "Monday", "--set", "MIN_AREA=340", "--tag", "a", "--tag", "b", "--driver", "other"]
    winslow("run", "street", "--input", f"VIDEO={video}", *args)
    (project,) = world.projects.values()
    assert (project.name, project.tags, project.driver) == ("Monday", ("a", "b"), "other")
    assert project.values == {"MIN_AREA": "340", "VIDEO": "bikes.mp4"}
    assert project.author == "mara" and world.opened[0] == "engine other"


def test_a_project_without_a_name_is_named_after_pipeline_and_file(winslow: Call, world: World, video: Path) -> None:
    winslow("run", "street", "--input", str(video))
    (project,) = world.projects.values()
    assert project.name == "street bikes"


def test_a_sweep_says_how_many_stages_it_makes_and_runs_them(winslow: Call, world: World) -> None:
    result = winslow("run", "swept", "--sweep", "SPEED=1..5")
    assert "5 stages of try_out: SPEED takes 5 values" in result.output
    assert result.exit_code == 3, "five candidates and nobody to choose"
    assert "--choose STAGE" in result.output


def test_a_sweep_of_a_named_stage_with_two_axes_is_a_grid(winslow: Call, world: World) -> None:
    two = world.pipelines["swept"]
    world.pipelines["swept"] = two.but(environment={"MODE": "a"})
    winslow("run", "swept", "--sweep", "try_out.SPEED=1|2", "--sweep", "try_out.MODE=a|b")
    (project,) = world.projects.values()
    assert project.sweeps[1].total == 4


def test_a_required_secret_comes_from_the_environment_and_never_from_an_argument(winslow: Call, world: World) -> None:
    result = winslow("run", "secretive", LICENCE="open sesame")
    assert result.exit_code == 0, result.output
    assert world.secrets == {"LICENCE": "open sesame"}
    assert "open sesame" not in result.output
    (created,) = [c for c in world.sent if isinstance(c, CreateProject)]
    assert created.secrets == {"LICENCE": "secret:LICENCE"}


def test_a_secret_without_a_value_is_refused_before_a_project_exists(winslow: Call, world: World) -> None:
    result = winslow("run", "secretive", LICENCE="")
    assert result.exit_code == 2 and "[cli.secret_missing]" in result.stderr
    assert not world.projects


def test_missing_values_without_a_terminal_end_with_3_and_can_be_given_later(winslow: Call, world: World) -> None:
    result = winslow("run", "asking")
    assert result.exit_code == 3 and "--set CITY=... --set LANES=..." in result.output
    (project,) = world.projects
    assert winslow("gate", project, "--set", "CITY=Ulm", "--set", "LANES=4").exit_code == 0
    assert winslow("run", "--resume", project).exit_code == 0


def test_what_runs_for_hours_shows_no_history_of_other_projects(winslow: Call, world: World) -> None:
    winslow("run", "plain")
    first = next(iter(world.projects))
    result = winslow("run", "plain")
    assert first not in result.output
