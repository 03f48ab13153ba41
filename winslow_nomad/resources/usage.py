"""How much of the share is used by what, and what of it may go. Counting takes long and may hang with the
share: a child process counts, one folder after the other; this side keeps the figures and their age.

Sizes are blocks on the disk, each file once, however many names it has. Blocks that copies share on XFS or
Btrfs are counted for each copy: deleting one of them frees less than its size.

What an ended stage left does not change any more: its size is counted once.
"""

from __future__ import annotations

import heapq
import json
import os
import selectors
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from winslow_nomad.core.model import Value
from winslow_nomad.core.project import Project
from winslow_nomad.core.retention import AT_ONCE, obsolete
from winslow_nomad.resources import space
from winslow_nomad.resources.child import ending_with_us, others_first
from winslow_nomad.resources.layout import INPUTS
from winslow_nomad.resources.trash import TrashEntry

LOOK_EVERY = 0.2  # seconds
NAMED = 3  # things in a sentence
LARGEST = 100  # things kept


class Size(Value):
    """`bytes` on the disk; `inside`: those of each folder in it; `complete` False: something in it could not be
    looked at, it is larger."""

    bytes: int = 0
    files: int = 0
    inside: dict[str, int] = {}
    complete: bool = True


class Measured(Value):
    size: Size
    at: float  # seconds since 1970
    final: bool = False


class MayGo(Value):
    """Something that may be deleted without losing a result. `path` is relative to the share's root."""

    path: str
    project: str
    why: str
    bytes: int
    trash: str = ""  # entry of the trash: emptying frees it; otherwise it is moved there first


def measure(path: Path, until: float | None = None) -> Size:
    """A file or a tree, here and now; does not follow links, does not cross into other file systems. `until`: of the
    monotonic clock; what is not counted by then is left out."""
    seen: set[tuple[int, int]] = set()
    used = files = 0
    inside: dict[str, int] = {}
    complete = True
    line: list[tuple[Path, str]] = [(path, "")]
    device: int | None = None
    while line:
        if until is not None and time.monotonic() > until:
            complete = False
            break
        current, top = line.pop()
        try:
            found = current.lstat()
            device = found.st_dev if device is None else device
            if found.st_dev != device or (found.st_nlink > 1 and (found.st_dev, found.st_ino) in seen):
                continue
            seen.add((found.st_dev, found.st_ino))
            used += found.st_blocks * 512
            files += 1
            if top:
                inside[top] = inside.get(top, 0) + found.st_blocks * 512
            if stat.S_ISDIR(found.st_mode):
                line += [(p, top or p.name) for p in current.iterdir()]
        except FileNotFoundError:
            continue  # gone meanwhile
        except OSError:
            complete = False
    return Size(bytes=used, files=files, inside=inside, complete=complete)


class Usage:
    """Figures by path (relative to the share's root), kept in `cache`, a file of this machine. Safe to share
    between threads; one pass counts at a time."""

    def __init__(self, share: Path, cache: Path, now: Callable[[], float] = time.time) -> None:
        self._share = share
        self._cache = cache
        self._now = now
        self._lock = threading.Lock()
        self._pass = threading.Lock()
        self._known = self._read()
        self._may_go: list[MayGo] = []

    def survey(
        self,
        projects: Callable[[], Iterable[Project]],
        trash: Sequence[TrashEntry],
        now: datetime,
        *,
        stopping: Callable[[], bool] = lambda: False,
        longest: float = 600.0,
    ) -> bool:
        """A pass over everything; see `count`. Afterwards `may_go` and `largest` know the new figures."""
        paths = [(f"trash/{entry.id}", True) for entry in trash]
        paths.append((INPUTS, False))
        paths += [part for project in projects() for part in parts(project)]
        ended = self.count(paths, stopping=stopping, longest=longest)
        found = may_go(projects(), trash, self.size_of, now)
        self._may_go = heapq.nlargest(LARGEST, found, key=lambda m: m.bytes)
        return ended

    def may_go(self) -> list[MayGo]:
        """What may be deleted, the largest first, as of the last survey."""
        return self._may_go

    def largest(self) -> str:
        """See space.Largest: a sentence for the moment the disk is full."""
        named = [f"{space.size(m.bytes)} {m.why} (project {m.project})" for m in self._may_go[:NAMED] if m.bytes]
        return f"The largest things that may go: {'; '.join(named)}." if named else ""

    def size_of(self, path: str) -> int | None:
        """Bytes of a path that was counted, or of a folder directly in one. None: not known."""
        with self._lock:
            known = self._known.get(path)
            if known is not None:
                return known.size.bytes
            above, _, name = path.rpartition("/")
            known = self._known.get(above)
        return known.size.inside.get(name, 0) if known is not None else None

    def forget(self, path: str) -> None:
        """It was deleted or restored: count it, and what it lies in, anew."""
        with self._lock:
            for known in list(self._known):
                if known == path or path.startswith(f"{known}/") or known.startswith(f"{path}/"):
                    del self._known[known]

    def known(self, path: str) -> Measured | None:
        with self._lock:
            return self._known.get(path)

    def below(self, folder: str) -> dict[str, Measured]:
        """All that is known below a folder."""
        with self._lock:
            return {p: m for p, m in self._known.items() if p == folder or p.startswith(f"{folder}/")}

    def total(self, below: str) -> Size:
        """Of all that is known below a folder, for example one project."""
        with self._lock:
            sizes = [m.size for p, m in self._known.items() if p == below or p.startswith(f"{below}/")]
        return Size(
            bytes=sum(s.bytes for s in sizes),
            files=sum(s.files for s in sizes),
            complete=all(s.complete for s in sizes),
        )

    def count(
        self,
        paths: Iterable[tuple[str, bool]],
        *,
        older: float = 3600.0,
        stopping: Callable[[], bool] = lambda: False,
        longest: float = 600.0,
    ) -> bool:
        """A pass over `paths`, each with whether it is final. Counts what is not known, or was counted more than
        `older` seconds ago. False: it did not come to its end (`stopping`, the share hangs, `longest` seconds are
        over, another pass runs); what it found is kept, and the next one goes on from there."""
        if not self._pass.acquire(blocking=False):
            return False
        try:
            wanted = dict(paths)
            with self._lock:
                due = [p for p in wanted if self._due(p, older)]
            ended = self._children(due, wanted, stopping, time.monotonic() + longest)
            if ended:
                with self._lock:
                    self._known = {p: m for p, m in self._known.items() if p in wanted}
            self._write()
            return ended
        finally:
            self._pass.release()

    def _due(self, path: str, older: float) -> bool:
        known = self._known.get(path)
        return known is None or not ((known.final and known.size.complete) or self._now() - known.at < older)

    def _children(self, due: Sequence[str], final: dict[str, bool], stopping: Callable[[], bool], end: float) -> bool:
        if not due:
            return True
        child = subprocess.Popen(
            [*ending_with_us(), sys.executable, "-m", "winslow_nomad.resources.usage", str(self._share)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        others_first(child.pid)
        assert child.stdin is not None
        assert child.stdout is not None
        feeder = threading.Thread(target=_feed, args=(child, due), daemon=True)
        feeder.start()
        rest = b""
        try:
            with selectors.DefaultSelector() as ready:
                ready.register(child.stdout, selectors.EVENT_READ)
                while not stopping() and time.monotonic() < end:
                    if not ready.select(LOOK_EVERY):
                        continue
                    block = os.read(child.stdout.fileno(), 65536)
                    if not block:
                        return child.wait() == 0
                    *lines, rest = (rest + block).split(b"\n")
                    for line in lines:
                        path, size = json.loads(line)
                        measured = Measured(size=Size.model_validate(size), at=self._now(), final=final[path])
                        with self._lock:
                            self._known[path] = measured
            return False
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                child.wait(0.2)  # never longer: the share may hold it
            child.stdout.close()

    def _read(self) -> dict[str, Measured]:
        try:
            return {p: Measured.model_validate(m) for p, m in json.loads(self._cache.read_bytes())["sizes"].items()}
        except (FileNotFoundError, ValueError, KeyError, AttributeError):
            return {}  # figures can be counted again

    def _write(self) -> None:
        with self._lock:
            text = json.dumps({"format": 1, "sizes": {p: m.model_dump(mode="json") for p, m in self._known.items()}})
        aside = self._cache.with_name(f".{self._cache.name}.{os.getpid()}.tmp")
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text)
        aside.rename(self._cache)


def _feed(child: subprocess.Popen[bytes], due: Sequence[str]) -> None:
    assert child.stdin is not None
    with suppress(BrokenPipeError, ValueError):
        for path in due:
            child.stdin.write(json.dumps(path).encode() + b"\n")
        child.stdin.close()


def parts(project: Project) -> Iterator[tuple[str, bool]]:
    """What is counted of a project, each with whether it is final: the folders of its attempts, the shared
    workspaces of its sweeps, the files given before the first stage."""
    base = f"projects/{project.id}"
    yield f"{base}/stages/0000", False
    for number in project.sweeps:
        yield f"{base}/sweeps/{number}", False
    for ended in project.ended.values():
        for attempt in range(1, ended.attempt + 1):
            yield f"{base}/stages/{ended.name}/attempts/{attempt}", ended.number not in project.sealing
    for stage in project.stages.values():
        for each in stage.attempts:
            yield f"{base}/stages/{stage.name}/attempts/{each.number}", False


def may_go(
    projects: Iterable[Project], trash: Iterable[TrashEntry], size_of: Callable[[str], int | None], now: datetime
) -> Iterator[MayGo]:
    """Everything that may be deleted at once without losing a result and whose size is known."""
    for entry in trash:
        path = f"trash/{entry.id}"
        yield MayGo(
            path=path, project=entry.project, why=f"in the trash: {entry.why}", bytes=size_of(path) or 0, trash=entry.id
        )
    for project in projects:
        for removal in obsolete(project, now, AT_ONCE):
            size = size_of(removal.path)
            if size:
                yield MayGo(path=removal.path, project=project.id, why=removal.why, bytes=size)


def main() -> None:
    """The child: paths in, sizes out, one JSON value to a line."""
    share = Path(sys.argv[1])
    for line in sys.stdin:
        path = json.loads(line)
        print(json.dumps([path, measure(share / path).model_dump(mode="json")]), flush=True)


if __name__ == "__main__":
    main()
