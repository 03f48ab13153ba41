"""Images for test clusters, made from what this machine has: there is no registry."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BOX = "box:1"
APPLETS = "sh ash cat cp date dd echo env false head hostname id ip kill ls mkdir mv nc ping ps rm seq sleep sort stat"
APPLETS += " sync tail test touch true uname wc wget yes"


@dataclass(frozen=True)
class Image:
    """`changes`: lines of a Dockerfile, such as `USER 1000`."""

    reference: str
    tar: Path
    changes: Sequence[str] = ()


def box(directory: Path) -> Image:
    """A static busybox and nothing else: 2 MB, starts at once, has a shell."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise AssertionError("the small image for containers needs busybox (Debian: busybox-static)")
    tar = directory / "box.tar"
    if not tar.exists():
        with tarfile.open(tar, "w") as out:
            for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("root", 0o700)):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, mode
                out.addfile(entry)
            out.add(busybox, "bin/busybox")
            for applet in APPLETS.split():
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                out.addfile(entry)
            users = b"root:x:0:0:root:/root:/bin/sh\n"
            entry = tarfile.TarInfo("etc/passwd")
            entry.size = len(users)
            out.addfile(entry, io.BytesIO(users))
    return Image(BOX, tar, ("ENV PATH=/bin",))
