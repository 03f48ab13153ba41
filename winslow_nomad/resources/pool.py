"""The input pool: the files that stages see read-only at /input, below `inputs/` on the share, and folders
of the administrator's choice mapped into it, of which nothing is copied.

A name in the pool never changes its content: importing something else under it is refused. All paths
are relative to the pool and checked by `names`; nothing is ever written into a mapped root.

Groups and checksums lie in `inputs/.winslow/`, one small file each, written whole; a checksum holds as
long as size and time of change of its file do.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from winslow_nomad.core.errors import Invalid, NotFound, Refused, WinslowError
from winslow_nomad.core.model import Value
from winslow_nomad.core.operations import Operation
from winslow_nomad.resources import names
from winslow_nomad.resources.copying import Item, clone, copy_tree, survey
from winslow_nomad.resources.layout import INPUTS
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.publish import rename_new, sync_folder, write_whole
from winslow_nomad.resources.remove import remove_tree
from winslow_nomad.resources.work import Progress, require_share, share_conditions, unwatched

OWN = ".winslow"
PARTIAL = ".partial-"
INLINE_BYTES = 8 * 1024 * 1024
INLINE_FILES = 64
BLOCK = 4 * 1024 * 1024


class PoolEntry(Value):
    """One line of a listing. `bytes` is 0 for folders; `checksum` is there where one is known and holds."""

    path: str
    name: str
    kind: Literal["file", "folder"]
    bytes: int = 0
    modified: datetime
    mapped: bool = False
    groups: tuple[str, ...] = ()
    checksum: str = ""


class PoolPage(Value):
    entries: tuple[PoolEntry, ...]
    next: str | None = None  # give it as `after`; None: this was the last page


class Pool:
    """`share` is the share's root. `mapped`: name in the pool -> folder on this machine.

    Every method may raise NotFound, Invalid (a path that cannot be one), Refused (code path.outside) and
    ShareUnavailable. Writing ones belong into a process that may hang with the share."""

    def __init__(
        self, share: Path, mapped: Mapping[str, Path], new_id: Callable[[], str], now: Callable[[], datetime]
    ) -> None:
        for name in mapped:
            _usable(names.check_name(name))
        self.share = share
        self._root = share / INPUTS
        self.mapped = dict(mapped)
        self._new_id = new_id
        self._now = now

    # --- importing

    def import_path(self, source: Path, name: str = "") -> str | Operation:
        """Bring a file or folder into the pool under `name` (its own, when empty). Answers its path in the
        pool if that is done at once (small, shared blocks, or there already), else the operation "import"
        to put into the book. Refused (code pool.name_taken) with a free name suggested."""
        name = _usable(names.check_name(name or source.name))
        with share_conditions():
            inside = self._path_of(source)
            if inside is not None:
                return inside
            items = survey(source)
            target = self._root / name
            if self._taken(name):
                quick = self._compare(target, source, items, quick=True)
                if quick is not None:
                    return self._same(quick, name)
            elif self._at_once(source, items, name):
                return name
        arguments = {"source": str(source.absolute()), "name": name}
        total = sum(i.size for i in items)
        return Operation(
            id=self._new_id(),
            kind="import",
            arguments=arguments,
            bytes_total=total,
            files_total=len(items),
            made=self._now(),
        )

    def carry_out_import(self, operation: Operation, progress: Progress) -> str:
        """The operation "import"; answers the path in the pool. May be repeated from the start."""
        source, name = (
            Path(operation.arguments["source"]),
            _usable(names.check_name(operation.arguments["name"])),
        )
        partial = self._root / f"{PARTIAL}{operation.id}"
        with share_conditions():
            self._make_root()
            remove_tree(partial)
            items = survey(source)
            if self._taken(name):
                return self._same(
                    bool(self._compare(self._root / name, source, items, quick=False, progress=progress)),
                    name,
                )
            try:
                copy_tree(source, items, partial, progress)
                return self._publish(partial, source, items, name)
            finally:
                remove_tree(partial)

    def _make_root(self) -> None:
        require_share(self.share)
        self._root.mkdir(exist_ok=True)

    def _at_once(self, source: Path, items: list[Item], name: str) -> bool:
        """Small, or one file whose blocks this share can share. The partial never outlives this call."""
        small = len(items) <= INLINE_FILES and sum(i.size for i in items) <= INLINE_BYTES
        if not small and len(items) > 1:
            return False
        self._make_root()
        partial = self._root / f"{PARTIAL}{self._new_id()}"
        try:
            if not small and not self._clones(source, partial):
                return False
            if partial.exists():
                partial.unlink()
            copy_tree(source, items, partial, unwatched)
            self._publish(partial, source, items, name)
            return True
        finally:
            remove_tree(partial)

    @staticmethod
    def _clones(source: Path, partial: Path) -> bool:
        with source.open("rb") as read, partial.open("xb") as write:
            return clone(read.fileno(), write.fileno())

    def _publish(self, partial: Path, source: Path, items: list[Item], name: str) -> str:
        try:
            rename_new(partial, self._root / name)
        except FileExistsError:  # somebody else was first with this name
            return self._same(bool(self._compare(self._root / name, source, items, quick=False)), name)
        sync_folder(self._root)
        return name

    def _same(self, same: bool, name: str) -> str:
        if same:
            return name
        free = self.free_name(name)
        raise Refused(
            f"The input pool has something else under the name {shown(name)}; it was not touched.",
            hint=f"Import it under another name, for example {shown(free)}.",
            code="pool.name_taken",
        )

    def _taken(self, name: str) -> bool:
        return name in self.mapped or os.path.lexists(self._root / name)

    def free_name(self, name: str) -> str:
        """`clip-2.mp4` for `clip.mp4`, or the first number that is free, within 255 bytes."""
        return next(free for free in names.free_names(name) if free != name and not self._taken(free))

    def _compare(
        self, target: Path, source: Path, items: list[Item], *, quick: bool, progress: Progress = unwatched
    ) -> bool | None:
        """Is what is there the same? None: only a long comparison can tell, and `quick` was asked for."""
        try:
            there = survey(target)
        except WinslowError:
            return False
        mine = sorted((i.path, i.kind, i.size, i.target) for i in items)
        if mine != sorted((i.path, i.kind, i.size, i.target) for i in there):
            return False
        total = sum(i.size for i in items)
        if quick and (total > INLINE_BYTES or len(items) > INLINE_FILES):
            return None
        done = 0
        for number, item in enumerate(items):
            if item.kind != "file":
                continue
            with _at(source, item).open("rb") as a, _at(target, item).open("rb") as b:
                while block := a.read(BLOCK):
                    if block != b.read(len(block)):
                        return False
                    done += len(block)
                    progress(done, total, number, len(items))
        return True

    def _path_of(self, source: Path) -> str | None:
        """The path in the pool of what lies in it, or in a mapped root, already."""
        try:
            real = source.resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        for name, root in (("", self._root), *self.mapped.items()):
            base = root.resolve()
            if real != base and real.is_relative_to(base):
                inside = real.relative_to(base)
                if not name and (inside.parts[0] == OWN or inside.parts[0].startswith(PARTIAL)):
                    continue
                return str(Path(name) / inside)
        return None

    def sweep(self, open_operations: Iterable[str], older: float) -> int:
        """Remove what killed imports left and no open operation owns, untouched for `older` seconds;
        answers how many there were."""
        owned = {f"{PARTIAL}{operation}" for operation in open_operations}
        found = 0
        with share_conditions(), suppress(FileNotFoundError):
            for entry in list(self._root.iterdir()):
                if not entry.name.startswith(PARTIAL) or entry.name in owned:
                    continue
                if self._now().timestamp() - entry.lstat().st_mtime > older:
                    remove_tree(entry)
                    found += 1
        return found

    # --- looking at it

    def _place(self, path: str) -> tuple[Path, str]:
        """The root that a path in the pool belongs to, and the path below it."""
        parts = names.split(path)
        if parts and parts[0] in self.mapped:
            return self.mapped[parts[0]], "/".join(parts[1:])
        if parts and (parts[0] == OWN or parts[0].startswith(PARTIAL)):
            raise NotFound(f"There is no {shown(path)} in the input pool.", code="path.not_found")
        return self._root, "/".join(parts)

    def open(self, path: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor for reading a file or folder of the pool; the caller closes it."""
        root, below = self._place(path)
        if not flags & os.O_PATH:
            flags |= os.O_NONBLOCK  # a pipe must not hold us
        with share_conditions():
            return names.open_beneath(root, below, flags)

    def resolve(self, path: str) -> Path:
        """Where a path of the pool lies on this machine, links followed, proven to be in the pool."""
        fd = self.open(path, os.O_PATH)
        try:
            return Path(f"/proc/self/fd/{fd}").readlink()
        finally:
            os.close(fd)

    def page(self, folder: str = "", after: str = "", count: int = 200) -> PoolPage:
        """A page of a folder, by name, beginning behind the name `after`."""
        try:
            fd = self.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except NotFound:
            if folder:
                raise
            fd = None  # nothing was ever imported
        try:
            there: Iterable[str] = os.listdir(fd) if fd is not None else ()  # noqa: PTH208 - by descriptor
            own = not names.split(folder)
            behind = (n for n in there if not (own and (n == OWN or n.startswith(PARTIAL) or n in self.mapped)))
            every = [*behind, *(self.mapped if own else ())]
            # some more than a page, since entries that lead out of the pool are left out
            chosen = heapq.nsmallest(count + 1, (n for n in every if n > after))
            entries = [e for e in (self._entry(folder, name) for name in chosen[:count]) if e is not None]
            return PoolPage(entries=tuple(entries), next=chosen[count - 1] if len(chosen) > count else None)
        finally:
            if fd is not None:
                os.close(fd)

    def _entry(self, folder: str, name: str) -> PoolEntry | None:
        path = f"{folder.rstrip('/')}/{name}" if folder else name
        try:
            fd = self.open(path, os.O_PATH)
        except (NotFound, Refused):
            return None
        try:
            found = os.fstat(fd)
        finally:
            os.close(fd)
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            return None
        is_file = stat.S_ISREG(found.st_mode)
        return PoolEntry(
            path=path,
            name=name,
            kind="file" if is_file else "folder",
            bytes=found.st_size if is_file else 0,
            modified=datetime.fromtimestamp(found.st_mtime, UTC),
            mapped=names.split(path)[0] in self.mapped,
            groups=tuple(self._groups().get(path, ())),
            checksum=(self._known_checksum(path, found) or "") if is_file else "",
        )

    # --- groups

    def set_groups(self, folder: str, groups: Iterable[str]) -> None:
        """Only members of one of `groups` see the folder and all below it; none: everyone who sees what is
        around it. The rule belongs to the name and stays when the folder is replaced."""
        path = "/".join(names.split(folder))
        with share_conditions():
            if not stat.S_ISDIR(self.resolve(path).stat().st_mode):
                raise Invalid(f"{shown(folder)} is a file; groups belong to folders.", code="pool.not_a_folder")
            wanted = sorted(set(groups))
            held = self._groups()
            held.pop(path, None)
            if wanted:
                held[path] = wanted
            self._make_root()
            self._own().mkdir(exist_ok=True)
            write_whole(self._own() / "groups.json", json.dumps({"format": 1, "folders": held}).encode())

    def may_see(self, groups: Iterable[str], path: str) -> bool:
        """Every folder from the root down to `path` must let one of `groups` in."""
        mine, held = set(groups), self._groups()
        parts = names.split(path)
        above = ["/".join(parts[:n]) for n in range(len(parts) + 1)]
        return all(mine & set(held[folder]) for folder in above if held.get(folder))

    def _groups(self) -> dict[str, Sequence[str]]:
        try:
            with share_conditions():
                return dict(json.loads((self._own() / "groups.json").read_bytes())["folders"])
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError) as error:
            raise Refused(
                f"The file {self._own() / 'groups.json'} cannot be read: {error}. Nobody was let in.",
                hint="Repair it, or delete it to let everyone see all folders.",
                code="pool.groups_unreadable",
            ) from error

    # --- checksums

    def checksum(self, path: str) -> str | Operation:
        """The SHA-256 of a file (hex) where it is known and holds, else the operation "checksum"."""
        fd = self.open(path)
        try:
            found = os.fstat(fd)
        finally:
            os.close(fd)
        if not stat.S_ISREG(found.st_mode):
            raise Invalid(f"{shown(path)} is not a file.", code="pool.not_a_file")
        known = self._known_checksum(path, found)
        if known is not None:
            return known
        return Operation(
            id=self._new_id(),
            kind="checksum",
            arguments={"path": path},
            bytes_total=found.st_size,
            files_total=1,
            made=self._now(),
        )

    def carry_out_checksum(self, operation: Operation, progress: Progress) -> str:
        """The operation "checksum"; answers the SHA-256 in hex and keeps it. Refused (code pool.changed)
        where the file changes meanwhile."""
        path = operation.arguments["path"]
        fd = self.open(path)
        try:
            with share_conditions():
                before = os.fstat(fd)
                digest, done = hashlib.sha256(), 0
                while done <= before.st_size and (block := os.read(fd, BLOCK)):  # one that grows is given up
                    digest.update(block)
                    done += len(block)
                    progress(done, before.st_size, 0, 1)
                after = os.fstat(fd)
        finally:
            os.close(fd)
        if _stamp(before) != _stamp(after) or done != after.st_size:
            raise Refused(
                f"{shown(path)} changed while it was read; no checksum was kept.",
                hint="Ask again.",
                code="pool.changed",
            )
        record = {
            "format": 1,
            "path": path,
            "bytes": done,
            "modified_ns": after.st_mtime_ns,
            "sha256": digest.hexdigest(),
        }
        with share_conditions():
            self._make_root()
            place = self._checksum_file(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, json.dumps(record).encode())
        return digest.hexdigest()

    def _known_checksum(self, path: str, found: os.stat_result) -> str | None:
        try:
            with share_conditions():
                record = json.loads(self._checksum_file(path).read_bytes())
            holds = (record["bytes"], record["modified_ns"]) == _stamp(found) and record["path"] == path
            return str(record["sha256"]) if holds else None
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def _checksum_file(self, path: str) -> Path:
        return self._own() / "checksums" / hashlib.sha256(os.fsencode(path)).hexdigest()

    def _own(self) -> Path:
        return self._root / OWN


def _at(root: Path, item: Item) -> Path:
    return root / item.path if item.path else root


def _stamp(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


def _usable(name: str) -> str:
    if name == OWN or name.startswith(PARTIAL):
        raise Invalid(
            f"Winslow keeps the name {shown(name)} for itself.",
            hint="Give another one.",
            code="name.reserved",
        )
    return name
