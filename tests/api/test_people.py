"""What people, groups and tokens look like from outside."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests import builders
from tests.api.conftest import World
from tests.builders import an_ended_stage
from winslow_nomad.api.authority import COOKIE, CSRF
from winslow_nomad.core.access import Role
from winslow_nomad.core.messages import CreateProject, Describe, PauseProject, StartProject
from winslow_nomad.core.people import Person
from winslow_nomad.core.project import Member, Project, Sweep
from winslow_nomad.core.trigger import triggered

API = "/api/v1"
PASSWORD = "nineteen purple lanterns"


def a_project(world: World, name: str, author: str, **more: Any) -> str:
    project, pipeline = f"p-{name}", builders.a_pipeline("detect")
    command = CreateProject(actor=author, project=project, name=name, pipeline=pipeline, **more)
    return world.services.client.send(project, command).id


def logged_in(world: World, user: str, password: str = PASSWORD) -> TestClient:
    """As a page does it."""
    client = world.anonymous()
    answer = client.post(f"{API}/session", json={"user": user, "password": password})
    assert answer.status_code == 200, answer.text
    client.headers[CSRF] = answer.json()["csrf"]
    return client


# --- session


def test_a_person_is_added_logs_in_looks_who_that_is_and_logs_out(world: World, admin: TestClient) -> None:
    added = admin.post(f"{API}/users", json={"name": "ada", "display_name": "Ada", "password": PASSWORD})
    assert added.status_code == 201 and PASSWORD not in added.text
    ada = logged_in(world, "ADA ")
    session = ada.get(f"{API}/session").json()
    assert (session["user"], session["display_name"], session["role"], session["by"]) == (
        "ada",
        "Ada",
        "member",
        "password",
    )
    assert session["csrf"] == ada.headers[CSRF]
    cookie = ada.cookies[COOKIE]
    assert ada.delete(f"{API}/session").status_code == 204
    assert COOKIE not in ada.cookies
    ada.cookies.set(COOKIE, cookie)
    assert ada.get(f"{API}/session").status_code == 401


def test_a_link_lets_a_new_person_in_who_then_sets_a_password(world: World, admin: TestClient) -> None:
    admin.post(f"{API}/users", json={"name": "ada"})
    made = admin.post(f"{API}/users/ada/link").json()
    assert made["path"] == f"/login#{made['secret']}"
    ada = world.anonymous()
    session = ada.post(f"{API}/session", json={"link": made["secret"]}).json()
    ada.headers[CSRF] = session["csrf"]
    changed = ada.put(f"{API}/session/password", json={"password": PASSWORD})
    assert changed.status_code == 200, changed.text
    assert logged_in(world, "ada")
    assert world.anonymous().post(f"{API}/session", json={"link": made["secret"]}).status_code == 401


def test_a_new_password_needs_the_present_one_and_ends_the_other_sessions(world: World, admin: TestClient) -> None:
    admin.post(f"{API}/users", json={"name": "ada", "password": PASSWORD})
    here, there = logged_in(world, "ada"), logged_in(world, "ada")
    for present in ("", "wrong wrong wrong"):
        answer = here.put(f"{API}/session/password", json={"password": "a different one", "present": present})
        assert (answer.status_code, answer.json()["code"]) == (403, "password.wrong")
    before = here.cookies[COOKIE]
    answer = here.put(f"{API}/session/password", json={"password": "a different one", "present": PASSWORD})
    here.headers[CSRF] = answer.json()["csrf"]
    assert here.cookies[COOKIE] != before
    assert here.get(f"{API}/session").status_code == 200
    assert there.get(f"{API}/session").status_code == 401
    assert logged_in(world, "ada", "a different one")


def test_a_session_that_began_by_link_an_hour_ago_needs_the_present_password_again(world: World) -> None:
    class Later:
        def now(self) -> Any:
            return world.installation.clock.now() + timedelta(hours=1, seconds=1)

    client = world.signed_in("mem")
    secret = world.services.people.open_session("mem", "link").secret
    client.cookies.set(COOKIE, secret)
    client.headers[CSRF] = client.get(f"{API}/session").json()["csrf"]
    world.app.state.services = replace(world.services, clock=Later())
    assert client.put(f"{API}/session/password", json={"password": PASSWORD}).status_code == 403


def test_logging_out_everywhere_ends_all_sessions_of_the_person_and_nobody_elses(world: World) -> None:
    here, there, other = world.signed_in("mem"), world.signed_in("mem"), world.signed_in("vic")
    assert here.delete(f"{API}/session", params={"everywhere": True}).status_code == 204
    assert there.get(f"{API}/session").status_code == 401
    assert other.get(f"{API}/session").status_code == 200


def test_an_administrator_can_end_the_sessions_of_a_person_and_give_another_password(
    world: World, admin: TestClient, member: TestClient
) -> None:
    assert admin.delete(f"{API}/users/mem/sessions").status_code == 204
    assert member.get(f"{API}/session").status_code == 401
    again = world.signed_in("mem")
    assert admin.put(f"{API}/users/mem/password", json={"password": PASSWORD}).status_code == 204
    assert again.get(f"{API}/session").status_code == 401
    assert logged_in(world, "mem")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user": "ann"},
        {"password": "x"},
        {"user": "ann", "password": "x", "link": "y"},
        {"user": "ann", "link": "y"},
        {"user": ["ann"], "password": "x"},
        {"user": "ann", "password": "x" * 3000},
        {"user": "ann", "password": "x", "role": "admin"},
        [],
        "ann",
        None,
    ],
)
def test_a_log_in_that_is_no_log_in_is_refused(anonymous: TestClient, body: Any) -> None:
    answer = anonymous.post(f"{API}/session", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert COOKIE not in answer.cookies


def test_a_person_changes_the_own_name_and_address_and_nothing_else(member: TestClient) -> None:
    answer = member.patch(f"{API}/session", json={"display_name": " Mem  ", "email": "mem@example.org"})
    assert (answer.json()["display_name"], answer.json()["email"]) == ("Mem", "mem@example.org")
    for body in ({"role": "admin"}, {"name": "ann"}, {"active": False}, {"groups": ["x"]}):
        assert member.patch(f"{API}/session", json=body).status_code == 422
    assert member.get(f"{API}/session").json()["role"] == "member"


@pytest.mark.parametrize(
    "email",
    ["no", "a@b\nBcc: x@y", "a b@c", "a@b,c@d", "a@b;c@d", "<a@b>", "a@b\r\n", "a@b\x00", "@", "x" * 251 + "@b.c"],
)
def test_an_address_that_could_be_more_than_one_is_refused(member: TestClient, email: str) -> None:
    assert member.patch(f"{API}/session", json={"email": email}).status_code == 422


@pytest.mark.parametrize(
    "name", ["a\nb", "a\x1b[31mb", "a\u202eb", "a\u2066b", "a\x00", "a\x85b", "x" * 201, "a\u2028b"]
)
def test_a_shown_name_cannot_change_what_stands_around_it(member: TestClient, name: str) -> None:
    assert member.patch(f"{API}/session", json={"display_name": name}).status_code == 422


# --- users


def test_people_are_listed_in_pages_and_found_by_text(world: World, admin: TestClient) -> None:
    for n in range(5):
        admin.post(f"{API}/users", json={"name": f"u{n}", "display_name": f"Number {n}"})
    names, after = [], ""
    while True:
        page = admin.get(f"{API}/users", params={"limit": 4, "after": after}).json()
        names += [u["name"] for u in page["items"]]
        after = page["next"]
        if not after:
            break
    assert names == sorted(["ann", "mat", "mem", "vic", *(f"u{n}" for n in range(5))])
    found = admin.get(f"{API}/users", params={"text": "NUMBER 3"}).json()["items"]
    assert [u["name"] for u in found] == ["u3"]
    admin.post(f"{API}/users/u3/deactivate", json={})
    assert [u["name"] for u in admin.get(f"{API}/users", params={"active": False}).json()["items"]] == ["u3"]


def test_addresses_of_others_are_told_to_administrators_alone(
    world: World, admin: TestClient, member: TestClient, viewer: TestClient
) -> None:
    admin.patch(f"{API}/users/vic", json={"email": "vic@example.org"})
    assert "vic@example.org" not in member.get(f"{API}/users").text + member.get(f"{API}/users/vic").text
    assert "vic@example.org" in viewer.get(f"{API}/users/vic").text
    assert "vic@example.org" in admin.get(f"{API}/users").text


def test_a_role_that_is_changed_counts_with_the_next_request(admin: TestClient, member: TestClient) -> None:
    assert member.get(f"{API}/audit").status_code == 403
    assert admin.patch(f"{API}/users/mem", json={"role": "admin"}).json()["role"] == "admin"
    assert member.get(f"{API}/audit").status_code == 200


def test_what_cannot_be_is_refused_with_a_code(admin: TestClient) -> None:
    cases: list[tuple[str, str, dict[str, Any], int, str]] = [
        ("POST", "/users", {"name": "ann"}, 409, "people.name_taken"),
        ("POST", "/users", {"name": "Ann"}, 422, "people.name"),
        ("POST", "/users", {"name": "bob", "password": "short"}, 422, "password.weak"),
        ("POST", "/users", {"name": "bob", "role": "emperor"}, 422, "request.invalid"),
        ("PATCH", "/users/bob", {"role": "viewer"}, 404, "user.not_found"),
        ("PATCH", "/users/ann", {"role": "viewer"}, 409, "people.last_admin"),
        ("POST", "/users/ann/deactivate", {}, 409, "people.last_admin"),
        ("POST", "/users/bob/deactivate", {}, 404, "user.not_found"),
        ("POST", "/users/mem/deactivate", {"heir": "bob"}, 404, "user.not_found"),
        ("POST", "/users/mem/deactivate", {"heir": "mem"}, 409, "people.heir"),
        ("POST", "/users/mem/deactivate", {"heir": "vic"}, 409, "people.heir"),
        ("PUT", "/users/bob/password", {"password": PASSWORD}, 404, "user.not_found"),
        ("POST", "/users/bob/link", {}, 404, "user.not_found"),
        ("POST", "/groups", {"name": "everyone"}, 409, "people.name_taken"),
        ("POST", "/groups", {"name": "team", "owners": ["bob"]}, 404, "user.not_found"),
        ("PATCH", "/groups/none", {"title": "x"}, 404, "group.not_found"),
        ("PUT", "/groups/none/members/mem", {"role": "member"}, 404, "group.not_found"),
        ("DELETE", "/users/mem/tokens/none", {}, 404, "token.not_found"),
        ("DELETE", "/tokens/none", {}, 404, "token.not_found"),
    ]
    for method, path, body, status, code in cases:
        answer = admin.request(method, f"{API}{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
        assert answer.json()["title"] and answer.json()["request_id"]


# --- leaving


def test_who_leaves_is_out_at_once_and_the_projects_go_to_the_heir_with_what_waits_in_them(
    world: World, admin: TestClient, member: TestClient
) -> None:
    heir = Person(name="grace", role=Role.MEMBER, made=world.installation.clock.now())
    world.services.people.add(heir)
    grace = world.signed_in("grace")
    waiting, done, others = (
        a_project(world, "waiting", "mem", start=True),
        a_project(world, "done", "mem"),
        a_project(world, "others", "mat"),
    )
    token = world.with_token("mem", "read", "run")
    assert token.get(f"{API}/session").status_code == 200
    assert grace.get(f"{API}/projects/{waiting}/tokens").status_code == 404

    answer = admin.post(f"{API}/users/mem/deactivate", json={"heir": "grace"})
    assert (answer.status_code, answer.json()["passed"], answer.json()["kept"]) == (200, 2, 0)
    assert answer.json()["user"]["active"] is False
    assert member.get(f"{API}/session").status_code == 401
    assert token.get(f"{API}/session").status_code == 401
    client = world.services.client
    assert {client.project(p).author for p in (waiting, done)} == {"grace"}
    assert client.project(others).author == "mat"
    assert client.project(waiting).stages  # what was asked for goes on
    assert grace.get(f"{API}/projects/{waiting}/tokens").status_code == 200

    again = admin.post(f"{API}/users/mem/deactivate", json={"heir": "grace"}).json()
    assert (again["passed"], again["kept"]) == (0, 0)
    assert admin.post(f"{API}/users/mem/activate").json()["active"] is True
    assert token.get(f"{API}/session").status_code == 401


def test_who_leaves_without_an_heir_keeps_the_projects_and_one_may_be_named_later(
    world: World, admin: TestClient
) -> None:
    for n in range(3):
        a_project(world, f"n{n}", "mem")
    answer = admin.post(f"{API}/users/mem/deactivate", json={}).json()
    assert (answer["passed"], answer["kept"]) == (0, 3)
    answer = admin.post(f"{API}/users/mem/deactivate", json={"heir": "mat"}).json()
    assert (answer["passed"], answer["kept"]) == (3, 0)


# --- groups


def test_owners_of_a_group_say_who_is_in_it_and_no_other_member_does(world: World, admin: TestClient) -> None:
    member, maintainer = world.signed_in("mem"), world.signed_in("mat")
    made = admin.post(f"{API}/groups", json={"name": "team", "title": "The team", "owners": ["mem"]})
    assert made.status_code == 201 and made.json()["members"] == [{"user": "mem", "role": "owner"}]
    taken = member.put(f"{API}/groups/team/members/mat", json={"role": "member"})
    assert taken.status_code == 200, taken.text
    assert member.patch(f"{API}/groups/team", json={"title": "Ours"}).json()["title"] == "Ours"
    for answer in (
        maintainer.put(f"{API}/groups/team/members/vic", json={}),
        maintainer.delete(f"{API}/groups/team/members/mem"),
        maintainer.patch(f"{API}/groups/team", json={"title": "Mine"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "access.denied")
    assert member.delete(f"{API}/groups/team/members/mat").status_code == 200
    assert member.delete(f"{API}/groups/team").status_code == 403


def test_a_group_opens_a_project_for_its_members_until_they_or_it_are_gone(
    world: World, admin: TestClient, viewer: TestClient
) -> None:
    participants = (Member(user="@team", role="maintainer"),)
    project = a_project(world, "shared", "ann", participants=participants)
    member = world.signed_in("mem")
    path = f"{API}/projects/{project}/tokens"
    assert member.get(path).status_code == 404
    admin.post(f"{API}/groups", json={"name": "team", "owners": ["mem"]})
    assert member.get(path).status_code == 200
    admin.delete(f"{API}/groups/team/members/mem")
    assert member.get(path).status_code == 404
    admin.put(f"{API}/groups/team/members/mem", json={})
    assert member.get(path).status_code == 200
    assert admin.delete(f"{API}/groups/team").status_code == 204
    assert member.get(path).status_code == 404
    assert admin.post(f"{API}/groups", json={"name": "team", "owners": ["mem"]}).status_code == 409
    assert viewer.get(f"{API}/groups").json() == {"items": [], "next": ""}


# --- tokens


def test_a_token_is_shown_once_works_and_is_withdrawn(world: World, member: TestClient) -> None:
    made = member.post(f"{API}/tokens", json={"name": "nightly", "scopes": ["read"], "days": 7})
    assert made.status_code == 201
    secret = made.json()["secret"]
    bearer = world.anonymous()
    bearer.headers["Authorization"] = f"Bearer {secret}"
    who = bearer.get(f"{API}/session").json()
    assert (who["user"], who["by"], who["scopes"], who["csrf"]) == ("mem", "token", ["read"], "")
    listed = member.get(f"{API}/tokens")
    assert secret not in listed.text
    assert listed.json()["items"][0]["used"] is not None
    assert member.delete(f"{API}/tokens/{made.json()['id']}").status_code == 204
    assert bearer.get(f"{API}/session").status_code == 401


def test_no_token_can_make_another_or_change_the_account(world: World) -> None:
    bearer = world.with_token("ann", "read", "run", "files", "manage", "trigger")
    for method, path, body in (
        ("GET", "/tokens", None),
        ("POST", "/tokens", {"name": "x", "scopes": ["manage"]}),
        ("PATCH", "/session", {"display_name": "x"}),
        ("PUT", "/session/password", {"password": PASSWORD}),
    ):
        answer = bearer.request(method, f"{API}{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "access.denied"), path


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": "", "scopes": ["read"]},
        {"name": "a\nb", "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "days": 0},
        {"name": "x", "scopes": ["read"], "days": 100000},
        {"name": "x", "scopes": ["read"], "user": "ann"},
    ],
)
def test_a_token_that_cannot_be_is_refused(member: TestClient, body: dict[str, Any]) -> None:
    assert member.post(f"{API}/tokens", json=body).status_code == 422


def test_a_token_belongs_to_who_made_it(world: World, admin: TestClient, member: TestClient) -> None:
    made = member.post(f"{API}/tokens", json={"name": "mine", "scopes": ["read"]}).json()
    maintainer = world.signed_in("mat")
    assert maintainer.get(f"{API}/tokens").json()["items"] == []
    assert maintainer.delete(f"{API}/tokens/{made['id']}").status_code == 404
    assert [t["id"] for t in admin.get(f"{API}/users/mem/tokens").json()["items"]] == [made["id"]]
    assert admin.delete(f"{API}/users/mem/tokens/{made['id']}").status_code == 204
    assert member.get(f"{API}/tokens").json()["items"] == []


# --- triggers


def test_a_trigger_token_runs_its_project_and_does_nothing_else(world: World, member: TestClient) -> None:
    project, other = a_project(world, "ours", "mem"), a_project(world, "other", "mem")
    made = member.post(f"{API}/projects/{project}/tokens", json={"name": "camera"})
    assert made.status_code == 201, made.text
    bearer = world.anonymous()
    bearer.headers["Authorization"] = f"Bearer {made.json()['secret']}"
    answer = bearer.post(f"{API}/trigger/{project}")
    assert (answer.status_code, answer.json()["started"]) == (200, True), answer.text
    found = world.services.client.project(project)
    assert [s.definition.id for s in found.stages.values()] == ["detect"]
    again = bearer.post(f"{API}/trigger/{project}").json()
    assert (again["started"], again["version"]) == (False, found.version)
    assert bearer.post(f"{API}/trigger/{other}").status_code == 404
    assert bearer.get(f"{API}/users").status_code == 403
    assert bearer.get(f"{API}/projects/{project}/tokens").status_code == 403
    assert member.delete(f"{API}/projects/{other}/tokens/{made.json()['id']}").status_code == 404
    assert member.delete(f"{API}/projects/{project}/tokens/{made.json()['id']}").status_code == 204
    assert bearer.post(f"{API}/trigger/{project}").status_code == 401


def test_a_trigger_that_is_sent_again_with_its_key_starts_nothing_twice(world: World) -> None:
    project = a_project(world, "ours", "mem")
    bearer = world.with_token("mem", "trigger", project=project)
    key = {"Idempotency-Key": "camera-1"}
    first = bearer.post(f"{API}/trigger/{project}", headers=key).json()
    assert first["started"] is True
    bearer.post(f"{API}/trigger/{project}", headers=key)
    assert len(world.services.client.project(project).stages) == 1


def test_a_trigger_of_who_lost_the_project_is_worth_nothing(world: World) -> None:
    project = a_project(world, "ours", "ann", participants=(Member(user="mem", role="maintainer"),))
    bearer = world.with_token("mem", "trigger", project=project)
    world.services.client.send(project, Describe(actor="ann", participants=()))
    assert bearer.post(f"{API}/trigger/{project}").status_code == 404


def commands(project: Project, stage: str = "", *, single: bool = False) -> list[dict[str, Any]]:
    found = triggered(project, stage, single=single, actor="mem", comment="triggered")
    return [{"kind": c.kind, **c.but(actor="").model_dump(exclude_defaults=True)} for c in found]


def test_a_trigger_repeats_what_ran_last_and_starts_what_never_ran() -> None:
    fresh = builders.a_project()
    assert commands(fresh) == [{"kind": "start_project"}]
    assert commands(fresh, single=True) == [{"kind": "resume_project", "single": True}]
    ran = fresh.but(ended={1: an_ended_stage(1, "detect"), 2: an_ended_stage(2, "detect")})
    assert commands(ran) == [{"kind": "redo_stage", "stage": 2, "comment": "triggered"}]
    assert commands(ran, single=True) == [
        {"kind": "redo_stage", "stage": 2, "comment": "triggered", "resume": False},
        {"kind": "resume_project", "single": True},
    ]
    last = [s.id for s in fresh.pipeline.stages][-1]
    assert commands(fresh, last) == [{"kind": "enqueue_stage", "id": last, "comment": "triggered"}]
    busy = ran.but(stages={3: builders.a_running_stage(3, "detect")})
    assert commands(busy) == []


def test_a_trigger_repeats_a_sweep_as_a_sweep(world: World) -> None:
    sweep = Sweep(
        number=1,
        id="detect",
        grid={"AREA": ("1", "2")},
        total=2,
        next=2,
        max_running=3,
        on_failure="stop",
        closed=True,
        workspace="nested",
    )
    ended = an_ended_stage(2, "detect").but(sweep=1, point={"AREA": "2"})
    project = builders.a_project().but(sweeps={1: sweep}, ended={2: ended})
    (found,) = commands(project)
    assert found["sweep"] == {"AREA": ("1", "2")}
    assert (found["sweep_workspace"], found["max_running"]) == ("nested", 3)


def test_a_trigger_ends_a_pause_unless_it_is_for_one_stage(world: World, member: TestClient) -> None:
    project = a_project(world, "ours", "mem")
    client = world.services.client
    client.send(project, PauseProject(actor="mem"))
    assert member.post(f"{API}/trigger/{project}", json={}).json()["started"] is True
    assert client.project(project).pause is None
    unknown = member.post(f"{API}/trigger/{project}", json={"stage": "none"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "stage.unknown")
    assert client.send(project, StartProject(actor="mem")).stages


# --- audit


def audit(admin: TestClient, **query: Any) -> list[dict[str, Any]]:
    answer = admin.get(f"{API}/audit", params=query)
    assert answer.status_code == 200
    return list(answer.json()["items"])


def test_the_audit_tells_who_did_what_to_whom_from_where_and_how_it_ended(
    world: World, admin: TestClient, member: TestClient
) -> None:
    done = admin.patch(f"{API}/users/mem", json={"role": "viewer"}, headers={"X-Request-Id": "abc.1"})
    assert done.headers["X-Request-Id"] == "abc.1"
    member.post(f"{API}/groups", json={"name": "mine"})
    admin.post(f"{API}/users", json={"name": "ann"})
    newest, denied, changed = audit(admin)[:3]
    assert (changed["actor"], changed["what"], changed["target"], changed["about"]) == (
        "ann",
        "change_user",
        {"user": "mem"},
        {"role": "viewer"},
    )
    assert (changed["outcome"], changed["status"], changed["request"]) == ("done", 200, "abc.1")
    assert changed["address"] == "testclient"
    assert (denied["actor"], denied["what"], denied["outcome"], denied["status"]) == ("mem", "add_group", "denied", 403)
    assert (newest["what"], newest["outcome"], newest["status"]) == ("add_user", "refused", 409)
    assert [e["actor"] for e in audit(admin, outcome="denied")] == ["mem"]
    assert [e["what"] for e in audit(admin, actor="ann", what="change_user")] == ["change_user"]


def test_looking_at_a_project_that_must_not_be_seen_is_written_down_as_denied(
    world: World, admin: TestClient, member: TestClient
) -> None:
    project = a_project(world, "secret", "ann")
    member.get(f"{API}/projects/{project}/tokens")
    member.get(f"{API}/projects/p-none/tokens")
    found = audit(admin, actor="mem")
    assert [(e["outcome"], e["status"], e["target"]) for e in found] == [("denied", 404, {"project": project})]


def test_a_token_that_was_used_stands_in_the_audit_by_its_name(world: World, admin: TestClient) -> None:
    world.with_token("ann", "manage").post(f"{API}/groups", json={"name": "team"})
    assert [(e["actor"], e["token"]) for e in audit(admin, what="add_group")] == [("ann", "test")]


def test_failed_log_ins_name_whose_account_was_tried_but_nothing_that_may_be_a_password(
    world: World, admin: TestClient, anonymous: TestClient
) -> None:
    for user in ("mem", "hunter2-in-the-wrong-field"):
        anonymous.post(f"{API}/session", json={"user": user, "password": "wrong wrong"})
    text = str(audit(admin))
    assert "'user': 'mem'" in text and "hunter2" not in text


def test_strangers_cannot_fill_the_store_with_the_audit_of_their_attempts(world: World, admin: TestClient) -> None:
    stranger = world.anonymous()
    stranger.headers["Authorization"] = "Bearer wn_x_y"
    for _ in range(90):
        stranger.post(f"{API}/groups", json={"name": "x"})
    found = audit(admin, limit=500)
    assert 50 <= len(found) <= 65
    admin.post(f"{API}/groups", json={"name": "x"})
    assert audit(admin)[0]["what"] == "add_group"  # people who are known are written down always
