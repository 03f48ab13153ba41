"""The share as people see it: all that they may see, nothing else, whoever changes what in the meantime."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.resources.share import make_share
from winslow_nomad.core.access import Principal, Role
from winslow_nomad.core.errors import Invalid, NotFound, Refused, WinslowError
from winslow_nomad.core.filing import Area, Sorting, from_text, to_text
from winslow_nomad.core.pipeline import Pipeline, StageDefinition
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Attempt, EndedStage, Stage, StageState
from winslow_nomad.resources import changes, spaces
from winslow_nomad.resources.descent import Everything, descend, split
from winslow_nomad.resources.tree import Tree

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
MEM = Principal(user="mem", role=Role.MEMBER)
VIC = Principal(user="vic", role=Role.VIEWER)
MAT = Principal(user="mat", role=Role.MAINTAINER)
POOL = Area(who=MEM)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    root = make_share(tmp_path / "share")
    (root / "inputs").mkdir()
    (tmp_path / "secret").write_text("nobody's business")
    return root


@pytest.fixture
def inputs(share: Path) -> Path:
    return share / "inputs"


@pytest.fixture
def tree(share: Path, tmp_path: Path) -> Tree:
    (tmp_path / "recordings" / "deep").mkdir(parents=True)
    (tmp_path / "recordings" / "a.mp4").write_text("mapped")
    return Tree(share, {"recordings": tmp_path / "recordings"})


def content(tree: Tree, area: Area, path: str) -> bytes:
    opened = tree.open(area, path)
    try:
        return opened.read(0, 1 << 20)
    finally:
        opened.close()


def names(tree: Tree, area: Area, path: str = "", **more: object) -> list[str]:
    return [e.name for e in tree.page(area, path, **more).entries]  # type: ignore[arg-type]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# --- names


@given(st.binary(min_size=1, max_size=40).filter(lambda b: b"/" not in b and b"\0" not in b))
def test_every_name_of_a_disk_comes_back_through_its_text(raw: bytes) -> None:
    name = os.fsdecode(raw)
    text = to_text(name)
    text.encode("utf-8")  # fits into JSON
    assert os.fsencode(from_text(text)) == raw


def test_a_name_that_is_no_utf8_is_listed_and_opened(tree: Tree, inputs: Path) -> None:
    (inputs / os.fsdecode(b"caf\xe9.txt")).write_text("latin")
    (entry,) = [e for e in tree.page(POOL, "").entries if not e.mapped]
    entry.name.encode()
    assert content(tree, POOL, entry.path) == b"latin"


@pytest.mark.parametrize("path", ["..", "a/..", "../a", "a/../../b", "/etc/passwd", ".", "a//b", "a\0b", "x" * 256,
                                  "/", "a/./b", "a/" * 200, "é" * 2100])  # fmt: skip
def test_a_path_that_is_none_is_refused(tree: Tree, path: str) -> None:
    with pytest.raises((Invalid, NotFound)):
        tree.entry(POOL, path)


# --- links


@pytest.mark.parametrize("target", ["../../secret", "/etc/passwd", "../winslow.json", "..", "/", "../..", "loop",
                                    "/proc/self/root", "a/../../../secret"])  # fmt: skip
def test_a_link_that_leads_out_is_not_followed(tree: Tree, inputs: Path, target: str) -> None:
    (inputs / "a").mkdir()
    (inputs / "loop").symlink_to(target)
    before = descriptors()
    for path in ("loop", "loop/etc/passwd", "loop/secret"):
        with pytest.raises((Refused, NotFound)) as refusal:
            tree.open(POOL, path)
        assert refusal.value.code in ("path.outside", "path.not_found")
    (entry,) = [e for e in tree.page(POOL, "").entries if e.name == "loop"]
    assert (entry.kind, entry.link) == ("link", target)
    assert descriptors() == before, "a refusal leaves descriptors open"


def test_a_link_that_stays_inside_is_followed(tree: Tree, inputs: Path) -> None:
    (inputs / "runs" / "7").mkdir(parents=True)
    (inputs / "runs" / "7" / "model.pt").write_text("weights")
    (inputs / "runs" / "latest").symlink_to("7")
    (inputs / "best.pt").symlink_to("runs/latest/../7/model.pt")
    assert content(tree, POOL, "best.pt") == b"weights"
    assert content(tree, POOL, "runs/latest/model.pt") == b"weights"
    assert tree.entry(POOL, "best.pt").kind == "file"


def test_nothing_but_plain_files_is_opened(tree: Tree, inputs: Path) -> None:
    os.mkfifo(inputs / "pipe")
    with pytest.raises(Invalid, match="not a file"):
        tree.open(POOL, "pipe")  # would wait for ever
    assert tree.entry(POOL, "pipe").kind == "other"
    with pytest.raises(Invalid, match="not a file"):
        tree.open(POOL, "recordings")


@pytest.mark.parametrize("depth", [1, 3])
def test_a_folder_that_is_replaced_by_a_link_again_and_again_leads_nowhere_else(
    tree: Tree, inputs: Path, tmp_path: Path, depth: int
) -> None:
    """Whatever the moment, what is read lies in the pool."""
    outside = tmp_path / "outside"
    good = inputs.joinpath(*["d"] * depth)
    good.mkdir(parents=True)
    outside.mkdir()
    (good / "f").write_text("inside")
    (outside / "f").write_text("OUTSIDE")
    aside = inputs.parent / "aside"
    link = inputs.parent / "link"
    link.symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            good.rename(aside)
            link.rename(good)
            good.rename(link)
            aside.rename(good)

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen: set[bytes] = set()
    before = descriptors()
    try:
        path = "d/" * depth + "f"
        for _ in range(2000):
            with suppress(NotFound, Refused):
                seen.add(content(tree, POOL, path))
            with suppress(NotFound, Refused, Invalid):
                assert names(tree, POOL, path.rpartition("/")[0]) in (["f"], [])
    finally:
        stop.set()
        swapping.join()
    assert seen == {b"inside"}
    assert descriptors() <= before + 1


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["mkdir", "link", "file", "remove"]),
        st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3),
        st.lists(st.sampled_from(["..", ".", "a", "b", "/", "secret", "share"]), min_size=1, max_size=6),
    ),
    max_size=12,
)


@settings(max_examples=100)
@given(ACTIONS, st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4))
def test_no_arrangement_of_links_leads_out(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, list[str], list[str]]], wanted: list[str]
) -> None:
    """The answer is the one the kernel gives, where that lies inside; otherwise there is none."""
    top = tmp_path_factory.mktemp("links")
    root = top / "share"
    root.mkdir()
    (top / "secret").write_text("OUTSIDE")
    for what, where, target in actions:
        place = root.joinpath(*where)
        with suppress(OSError):
            if what == "mkdir":
                place.mkdir(parents=True)
            elif what == "link":
                place.symlink_to("/".join(target))
            elif what == "file":
                place.write_text("inside")
            else:
                place.unlink()
    base = os.open(root, os.O_PATH)
    try:
        with descend(base, tuple(wanted), Everything()) as place:
            real = root.joinpath(*wanted).resolve()
            assert real == root.joinpath(*place.parts)
            assert real == root or real.is_relative_to(root)
    except WinslowError:
        pass
    finally:
        os.close(base)


# --- the pool


def test_winslows_own_names_are_not_there(tree: Tree, inputs: Path) -> None:
    (inputs / ".winslow").mkdir()
    (inputs / ".winslow" / "groups.json").write_text('{"folders": {}}')
    (inputs / ".partial-o1").mkdir()
    (inputs / "sneaky").symlink_to(".winslow/groups.json")
    assert names(tree, POOL) == ["recordings", "sneaky"]
    for path in (".winslow", ".winslow/groups.json", ".partial-o1", "sneaky"):
        with pytest.raises(NotFound):
            tree.open(POOL, path)


def test_a_mapped_folder_is_seen_and_wins_over_one_of_its_name(tree: Tree, inputs: Path, tmp_path: Path) -> None:
    (inputs / "recordings").mkdir()
    (inputs / "recordings" / "hidden").write_text("x")
    (tmp_path / "recordings" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "recordings" / "in").symlink_to(tmp_path / "recordings" / "a.mp4")
    assert content(tree, POOL, "recordings/a.mp4") == b"mapped"
    assert content(tree, POOL, "recordings/in") == b"mapped"
    with pytest.raises(Refused):
        tree.open(POOL, "recordings/out")
    with pytest.raises(NotFound):
        tree.open(POOL, "recordings/hidden")
    page = tree.page(POOL, "")
    assert [(e.name, e.mapped, e.writable) for e in page.entries] == [("recordings", True, False)]
    assert {e.writable for e in tree.page(POOL, "recordings").entries} == {False}


def closed(share: Path, **folders: list[str]) -> None:
    (share / "inputs" / ".winslow").mkdir(exist_ok=True)
    with changes.share_at(str(share), "winslow.json") as root:
        for folder, groups in folders.items():
            changes.set_groups(root, folder.replace("__", "/"), groups)


def test_a_folder_of_a_group_is_not_there_for_others(tree: Tree, share: Path, inputs: Path) -> None:
    (inputs / "cases" / "a").mkdir(parents=True)
    (inputs / "cases" / "a" / "clip.mp4").write_text("film")
    (inputs / "open").mkdir()
    (inputs / "open" / "round").symlink_to("../cases/a/clip.mp4")
    (inputs / "open" / "around").symlink_to("../cases")
    closed(share, cases=["police"])
    police = Area(who=Principal(user="pol", role=Role.MEMBER, groups=frozenset({"police"})))
    assert names(tree, POOL) == ["open", "recordings"]
    for path in ("cases", "cases/a", "cases/a/clip.mp4", "cases/none", "open/round", "open/around/a/clip.mp4"):
        with pytest.raises(NotFound):
            tree.entry(POOL, path)
        assert not tree.may_read(MEM, path)
    assert {e.name: e.kind for e in tree.page(POOL, "open").entries} == {"round": "link", "around": "link"}
    assert names(tree, police) == ["cases", "open", "recordings"]
    assert tree.may_read(police.who, "open/round")
    assert tree.may_read(MAT, "cases/a/clip.mp4")
    (entry,) = [e for e in tree.page(police, "").entries if e.name == "cases"]
    assert entry.groups == ("police",)


def test_mapped_folders_have_groups_too(tree: Tree, share: Path) -> None:
    closed(share, recordings__deep=["police"])
    assert names(tree, POOL, "recordings") == ["a.mp4"]
    closed(share, recordings=["police"])
    assert names(tree, POOL) == []


def test_nobody_is_let_in_while_the_groups_cannot_be_read(tree: Tree, inputs: Path) -> None:
    (inputs / "clip").write_text("x")
    (inputs / ".winslow").mkdir()
    (inputs / ".winslow" / "groups.json").write_text("{broken")
    with pytest.raises(Refused, match="nobody was let in"):
        tree.page(POOL, "")
    assert not tree.may_read(MEM, "clip")
    assert tree.may_read(MAT, "clip")


# --- pages


@pytest.mark.parametrize("sort", ["name", "-name", "size", "-size", "modified", "-modified"])
@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_the_pages_of_a_folder_hold_each_entry_once_and_in_order(
    tree: Tree, inputs: Path, sort: Sorting, limit: int
) -> None:
    folder = inputs / "many"
    folder.mkdir()
    for n in range(9):
        (folder / f"{'AbC'[n % 3]}{n}").write_bytes(b"x" * (n % 4))
        os.utime(folder / f"{'AbC'[n % 3]}{n}", (1000 + n % 5, 1000 + n % 5))
    for n in range(4):
        (folder / f"dir{n}").mkdir()
    seen: list[str] = []
    after = ""
    while True:
        page = tree.page(POOL, "many", sort=sort, limit=limit, after=after)
        assert len(page.entries) <= limit
        seen += [e.name for e in page.entries]
        after = page.next
        if not after:
            break
    every = [e.name for e in tree.page(POOL, "many", sort=sort, limit=1000).entries]
    assert seen == every
    assert len(set(every)) == 13
    assert {n for n in every[:4]} == {"dir0", "dir1", "dir2", "dir3"}, "folders come first"
    files = [folder / n for n in every[4:]]
    key: dict[str, Callable[[Path], object]] = {
        "name": lambda p: p.name.casefold(),
        "size": lambda p: p.stat().st_size,
        "modified": lambda p: p.stat().st_mtime_ns,
    }
    wanted = [key[sort.removeprefix("-")](p) for p in files]
    assert wanted == sorted(wanted, reverse=sort.startswith("-"))  # type: ignore[type-var]


def test_names_that_come_and_go_between_two_pages_move_no_others(tree: Tree, inputs: Path) -> None:
    for n in range(0, 20, 2):
        (inputs / f"{n:02d}").touch()
    first = tree.page(POOL, "", limit=6)
    (inputs / "01").touch()
    (inputs / first.entries[-1].name).unlink()
    rest = names(tree, POOL, "", limit=100, after=first.next)
    assert rest == [f"{n:02d}" for n in range(10, 20, 2)]


@pytest.mark.parametrize("after", ["?", "AAAA", "W10", "WzEsMiwzXQ", "WzAsIngiLDFd", "bnVsbA"])
def test_a_cursor_that_no_page_gave_is_refused(tree: Tree, after: str) -> None:
    with pytest.raises(Invalid):
        tree.page(POOL, "", after=after)


def test_a_cursor_of_another_order_is_refused(tree: Tree, inputs: Path) -> None:
    for n in range(3):
        (inputs / str(n)).touch()
    after = tree.page(POOL, "", limit=2).next
    with pytest.raises(Invalid):
        tree.page(POOL, "", sort="size", after=after)


# --- projects


def definition(stage: str) -> StageDefinition:
    return StageDefinition(id=stage, command=("true",))


@pytest.fixture
def project(share: Path) -> Project:
    """Stage 1 has ended, stage 2 runs in its second attempt."""
    base = share / "projects" / "p1"
    for attempt in ("stages/0001-detect/attempts/1", "stages/0002-track/attempts/1", "stages/0002-track/attempts/2"):
        for part in ("workspace", "output", "log", "stages"):
            (base / attempt / part).mkdir(parents=True)
        (base / attempt / "environment").write_text("LICENCE=swordfish")
        (base / attempt / "command").write_text("true")
        (base / attempt / "output" / "result.csv").write_text(attempt)
    for name in ("workspace", "output", "log"):
        (base / "stages/0001-detect" / name).symlink_to(f"attempts/1/{name}")
    (base / "stages/0001-detect/stage.json").write_text("{}")
    (base / "stages/0001-detect/attempts/1/end.json").write_text("{}")
    (base / "output").mkdir()
    (base / "output" / "detect").symlink_to("../stages/0001-detect/attempts/1/output")
    (base / "journal").mkdir()
    (base / "project.json").write_text("{}")
    (base / "sweeps/1/workspace").mkdir(parents=True)
    track = Stage(
        number=2,
        definition=definition("track"),
        state=StageState.RUNNING,
        made=NOW,
        queued=NOW,
        attempts=(Attempt(number=1, made=NOW), Attempt(number=2, made=NOW)),
    )
    return Project(
        id="p1",
        name="street",
        pipeline=Pipeline(name="traffic", stages=(definition("detect"), definition("track"))),
        author="mem",
        created=NOW,
        updated=NOW,
        stages={2: track},
        ended={1: EndedStage(number=1, id="detect", state=StageState.SUCCEEDED, attempt=1)},
    )


def of(project: Project, who: Principal = MEM) -> Area:
    return Area(who=who, project=project)


def test_of_a_project_exactly_workspaces_and_outputs_are_seen(tree: Tree, project: Project) -> None:
    area = of(project)
    assert names(tree, area) == ["output", "stages", "sweeps"]
    assert names(tree, area, "stages") == ["0000", "0001-detect", "0002-track"]
    assert sorted(names(tree, area, "stages/0001-detect")) == ["attempts", "output", "workspace"]
    assert names(tree, area, "stages/0002-track/attempts") == ["1", "2"]
    assert names(tree, area, "stages/0002-track/attempts/2") == ["output", "stages", "workspace"]
    assert names(tree, area, "stages/0000") == ["workspace"]
    assert names(tree, area, "stages/0000/workspace") == []


HIDDEN = ["project.json", "journal", "stages/0001-detect/stage.json", "stages/0001-detect/log", "stages/x",
          "stages/0001-detect/attempts/1/environment", "stages/0001-detect/attempts/1/command",
          "stages/0002-track/attempts/2/log", "stages/0001-detect/attempts/x", "sweeps/1/x", "sweeps/x",
          "stages/0002-track/attempts/²", "stages/0000/x", "stages/1-detect"]  # fmt: skip


@pytest.mark.parametrize("path", HIDDEN)
def test_the_rest_of_a_project_is_not_there_whichever_way_it_is_reached(
    tree: Tree, project: Project, share: Path, path: str
) -> None:
    area = of(project, MAT)
    with pytest.raises((NotFound, Invalid)):
        tree.entry(area, path)
    workspace = share / "projects/p1/stages/0002-track/attempts/2/workspace"
    (workspace / "up").symlink_to(f"../../../../../{path}")
    (workspace / "absolute").symlink_to(f"{share}/projects/p1/{path}")
    for name in ("up", "absolute"):
        with pytest.raises((NotFound, Refused)):
            tree.open(area, f"stages/0002-track/workspace/{name}")


def test_a_running_stage_shows_the_files_of_its_newest_attempt(tree: Tree, project: Project) -> None:
    area = of(project)
    assert content(tree, area, "stages/0002-track/output/result.csv") == b"stages/0002-track/attempts/2"
    assert content(tree, area, "stages/0002-track/attempts/1/output/result.csv") == b"stages/0002-track/attempts/1"


def test_the_output_view_leads_to_the_outputs_of_the_stages_that_count(tree: Tree, project: Project) -> None:
    area = of(project)
    assert [(e.name, e.kind) for e in tree.page(area, "output").entries] == [("detect", "folder")]
    assert content(tree, area, "output/detect/result.csv") == b"stages/0001-detect/attempts/1"


@pytest.mark.parametrize("target", ["/output/result.csv", "../output/result.csv", "SHARE/output/result.csv"])
def test_links_that_stages_make_are_meant_as_the_stage_saw_them(
    tree: Tree, project: Project, share: Path, target: str
) -> None:
    attempt = share / "projects/p1/stages/0002-track/attempts/2"
    (attempt / "workspace" / "last").symlink_to(target.replace("SHARE", str(attempt)))
    assert content(tree, of(project), "stages/0002-track/workspace/last") == b"stages/0002-track/attempts/2"


def test_no_link_leads_from_one_project_into_another(tree: Tree, project: Project, share: Path) -> None:
    other = share / "projects/p2/output"
    other.mkdir(parents=True)
    (other / "secret").write_text("theirs")
    workspace = share / "projects/p1/stages/0002-track/attempts/2/workspace"
    for number, target in enumerate(["../" * 7 + "p2/output/secret", f"{other}/secret", "../" * 8 + "inputs"]):
        (workspace / str(number)).symlink_to(target)
        with pytest.raises(Refused):
            tree.open(of(project), f"stages/0002-track/workspace/{number}")


@pytest.mark.parametrize(("path", "good"), [
    ("stages/0000/workspace/a", True), ("stages/0002-track/attempts/2/workspace/a", True),
    ("stages/0002-track/attempts/2/output/a/b", True), ("stages/0002-track/attempts/1/workspace/a", False),
    ("stages/0001-detect/attempts/1/output/result.csv", False), ("stages/0000/workspace", False),
    ("stages/0002-track/attempts/2/workspace", False), ("output/detect", False), ("output/x", False),
    ("sweeps/1/workspace/a", False), ("stages/0003-x/attempts/1/workspace/a", False), ("stages", False), ("x", False),
    ("stages/0002-other/attempts/2/workspace/a", False), ("stages/0002-track/attempts/2/environment", False),
])  # fmt: skip
def test_what_may_be_changed_in_a_project(project: Project, path: str, good: bool) -> None:
    if good:
        spaces.writable_in_project(project, split(path))
        return
    with pytest.raises(Refused):
        spaces.writable_in_project(project, split(path))


def test_entries_say_whether_they_may_be_changed(tree: Tree, project: Project) -> None:
    def writable(path: str, who: Principal = MEM) -> bool:
        return tree.entry(of(project, who), path).writable

    assert writable("stages/0002-track/output/result.csv")
    assert not writable("stages/0001-detect/output/result.csv")
    assert not writable("stages/0002-track/output/result.csv", VIC)
    assert not writable("stages/0002-track/output/result.csv", MEM.but(scopes=frozenset({"read"})))
    assert not writable("output/detect/result.csv")


def test_a_workspace_made_of_links_ends(tree: Tree, project: Project, share: Path) -> None:
    workspace = share / "projects/p1/stages/0002-track/attempts/2/workspace"
    (workspace / "x").symlink_to("x/x/x/x")
    (workspace / "y").symlink_to("/workspace/y")
    for name in ("x", "y"):
        with pytest.raises(Refused):
            tree.open(of(project), f"stages/0002-track/workspace/{name}")


@pytest.fixture(autouse=True)
def _no_descriptor_is_left() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() <= before + 1
