"""Notifications over HTTP: everybody's own, those of a project, those of the installation."""

from __future__ import annotations

import json
import threading

from starlette.testclient import TestClient

from tests import builders
from tests.api.conftest import World
from tests.notices.servers import HookServer
from tests.waiting import until
from winslow_nomad.bootstrap.notices import telling
from winslow_nomad.core import messages as m

OWN = "/api/v1/notifications"
WHOLE = "/api/v1/notifications/installation"
HOOK = {"kind": "webhook", "title": "builds", "address": "https://hooks.example.org/s3cr3t"}


def test_everybody_begins_with_sensible_rules_and_changes_them(member: TestClient, viewer: TestClient) -> None:
    first = member.get(OWN).json()
    assert first["which"] == "own" and first["mail"] and not first["own_actions"]
    assert "gate" in first["events"] and first["channels"] == [] and first["mail_to"] == ""
    changed = member.put(OWN, json={"events": ["failure"], "which": "all"}).json()
    assert (changed["events"], changed["which"], changed["mail"]) == (["failure"], "all", True)
    assert member.get(OWN).json() == changed
    assert viewer.get(OWN).json()["which"] == "own"


def test_an_unknown_event_is_refused_and_nothing_changed(member: TestClient) -> None:
    answer = member.put(OWN, json={"events": ["gate", "birthday"]})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"].startswith("body.events")
    assert "failure" in member.get(OWN).json()["events"]


def test_the_address_of_a_channel_goes_in_and_never_comes_out(member: TestClient) -> None:
    made = member.post(f"{OWN}/channels", json=HOOK)
    assert made.status_code == 201 and made.json()["key"].startswith("wh_")
    shown = member.get(OWN).json()["channels"]
    assert [c["address"] for c in shown] == ["https://..."]
    changes = {"title": "nights", "on": False, "events": ["node"]}
    changed = member.patch(f"{OWN}/channels/{shown[0]['id']}", json=changes)
    assert (changed.json()["title"], changed.json()["on"], changed.json()["events"]) == ("nights", False, ["node"])
    assert member.patch(f"{OWN}/channels/{shown[0]['id']}", json={"as_rules": True}).json()["events"] is None
    everything = json.dumps([made.json(), shown, changed.json(), member.get(OWN).json()])
    assert "s3cr3t" not in everything and everything.count("wh_") == 1


def test_a_channel_that_is_removed_takes_its_secret_along(world: World, member: TestClient) -> None:
    made = member.post(f"{OWN}/channels", json=HOOK).json()
    assert len(world.installation.secrets.list()) == 1
    assert member.delete(f"{OWN}/channels/{made['id']}").status_code == 204
    assert world.installation.secrets.list() == [] and member.get(OWN).json()["channels"] == []
    assert member.delete(f"{OWN}/channels/{made['id']}").json()["code"] == "notices.channel"


def test_a_chat_service_that_nobody_knows_is_refused(member: TestClient) -> None:
    answer = member.post(f"{OWN}/channels", json={"kind": "chat", "title": "x", "address": "nosuch://t0ken/x"})
    assert answer.status_code == 422 and answer.json()["code"] == "notices.address"
    assert "t0ken" not in answer.text


def test_a_chat_service_of_the_machine_itself_is_refused(member: TestClient) -> None:
    answer = member.post(f"{OWN}/channels", json={"kind": "chat", "title": "x", "address": "syslog://localhost"})
    assert answer.json()["code"] == "notices.address"


def test_what_belongs_to_somebody_else_is_not_there(member: TestClient, viewer: TestClient) -> None:
    channel = member.post(f"{OWN}/channels", json=HOOK).json()["id"]
    test = member.post(f"{OWN}/tests", json={"channel": channel}).json()["id"]
    assert member.get(f"{OWN}/tests/{test}").json()["state"] == "waiting"
    for method, path in (
        ("PATCH", f"channels/{channel}"), ("DELETE", f"channels/{channel}"), ("GET", f"tests/{test}"),
        ("POST", f"undelivered/{test}/retry"), ("DELETE", f"undelivered/{test}"),
    ):  # fmt: skip
        answer = viewer.request(method, f"{OWN}/{path}", json={} if method == "PATCH" else None)
        assert answer.status_code == 404, path
    assert viewer.post(f"{OWN}/tests", json={"channel": channel}).status_code == 404


def test_mail_is_not_tested_where_there_is_none(member: TestClient) -> None:
    answer = member.post(f"{OWN}/tests", json={"channel": "mail"})
    assert (answer.status_code, answer.json()["code"]) == (409, "notices.no_mail")


def test_tests_cannot_be_used_to_flood_somebody(member: TestClient) -> None:
    channel = member.post(f"{OWN}/channels", json=HOOK).json()["id"]
    statuses = [member.post(f"{OWN}/tests", json={"channel": channel}).status_code for _ in range(12)]
    assert statuses[0] == 202 and statuses[-1] == 429


def test_a_project_is_followed_and_silenced_by_who_may_see_it(
    world: World, member: TestClient, viewer: TestClient
) -> None:
    pipeline = builders.a_pipeline()
    world.services.client.send("p1", m.CreateProject(project="p1", name="n", pipeline=pipeline, actor="mem"))
    path = "/api/v1/projects/p1/notifications"
    assert member.get(path).json() == {"events": None}
    assert member.put(path, json={"events": []}).json() == {"events": []}
    assert member.put(path, json={"events": None}).json() == {"events": None}
    assert viewer.put(path, json={"events": ["gate"]}).status_code == 404


def test_channels_of_the_installation_are_for_administrators(admin: TestClient, maintainer: TestClient) -> None:
    assert maintainer.get(WHOLE).status_code == 403
    assert admin.post(f"{WHOLE}/channels", json=HOOK).status_code == 201
    assert admin.put(WHOLE, json={"events": ["node"]}).json()["events"] == ["node"]
    assert len(admin.get(WHOLE).json()["channels"]) == 1 and admin.get(OWN).json()["channels"] == []


def test_the_test_button_from_the_page_to_a_server(world: World, admin: TestClient) -> None:
    hook = HookServer().start()
    stopping = threading.Event()
    sender = threading.Thread(target=telling(world.installation, "a test").run, args=(stopping,))
    sender.start()
    try:
        made = admin.post(f"{OWN}/channels", json={**HOOK, "address": hook.url}).json()
        test = admin.post(f"{OWN}/tests", json={"channel": made["id"]})
        assert test.status_code == 202
        until(lambda: admin.get(f"{OWN}/tests/{test.json()['id']}").json()["state"] == "sent")
        assert json.loads(hook.calls[0].body)["event"] == "test"
        hook.answer = lambda _: 500
        failing = admin.post(f"{OWN}/tests", json={"channel": made["id"]}).json()
        until(lambda: admin.get(f"{OWN}/tests/{failing['id']}").json()["state"] == "failed")
        assert admin.get(f"{OWN}/tests/{failing['id']}").json()["text"] == "The webhook's server answered 500."
    finally:
        stopping.set()
        sender.join(20)
        hook.stop()
