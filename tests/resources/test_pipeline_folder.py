"""Pipeline folders on the share: kept by content, once, read-only, and with nothing from outside."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.waiting import until
from winslow_nomad.core.errors import Invalid, NotFound, ShareUnavailable
from winslow_nomad.resources.layout import MARK
from winslow_nomad.resources.pipeline_folder import digest, place, store_folder


@pytest.fixture
def share(tmp_path: Path) -> Path:
    made = tmp_path / "share"
    made.mkdir()
    (made / MARK).write_text("{}")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "code" / "deep").mkdir(parents=True)
    (made / "empty").mkdir()
    (made / "pipeline.yaml").write_text("winslow: 1\n")
    (made / "code" / "run.sh").write_text("#!/bin/sh\n")
    (made / "code" / "run.sh").chmod(0o755)
    (made / "code" / "deep" / "data.bin").write_bytes(bytes(range(256)) * 5000)
    (made / "code" / "link").symlink_to("deep/data.bin")
    (made / "up").symlink_to("code/../pipeline.yaml")
    (made / os.fsdecode(b"odd \xff\n name")).write_text("x")
    return made


def tree(root: Path) -> dict[str, tuple[str, bytes]]:
    found: dict[str, tuple[str, bytes]] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = ("link", os.fsencode(path.readlink()))
        elif path.is_dir():
            found[name] = ("folder", b"")
        else:
            found[name] = ("program" if path.stat().st_mode & 0o100 else "file", path.read_bytes())
    return found


def refused(folder: Path, words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        digest(folder)
    assert caught.value.code == "pipeline.folder"


def test_the_copy_is_the_folder_and_read_only(folder: Path, share: Path) -> None:
    name = store_folder(folder, share)
    kept = share / "pipelines" / name
    assert place(share, name) == kept
    assert tree(kept) == tree(folder)
    assert digest(kept) == name == digest(folder)
    modes = {stat.S_IMODE(p.lstat().st_mode) for p in [kept, *kept.rglob("*")] if not p.is_symlink()}
    assert modes == {0o555, 0o444}


def test_keeping_it_again_changes_nothing(folder: Path, share: Path) -> None:
    name = store_folder(folder, share)
    before = place(share, name).stat()
    assert store_folder(folder, share) == name
    assert place(share, name).stat().st_ino == before.st_ino
    assert [p.name for p in (share / "pipelines").iterdir()] == [name]


def test_times_and_owners_do_not_count(folder: Path) -> None:
    before = digest(folder)
    os.utime(folder / "pipeline.yaml", (1, 1))
    (folder / "pipeline.yaml").chmod(0o600)
    assert digest(folder) == before


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda f: (f / "pipeline.yaml").write_text("winslow: 2\n"),
    "name": lambda f: (f / "code/run.sh").rename(f / "code/run2.sh"),
    "executable bit": lambda f: (f / "pipeline.yaml").chmod(0o755),
    "a new empty folder": lambda f: (f / "code" / "new").mkdir(),
    "a new empty file": lambda f: (f / "new").touch(),
    "an empty file instead of an empty folder": lambda f: ((f / "empty").rmdir(), (f / "empty").touch()),
    "the target of a link": lambda f: ((f / "up").unlink(), (f / "up").symlink_to("pipeline.yaml")),
    "a link instead of a file": lambda f: ((f / "code/run.sh").unlink(), (f / "code/run.sh").symlink_to("link")),
    "a file moved between folders": lambda f: (f / "code/run.sh").rename(f / "run.sh"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_content_changes_the_digest(change: str, folder: Path) -> None:
    before = digest(folder)
    CHANGES[change](folder)
    assert digest(folder) != before


def test_what_is_ignored_neither_counts_nor_is_kept(folder: Path, share: Path) -> None:
    (folder / ".winslowignore").write_text("# large things\n\ndata/\n*.mp4  \n")
    before = digest(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("x")
    (folder / ".git").mkdir()
    (folder / "code" / "data").mkdir()
    (folder / "code" / "data" / "big").write_text("x")
    (folder / "code" / "a.mp4").write_text("x")
    os.mkfifo(folder / "code" / "b.mp4")
    assert digest(folder) == before
    kept = tree(place(share, store_folder(folder, share)))
    assert not {n for n in kept if "mp4" in n or "data/" in n or "pycache" in n or ".git" in n}


def test_a_path_in_the_ignore_file_is_refused_since_it_would_do_nothing(folder: Path) -> None:
    (folder / ".winslowignore").write_text("code/data\n")
    refused(folder, "names have no /")


LINKS = {
    "absolute": "/etc/passwd",
    "absolute into the folder itself": "{folder}/pipeline.yaml",
    "out and away": "../share",
    "out and back": "../folder/pipeline.yaml",
    "out to a name that is inside too": "../pipeline.yaml",
    "to nothing": "nothing",
    "to itself": "evil",
    "through a file": "pipeline.yaml/x",
    "to what is ignored": ".git/config",
    "through another link": "outside/x",
}


@pytest.mark.parametrize("kind", LINKS)
def test_a_link_that_leaves_the_folder_is_refused(kind: str, folder: Path, share: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("secret")
    if kind == "through another link":
        (folder / "outside").symlink_to("..")
    (folder / "evil").symlink_to(LINKS[kind].format(folder=folder))
    refused(folder, "holds the link")
    with pytest.raises(Invalid):
        store_folder(folder, share)
    assert not (share / "pipelines").exists()


def test_links_inside_may_be_chained(folder: Path) -> None:
    (folder / "a").symlink_to("code")
    (folder / "b").symlink_to("a/deep/../link")
    digest(folder)


@pytest.mark.parametrize("make", [os.mkfifo, lambda p: os.mknod(p, stat.S_IFSOCK | 0o600)], ids=["pipe", "socket"])
def test_what_is_no_file_is_refused(make: Callable[[Path], object], folder: Path) -> None:
    make(folder / "odd")
    refused(folder, "'odd', which is a device, socket or pipe")


def test_a_folder_that_is_too_large_is_refused_with_the_cure(folder: Path, share: Path) -> None:
    with open(folder / "video.mp4", "wb") as file:
        file.truncate(50_000_000)
    refused(folder, r"is larger than 50 MB. Name what its stages do not need in .winslowignore")
    (folder / ".winslowignore").write_text("video.mp4\n")
    store_folder(folder, share)


def test_too_many_entries_are_refused(folder: Path) -> None:
    for number in range(10_001):
        (folder / "empty" / str(number)).touch()
    refused(folder, "more than 10000 entries")


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path, share: Path) -> None:
    with pytest.raises(NotFound) as caught:
        store_folder(tmp_path / "nope", share)
    assert caught.value.code == "pipeline.not_found"
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "cannot be read")


def test_nothing_is_written_where_the_share_is_not_mounted(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mountpoint").mkdir()
    with pytest.raises(ShareUnavailable) as caught:
        store_folder(folder, tmp_path / "mountpoint")
    assert caught.value.code == "share.gone"
    assert list((tmp_path / "mountpoint").iterdir()) == []


def test_a_full_share_is_named_and_nothing_half_stays(folder: Path, filesystem: Callable[..., Path]) -> None:
    share = filesystem("tmpfs", 1)
    (share / MARK).write_text("{}")
    with pytest.raises(ShareUnavailable) as caught:
        store_folder(folder, share)
    assert caught.value.code == "share.full"
    assert list((share / "pipelines").iterdir()) == []


STORE = """
import os, pathlib, sys
from winslow_nomad.resources.pipeline_folder import store_folder
folder, share, user = sys.argv[1:]
os.setgid(int(user)) or os.setuid(int(user))
print(store_folder(pathlib.Path(folder), pathlib.Path(share)))
"""


def storing(folder: Path, share: Path, user: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", STORE, str(folder), str(share), str(user)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_what_a_killed_process_left_is_removed_after_a_day(folder: Path, share: Path) -> None:
    old, young = (share / "pipelines" / f".partial-{name}" for name in ("old", "young"))
    for left in (old, young):
        (left / "code").mkdir(parents=True)
    (old / "code").chmod(0o555)
    os.utime(old, (1, young.stat().st_mtime - 90_000))
    store_folder(folder, share)
    assert not old.exists()
    assert young.exists()


def test_several_at_once_keep_one_copy(folder: Path, share: Path) -> None:
    running = [storing(folder, share, os.geteuid()) for _ in range(6)]
    names = {process.communicate()[0].strip() for process in running}
    assert [process.returncode for process in running] == [0] * 6
    assert [p.name for p in (share / "pipelines").iterdir()] == list(names)
    assert digest(place(share, names.pop())) == digest(folder)


def test_a_folder_that_is_edited_meanwhile_is_kept_under_the_name_of_what_was_copied(folder: Path, share: Path) -> None:
    """A writer changes a file all the time; every kept copy still is what its name says."""
    writer = subprocess.Popen(
        [sys.executable, "-c", f"import pathlib\np = pathlib.Path({str(folder / 'code' / 'run.sh')!r})\n"
         "print('on', flush=True)\nfor n in range(10**9): p.write_text(str(n) * 1000)"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        names: set[str] = set()
        until(lambda: names.add(store_folder(folder, share)) or len(names) > 2, seconds=30)
    finally:
        writer.kill()
        writer.communicate()
    for name in names:
        assert digest(place(share, name)) == name


def test_keeping_it_needs_no_rights_of_root(folder: Path, share: Path) -> None:
    """Publishing renames a folder that is read-only, and losing a race removes one."""
    if os.geteuid() != 0:
        pytest.skip("this user has none anyway: the other tests show it")
    with tempfile.TemporaryDirectory(prefix="winslow-folder-") as open_to_all:
        home = Path(open_to_all)
        shutil.copytree(folder, home / "folder", symlinks=True)
        shutil.copytree(share, home / "share")
        for path in [home, *home.rglob("*")]:
            os.chown(path, 65534, 65534, follow_symlinks=False)
        running = [storing(home / "folder", home / "share", 65534) for _ in range(4)]
        answers = [process.communicate() for process in running]
        assert [process.returncode for process in running] == [0] * 4, answers
        name = digest(folder)
        assert [out.strip() for out, _ in answers] == [name] * 4
        assert [p.name for p in (home / "share" / "pipelines").iterdir()] == [name]
