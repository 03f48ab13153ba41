"""Deleting is moving aside: it can be taken back, goes on after a crash, and frees for ever only later."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.resources.share import make_share, tree
from tests.resources.some import NOW, ended, project
from winslow_nomad.core.errors import Invalid, NotFound, Refused, ShareUnavailable
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.retention import Retention, obsolete
from winslow_nomad.core.stage import StageState
from winslow_nomad.resources.remove import remove_tree
from winslow_nomad.resources.trash import Trash, TrashEntry, old
from winslow_nomad.resources.work import Cancelled, unwatched

DAY = timedelta(days=1)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    root = make_share(tmp_path / "share")
    stage = root / "projects" / "p1" / "stages" / "0001-detect"
    for attempt in ("1", "2"):
        for part in ("workspace", "output", "log"):
            (stage / "attempts" / attempt / part).mkdir(parents=True)
            (stage / "attempts" / attempt / part / "file").write_text(f"{part} {attempt}")
    (stage / "stage.json").write_text("{}")
    (stage / "workspace").symlink_to("attempts/2/workspace")
    (root / "projects" / "p1" / "output").mkdir()
    (root / "projects" / "p1" / "journal").mkdir()
    (root / "projects" / "p1" / "journal" / "1.jsonl").write_text("line\n")
    return root


@pytest.fixture
def trash(share: Path) -> Trash:
    return Trash(share)


WORKSPACE = "projects/p1/stages/0001-detect/attempts/1/workspace"


def entry(*paths: str, **fields: object) -> TrashEntry:
    values = {"id": "e1", "project": "p1", "why": "in the way", "actor": "ada", "at": NOW, **fields}
    return TrashEntry.model_validate({**values, "paths": paths or (WORKSPACE,)})


def delete(**arguments: str) -> Operation:
    return Operation(id="op", kind="delete", arguments=arguments, made=NOW)


def test_what_is_deleted_can_be_taken_back(trash: Trash, share: Path) -> None:
    before = tree(share / "projects")
    trash.put(entry())
    assert not (share / WORKSPACE).exists()
    listed = trash.entries()
    assert [(e.paths, e.why, e.actor, e.at) for e in listed] == [((WORKSPACE,), "in the way", "ada", NOW)]
    trash.restore("e1", NOW + DAY)
    assert tree(share / "projects") == before
    assert trash.entries() == []
    assert trash.restored("p1") == {WORKSPACE: NOW + DAY}


def test_the_rule_of_retention_moves_exactly_what_it_names(trash: Trash, share: Path) -> None:
    found = project(ended(1, state=StageState.FAILED, attempt=2))
    removals = obsolete(found, NOW + 40 * DAY, Retention())
    assert trash.put_obsolete(removals, "e1", NOW) is not None
    assert trash.put_obsolete(removals, "e2", NOW) is None, "nothing of it is there any more"
    attempts = share / "projects/p1/stages/0001-detect/attempts"
    assert sorted(os.listdir(attempts / "1")) == ["log"]
    assert sorted(os.listdir(attempts / "2")) == ["log", "output"]
    assert len(trash.entries()) == 1


def test_two_who_delete_the_same_at_once_make_one_entry(trash: Trash, share: Path) -> None:
    wanted = [f"projects/p{n}/output" for n in range(100)]
    for path in wanted:
        (share / path).mkdir(parents=True, exist_ok=True)
    start = threading.Barrier(2)

    def empty(who: str) -> None:
        start.wait()
        for path in wanted:
            trash.put(entry(path, id=f"{who}-{path.split('/')[1]}", project=path.split("/")[1]))

    both = [threading.Thread(target=empty, args=(who,)) for who in "ab"]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    listed = trash.entries()
    assert sorted(p for e in listed for p in e.paths) == sorted(wanted)
    for found in listed:
        trash.restore(found.id, NOW)
    assert all((share / path).is_dir() for path in wanted)


def test_nothing_is_restored_over_something_else(trash: Trash, share: Path) -> None:
    trash.put(entry(WORKSPACE, "projects/p1/output"))
    (share / "projects/p1/output").mkdir()
    with pytest.raises(Refused, match="Nothing was restored"):
        trash.restore("e1", NOW)
    assert not (share / WORKSPACE).exists()
    (share / "projects/p1/output").rmdir()
    trash.restore("e1", NOW)
    assert (share / WORKSPACE).exists()


def test_restoring_into_a_folder_that_is_gone_says_so(trash: Trash, share: Path) -> None:
    trash.put(entry())
    trash.put_project("p1", "e2", "ada", NOW)
    with pytest.raises(NotFound):
        trash.restore("e1", NOW)
    trash.restore("e2", NOW)
    trash.restore("e1", NOW)
    assert (share / WORKSPACE / "file").exists()


def test_a_deleted_project_keeps_its_journal_and_comes_back(trash: Trash, share: Path) -> None:
    before = tree(share / "projects")
    trash.put_project("p1", "e1", "ada", NOW)
    assert tree(share / "projects" / "p1") == {"journal": "/", "journal/1.jsonl": b"line\n"}
    found = trash.of_project("p1")
    assert found is not None and found.whole_project
    trash.restore(found.id, NOW)
    assert tree(share / "projects") == before
    assert trash.of_project("p1") is None


def test_of_a_project_only_what_was_deleted_as_a_whole_brings_it_back(trash: Trash, share: Path) -> None:
    trash.put(entry())
    assert trash.of_project("p1") is None, "a part of it is not the project"
    trash.put_project("p1", "e2", "ada", NOW)
    assert trash.of_project("p2") is None
    found = trash.of_project("p1")
    assert found is not None and found.id == "e2"


def test_what_the_rule_of_retention_took_of_a_project_is_listed_newest_first_and_nothing_of_others(
    trash: Trash, share: Path
) -> None:
    other = WORKSPACE.replace("/workspace", "/log")
    trash.put(entry(id=old("p1", "a")))
    trash.put(entry(other, id=old("p1", "b"), at=NOW + DAY))
    trash.put(entry("projects/p1/output", id="by-hand"))
    trash.put(entry("projects/p1/stages/0001-detect/attempts/2/log", id=old("p1", "c"), project="p2"))
    assert [e.id for e in trash.obsolete_of("p1")] == [old("p1", "b"), old("p1", "a")]
    trash.restore(old("p1", "b"), NOW)
    assert [e.id for e in trash.obsolete_of("p1")] == [old("p1", "a")]
    assert trash.obsolete_of("p2") == []


def test_a_project_is_forgotten_only_when_its_files_are_gone(trash: Trash, share: Path) -> None:
    with pytest.raises(Refused, match="not touched"):
        trash.forget_project("p1")
    trash.put_project("p1", "e1", "ada", NOW)
    trash.delete(delete(entry="e1"), unwatched)
    trash.forget_project("p1")
    assert tree(share / "projects") == {}


def test_only_what_is_older_than_asked_is_freed(trash: Trash, share: Path) -> None:
    trash.put(entry())
    trash.put(entry("projects/p1/output", id="e2", at=NOW + DAY))
    (share / "trash" / "stranger").mkdir()
    freed = trash.delete(delete(before=(NOW + DAY).isoformat()), unwatched)
    assert freed > 0
    assert [e.id for e in trash.entries()] == ["e2"]
    assert (share / "trash" / "stranger").exists(), "it is as young as this test"
    with pytest.raises(NotFound):
        trash.restore("e1", NOW)
    assert trash.delete(delete(entry="e1"), unwatched) == 0, "again is harmless"


def test_one_entry_that_is_in_use_keeps_no_other_from_being_freed(
    trash: Trash, share: Path, filesystem: Callable[..., Path]
) -> None:
    trash.put(entry())
    trash.put(entry("projects/p1/output", id="e2"))
    mounted = share / "trash" / "e1" / "content" / "0" / "mounted"
    mounted.mkdir()
    assert os.system(f"mount --bind {filesystem('tmpfs', 1)} {mounted}") == 0
    try:
        with pytest.raises(Refused) as refusal:
            trash.delete(delete(before=(NOW + DAY).isoformat()), unwatched)
        assert refusal.value.code == "remove.mounted"
    finally:
        os.system(f"umount {mounted}")
    assert [e.id for e in trash.entries()] == ["e1"], "what it was is known as long as something of it is there"


@pytest.mark.parametrize(
    "path", ["winslow.json", "bin/1/x", "projects", "projects/../bin/x", "/etc/passwd", "trash/e1"]
)
def test_only_what_belongs_to_people_can_be_deleted(trash: Trash, path: str) -> None:
    with pytest.raises((Refused, Invalid)):
        trash.put(entry(path))
    assert trash.entries() == []


def test_a_link_on_the_way_is_not_followed(trash: Trash, share: Path, tmp_path: Path) -> None:
    (tmp_path / "victim" / "files").mkdir(parents=True)
    (share / "inputs").mkdir()
    (share / "inputs" / "out").symlink_to(tmp_path / "victim")
    (share / "inputs" / "p1").symlink_to("../projects/p1")
    for path in ("inputs/out/files", "inputs/p1/stages"):
        with pytest.raises(Refused):
            trash.put(entry(path))
    assert (tmp_path / "victim" / "files").exists()
    trash.put(entry("inputs/out"))
    trash.delete(delete(entry="e1"), unwatched)
    assert (tmp_path / "victim" / "files").exists()


def test_a_crash_at_any_step_leaves_an_entry_that_goes_on(share: Path) -> None:
    paths = (WORKSPACE, "projects/p1/output")
    before = tree(share / "projects")
    program = (
        "import sys, os, datetime; from pathlib import Path\n"
        "from winslow_nomad.resources import trash, publish\n"
        "steps = int(sys.argv[2])\n"
        "def count(event, args):\n"
        "    global steps\n"
        "    if event in ('os.rename', 'os.mkdir', 'open') and str(args[0]).startswith(sys.argv[1]):\n"
        "        steps -= 1\n"
        "        if steps == 0: os.kill(os.getpid(), 9)\n"
        "sys.addaudithook(count)\n"
        "now = datetime.datetime.now(datetime.UTC)\n"
        "made = trash.TrashEntry(id='e1', paths=sys.argv[3:], project='p1', why='w', actor='a', at=now)\n"
        "trash.Trash(Path(sys.argv[1])).put(made)\n"
    )
    killed = 0
    for step in range(1, 60):
        process = subprocess.run([sys.executable, "-c", program, str(share), str(step), *paths], check=False)
        killed += process.returncode == -9
        trash = Trash(share)
        if trash.put(entry(*paths)) is not None or trash.entries():
            assert not any((share / p).exists() for p in paths)
            trash.restore("e1", NOW)
        assert tree(share / "projects") == before
        if process.returncode == 0:
            break
    else:
        raise AssertionError("it never came to its end")
    assert killed > 5


def test_a_deletion_can_be_cancelled_and_repeated(trash: Trash, share: Path) -> None:
    for number in range(600):
        (share / WORKSPACE / str(number)).touch()
    trash.put(entry())

    def cancel(*_: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        trash.delete(delete(entry="e1"), cancel)
    assert [e.id for e in trash.entries()] == ["e1"], "what is half removed still says what it was"
    trash.delete(delete(entry="e1"), unwatched)
    assert os.listdir(share / "trash") == []


def test_without_the_share_nothing_is_touched(trash: Trash, share: Path) -> None:
    (share / "winslow.json").unlink()
    with pytest.raises(ShareUnavailable) as trouble:
        trash.put(entry())
    assert trouble.value.code == "share.gone"


def test_deleting_from_a_read_only_share_says_so(filesystem: Callable[..., Path]) -> None:
    root = make_share(filesystem("tmpfs", 4))
    (root / "projects" / "p1" / "output").mkdir(parents=True)
    assert os.system(f"mount -o remount,ro {root}") == 0
    with pytest.raises(ShareUnavailable) as trouble:
        Trash(root).put(entry("projects/p1/output"))
    assert trouble.value.code == "share.read_only"
    assert (root / "projects/p1/output").exists()


def test_space_can_be_freed_on_a_share_that_is_full(filesystem: Callable[..., Path]) -> None:
    """Moving aside needs a manifest; where there is no room even for that, emptying what is there helps."""
    root = make_share(filesystem("tmpfs", 2))
    (root / "projects/p1/output").mkdir(parents=True)
    (root / "projects/p1/output/a").write_bytes(b"x" * 400_000)
    (root / "projects/p1/stages").mkdir()
    trash = Trash(root)
    trash.put(entry("projects/p1/output"))
    with pytest.raises(OSError), (root / "projects/p1/stages/b").open("wb", buffering=0) as file:
        while True:
            file.write(b"y" * 4096)
    with pytest.raises(ShareUnavailable) as trouble:
        trash.put(entry("projects/p1/stages", id="e2"))
    assert trouble.value.code == "share.full"
    assert (root / "projects/p1/stages/b").exists()
    assert trash.delete(delete(entry="e1"), unwatched) >= 400_000
    assert trash.put(entry("projects/p1/stages", id="e2")) is not None


# --- removing trees


def test_read_only_folders_links_and_deep_trees_go(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    top = tmp_path / "tree"
    deep = top
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 20, dir_fd=fd)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    (top / "link").symlink_to(outside)
    (top / "closed").mkdir()
    (deep / "closed" / "file").touch()
    (top / "closed").chmod(0o500)
    os.mkfifo(top / "pipe")
    _, files = remove_tree(top)
    assert not os.path.lexists(top)
    assert (outside / "kept").exists()
    assert files >= 1504
    assert remove_tree(top) == (0, 0)


def test_folders_without_any_rights_go_for_their_owner(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "file").touch()
    (top / "a" / "b").chmod(0)
    (top / "a").chmod(0)
    tmp_path.chmod(0o755)
    if os.geteuid() == 0:
        for path in (top, tmp_path):
            os.chown(path, 1234, 1234)
        subprocess.run(["chown", "-R", "1234:1234", str(top)], check=True)
        for parent in tmp_path.parents:
            if parent != Path("/") and str(parent).startswith("/tmp/pytest"):
                parent.chmod(0o755)
        child = os.fork()
        if child == 0:
            try:
                os.setgid(1234)
                os.setuid(1234)
                remove_tree(top)
            finally:
                os._exit(0 if not os.path.lexists(top) else 1)
        assert os.waitpid(child, 0)[1] == 0
    else:
        remove_tree(top)
    assert not os.path.lexists(top)


def test_what_is_mounted_inside_is_never_emptied(filesystem: Callable[..., Path], tmp_path: Path) -> None:
    inner = filesystem("tmpfs", 1)
    (inner / "precious").touch()
    top = tmp_path / "tree"
    (top / "mounted").mkdir(parents=True)
    (top / "other").touch()
    assert os.system(f"mount --bind {inner} {top}/mounted") == 0
    try:
        with pytest.raises(Refused) as refusal:
            remove_tree(top)
        assert refusal.value.code == "remove.mounted"
        assert (inner / "precious").exists()
        assert not (top / "other").exists()
    finally:
        os.system(f"umount {top}/mounted")
    remove_tree(top)
    assert not top.exists()


def test_a_tree_that_still_gets_files_is_removed_once_they_stop(tmp_path: Path) -> None:
    """As NFS does with `.nfs` files: rmdir says that the folder is not empty."""
    top = tmp_path / "tree"
    top.mkdir()
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                (top / f"{number}").touch()
            except FileNotFoundError:
                return

    writer = threading.Thread(target=write)
    writer.start()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    remove_tree(top)
    writer.join()
    assert not top.exists()
