"""The input pool keeps names and contents, and shows nothing that lies outside of it."""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.resources.share import make_share, tree
from tests.resources.some import NOW
from winslow_nomad.core.errors import Invalid, NotFound, Refused, ShareUnavailable, WinslowError
from winslow_nomad.core.operations import Operation
from winslow_nomad.resources import names
from winslow_nomad.resources.pool import INLINE_BYTES, Pool
from winslow_nomad.resources.work import Cancelled, unwatched

HOSTILE = [
    "line\nbreak.mp4",
    "📹 film.mp4",
    "-rf",
    "$(reboot)",
    "a" * 251 + ".mp4",
    "b\\c",
    "ü" * 127,
    "\udcff\udcfe.bin",
]


def pool_at(share: Path, **mapped: Path) -> Pool:
    ids = itertools.count(1)
    return Pool(make_share(share), mapped, lambda: f"op{next(ids)}", lambda: NOW)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    return tmp_path / "share"


@pytest.fixture
def pool(share: Path) -> Pool:
    return pool_at(share)


def some_file(folder: Path, name: str = "clip.mp4", content: bytes = b"film") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def carried_out(pool: Pool, source: Path, name: str = "") -> str:
    answer = pool.import_path(source, name)
    return pool.carry_out_import(answer, unwatched) if isinstance(answer, Operation) else answer


@pytest.mark.parametrize("name", HOSTILE)
def test_an_imported_file_keeps_its_name_content_and_time(pool: Pool, share: Path, tmp_path: Path, name: str) -> None:
    source = some_file(tmp_path / "from", name)
    os.utime(source, ns=(10**18, 10**18))
    assert pool.import_path(source) == name
    there = share / "inputs" / name
    assert there.read_bytes() == b"film"
    assert there.stat().st_mtime_ns == 10**18
    assert [e.name for e in pool.page().entries] == [name]
    assert pool.resolve(name) == there.resolve()


@pytest.mark.parametrize("name", ["..", ".", "a/b", "nul\0", "c" * 256, ".winslow", ".partial-x"])
def test_a_name_that_no_file_may_have_is_refused(pool: Pool, share: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid):
        pool.import_path(some_file(tmp_path), name)
    assert not (share / "inputs").exists()


def test_the_same_file_again_is_there_already(pool: Pool, share: Path, tmp_path: Path) -> None:
    source = some_file(tmp_path)
    pool.import_path(source)
    before = (share / "inputs" / "clip.mp4").stat()
    assert pool.import_path(source) == "clip.mp4"
    assert (share / "inputs" / "clip.mp4").stat() == before


def test_something_else_under_the_name_is_refused_with_a_free_name(pool: Pool, share: Path, tmp_path: Path) -> None:
    pool.import_path(some_file(tmp_path / "a", content=b"one"))
    pool.import_path(some_file(tmp_path / "b", content=b"two"), "clip-2.mp4")
    with pytest.raises(Refused, match=r"clip-3\.mp4") as refusal:
        pool.import_path(some_file(tmp_path / "c", content=b"six"))
    assert refusal.value.code == "pool.name_taken"
    assert (share / "inputs" / "clip.mp4").read_bytes() == b"one"


@pytest.mark.parametrize(("name", "free"), [
    ("clip.mp4", "clip-2.mp4"), ("clip-9.mp4", "clip-10.mp4"), ("plain", "plain-2"), (".hidden", ".hidden-2"),
    ("x" * 251 + ".mp4", "x" * 249 + "-2.mp4"), ("é" * 127, "é" * 126 + "-2"), ("a.tar\nb", "a-2.tar\nb"),
])  # fmt: skip
def test_the_free_name_stays_a_name(pool: Pool, share: Path, name: str, free: str) -> None:
    (share / "inputs").mkdir()
    (share / "inputs" / name).touch()
    assert pool.free_name(name) == free


def test_a_big_file_is_an_operation_and_its_content_the_same(pool: Pool, share: Path, tmp_path: Path) -> None:
    content = os.urandom(INLINE_BYTES + 12345)
    source = some_file(tmp_path, content=content)
    operation = pool.import_path(source)
    assert isinstance(operation, Operation), "this file system cannot share blocks"
    assert (operation.kind, operation.bytes_total) == ("import", len(content))
    seen: list[int] = []
    assert pool.carry_out_import(operation, lambda done, *_: seen.append(done)) == "clip.mp4"
    assert (share / "inputs" / "clip.mp4").read_bytes() == content
    assert seen == sorted(seen)
    assert seen[-1] == len(content)
    again = pool.import_path(source)
    assert isinstance(again, Operation), "comparing takes as long as copying"
    assert pool.carry_out_import(again, unwatched) == "clip.mp4"
    other = some_file(tmp_path / "b", content=content[:-1] + bytes([content[-1] ^ 1]))
    different = pool.import_path(other)
    assert isinstance(different, Operation)
    with pytest.raises(Refused, match="clip-2"):
        pool.carry_out_import(different, unwatched)


def test_a_file_whose_blocks_can_be_shared_is_there_at_once(filesystem: Callable[..., Path]) -> None:
    room = filesystem("xfs", 400)
    pool = pool_at(room / "share")
    source = some_file(room / "from", content=os.urandom(INLINE_BYTES * 2))
    assert pool.import_path(source) == "clip.mp4"
    assert (room / "share" / "inputs" / "clip.mp4").read_bytes() == source.read_bytes()


def test_a_cancelled_import_leaves_nothing_and_can_be_repeated(pool: Pool, share: Path, tmp_path: Path) -> None:
    operation = pool.import_path(some_file(tmp_path, content=os.urandom(INLINE_BYTES * 2)))
    assert isinstance(operation, Operation)

    def cancel(done: int, *_: int) -> None:
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        pool.carry_out_import(operation, cancel)
    assert tree(share / "inputs") == {}
    assert pool.carry_out_import(operation, unwatched) == "clip.mp4"


@pytest.mark.parametrize("same", [True, False])
def test_who_comes_second_with_a_name_never_replaces_the_first(
    pool: Pool, share: Path, tmp_path: Path, same: bool
) -> None:
    content = os.urandom(INLINE_BYTES * 2)
    operation = pool.import_path(some_file(tmp_path, content=content))
    assert isinstance(operation, Operation)
    theirs = content if same else content[::-1]

    def meanwhile(done: int, total: int, *_: int) -> None:
        if done == total:
            (share / "inputs" / "clip.mp4").write_bytes(theirs)

    if same:
        assert pool.carry_out_import(operation, meanwhile) == "clip.mp4"
    else:
        with pytest.raises(Refused, match=r"clip-2\.mp4"):
            pool.carry_out_import(operation, meanwhile)
    assert tree(share / "inputs") == {"clip.mp4": theirs}


def test_a_folder_is_imported_whole(pool: Pool, share: Path, tmp_path: Path) -> None:
    folder = tmp_path / "night run"
    some_file(folder / "deep" / "er", "a.txt", b"a")
    some_file(folder, "run.sh").chmod(0o700)
    (folder / "empty").mkdir()
    (folder / "deep" / "link").symlink_to("../run.sh")
    assert carried_out(pool, folder) == "night run"
    assert tree(share / "inputs" / "night run") == tree(folder)
    assert stat.S_IMODE((share / "inputs" / "night run" / "run.sh").stat().st_mode) == 0o755
    assert carried_out(pool, folder) == "night run"
    (folder / "deep" / "er" / "a.txt").write_bytes(b"b")
    with pytest.raises(Refused, match="night run-2"):
        carried_out(pool, folder)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "nowhere", "../from/inside", "loop"])
def test_a_folder_with_a_link_that_leads_out_is_refused_whole(
    pool: Pool, share: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "secret").write_text("s")
    folder = tmp_path / "from"
    some_file(folder, "inside")
    (folder / "loop").symlink_to(target)
    with pytest.raises(Refused, match="Nothing was imported"):
        carried_out(pool, folder)
    assert not (share / "inputs").exists() or tree(share / "inputs") == {}


def test_a_pipe_is_refused_and_never_opened(pool: Pool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused) as refusal:
        pool.import_path(tmp_path / "pipe")
    assert refusal.value.code == "import.special"


def test_what_is_in_the_pool_already_is_not_copied(pool: Pool, share: Path, tmp_path: Path) -> None:
    carried_out(pool, some_file(tmp_path / "set", "a.mp4").parent)
    assert pool.import_path(share / "inputs" / "set" / "a.mp4") == "set/a.mp4"


def test_a_file_that_changes_while_it_is_copied_is_not_published(pool: Pool, share: Path, tmp_path: Path) -> None:
    source = some_file(tmp_path, content=os.urandom(INLINE_BYTES * 2))
    operation = pool.import_path(source)
    assert isinstance(operation, Operation)

    def meddle(done: int, *_: int) -> None:
        if done:
            with source.open("ab") as more:
                more.write(b"more")

    with pytest.raises(Refused, match="changed while"):
        pool.carry_out_import(operation, meddle)
    assert tree(share / "inputs") == {}


# --- seeing


@pytest.mark.parametrize(
    "path", ["../winslow.json", "/etc/passwd", "a/../../winslow.json", "a//b", "out", "a/out/passwd", "nul\0"]
)
def test_no_path_leads_out_of_the_pool(pool: Pool, share: Path, path: str) -> None:
    folder = share / "inputs" / "a"
    folder.mkdir(parents=True)
    (share / "inputs" / "out").symlink_to("/etc/passwd")
    (folder / "out").symlink_to("/etc")
    with pytest.raises(WinslowError):
        pool.resolve(path)


def test_the_walk_without_openat2_is_as_strict(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")
    (tmp_path / "a" / "link").symlink_to("file")
    (tmp_path / "out").symlink_to("/etc")
    base = os.open(tmp_path, os.O_PATH)
    fd = names._walk(base, ("a", "file"), os.O_RDONLY)
    assert os.read(fd, 9) == b"x"
    os.close(fd)
    for parts in (("out", "passwd"), ("a", "link"), ("out",)):
        for flags in (os.O_RDONLY, os.O_PATH):
            with pytest.raises((Refused, NotFound)):
                names._walk(base, parts, flags)
    os.close(base)
    assert len(os.listdir("/proc/self/fd")) < 60


@given(st.text(max_size=300), st.integers(0, 3))
def test_every_text_is_a_path_below_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, text: str, depth: int
) -> None:
    root = tmp_path_factory.getbasetemp() / "beneath"
    root.mkdir(exist_ok=True)
    try:
        os.close(names.open_beneath(root, "../" * depth + text))
        assert set(text.split("/")) <= {""} and not depth
    except (WinslowError, UnicodeEncodeError):
        pass


def test_mapped_folders_are_shown_and_nothing_is_written_into_them(share: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    some_file(archive / "2024", "old.mp4", b"old")
    (archive / "leak").symlink_to("/etc/passwd")
    before = tree(archive)
    pool = pool_at(share, archive=archive)
    pool.import_path(some_file(tmp_path / "from"))
    assert [(e.name, e.kind, e.mapped) for e in pool.page().entries] == [
        ("archive", "folder", True),
        ("clip.mp4", "file", False),
    ]
    assert [e.path for e in pool.page("archive").entries] == ["archive/2024"], "a link that leads out is not shown"
    assert pool.resolve("archive/2024/old.mp4") == archive / "2024" / "old.mp4"
    assert pool.import_path(archive / "2024" / "old.mp4") == "archive/2024/old.mp4"
    operation = pool.checksum("archive/2024/old.mp4")
    assert isinstance(operation, Operation)
    pool.carry_out_checksum(operation, unwatched)
    with pytest.raises(Refused, match="archive-2"):
        carried_out(pool, some_file(tmp_path / "from2"), "archive")
    assert tree(archive) == before


def test_pages_are_complete_and_in_order(pool: Pool, share: Path) -> None:
    (share / "inputs").mkdir()
    wanted = sorted(f"film {n}" for n in range(57))
    for name in wanted:
        (share / "inputs" / name).touch()
    found, after = [], ""
    while True:
        page = pool.page(after=after, count=10)
        found += [e.name for e in page.entries]
        if page.next is None:
            break
        after = page.next
    assert found == wanted


def test_an_empty_pool_has_an_empty_page_and_a_missing_folder_is_an_error(pool: Pool) -> None:
    assert pool.page().entries == ()
    with pytest.raises(NotFound):
        pool.page("nowhere")


def test_groups_hide_a_folder_and_all_below_it(pool: Pool, share: Path) -> None:
    (share / "inputs" / "police" / "secret").mkdir(parents=True)
    pool.set_groups("police", ["traffic", "police"])
    pool.set_groups("police/secret", ["police"])
    assert pool.may_see([], "open/film.mp4")
    assert not pool.may_see([], "police")
    assert pool.may_see(["traffic"], "police/film.mp4")
    assert not pool.may_see(["traffic"], "police/secret/film.mp4")
    assert pool.may_see(["police"], "police/secret/film.mp4")
    assert not pool.may_see([], "police/")
    with pytest.raises(Invalid):
        pool.may_see(["police"], "open/../police/film.mp4")
    pool.set_groups("police", [])
    assert pool.may_see([], "police/film.mp4")
    assert not pool.may_see([], "police/secret/film.mp4")


def test_unreadable_groups_let_nobody_in(pool: Pool, share: Path) -> None:
    (share / "inputs" / "police").mkdir(parents=True)
    pool.set_groups("police", ["police"])
    (share / "inputs" / ".winslow" / "groups.json").write_text("{")
    with pytest.raises(Refused, match="Nobody was let in"):
        pool.may_see([], "police")


def test_a_checksum_is_kept_until_the_file_changes(pool: Pool, share: Path, tmp_path: Path) -> None:
    pool.import_path(some_file(tmp_path))
    operation = pool.checksum("clip.mp4")
    assert isinstance(operation, Operation)
    wanted = hashlib.sha256(b"film").hexdigest()
    assert pool.carry_out_checksum(operation, unwatched) == wanted
    assert pool.checksum("clip.mp4") == wanted
    assert pool.page().entries[0].checksum == wanted
    (share / "inputs" / "clip.mp4").write_bytes(b"mlif")
    assert isinstance(pool.checksum("clip.mp4"), Operation)
    assert pool.page().entries[0].checksum == ""


def test_leftovers_of_killed_imports_go_when_nobody_owns_them(pool: Pool, share: Path) -> None:
    (share / "inputs" / ".partial-dead").mkdir(parents=True)
    (share / "inputs" / ".partial-dead" / "x").touch()
    (share / "inputs" / ".partial-alive").touch()
    (share / "inputs" / ".partial-young").touch()
    for name in ("dead", "alive"):
        os.utime(share / "inputs" / f".partial-{name}", (1, 1))
    os.utime(share / "inputs" / ".partial-young", (NOW.timestamp(), NOW.timestamp()))
    assert pool.sweep(["alive"], older=3600) == 1
    assert sorted(os.listdir(share / "inputs")) == [".partial-alive", ".partial-young"]


# --- a share in trouble


def test_a_full_share_says_so_and_keeps_no_half_file(filesystem: Callable[..., Path], tmp_path: Path) -> None:
    room = filesystem("tmpfs", 4)
    pool = pool_at(room / "share")
    for size in (INLINE_BYTES - 1, INLINE_BYTES + 1):
        with pytest.raises(ShareUnavailable) as trouble:
            carried_out(pool, some_file(tmp_path, content=bytes(size)))
        assert trouble.value.code == "share.full"
        assert tree(room / "share" / "inputs") == {}


def test_a_read_only_share_says_so(filesystem: Callable[..., Path], tmp_path: Path) -> None:
    room = filesystem("tmpfs", 4)
    pool = pool_at(room)
    assert os.system(f"mount -o remount,ro {room}") == 0
    with pytest.raises(ShareUnavailable) as trouble:
        pool.import_path(some_file(tmp_path / "from"))
    assert trouble.value.code == "share.read_only"


def test_nothing_is_written_where_the_share_is_not_mounted(tmp_path: Path) -> None:
    (tmp_path / "mountpoint").mkdir()
    pool = Pool(tmp_path / "mountpoint", {}, lambda: "op1", lambda: NOW)
    with pytest.raises(ShareUnavailable) as trouble:
        pool.import_path(some_file(tmp_path / "from"))
    assert trouble.value.code == "share.gone"
    assert tree(tmp_path / "mountpoint") == {}
