"""Reading the share as people see it: the input pool and projects, by the rules of `spaces`, walked by `descent`.

Every call may hang with the share and belongs into a lane with a deadline; nothing is remembered between calls but the
answer of the file system. Never writes. A name that may not be seen is answered as one that is not there.
"""

from __future__ import annotations

import base64
import binascii
import heapq
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from winslow_nomad.core.access import MEMBER_RANKS, RANKS, Principal, Role, rank_in
from winslow_nomad.core.errors import Invalid, NotFound, Refused, WinslowError
from winslow_nomad.core.filing import Area, Entry, EntryKind, Listing, Sorting, from_text, to_text
from winslow_nomad.resources import changes, layout, spaces
from winslow_nomad.resources.archiving import Packed
from winslow_nomad.resources.descent import Parts, Place, Rules, absent, descend, split
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.uploads import tag_of
from winslow_nomad.resources.work import share_conditions

LARGEST_PAGE = 1000
NEVER = datetime.fromtimestamp(0, UTC)
Key = tuple[Any, str]


class OpenedFile:
    """Implements core.filing.Opened."""

    def __init__(self, entry: Entry, fd: int) -> None:
        self.entry = entry
        self._fd = fd

    @property
    def descriptor(self) -> int:
        return self._fd

    def read(self, offset: int, count: int) -> bytes:
        with share_conditions():
            block = os.pread(self._fd, count, offset)
            while len(block) < count and (more := os.pread(self._fd, count - len(block), offset + len(block))):
                block += more
            return block

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True)
class Root:
    """Where a path begins. `above`: the part of it that the root stands for; `share`: its place on the share, empty
    for what is mapped from elsewhere."""

    path: Path
    rules: Rules
    below: Parts
    above: Parts = ()
    share: Parts = ()


class Tree:
    def __init__(self, share: Path, mapped: Mapping[str, Path]) -> None:
        self.share = share
        self.mapped = dict(mapped)

    # --- where things are

    def root(self, area: Area, parts: Parts) -> Root:
        if area.project is not None:
            folder = layout.project_folder(area.project.id)
            path = self.share / folder
            return Root(path, spaces.ProjectRules(str(path)), parts, (), tuple(folder.split("/")))
        may_see = self.may_see(area.who)
        if parts and parts[0] in self.mapped:
            path = self.mapped[parts[0]]
            return Root(path, spaces.MappedRules(parts[0], str(path), may_see), parts[1:], parts[:1])
        return Root(self.share / layout.INPUTS, spaces.PoolRules(may_see), parts, (), (layout.INPUTS,))

    def may_see(self, who: Principal) -> Callable[[Parts], bool]:
        return spaces.everything if who.sees_all else spaces.seen_by(self.rules_of_folders(), who.groups)

    def rules_of_folders(self) -> dict[str, list[str]]:
        """The groups of folders of the pool, by path. Nobody is let in where they cannot be read."""
        try:
            with share_conditions():
                place = self.share / layout.INPUTS / changes.OWN / changes.GROUPS
                return dict(json.loads(place.read_bytes())["folders"])
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(
                "The groups of the input pool's folders cannot be read; nobody was let in.",
                hint=f"Repair inputs/{changes.OWN}/{changes.GROUPS} on the share, or delete it to show all to all.",
                code="pool.groups_unreadable",
            ) from error

    @contextmanager
    def at(self, area: Area, path: str, *, follow_last: bool = True) -> Iterator[tuple[Place, Root]]:
        """Walk to a path as a person wrote it."""
        parts = split(from_text(path))
        with share_conditions(), self.walked(self.root(area, parts), follow_last=follow_last) as found:
            yield found

    @contextmanager
    def walked(self, root: Root, *, follow_last: bool = True) -> Iterator[tuple[Place, Root]]:
        if not root.rules.visible(root.below):
            raise absent((*root.above, *root.below))
        try:
            base = os.open(root.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise absent((*root.above, *root.below)) from error
        try:
            place = descend(base, root.below, root.rules, follow_last=follow_last)
        finally:
            os.close(base)
        with place:
            yield place, root

    # --- looking

    def may_read(self, who: Principal, path: str) -> bool:
        """Links followed. Of a folder: all that is in it."""
        try:
            closed = spaces.closed_to(self.rules_of_folders(), who.groups) if not who.sees_all else frozenset()
            parts = split(from_text(path))
            if not spaces.all_open(closed, parts):
                return False
            root = self.root(Area(who=who.but(role=Role.MAINTAINER)), parts)  # where it leads, before who may go there
            with share_conditions(), self.walked(root) as (place, _):
                return spaces.all_open(closed, (*root.above, *place.parts))
        except NotFound:
            return True
        except (Invalid, Refused):
            return False

    def entry(self, area: Area, path: str) -> Entry:
        parts = split(from_text(path))
        try:
            with self.at(area, path) as (place, root):
                link = self._link(area, path) if place.linked else ""
                return self._entry(_Look(self, area, root, place.parts[:-1]), path, place.found, link)
        except NotFound:
            if not self._is_there_in_time(area, parts):
                raise
            return Entry(name=parts[-1] if parts else "", path=path, kind="folder", modified=NEVER)

    def _link(self, area: Area, path: str) -> str:
        with suppress(WinslowError), self.at(area, path, follow_last=False) as (place, _):
            if stat.S_ISLNK(place.found.st_mode):
                return os.readlink("", dir_fd=place.fd)
        return ""

    def open(self, area: Area, path: str) -> OpenedFile:
        """Raises Invalid (path.not_a_file) for folders, pipes and devices, which are never opened."""
        if self._is_there_in_time(area, split(from_text(path))):
            raise not_a_file(path)
        with self.at(area, path) as (place, root):
            if not place.is_file:
                raise not_a_file(path)
            entry = self._entry(_Look(self, area, root, place.parts[:-1]), path, place.found, "")
            return OpenedFile(entry, self._opened(place, path))

    @staticmethod
    def _opened(place: Place, path: str, flags: int = os.O_RDONLY) -> int:
        try:
            return place.opened(flags)
        except PermissionError as error:
            raise Refused(
                f"{shown(from_text(path))} may not be read by Winslow; it belongs to somebody else.",
                hint="Look at owner and mode on the share.",
                code="path.denied",
            ) from error

    def page(self, area: Area, path: str, *, sort: Sorting = "name", limit: int = 200, after: str = "") -> Listing:
        parts = split(from_text(path))
        try:
            with self.at(area, path) as (place, root):
                if not place.is_folder:
                    raise Invalid(f"{shown(from_text(path))} is not a folder.", code="path.not_a_folder")
                fd = self._opened(place, path, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    return self._page(_Look(self, area, root, place.parts), fd, path, sort, limit, after)
                finally:
                    os.close(fd)
        except NotFound:
            if not self._is_there_in_time(area, parts):
                raise
            return self._page(_Look(self, area, self.root(area, parts), parts), -1, path, sort, limit, after)

    @staticmethod
    def _is_there_in_time(area: Area, parts: Parts) -> bool:
        """Folders that are only made when something comes into them."""
        if area.project is None:
            return not parts
        return parts in ((), ("output",), ("stages",), ("stages", spaces.GIVEN), ("stages", spaces.GIVEN, "workspace"))

    def _page(self, look: _Look, fd: int, path: str, sort: Sorting, limit: int, after: str) -> Listing:
        limit = min(max(limit, 1), LARGEST_PAGE)
        cursor = _cursor(after, str if sort.endswith("name") else int)
        down = sort.startswith("-")
        best = heapq.nlargest if down else heapq.nsmallest
        chosen: list[tuple[int, Key]] = []
        for rank, group in enumerate(look.names(fd, sort.removeprefix("-"))):
            if cursor is not None and rank < cursor[0]:
                continue
            keys: Iterable[Key] = group
            if cursor is not None and rank == cursor[0]:
                behind = cursor[1]
                keys = (k for k in group if (k < behind if down else k > behind))
            chosen += ((rank, key) for key in best(limit + 1 - len(chosen), keys))
            if len(chosen) > limit:
                break
        prefix = f"{path.rstrip('/')}/" if path else ""
        entries = [e for _, (_, name) in chosen[:limit] if (e := look.entry(fd, prefix, name)) is not None]
        return Listing(entries=tuple(entries), next=_as_text(chosen[limit - 1]) if len(chosen) > limit else "")

    def _entry(self, look: _Look, path: str, found: os.stat_result, link: str) -> Entry:
        name = path.rstrip("/").rpartition("/")[2]
        kind = kind_of(found)
        return Entry(
            name=name,
            path=path.rstrip("/"),
            kind=kind,
            bytes=found.st_size if kind == "file" else 0,
            modified=modified(found),
            tag=tag_of(found) if kind == "file" else "",
            link=to_text(link),
            writable=look.writable(from_text(name)),
            mapped=bool(look.root.above),
            groups=look.groups(from_text(name)) if kind == "folder" else (),
        )

    # --- all of a folder

    def members(self, area: Area, path: str) -> Iterator[tuple[Packed, OpenedFile | None]]:
        """All of a folder, in order. Links are left out, but for those that make up the output view of a project. The
        caller closes what it is given."""
        try:
            with self.at(area, path) as (place, root):
                if not place.is_folder:
                    raise Invalid(f"{shown(from_text(path))} is not a folder.", code="path.not_a_folder")
                yield from self._below(area, root, place, "")
        except NotFound:
            if not self._is_there_in_time(area, split(from_text(path))):
                raise

    def _below(self, area: Area, root: Root, place: Place, prefix: str) -> Iterator[tuple[Packed, OpenedFile | None]]:
        fd = place.opened(os.O_RDONLY | os.O_DIRECTORY)
        try:
            names = sorted(os.listdir(fd))  # noqa: PTH208 - by descriptor
        finally:
            os.close(fd)
        at_top = not prefix and not root.below and not root.above and area.project is None
        for name in names:
            below = Root(root.path, root.rules, (*place.parts, name), root.above, root.share)
            if at_top and name in self.mapped:
                continue
            is_view = area.project is not None and place.parts == ("output",)
            try:
                with self.walked(below, follow_last=is_view) as (inner, _):
                    shown_as = prefix + name
                    found = inner.found
                    if inner.is_file:
                        entry = Entry(name=to_text(name), path=to_text(shown_as), kind="file", modified=modified(found))
                        opened = OpenedFile(entry.but(bytes=found.st_size), inner.opened())
                        yield packed(shown_as, found), opened
                    elif inner.is_folder:
                        yield packed(shown_as, found), None
                        yield from self._below(area, root, inner, f"{shown_as}/")
            except (NotFound, Refused, PermissionError):
                continue  # gone meanwhile, or somebody else's


class _Look:
    """A folder, as one person sees it."""

    def __init__(self, tree: Tree, area: Area, root: Root, parts: Parts) -> None:
        self.tree = tree
        self.area = area
        self.root = root
        self.parts = parts
        self._rules: dict[str, list[str]] | None = None
        self._may_write: bool | None = None

    def names(self, fd: int, sort: str) -> tuple[list[Key], list[Key]]:
        """Folders and others, each with what it is sorted by."""
        folders: list[Key] = []
        others: list[Key] = []
        seen: set[str] = set()
        besides = self._besides()
        if fd >= 0:
            every = self.root.rules.open_below(self.parts) and not self._at_top_of_pool()
            with os.scandir(fd) as entries:
                for found in entries:
                    if not every and not self._visible(found.name):
                        continue
                    if besides:
                        seen.add(found.name)
                    is_folder = found.is_dir(follow_symlinks=False)
                    try:
                        (folders if is_folder else others).append((_key(found, sort, is_folder), found.name))
                    except FileNotFoundError:
                        continue  # gone meanwhile
        for name in besides:
            if name not in seen:
                folders.append((name.casefold() if sort == "name" else 0, name))
        return folders, others

    def _visible(self, name: str) -> bool:
        return not self._hidden_by_mapping(name) and self.root.rules.visible((*self.parts, name))

    def _hidden_by_mapping(self, name: str) -> bool:
        return self._at_top_of_pool() and name in self.tree.mapped

    def _at_top_of_pool(self) -> bool:
        return self.area.project is None and not self.root.above and not self.parts

    def _besides(self) -> list[str]:
        """What a folder holds without its being there on the disk."""
        if self.area.project is None:
            if not self._at_top_of_pool():
                return []
            may_see = self.tree.may_see(self.area.who)
            return [name for name in self.tree.mapped if may_see((name,))]
        match self.parts:
            case ():
                return ["output", "stages"]
            case ("stages",):
                return [spaces.GIVEN]
            case ("stages", spaces.GIVEN):
                return ["workspace"]
            case ("stages", _):
                return [n for n in spaces.FOLDERS if self._newest_has(n)]
        return []

    def _newest_has(self, name: str) -> bool:
        with suppress(WinslowError), self.tree.walked(self._named(name)) as (place, _):
            return place.is_folder
        return False

    def _named(self, name: str) -> Root:
        return Root(self.root.path, self.root.rules, (*self.parts, name), self.root.above, self.root.share)

    def entry(self, fd: int, prefix: str, name: str) -> Entry | None:
        """None: it is gone meanwhile."""
        path = prefix + to_text(name)
        link = ""
        found = None
        if fd >= 0 and not self._hidden_by_mapping(name):
            with suppress(FileNotFoundError):
                found = os.lstat(name, dir_fd=fd)
        if found is None:
            return self._without_disk(path, name)
        if stat.S_ISLNK(found.st_mode):
            with suppress(OSError):
                link = os.readlink(name, dir_fd=fd)
            with suppress(WinslowError, OSError), self.tree.walked(self._named(name)) as (place, _):
                found = place.found
        return self.tree._entry(self, path, found, link)

    def _without_disk(self, path: str, name: str) -> Entry | None:
        if name not in self._besides():
            return None
        with suppress(WinslowError, OSError):
            if self._at_top_of_pool():
                found = self.tree.mapped[name].stat()
            else:
                with self.tree.walked(self._named(name)) as (place, _):
                    found = place.found
            entry = self.tree._entry(self, path, found, "")
            return entry.but(mapped=name in self.tree.mapped, writable=False)
        return Entry(name=to_text(name), path=path, kind="folder", modified=NEVER)

    def writable(self, name: str) -> bool:
        if self.root.above or (not name and not self.parts):
            return False
        if self.area.project is None:
            return may_write(self.area)
        if self._may_write is None:
            try:
                spaces.writable_in_project(self.area.project, (*self.parts, name))
                self._may_write = may_write(self.area)
            except Refused:
                self._may_write = False
        return self._may_write

    def groups(self, name: str) -> tuple[str, ...]:
        if self.area.project is not None:
            return ()
        if self._rules is None:
            self._rules = self.tree.rules_of_folders()
        return tuple(self._rules.get("/".join((*self.root.above, *self.parts, name)), ()))


def not_a_file(path: str) -> Invalid:
    return Invalid(f"{shown(from_text(path))} is not a file; it was not opened.", code="path.not_a_file")


def may_write(area: Area) -> bool:
    """As far as the person and the project's members go."""
    who = area.who
    if RANKS[who.role] < RANKS[Role.MEMBER] or (who.scopes is not None and "files" not in who.scopes):
        return False
    if area.project is None:
        return True
    return rank_in(who, area.project.author, area.project.participants) >= MEMBER_RANKS["member"]


def kind_of(found: os.stat_result) -> EntryKind:
    if stat.S_ISREG(found.st_mode):
        return "file"
    if stat.S_ISDIR(found.st_mode):
        return "folder"
    return "link" if stat.S_ISLNK(found.st_mode) else "other"


def modified(found: os.stat_result) -> datetime:
    """Files may claim any time; a page has to show one."""
    try:
        return datetime.fromtimestamp(found.st_mtime, UTC)
    except (ValueError, OverflowError, OSError):
        return NEVER


def packed(path: str, found: os.stat_result) -> Packed:
    is_file = stat.S_ISREG(found.st_mode)
    return Packed(
        path=path,
        kind="file" if is_file else "folder",
        size=found.st_size if is_file else 0,
        modified=found.st_mtime,
        executable=bool(found.st_mode & 0o100),
    )


def _key(found: os.DirEntry[str], sort: str, is_folder: bool) -> Any:
    if sort == "name":
        return found.name.casefold()
    if sort == "size":
        return 0 if is_folder else found.stat(follow_symlinks=False).st_size
    return found.stat(follow_symlinks=False).st_mtime_ns


def _as_text(chosen: tuple[int, Key]) -> str:
    rank, (key, name) = chosen
    return base64.urlsafe_b64encode(json.dumps([rank, key, name]).encode()).decode().rstrip("=")


def _cursor(text: str, kind: type) -> tuple[int, Key] | None:
    if not text:
        return None
    try:
        rank, key, name = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not (isinstance(rank, int) and isinstance(key, kind) and isinstance(name, str)):
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise Invalid(
            "`after` is not what a page of this list, sorted like this, gave as `next`.", code="cursor.invalid"
        ) from error
    return rank, (key, name)
