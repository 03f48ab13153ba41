"""Set-up on machines that lack something: `.ci/setup` says what, and does nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("bash", "cat", "cut", "dirname", "env", "flock", "id", "mkdir", "rm", "sha256sum")


class Machine:
    """A checkout, and a PATH with nothing but the plainest tools."""

    def __init__(self, root: Path) -> None:
        self.checkout = root / "checkout"
        self.bin = root / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool} here"))
        for name in (".ci/setup", "requirements.lock", "pyproject.toml", "winslow_nomad/runner/build.py"):
            target = self.checkout / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)

    def has(self, name: str, script: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!{self.bin}/bash\n{script}\n")
        path.chmod(0o755)

    def sets_up(self) -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.bin), "HOME": str(self.checkout), "LANG": "C"}
        bash = str(self.bin / "bash")
        return subprocess.run(
            [bash, str(self.checkout / ".ci/setup")], env=env, capture_output=True, text=True, check=False
        )

    def noted(self, name: str) -> list[str]:
        path = self.checkout / name
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


PYTHON = """
echo "$*" >> "$HOME/python"
if [ "$1" = -m ] && [ "$2" = venv ]; then mkdir -p "$3/bin"; cat "$0" > "$3/bin/python"; {chmod} +x "$3/bin/python"; fi
if [ "$1" = -c ] && [[ "$2" == "import pip" ]] && [ "$0" = python3 ]; then exit 1; fi
exit 0
"""


def test_without_a_python_and_without_the_right_to_install_one_it_says_what_to_do(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    machine.has("apt-get", 'echo "$*" >> "$HOME/apt"')
    done = machine.sets_up()
    assert done.returncode == 2
    assert "no Python 3.11 or newer" in done.stderr and "make PYTHON=" in done.stderr
    assert machine.noted("apt") == []


def test_root_on_debian_gets_what_is_missing_by_apt_get(machine: Machine) -> None:
    machine.has("id", "echo 0")
    machine.has("apt-get", 'echo "$*" >> "$HOME/apt"')
    done = machine.sets_up()
    assert machine.noted("apt")[-1].endswith("python3 python3-venv")
    assert done.returncode == 2, "nothing was really installed"


def test_a_python_that_is_too_old_is_not_used(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    machine.has("python3", "exit 1")
    assert machine.sets_up().returncode == 2


def test_packages_are_installed_once_for_each_lock(machine: Machine) -> None:
    machine.has("python3", PYTHON.format(chmod=shutil.which("chmod")))
    assert machine.sets_up().returncode == 0, machine.sets_up().stderr

    def installed() -> int:
        return sum("--require-hashes" in line for line in machine.noted("python"))

    assert installed() == 1
    assert machine.sets_up().returncode == 0
    assert installed() == 1
    with (machine.checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert machine.sets_up().returncode == 0
    assert installed() == 2


def test_an_installation_that_was_cut_off_is_made_again(machine: Machine) -> None:
    broken = '[[ "$*" == *require-hashes* ]] && [ ! -e "$HOME/whole" ] && exit 1'
    machine.has("python3", broken + PYTHON.format(chmod=shutil.which("chmod")))
    assert machine.sets_up().returncode != 0
    (machine.checkout / "whole").touch()
    assert machine.sets_up().returncode == 0
    assert sum("--require-hashes" in line for line in machine.noted("python")) == 1


def test_a_checkout_that_was_moved_gets_a_new_environment(machine: Machine) -> None:
    machine.has("python3", PYTHON.format(chmod=shutil.which("chmod")))
    assert machine.sets_up().returncode == 0
    (machine.checkout / ".venv" / "old").touch()
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("elsewhere"))
    assert machine.sets_up().returncode == 0
    assert not (machine.checkout / ".venv" / "old").exists()
    assert sum("--require-hashes" in line for line in machine.noted("python")) == 2


def test_make_alone_lists_the_jobs() -> None:
    if shutil.which("make") is None:
        pytest.skip("no make here")
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["make"], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    for job in ("demo", "demo-ask", "test", "check", "bench", "chaos", "up", "lock", "clean"):
        assert any(line.startswith(f"{job} ") for line in done.stdout.splitlines()), job
