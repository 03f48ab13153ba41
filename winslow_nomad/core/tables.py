"""Tables that log parsers make of logs: values, and the port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from winslow_nomad.core.filing import Opened, Series
from winslow_nomad.core.logs import AttemptLog
from winslow_nomad.core.model import Value
from winslow_nomad.core.pipeline import LogParser


class Table(Value):
    """A CSV file as it is now. `path`: below the folder of log parsers. `full`: it grew too large and was cut off."""

    path: str
    rows: int
    bytes: int
    full: bool = False


class Tables(Value):
    """`complete`: the log was read to its present end."""

    tables: tuple[Table, ...]
    complete: bool


class SampleRow(Value):
    """`line`: number of the line where the match ends. `path`: the table that the row belongs to."""

    line: int
    path: str
    fields: tuple[str, ...]


class Sample(Value):
    """What a log parser would make of a log. `rows`: the first ones; `found`: how many there are in the first `read`
    of `total` lines."""

    header: tuple[str, ...]
    rows: tuple[SampleRow, ...]
    found: int
    read: int
    total: int


class LogTables(Protocol):
    def make(self, log: AttemptLog, parsers: Sequence[LogParser], variables: Mapping[str, str]) -> Tables:
        """Read on in the log, for a second or two. `variables`: of the stage, secrets masked. Raises
        ShareUnavailable."""
        ...

    def open(self, log: AttemptLog, parsers: Sequence[LogParser], variables: Mapping[str, str], path: str) -> Opened:
        """A table as `make` has left it. Raises NotFound (table.not_found)."""
        ...

    def sample(self, log: AttemptLog, parser: LogParser, variables: Mapping[str, str], *, limit: int) -> Sample:
        """Try one that is in no pipeline yet, for a second or two; nothing is kept. Raises Invalid (log.pattern),
        ShareUnavailable."""
        ...

    def series(
        self,
        log: AttemptLog,
        parsers: Sequence[LogParser],
        variables: Mapping[str, str],
        path: str,
        *,
        x: str,
        y: Sequence[str],
        points: int,
    ) -> Series:
        """Its columns, thinned. Raises NotFound, Invalid (series.column ...)."""
        ...
