"""What a log parser makes of lines: rows of CSV files. Pure but for the reading that it is given."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.expand import expand
from winslow_nomad.core.pipeline import LogParser
from winslow_nomad.resources.log_index import Begun
from winslow_nomad.resources.log_patterns import LinePattern

LONGEST_FIELD = 4000  # characters
LONGEST_NAME = 120
LONGEST_PATH = 4096
_UNSAFE = re.compile(r"[^\w.=+-]|^\.")


class LineOf(NamedTuple):
    """A whole line as it is shown but for cutting: masked, without its end."""

    begun: Begun
    text: bytes


class Row(NamedTuple):
    """For one file. `n`: of the line where the match ends."""

    n: int
    path: str
    fields: tuple[str, ...]


class Rows:
    """One log parser. Raises Invalid for what was never checked."""

    def __init__(self, parser: LogParser, variables: Mapping[str, str]) -> None:
        self.parser = parser
        self.pattern = LinePattern(parser.pattern, spanning=parser.lines > 1)
        self._groups = self.pattern.groups
        columns = parser.columns or {"time": "${TIMESTAMP}", **{name: f"${{{name}}}" for name in self._groups}}
        self.header = tuple(columns)
        self._columns = tuple(columns.values())
        self._variables = variables

    def of_line(self, line: LineOf) -> Row | None:
        return self.of_lines([line])

    def of_lines(self, lines: list[LineOf]) -> Row | None:
        """None: it is not found in them, or not in so much of them as the pattern can be looked for."""
        text = b"\n".join(line.text for line in lines)[: self.pattern.reach]
        found = self.pattern.compiled.search(text)
        if found is None:
            return None
        last, first = lines[-1].begun, lines[0].begun
        values = {
            **self._variables,
            "TIMESTAMP": _time(first.micros),
            "SOURCE": "err" if last.stream else "out",
            "LINE": str(first.n),
            "MATCH": _text(found.group()),
            **{name: _text(found.group(number) or b"") for name, number in self._groups.items()},
        }
        fields = tuple(_filled(column, values, LONGEST_FIELD) for column in self._columns)
        return Row(last.n, path_of(self.parser.file, values), fields)

    def windows(self, lines: Iterable[LineOf], before: list[LineOf]) -> Iterator[Row]:
        """Of lines that follow one another; `before` holds what may still belong to the next match, and is changed."""
        for line in lines:
            before.append(line)
            del before[: -self.parser.lines]
            row = self.of_lines(before)
            if row is not None:
                before.clear()
                yield row


def path_of(file: str, values: Mapping[str, str]) -> str:
    """What comes out of a log names a file, never a folder: all that is not plain becomes `_`."""
    names = {name: _UNSAFE.sub("_", text)[:LONGEST_NAME] or "_" for name, text in values.items()}
    path = _filled(file, names, LONGEST_PATH)
    parts = [part[:LONGEST_NAME] for part in path.split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "_"


def _filled(text: str, values: Mapping[str, str], longest: int) -> str:
    try:
        return expand(text, values, longest=longest)
    except Invalid:
        return text[:longest]  # a variable that this stage did not have


def as_csv(rows: Iterable[tuple[str, ...]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\0", "�")


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="milliseconds") if micros else ""
