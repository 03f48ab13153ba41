"""What waits for a person, over REST."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.api.conftest import World
from tests.api.test_projects import TEXT, new
from tests.api.test_projects_commands import Runs, asked
from winslow_nomad.core import messages as m
from winslow_nomad.core.stage import Cause

INBOX = "/api/v1/inbox"


def waiting(client: TestClient, world: World, name: str, **fields: object) -> tuple[str, Runs]:
    """A project that asks whether track may start."""
    project = new(client, name, start=True, **fields)["id"]
    runs = Runs(world, project)
    runs.run(1)
    return project, runs


def test_questions_and_failures_come_newest_first_with_what_helps_to_decide(member: TestClient, world: World) -> None:
    project, _ = waiting(member, world, "asks")
    failing = new(member, "fails", start=True)["id"]
    runs = Runs(world, failing)
    runs.start(1)
    runs.end(1, code=137, cause=Cause.OUT_OF_MEMORY)
    impossible = new(member, "cannot", start=True)["id"]
    world.installation.sender.facts(impossible, [m.BecameImpossible(stage=1, text="no node has a GPU")])
    missing = TEXT.replace("{type: integer, default: 300", "{type: integer")
    needs = member.post("/api/v1/projects", json={"name": "lacks", "pipeline": {"text": missing}, "start": True}).json()
    found = member.get(INBOX).json()["items"]
    assert [(i["name"], i["kind"]) for i in found] == [
        ("lacks", "values"), ("cannot", "impossible"), ("fails", "failure"), ("asks", "confirm"),
    ]  # fmt: skip
    assert found[0]["missing"] == ["MIN_AREA"] and found[0]["project"] == needs["id"]
    assert "no node has a GPU" in found[1]["text"]
    assert (found[2]["cause"], found[2]["id"], found[2]["stage"]) == ("out_of_memory", "detect", 1)
    assert (found[3]["gate"], found[3]["id"], found[3]["show"]) == ("g1", "track", ["0001-detect/output/preview.jpg"])
    assert member.get("/api/v1/projects/counts").json()["waiting_for_me"] == 4
    asked(member, project, kind="answer_gate", gate="g1")
    asked(member, failing, kind="skip_stage", stage=1)
    assert [i["name"] for i in member.get(INBOX).json()["items"] if i["kind"] != "confirm"] == ["lacks", "cannot"]


def test_only_what_the_caller_may_answer_is_there(
    member: TestClient, viewer: TestClient, maintainer: TestClient, admin: TestClient, world: World
) -> None:
    waiting(admin, world, "all")
    waiting(admin, world, "hers", participants=[])
    waiting(admin, world, "to look at", participants=[{"user": "@everyone", "role": "viewer"}])

    def names(client: TestClient) -> list[str]:
        return [i["name"] for i in client.get(INBOX).json()["items"]]

    assert names(admin) == ["to look at", "hers", "all"]
    assert names(maintainer) == ["to look at", "hers", "all"]
    assert names(member) == ["all"]
    assert names(viewer) == []
    assert viewer.get("/api/v1/projects/counts").json()["waiting_for_me"] == 0


def test_pages_of_the_inbox_follow_each_other_and_what_is_deleted_is_gone(member: TestClient, world: World) -> None:
    made = [waiting(member, world, f"P{n}")[0] for n in range(3)]
    first = member.get(INBOX, params={"limit": 2}).json()
    second = member.get(INBOX, params={"limit": 2, "after": first["next"]}).json()
    assert [i["name"] for page in (first, second) for i in page["items"]] == ["P2", "P1", "P0"]
    assert second["next"] == ""
    member.delete(f"/api/v1/projects/{made[1]}")
    assert [i["name"] for i in member.get(INBOX).json()["items"]] == ["P2", "P0"]
