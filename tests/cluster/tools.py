"""What a test cluster needs of the machine it runs on, found once, or the one reason why there can be none."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "WINSLOW_TEST_NOMAD"
PLUGIN = "nomad-device-nvidia"
PROGRAMS = ("dockerd", "docker", "containerd", "runc", "iptables", "ip", "nsenter", "unshare", "busybox")


@dataclass(frozen=True)
class Tools:
    """`plugins`: a directory with the genuine nvidia device plugin, where there is one."""

    nomad: Path
    plugins: Path | None


def find() -> Tools | str:
    """The tools, or why Nomad tests cannot run here, in half a sentence."""
    named = os.environ.get(VARIABLE)
    nomad = named or shutil.which("nomad")
    if nomad is None:
        return f"no nomad binary on PATH or named by {VARIABLE}"
    if not os.access(nomad, os.X_OK):
        return f"{VARIABLE}={named} is no program"
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "machines of their own (namespaces) need Linux and root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"not on PATH: {', '.join(missing)}"
    return Tools(Path(nomad).resolve(), plugin_directory(Path(nomad).resolve()))


def plugin_directory(nomad: Path) -> Path | None:
    """Beside the binary, where it was unpacked; or on PATH. Nomad loads everything in it, so it holds plugins only."""
    beside = nomad.parent / "plugins"
    if (beside / PLUGIN).exists():
        return beside
    on_path = shutil.which(PLUGIN)
    return Path(on_path).resolve().parent if on_path else None
