"""Files on their way to the share: `uploads/<id>.part` holds what has arrived, `<id>.json` says what it will be.

How far an upload is, is the size of its part and nothing else, so that no crash can make the two differ. Whoever
writes holds a lock on the part (flock: it ends with the process). A writer that hears of another one (`<id>.next`)
makes way at its next step: who comes last is the one whose connection works. A part whose sum is still to be
verified has `<id>.check`, the size it falls back to if that does not happen.

When all is there it is on disk, its sum is checked, and it gets its name by link(2), never over something else; then
the record says so, then the part goes. Every step can be repeated, by whoever comes next.

Runs in the small processes that write to the share (`portering`); standard library only but for errors and names.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from winslow_nomad.core.errors import Conflict, NoRoom, NotFound, Refused
from winslow_nomad.resources import changes
from winslow_nomad.resources.names import free_names, shown

FOLDER = "uploads"
USABLE = re.compile(r"[0-9a-f]{32}\Z")
BLOCK = 4 * 1024 * 1024
BEHIND = 16 * 1024 * 1024  # bytes after which the disk is asked to begin with them
MAKE_WAY = 3.0  # seconds that another writer gets for leaving
LOCK = ".lock"
KEPT = 7 * 86400.0  # seconds that an upload stays with which nobody goes on
DONE_KEPT = 86400.0  # seconds that is known of a finished one where its file is
MOST_TOLD = 150_000  # bytes of records in one answer
START_WRITING = 2  # SYNC_FILE_RANGE_WRITE

Record = dict[str, Any]
Alive = Callable[[], None]  # called every now and then while something takes long

_libc = ctypes.CDLL(None, use_errno=True)


def checked_id(identifier: str) -> str:
    if USABLE.match(identifier) is None:
        raise not_there()
    return identifier


def not_there() -> NotFound:
    return NotFound(
        "There is no such upload (any more).",
        hint="It was finished long ago, given up, or expired: begin anew.",
        code="upload.not_found",
    )


@contextmanager
def opened(root: int) -> Iterator[int]:
    with changes.folder_at(root, (FOLDER,), make=True) as folder:
        yield folder


def read(folder: int, identifier: str) -> Record:
    text = changes.read_whole(folder, f"{checked_id(identifier)}.json")
    if text is None:
        raise not_there()
    record: Record = json.loads(text)
    return record


def under_way(root: int) -> list[Record]:
    """Records of those that are not complete, with `offset` and `modified`: whose part changed last first, as many as
    can be told at once."""
    found: list[Record] = []
    with opened(root) as folder:
        for name in os.listdir(folder):  # noqa: PTH208 - by descriptor
            identifier, _, ending = name.partition(".")
            if ending != "part" or USABLE.match(identifier) is None:
                continue
            with suppress(FileNotFoundError, NotFound, ValueError):  # ended meanwhile, or small and without a record
                offset, modified = _size(folder, identifier)
                found.append({**described(read(folder, identifier)), "offset": offset, "modified": modified})
    found.sort(key=lambda r: -r["modified"])
    told, size = [], 0
    for record in found:
        size += len(json.dumps(record))
        if size > MOST_TOLD:
            break
        told.append(record)
    return told


class Announced:
    """What is still to come of uploads under way. Keeps what never changes of a record: length and owner."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, str]] = {}

    def begin(self, root: int, record: Record, *, kept_free: float, quota: int) -> None:
        """Raises NoRoom, with nothing made. One at a time, so that two do not count on the same room."""
        with opened(root) as folder:
            lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=folder)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                coming, theirs = self._coming(folder, record["owner"])
                check_room(folder, record["length"], coming, kept_free)
                if quota and theirs + record["length"] > quota:
                    raise NoRoom(
                        f"The unfinished uploads of {record['owner']} may have {quota} bytes in all, and "
                        f"{theirs} are taken; nothing was begun.",
                        hint="Finish or cancel some of them first.",
                        code="upload.quota",
                    )
                make = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(f"{record['id']}.part", make, 0o644, dir_fd=folder))
                changes.write_whole(folder, f"{record['id']}.json", json.dumps(record).encode())
            finally:
                os.close(lock)

    def _coming(self, folder: int, owner: str) -> tuple[int, int]:
        """Bytes that are still to come of all uploads, and the whole lengths of those of one person."""
        parts = {n[:-5] for n in os.listdir(folder) if n.endswith(".part")}
        self._known = {i: known for i, known in self._known.items() if i in parts}
        coming = theirs = 0
        for identifier in parts:
            try:
                if identifier not in self._known:
                    record = read(folder, identifier)
                    self._known[identifier] = record["length"], record["owner"]
                length, whose = self._known[identifier]
                coming += max(0, length - os.stat(f"{identifier}.part", dir_fd=folder).st_size)
            except (FileNotFoundError, NotFound, ValueError, KeyError):
                continue  # ended meanwhile, or half made by one that was killed
            theirs += length if whose == owner else 0
        return coming, theirs


def check_room(folder: int, length: int, coming: int, kept_free: float) -> None:
    found = os.fstatvfs(folder)
    free = found.f_bavail * found.f_frsize - coming - int(found.f_blocks * found.f_frsize * kept_free)
    if length > free:
        raise NoRoom(
            f"There is no room on the share for {length} bytes: {max(0, free)} are free beside what is kept free and "
            "what other uploads will need. Nothing was begun.",
            hint="Free space on it; the screen of disk usage names what may go.",
            code="share.full",
        )


def look(root: int, identifier: str, *, finish: bool = False, alive: Alive = lambda: None) -> Record:
    """The record with `offset`, `modified` (seconds since 1970) and `busy`. `finish`: one that is complete and that
    nobody holds is brought to its name first, which may take long."""
    with opened(root) as folder:
        record = read(folder, identifier)
        if record.get("done"):
            return _finished(record)
        try:
            part = Part.take(root, folder, record, patience=0.0)
        except NotFound:
            record = read(folder, identifier)
            if record.get("done"):  # by who had it, a moment ago
                return _finished(record)
            raise
        except Refused:
            size = _size(folder, identifier)
            return {**record, "offset": size[0], "modified": size[1], "busy": True}
        with part:
            if part.offset == record["length"] and finish:
                part.finish(alive)
            found = os.fstat(part.fd)
            return {**part.record, "offset": part.offset, "modified": found.st_mtime, "busy": False}


def _finished(record: Record) -> Record:
    return {**record, "offset": record["length"], "modified": time.time(), "busy": False}


def _size(folder: int, identifier: str) -> tuple[int, float]:
    try:
        found = os.stat(f"{identifier}.part", dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError as error:
        raise not_there() from error
    check = changes.read_whole(folder, f"{identifier}.check")
    return (int(check) if check else found.st_size), found.st_mtime


class Part:
    """What has arrived, held by one writer. `offset` is its size. `named`: it has its name already, and who gave it was
    killed before saying so; it is a file of others by now, who may have changed it."""

    def __init__(self, root: int, folder: int, record: Record, fd: int, *, kept: bool) -> None:
        self.root = root
        self.folder = os.dup(folder)
        self.record = record
        self.fd = fd
        self.kept = kept  # has a record on the disk, and can be resumed
        found = os.fstat(fd)
        self.named = found.st_nlink > 1
        self.offset: int = record["length"] if self.named else found.st_size
        self._begun = self.offset
        self._started = self.offset
        self._digest: Any = None

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def take(cls, root: int, folder: int, record: Record, *, patience: float = MAKE_WAY) -> Part:
        """Raises Refused (upload.busy) where another writer does not make way."""
        name = f"{record['id']}.part"
        try:
            fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError as error:
            raise not_there() from error
        try:
            _lock(folder, record["id"], fd, patience)
            if not _is_still(folder, name, fd):
                raise not_there()  # finished or dropped by who had it
            check = changes.read_whole(folder, f"{record['id']}.check")
            if check and os.fstat(fd).st_nlink == 1:
                os.ftruncate(fd, int(check))
                os.fsync(fd)
            if check is not None:
                os.unlink(f"{record['id']}.check", dir_fd=folder)
            return cls(root, folder, record, fd, kept=True)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def resume(cls, root: int, identifier: str, offset: int, *, verified: bool) -> Part:
        """To go on at `offset`. Raises Conflict (upload.offset) where the part has another size."""
        with opened(root) as folder:
            record = read(folder, identifier)
            if record.get("done"):
                raise wrong_offset(offset, record["length"])
            try:
                part = cls.take(root, folder, record)
            except NotFound:
                record = read(folder, identifier)
                if record.get("done"):  # by who had it, while we waited
                    raise wrong_offset(offset, record["length"]) from None
                raise
            try:
                if part.offset != offset:
                    raise wrong_offset(offset, part.offset)
                if verified:
                    part._digest = hashlib.sha256()
                    changes.write_whole(folder, f"{identifier}.check", str(offset).encode())
                return part
            except BaseException:
                part.close()
                raise

    @classmethod
    def small(cls, root: int, record: Record, kept_free: float) -> Part:
        """Without a record: it is there when the request has ended, or never."""
        with opened(root) as folder:
            check_room(folder, record["length"], 0, kept_free)
            make = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(f"{record['id']}.part", make, 0o644, dir_fd=folder)
            fcntl.flock(fd, fcntl.LOCK_EX)
            return cls(root, folder, record, fd, kept=False)

    def wanted_by_another(self) -> bool:
        try:
            os.stat(f"{self.record['id']}.next", dir_fd=self.folder)
        except FileNotFoundError:
            return False
        return True

    def write(self, data: memoryview) -> int:
        if self.offset + len(data) > self.record["length"]:
            raise Conflict("More bytes came than were announced; they were not kept.", code="upload.too_long")
        if self._digest is not None:
            self._digest.update(data)
        while data:
            count = os.pwrite(self.fd, data, self.offset)
            self.offset += count
            data = data[count:]
        if self.offset - self._started >= BEHIND:  # so that the end does not wait for gigabytes
            span = ctypes.c_int64(self._started), ctypes.c_int64(self.offset - self._started)
            _libc.sync_file_range(self.fd, *span, START_WRITING)
            self._started = self.offset
        return self.offset

    def verify(self, sha256: str) -> bool:
        """Of what this writer wrote; False: it is taken back."""
        good = self._digest is not None and bool(self._digest.hexdigest() == sha256)
        if not good and not self.named:
            os.ftruncate(self.fd, self._begun)
            self.offset = self._begun
        self._digest = None
        with suppress(FileNotFoundError):
            os.unlink(f"{self.record['id']}.check", dir_fd=self.folder)
        return good

    def finish(self, alive: Alive = lambda: None) -> Record:
        """Raises Conflict (upload.checksum, upload.incomplete, path.changed), Refused (stage.ended, path.taken)."""
        if self.offset != self.record["length"]:
            raise Conflict("Not all of it is there.", code="upload.incomplete")
        os.fsync(self.fd)
        if not self.named:
            self._check_sum(alive)
        unless_ended(self.root, self.record.get("unless", ()))
        place = self._publish()
        self.record = {**self.record, "done": place}
        if self.kept:
            changes.write_whole(self.folder, f"{self.record['id']}.json", json.dumps(self.record).encode())
        self._forget_part()
        return self.record

    def _check_sum(self, alive: Alive) -> None:
        expected = self.record.get("sha256", "")
        if not expected:
            return
        digest, at = hashlib.sha256(), 0
        while block := os.pread(self.fd, BLOCK, at):
            digest.update(block)
            at += len(block)
            alive()
        if digest.hexdigest() != expected:
            os.ftruncate(self.fd, 0)
            self.offset = 0
            raise Conflict(
                f"What arrived for {shown(self.record['target'][-1])} is not what was sent: its SHA-256 is "
                f"{digest.hexdigest()}. It was not kept.",
                hint="Send it again from the beginning.",
                code="upload.checksum",
            )

    def _publish(self) -> list[str]:
        """Under its name, or the next one that is free: who asked for no replacing is not made to send it again."""
        target: list[str] = self.record["target"]
        with changes.folder_at(self.root, target[:-1], make=True) as folder:
            if "aside" in self.record:
                self._put_away(folder, target)
            keeps = self.record.get("exact", False)
            for name in (target[-1],) if keeps else free_names(target[-1]):
                try:
                    self._name(folder, name)
                except Refused:
                    if keeps:
                        raise
                    continue
                os.fsync(folder)
                return [*target[:-1], name]
        raise changes.taken(target[-1])

    def _put_away(self, folder: int, target: Sequence[str]) -> None:
        """What is to be replaced goes to the trash, unless it is this very file (a step that is repeated)."""
        try:
            found = os.lstat(target[-1], dir_fd=folder)
        except FileNotFoundError as error:
            if "tag" in self.record:
                raise changed(target[-1]) from error
            return
        mine = os.fstat(self.fd)
        if (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino):
            return
        if "tag" in self.record and self.record["tag"] != tag_of(found):
            raise changed(target[-1])
        if stat.S_ISDIR(found.st_mode):
            raise changes.taken(target[-1])
        changes.put_aside(self.root, folder, target, (self.record["aside"][0], self.record["aside"][1]))

    def _name(self, folder: int, name: str) -> None:
        part = f"{self.record['id']}.part"
        try:
            changes.link_new(self.folder, part, folder, name)
        except OSError as error:
            if error.errno not in changes.NO_LINKS:
                raise
            changes.rename_new(self.folder, part, folder, name)

    def _forget_part(self) -> None:
        for ending in ("part", "check", "next"):
            with suppress(FileNotFoundError):
                os.unlink(f"{self.record['id']}.{ending}", dir_fd=self.folder)

    def close(self) -> None:
        """What is there stays, but for one that cannot be resumed."""
        if self.fd < 0:
            return
        if not self.kept:
            self._forget_part()
        elif self._digest is not None:
            self.verify("")
        os.close(self.fd)
        os.close(self.folder)
        self.fd = self.folder = -1


def _is_still(folder: int, name: str, fd: int) -> bool:
    """Whether the file that is open here has this name (any more)."""
    try:
        found = os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    mine = os.fstat(fd)
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)


def _lock(folder: int, identifier: str, fd: int, patience: float) -> None:
    until = time.monotonic() + patience
    asked = False
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise Refused(
                        "Another connection is writing this upload.", hint="It is tried again.", code="upload.busy"
                    ) from None
                if not asked:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                    os.close(os.open(f"{identifier}.next", flags, 0o644, dir_fd=folder))
                    asked = True
                time.sleep(0.02)
    finally:
        if asked:
            with suppress(FileNotFoundError):
                os.unlink(f"{identifier}.next", dir_fd=folder)


def wrong_offset(asked: int, found: int) -> Conflict:
    return Conflict(
        f"The upload has {found} bytes and not {asked}; nothing was written.",
        hint="Ask for its offset and go on from there.",
        code="upload.offset",
    )


def changed(name: str) -> Conflict:
    return Conflict(
        f"{shown(name)} has changed since it was looked at; nothing was written.",
        hint="Look at it and try again.",
        code="path.version",
    )


def tag_of(found: os.stat_result) -> str:
    """Changes whenever the content of a file does."""
    return f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"


def unless_ended(root: int, paths: Sequence[Sequence[str]]) -> None:
    """Raises Refused (stage.ended) where an attempt has ended: `paths` are those of end.json and stage.json."""
    for path in paths:
        try:
            with changes.folder_at(root, path[:-1]) as folder:
                there = path[-1] in os.listdir(folder)  # noqa: PTH208 - by descriptor
        except NotFound:
            continue
        if there:
            raise stage_ended()


def stage_ended() -> Refused:
    return Refused(
        "The stage has ended, and an ended stage never changes; nothing was done.",
        hint="Continue from it: a new stage gets a copy of its workspace.",
        code="stage.ended",
    )


def drop(root: int, identifier: str) -> None:
    with opened(root) as folder:
        record = read(folder, identifier)
        with suppress(NotFound), Part.take(root, folder, record) as part:
            os.unlink(f"{identifier}.json", dir_fd=folder)
            part._forget_part()


def expire(root: int, now: float) -> int:
    """Remove what nobody has gone on with for too long (`now`: seconds since 1970), and what was left by processes
    that were killed; answers how many uploads. What somebody holds stays."""
    removed = 0
    before = now - KEPT
    with opened(root) as folder:
        names = set(os.listdir(folder))  # noqa: PTH208
        for name in sorted(names):
            identifier, _, ending = name.partition(".")
            with suppress(FileNotFoundError, NotFound, Refused):
                found = os.lstat(name, dir_fd=folder)
                if USABLE.match(identifier) is None:
                    if name.endswith(".tmp") and found.st_mtime < before:
                        os.unlink(name, dir_fd=folder)
                elif ending == "part" and found.st_mtime < before:
                    with Part.take(root, folder, {"id": identifier, "length": 0}, patience=0.0) as part:
                        _unlink(folder, f"{identifier}.json")
                        part._forget_part()
                        removed += 1
                elif ending in ("json", "check", "next"):
                    limit = now - DONE_KEPT if ending == "json" else before
                    if found.st_mtime < limit and f"{identifier}.part" not in names:
                        os.unlink(name, dir_fd=folder)
    return removed


def _unlink(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def described(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without what only the writers need."""
    return {k: v for k, v in record.items() if k not in ("aside", "tag", "unless", "exact")}
