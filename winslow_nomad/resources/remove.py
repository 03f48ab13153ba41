"""Taking away a whole tree that was renamed aside: every entry by descriptor, so that nothing renamed or
linked into the tree meanwhile leads out of it; never across a mount point, never through a link.

Containers leave read-only directories, and NFS leaves `.nfs` files of descriptors still open somewhere:
the first are opened, the second waited for.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from winslow_nomad.core.errors import Refused
from winslow_nomad.resources.work import Progress, unwatched

BUSY = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY})
EVERY = 256  # files between two reports
DEEPEST = 100  # descriptors held at once; what lies deeper is brought up first


@dataclass
class _Count:
    progress: Progress
    bytes: int = 0
    files: int = 0
    top: int = -1  # descriptor of the tree's own directory
    brought_up: int = 0

    def add(self, size: int) -> None:
        self.bytes += size
        self.files += 1
        if self.files % EVERY == 0:
            self.report()

    def report(self) -> None:
        self.progress(self.bytes, 0, self.files, 0)


def remove_tree(path: Path, progress: Progress = unwatched, patience: float = 10.0) -> tuple[int, int]:
    """Remove `path` with all below it; answers (bytes, files) freed. What is not there is not an error, so
    it can be repeated. `patience`: seconds to wait for entries that are still in use (ENOTEMPTY).

    Raises Cancelled from `progress` (what is left can be removed later), Refused (code remove.busy,
    remove.mounted), OSError."""
    count = _Count(progress)
    deadline = time.monotonic() + patience
    try:
        parent = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0, 0
    try:
        device = os.fstat(parent).st_dev
        while True:
            deeper = count.brought_up
            try:
                _entry(parent, path.name, device, count)
                break
            except OSError as error:
                if error.errno not in BUSY:
                    raise
                if count.brought_up > deeper:
                    continue
                if time.monotonic() > deadline:
                    raise Refused(
                        f"Something in {path.name!r} is still in use; the rest of it is removed.",
                        hint="It is tried again with the next round.",
                        code="remove.busy",
                    ) from error
                time.sleep(0.1)
                count.report()
    finally:
        os.close(parent)
    count.report()
    return count.bytes, count.files


def _entry(parent: int, name: str, device: int, count: _Count, depth: int = 0) -> None:
    try:
        found = os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return
    if found.st_dev != device:
        raise Refused(
            f"Another file system is mounted at {name!r}; it was not touched.",
            hint="Unmount it.",
            code="remove.mounted",
        )
    if not stat.S_ISDIR(found.st_mode):
        with suppress(FileNotFoundError):  # after a stall: the first try was carried out
            os.unlink(name, dir_fd=parent)
        count.add(found.st_blocks * 512 if found.st_nlink == 1 else 0)
        return
    inside = _opened(parent, name, found.st_mode)
    if inside is None:
        return
    if depth == DEEPEST:
        os.close(inside)
        count.brought_up += 1
        os.rename(
            name,
            f".winslow-deep-{time.monotonic_ns()}-{count.brought_up}",
            src_dir_fd=parent,
            dst_dir_fd=count.top,
        )
        return
    if depth == 0:
        count.top = inside
    try:
        held: OSError | Refused | None = None
        for inner in os.listdir(inside):  # noqa: PTH208 - by descriptor
            try:
                _entry(inside, inner, device, count, depth + 1)
            except OSError as error:
                if error.errno not in BUSY:
                    raise
                held = error  # go on with the others, come back to this one
            except Refused as error:
                held = error
    finally:
        os.close(inside)
    if held is not None:
        raise held
    # at depth 0 this is ENOTEMPTY where something deep was brought up: the next round takes it
    with suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=parent)
    count.add(0)


def _opened(parent: int, name: str, mode: int) -> int | None:
    """The directory, made writable if its owner forgot to; None: gone, or replaced by something else."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    if mode & 0o700 != 0o700:
        aside = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            Path(f"/proc/self/fd/{aside}").chmod(0o700)  # by descriptor; fchmod refuses O_PATH
        finally:
            os.close(aside)
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        return None
