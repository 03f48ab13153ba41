"""The operation "unpack": a zip, tar or tar.gz becomes a folder, whole or not at all.

It is unpacked into `uploads/.partial-<operation>/`, which nobody sees, and gets its name by a rename that replaces
nothing. Nothing that stands in an archive is believed: names are checked and opened one by one below descriptors, sizes
are counted while they are written, and an archive with anything but plain files and folders is refused as a whole.

Runs in a process of its own (`apart`), with a limit to its memory: the directory of a zip may be anything.
"""

from __future__ import annotations

import calendar
import ctypes
import json
import os
import resource
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from winslow_nomad.core.errors import Invalid, NoRoom, NotFound
from winslow_nomad.core.operations import Operation
from winslow_nomad.resources import changes
from winslow_nomad.resources.descent import Everything, Parts, descend, split
from winslow_nomad.resources.layout import INPUTS, MARK
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.remove import remove_tree
from winslow_nomad.resources.space import KEPT_FREE
from winslow_nomad.resources.uploads import FOLDER, unless_ended
from winslow_nomad.resources.work import Progress, share_conditions

MOST_MEMBERS = 500_000
DEEPEST = 64  # folders
RATIO = 200  # times the size of the archive
ALWAYS = 256 * 1024 * 1024  # bytes that may come of the smallest archive
MEMORY = 2 * 1024 * 1024 * 1024  # bytes of address space
BLOCK = 1024 * 1024
PARTIAL = ".partial-"
ENCRYPTED = 0x1

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Member:
    name: str
    is_folder: bool
    executable: bool
    modified: float
    content: IO[bytes] | None


def unpack(share: Path, mapped: Mapping[str, Path], operation: Operation, progress: Progress) -> str:
    """From the beginning, whatever an earlier try has left. Raises Invalid (archive.*), Refused (path.taken,
    stage.ended), NoRoom."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    target = split(operation.arguments["target"])
    partial = share / FOLDER / f"{PARTIAL}{operation.id}"
    try:
        with share_conditions(), changes.share_at(str(share), MARK) as root:
            with changes.folder_at(root, (FOLDER,), make=True):
                remove_tree(partial)
            partial.mkdir()
            with _archive(share, mapped, split(operation.arguments["source"])) as archive:
                done = _Unpacking(partial, os.fstat(archive.fileno()).st_size, progress)
                done.take_all(_members(archive))
            unless_ended(root, json.loads(operation.arguments["unless"]))
            with changes.folder_at(root, target[:-1], make=True) as folder, changes.folder_at(root, (FOLDER,)) as old:
                changes.rename_new(old, partial.name, folder, target[-1])
                os.fsync(folder)
            return f"{done.files} files unpacked into {shown(target[-1])}"
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, MemoryError, NotImplementedError) as error:
        raise Invalid(
            f"The archive cannot be read: {str(error)[:200] or type(error).__name__}. Nothing was unpacked.",
            hint="It is damaged, or made in a way that is not known here: send zip or tar.gz.",
            code="archive.unreadable",
        ) from error
    finally:
        with suppress(FileNotFoundError):
            remove_tree(partial)


def sweep(share: Path, open_operations: Iterable[str], before: float) -> int:
    """Remove what killed ones left and no open operation owns, untouched since `before` (seconds since 1970);
    answers how many there were."""
    owned = {f"{PARTIAL}{operation}" for operation in open_operations}
    found = 0
    with share_conditions(), suppress(FileNotFoundError):
        for entry in list((share / FOLDER).iterdir()):
            if entry.name.startswith(PARTIAL) and entry.name not in owned and entry.lstat().st_mtime < before:
                remove_tree(entry)
                found += 1
    return found


@contextmanager
def _archive(share: Path, mapped: Mapping[str, Path], source: Parts) -> Iterator[IO[bytes]]:
    root, parts = share, source
    if source[0] == INPUTS and len(source) > 1 and source[1] in mapped:
        root, parts = mapped[source[1]], source[2:]
    base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with descend(base, parts, Everything(), follow_last=False) as place:
            if not place.is_file:
                raise NotFound(f"{shown(parts[-1])} is no file any more.", code="path.not_found")
            file = os.fdopen(place.opened(), "rb")
    finally:
        os.close(base)
    with file:
        yield file


def _members(archive: IO[bytes]) -> Iterator[Member]:
    """By what is in it, not by its name."""
    head = archive.read(512)
    archive.seek(0)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield from _of_zip(archive)
    elif head.startswith(b"\x1f\x8b"):
        yield from _of_tar(archive, "r|gz")
    elif head[257:262] == b"ustar":
        yield from _of_tar(archive, "r|")
    else:
        raise Invalid(
            "This is no archive that can be unpacked here.", hint="Send zip, tar or tar.gz.", code="archive.unknown"
        )


def _of_zip(archive: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            mode = info.external_attr >> 16
            is_folder = info.is_dir()
            if info.flag_bits & ENCRYPTED:
                raise Invalid("The archive is encrypted; nothing was unpacked.", code="archive.encrypted")
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise special(info.filename)
            when = min(max(_seconds(info), 0.0), 2.0**33)
            if is_folder:
                yield Member(info.filename, True, False, when, None)
                continue
            with opened.open(info) as content:
                yield Member(info.filename, False, bool(mode & 0o100), when, content)


def _seconds(info: zipfile.ZipInfo) -> float:
    try:
        return float(calendar.timegm((*info.date_time, 0, 0, 0)))
    except (ValueError, OverflowError):
        return 0.0


def _of_tar(archive: IO[bytes], mode: str) -> Iterator[Member]:
    with tarfile.open(fileobj=archive, mode=mode) as opened:  # type: ignore[call-overload]
        for info in opened:
            opened.members = []  # it would remember all of them
            if not (info.isreg() or info.isdir()):
                raise special(info.name)
            when = min(max(float(info.mtime), 0.0), 2.0**33)
            content = opened.extractfile(info) if info.isreg() else None
            yield Member(info.name, info.isdir(), bool(info.mode & 0o100), when, content)


def special(name: str) -> Invalid:
    return Invalid(
        f"The archive holds a link, device or pipe: {shown(name)}. Nothing was unpacked.",
        hint="Pack plain files and folders only.",
        code="archive.special",
    )


@dataclass
class _Unpacking:
    partial: Path
    packed: int
    progress: Progress
    files: int = 0
    bytes: int = 0
    _members: int = 0

    def take_all(self, members: Iterator[Member]) -> None:
        root = os.open(self.partial, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for member in members:
                self._members += 1
                if self._members > MOST_MEMBERS:
                    raise Invalid(
                        f"The archive has more than {MOST_MEMBERS} files and folders; nothing was unpacked.",
                        code="archive.too_many",
                    )
                self._take(root, member)
            if _libc.syncfs(root) != 0:
                raise OSError(ctypes.get_errno(), "syncfs")
        finally:
            os.close(root)

    def _take(self, root: int, member: Member) -> None:
        parts = inside(member.name, member.is_folder)
        if not parts:
            return
        above = parts if member.is_folder else parts[:-1]
        with _folder(root, above) as folder:
            if member.content is not None:
                self._write(folder, parts, member)

    def _write(self, folder: int, parts: Parts, member: Member) -> None:
        assert member.content is not None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(parts[-1], flags, 0o755 if member.executable else 0o644, dir_fd=folder)
        except FileExistsError as error:
            raise Invalid(
                f"The archive has {shown('/'.join(parts))} twice; nothing was unpacked.", code="archive.twice"
            ) from error
        try:
            while block := member.content.read(BLOCK):
                self._count(len(block))
                view = memoryview(block)
                while view:
                    view = view[os.write(fd, view) :]
            os.utime(fd, (member.modified, member.modified))
        finally:
            os.close(fd)
        self.files += 1
        self.progress(self.bytes, 0, self.files, 0)

    def _count(self, more: int) -> None:
        self.bytes += more
        if self.bytes > max(ALWAYS, RATIO * self.packed):
            raise Invalid(
                f"The archive grows to more than {RATIO} times its size; nothing was unpacked.",
                hint="Unpack it at home and send what is in it.",
                code="archive.bomb",
            )
        self.progress(self.bytes, 0, self.files, 0)
        found = os.statvfs(self.partial)
        if found.f_bavail < found.f_blocks * KEPT_FREE:
            raise NoRoom("There is no room on the share for what is in the archive; nothing was unpacked.")


def inside(name: str, is_folder: bool) -> Parts:
    """The checked parts of a member's name. Raises Invalid (archive.name)."""
    text = name.removesuffix("/") if is_folder else name
    parts = tuple(p for p in text.split("/") if p != ".")
    bad = (
        name.startswith(("/", "\\"))
        or any(p in ("", "..") or len(os.fsencode(p)) > 255 for p in parts if text)
        or any(c == "\\" or ord(c) < 32 or ord(c) == 127 for c in name)
        or (len(name) > 1 and name[1] == ":")
        or len(parts) > DEEPEST
        or len(os.fsencode(name)) > 4096
        or (not parts and not is_folder)
    )
    if bad:
        raise Invalid(
            f"The archive has a name that leads out of its folder, or that no file should have: {shown(name)}. "
            "Nothing was unpacked.",
            code="archive.name",
        )
    return parts if text else ()


@contextmanager
def _folder(root: int, parts: Parts) -> Iterator[int]:
    """Made where it is missing; all is brought to the disk at the end. Raises Invalid where a file has its name."""
    current = os.dup(root)
    try:
        for part in parts:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=current)
            try:
                below = os.open(part, changes.FOLDER, dir_fd=current)
            except NotADirectoryError as error:
                raise Invalid(
                    f"The archive has {shown('/'.join(parts))} as file and as folder; nothing was unpacked.",
                    code="archive.twice",
                ) from error
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)
