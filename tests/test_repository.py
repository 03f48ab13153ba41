"""The repository as a whole: pages that say what the code does, and nothing that belongs to one machine."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from typer.main import get_command

from winslow_nomad.cli.main import app
from winslow_nomad.config import Settings

ROOT = Path(__file__).parents[1]
# Said in two halves, so that this page does not find itself.
PLACES = ["/wor" + "k/", "/ro" + "ot/.py", "../sha" + "red", "artifact" + "ory", "/simp" + "le/", "index-" + "url ="]
NOT_TEXT = {".jpg", ".png", ".mp4", ".lock"}


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def commands() -> list[str]:
    return [str(c.name) for c in app.registered_commands] + [str(g.name) for g in app.registered_groups]


def test_the_page_about_the_command_line_names_every_command() -> None:
    text = page("cli.md")
    assert len(commands()) > 20
    assert [c for c in commands() if f"`winslow {c}" not in text] == []


def test_the_page_about_the_command_line_names_every_command_of_a_group() -> None:
    text = page("cli.md")
    names = [f"`winslow {g.name} {c.name}" for g in app.registered_groups for c in g.typer_instance.registered_commands]
    assert len(names) > 10 and [n for n in names if n not in text] == []


def test_every_variable_that_clients_read_is_documented() -> None:
    text = page("settings.md")
    for path in (ROOT / "winslow_nomad" / "client").glob("*.py"):
        for name in re.findall(r'"(WINSLOW_[A-Z_]+|XDG_[A-Z_]+)"', path.read_text(encoding="utf-8")):
            assert f"`{name}`" in text, name


def test_the_pages_name_no_command_and_no_job_that_does_not_exist() -> None:
    jobs = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"(?:`|^    )winslow ([a-z][a-z-]*)", text, re.MULTILINE)
        assert [c for c in named if c not in commands()] == [], path
        made = re.findall(r"(?:`|^    )make ([a-z][a-z-]*)", text, re.MULTILINE)
        assert [j for j in made if j not in jobs] == [], path


@pytest.mark.parametrize("script", ["make_diagrams.py", "make_errors.py"])
def test_what_the_pages_take_from_the_source_is_current(script: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, f"docs/{script}", "--check"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_code_in_the_source_is_on_the_page_of_errors() -> None:
    listed = set(re.findall(r"^\| `([a-z_.]+)` ", page("errors.md"), re.MULTILINE))
    for path in (ROOT / "winslow_nomad").rglob("*.py"):
        used = set(re.findall(r'\bcode\s*=\s*"([a-z_.]+)"', path.read_text(encoding="utf-8")))
        assert used <= listed, f"{path}: {used - listed}; run: make docs"


def test_every_setting_is_documented() -> None:
    text = page("settings.md")
    for field in fields(Settings):
        if field.name != "origins":
            assert re.search(rf"`\[?{field.name}\]?`|`WINSLOW_{field.name.upper()}`", text), field.name


def test_links_between_pages_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_every_page_is_in_the_index() -> None:
    text = page("index.md")
    assert [p.name for p in (ROOT / "docs").glob("*.md") if p.name != "index.md" and f"({p.name})" not in text] == []


def test_no_file_names_a_place_of_one_machine() -> None:
    for path in tracked():
        if path.suffix not in NOT_TEXT:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert [p for p in PLACES if p in text] == [], path


def test_the_lock_holds_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "--hash=sha256:" in lock and "://" not in lock and "--index" not in lock
    pinned = re.findall(r"^([a-zA-Z0-9._-]+)==", lock, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    names = [re.split(r"[^A-Za-z0-9_-]", w)[0].lower().replace("_", "-") for w in wanted]
    assert [n for n in names if n not in {p.lower().replace("_", "-") for p in pinned}] == []


def test_the_script_of_the_continuous_integration_runs_the_suite() -> None:
    assert "make --no-print-directory test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for script in ("run", "setup"):
        subprocess.run(["bash", "-n", f".ci/{script}"], cwd=ROOT, check=True)


def test_the_unit_for_systemd_starts_what_there_is_and_leaves_stages_alone() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read(ROOT / "deploy" / "winslow.service")
    service = unit["Service"]
    program, command, *options = shlex.split(service["ExecStart"])
    assert program.endswith("/.venv/bin/winslow")
    get_command(app).commands[command].make_context(command, options)  # type: ignore[attr-defined]
    assert service["KillMode"] == "process", "else systemd ends the stages, and the store that they report to"
    assert service["Environment"] == f"WINSLOW_HOME=/var/lib/{service['StateDirectory']}"
