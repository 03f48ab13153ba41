"""Projects over REST: making, listing, describing, deleting, and who sees what."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import World
from winslow_nomad.api.views.projects import Row

TEXT = """\
winslow: 1
name: traffic
title: Vehicles
parameters:
  MIN_AREA: {type: integer, default: 300, min: 20, max: 100000}
  MODEL: {type: choice, options: [fast, exact], default: fast}
secrets: {LICENCE: {required: false}}
environment: {LOG_LEVEL: info}
defaults: {image: "traffic:1.2"}
stages:
  - id: detect
    command: [python, detect.py]
    secrets: [LICENCE]
    results: {vehicles: integer}
  - id: track
    needs: [detect]
    confirm: {ask: always, show: [detect/preview.jpg]}
    command: [python, track.py]
"""


def new(client: TestClient, name: str = "Neckartor", **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/projects", json={"name": name, "pipeline": {"text": TEXT}, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["name"] for row in answer.json()["items"]]


def test_a_project_is_made_from_a_text_and_shown_whole(member: TestClient) -> None:
    answer = member.post(
        "/api/v1/projects",
        json={
            "name": "Neckartor",
            "pipeline": {"text": TEXT},
            "values": {"MIN_AREA": "340"},
            "secrets": {"LICENCE": "very-secret-text"},
            "tags": ["b14"],
            "start": True,
        },
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["etag"] == f'"{made["version"]}"'
    assert answer.headers["location"] == f"/api/v1/projects/{made['id']}"
    assert (made["state"], made["author"], made["role"], made["tags"]) == ("queued", "mem", "owner", ["b14"])
    assert made["participants"] == [{"user": "mem", "role": "owner"}, {"user": "@everyone", "role": "member"}]
    assert made["values"] == {"MIN_AREA": "340"}
    assert made["pipeline"]["secrets"] == {"LICENCE": {"required": False, "given": True}}
    assert [s["state"] for s in made["pipeline"]["stages"]] == ["queued", "later"]
    assert [(s["number"], s["name"], s["state"]) for s in made["stages"]] == [(1, "0001-detect", "queued")]
    assert "very-secret-text" not in answer.text and "secret:" not in answer.text


def test_the_list_shows_what_the_caller_may_see_and_nothing_else(
    member: TestClient, viewer: TestClient, maintainer: TestClient, admin: TestClient
) -> None:
    new(admin, "open to all")
    new(admin, "private", participants=[])
    new(admin, "shared with mem", participants=[{"user": "mem", "role": "viewer"}])
    assert names(member.get("/api/v1/projects")) == ["shared with mem", "open to all"]
    assert names(viewer.get("/api/v1/projects")) == ["open to all"]
    assert names(maintainer.get("/api/v1/projects")) == ["shared with mem", "private", "open to all"]
    assert names(admin.get("/api/v1/projects")) == ["shared with mem", "private", "open to all"]
    assert member.get("/api/v1/projects/counts").json()["total"] == 2
    assert admin.get("/api/v1/projects/counts").json() == {
        "states": {"idle": 3}, "total": 3, "mine": 3, "waiting_for_me": 0
    }  # fmt: skip


def test_a_project_that_is_not_to_be_seen_is_not_there(member: TestClient, admin: TestClient) -> None:
    hidden = new(admin, "private", participants=[])["id"]
    answer = member.get(f"/api/v1/projects/{hidden}")
    assert (answer.status_code, answer.json()["code"]) == (404, "project.not_found")
    assert answer.json()["title"].replace(hidden, "x") == member.get("/api/v1/projects/x").json()["title"]


def test_the_list_filters_includes_and_excludes(member: TestClient) -> None:
    new(member, "North", tags=["red", "archive"])
    new(member, "South", tags=["red"], start=True)
    new(member, "East", tags=["blue"])
    get = member.get
    assert names(get("/api/v1/projects", params={"tag": "red"})) == ["South", "North"]
    assert names(get("/api/v1/projects", params={"tag": ["red", "-archive"]})) == ["South"]
    assert names(get("/api/v1/projects", params={"state": "idle"})) == ["East", "North"]
    assert names(get("/api/v1/projects", params={"state": "-idle"})) == ["South"]
    assert names(get("/api/v1/projects", params={"text": "OR"})) == ["North"]
    assert names(get("/api/v1/projects", params={"pipeline": "traf*", "author": "mem"})) == ["East", "South", "North"]
    assert names(get("/api/v1/projects", params={"sort": "name"})) == ["East", "North", "South"]
    assert member.get("/api/v1/projects/facets").json() == {
        "tags": {"archive": 1, "blue": 1, "red": 2}, "pipelines": {"traffic": 3}
    }  # fmt: skip


def test_a_row_is_what_its_description_says(member: TestClient) -> None:
    new(member, start=True)
    new(member, "with all", tags=["a"], priority=90, participants=[{"user": "@everyone", "role": "viewer"}])
    for row in member.get("/api/v1/projects").json()["items"]:
        assert Row.model_validate(row).model_dump(mode="json") == row


def test_pages_follow_each_other(member: TestClient) -> None:
    for number in range(5):
        new(member, f"P{number}")
    first = member.get("/api/v1/projects", params={"limit": 2}).json()
    second = member.get("/api/v1/projects", params={"limit": 2, "after": first["next"]}).json()
    third = member.get("/api/v1/projects", params={"limit": 2, "after": second["next"]}).json()
    assert [r["name"] for p in (first, second, third) for r in p["items"]] == ["P4", "P3", "P2", "P1", "P0"]
    assert third["next"] == ""
    wrong = member.get("/api/v1/projects", params={"after": "nonsense"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "list.cursor")


def test_the_same_key_makes_one_project_and_another_request_under_it_is_refused(
    member: TestClient, world: World
) -> None:
    body = {"name": "once", "pipeline": {"text": TEXT}, "secrets": {"LICENCE": "s3cret-text"}}
    first = member.post("/api/v1/projects", json=body, headers={"Idempotency-Key": "k1"})
    again = member.post("/api/v1/projects", json=body, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert names(member.get("/api/v1/projects")) == ["once"]
    other = member.post("/api/v1/projects", json={**body, "name": "twice"}, headers={"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency.other_request")
    assert len(world.installation.secrets.list()) == 1  # what was put for nothing does not stay


def test_a_wrong_pipeline_is_answered_with_every_mistake_and_its_place(member: TestClient) -> None:
    text = TEXT.replace("command: [python, track.py]", "comand: [python, track.py]").replace("integer,", "integre,")
    answer = member.post("/api/v1/projects", json={"name": "x", "pipeline": {"text": text}})
    assert (answer.status_code, answer.json()["code"]) == (422, "pipeline.invalid")
    places = [(e["line"], e["column"]) for e in answer.json()["errors"]]
    assert (5, 20) in places and (18, 5) in places
    assert any("command" in e["hint"] for e in answer.json()["errors"])


def test_describing_needs_a_member_and_participants_need_who_manages(
    world: World, member: TestClient, viewer: TestClient, admin: TestClient
) -> None:
    made = new(admin)["id"]
    assert viewer.patch(f"/api/v1/projects/{made}", json={"tags": ["x"]}).status_code == 403
    changed = member.patch(f"/api/v1/projects/{made}", json={"tags": ["x"], "name": "New name", "priority": 70})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["tags"], changed.json()["name"], changed.json()["priority"]) == (["x"], "New name", 70)
    members = {"participants": [{"user": "vic", "role": "member"}]}
    assert member.patch(f"/api/v1/projects/{made}", json=members).status_code == 403
    assert admin.patch(f"/api/v1/projects/{made}", json=members).status_code == 200
    assert member.get(f"/api/v1/projects/{made}").status_code == 404


def test_a_change_to_a_version_that_is_gone_is_refused(member: TestClient) -> None:
    made = new(member)
    path = f"/api/v1/projects/{made['id']}"
    tag = f'"{made["version"]}"'
    assert member.patch(path, json={"tags": ["a"]}, headers={"If-Match": tag}).status_code == 200
    late = member.patch(path, json={"tags": ["b"]}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["code"]) == (412, "conflict.version")
    assert member.get(path).json()["tags"] == ["a"]
    assert member.patch(path, json={"tags": ["b"]}, headers={"If-Match": "x"}).status_code == 422


def test_deleting_and_restoring_are_for_those_who_manage(member: TestClient, admin: TestClient) -> None:
    made = new(admin)["id"]
    path = f"/api/v1/projects/{made}"
    assert member.delete(path).status_code == 403
    assert admin.delete(path).json()["trashed"] is not None
    assert names(member.get("/api/v1/projects")) == []
    assert names(member.get("/api/v1/projects", params={"state": "trashed"})) == ["Neckartor"]
    assert member.post(f"{path}/restore").status_code == 403
    assert admin.post(f"{path}/restore").json()["trashed"] is None
    assert names(member.get("/api/v1/projects")) == ["Neckartor"]


def test_projects_of_an_installation_that_is_not_open_are_their_authors_own(
    member: TestClient, viewer: TestClient, world: World
) -> None:
    world.services.settings.change({"open_projects": False})
    made = new(member)
    assert made["participants"] == [{"user": "mem", "role": "owner"}]
    assert names(viewer.get("/api/v1/projects")) == []


@pytest.mark.parametrize("name", ["ghost", "", "vic", "@everyone"])
def test_a_project_is_handed_to_nobody_who_could_not_run_it(member: TestClient, name: str) -> None:
    """Neither to a name that somebody might be given one day."""
    made = new(member)
    refused = member.patch(f"/api/v1/projects/{made['id']}", json={"author": name, "tags": ["x"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "people.author")
    after = member.get(f"/api/v1/projects/{made['id']}").json()
    assert (after["author"], after["tags"], after["version"]) == ("mem", [], made["version"])
    assert member.patch(f"/api/v1/projects/{made['id']}", json={"author": "mat"}).json()["author"] == "mat"
