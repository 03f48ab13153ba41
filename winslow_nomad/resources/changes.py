"""What people change on the share, step by step below descriptors that were walked to without following any link:
a new folder, another name, the trash, who may see a folder. Runs in the small processes that write (`portering`).

Nothing is ever written over something that is there. Places are given as names from the share's root down, already
without links; one that has become a link since then is refused. Standard library only but for errors and names.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from winslow_nomad.core.errors import Conflict, NotFound, Refused, ShareUnavailable
from winslow_nomad.resources.names import shown

NO_REPLACE = 1
NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OWN = ".winslow"
GROUPS = "groups.json"

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def share_at(path: str, mark: str) -> Iterator[int]:
    """The share's root as a descriptor. ShareUnavailable where it is not mounted: nothing may be written then."""
    fd = -1
    try:
        fd = os.open(path, FOLDER & ~os.O_NOFOLLOW)  # where it is mounted is the administrator's word
        os.stat(mark, dir_fd=fd)
    except (FileNotFoundError, NotADirectoryError) as error:
        if fd >= 0:
            os.close(fd)
        raise ShareUnavailable(
            f"{path} is not Winslow's share: the file {mark} is missing. Nothing was written.",
            hint="Mount the share there.",
            code="share.gone",
        ) from error
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def folder_at(root: int, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """A folder as a descriptor that can be listed and synced. `make`: those that are missing, too."""
    current = os.dup(root)
    try:
        for part in parts:
            try:
                below = os.open(part, FOLDER, dir_fd=current)
            except FileNotFoundError:
                if not make:
                    raise missing(parts) from None
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=current)
                os.fsync(current)
                below = os.open(part, FOLDER, dir_fd=current)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                raise Conflict(
                    f"{shown('/'.join(parts))} has just become something else than a folder; nothing was done.",
                    hint="Look at the folder and try again.",
                    code="path.changed",
                ) from error
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def missing(parts: Sequence[str]) -> NotFound:
    """Without the first part, which is where people do not look."""
    return NotFound(f"There is no {shown('/'.join(parts[1:]))} here (any more).", code="path.not_found")


def taken(name: str) -> Refused:
    return Refused(
        f"There is something else under the name {shown(name)}; it was not touched.",
        hint="Choose another name, or delete or replace what is there.",
        code="path.taken",
    )


def make_folder(root: int, parts: Sequence[str]) -> None:
    """A new one, with those above it that are missing. Raises Refused (path.taken)."""
    with folder_at(root, parts[:-1], make=True) as parent:
        try:
            os.mkdir(parts[-1], 0o755, dir_fd=parent)
        except FileExistsError as error:
            raise taken(parts[-1]) from error
        os.fsync(parent)


def rename(root: int, source: Sequence[str], target: Sequence[str], aside: tuple[str, str] | None) -> None:
    """`aside`: (entry of the trash, its manifest) for a file at `target`; None: refused where there is one. Rules
    about who sees a folder of the pool go with its name, and are there before it is."""
    if list(target[: len(source)]) == list(source):
        raise Refused("A folder cannot be moved into itself; nothing was done.", code="path.into_itself")
    with folder_at(root, source[:-1]) as old, folder_at(root, target[:-1], make=True) as new:
        found = _lstat(old, source)
        if aside is not None and _there(new, target[-1]):
            if stat.S_ISDIR(os.lstat(target[-1], dir_fd=new).st_mode):
                raise taken(target[-1])
            put_aside(root, new, target, aside)
        rules = _moved_rules(root, source, target) if stat.S_ISDIR(found.st_mode) else None
        rename_new(old, source[-1], new, target[-1])
        os.fsync(new)
        os.fsync(old)
        if rules is not None:
            _change_rules(root, lambda held: {k: v for k, v in held.items() if not _below(k, source)})


def put_aside(root: int, folder: int, parts: Sequence[str], aside: tuple[str, str]) -> None:
    """The last of `parts`, in `folder`, into the trash: the manifest is on disk before anything moves."""
    entry, manifest = aside
    _lstat(folder, parts)
    with folder_at(root, ("trash", entry, "content"), make=True) as content:
        with folder_at(root, ("trash", entry)) as place:
            write_whole(place, "manifest.json", manifest.encode("utf-8", "surrogateescape"))
        try:
            rename_new(folder, parts[-1], content, "0")
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            raise Refused(
                f"{shown(parts[-1])} lies on another file system than the trash; it was not touched.",
                hint="Delete it by hand.",
                code="trash.other_file_system",
            ) from error
        os.fsync(content)
        os.fsync(folder)


def trash(root: int, parts: Sequence[str], aside: tuple[str, str]) -> None:
    with folder_at(root, parts[:-1]) as folder:
        put_aside(root, folder, parts, aside)


def restore(root: int, entry: str, parts: Sequence[str]) -> None:
    """What `put_aside` put into the trash, back to `parts`."""
    try:
        with folder_at(root, ("trash", entry, "content")) as content:
            _lstat(content, ("trash", "0"))
            with folder_at(root, parts[:-1], make=True) as folder:
                rename_new(content, "0", folder, parts[-1])
                os.fsync(folder)
            os.fsync(content)
    except NotFound as error:
        raise not_in_trash() from error
    with folder_at(root, ("trash", entry)) as place:
        os.rmdir("content", dir_fd=place)
        os.unlink("manifest.json", dir_fd=place)
    with folder_at(root, ("trash",)) as trash:
        os.rmdir(entry, dir_fd=trash)


def not_in_trash() -> NotFound:
    return NotFound(
        "That is not in the trash (any more); nothing was done.",
        hint="It was emptied, or taken back by somebody else.",
        code="trash.not_found",
    )


def rename_new(old: int, name: str, new: int, target: str) -> None:
    """Never over something that is there: Refused (path.taken), and the source stays. One file system."""
    if _libc.renameat2(old, os.fsencode(name), new, os.fsencode(target), NO_REPLACE) == 0:
        return
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        raise taken(target)
    if number == errno.ENOENT and _there(new, target):
        return  # done, and the reply was lost
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number), name)
    found = os.lstat(name, dir_fd=old)
    if stat.S_ISDIR(found.st_mode):  # over NFS: rename(2) itself refuses a folder that is not empty
        if _there(new, target):
            raise taken(target)
        os.rename(name, target, src_dir_fd=old, dst_dir_fd=new)
        return
    link_new(old, name, new, target)
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=old)


def link_new(old: int, name: str, new: int, target: str) -> None:
    """A second name for a file, in one step. Refused (path.taken) where another file is; NFS may call its winner a
    loser, so it is looked at."""
    try:
        os.link(name, target, src_dir_fd=old, dst_dir_fd=new, follow_symlinks=False)
    except FileExistsError as error:
        mine, found = os.lstat(name, dir_fd=old), os.lstat(target, dir_fd=new)
        if (mine.st_dev, mine.st_ino) != (found.st_dev, found.st_ino):
            raise taken(target) from error


def write_whole(folder: int, name: str, data: bytes) -> None:
    """tmp, fsync, rename, fsync: readers see what was there or what is there now."""
    aside = f".{name[:100]}.{os.urandom(4).hex()}.tmp"
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def read_whole(folder: int, name: str) -> bytes | None:
    """None: it is not there."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        return file.read()


def set_groups(root: int, folder: str, groups: Sequence[str]) -> None:
    """Who sees a folder of the pool (its path below `inputs`); none: whoever sees what is around it."""
    others = {} if not groups else {folder: sorted(set(groups))}
    _change_rules(root, lambda held: {**{k: v for k, v in held.items() if k != folder}, **others})


def _moved_rules(root: int, source: Sequence[str], target: Sequence[str]) -> object:
    """None: there is no rule about what is moved."""
    before, after = "/".join(source[1:]), "/".join(target[1:])
    if source[0] != "inputs":
        return None
    moved: dict[str, list[str]] = {}

    def change(held: dict[str, list[str]]) -> dict[str, list[str]]:
        moved.update({after + k[len(before) :]: v for k, v in held.items() if _below(k, source)})
        return {**held, **moved}

    _change_rules(root, change)
    return moved or None


def _below(rule: str, source: Sequence[str]) -> bool:
    folder = "/".join(source[1:])
    return rule == folder or rule.startswith(f"{folder}/")


def _change_rules(root: int, change: object) -> None:
    """One writer at a time: whoever holds the lock of the folder the rules lie in."""
    assert callable(change)
    with folder_at(root, ("inputs", OWN), make=True) as own:
        fcntl.flock(own, fcntl.LOCK_EX)
        text = read_whole(own, GROUPS)
        held = dict(json.loads(text)["folders"]) if text is not None else {}
        wanted = change(held)
        if wanted != held:
            write_whole(own, GROUPS, json.dumps({"format": 1, "folders": wanted}).encode())


def _there(folder: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _lstat(folder: int, parts: Sequence[str]) -> os.stat_result:
    try:
        return os.lstat(parts[-1], dir_fd=folder)
    except FileNotFoundError as error:
        raise missing(parts) from error
