"""Writing every transition to the share, so that the store can be made again from it.

One process does this, holding the controller's lease; its epoch names the file it appends to, so that no
two writers ever share one. A line counts as mirrored only when it is on the share's disk: append,
fdatasync, then project.json, then `done`. A crash between these steps repeats lines, which readers take
for one; it never leaves one out. Never runs inside a process that decides: it may hang with the share.

Whoever starts it again under the same epoch waits first until the former process is gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from winslow_nomad.core.errors import ShareUnavailable, Unavailable
from winslow_nomad.resources import journals, names
from winslow_nomad.resources.journals import Folded, RawLine
from winslow_nomad.resources.publish import sync_folder, write_whole
from winslow_nomad.resources.work import condition, require_share

BATCH = 512  # lines asked for at once
WRITERS = 8  # projects written side by side: the share's time is mostly waiting
REMEMBERED = 256  # folded projects kept in memory
LONGEST_PAUSE = 5.0  # seconds between two tries while the share is in trouble


class Pending(Protocol):
    """The store's list of lines that are not on the share yet."""

    def pending(self, count: int) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
        """(cursor, project, line), oldest first; those of one project in the order of their versions. The
        same ones again until they are `done`."""
        ...

    def done(self, cursors: Sequence[str]) -> None: ...


class Mirror:
    def __init__(self, root: Path, store: Pending, epoch: int) -> None:
        self._root = root
        self._store = store
        self._epoch = epoch
        self._folded: OrderedDict[str, Folded] = OrderedDict()
        self._begun: set[str] = set()  # projects written to in this term
        self._stuck = 0

    def run(
        self, stopping: Callable[[], bool], report: Callable[[Unavailable | None], None], every: float = 0.1
    ) -> None:
        """Until `stopping()`; `report` is told what is wrong now, None when it is over. `every`: seconds
        between two looks at an empty list."""
        pause, wrong = every, False
        while not stopping():
            try:
                written = self.step()
                if wrong:
                    report(None)
                pause, wrong = (0.0 if written else every), False
            except Unavailable as error:
                report(error)
                pause, wrong = min(max(pause, every) * 2, LONGEST_PAUSE), True
            deadline = time.monotonic() + pause
            while pause and not stopping() and time.monotonic() < deadline:
                time.sleep(min(0.1, pause))

    def step(self) -> int:
        """Mirror one batch; answers how many lines. Raises ShareUnavailable (what could be written is done,
        the rest stays pending), and what the store raises."""
        batch = self._store.pending(BATCH + self._stuck)
        by_project: OrderedDict[str, list[tuple[str, RawLine]]] = OrderedDict()
        for cursor, project, line in batch:
            by_project.setdefault(project, []).append((cursor, line))
        if not by_project:
            self._stuck = 0
            return 0
        require_share(self._root)
        done: list[str] = []
        failed: list[OSError] = []
        with ThreadPoolExecutor(min(WRITERS, len(by_project))) as writers:
            results = {p: writers.submit(self._write, p, [line for _, line in ls]) for p, ls in by_project.items()}
        for project, result in results.items():
            error = result.exception()
            if error is None:
                done.extend(cursor for cursor, _ in by_project[project])
                self._remember(project, result.result())
            elif isinstance(error, OSError):
                failed.append(error)
                self._folded.pop(project, None)
            else:
                raise error
        if done:
            self._store.done(done)
        self._stuck = len(batch) - len(done)
        if failed:
            raise condition(failed[0]) or ShareUnavailable(
                f"The journal cannot be written: {failed[0]}. It is kept in the store.",
                hint="Look at the rights of the folder projects/ on the share.",
                code="share.unwritable",
            )
        return len(done)

    def _write(self, project: str, lines: Sequence[RawLine]) -> Folded:
        folder = self._root / "projects" / names.check_name(project)
        place = folder / "journal"
        if not place.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            sync_folder(folder)
            sync_folder(folder.parent)
        if project not in self._begun:
            forget_unfinished(folder, self._epoch)
            self._begun.add(project)
        texts = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
        append(place / f"{self._epoch}.jsonl", texts)
        folded = self._state_before(folder, project, lines[0]["version"])
        folded = journals.fold(journals.merge(lines), folded)
        write_whole(folder / "project.json", folded.to_cache(), str(self._epoch))
        return folded

    def _state_before(self, folder: Path, project: str, version: int) -> Folded:
        """What the lines to come build on: from memory, from project.json, from all journals."""
        known = self._folded.get(project)
        if known is not None and known.version == version - 1:
            return known
        cached = journals.read_cache(folder / "project.json", project)
        if cached is not None and cached.version == version - 1:
            return cached
        lines: list[RawLine] = []
        for _, path in journals.files(folder / "journal"):
            lines += journals.read_lines(path.read_bytes(), project)[0]
        return journals.fold(journals.merge(lines), Folded(project))

    def _remember(self, project: str, folded: Folded) -> None:
        self._folded[project] = folded
        self._folded.move_to_end(project)
        while len(self._folded) > REMEMBERED:
            self._folded.popitem(last=False)


def forget_unfinished(folder: Path, epoch: int) -> None:
    """Take away what mirrors of earlier terms were writing when they were killed. One that still lives fails at
    its rename, as it should."""
    for path in folder.glob(".project.json.*.tmp"):
        number = path.name.split(".")[-2]
        if number.isdecimal() and int(number) < epoch:
            path.unlink(missing_ok=True)


def append(path: Path, texts: bytes) -> None:
    """Append whole lines and bring them to the disk. What an earlier writer left torn is closed by a line
    end of its own; what cannot be written in full is taken back. Raises OSError."""
    existed = path.exists()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        # against a second writer by mistake; NFS answers EIO here once the lock was lost, and it is tried again
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            texts = b"\n" + texts
        try:
            view = memoryview(texts)
            while view:
                view = view[os.write(fd, view) :]
            os.fdatasync(fd)
        except OSError:
            os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)
    if not existed:
        sync_folder(path.parent)
