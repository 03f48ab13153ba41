"""core.logs.Logs on the share: which attempt is meant, and what is asked about its log."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from winslow_nomad.core.client import LogChunk
from winslow_nomad.core.errors import NotFound, Unavailable
from winslow_nomad.core.logs import AttemptLog, LogHits, LogLine, LogPage, RawLog, SecretTexts, Stream
from winslow_nomad.core.ports import AttemptRef, Spool
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import AttemptState, EndedStage
from winslow_nomad.resources import layout, log_raw
from winslow_nomad.resources.log_ahead import LogAhead
from winslow_nomad.resources.log_cache import LogCache
from winslow_nomad.resources.log_files import LogFiles
from winslow_nomad.resources.log_index import Begun, Places
from winslow_nomad.resources.log_lines import Lines, Page
from winslow_nomad.resources.log_patterns import LinePattern
from winslow_nomad.resources.log_search import Wanted, search
from winslow_nomad.resources.log_text import NOTHING, Masks
from winslow_nomad.resources.log_watch import LogWatch
from winslow_nomad.resources.reader import Reader

NUMBERS: dict[Stream | None, int | None] = {None: None, "out": 0, "err": 1}
REMEMBERED = 48  # logs whose index stays in memory
SEARCHERS = 2  # threads for searching: few, so that pages are not kept waiting
NICE = 10
T = TypeVar("T")
SpoolOf = Callable[[str, AttemptRef], Spool | None]  # by name of the driver; raises Unavailable
_yields = threading.local()
LONG = 10.0  # seconds that whoever needs the end of a log waits until it was looked through


def give_way() -> None:
    """This thread, for good: Linux has priorities for threads. Where it is not allowed, things go on as they are."""
    if not getattr(_yields, "done", False):
        _yields.done = True
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


class ShareLogs:
    """One for a process: what is known of a log is shared by all who read it."""

    def __init__(
        self, reader: Reader, cache: LogCache, secrets: SecretTexts, spools: SpoolOf = lambda _driver, _ref: None
    ) -> None:
        """`spools`: the log of an attempt on its node, for shares that show late what is written."""
        self._reader = reader
        self._spools = spools
        self._searcher = Reader(reader.root, deadline=LONG, threads=SEARCHERS)
        self._cache = cache
        self._watch = LogWatch(reader)
        self._lock = threading.Lock()
        self._lines: OrderedDict[str, Lines] = OrderedDict()
        self.masks = Masks(secrets)
        self.helpers = ThreadPoolExecutor(SEARCHERS, "log-search")

    def open(self, project: Project, stage: int, attempt: int = 0) -> ShareLog:
        which = project.stages.get(stage) or project.sealing.get(stage) or project.ended.get(stage)
        if which is None:
            raise NotFound(f"There is no stage {stage} in this project.", code="stage.not_found")
        newest = which.attempt if isinstance(which, EndedStage) else len(which.attempts)
        number = attempt or newest
        if number > newest:
            raise NotFound(f"Stage {which.name} has no attempt {number}.", code="attempt.not_found")
        if not number:
            return ShareLog(self, None, 0, stage not in project.stages)
        current = project.stages.get(stage)
        last = current.attempt if current is not None else None
        ended = last is None or last.number != number or last.state is AttemptState.ENDED
        directory = layout.attempt_folder(layout.folder_of(project.id, which), number)
        ref = AttemptRef(project=project.id, stage=stage, attempt=number)
        return ShareLog(self, self._lines_of(directory), number, ended, partial(self._spools, project.driver, ref))

    def aside(self, lines: Lines, work: Callable[[LogFiles], T]) -> T:
        """What takes long, in threads that give way to all others."""

        def yielding(files: LogFiles) -> T:
            give_way()
            return work(files)

        return lines.call(yielding, self._searcher)

    def watch(self, log: AttemptLog, tell: Callable[[], None]) -> Callable[[], None]:
        lines = log.lines if isinstance(log, ShareLog) else None
        if lines is None or not isinstance(log, ShareLog):
            return lambda: None
        is_late = partial(self._look_ahead, lines, log.spool) if log.spool is not None and not log.ended else None
        return self._watch.watch(lines.directory, tell, is_late)

    def _look_ahead(self, lines: Lines, find: Callable[[], Spool | None]) -> None:
        """The share shows late what is written, or may do so: it is taken from the node, if there is something."""
        with self._lock:
            if lines.ahead is None:
                wanted = partial(self._watch.watches, lines.directory)
                lines.ahead = LogAhead(find, wanted, partial(self._watch.news, lines.directory))
        lines.ahead.start()

    def _lines_of(self, directory: str) -> Lines:
        with self._lock:
            lines = self._lines.pop(directory, None) or Lines(self._reader, directory, self._cache)
            self._lines[directory] = lines
            while len(self._lines) > REMEMBERED:
                self._lines.popitem(last=False)
            return lines


class ShareLog:
    """core.logs.AttemptLog"""

    def __init__(
        self,
        logs: ShareLogs,
        lines: Lines | None,
        attempt: int,
        ended: bool,
        spool: Callable[[], Spool | None] | None = None,
    ) -> None:
        self._logs = logs
        self.spool = spool
        self.lines = lines
        self.attempt = attempt
        self.ended = ended

    def page(self, start: int, count: int, stream: Stream | None = None) -> LogPage:
        if self.lines is None:
            return LogPage(start=0, total=0, complete=True, ended=self.ended)
        places, complete = self._whole() if start < 0 else self.lines.refresh(final=self.ended)
        masker, number = self._logs.masks.now(), NUMBERS[stream]
        total = places.reached.lines(number)
        first = max(0, total + start) if start < 0 else start

        def read(files: LogFiles) -> list[LogLine]:
            page = Page(files, places, masker)
            return list(page.lines(page.begun(first, count, number)))

        return LogPage.model_construct(
            attempt=self.attempt, start=first, total=total, complete=complete, ended=self.ended,
            lines=tuple(self.lines.call(read)),
        )  # fmt: skip

    def unfinished(self) -> Sequence[LogLine]:
        if self.lines is None:
            return []
        places, _ = self.lines.refresh(final=self.ended)
        masker = self._logs.masks.now()
        reached = places.reached
        numbers = [(s, reached.lines(s) - 1) for s in (0, 1) if reached.start(s) != reached.position(s)]

        def read(files: LogFiles) -> list[LogLine]:
            page = Page(files, places, masker)
            return [page.line(begun) for s, number in numbers for begun in page.begun(number, 1, s)]

        return self.lines.call(read) if numbers else []

    def search(
        self, pattern: str, *, regex: bool, case: bool, start: int | None, limit: int, backwards: bool,
        stream: Stream | None = None, seconds: float = 2.0,
    ) -> LogHits:  # fmt: skip
        compiled = LinePattern(pattern, regex=regex, case=case)
        if self.lines is None:
            return LogHits(total=0, ended=self.ended)
        places, complete = self._whole() if backwards and start is None else self.lines.refresh(final=self.ended)
        masker = self._logs.masks.now()
        total = places.reached.lines(None)
        begin = (total if backwards else 0) if start is None else min(start, total)
        wanted = Wanted(compiled, backwards, begin, limit, NUMBERS[stream])
        found = search(partial(self._logs.aside, self.lines), places, masker, wanted, seconds, self._logs.helpers)
        following = total if found.next is None and not complete and not backwards else found.next

        def read(files: LogFiles) -> list[LogLine]:
            return list(Page(files, places, masker).lines(found.lines))

        hits = self.lines.call(read)
        if len(hits) < len(found.lines):  # no more fit into one answer
            following = hits[-1].n + (not backwards)
        return LogHits.model_construct(
            attempt=self.attempt, total=total, hits=tuple(hits), next=following, ended=self.ended
        )

    def raw(self, stream: Stream | None = None) -> RawLog:
        size = 0
        if self.lines is not None:
            reached = self._whole()[0].reached
            size = reached.bytes if stream is None else (reached.out, reached.err)[stream == "err"]
        directory = self.lines.directory if self.lines is not None else ""
        name = f"{directory} {stream} {size} {self._logs.masks.now().digest}"
        return RawLog(size=size, tag=hashlib.sha256(name.encode()).hexdigest()[:32])

    def position(self, line: int, stream: Stream | None = None) -> int:
        if self.lines is None:
            return 0
        which = NUMBERS[stream]
        places, _ = self._whole()
        total = places.reached.lines(which)
        number = max(0, total + line) if line < 0 else line
        found = self.lines.call(partial(_begun, places, number, which)) if number < total else []
        if not found:
            return places.reached.bytes if which is None else places.reached.position(which)
        return found[0].offset + (found[0].other if which is None else 0)

    def read(self, start: int, limit: int, stream: Stream | None = None) -> Sequence[LogChunk]:
        if self.lines is None:
            return []
        places, _ = self.lines.refresh(final=self.ended)
        masker, number = self._logs.masks.now(), NUMBERS[stream]
        return self.lines.call(lambda files: log_raw.read(files, places, masker, start, limit, number))

    def _whole(self) -> tuple[Places, bool]:
        """For what needs the end of the log."""
        assert self.lines is not None
        places, complete = self.lines.refresh(final=self.ended, seconds=LONG)
        if not complete:
            raise Unavailable(
                "This log is so large that it is still being looked through; nothing was answered.",
                hint="Try again in a moment: it goes on from where it is.",
                code="log.large",
            )
        return places, complete


def _begun(places: Places, number: int, stream: int | None, files: LogFiles) -> list[Begun]:
    return Page(files, places, NOTHING).begun(number, 1, stream)
