"""Making a finished thing visible under its name, in one step, on file systems that keep few promises
(reply lost after a server's restart, no RENAME_NOREPLACE over NFS)."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

AT_FDCWD = -100
RENAME_NOREPLACE = 1

_libc = ctypes.CDLL(None, use_errno=True)
_WRITER = os.urandom(4).hex()  # processes of one number exist on several hosts


def rename_new(source: Path, target: Path) -> None:
    """Rename, but never over something that is there: FileExistsError, and `source` stays. Both on one
    file system. FileNotFoundError when `source` is not there and `target` neither."""
    try:
        mine = source.lstat()
    except FileNotFoundError:
        if target.exists():
            return  # the first try was carried out and its answer lost
        raise
    if _renameat2(source, target):
        return
    if stat.S_ISDIR(mine.st_mode):
        # rename(2) itself refuses a folder that is not empty; only an empty one could be replaced here
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        source.rename(target)
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        found = target.lstat()
        if (found.st_dev, found.st_ino) != (mine.st_dev, mine.st_ino):  # NFS may call its winner a loser
            raise
    with suppress(FileNotFoundError):
        source.unlink()


def _renameat2(source: Path, target: Path) -> bool:
    """False: this file system or kernel does not know RENAME_NOREPLACE."""
    call = getattr(_libc, "renameat2", None)
    if call is None:
        return False
    if call(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), RENAME_NOREPLACE) == 0:
        return True
    error = ctypes.get_errno()
    if error in (errno.EINVAL, errno.ENOSYS):
        return False
    raise OSError(error, os.strerror(error), str(source), None, str(target))


def write_whole(path: Path, data: bytes, tag: str = "") -> None:
    """Replace a file by tmp, fsync, rename: readers see the old one or the new one. `tag` tells apart those
    who might write the same name at once (by default, processes)."""
    aside = path.with_name(f".{path.name[:100]}.{tag or _WRITER}.tmp")
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    aside.rename(path)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
