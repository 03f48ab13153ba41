"""Stopping, pausing, skipping, sweeps and tags over REST, on projects whose stages run."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import World
from tests.api.test_projects import TEXT, new
from tests.api.test_projects_commands import Runs, ask, asked
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import Role
from winslow_nomad.core.allowance import Allowance
from winslow_nomad.resources.usage import Usage
from winslow_nomad.resources.work import unwatched

SWEEPING = TEXT.replace(
    "    results: {vehicles: integer}", "    results: {vehicles: integer}\n    sweep: {max_running: 3}"
)


@pytest.fixture
def project(member: TestClient) -> str:
    made: str = new(member, start=True)["id"]
    return made


@pytest.fixture
def runs(world: World, project: str) -> Runs:
    return Runs(world, project)


def stage(client: TestClient, project: str, number: int) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/projects/{project}/stages/{number}").json()["stage"]
    return found


def test_a_stage_is_stopped_politely_then_killed(member: TestClient, project: str, runs: Runs) -> None:
    runs.start(1)
    stopping = asked(member, project, kind="stop_stage", stage=1)["stages"][0]
    assert (stopping["stop"], stopping["stop_actor"], stopping["word"]) == ("terminate", "mem", "is being stopped")
    assert asked(member, project, kind="stop_stage", stage=1, kill=True)["stages"][0]["stop"] == "kill"
    runs.end(1, code=143)
    ended = stage(member, project, 1)
    assert (ended["state"], ended["detail"]) == ("stopped", "stopped by mem")


def test_everything_of_a_project_is_stopped_at_once(member: TestClient, project: str, runs: Runs) -> None:
    runs.start(1)
    asked(member, project, kind="enqueue_stage", id="detect")
    shown = asked(member, project, kind="stop_project")
    assert {s["number"]: (s["state"], s["stop"]) for s in shown["stages"]} == {
        1: ("running", "terminate"), 2: ("stopped", ""),
    }  # fmt: skip
    runs.end(1, code=143)
    assert member.get(f"/api/v1/projects/{project}").json()["word"] == "paused"


def test_a_pause_takes_effect_after_what_runs_and_can_be_asked_for_after_one_stage(
    member: TestClient, project: str, runs: Runs
) -> None:
    runs.start(1)
    shown = asked(member, project, kind="pause_after", id="detect")
    assert shown["pipeline"]["stages"][0]["pause_after"] and shown["state"] == "running"
    undone = asked(member, project, kind="pause_after", id="detect", on=False)
    assert not undone["pipeline"]["stages"][0]["pause_after"]
    asked(member, project, kind="pause_after", id="detect")
    runs.end(1)
    paused = member.get(f"/api/v1/projects/{project}").json()
    assert paused["pause"]["kind"] == "pause_after" and "0001-detect" in paused["pause"]["text"]
    assert asked(member, project, kind="resume_project")["pause"] is None


def test_a_stage_is_lined_up_without_ending_the_pause(member: TestClient, project: str) -> None:
    asked(member, project, kind="pause_project")
    shown = asked(member, project, kind="enqueue_stage", id="detect", resume=False, comment="for tonight")
    assert (shown["pause"]["kind"], shown["stages"][0]["comment"]) == ("person", "for tonight")
    assert asked(member, project, kind="enqueue_stage", id="detect")["pause"] is None


def test_a_failed_stage_is_skipped_and_what_follows_goes_on(member: TestClient, project: str, runs: Runs) -> None:
    runs.start(1)
    runs.end(1, code=1)
    shown = asked(member, project, kind="skip_stage", stage=1)
    assert (shown["pause"], shown["failures"]) == (None, [])
    assert [(g["kind"], g["stage"]) for g in shown["gates"]] == [("confirm", 3)]
    skipped = asked(member, project, kind="answer_gate", gate=shown["gates"][0]["id"], answer="skip")
    assert stage(member, project, 3)["state"] == "skipped" and skipped["gates"] == []


def test_the_workspace_of_a_run_is_chosen(member: TestClient, project: str, runs: Runs) -> None:
    runs.run(1)
    asked(member, project, kind="answer_gate", gate="g1", answer="stop")
    for wanted, source in (("empty", {"kind": "empty"}), ("#1", {"kind": "stage", "number": 1})):
        number = asked(member, project, kind="enqueue_stage", id="track", overrides={"workspace": wanted})["stages"][0][
            "number"
        ]
        runs.facts(m.Admitted(stage=number))
        found = stage(member, project, number)["source"]
        assert {k: found[k] for k in source} == source
        asked(member, project, kind="stop_stage", stage=number)
        runs.facts(m.WorkspaceFailed(stage=number, attempt=1, text="stopped", for_ever=True))


def test_values_of_a_gate_are_given_in_its_answer(member: TestClient) -> None:
    text = TEXT.replace("{type: integer, default: 300", "{type: integer")
    made = member.post("/api/v1/projects", json={"name": "x", "pipeline": {"text": text}, "start": True}).json()
    gate = made["gates"][0]
    assert (gate["kind"], gate["missing"]) == ("values", ["MIN_AREA"])
    wrong = ask(member, made["id"], kind="answer_gate", gate=gate["id"], values={"MIN_AREA": "1"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "value.range")
    shown = asked(member, made["id"], kind="answer_gate", gate=gate["id"], values={"MIN_AREA": "340"})
    assert (shown["gates"], shown["values"]) == ([], {"MIN_AREA": "340"})
    late = ask(member, made["id"], kind="answer_gate", gate=gate["id"], values={"MIN_AREA": "50"})
    assert (late.status_code, late.json()["code"]) == (409, "gate.not_open")


def test_a_sweep_shows_its_stages_and_goes_on_with_the_chosen_one(member: TestClient, world: World) -> None:
    made = member.post(
        "/api/v1/projects",
        json={
            "name": "sweep", "pipeline": {"text": SWEEPING}, "start": True,
            "sweeps": {"detect": {"MIN_AREA": "100..300:100"}},
        },
    ).json()  # fmt: skip
    project, runs = made["id"], Runs(world, made["id"])
    assert [(s["point"], s["sweep"]) for s in made["stages"]] == [({"MIN_AREA": v}, 1) for v in ("300", "200", "100")]
    assert (made["strip"][0]["done"], made["strip"][0]["total"]) == (0, 3)
    for number in (1, 2, 3):
        runs.run(number, vehicles=str(number))
    shown = member.get(f"/api/v1/projects/{project}").json()
    assert (shown["gates"][0]["kind"], shown["sweeps"][0]["succeeded"]) == ("choice", 3)
    assert shown["strip"][0] == {"id": "detect", "state": "waiting", "done": 3, "total": 3}
    chosen = asked(member, project, kind="choose_of_sweep", sweep=1, stage=2)
    assert chosen["stages"][0]["inputs"] == {"detect": 2}
    form = member.get(f"/api/v1/projects/{project}/form/detect", params={"from": "2"}).json()
    assert form["grid"] == {"MIN_AREA": ["100", "200", "300"]} and form["sweep"]["max_running"] == 3
    found = member.get(
        f"/api/v1/projects/{project}/compare", params={"left": 1, "right": 2, "more": 3}
    ).json()  # fmt: skip
    line = next(x for x in found["lines"] if x["name"] == "MIN_AREA")
    assert (line["values"], line["differs"]) == (["100", "200", "300"], True)


def test_tags_are_added_and_taken_away_one_by_one_by_several_at_once(member: TestClient, world: World) -> None:
    made = [new(member, f"P{n}", tags=["kept"])["id"] for n in range(2)]
    body = {"projects": made, "command": {"kind": "tag_project", "add": ["b14"], "remove": ["nothing"]}}
    assert [d["status"] for d in member.post("/api/v1/bulk", json=body).json()["items"]] == [200, 200]
    assert member.get(f"/api/v1/projects/{made[0]}").json()["tags"] == ["kept", "b14"]
    clients = [world.signed_in("mem") for _ in range(8)]
    threads = [
        threading.Thread(target=ask, args=(c, made[0]), kwargs={"kind": "tag_project", "add": [f"t{n}"]})
        for n, c in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked(member, made[0], kind="tag_project", remove=["b14"])
    tags = member.get(f"/api/v1/projects/{made[0]}").json()["tags"]
    assert sorted(tags) == ["kept", *(f"t{n}" for n in range(8))]


def test_a_row_has_a_picture_once_a_stage_left_one(member: TestClient, project: str, runs: Runs) -> None:
    assert member.get("/api/v1/projects").json()["items"][0]["thumbnail"] == ""
    runs.run(1)
    assert member.get("/api/v1/projects").json()["items"][0]["thumbnail"] == "0001-detect/output/preview.jpg"


def test_what_a_project_uses_of_the_share_is_told_as_far_as_it_is_counted(
    member: TestClient, project: str, runs: Runs, world: World
) -> None:
    path = f"/api/v1/projects/{project}/disk"
    assert member.get(path).json() == {"bytes": 0, "files": 0, "complete": False, "parts": []}
    world.installation.install_runner()
    attempt = f"projects/{project}/stages/0001-detect/attempts/1"
    (world.installation.settings.share / attempt / "output").mkdir(parents=True)
    (world.installation.settings.share / attempt / "output" / "big").write_bytes(b"x" * 100_000)
    usage = Usage(world.installation.settings.share, world.installation.settings.home / "usage.json")
    assert usage.count([(attempt, True)])
    found = member.get(path).json()
    assert found["complete"] and found["bytes"] >= 100_000
    assert found["parts"][0]["path"] == attempt and found["parts"][0]["inside"]["output"] >= 100_000


def test_stages_of_a_long_project_come_in_pages(member: TestClient, project: str, world: World) -> None:
    from tests.builders import an_ended_stage, decided

    ended = {n: an_ended_stage(n) for n in range(10, 250)}
    world.installation.store.change(project, lambda p: decided(p.but(ended=ended)))  # type: ignore[union-attr]
    shown = member.get(f"/api/v1/projects/{project}").json()
    assert len(shown["stages"]) == 201 and shown["stages_next"] == 50
    older = member.get(f"/api/v1/projects/{project}/stages", params={"before": 50, "limit": 30}).json()
    assert [s["number"] for s in older["items"]] == list(range(49, 19, -1)) and older["next"] == 20
    last = member.get(f"/api/v1/projects/{project}/stages", params={"before": 20, "limit": 30}).json()
    assert [s["number"] for s in last["items"]] == [*range(19, 9, -1), 1] and last["next"] == 0


def test_what_a_project_may_use_and_how_long_it_keeps_things_is_said_by_who_manages_it(
    member: TestClient, viewer: TestClient, world: World, project: str
) -> None:
    path = f"/api/v1/projects/{project}"
    made = member.patch(path, json={"limit": {"gpus": 2, "memory": 2**36}, "keep": {"failed_days": 30}}).json()
    assert made["limit"] == {"stages": None, "cpu": None, "memory": 2**36, "gpus": 2}
    assert made["keep"] == {"failed_days": 30.0, "superseded_days": None}
    assert world.services.client.project(project).limit == Allowance(gpus=2, memory=2**36)
    waiting = world.installation.store.waiting("local")
    assert [w.limit for w in waiting] == [Allowance(gpus=2, memory=2**36)], "who lets stages in knows of it at once"
    member.patch(path, json={"priority": 60})
    assert member.get(path).json()["limit"]["gpus"] == 2, "what is left out stays"
    again = member.patch(path, json={"limit": {}, "keep": {}}).json()
    assert set(again["limit"].values()) == {None} and set(again["keep"].values()) == {None}
    for body in ({"limit": {"gpus": -1}}, {"limit": {"cores": 2}}, {"keep": {"failed_days": -1}}, {"limit": 5}):
        assert member.patch(path, json=body).status_code == 422
    member.patch(path, json={"participants": [{"user": "vic", "role": "member"}, {"user": "mat", "role": "member"}]})
    world.services.people.change("vic", {"role": Role.MEMBER})
    assert viewer.patch(path, json={"priority": 70}).status_code == 200
    for body in ({"limit": {"gpus": 9}}, {"keep": {"failed_days": 0}}):
        assert viewer.patch(path, json=body).status_code == 403


def test_what_failed_stages_left_goes_to_the_trash_when_somebody_says_so_and_comes_back(
    member: TestClient, viewer: TestClient, world: World, project: str, runs: Runs
) -> None:
    runs.start(1)
    attempt = world.installation.settings.share / "projects" / project / "stages/0001-detect/attempts/1"
    world.installation.scribe  # noqa: B018 - the share is established
    for part in ("workspace", "output", "log"):
        (attempt / part).mkdir(parents=True)
        (attempt / part / "file").write_text(part)
    runs.end(1, code=1)
    runs.facts(m.StageSealed(stage=1))
    path = f"/api/v1/projects/{project}/clean"
    assert viewer.post(path).status_code == 403
    begun = member.post(path)
    assert (begun.status_code, begun.json()["kind"], begun.json()["project"]) == (202, "clean", project)
    operation = world.installation.operations.get(begun.json()["id"])
    assert operation is not None and operation.actor == "mem"
    said = world.installation.handlers["clean"](operation, unwatched)
    assert said == "1 directory moved to the trash, where it stays 7 days"
    assert sorted(p.name for p in attempt.iterdir()) == ["log", "output"]
    (entry,) = world.installation.trash.entries()
    assert entry.actor == "mem" and entry.paths == (f"projects/{project}/stages/0001-detect/attempts/1/workspace",)
    assert world.installation.handlers["clean"](operation, unwatched) == said, "done twice it is done once"
    again = world.installation.operations.get(member.post(path).json()["id"])
    assert again is not None
    assert world.installation.handlers["clean"](again, unwatched) == "there was nothing to clean up"
    leftovers = member.get(f"/api/v1/projects/{project}/leftovers").json()
    assert leftovers["items"] == [] and leftovers["trash_days"] == 7
    assert [(e["entry"], e["actor"], e["directories"]) for e in leftovers["trash"]] == [(entry.id, "mem", 1)]
    assert leftovers["trash"][0]["bytes"] > 0
    back = f"/api/v1/projects/{project}/leftovers/{entry.id}/restore"
    assert viewer.post(back).status_code == 403
    assert member.post(back.replace(entry.id, "f3k9x2m4q7ab")).json()["code"] == "trash.not_found"
    returning = world.installation.operations.get(member.post(back).json()["id"])
    assert returning is not None and (returning.kind, returning.actor) == ("take_back", "mem")
    assert world.installation.handlers["take_back"](returning, unwatched) == "1 directory moved back from the trash"
    assert (attempt / "workspace" / "file").read_text() == "workspace"
    (kept,) = viewer.get(f"/api/v1/projects/{project}/leftovers").json()["items"]
    assert (kept["stage"], kept["id"], kept["kind"]) == (1, "detect", "failed_workspace") and kept["bytes"] > 0
    member.delete(f"/api/v1/projects/{project}")
    assert member.post(path).json()["code"] == "project.in_trash"
