"""Builds the runner for both architectures with the C compiler of the `ziglang` wheel, so that no compiler is needed.

Runs as a hatchling build hook (wheel and editable installs) and by hand: `python winslow_nomad/runner/build.py`.
Does nothing when the binaries belong to the sources already. It must stay importable without the package it lies in.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand
    BuildHookInterface = object  # type: ignore[assignment,misc]

HERE = Path(__file__).resolve().parent
TARGETS = {"amd64": "x86_64-linux-musl", "arm64": "aarch64-linux-musl"}
EXAMPLES = ("traffic",)  # as winslow_nomad/resources/samples.py has them
FLAGS = ["-std=c11", "-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror"]


def sources() -> list[Path]:
    return sorted(HERE.glob("*.c"))


def digest() -> str:
    """Tells whether a binary was built from these sources with these flags."""
    hash_ = hashlib.sha256(" ".join(FLAGS).encode())
    for path in sorted([*HERE.glob("*.c"), *HERE.glob("*.h")]):
        hash_.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return hash_.hexdigest()


def is_current(arch: str) -> bool:
    folder = HERE / "bin" / arch
    stamp = folder / "sources.sha256"
    return (folder / "winslow-run").is_file() and stamp.is_file() and stamp.read_text().strip() == digest()


def compile_for(arch: str) -> None:
    """Compiles under a temporary name and renames: a build beside this one, or a killed one, leaves nothing half."""
    if importlib.util.find_spec("ziglang") is None:
        raise RuntimeError("building the runner needs the package ziglang: `pip install 'ziglang>=0.15,<0.18'`")
    folder = HERE / "bin" / arch
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="winslow-runner-") as scratch:
        environment = {"ZIG_GLOBAL_CACHE_DIR": str(Path(scratch) / "global")} if "HOME" not in os.environ else {}
        built = Path(scratch) / "winslow-run"
        version = f'-DRUNNER_VERSION="1+{digest()[:12]}"'
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", TARGETS[arch]]
        result = subprocess.run(
            [*compiler, *FLAGS, version, *map(str, sources()), "-o", str(built), "-lm"],
            env={**os.environ, **environment, "ZIG_LOCAL_CACHE_DIR": str(Path(scratch) / "local")},
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise RuntimeError(f"the runner could not be built for {arch}:\n{result.stdout}{result.stderr}")
        staged = folder / f".winslow-run-{os.getpid()}"
        staged.write_bytes(built.read_bytes())
        staged.chmod(0o755)
        staged.replace(folder / "winslow-run")
    stamp = folder / f".sources-{os.getpid()}"
    stamp.write_text(digest() + "\n")
    stamp.replace(folder / "sources.sha256")


def build() -> list[Path]:
    """Brings both binaries up to date and returns them."""
    for arch in TARGETS:
        if not is_current(arch):
            compile_for(arch)
    return [HERE / "bin" / arch / "winslow-run" for arch in TARGETS]


class RunnerBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts both binaries into every wheel, which stays py3-none-any, and the example with code; a source distribution
    has the sources of both."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        for path in build():
            inside = path.relative_to(Path(self.root)).as_posix()
            build_data.setdefault("artifacts", []).append(f"/{inside}")
        if version != "editable":  # which runs them from where they are worked on
            for name in EXAMPLES:
                taken = build_data.setdefault("force_include", {})
                taken[f"pipelines/{name}"] = f"winslow_nomad/resources/examples/{name}"


if __name__ == "__main__":
    for path in build():
        print(path)
