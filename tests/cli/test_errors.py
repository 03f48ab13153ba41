"""What a person reads when something is wrong: one sentence, a code, an exit code, never a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import Result

from tests.cli.person import ROOT
from tests.fakes.client import World
from winslow_nomad.cli import transfers, words
from winslow_nomad.core.errors import Conflict, DriverUnavailable, OutcomeUnknown, Refused, ShareUnavailable

Call = Callable[..., Result]


def test_a_message_is_a_sentence_a_hint_and_a_code_on_stderr(winslow: Call) -> None:
    result = winslow("show", "nothing")
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr == "winslow: There is no project 'nothing'. See winslow projects. [project.not_found]\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ShareUnavailable("The share is full.", code="share.full"), 5),
        (OutcomeUnknown("The store went away."), 5),
        (DriverUnavailable("The driver is away."), 5),
        (Refused("Not now."), 2),
        (Conflict("Somebody was quicker."), 2),
    ],
)
def test_exit_codes_tell_who_has_to_act(winslow: Call, world: World, error: Exception, code: int) -> None:
    world.broken = error
    assert winslow("projects").exit_code == code


def test_what_nobody_foresaw_is_a_sentence_and_a_file_with_the_details(winslow: Call, world: World) -> None:
    world.broken = ZeroDivisionError("in the middle")
    result = winslow("projects")
    assert result.exit_code == 70
    assert "Traceback" not in result.output and len(result.stderr.splitlines()) == 1
    found = re.search(r"details are in (\S+);", result.stderr)
    assert found is not None
    details = Path(found[1])
    assert "ZeroDivisionError: in the middle" in details.read_text() and details.stat().st_mode & 0o077 == 0
    details.unlink()


def test_a_value_that_the_core_would_not_take_is_wrong_usage(winslow: Call, video: Path) -> None:
    result = winslow("run", "street", "--input", str(video), "--set", "MIN_AREA=abc")
    assert result.exit_code == 2 and "MIN_AREA: 'abc' is not an integer" in result.stderr


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["run"], "cli.what_to_run"),
        (["run", "plain", "--resume", "x"], "cli.what_to_run"),
        (["run", "--resume", "x", "--set", "A=1"], "cli.what_to_run"),
        (["run", "/no/such/pipeline"], "pipeline.not_found"),
        (["run", "plain", "--set", "SPEED"], "cli.not_a_pair"),
        (["run", "plain", "--set", "SPEED=1", "--set", "SPEED=2"], "cli.given_twice"),
        (["run", "plain", "--set", "SPEDE=1"], "cli.unknown_parameter"),
        (["run", "plain", "--input", "/etc/passwd"], "cli.input_unclear"),
        (["run", "street", "--input", "/no/such/file.mp4"], "cli.input_missing"),
        (["run", "street", "--input", "/tmp"], "cli.input_kind"),
        (["run", "street", "--input", "VIDEO=/etc/passwd"], "cli.input_kind"),
        (["run", "swept", "--sweep", "SPEED=1..x"], "sweep.syntax"),
        (["run", "swept", "--sweep", "SPEED=9..99"], "value.range"),
        (["run", "swept", "--sweep", "nothing.SPEED=1..2"], "stage.unknown_definition"),
        (["run", "swept", "--sweep", "SPEED=1|2", "--sweep", "SPEED=3|4"], "cli.given_twice"),
        (["run", "plain", "--secret", "NOPE"], "cli.unknown_parameter"),
    ],
)
def test_bad_input_to_run_has_a_code_and_makes_no_project(
    winslow: Call, world: World, args: list[str], code: str
) -> None:
    result = winslow(*args)
    assert result.exit_code == 2, result.output
    assert f"[{code}]" in result.stderr
    assert not world.projects


def test_two_files_for_a_parameter_that_takes_one_are_refused(winslow: Call, video: Path) -> None:
    result = winslow("run", "street", "--input", str(video), "--input", str(video))
    assert "[cli.given_twice]" in result.stderr


def test_a_mistyped_file_name_is_answered_with_its_neighbour(winslow: Call, video: Path) -> None:
    result = winslow("run", "street", "--input", str(video.with_name("bike.mp4")))
    assert "Did you mean bikes.mp4?" in result.stderr


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["show", "P", "99"], "stage.not_found"),
        (["show", "P", "oen"], "stage.not_found"),
        (["redo", "P", "one", "--cpu", "0"], "cli.resources"),
        (["redo", "P", "one", "--memory", "lots"], "size.invalid"),
        (["redo", "P", "one", "--command", "echo 'open"], "cli.command"),
        (["redo", "P", "one", "--sweep", "WHAT=1..2"], "cli.unknown_parameter"),
        (["enqueue", "P", "three"], "stage.unknown_definition"),
        (["skip", "P", "one"], "stage.not_skippable"),
        (["reorder", "P", "1"], "stage.ended"),
        (["gate", "P", "--go"], "gate.none_open"),
    ],
)
def test_bad_input_about_a_project_has_a_code(winslow: Call, world: World, args: list[str], code: str) -> None:
    winslow("run", "plain", "--name", "P")
    before = dict(world.projects)
    result = winslow(*args)
    assert result.exit_code == 2 and f"[{code}]" in result.stderr, result.output
    assert world.projects == before


HOSTILE = ["../../etc/passwd", "🚗" * 60, "x" * 200, "$(reboot)", "; rm -rf /", "-rf"]


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2Jgone", "\u202egnp.exe"])
def test_a_name_that_would_play_tricks_on_who_reads_it_is_refused(winslow: Call, world: World, name: str) -> None:
    result = winslow("run", "plain", "--name", name)
    assert result.exit_code == 2 and "[project.name]" in result.output and not world.projects
    assert not any(sign in result.output for sign in ("\x1b[2J", "\u202e", "Traceback"))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_harmlessly_and_lead_nowhere(winslow: Call, world: World, name: str) -> None:
    result = winslow("run", "plain", "--name", name)
    assert result.exit_code == 0, result.output
    (project,) = world.projects
    assert re.fullmatch(r"plain-[a-z0-9]{6}", project), "no name becomes a path"
    for text in (result.output, winslow("projects").output, winslow("show", name).output):
        assert "\x1b[2J" not in text and "\u202e" not in text and "Traceback" not in text


VERBS = ["run", "redo", "set", "gate"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(args=st.lists(st.text(min_size=1, max_size=12), max_size=4), verb=st.sampled_from(VERBS))
def test_whatever_is_typed_there_is_no_traceback(winslow: Call, verb: str, args: list[str]) -> None:
    result = winslow(verb, *args)
    assert result.exit_code in (0, 2, 3, 4), result.output
    assert "Traceback" not in result.output


@given(st.text())
def test_no_text_steers_the_terminal(text: str) -> None:
    shown = words.safe(text)
    assert len(shown) == len(text)
    assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


def program(*args: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "winslow_nomad.cli", *args], stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE, env=env, cwd=ROOT,
    )  # fmt: skip


def test_a_reader_that_goes_away_is_no_error_worth_a_message() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = program("--help", stdout=writing)
    os.close(writing)
    _, told = process.communicate()
    assert b"Traceback" not in told and b"Exception" not in told


HEAVY = ("httpx", "redis", "rq", "fastapi", "nomad", "pydantic", "rich", "yaml", "simpleeval")


def test_help_loads_nothing_but_typer() -> None:
    code = (
        "import sys\n"
        "from winslow_nomad.cli.main import main\n"
        "sys.argv[1:] = ['--help']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        f"print('loaded:', [m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_every_command_explains_itself(winslow: Call) -> None:
    listed = winslow("--help").stdout.partition("Commands:")[2]
    names = re.findall(r"^  ([a-z][a-z-]*) ", listed, re.MULTILINE)
    assert len(names) > 20
    for name in names:
        result = winslow(name, "--help")
        assert result.exit_code == 0 and f"Usage: winslow {name}" in result.stdout.replace("root", "winslow")


def test_completion_can_be_installed(winslow: Call) -> None:
    assert "--install-completion" in winslow("--help").stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["users", "role", "vic", "boss"], "'boss' is not a role; nothing was done. There are admin, maintainer, "),
        (["tokens", "add", "vic", "--name", "x", "--scope", "zzz"], "There are files, manage, read and run. ["),
        (["files", "ls", "project:first"], "Before the colon stands a project's id or name, such as first:output, or "),
        (["files", "ls", "nowhere:x"], "There is no project 'nowhere'. Nothing was done. Before the colon stands"),
        (["run", "street", "--input", "VIDOE=/no/such/file.mp4"], "no parameter VIDOE. Did you mean VIDEO?"),
        (["run", "plain", "--set", "SPEDE=1"], "Did you mean SPEED?"),
        (["run", "plain", "--secret", "NOPE"], "The pipeline plain has no secret NOPE. It has none."),
    ],
)
def test_an_error_says_in_sentences_what_would_have_been_right(winslow: Call, args: list[str], says: str) -> None:
    result = winslow(*args)
    assert result.exit_code == 2 and says in result.stderr, result.stderr


def test_a_file_may_have_the_sign_of_a_pair_in_its_name(
    winslow: Call, video: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(video.parent)
    video.rename("a=b.mp4")
    missing = winslow("run", "street", "--input", "a=c.mp4")
    assert missing.exit_code == 2 and "no parameter a." in missing.stderr and not world.projects
    winslow("run", "street", "--input", "a=b.mp4")
    assert len(world.projects) == 1


def test_who_interrupts_a_transfer_is_told_what_became_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    class Files:
        report: object = None

    with pytest.raises(KeyboardInterrupt), transfers.shown(Files()):  # type: ignore[arg-type]
        raise KeyboardInterrupt
    assert "files that are complete stay; the same command again brings the rest." in capsys.readouterr().err


def test_a_home_that_is_a_file_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "h").write_text("")
    command = [sys.executable, "-m", "winslow_nomad.cli", "projects"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WINSLOW_HOME": str(tmp_path / "h")}
    environment.pop("REDIS_URL", None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 5 and "cannot be made: it is a file. Nothing was changed." in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_answer_that_a_full_disk_swallows_is_told_with_a_code_of_its_own(unbuffered: str, tmp_path: Path) -> None:
    for command in ("version", "schema"):  # into a buffer, and past it
        done = alone(command, stdout=Path("/dev/full"), home=tmp_path, PYTHONUNBUFFERED=unbuffered)
        assert done.returncode == 74, done.stderr
        assert b"stdout cannot be written: No space left on device" in done.stderr and b"[cli.output]" in done.stderr


def test_a_command_whose_streams_were_closed_does_what_it_does_and_keeps_its_exit_code(tmp_path: Path) -> None:
    """As some schedulers start programs. A file of ours must not take the place of one of the three either."""
    for typed, code in (("version >&-", 0), ("show nothing <&- >&- 2>&-", 2)):
        done = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m winslow_nomad.cli {typed}"],
            env=environment(tmp_path), capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, b"Traceback" in done.stderr) == (code, False), (typed, done.stderr)


def alone(*args: str, stdout: Path, home: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    with stdout.open("wb") as out:
        return subprocess.run(
            [sys.executable, "-m", "winslow_nomad.cli", *args],
            env=environment(home, **more), stdout=out, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip


def environment(home: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(home), "WINSLOW_HOME": str(home / "h"), **more}
