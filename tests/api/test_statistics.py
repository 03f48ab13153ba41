"""Statistics over REST: what commits count, as people read it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import World
from tests.api.test_projects import new
from tests.api.test_projects_commands import Runs, asked
from winslow_nomad.core import durations, figures
from winslow_nomad.core.statistics import Cell
from winslow_nomad.store.commit import write_cell

PATH = "/api/v1/statistics"
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


def put(world: World, at: datetime, what: str, amount: int, stage: str = "detect", pipeline: str = "traffic") -> None:
    cell = Cell(int(at.timestamp()), what, stage, pipeline)
    key = world.installation.keys.statistics(f"{at:%Y-%m}")
    world.installation.state.hincrby(key, write_cell(cell), amount)


SPAN = {"since": "2026-11-02T00:00:00Z", "until": "2026-11-16T00:00:00Z"}


def test_starts_by_hand_and_by_themselves_stand_apart_by_weekday_and_hour_of_a_zone(
    viewer: TestClient, world: World
) -> None:
    put(world, MONDAY.replace(hour=16), "started_by_hand", 3)
    put(world, MONDAY.replace(hour=16, minute=45), "started_by_hand", 2)
    put(world, MONDAY + timedelta(days=7, hours=16), "started_by_hand", 4)
    put(world, MONDAY.replace(hour=23), "started", 7)
    put(world, MONDAY.replace(hour=8), "active", 900 * 2)
    put(world, MONDAY.replace(hour=8), "active_by_hand", 900)
    put(world, MONDAY.replace(hour=9), "active", 3600)
    found = viewer.get(f"{PATH}/activity", params=SPAN).json()
    assert found["by_hand"]["hours"][0][16] == 9 and found["by_hand"]["total"] == 9
    assert found["automatic"]["hours"][0][23] == 7
    assert found["running"]["hours"][0][8] == pytest.approx(2 * 900 / 7200, abs=0.001)
    hand, itself = (found[f"running_{kind}"]["hours"][0] for kind in ("by_hand", "automatic"))
    assert (hand[8], itself[8]) == (pytest.approx(900 / 7200, abs=0.001),) * 2
    assert (hand[9], itself[9]) == (0, pytest.approx(0.5))
    whole = found["running_by_hand"]["total"] + found["running_automatic"]["total"]
    assert whole == pytest.approx(found["running"]["total"], abs=0.002)
    berlin = viewer.get(f"{PATH}/activity", params={**SPAN, "zone": "Europe/Berlin"}).json()
    assert berlin["by_hand"]["hours"][0][17] == 9 and berlin["automatic"]["hours"][1][0] == 7
    world.services.settings.change({"zone": "Europe/Berlin"})
    assert viewer.get(f"{PATH}/activity", params=SPAN).json()["zone"] == "Europe/Berlin"


def test_what_a_project_does_is_counted_and_told(member: TestClient, world: World) -> None:
    project = new(member, start=True)["id"]
    runs = Runs(world, project)
    runs.run(1)
    asked(member, project, kind="answer_gate", gate="g1")
    runs.start(2)
    runs.end(2, code=137)
    totals = member.get(PATH).json()["totals"]
    assert (totals["started_by_hand"], totals["started_automatically"]) == (1, 1)  # the second followed the first
    assert totals["ended"] == {"failed": 1, "succeeded": 1}
    assert totals["active"] >= totals["active_by_hand"] >= 0 and totals["asked_median"] is not None
    rows = {r["stage"]: r for r in member.get(f"{PATH}/durations").json()["items"]}
    assert (rows["detect"]["succeeded"], rows["track"]["failed"]) == (1, 1)
    assert rows["detect"]["median"] is not None and rows["track"]["asked_median"] is not None
    causes = member.get(f"{PATH}/failures").json()
    assert causes["ended"] == 2
    assert [(c["cause"], c["count"], c["stages"]) for c in causes["items"]] == [("exit", 1, {"track": 1})]
    assert member.get(f"{PATH}/durations", params={"pipeline": "other*"}).json()["items"] == []
    assert len(member.get(f"{PATH}/durations", params={"pipeline": "traf*"}).json()["items"]) == 2


def test_what_a_person_asks_to_be_run_again_counts_as_started_by_hand(member: TestClient, world: World) -> None:
    project = new(member, start=True)["id"]
    runs = Runs(world, project)
    runs.run(1)
    asked(member, project, kind="answer_gate", gate="g1")
    runs.run(2)
    asked(member, project, kind="redo_stage", stage=2)
    runs.start(3)
    totals = member.get(PATH).json()["totals"]
    assert (totals["started_by_hand"], totals["started_automatically"]) == (2, 1)


def test_the_table_of_activity_has_a_column_for_each_part(viewer: TestClient, world: World) -> None:
    put(world, MONDAY.replace(hour=8), "active", 1800)
    put(world, MONDAY.replace(hour=8), "active_by_hand", 1800)
    text = viewer.get(f"{PATH}/activity", params={**SPAN, "format": "csv"}).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 7 * 24
    names = ("by_hand", "automatic", "running", "running_by_hand", "running_automatic", "gpus")
    assert list(rows[0]) == ["weekday", "hour", *names]
    assert [rows[8][n] for n in names] == ["0.0", "0.0", "0.25", "0.25", "0.0", "0.0"]


def test_idle_gpus_are_told_by_day_with_the_reason(viewer: TestClient, world: World) -> None:
    put(world, MONDAY, "gpu_active", 3600)
    put(world, MONDAY, "gpu_total", 7200, "alder", "")
    put(world, MONDAY, "gpu_idle_person", 3000, "alder", "")
    put(world, MONDAY, "gpu_idle_nothing", 600, "alder", "")
    put(world, MONDAY, "node_total", 900, "alder", "")
    put(world, MONDAY, "node_idle", 300, "alder", "")
    days = viewer.get(f"{PATH}/idle", params=SPAN).json()["items"]
    assert days == [
        {"day": "2026-11-02", "gpu_used": 3600, "gpu_total": 7200, "idle": {"nothing": 600, "person": 3000}}
    ]
    totals = viewer.get(PATH, params=SPAN).json()["totals"]
    assert (totals["gpu_used"], totals["gpu_total"], totals["gpu_idle"]["person"]) == (3600, 7200, 3000)
    assert totals["part_idle"] == {"alder": 0.3333}


@pytest.mark.parametrize("which", ["", "/activity", "/durations", "/failures", "/idle"])
def test_every_figure_is_a_table_for_spreadsheets_too(viewer: TestClient, world: World, which: str) -> None:
    put(world, MONDAY, "started", 2)
    put(world, MONDAY, "ended_succeeded", 1, "detect", "=cmd()")
    put(world, MONDAY, "cause_exit", 1)
    put(world, MONDAY, "gpu_total", 900, "alder", "")
    by_format = viewer.get(f"{PATH}{which}", params={**SPAN, "format": "csv"})
    by_header = viewer.get(f"{PATH}{which}", params=SPAN, headers={"Accept": "text/csv"})
    assert by_format.headers["content-type"].startswith("text/csv")
    assert by_format.text == by_header.text
    rows = list(csv.reader(io.StringIO(by_format.text)))
    assert len(rows) > 1 and len({len(r) for r in rows}) == 1
    assert not any(cell.startswith("=") for row in rows for cell in row)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"since": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"}, "request.span"),
        ({"since": "2020-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"}, "request.span"),
        ({"since": "2026-11-02T00:00:00", "until": "2026-11-03T00:00:00Z"}, "request.span"),
        ({"zone": "Europe/Atlantis"}, "request.zone"),
        ({"zone": "../../etc/passwd"}, "request.zone"),
        ({"since": "yesterday"}, "request.invalid"),
        ({"until": "0001-01-23T00:39:00Z"}, "request.invalid"),
        ({"since": "9999-12-31T23:59:59-14:00"}, "request.invalid"),
    ],
)
def test_a_span_or_zone_that_cannot_be_is_refused(viewer: TestClient, params: dict[str, str], code: str) -> None:
    answer = viewer.get(PATH, params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_percentiles_from_counters_are_within_five_percent() -> None:
    times = [1.5**n for n in range(1, 30)]
    counts: dict[int, int] = {}
    for time in times:
        counts[durations.step(time)] = counts.get(durations.step(time), 0) + 1
    for part in (0.1, 0.5, 0.9):
        (found,) = durations.percentiles(counts, (part,))
        truth = times[round(part * len(times) + 0.499) - 1]
        assert found is not None and abs(found - truth) <= 0.05 * truth
    assert durations.percentiles({}, (0.5,)) == [None]
    assert durations.percentiles({0: 3}, (0.5,)) == [0.5]


def test_the_hour_that_comes_twice_and_the_one_that_is_skipped_are_counted_as_clocks_show_them() -> None:
    zone = ZoneInfo("Europe/Berlin")
    since, until = datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC)
    cells = {Cell(int(datetime(2026, 10, 25, h, tzinfo=UTC).timestamp()), "started", "a", "p"): 1 for h in (0, 1)}
    week = figures.week(cells, ["started"], zone, since, until, mean=False)
    assert week.hours[6][2] == 2  # 02:00 in summer, and again in winter
    busy = {
        Cell(int(datetime(2026, 10, 25, h, m, tzinfo=UTC).timestamp()), "active", "a", "p"): 900
        for h in (0, 1)
        for m in (0, 15, 30, 45)
    }
    assert figures.week(busy, ["active"], zone, since, until, mean=True).hours[6][2] == 1.0


def test_seconds_of_nodes_are_added_once_whoever_looks(world: World) -> None:
    from winslow_nomad.store.statistics import Statistics

    statistics = Statistics(world.installation.state, world.installation.keys)

    def cells(seconds: int) -> dict[Cell, int]:
        return {Cell(int(MONDAY.timestamp()), "node_total", "alder", ""): seconds}

    assert statistics.sample(MONDAY, cells) == 0
    assert statistics.sample(MONDAY + timedelta(seconds=15), cells) == 15
    assert statistics.sample(MONDAY + timedelta(seconds=15), cells) == 0
    assert statistics.sample(MONDAY + timedelta(hours=9), cells) == 0  # nobody looked in between
    assert statistics.sample(MONDAY + timedelta(hours=9, seconds=5), cells) == 5
    found = statistics.read(MONDAY, MONDAY + timedelta(days=1))
    assert sum(found.values()) == 20
