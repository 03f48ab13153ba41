"""Charts: what can be drawn of a project, and the figures."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from winslow_nomad.api.views.base import Answer, Request, example
from winslow_nomad.core.filing import Series
from winslow_nomad.core.library import ChartSource, SavedChart
from winslow_nomad.core.pipeline import Chart, LogParser
from winslow_nomad.core.tables import Sample, Table


class Execution(Answer):
    """One that has run. `files`: those of the charts' files that it has."""

    stage: int
    state: str
    point: dict[str, str] = Field(default={}, description="its values in a sweep")
    started: datetime | None = None
    files: list[str]


class StageCharts(Answer):
    """Of one stage of the pipeline as it is now. `executions`: the newest fifty, the newest first."""

    id: str
    title: str
    charts: list[Chart]
    log_parsers: list[LogParser]
    executions: list[Execution]


class Charts(Answer):
    """`items`: the stages that define charts or log parsers, in the order of the pipeline. `saved`: charts kept with
    the pipeline of the library that this one is a copy of (`pipeline`; empty: of none), as far as it has their stages;
    `may_save`: whether the caller may keep further ones."""

    items: list[StageCharts]
    saved: list[SavedChart] = []
    pipeline: str = ""
    may_save: bool = False

    model_config = example(
        items=[{"id": "count", "title": "", "charts": [{"file": "counts.csv", "x": "second", "y": ["vehicles"]}],
                "log_parsers": [], "executions": [{"stage": 5, "state": "succeeded", "files": ["counts.csv"]}]}],
    )  # fmt: skip


class Figures(Answer):
    """Of one execution. `series` null: it cannot be drawn, as `code` and `text` say."""

    stage: int
    id: str
    state: str
    point: dict[str, str] = {}
    series: Series | None = None
    complete: bool = Field(default=True, description="false: its log is still being read; ask again")
    code: str = ""
    text: str = ""


class ChartData(Answer):
    """In the order of the stages that were asked for."""

    items: list[Figures]

    model_config = example(
        items=[{"stage": 5, "id": "count", "state": "succeeded", "series": {
            "columns": [], "x_name": "second", "x_type": "number", "x": [0.0, 1.0], "y": {"vehicles": [3.0, 5.0]},
            "rows": 2, "thinned": False}}],
    )  # fmt: skip


class ChartBody(Request):
    """A chart as it is kept with a pipeline."""

    title: str = Field(min_length=1, max_length=200)
    look: Literal["lines", "points"] = "lines"
    sources: list[ChartSource] = Field(min_length=1, max_length=8)
    best: Literal["", "min", "max"] = ""

    model_config = example(
        title="Score over the threshold", look="points", best="max",
        sources=[{"stage": "measure", "file": "", "x": "THRESHOLD", "y": ["score"]}],
    )  # fmt: skip


class SavedChartView(SavedChart):
    model_config = example(
        id="9f2c6a01b3d4", title="Score over the threshold", look="points", best="max", author="mara",
        made="2026-11-20T16:12:00Z", sources=[{"stage": "measure", "file": "", "x": "THRESHOLD", "y": ["score"]}],
    )  # fmt: skip


class SavedCharts(Answer):
    """In the order in which they were kept."""

    items: list[SavedChart]

    model_config = example(items=[])


class ParserBody(Request):
    """A log parser that is in no pipeline yet."""

    file: str = Field(min_length=1, max_length=4096)
    pattern: str = Field(min_length=1, max_length=1000)
    columns: dict[str, str] = Field(default={}, max_length=100)
    lines: int = Field(default=1, ge=1, le=100)
    stream: Literal["", "out", "err"] = ""

    model_config = example(file="counts.csv", pattern=r"frame (?P<frame>\d+): (?P<vehicles>\d+) vehicles")


class SampleView(Answer, Sample):
    model_config = example(
        header=["time", "frame", "vehicles"], found=1204, read=52118, total=52118,
        rows=[{"line": 3, "path": "counts.csv", "fields": ["2026-11-24T14:31:52.104+00:00", "1", "7"]}],
    )  # fmt: skip


class TablesView(Answer):
    """Files that log parsers make of this stage's log. `complete` false: it is still being read; ask again."""

    items: list[Table]
    complete: bool

    model_config = example(items=[{"path": "counts.csv", "rows": 1204, "bytes": 48210, "full": False}], complete=True)
