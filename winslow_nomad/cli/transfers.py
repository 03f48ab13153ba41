"""How far files are that are sent or fetched: bars at a terminal, a line for each file elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from winslow_nomad.cli import tables, words
from winslow_nomad.cli.edge import say
from winslow_nomad.core.client import FileClient, unreported

LARGE = 8 * 1024 * 1024  # bytes from which a file is worth a line where there is no terminal


@contextmanager
def shown(files: FileClient) -> Iterator[None]:
    """On stderr, while the block runs."""
    out = tables.console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=out,
        transient=True,
        refresh_per_second=5,
    )
    telling = _Bars(bars) if out.is_terminal else _Lines()
    files.report = telling
    try:
        if out.is_terminal:
            with bars:
                yield
        else:
            yield
    except KeyboardInterrupt:
        say("files that are complete stay; the same command again brings the rest.")
        raise
    finally:
        files.report = unreported


class _Bars:
    """One bar for the file that is under way."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._name = ""

    def __call__(self, name: str, done: int, total: int) -> None:
        if self._task is None or name != self._name:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._task = self._bars.add_task(words.safe(name)[:60], total=total or None)
            self._name = name
        self._bars.update(self._task, completed=done, total=total or None)


class _Lines:
    """Large files when they begin, go on, and are complete."""

    def __init__(self) -> None:
        self._begun: set[str] = set()

    def __call__(self, name: str, done: int, total: int) -> None:
        if total < LARGE or (done == total and name not in self._begun):
            return
        if name not in self._begun:
            self._begun.add(name)
            on = f", going on at {words.size(done)}" if 0 < done < total else ""
            sys.stderr.write(words.safe(f"{name}: {words.size(total)}{on}") + "\n")
        if done == total:
            self._begun.discard(name)
            sys.stderr.write(words.safe(f"{name}: complete") + "\n")
        sys.stderr.flush()
