"""Charts: what can be drawn of a project, and the figures."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from winslow_nomad.api.views.base import Answer, example
from winslow_nomad.core.filing import Series
from winslow_nomad.core.pipeline import Chart, LogParser
from winslow_nomad.core.tables import Table


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
    """`items`: the stages that define charts or log parsers, in the order of the pipeline."""

    items: list[StageCharts]

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


class TablesView(Answer):
    """Files that log parsers make of this stage's log. `complete` false: it is still being read; ask again."""

    items: list[Table]
    complete: bool

    model_config = example(items=[{"path": "counts.csv", "rows": 1204, "bytes": 48210, "full": False}], complete=True)
