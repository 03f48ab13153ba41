"""An attempt's log by lines, as screens and programs read it: values, and the port that answers them.

A line belongs to one stream and has its place where its first byte was written, so its number never changes: neither
while it grows (a progress bar) nor by what the other stream says meanwhile. Numbers count from 0, over both streams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from winslow_nomad.core.client import LogChunk
from winslow_nomad.core.model import Value
from winslow_nomad.core.project import Project

Stream = Literal["out", "err"]


class LogLine(Value):
    """`text`: as it is shown: of a progress bar what the last carriage return left, no end of line, colours (ANSI)
    kept, secrets masked, bytes that are no UTF-8 replaced."""

    n: int = Field(description="number of the line in the whole log, counted from 0; it never changes")
    stream: Stream
    at: datetime | None = Field(default=None, description="when its first byte was read; null: the runner was killed")
    text: str
    more_bytes: int = Field(default=0, description="bytes that were cut off: lines are shown up to 16 KiB")
    open: bool = Field(default=False, description="its end has not been written yet: it may still change")


class LogPage(Value):
    """`start` and `total` count lines of the whole log, or of the one stream that was asked for."""

    attempt: int = Field(default=0, description="0: no attempt has run yet")
    start: int
    total: int
    complete: bool = Field(description="false: a large log is being looked through; `total` still grows")
    ended: bool = Field(description="the attempt has ended: nothing more will come")
    lines: tuple[LogLine, ...] = ()


class LogHits(Value):
    """Where a search got to. `next`: go on from there (as `start`); null: the whole log was searched."""

    attempt: int = 0
    total: int
    hits: tuple[LogLine, ...] = ()
    next: int | None = None
    ended: bool


class RawLog(Value):
    """What is there of the bytes as the process wrote them. Secrets are masked by as many asterisks as they have bytes,
    so that every position is the true one. `tag` changes whenever the bytes do."""

    size: int
    tag: str


class AttemptLog(Protocol):
    """The log of one attempt. Every call may raise ShareUnavailable."""

    attempt: int  # 0: none has run yet
    ended: bool

    def page(self, start: int, count: int, stream: Stream | None = None) -> LogPage:
        """Lines `start` .. `start + count - 1`; a negative start counts from the end. Raises Unavailable (log.large)
        when the end of a very large log cannot be told yet."""
        ...

    def unfinished(self) -> Sequence[LogLine]:
        """The lines whose end has not been written yet: at most one of each stream."""
        ...

    def search(
        self, pattern: str, *, regex: bool, case: bool, start: int | None, limit: int, backwards: bool,
        stream: Stream | None = None, seconds: float = 2.0,
    ) -> LogHits:  # fmt: skip
        """Lines in which the pattern is found, the nearest to `start` first. Forwards from that line on, or from the
        beginning; backwards before that line, or from the end. Raises Invalid (log.pattern)."""
        ...

    def raw(self, stream: Stream | None = None) -> RawLog: ...

    def position(self, line: int, stream: Stream | None = None) -> int:
        """Where the line begins, in the bytes of both streams, or of one whose lines are counted by themselves; a
        negative number counts from the end."""
        ...

    def read(self, start: int, limit: int, stream: Stream | None = None) -> Sequence[LogChunk]:
        """Bytes from `start` on, at most `limit`: of one stream, or of both in the order of time. None: no more now."""
        ...


class Logs(Protocol):
    def open(self, project: Project, stage: int, attempt: int = 0) -> AttemptLog:
        """`attempt` 0: the newest. Raises NotFound (stage.not_found, attempt.not_found)."""
        ...

    def watch(self, log: AttemptLog, tell: Callable[[], None]) -> Callable[[], None]:
        """`tell` (from another thread, it must not wait) soon after something was written, again and again, until the
        function that is answered is called. One look serves all who watch the same log."""
        ...


class SecretTexts(Protocol):
    """All secrets of the installation, for masking."""

    def references(self) -> Sequence[str]: ...

    def reveal(self, reference: str) -> str: ...
