"""Where the files of a workspace come from, and how they get there: by an operation that runs GNU cp, into a
directory beside the target that is renamed when it is whole and on disk.

Never hard links, never a copy through this process. An ended stage's workspace is only ever read.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from winslow_nomad.core.errors import Refused, ShareUnavailable, WinslowError
from winslow_nomad.core.lineage import logical_source
from winslow_nomad.core.operations import Operation, Operations
from winslow_nomad.core.ports import AttemptRef, Clock
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Source, Stage
from winslow_nomad.resources import layout, scribe, space
from winslow_nomad.resources.child import Child, Ended
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.scribe import Scribe
from winslow_nomad.resources.work import Progress

PARTIAL = ".partial-"
FIRST_WAIT = 20  # seconds between a failed copy and the next; doubled each time
LONGEST_WAIT = 300
DELETE_AT_ONCE = 0.25  # seconds; a cancel shall be over within one
CONDITIONS = (
    ("No space left on device", "share.full"),
    ("Disk quota exceeded", "share.full"),
    ("Read-only file system", "share.read_only"),
    ("Input/output error", "share.gone"),
    ("Stale file handle", "share.gone"),
)


class Workspaces:
    """Asks for copies. `largest`: see space.Largest."""

    def __init__(
        self, writer: Scribe, reader: Reader, operations: Operations, clock: Clock, largest: space.Largest
    ) -> None:
        self._write = writer
        self._read = reader
        self._operations = operations
        self._clock = clock
        self._largest = largest

    def check(self) -> None:
        """Raises ShareUnavailable (share.full) when nothing may start now."""
        space.check_free(self._read, self._largest)

    def is_empty(self, project: Project, stage: Stage) -> bool:
        return chosen_source(project, stage).kind == "empty"

    def ask_for(self, project: Project, stage: Stage, attempt: int) -> str | None:
        """The operation that makes the workspace of this attempt; None: it is there.

        Raises ShareUnavailable while a copy that failed is not due again, Refused (workspace.source_gone)."""
        target = layout.workspace_folder(project, stage, attempt)
        own = target == f"{layout.attempt_folder(layout.folder_of(project.id, stage), attempt)}/workspace"
        base = operation_id(AttemptRef(project=project.id, stage=stage.number, attempt=attempt))
        if self._there(target):
            if not own or self._read.names(target) or self._was_copied(base):
                return None
            self._set_aside(target)
        source = source_folder(project, stage)
        if source is None or not self._there(source):
            raise _gone(stage.name, source)
        operation = Operation(
            id=self._free_id(base),
            kind="workspace",
            project=project.id,
            stage=stage.number,
            attempt=attempt,
            arguments={"source": source, "target": target},
            made=self._clock.now(),
        )
        return self._operations.put(operation).id

    def _was_copied(self, base: str) -> bool:
        return any(operation is not None and operation.state == "done" for _, operation in self._tries(base))

    def _set_aside(self, target: str) -> None:
        """An empty workspace from before the stage was changed: it was to begin with nothing then, and its admission
        was not committed."""
        aside = f"trash/{target.replace('/', '-')}-{secrets.token_hex(4)}"
        self._write.perform([scribe.mkdir("trash"), scribe.rename(target, aside)], f"{target} was not set aside")

    def give_up(self, ref: AttemptRef) -> None:
        """Nobody needs this attempt's workspace any more."""
        for _, operation in self._tries(operation_id(ref)):
            if operation is not None and operation.state in ("waiting", "running"):
                self._operations.cancel(operation.id)

    def _free_id(self, base: str) -> str:
        """That of an open operation, else the next one that was never used."""
        before: Operation | None = None
        for number, (name, operation) in enumerate(self._tries(base)):
            if operation is None:
                if before is not None:
                    _check_due(before, number, self._clock.now())
                return name
            if operation.state in ("waiting", "running"):
                return name
            before = operation
        raise AssertionError("the tries have no end")

    def _tries(self, base: str) -> Iterator[tuple[str, Operation | None]]:
        number = 1
        while True:
            name = base if number == 1 else f"{base}-{number}"
            found = self._operations.get(name)
            yield name, found
            if found is None:
                return
            number += 1

    def _there(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return name in self._read.names(folder)


def operation_id(ref: AttemptRef) -> str:
    return f"workspace-{ref.project}-{ref.stage:04d}-{ref.attempt}"


def source_folder(project: Project, stage: Stage) -> str | None:
    """What a workspace is copied from, relative to the root; None: it begins empty."""
    source = chosen_source(project, stage)
    if source.kind == "given":
        return layout.given_folder(project.id)
    if source.kind == "attempt":
        return f"{layout.attempt_folder(layout.folder_of(project.id, stage), source.number)}/workspace"
    if source.kind in ("sweep_shared", "sweep_nested"):
        return f"{layout.sweep_folder(project.id, source.number)}/workspace"
    ended = project.ended.get(source.number)
    if source.kind == "empty" or ended is None or ended.attempt == 0:
        return None
    return layout.workspace_folder(project, ended, ended.attempt)


def chosen_source(project: Project, stage: Stage) -> Source:
    """Where a sweep has one workspace: what that one begins with, made for whoever comes first."""
    if stage.sweep is not None and project.sweeps[stage.sweep].workspace != "separate":
        return logical_source(project, stage)
    return stage.source or Source(kind="empty")


def _check_due(before: Operation, tries: int, now: datetime) -> None:
    wait = timedelta(seconds=min(LONGEST_WAIT, FIRST_WAIT * 2 ** (tries - 1)))
    if before.state != "done" and before.ended is not None and abs(now - before.ended) < wait:
        raise ShareUnavailable(
            f"The workspace could not be copied: {before.text}",
            hint=f"It is tried again {wait.total_seconds():.0f} s after that.",
            code=before.code if before.code.startswith("share.") else "share.unavailable",
        )


def _gone(name: str, source: str | None) -> Refused:
    return Refused(
        f"The workspace that {name} continues from ({source or 'nothing'}) is no longer there; nothing was copied.",
        hint="Redo the stage that made it, take it back from the trash, or start with an empty workspace.",
        code="workspace.source_gone",
    )


class CopyWorkspace:
    """The handler of operations of kind "workspace". `reflink`: tries whether the share can share blocks; asked
    once, when it is first needed."""

    def __init__(self, writer: Scribe, reader: Reader, reflink: Callable[[], bool], largest: space.Largest) -> None:
        self._write = writer
        self._read = reader
        self._try_reflink = reflink
        self._reflinks: bool | None = None
        self._largest = largest

    def __call__(self, operation: Operation, progress: Progress) -> str:
        source, target = operation.arguments["source"], operation.arguments["target"]
        folder, _, name = target.rpartition("/")
        self._clear(folder, operation)
        progress(0, 0, 0, 0)
        if name in self._read.names(folder):
            return "it was there already"
        began = time.monotonic()
        partial = f"{folder}/{PARTIAL}{operation.id}-{secrets.token_hex(4)}"
        try:
            size, files = self._copied(source, partial, progress)
            step = scribe.rename(partial, target)
            made = self._write.perform([step], f"the workspace {target} was not published")[0]["made"]
        except BaseException:
            with suppress(ShareUnavailable):  # then the next try, or the trash, finds it
                self._discard(partial)
            raise
        if not made:
            self._discard(partial)
            return "another worker was first"
        return f"{files} entries, {space.size(size)}, in {time.monotonic() - began:.1f} s"

    def _copied(self, source: str, partial: str, progress: Progress) -> tuple[int, int]:
        """Bytes and entries. The survey comes first only where the room for it matters."""
        root = self._read.root
        parent = source.rpartition("/")
        if parent[2] not in self._read.names(parent[0]):
            raise _gone("this stage", source)
        if self._reflinks is None:
            self._reflinks = self._try_reflink()
        survey = Child(["find", f"{root}/{source}", "-printf", "%b\n"])
        total: tuple[int, int] | None = None
        if not self._reflinks:
            total = _surveyed(survey.wait(lambda: progress(0, 0, 0, 0)))
            space.check_room(self._read, total[0], self._largest)
        words = ["cp", "-a", "--reflink=auto", "--sparse=auto", "-T", "--", f"{root}/{source}", f"{root}/{partial}"]
        copy = Child(words, long=True)

        def look() -> None:
            size, files = total or (0, 0)
            progress(min(copy.written(), size) if size else copy.written(), size, 0, files)

        try:
            if total is None:
                # at the same time: 10,000 files are surveyed long before they are copied
                total = _surveyed(survey.wait(look))
            ended = copy.wait(look)
        except BaseException:
            survey.leave()
            copy.leave()
            raise
        if ended.code != 0:
            raise self._failed(source, ended)
        synced = Child(["sync", "-f", "--", f"{root}/{partial}"]).wait(
            lambda: progress(total[0], total[0], 0, total[1])
        )
        if synced.code != 0:
            raise self._failed(source, synced)
        progress(total[0], total[0], total[1], total[1])
        return total

    def _failed(self, source: str, ended: Ended) -> WinslowError:
        text = ended.errors.strip().replace(f"{self._read.root}/", "")
        for phrase, code in CONDITIONS:
            if phrase in text:
                if code == "share.full":
                    return space.full("The share became full; the copy was taken away again.", self._largest)
                return ShareUnavailable(f"{phrase} on the share; the copy was taken away again.", code=code)
        folder, _, name = source.rpartition("/")
        if name not in self._read.names(folder):
            return _gone("this stage", source)
        lines = text.splitlines()
        more = f" (and {len(lines) - 3} more)" if len(lines) > 3 else ""
        said = "; ".join(lines[:3])[:600] or f"ended with code {ended.code}"
        return WinslowError(f"The workspace was not copied: {said}{more}", code="workspace.copy_failed")

    def _clear(self, folder: str, operation: Operation) -> None:
        """What earlier tries have left. A try that still lives loses its directory before it can publish."""
        ref = AttemptRef(project=operation.project, stage=operation.stage, attempt=operation.attempt)
        for name in self._read.names(folder):
            if name.startswith(f"{PARTIAL}{operation_id(ref)}-"):
                self._discard(f"{folder}/{name}")

    def _discard(self, path: str) -> None:
        """Rename it into the trash, so that nobody can publish it, and delete what can be deleted at once;
        the rest goes with the trash."""
        folder, _, name = path.rpartition("/")
        if name not in self._read.names(folder):
            return
        aside = f"trash/{name.removeprefix('.')}"
        self._write.perform([scribe.mkdir("trash"), scribe.rename(path, aside)], f"{path} was not discarded")
        deadline = time.monotonic() + DELETE_AT_ONCE

        def look() -> None:
            if time.monotonic() > deadline:
                raise TimeoutError

        with suppress(TimeoutError):
            Child(["rm", "-rf", "--one-file-system", "--", f"{self._read.root}/{aside}"], long=True).wait(look)


def _surveyed(ended: Ended) -> tuple[int, int]:
    blocks = [int(line) for line in ended.output.split("\n") if line.isdigit()]
    return sum(blocks) * 512, len(blocks)
