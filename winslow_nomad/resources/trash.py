"""The trash: what is deleted is first renamed aside, where a person can take it back, and really removed
later by an operation.

    trash/<entry>/manifest.json     what, from where, when, by whom; written and synced before anything moves
    trash/<entry>/content/<n>       the n-th of the things that were moved

Every step can be repeated, and a crash between two of them leaves an entry that lists, restores and
empties like any other. Never follows links, never crosses file systems. A project keeps its journal and
project.json in place while its stages are in the trash, so that its history goes on being written.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from winslow_nomad.core.errors import NotFound, Refused
from winslow_nomad.core.model import Record
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.retention import Removal
from winslow_nomad.resources import names
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.publish import rename_new, sync_folder, write_whole
from winslow_nomad.resources.remove import remove_tree
from winslow_nomad.resources.work import Progress, require_share, share_conditions

MANIFEST = "manifest.json"
PARTS = ("stages", "sweeps", "output")  # of a project; its journal and project.json stay
MAY_GO = ("inputs", "projects", "uploads", "pipelines")  # the first component of what may be deleted


class TrashEntry(Record):
    """`paths` are relative to the share's root, in the order of the folders below content/."""

    format: int = 1
    id: str
    paths: tuple[str, ...]
    project: str = ""
    whole_project: bool = False
    why: str
    actor: str  # empty: by the rule of retention
    at: datetime


def old(project: str, mark: str) -> str:
    """The id of an entry with what the rule of retention names. `mark`: tells entries of one project apart."""
    return f"{project}-old-{mark}"


class Trash:
    """`root` is the share's. Raises ShareUnavailable where the share is in trouble."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._trash = root / "trash"

    def put(self, entry: TrashEntry) -> TrashEntry | None:
        """Move the entry's paths aside. None: none of them is there (any more). The same entry again goes
        on where a crash ended it."""
        for path in entry.paths:
            parts = names.split(path)
            if len(parts) < 2 or parts[0] not in MAY_GO:
                raise Refused(f"{shown(path)} is not something that can be deleted.", code="trash.not_deletable")
        require_share(self._root)
        with share_conditions():
            aside = self._entry(entry.id)
            there = [p for p in entry.paths if os.path.lexists(self._root / p)]
            if not there and not aside.exists():
                return None
            for path in there:
                self._check_parent(path)
            (aside / "content").mkdir(parents=True, exist_ok=True)
            if not (aside / MANIFEST).exists():
                write_whole(aside / MANIFEST, entry.model_dump_json().encode())
                sync_folder(aside)
                sync_folder(self._trash)
            for number, path in enumerate(entry.paths):
                with suppress(FileNotFoundError):
                    self._move(self._root / path, aside / "content" / str(number))
            if self._holds(entry.id):
                return entry
            remove_tree(aside)  # somebody else moved all of it in the meantime
            return None

    def put_project(self, project: str, entry: str, actor: str, at: datetime) -> TrashEntry | None:
        """All files of a project but its journal. Only when nothing of it runs any more."""
        paths = tuple(f"projects/{names.check_name(project)}/{part}" for part in PARTS)
        return self.put(
            TrashEntry(
                id=entry,
                paths=paths,
                project=project,
                whole_project=True,
                why="the project was deleted",
                actor=actor,
                at=at,
            )
        )

    def put_obsolete(self, removals: Iterable[Removal], entry: str, at: datetime, actor: str = "") -> TrashEntry | None:
        """What the rule of retention names, of one project, as one entry. `actor`: who asked; empty: its time came."""
        found = list(removals)
        if not found:
            return None
        why = "; ".join(dict.fromkeys(r.why for r in found))[:500]
        paths = tuple(r.path for r in found)
        return self.put(TrashEntry(id=entry, paths=paths, project=found[0].project, why=why, actor=actor, at=at))

    def entries(self) -> list[TrashEntry]:
        """Oldest first; those that hold something."""
        found = (self._read(name) for name in self._names() if self._holds(name))
        return sorted((e for e in found if e is not None), key=lambda e: (e.at, e.id))

    def obsolete_of(self, project: str) -> list[TrashEntry]:
        """What the rule of retention has put there of a project, the newest first."""
        ours = [n for n in self._names() if n.startswith(old(project, ""))]
        found = (self._read(name) for name in ours if self._holds(name))
        return sorted((e for e in found if e is not None and e.project == project), key=lambda e: e.at, reverse=True)

    def of_project(self, project: str) -> TrashEntry | None:
        """The entry that holds a deleted project, where it is still there."""
        return next((e for e in reversed(self.entries()) if e.project == project and e.whole_project), None)

    def restore(self, entry: str, at: datetime) -> TrashEntry:
        """Everything back to where it was; refused as a whole when a place is taken or gone. Its time for
        the rule of retention counts anew from `at`."""
        require_share(self._root)
        with share_conditions():
            found = self._read(names.check_name(entry))
            if found is None:
                raise NotFound(
                    f"There is no {shown(entry)} in the trash (any more).",
                    hint="It was emptied or restored by somebody else.",
                    code="trash.not_found",
                )
            content = self._entry(entry) / "content"
            held = [(content / str(n), p) for n, p in enumerate(found.paths) if os.path.lexists(content / str(n))]
            for _, path in held:
                self._check_parent(path)
                if os.path.lexists(self._root / path):
                    raise Refused(
                        f"There is something else at {shown(path)} by now. Nothing was restored.",
                        hint="Move that away first.",
                        code="trash.place_taken",
                    )
            self._remember(found, at)
            for aside, path in held:
                self._move(aside, self._root / path)
            remove_tree(self._entry(entry))
            return found

    def restored(self, project: str) -> dict[str, datetime]:
        """Paths of a project that a person took back, and when."""
        try:
            with share_conditions():
                kept = json.loads(self._restored_file(project).read_bytes())["paths"]
            return {path: datetime.fromisoformat(at) for path, at in kept.items()}
        except (FileNotFoundError, ValueError, KeyError, AttributeError):
            return {}

    def delete(self, operation: Operation, progress: Progress) -> int:
        """The operation "delete": arguments `entry` (one), or `before` (an ISO time: all put there
        earlier). Frees for ever; answers how many bytes. What is still in use stays for the next round."""
        with share_conditions():
            freed = files = 0
            busy: list[Refused] = []
            for entry in self._chosen(operation):
                onward = partial(_further, progress, operation, freed, files)
                try:
                    size, count = self._remove(entry, onward)
                    freed, files = freed + size, files + count
                except Refused as error:
                    busy.append(error)
            if busy:
                raise busy[0]
            return freed

    def forget_project(self, project: str) -> None:
        """The last trace of a project on the share, when the store does not know it any more."""
        with share_conditions():
            folder = self._root / "projects" / names.check_name(project)
            if os.path.lexists(folder / "stages"):
                raise Refused(
                    f"The project {shown(project)} still has files; they were not touched.",
                    code="trash.in_use",
                )
            remove_tree(folder)
            self._restored_file(project).unlink(missing_ok=True)

    # --- inside

    def _chosen(self, operation: Operation) -> Iterator[str]:
        one = operation.arguments.get("entry", "")
        if one:
            if (self._trash / names.check_name(one)).exists():
                yield one
            return
        before = datetime.fromisoformat(operation.arguments["before"])
        for name in self._names():
            entry = self._read(name)
            if entry is not None:
                put = entry.at
            else:  # a crash before the manifest was complete, or a stranger's folder: by its own time
                put = datetime.fromtimestamp((self._trash / name).lstat().st_mtime, before.tzinfo)
            if put < before:
                yield name

    def _remove(self, entry: str, progress: Progress) -> tuple[int, int]:
        """The content first and the manifest last, so that what is half removed still says what it was."""
        folder = self._entry(entry)
        freed = remove_tree(folder / "content", progress)
        remove_tree(folder)
        return freed

    def _holds(self, entry: str) -> bool:
        try:
            return bool(os.listdir(self._entry(entry) / "content"))  # noqa: PTH208 - names are wanted
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _names(self) -> list[str]:
        try:
            with share_conditions():
                return sorted(n for n in os.listdir(self._trash) if n != "restored")  # noqa: PTH208 - names are wanted
        except FileNotFoundError:
            return []

    def _read(self, name: str) -> TrashEntry | None:
        try:
            with share_conditions():
                return TrashEntry.model_validate_json((self._entry(name) / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def _remember(self, entry: TrashEntry, at: datetime) -> None:
        if not entry.project:
            return
        kept = {**self.restored(entry.project), **dict.fromkeys(entry.paths, at)}
        place = self._restored_file(entry.project)
        place.parent.mkdir(parents=True, exist_ok=True)
        paths = {path: time.isoformat() for path, time in kept.items()}
        write_whole(place, json.dumps({"format": 1, "paths": paths}).encode())

    def _restored_file(self, project: str) -> Path:
        return self._trash / "restored" / f"{names.check_name(project)}.json"

    def _entry(self, name: str) -> Path:
        return self._trash / names.check_name(name)

    def _check_parent(self, path: str) -> None:
        """The folder something is moved out of, or back to, is below the share without a link on the way."""
        parent = "/".join(names.split(path)[:-1])
        at = names.open_beneath(self._root, parent, os.O_PATH | os.O_DIRECTORY)
        try:
            if Path(f"/proc/self/fd/{at}").readlink() != self._root.resolve() / parent:
                raise Refused(f"{shown(path)} is reached by a link; it was not touched.", code="path.outside")
        finally:
            os.close(at)

    @staticmethod
    def _move(source: Path, target: Path) -> None:
        try:
            rename_new(source, target)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise Refused(
                    f"{shown(source.name)} lies on another file system than the trash; it was not touched.",
                    hint="Delete it by hand.",
                    code="trash.other_file_system",
                ) from error
            raise
        sync_folder(source.parent)
        sync_folder(target.parent)


def _further(
    progress: Progress, operation: Operation, freed: int, files: int, size: int, _: int, count: int, __: int
) -> None:
    """Progress of one entry among several."""
    progress(freed + size, operation.bytes_total, files + count, operation.files_total)
