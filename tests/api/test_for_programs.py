"""What the API has for programs: whole records, folders of code, sums of files, a log that can be gone on with, and
a token that withdraws itself."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import Served, World
from tests.api.logged import ended, log_of, running
from tests.api.test_pipelines_library import FOLDER, zipped
from tests.api.test_projects import TEXT, new
from tests.waiting import until
from winslow_nomad import __version__
from winslow_nomad.core.project import Project

API = "/api/v1"
LOG = f"{API}/projects/p1/stages/1/log"


def test_the_record_of_a_project_is_what_the_core_keeps_with_secrets_masked(world: World, member: TestClient) -> None:
    made = new(member, secrets={"LICENCE": "very-secret-text"}, values={"MIN_AREA": "340"})
    answer = member.get(f"{API}/projects/{made['id']}/record")
    found = Project.model_validate_json(answer.text)
    kept = world.services.client.project(made["id"])
    assert found == kept.but(secrets={"LICENCE": "********"})
    assert answer.headers["etag"] == f'"{kept.version}"'
    unchanged = {"If-None-Match": answer.headers["etag"]}
    assert member.get(f"{API}/projects/{made['id']}/record", headers=unchanged).status_code == 304


def test_with_a_record_comes_the_place_from_which_to_hear_what_happens_since(member: TestClient) -> None:
    made = new(member)
    cursor = member.get(f"{API}/projects/{made['id']}/record").headers["winslow-cursor"]
    assert member.get(f"{API}/events", params={"cursor": cursor}).json()["items"] == []
    member.post(f"{API}/projects/{made['id']}/commands", json={"kind": "add_comment", "text": "x"})
    assert len(member.get(f"{API}/events", params={"cursor": cursor}).json()["items"]) == 1


def test_a_secret_given_as_a_value_of_a_stage_is_masked_in_the_record(world: World, member: TestClient) -> None:
    made = new(member, start=True)
    command = {
        "kind": "enqueue_stage", "id": "detect", "overrides": {"environment": {"LICENCE": "hush-hush"}},
        "sweep": {"MIN_AREA": ["30", "40"]},
    }  # fmt: skip
    assert member.post(f"{API}/projects/{made['id']}/commands", json=command).status_code == 200
    assert "hush-hush" in world.services.client.project(made["id"]).model_dump_json()
    record = member.get(f"{API}/projects/{made['id']}/record")
    assert "hush-hush" not in record.text and Project.model_validate_json(record.text).sweeps[1].total == 2


def test_who_may_not_see_a_project_gets_no_record_of_it(member: TestClient, viewer: TestClient) -> None:
    made = new(member, participants=[])
    assert viewer.get(f"{API}/projects/{made['id']}/record").status_code == 404


def test_everybody_is_told_whom_they_speak_with(member: TestClient, world: World) -> None:
    assert member.get(f"{API}/about").json() == {
        "version": __version__, "driver": "local", "active": "", "nomad_ui": "",
    }  # fmt: skip
    trigger = world.with_token("mem", "trigger")
    assert trigger.get(f"{API}/about").status_code == 200


def test_a_list_goes_on_behind_a_project(member: TestClient, admin: TestClient) -> None:
    made = [new(member, name)["id"] for name in ("one", "two", "three")]
    private = new(admin, "private", participants=[])["id"]
    rows = member.get(f"{API}/projects", params={"behind": made[1]}).json()["items"]
    assert [row["name"] for row in rows] == ["one"]
    assert member.get(f"{API}/projects", params={"behind": private}).status_code == 404
    assert member.get(f"{API}/projects", params={"behind": made[1], "sort": "name"}).status_code == 422


# --- folders of code


def test_a_folder_is_checked_and_kept_and_a_project_is_made_of_it(world: World, member: TestClient) -> None:
    archive = zipped({"pipeline.yaml": FOLDER, "detect.py": "print(1)"})
    checked = member.post(f"{API}/pipelines/validate/folder", content=archive).json()
    assert (checked["valid"], checked["text"], checked["pipeline"]["name"]) == (True, FOLDER, "traffic")
    body = {"name": "from a folder", "pipeline": {"folder": checked["folder"]}}
    made = member.post(f"{API}/projects", json=body).json()
    assert made["pipeline"]["folder"] == checked["folder"]
    assert member.get(f"{API}/pipelines").json()["items"] == []  # the library is as it was


def test_a_mistake_in_a_folder_is_told_with_its_place_and_not_with_one_of_the_server(member: TestClient) -> None:
    archive = zipped({"pipeline.yaml": "winslow: 1\nname: x\nstages:\n  - {id: a, comand: [b]}\n"})
    checked = member.post(f"{API}/pipelines/validate/folder", content=archive).json()
    assert (checked["valid"], checked["folder"]) == (False, "")
    assert [(e["file"], e["line"]) for e in checked["errors"]] == [("pipeline.yaml", 4)] * len(checked["errors"])


@pytest.mark.parametrize("digest", ["5c" * 32, "../../../etc/passwd", "x"])
def test_a_folder_that_nobody_brought_is_not_there(member: TestClient, digest: str) -> None:
    answer = member.post(f"{API}/projects", json={"name": "x", "pipeline": {"folder": digest}})
    assert (answer.status_code, answer.json()["code"]) == (404, "pipeline.folder_unknown")


def test_a_project_gets_the_pipeline_of_a_folder_or_of_the_library(member: TestClient) -> None:
    made = new(member)
    archive = zipped({"pipeline.yaml": FOLDER, "detect.py": "print(1)"})
    folder = member.post(f"{API}/pipelines/validate/folder", content=archive).json()["folder"]
    commands = f"{API}/projects/{made['id']}/commands"
    after = member.post(commands, json={"kind": "edit_pipeline", "folder": folder}).json()
    assert after["pipeline"]["folder"] == folder
    kept = member.post(commands, json={"kind": "edit_pipeline", "text": FOLDER.replace("300", "310")}).json()
    assert kept["pipeline"]["folder"] == folder and kept["pipeline"]["edited"]
    alone = member.post(commands, json={"kind": "edit_pipeline", "text": TEXT, "keep_folder": False}).json()
    assert alone["pipeline"]["folder"] is None
    member.post(f"{API}/pipelines", json={"text": TEXT.replace("300", "333")})
    listed = member.post(commands, json={"kind": "edit_pipeline", "library": "traffic"}).json()
    assert listed["pipeline"]["parameters"]["MIN_AREA"]["default"] == "333"
    neither = member.post(commands, json={"kind": "edit_pipeline"})
    assert neither.status_code == 422
    assert member.put(f"{API}/projects/{made['id']}/pipeline", json={"text": ""}).status_code == 422


# --- sums


def test_the_sum_of_a_file_is_told_with_its_tag(member: TestClient) -> None:
    data = b"frame" * 1_000_000
    put = member.put(f"{API}/files/inputs/content", params={"path": "a b/ü.mp4"}, content=data).json()
    answer = member.get(f"{API}/files/inputs/sum", params={"path": "a b/ü.mp4"})
    last = json.loads(answer.text.splitlines()[-1])
    assert last == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "tag": put["tag"]}
    assert member.get(f"{API}/files/inputs/sum", params={"path": "a b"}).status_code in (409, 422)
    assert member.get(f"{API}/files/inputs/sum", params={"path": "nothing"}).status_code == 404


# --- logs


def chunks(answer: Any) -> tuple[bytes, bool]:
    """The bytes, and whether it was said that there are no more."""
    found = [json.loads(line) for line in answer.text.splitlines()]
    data = b"".join(base64.b64decode(c["data"]) for c in found if "data" in c)
    return data, bool(found) and found[-1] == {"end": True}


def test_a_log_is_gone_on_with_at_the_byte_where_it_was_left(world: World, viewer: TestClient) -> None:
    ended(world)
    log = log_of(world)
    log.write(0, b"one\ntwo\n")
    log.write(1, b"warning\n")
    log.write(0, b"three\n")
    whole = chunks(viewer.get(f"{LOG}/follow", params={"format": "chunks"}))
    assert whole == (b"one\ntwo\nwarning\nthree\n", True)
    for offset in range(len(whole[0]) + 1):
        found = chunks(viewer.get(f"{LOG}/follow", params={"format": "chunks", "offset": offset}))
        assert found == (whole[0][offset:], True)


def test_what_is_there_now_is_told_without_waiting_for_more(world: World, viewer: TestClient) -> None:
    running(world)
    log_of(world).write(0, b"half a li")
    answer = viewer.get(f"{LOG}/follow", params={"format": "chunks", "wait": False})
    assert chunks(answer) == (b"half a li", True) and answer.headers["winslow-attempt"] == "1"


def test_a_server_that_is_told_to_end_does_not_say_that_the_log_has_ended(served: Served) -> None:
    running(served.world)
    log_of(served.world).write(0, b"before\n")
    lines: list[str] = []

    def read() -> None:
        with served.signed_in("vic").stream("GET", f"{LOG}/follow", params={"format": "chunks"}) as answer:
            lines.extend(answer.iter_lines())

    reader = threading.Thread(target=read)
    reader.start()
    until(lambda: lines)
    served.end()
    reader.join(20)
    assert not reader.is_alive() and len(lines) == 1 and "data" in lines[0]


# --- tokens


def test_a_token_withdraws_itself_and_nothing_else(world: World, member: TestClient) -> None:
    client, other = world.with_token("mem", "read"), world.with_token("mem", "read")
    assert client.delete(f"{API}/session").status_code == 204
    assert client.get(f"{API}/session").status_code == 401
    assert other.get(f"{API}/session").status_code == 200 and member.get(f"{API}/session").status_code == 200


def test_a_stream_in_which_nothing_happens_says_that_it_is_there() -> None:
    import asyncio
    from collections.abc import AsyncIterator

    from winslow_nomad.api.following import with_beats

    async def slow(go: asyncio.Event) -> AsyncIterator[int]:
        yield 1
        await go.wait()
        yield 2

    async def follow() -> list[int | None]:
        go, found = asyncio.Event(), []
        async for one in with_beats(slow(go), 0.01):
            found.append(one)
            if found.count(None) == 2:
                go.set()
        return found

    assert asyncio.run(follow()) == [1, None, None, 2]
