"""Commands, stages, records, forms, comparisons, the project's own pipeline: over REST, without anything that runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import World
from tests.api.test_projects import TEXT, new
from winslow_nomad.api.views.hidden import masked_record
from winslow_nomad.core import messages as m
from winslow_nomad.core.stage import Cause, Outcome


def ask(client: TestClient, project: str, headers: dict[str, str] | None = None, **command: Any) -> Any:
    return client.post(f"/api/v1/projects/{project}/commands", json=command, headers=headers or {})


def asked(client: TestClient, project: str, **command: Any) -> dict[str, Any]:
    answer = ask(client, project, **command)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


class Runs:
    """What a driver and a worker would report, sent as facts."""

    def __init__(self, world: World, project: str) -> None:
        self.world, self.project = world, project

    def facts(self, *facts: m.AnyFact) -> None:
        self.world.installation.sender.facts(self.project, facts)

    def start(self, stage: int, node: str = "alder") -> datetime:
        now = self.world.installation.clock.now()
        where = {"stage": stage, "attempt": 1}
        self.facts(m.Admitted(stage=stage), m.WorkspaceReady(**where), m.AttemptAccepted(**where))
        self.facts(m.AttemptStarted(**where, node=node, started=now))
        return now

    def end(self, stage: int, code: int = 0, cause: Cause = Cause.EXIT, **results: str) -> None:
        now = self.world.installation.clock.now()
        outcome = Outcome(
            cause=cause, code=code, results=results, ended=now, started=now - timedelta(seconds=40), cpu_seconds=81.5,
            peak_memory_bytes=10 * 2**30,
        )  # fmt: skip
        self.facts(m.AttemptEnded(stage=stage, attempt=1, outcome=outcome))

    def run(self, stage: int, **results: str) -> None:
        self.start(stage)
        self.end(stage, 0, Cause.EXIT, **results)


@pytest.fixture
def project(member: TestClient) -> str:
    made: str = new(member, secrets={"LICENCE": "very-secret-text"})["id"]
    return made


@pytest.fixture
def runs(world: World, project: str) -> Runs:
    return Runs(world, project)


def test_starting_pausing_and_resuming_answer_the_project_after_it(member: TestClient, project: str) -> None:
    assert asked(member, project, kind="start_project")["state"] == "queued"
    paused = asked(member, project, kind="pause_project", text="until the height is known")
    assert (paused["state"], paused["detail"]) == ("paused", "until the height is known")
    assert paused["pause"]["actor"] == "mem"
    single = asked(member, project, kind="resume_project", single=True)
    assert (single["state"], single["single"]) == ("queued", True)


def test_the_actor_is_who_asks_and_a_body_cannot_name_another(member: TestClient, project: str) -> None:
    forged = ask(member, project, kind="add_comment", text="hello", actor="ann")
    assert forged.status_code == 422
    assert asked(member, project, kind="add_comment", text="hello")["comments"][-1]["actor"] == "mem"


def test_who_may_what_goes_by_the_command(
    admin: TestClient, member: TestClient, viewer: TestClient, world: World
) -> None:
    made = new(admin, participants=[{"user": "@everyone", "role": "member"}], secrets={"LICENCE": "x" * 20})["id"]
    assert ask(viewer, made, kind="add_comment", text="nice").status_code == 200
    assert ask(viewer, made, kind="start_project").status_code == 403
    assert ask(member, made, kind="start_project").status_code == 200
    for command in (
        {"kind": "set_secrets", "secrets": {"LICENCE": "y"}},
        {"kind": "trash_project"},
        {"kind": "restore_project"},
        {"kind": "describe", "author": "mem"},
        {"kind": "describe", "participants": []},
    ):
        refused = ask(member, made, **command)
        assert (refused.status_code, refused.json()["code"]) == (403, "access.denied"), command
        assert ask(admin, made, **command).status_code == 200, command
        ask(admin, made, kind="restore_project")
        ask(admin, made, kind="describe", author="ann", participants=[{"user": "@everyone", "role": "member"}])
    reading = world.with_token("mem", "read")
    assert ask(reading, made, kind="start_project").status_code == 403
    assert ask(reading, made, kind="add_comment", text="x").status_code == 403


def test_a_repeated_command_is_done_once_and_a_command_for_an_old_version_not_at_all(
    member: TestClient, project: str
) -> None:
    first = ask(member, project, {"Idempotency-Key": "c1"}, kind="add_comment", text="once")
    again = ask(member, project, {"Idempotency-Key": "c1", "If-Match": '"1"'}, kind="add_comment", text="once")
    assert (first.status_code, again.status_code) == (200, 200)
    assert [c["text"] for c in again.json()["comments"]] == ["once"]
    late = ask(member, project, {"If-Match": '"1"'}, kind="start_project")
    assert (late.status_code, late.json()["code"]) == (412, "conflict.version")
    other = ask(member, project, {"Idempotency-Key": "c1"}, kind="start_project")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency.other_request")


def test_what_a_project_refuses_says_why_and_what_next(member: TestClient, project: str) -> None:
    gone = ask(member, project, kind="stop_stage", stage=9)
    assert (gone.status_code, gone.json()["code"]) == (404, "stage.not_found")
    asked(member, project, kind="start_project")
    refused = ask(member, project, kind="redo_stage", stage=1)
    assert (refused.status_code, refused.json()["code"]) == (409, "stage.still_queued")
    assert refused.json()["hint"]
    wrong = ask(member, project, kind="set_values", values={"MIN_AREA": "many"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "value.kind")


def test_secrets_are_never_readable(member: TestClient, project: str, runs: Runs, world: World) -> None:
    asked(member, project, kind="set_values", values={"LICENCE": "typed-in-the-wrong-field"})
    asked(member, project, kind="start_project")
    runs.start(1)
    asked(member, project, kind="set_secrets", secrets={"LICENCE": "another-secret-text"})
    reference = next(iter(world.services.client.project(project).secrets.values()))
    for path in (
        "", "/stages", "/stages/1", "/history", "/pipeline", "/form/detect", "/form/detect?from=1",
        "/compare?left=1&right=1", "/progress", "/disk", "/leftovers",
    ):  # fmt: skip
        answer = member.get(f"/api/v1/projects/{project}{path}")
        assert answer.status_code == 200, (path, answer.text)
        for hidden in ("very-secret-text", "another-secret-text", "typed-in-the-wrong-field", reference, "secret:"):
            assert hidden not in answer.text, (path, hidden)
    assert "another-secret-text" not in member.get("/api/v1/projects").text
    record = member.get(f"/api/v1/projects/{project}/stages/1").json()
    licence = next(v for v in record["environment"] if v["name"] == "LICENCE")
    assert (licence["value"], licence["secret"], licence["origin"]) == ("********", True, "project")


def test_a_record_from_before_something_became_a_secret_does_not_show_it() -> None:
    record = {
        "environment": [
            {"name": "KEY", "value": "old-text", "origin": "run", "secret": False},
            {"name": "PASS", "value": "not-masked", "origin": "project", "secret": True},
            {"name": "AREA", "value": "3", "origin": "run", "secret": False},
        ],
        "overrides": {"values": {"KEY": "old-text", "AREA": "3"}, "environment": {"KEY": "old-text"}},
        "point": {"KEY": "old-text"},
    }
    shown = masked_record(record, {"KEY"})
    assert "old-text" not in str(shown) and "not-masked" not in str(shown)
    assert shown["overrides"]["values"]["AREA"] == "3" and shown["environment"][2]["value"] == "3"


def test_what_was_planned_before_something_became_a_secret_does_not_show_it(member: TestClient) -> None:
    text = (
        "winslow: 1\nname: keys\nparameters:\n  KEY: {type: string, default: x}\n"
        "stages:\n  - {id: one, command: ['true']}\n  - {id: two, command: ['true']}\n"
    )
    body = {"name": "k", "pipeline": {"text": text}, "sweeps": {"two": {"KEY": ["old-text", "older-text"]}}}
    made = member.post("/api/v1/projects", json=body)
    assert made.json()["planned_sweeps"] == {"two": {"KEY": ["old-text", "older-text"]}}
    secret = text.replace("parameters:\n  KEY: {type: string, default: x}", "secrets: {KEY: {required: false}}")
    asked(member, made.json()["id"], kind="edit_pipeline", text=secret)
    for path in ("", "/record", "/form/two"):
        answer = member.get(f"/api/v1/projects/{made.json()['id']}{path}")
        assert answer.status_code == 200 and "old-text" not in answer.text, path


def test_a_reference_to_somebody_elses_secret_is_a_text_like_any_other(
    member: TestClient, admin: TestClient, project: str, world: World
) -> None:
    reference = world.services.client.project(project).secrets["LICENCE"]
    other = new(admin, secrets={"LICENCE": reference})
    stored = world.services.client.project(other["id"]).secrets["LICENCE"]
    assert stored != reference and world.installation.secrets.reveal(stored) == reference


def test_a_secret_that_was_put_for_nothing_does_not_stay(member: TestClient, project: str, world: World) -> None:
    before = len(world.installation.secrets.list())
    ask(member, project, {"Idempotency-Key": "s"}, kind="set_secrets", secrets={"LICENCE": "one"})
    ask(member, project, {"Idempotency-Key": "s"}, kind="set_secrets", secrets={"LICENCE": "one"})
    assert len(world.installation.secrets.list()) == before + 1
    assert ask(member, project, kind="set_secrets", secrets={"NO_SUCH": "x"}).json()["code"] == "secret.unknown"
    refused = ask(member, project, {"If-Match": '"1"'}, kind="set_secrets", secrets={"LICENCE": "x"})
    assert refused.status_code == 412
    assert len(world.installation.secrets.list()) == before + 1


def test_the_secrets_of_a_project_that_was_not_made_do_not_stay(member: TestClient, world: World) -> None:
    before = world.installation.secrets.list()
    body = {
        "name": "x",
        "pipeline": {"text": TEXT},
        "secrets": {"LICENCE": "x"},
        "sweeps": {"detect": {"NO_SUCH": "1"}},
    }
    assert member.post("/api/v1/projects", json=body).json()["code"] == "sweep.unknown"
    assert world.installation.secrets.list() == before


def test_a_running_project_shows_stage_node_progress_and_likely_end(
    member: TestClient, project: str, runs: Runs, world: World
) -> None:
    from winslow_nomad.core.progress import Told

    asked(member, project, kind="start_project")
    started = runs.start(1, node="birch")
    told = Told(attempt=1, percent=50.0, cpu_seconds=12.0, memory_bytes=2**30, at=world.installation.clock.now())
    world.services.progress.put({(project, 1): told})
    shown = member.get(f"/api/v1/projects/{project}").json()
    stage = shown["stages"][0]
    assert (stage["state"], stage["node"], stage["attempt"]) == ("running", "birch", 1)
    assert (stage["progress"]["percent"], stage["progress"]["memory_bytes"]) == (50.0, 2**30)
    assert stage["attempts"][0]["started"] is not None
    assert datetime.fromisoformat(stage["expected"]) >= started
    row = member.get("/api/v1/projects").json()["items"][0]
    assert (row["current"]["node"], row["percent"], row["state"]) == ("birch", 50.0, "running")
    assert [c["state"] for c in row["strip"]] == ["running", "later"]


def test_a_failure_and_a_gate_are_shown_with_what_a_person_needs(member: TestClient, project: str, runs: Runs) -> None:
    asked(member, project, kind="start_project")
    runs.run(1, vehicles="12")
    shown = member.get(f"/api/v1/projects/{project}").json()
    assert (shown["state"], shown["word"]) == ("waiting", "waits for you")
    gate = shown["gates"][0]
    assert (gate["kind"], gate["stage"], gate["show"]) == ("confirm", 2, ["0001-detect/output/preview.jpg"])
    assert shown["stages"][1]["results"] == {"vehicles": 12} and shown["stages"][1]["counts"]
    after = asked(member, project, kind="answer_gate", gate=gate["id"], answer="go")
    assert (after["gates"], after["state"]) == ([], "queued")
    runs.start(2)
    runs.end(2, code=137, cause=Cause.OUT_OF_MEMORY)
    failed = member.get(f"/api/v1/projects/{project}").json()
    assert (failed["state"], failed["pause"]["kind"]) == ("paused", "failure")
    assert failed["failures"][0]["cause"] == "out_of_memory"
    assert "memory" in failed["stages"][0]["detail"] and failed["stages"][0]["cause"] == "out_of_memory"


def test_a_redo_shows_what_it_came_from_and_what_became_stale(member: TestClient, project: str, runs: Runs) -> None:
    asked(member, project, kind="start_project")
    runs.run(1)
    gate = member.get(f"/api/v1/projects/{project}").json()["gates"][0]["id"]
    asked(member, project, kind="answer_gate", gate=gate)
    runs.run(2)
    redone = asked(
        member, project, kind="redo_stage", stage=1, overrides={"values": {"MIN_AREA": "340"}}, comment="shadows"
    )
    newest = redone["stages"][0]
    assert (newest["redo_of"], newest["overrides"]["values"], newest["comment"]) == (1, {"MIN_AREA": "340"}, "shadows")
    runs.run(newest["number"])
    shown = {s["number"]: s for s in member.get(f"/api/v1/projects/{project}").json()["stages"]}
    assert shown[3]["counts"] and not shown[1]["counts"]
    assert shown[2]["stale"] and not shown[3]["stale"]
    assert (shown[3]["actor"], shown[3]["comment"], shown[3]["automatic"]) == ("mem", "shadows", False)


def test_queued_stages_are_changed_reordered_and_taken_back(member: TestClient, project: str) -> None:
    asked(member, project, kind="enqueue_stage", id="detect", overrides={"values": {"MIN_AREA": "100"}})
    asked(member, project, kind="enqueue_stage", id="detect", overrides={"values": {"MIN_AREA": "200"}})
    changed = asked(member, project, kind="change_queued", stage=2, overrides={"values": {"MIN_AREA": "250"}})
    assert changed["stages"][0]["overrides"]["values"] == {"MIN_AREA": "250"}
    turns = {s["number"]: s["turn"] for s in asked(member, project, kind="reorder", stages=[2, 1])["stages"]}
    assert turns[2] < turns[1]
    assert [s["number"] for s in asked(member, project, kind="remove_queued", stage=1)["stages"]] == [2]


def test_the_record_of_a_stage_has_all_layers_of_its_environment(
    member: TestClient, project: str, runs: Runs, world: World
) -> None:
    world.services.settings.change({"environment": {"TORCH_HOME": "/models", "LOG_LEVEL": "warning"}})
    asked(member, project, kind="set_values", values={"MIN_AREA": "200"})
    asked(
        member, project, kind="enqueue_stage", id="detect",
        overrides={"values": {"MIN_AREA": "340"}, "environment": {"DEBUG": "1"}},
    )  # fmt: skip
    runs.start(1)
    record = member.get(f"/api/v1/projects/{project}/stages/1").json()
    found = {v["name"]: v for v in record["environment"]}
    assert (found["MIN_AREA"]["value"], found["MIN_AREA"]["origin"]) == ("340", "run")
    assert [(x["origin"], x["value"]) for x in found["MIN_AREA"]["layers"]] == [
        ("parameter", "300"), ("project", "200"), ("run", "340"),
    ]  # fmt: skip
    assert [x["origin"] for x in found["LOG_LEVEL"]["layers"]] == ["installation", "pipeline"]
    assert (found["DEBUG"]["origin"], found["MODEL"]["value"]) == ("run", "fast")
    assert found["WINSLOW_OUTPUT"]["origin"] == "winslow" and found["WINSLOW_OUTPUT"]["help"]
    assert record["record"]["definition"]["command"] == ["python", "detect.py"]


def test_the_form_is_filled_in_from_an_earlier_stage_with_origins(member: TestClient, project: str, runs: Runs) -> None:
    asked(
        member, project, kind="enqueue_stage", id="detect", comment="as before",
        overrides={"values": {"MIN_AREA": "340"}, "image": "traffic:1.3", "resources": {"cpu": 4, "memory": 2**33}},
    )  # fmt: skip
    runs.run(1)
    plain = member.get(f"/api/v1/projects/{project}/form/detect").json()
    fields = {f["name"]: f for f in plain["fields"]}
    assert (fields["MIN_AREA"]["value"], fields["MIN_AREA"]["origin"]) == ("300", "parameter")
    assert (fields["MIN_AREA"]["parameter"]["min"], fields["MODEL"]["kind"]) == ("20", "choice")
    assert plain["secrets"] == [{"name": "LICENCE", "required": False, "given": True}]
    for which in ("1", "newest"):
        blue = member.get(f"/api/v1/projects/{project}/form/detect", params={"from": which}).json()
        field = next(f for f in blue["fields"] if f["name"] == "MIN_AREA")
        assert (field["value"], field["origin"], field["inherited"]) == ("340", "blueprint", "300")
        assert (blue["image"]["value"], blue["image"]["origin"]) == ("traffic:1.3", "blueprint")
        assert (blue["image"]["inherited"], blue["blueprint"], blue["comment"]) == ("traffic:1.2", 1, "as before")
        assert blue["resources"]["value"]["cpu"] == 4
    track = member.get(f"/api/v1/projects/{project}/form/track").json()
    assert (track["inputs"], [(b["number"], b["suggested"]) for b in track["bases"]]) == ({"detect": 1}, [(1, True)])
    assert member.get(f"/api/v1/projects/{project}/form/trak").json()["code"] == "stage.unknown_definition"


def test_a_sweep_is_sized_before_it_is_asked_for(member: TestClient, project: str) -> None:
    path = f"/api/v1/projects/{project}/sweep-size"
    size = member.post(path, json={"axes": {"MIN_AREA": "100..500:100", "MODEL": "fast|exact"}}).json()
    assert (size["total"], size["grid"]["MIN_AREA"]) == (10, ["100", "200", "300", "400", "500"])
    wrong = member.post(path, json={"axes": {"MIN_AREA": "1..5"}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "value.range")
    made = asked(member, project, kind="enqueue_stage", id="detect", sweep={"MIN_AREA": ["100", "200"]})
    assert (made["sweeps"][0]["total"], len(made["stages"])) == (2, 2)
    assert made["stages"][0]["point"] == {"MIN_AREA": "200"}


def test_two_stages_are_compared_and_only_what_differs_is_marked(member: TestClient, project: str, runs: Runs) -> None:
    asked(member, project, kind="enqueue_stage", id="detect")
    runs.run(1, vehicles="10")
    asked(member, project, kind="redo_stage", stage=1, overrides={"values": {"MIN_AREA": "340"}})
    runs.run(3, vehicles="12")
    answer = member.get(f"/api/v1/projects/{project}/compare", params={"left": 1, "right": 3})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    lines = {(x["group"], x["name"]): x for x in found["lines"]}
    assert (lines["values", "MIN_AREA"]["values"], lines["values", "MIN_AREA"]["differs"]) == (["300", "340"], True)
    assert not lines["values", "MODEL"]["differs"] and not lines["definition", "command"]["differs"]
    assert lines["results", "vehicles"]["values"] == [10, 12]
    assert lines["run", "peak_memory_bytes"]["values"] == [10 * 2**30] * 2
    assert {"image", "command", "resources", "folder"} <= {n for g, n in lines if g == "definition"}
    assert member.get(f"/api/v1/projects/{project}/compare", params={"left": 1, "right": 9}).status_code == 404


def test_the_projects_own_pipeline_is_read_edited_and_switched(
    member: TestClient, maintainer: TestClient, project: str
) -> None:
    path = f"/api/v1/projects/{project}/pipeline"
    own = member.get(path)
    assert own.json()["text"] == TEXT and own.headers["etag"] == f'"{own.json()["version"]}"'
    edited = "# larger\n" + TEXT.replace("default: 300", "default: 350") + "  - id: report\n    needs: [track]\n"
    edited += "    command: [python, report.py]\n"
    put = member.put(path, json={"text": edited}, headers={"If-Match": own.headers["etag"]})
    assert put.status_code == 200, put.text
    assert [s["definition"]["id"] for s in put.json()["pipeline"]["stages"]] == ["detect", "track", "report"]
    assert put.json()["pipeline"]["edited"]
    assert "# larger" in member.get(path).json()["text"]
    late = member.put(path, json={"text": TEXT}, headers={"If-Match": own.headers["etag"]})
    assert late.status_code == 412
    assert member.put(path, json={"text": "nonsense"}).json()["code"] == "pipeline.invalid"
    published = maintainer.post("/api/v1/pipelines", json={"text": TEXT.replace("Vehicles", "Other")})
    assert published.status_code == 201, published.text
    switched = member.post(f"{path}/switch", json={"library": "traffic"})
    assert (switched.json()["pipeline"]["version"], switched.json()["pipeline"]["edited"]) == (1, False)
    assert switched.json()["pipeline"]["title"] == "Other"


def test_what_happened_is_told_in_pages_newest_first(member: TestClient, project: str, world: World) -> None:
    for number in range(5):
        asked(member, project, kind="add_comment", text=f"n{number}")
    path = f"/api/v1/projects/{project}/history"
    first = member.get(path, params={"limit": 3}).json()
    second = member.get(path, params={"limit": 3, "before": first["next"]}).json()
    texts = [e["text"] for page in (first, second) for t in page["items"] for e in t["entries"]]
    assert texts == ["n4", "n3", "n2", "n1", "n0", "Neckartor"]
    assert {t["actor"] for t in first["items"]} == {"mem"}


def test_several_projects_are_asked_at_once_with_a_result_for_each(
    member: TestClient, viewer: TestClient, admin: TestClient
) -> None:
    mine, hidden = new(member)["id"], new(admin, participants=[])["id"]
    body = {"projects": [mine, hidden, "nowhere"], "command": {"kind": "start_project"}}
    done = member.post("/api/v1/bulk", json=body, headers={"Idempotency-Key": "b"}).json()["items"]
    assert [(d["project"], d["status"], d["code"]) for d in done] == [
        (mine, 200, ""), (hidden, 404, "project.not_found"), ("nowhere", 404, "project.not_found"),
    ]  # fmt: skip
    assert done[0]["state"] == "queued"
    again = member.post("/api/v1/bulk", json=body, headers={"Idempotency-Key": "b"}).json()["items"]
    assert again[0]["version"] == done[0]["version"]
    refused = viewer.post("/api/v1/bulk", json={**body, "projects": [mine]}).json()["items"]
    assert (refused[0]["status"], refused[0]["code"]) == (403, "access.denied")
