"""Images for test clusters, made from what this machine has and what its package managers fetch: there is no registry.

    python -m tests.cluster.images          makes the image of the traffic pipeline, and says where it is
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BOX = "box:1"
TRAFFIC = "winslow-traffic:1"
REQUIREMENTS = Path(__file__).parents[2] / "pipelines" / "traffic" / "requirements.txt"
# Nothing in a container looks at these; they are a third of the size.
NOT_NEEDED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")
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


def traffic() -> Image:
    """What `pipelines/traffic/Dockerfile` makes where there is a registry: Python, and the pipeline's libraries. It is
    kept for the next time; making it takes a minute and needs debootstrap."""
    recipe = Path(__file__).read_bytes() + REQUIREMENTS.read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "winslow-tests"
    tar = cache / f"traffic-{hashlib.sha256(recipe).hexdigest()[:16]}.tar"
    if not tar.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for older in cache.glob("traffic-*.tar"):
            older.unlink()
        with tempfile.TemporaryDirectory(dir=cache, prefix=".making-") as folder:
            root, part = Path(folder) / "root", Path(folder) / "part.tar"
            debian_with_python(root)
            run("tar", "--create", "--file", part, "--directory", root, ".")
            part.replace(tar)
    return Image(TRAFFIC, tar, ("ENV PATH=/usr/local/bin:/usr/bin:/bin", "ENV PYTHONUNBUFFERED=1"))


def debian_with_python(root: Path) -> None:
    """This machine's own release of Debian at its smallest, with Python and the pipeline's libraries."""
    if shutil.which("debootstrap") is None:
        raise AssertionError("the image of the traffic pipeline is made by debootstrap, which is not here")
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    run("debootstrap", "--variant=minbase", "--include=python3", suite, root)
    shown = run("chroot", root, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    version = shown.strip()
    packages = root / "usr" / "local" / "lib" / f"python{version}" / "dist-packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    run(*pip, f"--python-version={version}", f"--target={packages}", f"--requirement={REQUIREMENTS}")
    (root / "usr" / "bin" / "python").symlink_to("python3")
    for folder in NOT_NEEDED:
        shutil.rmtree(root / folder, ignore_errors=True)


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{command[0]}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    made = traffic()
    print(f"{made.reference}: {made.tar}, {made.tar.stat().st_size >> 20} MB")
