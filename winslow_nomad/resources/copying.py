"""Copying one file or one tree onto the share, as cheaply as the file system lets: shared blocks where it
can (XFS, Btrfs, NFS 4.2 on them), else a copy made by the server or the kernel, else through this process.

Never overwrites, never follows a link out of the source tree, never copies devices, sockets or pipes.
The caller gives a name of its own as target and publishes it by a rename.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from winslow_nomad.core.errors import NotFound, Refused
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.publish import sync_folder
from winslow_nomad.resources.work import Progress

FICLONE = 0x40049409  # ioctl_ficlone(2)
CHUNK = 32 * 1024 * 1024  # bytes between two looks at cancel
UNSUPPORTED = frozenset(
    {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EBADF}
)


@dataclass(frozen=True)
class Item:
    """One entry of a tree; `path` is relative to it, `` for itself."""

    path: str
    kind: str  # file, folder, link
    size: int
    modified_ns: int
    mode: int
    target: str = ""  # of a link


def survey(source: Path) -> list[Item]:
    """All entries of a file or tree, folders before what is in them. Raises NotFound, Refused (code
    import.special, import.link) before anything is copied."""
    try:
        top = source.stat()
    except FileNotFoundError:
        raise NotFound(f"There is no file {shown(str(source))} on this machine.", code="import.not_found") from None
    if stat.S_ISREG(top.st_mode):
        return [Item("", "file", top.st_size, top.st_mtime_ns, top.st_mode)]
    if not stat.S_ISDIR(top.st_mode):
        raise _special(str(source))
    found = [Item("", "folder", 0, top.st_mtime_ns, top.st_mode)]
    found.extend(_below(source.resolve(), ""))
    return found


def _below(root: Path, folder: str) -> Iterator[Item]:
    line = [folder]
    while line:
        current = line.pop()
        with os.scandir(root / current) as entries:
            listed = sorted(entries, key=lambda e: e.name)
        for entry in listed:
            path = os.path.join(current, entry.name)  # noqa: PTH118 - names are texts here, not paths
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                yield _link(root, path, found)
            elif stat.S_ISDIR(found.st_mode):
                yield Item(path, "folder", 0, found.st_mtime_ns, found.st_mode)
                line.append(path)
            elif stat.S_ISREG(found.st_mode):
                yield Item(path, "file", found.st_size, found.st_mtime_ns, found.st_mode)
            else:
                raise _special(path)


def _link(root: Path, path: str, found: os.stat_result) -> Item:
    target = str((root / path).readlink())
    try:
        reached = (root / path).resolve(strict=True)
    except (OSError, RuntimeError):
        reached = None
    leaves = os.path.normpath(os.path.join(os.path.dirname(path), target)).split("/")[0] == ".."  # noqa: PTH118, PTH120
    if os.path.isabs(target) or leaves or reached is None or not reached.is_relative_to(root):  # noqa: PTH117
        raise Refused(
            f"{shown(path)} is a link to {shown(target)}, which is outside of the folder. Nothing was imported.",
            hint="Replace the link by the file itself, or map the folder as it is.",
            code="import.link",
        )
    return Item(path, "link", 0, found.st_mtime_ns, found.st_mode, target)


def _special(path: str) -> Refused:
    return Refused(
        f"{shown(path)} is a device, socket or pipe. Nothing was imported.",
        hint="Only files, folders and links are.",
        code="import.special",
    )


def copy_tree(source: Path, items: list[Item], target: Path, progress: Progress) -> None:
    """Copy what `survey` found to `target`, which must not exist, and sync it. Raises Refused (code
    import.changed) when a file changes meanwhile, FileExistsError, OSError, and Cancelled."""
    total = sum(i.size for i in items)
    done = 0
    for number, item in enumerate(items):
        progress(done, total, number, len(items))
        to = target / item.path if item.path else target
        if item.kind == "folder":
            to.mkdir(mode=0o755)
        elif item.kind == "link":
            to.symlink_to(item.target)
        else:
            report = partial(_within, progress, done, total, number, len(items))
            _file(source / item.path if item.path else source, item, to, report)
            done += item.size
    for item in reversed(items):
        if item.kind == "folder":
            to = target / item.path if item.path else target
            os.utime(to, ns=(item.modified_ns, item.modified_ns))
    _sync(target)
    progress(done, total, len(items), len(items))


def _within(progress: Progress, before: int, total: int, number: int, count: int, written: int) -> None:
    progress(before + written, total, number, count)


def _file(source: Path, item: Item, to: Path, report: Callable[[int], None]) -> None:
    read = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW * bool(item.path))
    try:
        mode = 0o755 if item.mode & 0o111 else 0o644
        write = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            if not clone(read, write):
                _bytes(read, write, item.size, report)
            after = os.fstat(read)
            if (after.st_size, after.st_mtime_ns) != (item.size, item.modified_ns) or os.fstat(
                write
            ).st_size != item.size:
                raise Refused(
                    f"{shown(item.path or source.name)} changed while it was copied. Nothing was imported.",
                    hint="Import it again when it is complete.",
                    code="import.changed",
                )
            os.utime(write, ns=(item.modified_ns, item.modified_ns))
            os.fdatasync(write)
        finally:
            os.close(write)
    finally:
        os.close(read)


def clone(read: int, write: int) -> bool:
    """Share the blocks. False: this file system cannot; nothing was written."""
    try:
        fcntl.ioctl(write, FICLONE, read)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return False
        raise
    return True


def _bytes(read: int, write: int, size: int, report: Callable[[int], None]) -> None:
    """Not more than `size` bytes: a file that grows as fast as it is copied would never end."""
    offset = 0
    by_kernel = True
    while offset < size:
        if by_kernel:
            try:
                count = os.copy_file_range(read, write, min(CHUNK, size - offset), offset, offset)
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    raise
                by_kernel = False
                continue
        else:
            block = os.pread(read, min(CHUNK // 8, size - offset), offset)
            count = 0
            while count < len(block):
                count += os.pwrite(write, memoryview(block)[count:], offset + count)
        if count == 0:
            return
        offset += count
        report(offset)


def _sync(target: Path) -> None:
    """The names of a tree reach the disk with their folders."""
    folders = [target] if target.is_dir() else []
    folders += [
        Path(at) / name for at, names, _ in os.walk(target) for name in names if not (Path(at) / name).is_symlink()
    ]
    for folder in [*folders, target.parent]:
        sync_folder(folder)
