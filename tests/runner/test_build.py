"""The build hook: what a wheel and an editable install contain; and the program for the other architecture."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runner.attempt import Attempt
from tests.waiting import until
from winslow_nomad.core.errors import Refused
from winslow_nomad.runner import ARCHITECTURES, binary
from winslow_nomad.runner import build as hook

ROOT = Path(__file__).resolve().parents[2]
MACHINES = {"amd64": 62, "arm64": 183}  # e_machine of ELF


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_binary_is_static_and_for_its_architecture(plain: Path, arch: str) -> None:
    content = binary(arch).read_bytes()
    assert content[:4] == b"\x7fELF" and int.from_bytes(content[18:20], "little") == MACHINES[arch]
    headers, size = int.from_bytes(content[32:40], "little"), int.from_bytes(content[54:56], "little")
    kinds = [
        int.from_bytes(content[at : at + 4], "little")
        for at in range(headers, headers + size * int.from_bytes(content[56:58], "little"), size)
    ]
    assert 3 not in kinds  # no program interpreter
    assert len(content) < 400_000


def test_machine_names_of_the_kernel_are_understood_and_unknown_ones_refused(plain: Path) -> None:
    assert binary("aarch64") == binary("arm64") and binary("x86_64") == binary("amd64")
    with pytest.raises(Refused, match="riscv64"):
        binary("riscv64")


def test_a_missing_binary_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("winslow_nomad.runner.__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(Refused, match=r"build\.py"):
        binary("amd64")


def copy_of_the_runner(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "winslow_nomad" / "runner", tmp_path / "runner"))


def run_build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(folder / "build.py")],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_a_build_that_is_up_to_date_compiles_nothing(plain: Path, tmp_path: Path) -> None:
    folder = copy_of_the_runner(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("bin/*/winslow-run")}
    assert run_build(folder).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in folder.glob("bin/*/winslow-run")} == before and len(before) == 2


def test_a_changed_source_that_does_not_compile_is_told_and_the_old_binary_stays(plain: Path, tmp_path: Path) -> None:
    folder = copy_of_the_runner(tmp_path)
    before = (folder / "bin/amd64/winslow-run").read_bytes()
    (folder / "json.c").write_text("#error this is told\n")
    result = run_build(folder)
    assert result.returncode != 0 and "this is told" in result.stderr
    assert (folder / "bin/amd64/winslow-run").read_bytes() == before


def test_the_digest_depends_on_every_source_and_header() -> None:
    names = {path.name for path in hook.sources()}
    assert {"main.c", "supervise.c", "carrier.c"} <= names


def test_a_wheel_holds_both_binaries_executable_and_fits_every_machine(plain: Path, tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    project = tmp_path / "project"
    project.mkdir()
    shutil.copytree(ROOT / "winslow_nomad" / "runner", project / "winslow_nomad" / "runner")
    (project / "winslow_nomad" / "__init__.py").write_text("")
    shutil.copytree(ROOT / "pipelines" / "traffic", project / "pipelines" / "traffic")
    (project / ".gitignore").write_text("bin/\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "winslow-nomad"\nversion = "0"\nrequires-python = ">=3.11"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["winslow_nomad"]\n'
        '[tool.hatch.build.hooks.custom]\npath = "winslow_nomad/runner/build.py"\n'
    )
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=project, check=True, capture_output=True
    )
    (wheel,) = project.glob("dist/*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as content:
        for arch in ARCHITECTURES:
            info = content.getinfo(f"winslow_nomad/runner/bin/{arch}/winslow-run")
            assert stat.S_IMODE(info.external_attr >> 16) & 0o111
            assert content.read(info) == binary(arch).read_bytes()
        taken = "winslow_nomad/resources/examples/traffic/pipeline.yaml"
        assert content.read(taken) == (ROOT / "pipelines" / "traffic" / "pipeline.yaml").read_bytes()


@pytest.fixture
def emulated(plain: Path) -> list[str]:
    if os.uname().machine == "aarch64":
        return [str(binary("arm64"))]
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if emulator is None:
        pytest.skip("qemu-user is not installed")
    return [emulator, str(binary("arm64"))]


def test_the_program_for_arm64_runs_a_command_to_its_end(emulated: list[str], make: Callable[..., Attempt]) -> None:
    attempt = make(emulated)  # type: ignore[arg-type]
    status, said = attempt.prepare("sh", "-c", "echo out; echo err >&2; exit 6").run("--owner", "arm")
    assert status == 6, said
    assert (attempt.log("out"), attempt.log("err")) == (b"out\n", b"err\n")
    assert attempt.end["cause"] == "exit" and attempt.claim["owner"] == "arm"
    assert attempt.in_order() in (b"out\nerr\n", b"err\nout\n")
    assert attempt.run()[0] == 90


def test_the_program_for_arm64_stops_politely(emulated: list[str], make: Callable[..., Attempt]) -> None:
    attempt = make(emulated)  # type: ignore[arg-type]
    runner = attempt.prepare("sh", "-c", "trap 'exit 42' TERM; echo ready; while :; do sleep 0.01; done").start()
    until(lambda: attempt.log() == b"ready\n")
    attempt.say("terminate")
    assert runner.wait(30) == 42 and attempt.end["cause"] == "stopped"
