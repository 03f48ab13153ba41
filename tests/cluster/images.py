"""Images for test clusters, made from what this machine has and what its package managers fetch: there is no registry.

    python -m tests.cluster.images          makes the image of the traffic pipeline, and says where it is

What takes long (a minute) is kept in the user's cache for the next time.
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
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

BOX = "box:1"
TRAFFIC = "winslow-traffic:1"
PYTHON = "python-base:1"
ROOT = Path(__file__).parents[2]
PACKAGES = "python3,python3-venv"
# Nothing in a container looks at these; they are a third of the size.
NOT_NEEDED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")
PYTHON_RECIPE = " ".join((PACKAGES, *NOT_NEEDED))
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


def python_base() -> Image:
    """What stands in for python:3.11-slim: this machine's own release of Debian at its smallest, with Python."""
    tar = cached("python", PYTHON_RECIPE, debian_with_python)
    return Image(PYTHON, tar, ("ENV PATH=/usr/local/bin:/usr/bin:/bin",))


def traffic() -> Image:
    """What `pipelines/traffic/Dockerfile` makes where there is a registry: Python, and the pipeline's libraries."""
    requirements = ROOT / "pipelines" / "traffic" / "requirements.txt"
    base = python_base()

    def make(root: Path) -> None:
        run("tar", "--extract", "--file", base.tar, "--directory", root)
        version = python_version(root)
        packages = root / "usr" / "local" / "lib" / f"python{version}" / "dist-packages"
        pip("install", f"--python-version={version}", f"--target={packages}", f"--requirement={requirements}")

    recipe = PYTHON_RECIPE + requirements.read_text()
    return Image(TRAFFIC, cached("traffic", recipe, make), (*base.changes, "ENV PYTHONUNBUFFERED=1"))


def winslow_context(directory: Path) -> list[str]:
    """Fills a directory with what `docker build` needs to make Winslow's own image without a network, on
    `python_base`. The arguments that say so."""
    for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "requirements.lock"):
        shutil.copy(ROOT / name, directory)
    shutil.copytree(ROOT / "winslow_nomad", directory / "winslow_nomad", ignore=shutil.ignore_patterns("__pycache__"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shutil.copytree(ROOT / "pipelines" / "traffic", directory / "pipelines" / "traffic")
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    lock = (ROOT / "requirements.lock").read_text()
    pinned = "\n".join(line.strip(" \\") for line in lock.splitlines() if "--hash" not in line)
    # the image's Python may be of an earlier patch level than the one that pip runs on here
    wanted += [line.partition(";")[0].strip() for line in pinned.splitlines() if "python_full_version < '3.11." in line]

    constraints = directory / "constraints.txt"
    constraints.write_text(pinned)

    def fetch(root: Path) -> None:
        pip("download", "--dest", root / "wheels", "--constraint", constraints, *wanted)

    run("tar", "--extract", "--file", cached("wheels", "\n".join([*wanted, pinned]), fetch), "--directory", directory)
    return [f"BASE={PYTHON}", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/src/wheels"]


def cached(name: str, recipe: str, make: Callable[[Path], None]) -> Path:
    """A tar of what `make` puts into a directory; made anew when the recipe has changed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "winslow-tests"
    tar = cache / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"
    if not tar.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for older in cache.glob(f"{name}-*.tar"):
            older.unlink()
        with tempfile.TemporaryDirectory(dir=cache, prefix=".making-") as folder:
            root, part = Path(folder) / "root", Path(folder) / "part.tar"
            root.mkdir(mode=0o755)
            make(root)
            run("tar", "--create", "--file", part, "--directory", root, ".")
            part.replace(tar)
    return tar


def debian_with_python(root: Path) -> None:
    if shutil.which("debootstrap") is None:
        raise AssertionError("images with Python are made by debootstrap, which is not here")
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, root)
    (root / "usr" / "bin" / "python").symlink_to("python3")
    for folder in NOT_NEEDED:
        shutil.rmtree(root / folder, ignore_errors=True)


def python_version(root: Path) -> str:
    return run("chroot", root, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()


def pip(does: str, *arguments: str | Path) -> None:
    called = [sys.executable, "-m", "pip", does, "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    run(*called, *arguments)


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{command[0]}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    made = traffic()
    print(f"{made.reference}: {made.tar}, {made.tar.stat().st_size >> 20} MB")
