"""A share in a temporary directory, and real small file systems where a test needs one that is full, frozen,
read-only or able to share blocks."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.resources.book import FileBook
from tests.resources.reading import patient
from tests.resources.some import FixedClock
from winslow_nomad.resources.attempts import ShareAttempts
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.scribe import Scribe

MKFS = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f", "-m", "reflink=1")}


def command(*words: str | Path) -> None:
    subprocess.run([str(w) for w in words], check=True, capture_output=True)


@pytest.fixture
def filesystem(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """`filesystem("ext4", 64)`: a mounted file system of that many MiB; "tmpfs" as well."""
    mounted: list[Path] = []

    def make(kind: str, mebibytes: int) -> Path:
        if os.geteuid() != 0:
            pytest.skip("mounting needs root")
        point = tmp_path / f"mount{len(mounted)}"
        point.mkdir()
        if kind == "tmpfs":
            command("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "winslow-test", point)
        else:
            if shutil.which(MKFS[kind][0]) is None:
                pytest.skip(f"{MKFS[kind][0]} is not installed")
            image = tmp_path / f"image{len(mounted)}"
            with open(image, "wb") as file:
                file.truncate(mebibytes << 20)
            command(*MKFS[kind], image)
            command("mount", "-o", "loop", image, point)
        mounted.append(point)
        return point

    yield make
    for point in mounted:
        subprocess.run(["fsfreeze", "-u", str(point)], capture_output=True, check=False)
        command("umount", "-l", point)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "share"


@pytest.fixture
def writer(root: Path) -> Iterator[Scribe]:
    scribe = Scribe(root)
    scribe.establish("test")
    yield scribe
    scribe.close()


@pytest.fixture
def reader(root: Path) -> Reader:
    return patient(root)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def book(tmp_path: Path) -> FileBook:
    return FileBook(tmp_path / "book.json")


def attempts_on(
    writer: Scribe, book: FileBook, clock: FixedClock, largest: Callable[[], str] = lambda: ""
) -> ShareAttempts:
    return ShareAttempts(
        writer,
        patient(writer.root),
        book,
        clock,
        reveal={"secret:s1": "swordfish-swordfish"}.__getitem__,
        installation="test",
        driver_places={"local": "local", "nomad": "container"},
        base={"local": {"PATH": "/usr/bin:/bin"}},
        largest=largest,
    )


@pytest.fixture
def attempts(writer: Scribe, book: FileBook, clock: FixedClock) -> ShareAttempts:
    return attempts_on(writer, book, clock)
