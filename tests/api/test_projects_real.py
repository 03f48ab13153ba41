"""One example pipeline from its publication to its result over REST, with everything real: store, share, processes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import BASE
from tests.waiting import until
from winslow_nomad import config
from winslow_nomad.api.app import create_app
from winslow_nomad.api.authority import COOKIE, CSRF, csrf_of
from winslow_nomad.bootstrap.engine import open_engine
from winslow_nomad.bootstrap.services import services
from winslow_nomad.core.access import Role
from winslow_nomad.core.people import Person


@pytest.fixture
def client() -> Iterator[TestClient]:
    folder = Path(tempfile.mkdtemp(prefix="wn-", dir="/tmp"))
    settings = config.load({"WINSLOW_HOME": str(folder / "h"), "HOME": str(folder), "USER": "ann"})
    with open_engine(settings) as engine:
        given = services(engine.installation)
        given.people.add(Person(name="ann", role=Role.ADMIN, made=engine.installation.clock.now()))
        secret = given.people.open_session("ann", "password").secret
        found = TestClient(create_app(given), base_url=BASE)
        found.cookies.set(COOKIE, secret)
        found.headers[CSRF] = csrf_of(secret)
        yield found
    shutil.rmtree(folder, ignore_errors=True)


def test_an_example_runs_waits_for_a_person_and_is_compared_after_a_redo(client: TestClient) -> None:
    example = next(e for e in client.get("/api/v1/pipelines/examples").json()["items"] if e["name"] == "first-steps")
    assert client.post("/api/v1/pipelines", json={"text": example["text"]}).status_code == 201
    body = {"name": "mine", "pipeline": {"library": "first-steps"}, "values": {"COUNT": "50"}, "start": True}
    path = f"/api/v1/projects/{client.post('/api/v1/projects', json=body).json()['id']}"

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = client.get(path).json()
        return found

    def asked(**command: Any) -> dict[str, Any]:
        answer = client.post(f"{path}/commands", json=command)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def at_gate() -> dict[str, Any] | None:
        found = shown()
        assert found["state"] not in ("failed", "paused"), found["detail"]
        return found if found["gates"] else None

    waiting = until(at_gate, 60)
    assert waiting["gates"][0]["show"] == ["0001-make/output/numbers.csv"]
    assert waiting["stages"][1]["results"] == {"numbers": 50}
    inbox = client.get("/api/v1/inbox").json()["items"]
    assert [(i["kind"], i["name"]) for i in inbox] == [("confirm", "mine")]
    asked(kind="answer_gate", gate=waiting["gates"][0]["id"])
    until(lambda: shown()["state"] == "succeeded", 60)
    form = client.get(f"{path}/form/count", params={"from": "newest"}).json()
    assert form["blueprint"] == 2
    asked(kind="redo_stage", stage=2, overrides={"values": {"THRESHOLD": "0"}})
    until(lambda: shown()["state"] == "succeeded" and len(shown()["stages"]) == 3, 60)
    lines = client.get(f"{path}/compare", params={"left": 2, "right": 3}).json()["lines"]
    found = {x["name"]: x for x in lines if x["differs"]}
    assert found["THRESHOLD"]["values"] == ["700", "0"] and found["large"]["values"][1] == 50
    until(lambda: client.get(f"{path}/stages/3").json()["record"].get("counting_attempt") == 1, 30)  # from the share
    record = client.get(f"{path}/stages/3").json()["record"]
    assert record["output"]["files"][0]["path"] == "answer.txt" and record["attempts"][0]["outcome"]["code"] == 0
    assert client.get("/api/v1/statistics").json()["totals"]["ended"] == {"succeeded": 3}
    until(lambda: client.get("/api/v1/pipelines").json()["items"][0]["succeeded"] == 1.0)
    history = until(lambda: client.get(f"{path}/history", params={"limit": 500}).json()["items"])
    told = [e["what"] for t in reversed(history) for e in t["entries"]]
    assert told[0] == "created" and told.count("stage_ended") == 3 and "gate_answered" in told
    node = client.get("/api/v1/nodes").json()["items"][0]
    until(lambda: client.get(f"/api/v1/nodes/{node['name']}/samples").json()["items"], 30)
