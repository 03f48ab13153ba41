"""A small file system of its own that can be frozen: what a share looks like when its server hangs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    def __init__(self, point: Path) -> None:
        self.point = point

    def freeze(self) -> None:
        subprocess.run(["fsfreeze", "-f", self.point], check=True)

    def thaw(self) -> None:
        subprocess.run(["fsfreeze", "-u", self.point], capture_output=True, check=False)


@contextmanager
def a_disk(mebibytes: int = 64) -> Iterator[Disk]:
    """However it is left, it is thawed first: nothing may stay in the kernel."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("mounting needs root and mkfs.ext4")
    base = Path(tempfile.mkdtemp(prefix="wk-", dir="/tmp"))
    point, image = base / "mount", base / "image"
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(mebibytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, point], check=True)
    disk = Disk(point)
    try:
        yield disk
    finally:
        disk.thaw()
        subprocess.run(["umount", "-l", point], check=True)
        shutil.rmtree(base, ignore_errors=True)
