"""The runner: the small program that every attempt starts with. The program is C, beside this file; this module only
says where the built one lies. It never starts it and never builds it (build.py does)."""

from __future__ import annotations

import os
from pathlib import Path

from winslow_nomad.core.errors import Refused

ARCHITECTURES: tuple[str, ...] = ("amd64", "arm64")
"""As Nomad names them in `${attr.cpu.arch}`."""

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def binary(arch: str | None = None) -> Path:
    """The built runner for `arch` (by default this machine's). Raises Refused with what to do when there is none."""
    machine = os.uname().machine if arch is None else arch
    name = _MACHINES.get(machine)
    if name is None:
        raise Refused(
            f"There is no runner for {machine!r}, so no stage can be started: it is built for"
            f" {' and '.join(ARCHITECTURES)}.",
            hint="Run Winslow on one of these machines.",
            code="runner.architecture",
        )
    path = Path(__file__).resolve().parent / "bin" / name / "winslow-run"
    if not path.is_file():
        raise Refused(
            f"The runner for {name} is not built, so no stage can be started: {path} is missing.",
            hint="In a checkout run `make setup`, or `python winslow_nomad/runner/build.py` with the package ziglang"
            " installed; or install the wheel, which brings it.",
            code="runner.missing",
        )
    return path
