"""Charts over REST: what is defined, figures of several stages at once, tables made of logs."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import World
from tests.api.logged import EVERYONE, log_of, put
from tests.api.test_projects import TEXT
from tests.builders import a_definition, a_project, a_running_stage, an_ended_stage
from winslow_nomad.core.pipeline import Chart, LogParser, Pipeline
from winslow_nomad.core.stage import EnvironmentValue
from winslow_nomad.resources import layout

PARSER = LogParser(
    file="seen-${MODEL}.csv",
    pattern=r"frame (?P<frame>\d+): (?P<cars>\d+)",
    columns={"frame": "${frame}", "cars": "${cars}"},
)
CHARTS = (
    Chart(file="counts.csv", x="second", y=("cars",)),
    Chart(file=".log_parser_output/seen-exact.csv", x="frame", y=("cars",)),
)


@pytest.fixture
def chart_world(world: World) -> World:
    """Stage 1 has ended and left a table; stage 2 runs and talks."""
    definition = a_definition("detect", charts=CHARTS, log_parsers=(PARSER,))
    pipeline = Pipeline(name="traffic", stages=(definition,))
    environment = (EnvironmentValue(name="MODEL", value="exact", origin="stage"),)
    running = a_running_stage(2, "detect", environment=environment)
    ended = an_ended_stage(1, "detect", point={"MIN_AREA": "100"})
    members: dict[str, Any] = {"author": "mem", "participants": EVERYONE}
    stages: dict[str, Any] = {"ended": {1: ended}, "stages": {2: running}, "next_number": 3}
    put(world, a_project("p1", pipeline=pipeline, **members, **stages))
    folder = world.installation.settings.share / layout.stage_folder("p1", 1, "detect")
    output = folder / "attempts/1/output"
    output.mkdir(parents=True)
    (output / "counts.csv").write_text("second,cars,trucks\n" + "".join(f"{n},{n * 2},{n % 7}\n" for n in range(5000)))
    (folder / "stage.json").write_text('{"environment": [{"name": "MODEL", "value": "exact"}], "definition": {}}')
    log_of(world, "p1", "0001-detect").write(0, b"frame 1: 3\nframe 2: 4\n")
    log_of(world, "p1", "0002-detect").write(0, b"frame 1: 5\nnoise\n")
    return world


def ok(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_charts_are_listed_with_the_executions_that_have_their_files(chart_world: World, viewer: TestClient) -> None:
    (found,) = ok(viewer.get("/api/v1/projects/p1/charts"))["items"]
    assert (found["id"], [c["file"] for c in found["charts"]]) == ("detect", [c.file for c in CHARTS])
    assert [(e["stage"], e["state"], e["files"]) for e in found["executions"]] == [
        (2, "running", [CHARTS[1].file]), (1, "succeeded", [c.file for c in CHARTS]),
    ]  # fmt: skip
    assert found["executions"][1]["point"] == {"MIN_AREA": "100"}


def test_several_stages_are_drawn_at_once_and_one_that_cannot_be_says_why(
    chart_world: World, viewer: TestClient
) -> None:
    asked = {"stage": [1, 2, 7], "file": "counts.csv", "x": "second", "y": ["cars"], "points": 100}
    one, two, seven = ok(viewer.get("/api/v1/projects/p1/charts/data", params=asked))["items"]
    assert (one["stage"], one["code"], one["series"]["rows"], one["series"]["thinned"]) == (1, "", 5000, True)
    assert len(one["series"]["x"]) <= 250 and max(one["series"]["y"]["cars"]) == 9998.0
    assert two["series"] is None and two["code"] and two["text"]
    assert seven["code"] == "stage.not_found"


def test_tables_of_logs_are_drawn_while_the_stage_runs_and_afterwards(chart_world: World, viewer: TestClient) -> None:
    asked = {"stage": [1, 2], "file": ".log_parser_output/seen-exact.csv", "x": "frame", "y": ["cars"]}
    path = "/api/v1/projects/p1/charts/data"
    one, two = ok(viewer.get(path, params=asked))["items"]
    assert (one["series"]["x"], one["series"]["y"]["cars"], one["complete"]) == ([1.0, 2.0], [3.0, 4.0], True)
    assert two["series"]["y"]["cars"] == [5.0]
    log_of(chart_world, "p1", "0002-detect").write(0, b"frame 2: 6\n")
    assert ok(viewer.get(path, params=asked))["items"][1]["series"]["y"]["cars"] == [5.0, 6.0]


def test_a_table_can_be_listed_and_downloaded(chart_world: World, viewer: TestClient) -> None:
    found = ok(viewer.get("/api/v1/projects/p1/stages/1/tables"))
    assert found == {"items": [{"path": "seen-exact.csv", "rows": 2, "bytes": 19, "full": False}], "complete": True}
    answer = viewer.get("/api/v1/projects/p1/stages/1/tables/content", params={"file": "seen-exact.csv"})
    assert answer.text == "frame,cars\n1,3\n2,4\n" and answer.headers["content-type"].startswith("text/csv")
    for file in ("other.csv", "../state.json", "0.csv"):
        answer = viewer.get("/api/v1/projects/p1/stages/1/tables/content", params={"file": file})
        assert (answer.status_code, answer.json()["code"]) == (404, "table.not_found")


@pytest.mark.parametrize(
    "file", ["../log/out", "../../../stage.json", "/etc/passwd", ".log_parser_output/../../x", "a\0b", "%2e%2e/log/out"]
)
def test_a_chart_shows_nothing_but_tables(chart_world: World, viewer: TestClient, file: str) -> None:
    answer = viewer.get("/api/v1/projects/p1/charts/data", params={"stage": 1, "file": file})
    assert answer.status_code == 422 or answer.json()["items"][0]["series"] is None


def test_charts_of_a_project_that_is_not_to_be_seen_are_not_there(chart_world: World, viewer: TestClient) -> None:
    put(chart_world, chart_world.installation.store.load("p1").but(participants=()))  # type: ignore[union-attr]
    for path in ("charts", "charts/data?stage=1&file=counts.csv", "stages/1/tables", "stages/1/tables/content?file=a"):
        assert viewer.get(f"/api/v1/projects/p1/{path}").json()["code"] == "project.not_found"


CHART: dict[str, Any] = {
    "title": "Score over the threshold",
    "look": "points",
    "best": "max",
    "sources": [{"stage": "detect", "x": "MIN_AREA", "y": ["score"]}],
}
KEPT = "/api/v1/pipelines/traffic/charts"


def of_library(world: World, client: TestClient) -> None:
    """`traffic` in the library, published by who asks; p2 was made of it, p1 of a file that is called so."""
    made = client.post("/api/v1/pipelines", json={"text": TEXT})
    assert made.status_code == 201, made.text
    for number, project in enumerate(("p1", "p2")):
        pipeline = Pipeline(name="traffic", stages=(a_definition("detect"),), version=number)
        put(world, a_project(project, pipeline=pipeline, author="mem", participants=EVERYONE))


def test_a_chart_kept_with_a_pipeline_is_shown_by_every_project_of_it(
    world: World, member: TestClient, viewer: TestClient
) -> None:
    of_library(world, member)
    made = member.post(KEPT, json=CHART)
    assert (made.status_code, made.json()["author"]) == (201, "mem"), made.text
    elsewhere = member.post(KEPT, json={**CHART, "sources": [{"stage": "nowhere", "y": ["score"]}]}).json()["id"]
    found = ok(viewer.get("/api/v1/projects/p2/charts"))
    assert ([c["title"] for c in found["saved"]], found["pipeline"], found["may_save"]) == (
        [CHART["title"]],
        "traffic",
        False,
    )
    assert ok(member.get("/api/v1/projects/p2/charts"))["may_save"] is True
    # one that was made of a file belongs to no pipeline of the library, whatever it is called
    assert ok(viewer.get("/api/v1/projects/p1/charts"))["saved"] == []
    changed = ok(member.put(f"{KEPT}/{made.json()['id']}", json={**CHART, "title": "Score"}))
    assert (changed["title"], changed["id"]) == ("Score", made.json()["id"])
    left = ok(member.delete(f"{KEPT}/{elsewhere}"))["items"]
    assert [c["title"] for c in left] == ["Score"]
    assert [c["title"] for c in ok(viewer.get(KEPT))["items"]] == ["Score"]


def test_charts_survive_a_new_version_and_the_trash(world: World, member: TestClient) -> None:
    of_library(world, member)
    member.post(KEPT, json=CHART)
    assert member.put("/api/v1/pipelines/traffic", json={"text": TEXT.replace("300", "350")}).status_code == 200
    assert member.delete("/api/v1/pipelines/traffic").status_code == 200
    assert ok(member.get("/api/v1/projects/p2/charts"))["saved"] == []
    assert member.post("/api/v1/pipelines/traffic/restore").status_code == 200
    assert [c["title"] for c in ok(member.get("/api/v1/projects/p2/charts"))["saved"]] == [CHART["title"]]
    shelf = world.installation.settings.share / layout.library_folder("traffic") / "shelf.json"
    assert CHART["title"] in shelf.read_text()


def test_only_who_may_publish_a_pipeline_keeps_charts_with_it(
    world: World, admin: TestClient, member: TestClient, viewer: TestClient
) -> None:
    of_library(world, admin)
    for client in (member, viewer):
        assert client.post(KEPT, json=CHART).status_code == 403
    made = admin.post(KEPT, json=CHART).json()["id"]
    for client in (member, viewer):
        assert client.put(f"{KEPT}/{made}", json=CHART).status_code == 403
        assert client.delete(f"{KEPT}/{made}").status_code == 403
    shared = admin.patch("/api/v1/pipelines/traffic", json={"participants": [{"user": "mem", "role": "member"}]})
    assert shared.status_code == 200
    assert member.delete(f"{KEPT}/{made}").status_code == 200
    gone = member.put(f"{KEPT}/{made}", json=CHART)
    assert (gone.status_code, gone.json()["code"]) == (404, "pipeline.chart_unknown")


@pytest.mark.parametrize(
    "change",
    [{"title": ""}, {"sources": []}, {"look": "pie"}, {"sources": [{"stage": "detect", "y": []}]}, {"colour": "red"}],
)
def test_a_chart_that_says_nothing_to_draw_is_refused(world: World, member: TestClient, change: dict[str, Any]) -> None:
    of_library(world, member)
    assert member.post(KEPT, json={**CHART, **change}).status_code == 422
    assert ok(member.get(KEPT))["items"] == []


def test_a_pipeline_has_no_more_charts_than_anybody_looks_at(world: World, member: TestClient) -> None:
    of_library(world, member)
    for _ in range(50):
        assert member.post(KEPT, json=CHART).status_code == 201
    full = member.post(KEPT, json=CHART)
    assert (full.status_code, full.json()["code"]) == (409, "pipeline.charts")


def test_a_log_parser_is_tried_before_it_is_in_any_pipeline(chart_world: World, viewer: TestClient) -> None:
    address = "/api/v1/projects/p1/stages/{}/tables/sample"
    body = {"file": "seen-${MODEL}.csv", "pattern": PARSER.pattern}
    found = ok(viewer.post(address.format(1), json=body))
    assert (found["header"], found["found"], found["read"], found["total"]) == (["time", "frame", "cars"], 2, 2, 2)
    assert [(r["line"], r["path"], r["fields"][1:]) for r in found["rows"]] == [
        (0, "seen-exact.csv", ["1", "3"]), (1, "seen-exact.csv", ["2", "4"]),
    ]  # fmt: skip
    spanning = {**body, "pattern": r"frame (?P<a>\d+).*\n.*frame (?P<b>\d+)", "lines": 2, "columns": {"b": "${b}"}}
    assert [r["fields"] for r in ok(viewer.post(address.format(1), json=spanning))["rows"]] == [["2"]]
    wrong = viewer.post(address.format(1), json={**body, "pattern": "(?<!x)y"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "log.pattern")
    assert viewer.post(address.format(7), json=body).status_code == 404
    # nothing is kept of it
    assert {t["path"] for t in ok(viewer.get("/api/v1/projects/p1/stages/1/tables"))["items"]} == {"seen-exact.csv"}
