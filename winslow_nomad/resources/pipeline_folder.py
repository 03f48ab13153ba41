"""Pipeline folders kept on the share by their content, so that a stage that is redone runs the code that it
names, whatever became of the folder it came from.

The digest covers paths, contents, links and executable bits; times and owners do not count. Kept copies are
read-only and never changed. Nothing outside of the folder is ever read: no link leads out of it."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from winslow_nomad.core import ignoring
from winslow_nomad.core.errors import Invalid, NotFound
from winslow_nomad.resources import layout
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.publish import rename_new, sync_folder
from winslow_nomad.resources.remove import remove_tree
from winslow_nomad.resources.work import require_share, share_conditions

MAX_BYTES = 50_000_000
MAX_ENTRIES = 10_000
IGNORE_FILE = ignoring.FILE
PARTIAL = ".partial-"
ABANDONED = 86_400  # seconds after which nobody is copying any more
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """`path` is relative, in bytes: names on disk need not be UTF-8. `content` is the SHA-256 of a file's
    bytes, or the target of a link."""

    path: bytes
    kind: str  # d folder, f file, x executable file, l link
    content: bytes = b""


def digest(folder: Path) -> str:
    """SHA-256 of the folder, as 64 hexadecimal digits. Raises NotFound, Invalid (pipeline.folder)."""
    with _reading(folder):
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            left = MAX_BYTES
            entries: list[Entry] = []
            for entry in _scan(folder):
                if entry.kind in "fx":
                    entry, size = _read(root, entry, None, left)
                    left -= size
                entries.append(entry)
        finally:
            os.close(root)
    return _digest(entries)


def place(share: Path, name: str) -> Path:
    """Where the folder with this digest lies."""
    return share / layout.pipeline_folder(name)


def store_folder(folder: Path, share: Path) -> str:
    """Keep a copy of the folder under its digest, and answer that. Nothing is done when it is there.

    What was copied is what is digested, so that a folder that changes meanwhile is kept under the right
    name all the same. For a process that may hang with the share. Raises NotFound, Invalid
    (pipeline.folder), ShareUnavailable."""
    known = digest(folder)
    require_share(share)
    with share_conditions():
        if place(share, known).is_dir():
            return known
        above = place(share, known).parent
        above.mkdir(exist_ok=True)
        partial = above / f"{PARTIAL}{uuid.uuid4().hex}"
        try:
            name = _copy(folder, partial)
            try:
                rename_new(partial, place(share, name))
                sync_folder(above)
            except FileExistsError:
                pass  # somebody else was quicker with the same content
        finally:
            remove_tree(partial)
        _sweep(above)
    return name


def _sweep(above: Path) -> None:
    """Remove what a process left that was killed in the middle. Ages are told by the share's own clock."""
    now = above.stat().st_mtime  # a copy was just published here, or its folder removed
    for path in above.glob(f"{PARTIAL}*"):
        with suppress(FileNotFoundError):  # another process sweeps as well
            if now - path.stat().st_mtime > ABANDONED:
                remove_tree(path)


def _digest(entries: list[Entry]) -> str:
    whole = hashlib.sha256()
    for entry in sorted(entries, key=lambda e: e.path):
        for part in (entry.kind.encode(), entry.path, entry.content):
            whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()


def _scan(folder: Path) -> list[Entry]:
    """All entries, folders before what is in them; contents of files are still to be read."""
    patterns = _ignored(folder)
    found: dict[bytes, Entry] = {}
    line = [b""]
    while line:
        current = line.pop()
        with os.scandir(os.path.join(os.fsencode(folder), current)) as listed:  # noqa: PTH118 - bytes
            for item in listed:
                name = os.fsdecode(item.name)
                if ignoring.left_out(name, patterns):
                    continue
                path = current + b"/" + item.name if current else item.name
                found[path] = _entry(path, item)
                if found[path].kind == "d":
                    line.append(path)
                if len(found) > MAX_ENTRIES:
                    raise _wrong(f"has more than {MAX_ENTRIES} entries", _unneeded())
    for entry in found.values():
        if entry.kind == "l" and not _leads_inside(entry.path, found):
            target = shown(os.fsdecode(entry.content))
            raise _wrong(
                f"holds the link {shown(os.fsdecode(entry.path))} to {target}, which is not kept with it",
                f"Replace the link by what it names, or name it in {IGNORE_FILE}.",
            )
    return sorted(found.values(), key=lambda e: e.path)


def _ignored(folder: Path) -> tuple[str, ...]:
    """Patterns of names that are left out wherever they occur."""
    file = folder / IGNORE_FILE
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return ignoring.ALWAYS
    except UnicodeDecodeError:
        raise _wrong(f"has a {IGNORE_FILE} that is not UTF-8", "Save it as UTF-8.") from None
    try:
        return ignoring.patterns(text)
    except ValueError as error:
        raise _wrong(
            f"has the line {shown(str(error))} in {IGNORE_FILE}, and names have no /",
            "Write the name alone, such as data or *.mp4; it is left out in every folder.",
        ) from None


def _entry(path: bytes, item: os.DirEntry[bytes]) -> Entry:
    mode = item.stat(follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        return Entry(path, "l", os.readlink(item.path))  # noqa: PTH115 - bytes
    if stat.S_ISDIR(mode):
        return Entry(path, "d")
    if stat.S_ISREG(mode):
        return Entry(path, "x" if mode & 0o111 else "f")
    raise _wrong(
        f"holds {shown(os.fsdecode(path))}, which is a device, socket or pipe",
        f"Remove it, or name it in {IGNORE_FILE}.",
    )


def _leads_inside(link: bytes, entries: dict[bytes, Entry]) -> bool:
    """Whether the link ends at an entry of the folder, without leaving it on the way."""
    rest = [*entries[link].content.split(b"/")][::-1]
    if entries[link].content.startswith(b"/"):
        return False
    at = link.split(b"/")[:-1]
    for _ in range(200):
        if not rest:
            return True
        step = rest.pop()
        if step in (b"", b"."):
            continue
        if step == b"..":
            if not at:
                return False
            at.pop()
            continue
        at.append(step)
        reached = entries.get(b"/".join(at))
        if reached is None:
            return False
        if reached.kind == "l":
            if reached.content.startswith(b"/"):
                return False
            at.pop()
            rest += reached.content.split(b"/")[::-1]
        elif reached.kind != "d" and rest:
            return False
    return False


def _read(root: int, entry: Entry, target: Path | None, left: int) -> tuple[Entry, int]:
    """The file with the digest of its content, and its size; copied to `target` where there is one."""
    content = hashlib.sha256()
    size = 0
    source = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root)
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise OSError(errno.ESTALE, "changed while it was read", os.fsdecode(entry.path))
        copy = None if target is None else os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while chunk := os.read(source, _CHUNK):
                size += len(chunk)
                if size > left:
                    raise _wrong(f"is larger than {MAX_BYTES // 1_000_000} MB", _unneeded())
                content.update(chunk)
                if copy is not None:
                    _write(copy, chunk)
            if copy is not None:
                os.fchmod(copy, 0o555 if entry.kind == "x" else 0o444)
                os.fsync(copy)
        finally:
            if copy is not None:
                os.close(copy)
    finally:
        os.close(source)
    return replace(entry, content=content.digest()), size


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _copy(folder: Path, partial: Path) -> str:
    """Copy to `partial`, synced and read-only, and answer the digest of what was copied."""
    with _reading(folder):
        found = _scan(folder)
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    partial.mkdir(mode=0o700)
    folders, entries, left = [partial], [], MAX_BYTES
    try:
        for entry in found:
            target = partial / os.fsdecode(entry.path)
            if entry.kind == "d":
                target.mkdir(mode=0o700)
                folders.append(target)
            elif entry.kind == "l":
                target.symlink_to(os.fsdecode(entry.content))
            else:
                with _vanishing():
                    entry, size = _read(root, entry, target, left)
                left -= size
            entries.append(entry)
    finally:
        os.close(root)
    for made in reversed(folders):
        made.chmod(0o555)
        sync_folder(made)
    return _digest(entries)


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Errors of the folder itself, which is not the share's and may lie anywhere."""
    try:
        yield
    except FileNotFoundError as error:
        if folder.is_dir():
            raise _changed(error) from error
        raise NotFound(f"There is no folder {folder}.", code="pipeline.not_found") from None
    except OSError as error:
        name = f"{shown(os.fsdecode(error.filename))} in it " if error.filename else ""
        raise _wrong(f"cannot be read: {name}({error.strerror})", "Nothing was done.") from error


@contextmanager
def _vanishing() -> Iterator[None]:
    """While one file is copied, errors may be the share's; only those that a source alone has are named."""
    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        raise _changed(error) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) or error.strerror == "changed while it was read":
            raise _changed(error) from error
        raise


def _changed(error: OSError) -> Invalid:
    name = shown(os.fsdecode(error.filename)) if error.filename else "an entry"
    return _wrong(f"changed while it was read ({name}: {error.strerror})", "Try again.")


def _unneeded() -> str:
    return f"Name what its stages do not need in {IGNORE_FILE}, one name a line; data belongs into the input pool."


def _wrong(problem: str, hint: str) -> Invalid:
    return Invalid(f"The pipeline folder {problem}.", hint=hint, code="pipeline.folder")
