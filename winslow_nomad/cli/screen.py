"""What `winslow run` shows while stages run: live lines on a terminal, plain lines everywhere else.

A screen only shows; what it is given decides nothing and is never asked back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from winslow_nomad.cli import words
from winslow_nomad.core.client import Progress
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import ACTIVE, EndedStage, Stage, StageState

BAR = 20  # columns of a progress bar
PASSING = ("queued", "preparing", "submitted")  # not worth a line unless there is a reason to tell
SPARE = 6  # lines of the terminal that stay free for log lines above the stages


class Screen(Protocol):
    def show(self, project: Project, progress: Mapping[int, Progress], now: datetime, /) -> None:
        """The project as it is now."""
        ...

    def say(self, text: str, style: str = "") -> None:
        """One line that stays."""
        ...

    def log(self, stage: str, lines: Sequence[str]) -> None:
        """Lines that a stage wrote."""
        ...

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Nothing moves meanwhile: a person is asked something."""
        ...

    def close(self) -> None: ...


def shape(console: Console, look: str) -> Text:
    found = words.LOOKS[look]
    unicode = console.encoding.lower().startswith("utf")
    return Text(found.shape if unicode else found.plain, style=found.style)


class LineScreen:
    """One line for each change; for pipes, files and logs of other systems."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[int, tuple[str, str]] = {}

    def show(self, project: Project, _: Mapping[int, Progress], now: datetime) -> None:
        for stage in words.every(project):
            said = words.of_stage(project, stage, now)
            if self._seen.get(stage.number) == (said.word, said.detail):
                continue
            self._seen[stage.number] = (said.word, said.detail)
            if said.detail or said.look not in PASSING:
                self.say(_line(stage, said, now))

    def say(self, text: str, style: str = "") -> None:
        self._console.print(Text(words.safe(text), style=style), soft_wrap=True)

    def log(self, stage: str, lines: Sequence[str]) -> None:
        for line in lines:
            self._console.print(Text(f"{stage} | {words.safe(line)}"), soft_wrap=True)

    @contextmanager
    def aside(self) -> Iterator[None]:
        yield

    def close(self) -> None:
        pass


def _line(stage: Stage | EndedStage, said: words.Said, now: datetime) -> str:
    if stage.ended is not None and stage.started is not None:
        took = words.duration((stage.ended - stage.started).total_seconds())
        said = words.Said(said.look, f"{said.word} after {took}", said.detail)
    results = f" ({words.results(stage.results)})" if stage.ended and stage.results else ""
    return f"{words.moment(stage.ended or now, now)} {stage.name}: {said.sentence}{results}"


class LiveScreen:
    """A line for each stage at the bottom of the terminal; log lines scroll by above."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._live.start()

    def show(self, project: Project, progress: Mapping[int, Progress], now: datetime) -> None:
        if self._live.is_started:
            self._live.update(stages(self._console, project, progress, now), refresh=True)

    def say(self, text: str, style: str = "") -> None:
        self._console.print(Text(words.safe(text), style=style), soft_wrap=True)

    def log(self, stage: str, lines: Sequence[str]) -> None:
        for line in lines:
            self._console.print(Text(f"{stage} | {words.safe(line)}", style="dim"), soft_wrap=True)

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def close(self) -> None:
        self._live.stop()


def stages(console: Console, project: Project, progress: Mapping[int, Progress], now: datetime) -> Group:
    """One line a stage: shape, name, word, bar, elapsed, reason. What does not fit is counted."""
    table = Table.grid(padding=(0, 1))
    for _ in range(5):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    rows, left_out = chosen(project, max(console.height - SPARE, 4))
    for stage in rows:
        said = words.of_stage(project, stage, now)
        if said.detail == "" and stage.results:
            said = words.Said(said.look, said.word, words.results(stage.results))
        style = words.LOOKS[said.look].style
        told = progress.get(stage.number) if stage.ended is None else None
        table.add_row(
            shape(console, said.look),
            Text(stage.name),
            Text(said.word, style=style),
            ProgressBar(total=100, completed=told.percent, width=BAR) if told and told.percent is not None else Text(),
            Text(_elapsed(stage, now), justify="right"),
            Text(words.safe(said.detail), style="dim"),
        )
    for name in [] if left_out else not_made(project):
        table.add_row(shape(console, "later"), Text(name, style="dim"))
    head = words.of_project(project)
    title = Text.assemble(shape(console, head.look), " ", words.safe(project.name), (f"  {head.word}", "bold"))
    more = [Text(f"and {words.count(left_out, 'more stage')}", style="dim")] if left_out else []
    return Group(title, table, *more)


def chosen(project: Project, room: int) -> tuple[list[Stage | EndedStage], int]:
    """The stages that a person wants to see when not all fit: what is open, then what ended last."""
    open_stages = sorted(project.stages.values(), key=lambda s: (s.state not in ACTIVE, s.number))
    ended = [project.ended[n] for n in sorted(project.ended, reverse=True)]
    rows: list[Stage | EndedStage] = [*open_stages[:room], *ended[: max(room - len(open_stages), 0)]]
    return sorted(rows, key=lambda s: s.number), len(open_stages) + len(ended) - len(rows)


def not_made(project: Project) -> list[str]:
    """Stage definitions without any stage yet, in the order of the pipeline."""
    made = {s.definition.id for s in project.stages.values()} | {e.id for e in project.ended.values()}
    return [s.id for s in project.pipeline.stages if s.id not in made]


def _elapsed(stage: Stage | EndedStage, now: datetime) -> str:
    if stage.started is None or (isinstance(stage, Stage) and stage.state is StageState.QUEUED):
        return ""
    return words.duration(((stage.ended or now) - stage.started).total_seconds())
