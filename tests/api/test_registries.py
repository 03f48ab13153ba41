"""Log-ins for registries over REST: set, shown without their passwords, tried, removed; by administrators alone."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import World, make_world
from tests.images.docker_registry import ADA
from tests.images.serving import Recorded, Serving
from tests.valkey import Server
from winslow_nomad.bootstrap import doctor

PATH = "/api/v1/registries"
PASSWORD = "a quite unlikely password"
BODY = {"user": "winslow", "password": PASSWORD}


def test_a_log_in_is_set_replaced_and_removed(admin: TestClient) -> None:
    made = admin.put(f"{PATH}/10.0.0.7%3A5000", json=BODY)
    assert made.status_code == 200, made.text
    assert (made.json()["host"], made.json()["user"], made.json()["by"]) == ("10.0.0.7:5000", "winslow", "ann")
    admin.put(f"{PATH}/10.0.0.7%3A5000", json={**BODY, "user": "other"})
    admin.put(f"{PATH}/docker.io", json=BODY)
    assert [(i["host"], i["user"]) for i in admin.get(PATH).json()["items"]] == [
        ("10.0.0.7:5000", "other"),
        ("docker.io", "winslow"),
    ]
    assert admin.delete(f"{PATH}/docker.io").status_code == 204
    gone = admin.delete(f"{PATH}/docker.io")
    assert (gone.status_code, gone.json()["code"]) == (404, "registry.not_found")


def test_a_password_is_in_no_answer_no_log_and_no_audit(
    admin: TestClient, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [
        admin.put(f"{PATH}/registry.example.org", json=BODY),
        admin.put(f"{PATH}/registry.example.org", json={**BODY, "user": 7}),
        admin.put(f"{PATH}/registry.example.org", json={"password": PASSWORD}),
        admin.put(f"{PATH}/registry.example.org", json={**BODY, "user": "a:b"}),
        admin.put(f"{PATH}/no-registry", json=BODY),
        admin.put(f"{PATH}/registry.example.org", json={**BODY, "password": [PASSWORD]}),
        admin.get(PATH),
        admin.get("/api/v1/settings"),
        admin.get("/api/v1/audit"),
        admin.post(f"{PATH}/registry.example.org/check"),
    ]
    assert [a.status_code for a in answers[:6]] == [200, 422, 422, 422, 422, 422]
    assert not any(PASSWORD in a.text for a in answers)
    assert PASSWORD not in caplog.text
    entries = json.loads(answers[8].text)["items"]
    set_ = next(e for e in entries if e["what"] == "set_registry" and e["outcome"] == "done")
    assert set_["actor"] == "ann" and set_["about"]["user"] == "winslow"


def test_only_administrators_see_and_set_them(
    anonymous: TestClient, viewer: TestClient, member: TestClient, maintainer: TestClient, world: World
) -> None:
    for client, status in ((anonymous, 401), (viewer, 403), (member, 403), (maintainer, 403)):
        asked = [
            client.get(PATH),
            client.put(f"{PATH}/docker.io", json=BODY),
            client.delete(f"{PATH}/docker.io"),
            client.post(f"{PATH}/docker.io/check"),
        ]
        assert [a.status_code for a in asked] == [status] * 4
    assert world.services.registries.all() == []


def test_a_registry_says_whether_it_lets_us_in(admin: TestClient) -> None:
    recorded = Recorded()
    recorded.login = ADA
    with Serving(recorded) as serving:
        recorded.documents["open"]["/v2/"] = {"status": 200, "body": "e30=", "headers": {}}
        path = f"{PATH}/{serving.host.replace(':', '%3A')}"
        denied = admin.post(f"{path}/check").json()
        assert (denied["ok"], denied["code"]) == (False, "image.denied") and "without a log-in" in denied["text"]
        admin.put(path, json={"user": ADA[0], "password": ADA[1]})
        assert admin.post(f"{path}/check").json() == {"ok": True, "code": "", "text": ""}
        admin.put(path, json={"user": ADA[0], "password": "not it"})
        assert admin.post(f"{path}/check").json()["code"] == "image.denied"
    away = admin.post(f"{path}/check").json()
    assert (away["ok"], away["code"]) == (False, "registry.unavailable")
    assert admin.post(f"{PATH}/nonsense/check").json()["code"] == "registry.host"


def test_the_doctor_asks_every_registry_that_there_is_a_log_in_for(server: Server, tmp_path: Path) -> None:
    world = make_world(tmp_path, server.address, server.keys.prefix, WINSLOW_DRIVER="nomad")
    recorded = Recorded()
    recorded.login = ADA
    recorded.documents["open"]["/v2/"] = {"status": 200, "body": "e30=", "headers": {}}
    logins = world.installation.registry_logins
    with Serving(recorded) as good, Serving(recorded) as wrong, Serving(recorded) as gone:
        logins.put(good.host, *ADA, "ann")
        logins.put(wrong.host, "ben", PASSWORD, "ann")
        logins.put(gone.host, *ADA, "ann")
        gone.stop()
        found = {f.subject: f for f in doctor.registries(world.installation)}
    assert (found[good.host].severity, found[good.host].text) == ("ok", "lets ada in")
    assert found[wrong.host].severity == "problem" and "winslow registries set" in found[wrong.host].fix
    assert "cannot be reached" in found[gone.host].text
    assert PASSWORD not in str(found)
    world.installation.close()
