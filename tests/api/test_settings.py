"""Settings, the doctor and operations over REST."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import World
from tests.api.test_projects import new
from tests.api.test_projects_commands import Runs
from winslow_nomad.bootstrap.housekeeping import Housekeeping
from winslow_nomad.bootstrap.limits import Limits
from winslow_nomad.core.allowance import Allowance
from winslow_nomad.core.operations import Operation

PATH = "/api/v1/settings"


def by_name(client: TestClient) -> dict[str, dict[str, object]]:
    return {s["name"]: s for s in client.get(PATH).json()["items"]}


def test_settings_are_shown_with_where_they_come_from(admin: TestClient, viewer: TestClient) -> None:
    found = by_name(admin)
    assert (found["keep_trash_days"]["value"], found["keep_trash_days"]["origin"]) == (7.0, "default")
    assert found["home"]["origin"] == "WINSLOW_HOME" and not found["home"]["changeable"]
    assert "redis_url" not in found
    nomad = found["nomad"]["value"]
    assert isinstance(nomad, dict) and nomad["datacenters"] == ["*"] and "token" not in nomad
    assert set(by_name(viewer)) & {"home", "share", "roots", "environment", "redis_url"} == set()


def test_an_administrator_changes_them_at_run_time_and_takes_them_back(
    admin: TestClient, maintainer: TestClient, world: World
) -> None:
    assert maintainer.patch(PATH, json={"values": {"keep_trash_days": 14}}).status_code == 403
    changed = admin.patch(PATH, json={"values": {"keep_trash_days": 14, "environment": {"A": "1"}}})
    assert changed.status_code == 200, changed.text
    found = by_name(admin)
    assert (found["keep_trash_days"]["value"], found["keep_trash_days"]["origin"]) == (14.0, "store")
    world.installation.install_runner()  # establishes the share
    keeping = Housekeeping(world.installation)
    keeping()
    assert keeping.policy.trash is not None and keeping.policy.trash.days == 14
    assert [(v.name, v.value) for v in world.installation.variables()] == [("A", "1")]
    admin.patch(PATH, json={"values": {"keep_trash_days": None, "environment": None}})
    assert by_name(admin)["keep_trash_days"]["origin"] == "default"
    assert world.installation.variables() == ()


def test_a_variable_of_all_stages_reaches_the_next_one_that_starts(
    admin: TestClient, member: TestClient, world: World
) -> None:
    admin.patch(PATH, json={"values": {"environment": {"TORCH_HOME": "/models"}}})
    project = new(member, start=True)["id"]
    world.installation.admission.run()
    stage = world.services.client.project(project).stages[1]
    assert {v.name: v.value for v in stage.environment or ()}["TORCH_HOME"] == "/models"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"nonsense": 1}, "settings.unknown"),
        ({"share": "/tmp"}, "settings.fixed"),
        ({"redis_url": "redis://x"}, "settings.unknown"),
        ({"keep_trash_days": "many"}, "settings.invalid"),
        ({"keep_trash_days": True}, "settings.invalid"),
        ({"zone": "Nowhere/Land"}, "settings.invalid"),
        ({"environment": {"WINSLOW_X": "1"}}, "settings.invalid"),
        ({"roots": {"a": "/data"}}, "settings.fixed"),
        ({"limits": "@students gpu=1"}, "settings.invalid"),
        ({"limits": 5}, "settings.invalid"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(
    admin: TestClient, values: dict[str, object], code: str
) -> None:
    before = by_name(admin)
    answer = admin.patch(PATH, json={"values": {"open_projects": False, **values}})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert by_name(admin) == before


def test_limits_that_cannot_be_are_refused_with_the_entries_that_are_wrong(admin: TestClient) -> None:
    answer = admin.patch(PATH, json={"values": {"limits": "@everyone gpus=4; @students gpu=1; bob stages=none"}})
    assert answer.status_code == 422 and "entry 2: 'gpu=1' is no amount" in answer.json()["title"]
    found = [(e["field"], e["message"], e["code"]) for e in answer.json()["errors"]]
    assert found == [
        ("limits.1", "'gpu=1' is no amount: write stages, cpu, memory or gpus, = and how much", "settings.invalid"),
        ("limits.2", "stages=none cannot be: stages takes a whole number from 1 to 1000000", "settings.invalid"),
    ]
    assert by_name(admin)["limits"]["value"] == ""


def test_limits_hold_for_persons_and_groups_as_they_are_now(admin: TestClient, world: World) -> None:
    limits = Limits(world.installation)
    assert limits(["mem", "vic"]) == {}
    admin.post("/api/v1/groups", json={"name": "students"})
    admin.put("/api/v1/groups/students/members/vic", json={"role": "member"})
    text = "@everyone gpus=4; @students gpus=1; ann gpus=8 cpu=64"
    assert admin.patch(PATH, json={"values": {"limits": text}}).status_code == 200
    world.installation.choices._read = None  # what was read is good for a second
    few, many = Allowance(gpus=4), Allowance(gpus=8, cpu=64)
    assert limits(["mem", "vic", "ann"]) == {"mem": few, "vic": Allowance(gpus=1), "ann": many}
    admin.delete("/api/v1/groups/students/members/vic")
    assert limits(["vic"]) == {"vic": Allowance(gpus=4)}


def test_the_doctor_is_for_administrators_and_tells_the_worst_first(admin: TestClient, maintainer: TestClient) -> None:
    assert maintainer.get("/api/v1/doctor").status_code == 403
    found = admin.get("/api/v1/doctor").json()["items"]
    order = ["problem", "warning", "note", "ok"]
    assert [order.index(f["severity"]) for f in found] == sorted(order.index(f["severity"]) for f in found)
    assert {"store", "share", "runner"} <= {f["subject"] for f in found}


def operation(world: World, identity: str, **fields: object) -> None:
    made = datetime.now(UTC)
    world.installation.operations.put(Operation(id=identity, kind="workspace", made=made, **fields))


def test_operations_are_seen_by_who_sees_their_project_and_cancelled_by_who_runs_it(
    admin: TestClient, member: TestClient, viewer: TestClient, maintainer: TestClient, world: World
) -> None:
    mine, hidden = new(admin)["id"], new(admin, participants=[])["id"]
    operation(world, "o1", project=mine, stage=1, bytes_done=5, bytes_total=10)
    operation(world, "o2", project=hidden)
    operation(world, "o3")
    path = "/api/v1/operations"
    assert [o["id"] for o in member.get(path).json()["items"]] == ["o1"]
    assert [o["id"] for o in maintainer.get(path).json()["items"]] == ["o1", "o2", "o3"]
    assert [o["id"] for o in admin.get(path, params={"project": hidden}).json()["items"]] == ["o2"]
    assert member.get(f"{path}/o1").json()["bytes_total"] == 10
    assert member.get(f"{path}/o2").json()["code"] == "operation.not_found"
    assert member.delete(f"{path}/o2").status_code == 404
    assert viewer.delete(f"{path}/o1").status_code == 403
    assert world.with_token("mem", "read").delete(f"{path}/o1").status_code == 403
    assert member.delete(f"{path}/o1").json()["state"] in ("cancelled", "waiting", "running")
    assert world.installation.operations.get("o1").cancelling or member.get(f"{path}/o1").json()["state"] == "cancelled"


def test_who_asked_for_something_sees_how_far_it_is_and_may_cancel_it_though_it_is_about_no_project(
    member: TestClient, viewer: TestClient, world: World
) -> None:
    operation(world, "o1", actor="mem", bytes_done=5)
    assert [o["id"] for o in member.get("/api/v1/operations").json()["items"]] == ["o1"]
    assert member.get("/api/v1/operations/o1").json()["bytes_done"] == 5
    assert viewer.get("/api/v1/operations").json()["items"] == []
    assert viewer.get("/api/v1/operations/o1").status_code == 404
    assert viewer.delete("/api/v1/operations/o1").status_code == 404
    assert member.delete("/api/v1/operations/o1").json()["state"] in ("cancelled", "waiting", "running")


def test_a_stage_whose_workspace_is_copied_says_how_far(member: TestClient, world: World) -> None:
    from winslow_nomad.core import messages as m

    project = new(member, start=True)["id"]
    runs = Runs(world, project)
    runs.facts(m.Admitted(stage=1), m.WorkspaceBegun(stage=1, attempt=1, operation="o9"))
    operation(world, "o9", project=project, stage=1, bytes_done=5, bytes_total=10, text="copying")
    stage = member.get(f"/api/v1/projects/{project}").json()["stages"][0]
    assert (stage["state"], stage["preparing"]["bytes_done"], stage["preparing"]["bytes_total"]) == ("preparing", 5, 10)
    assert stage["detail"] == "its workspace is being copied"
