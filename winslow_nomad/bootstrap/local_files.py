"""core.client.FileClient on the data directory of this machine, with the same rules as over the API."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core.access import Principal, Role
from winslow_nomad.core.client import Report, unreported
from winslow_nomad.core.errors import Conflict, Invalid, NotFound, Refused
from winslow_nomad.core.filing import Area, Entry, Opened, Space, aside_name, from_text, to_text
from winslow_nomad.core.filing import Conflict as OnConflict
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.receiving import ShareUploads
from winslow_nomad.resources.share_files import taken

BLOCK = 4 * 1024 * 1024
PAGE = 1000


class LocalFiles:
    """Whoever may use the data directory may do everything in it."""

    def __init__(self, installation: Installation, uploads: Callable[[], ShareUploads]) -> None:
        self._installation = installation
        self._uploads = uploads
        self.report: Report = unreported

    def entries(self, space: str, path: str = "") -> Iterator[Entry]:
        after = ""
        while True:
            page = self._installation.files.page(self._area(space), path, limit=PAGE, after=after)
            yield from page.entries
            after = page.next
            if not after:
                return

    def entry(self, space: str, path: str) -> Entry:
        return self._installation.files.entry(self._area(space), path)

    def get(self, space: str, path: str, target: Path) -> Path:
        area = self._area(space)
        if path and self.entry(space, path).kind == "file":
            self._get_file(area, path, target)
        else:
            self._get_folder(area, path, target)
        return target

    def _get_folder(self, area: Area, path: str, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for entry in self.entries(str(area.space), path):
            below = target / from_text(entry.name)
            if entry.kind == "folder":
                self._get_folder(area, entry.path, below)
            elif entry.kind == "file":
                self._get_file(area, entry.path, below)

    def _get_file(self, area: Area, path: str, target: Path) -> None:
        opened = self._installation.files.open(area, path)
        try:
            modified = opened.entry.modified.timestamp()
            if target.exists():
                found = target.stat()
                if found.st_size == opened.entry.bytes and abs(found.st_mtime - modified) < 1.0:
                    return
                raise Refused(
                    f"{target} is there already and is something else; it was not touched.",
                    hint="Name another target, or move it away.",
                    code="path.taken",
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(aside_name(target.name, secrets.token_hex(4)))
            try:
                with partial.open("xb") as file:
                    self._copy(opened, file)
                os.utime(partial, (modified, modified))
                partial.rename(target)
            finally:
                partial.unlink(missing_ok=True)
        finally:
            opened.close()

    def _copy(self, opened: Opened, file: BinaryIO) -> None:
        entry, done = opened.entry, 0
        while done < entry.bytes:
            block = opened.read(done, min(BLOCK, entry.bytes - done))
            if not block:
                raise Conflict(
                    f"{shown(entry.path)} became shorter while it was fetched; it was not kept.",
                    hint="Fetch it again.",
                    code="path.version",
                )
            file.write(block)
            done += len(block)
            self.report(entry.name, done, entry.bytes)
        file.flush()
        os.fsync(file.fileno())

    def put(self, source: Path, space: str, path: str, *, conflict: OnConflict = "refuse") -> str:
        area = self._area(space)
        if not source.is_dir():
            return self._put_file(source, area, path, conflict)
        for place, folders, names in os.walk(source, onerror=_unreadable):
            folders.sort()
            below = str(Path(place).relative_to(source))
            target = path if below == "." else f"{path}/{to_text(below)}"
            if self._there(area, target) is None:
                self._installation.files.make_folder(area, target)
            for name in sorted([*names, *(f for f in folders if (Path(place) / f).is_symlink())]):
                file = Path(place) / name
                if not file.is_file():
                    raise Invalid(
                        f"{shown(str(file))} is no file (a link to a folder or to nothing, a device, a pipe). "
                        "It was not brought.",
                        hint="Take it away, or put what it names in its place.",
                        code="import.not_a_file",
                    )
                self._put_file(file, area, f"{target}/{to_text(name)}", conflict)
        return path

    def _put_file(self, source: Path, area: Area, path: str, conflict: OnConflict) -> str:
        there = self._there(area, path)
        if there is not None and self._same(source, area, there):
            return path
        if there is not None and conflict == "refuse":
            raise taken(path)
        uploads = self._uploads()
        with source.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            begun = uploads.begin(area, path, length, conflict=conflict)
            writing = uploads.write(area, begun.id, 0)
            try:
                done = 0
                while count := file.readinto(writing.buffers[0][: min(len(writing.buffers[0]), length - done)]):
                    done = writing.write(0, count)
                    self.report(source.name, done, length)
                return writing.finish()
            finally:
                writing.close()

    def _same(self, source: Path, area: Area, there: Entry) -> bool:
        if there.kind != "file" or there.bytes != source.stat().st_size:
            return False
        opened = self._installation.files.open(area, there.path)
        try:
            with source.open("rb") as file:
                return _equal(file.read, opened)
        finally:
            opened.close()

    def _there(self, area: Area, path: str) -> Entry | None:
        try:
            return self._installation.files.entry(area, path)
        except NotFound:
            return None

    def remove(self, space: str, path: str) -> str:
        return self._installation.files.trash(self._area(space), path)

    def make_folder(self, space: str, path: str) -> Entry:
        return self._installation.files.make_folder(self._area(space), path)

    def _area(self, space: str) -> Area:
        who = Principal(user=self._installation.settings.user, role=Role.ADMIN)
        project = Space.parse(space).project
        if not project:
            return Area(who=who)
        found = self._installation.store.load(project)
        if found is None:
            raise NotFound(f"There is no project {project[:100]!r}.", code="project.not_found")
        return Area(who=who, project=found)


def _unreadable(error: OSError) -> None:
    raise error


def _equal(read: Callable[[int], bytes], opened: Opened) -> bool:
    done = 0
    while mine := read(BLOCK):
        if opened.read(done, len(mine)) != mine:
            return False
        done += len(mine)
    return True
