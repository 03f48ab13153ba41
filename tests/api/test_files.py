"""Files over REST: what comes out is what went in, and nothing of an ended stage changes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tests.api import tus
from tests.api.conftest import Served, World, make_world
from tests.api.standing import ground, member, served, standing, world
from tests.faults.system import a_share
from tests.resources.some import NOW
from tests.waiting import until
from winslow_nomad.api.delivery import disposition
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import Role
from winslow_nomad.core.errors import Conflict, Refused
from winslow_nomad.core.people import Group, Person
from winslow_nomad.core.pipeline import Pipeline, StageDefinition
from winslow_nomad.core.stage import Cause, Outcome
from winslow_nomad.resources import unpacking
from winslow_nomad.store.embedded import Embedded

__all__ = ["ground", "member", "served", "standing", "world"]

FILES = "/api/v1/files"
INPUTS = f"{FILES}/inputs"


def inputs(world: World) -> Path:
    folder = world.installation.settings.share / "inputs"
    world.installation.scribe  # noqa: B018 - makes the share
    folder.mkdir(exist_ok=True)
    return folder


def put(client: Any, path: str, content: bytes = b"content", space: str = "inputs", **headers: str) -> Any:
    return client.put(f"{FILES}/{space}/content", params={"path": path}, content=content, headers=headers)


def names(client: Any, path: str = "", space: str = "inputs") -> list[str]:
    answer = client.get(f"{FILES}/{space}/list", params={"path": path})
    assert answer.status_code == 200, answer.text
    return [e["name"] for e in answer.json()["items"]]


def problem(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


# --- looking


@pytest.mark.chaos
def test_the_pages_of_a_hundred_thousand_files_come_quickly_and_in_order(world: World, member: TestClient) -> None:
    folder = inputs(world) / "frames"
    folder.mkdir()
    base = os.open(folder, os.O_RDONLY)
    for n in range(100_000):
        os.close(os.open(f"{n:06d}.png", os.O_CREAT | os.O_WRONLY, dir_fd=base))
    os.close(base)
    seen: list[str] = []
    after, slowest = "", 0.0
    for _ in range(5):
        begin = time.perf_counter()
        page = member.get(f"{INPUTS}/list", params={"path": "frames", "limit": 1000, "after": after}).json()
        slowest = max(slowest, time.perf_counter() - begin)
        seen += [e["name"] for e in page["items"]]
        after = page["next"]
    assert seen == [f"{n:06d}.png" for n in range(5000)]
    assert slowest < 5, "a page of a large folder takes far too long"
    last = member.get(f"{INPUTS}/list", params={"path": "frames", "limit": 3, "sort": "-name"}).json()["items"]
    assert [e["name"] for e in last] == ["099999.png", "099998.png", "099997.png"]
    shutil.rmtree(folder)


def test_what_is_wrong_with_a_question_is_said(member: TestClient) -> None:
    assert problem(member.get(f"{INPUTS}/info", params={"path": "none"})) == (404, "path.not_found")
    assert problem(member.get(f"{INPUTS}/list", params={"limit": 0})) == (422, "request.invalid")
    assert problem(member.get(f"{INPUTS}/list", params={"after": "x"})) == (422, "cursor.invalid")
    assert problem(member.get(f"{FILES}/nowhere/list")) == (422, "space.unknown")
    assert problem(member.get(f"{FILES}/project:none/list")) == (404, "project.not_found")
    assert problem(member.get(f"{INPUTS}/content", params={"path": ""})) == (422, "path.not_a_file")


# --- bringing in


def test_a_small_file_is_brought_in_and_not_replaced_unasked(world: World, member: TestClient) -> None:
    made = put(member, "a/b/c.txt", b"one")
    assert made.status_code == 201
    tag = made.headers["etag"]
    assert tag == f'"{made.json()["tag"]}"'
    assert problem(put(member, "a/b/c.txt", b"two")) == (409, "path.taken")
    assert problem(put(member, "a/b/c.txt", b"two", **{"If-None-Match": "*"})) == (412, "path.taken")
    assert problem(put(member, "a/b/c.txt", b"two", **{"If-Match": '"other"'})) == (412, "path.version")
    assert problem(put(member, "a/b/new", b"two", **{"If-Match": tag})) == (412, "path.version")
    assert (inputs(world) / "a/b/c.txt").read_bytes() == b"one"
    replaced = put(member, "a/b/c.txt", b"two", **{"If-Match": tag})
    assert replaced.status_code == 200
    assert replaced.headers["etag"] != tag
    assert (inputs(world) / "a/b/c.txt").read_bytes() == b"two"
    (entry,) = world.installation.trash.entries()
    assert (entry.actor, entry.paths) == ("mem", ("inputs/a/b/c.txt",))


def test_what_is_too_large_for_one_request_is_refused_before_it_is_read(world: World, member: TestClient) -> None:
    answer = put(member, "big", b"x" * (8 * 1024 * 1024 + 1))
    assert problem(answer) == (411, "request.length")
    assert problem(member.put(f"{INPUTS}/content?path=x", content=iter([b"x"]))) == (411, "request.length")
    assert put(member, "fits", b"x" * (8 * 1024 * 1024)).status_code == 201
    assert names(member) == ["fits"]


@pytest.mark.parametrize("name", ["a\nb", "a\x7f", "a\u0085", " a", "a ", "x\u202egpj.exe", "\x1b[31m"])
def test_a_name_that_nobody_could_see_or_type_is_not_given(world: World, member: TestClient, name: str) -> None:
    assert problem(put(member, name)) == (422, "name.invalid")
    assert problem(member.post(f"{INPUTS}/folders", json={"path": name})) == (422, "name.invalid")
    put(member, "good")
    assert problem(member.post(f"{INPUTS}/rename", json={"from": "good", "to": name})) == (422, "name.invalid")


@pytest.mark.parametrize("name", ["🎬 film.mp4", "naïve", "-rf", "$(reboot)", "a'b\"c", "日本.csv", "%2e%2e", "x" * 99])
def test_names_of_people_are_kept(world: World, member: TestClient, name: str) -> None:
    assert put(member, f"d/{name}", b"mine").status_code == 201
    assert names(member, "d") == [name]
    assert member.get(f"{INPUTS}/content", params={"path": f"d/{name}"}).content == b"mine"
    assert (inputs(world) / "d" / name).read_bytes() == b"mine"


def test_a_file_whose_name_is_no_text_can_be_fetched_renamed_and_deleted(world: World, member: TestClient) -> None:
    place = inputs(world) / os.fsdecode(b"gr\xfc\xdfe.txt")
    place.write_bytes(b"hello")
    (entry,) = member.get(f"{INPUTS}/list").json()["items"]
    assert member.get(f"{INPUTS}/content", params={"path": entry["path"]}).content == b"hello"
    moved = member.post(f"{INPUTS}/rename", json={"from": entry["path"], "to": "grüße.txt"})
    assert moved.json()["path"] == "grüße.txt"
    assert member.delete(f"{INPUTS}/content", params={"path": "grüße.txt"}).status_code == 200


# --- changing


def test_folders_and_files_are_made_moved_and_deleted(world: World, member: TestClient) -> None:
    assert member.post(f"{INPUTS}/folders", json={"path": "a/b"}).status_code == 201
    assert problem(member.post(f"{INPUTS}/folders", json={"path": "a/b"})) == (409, "path.taken")
    put(member, "a/one", b"1")
    put(member, "a/two", b"2")
    move = {"from": "a/one", "to": "c/d/uno"}
    assert member.post(f"{INPUTS}/rename", json=move).json()["path"] == "c/d/uno"
    assert problem(member.post(f"{INPUTS}/rename", json={"from": "a/two", "to": "c/d/uno"})) == (409, "path.taken")
    over = {"from": "a/two", "to": "c/d/uno", "overwrite": True}
    assert member.post(f"{INPUTS}/rename", json=over).status_code == 200
    assert (inputs(world) / "c/d/uno").read_bytes() == b"2"
    assert problem(member.post(f"{INPUTS}/rename", json={"from": "a", "to": "a/b/a"})) == (409, "path.into_itself")
    assert problem(member.post(f"{INPUTS}/rename", json={"from": "none", "to": "x"})) == (404, "path.not_found")
    gone = member.delete(f"{INPUTS}/content", params={"path": "c"}).json()["trash"]
    assert names(member) == ["a"]
    world.installation.trash.restore(gone, NOW)
    assert (inputs(world) / "c/d/uno").read_bytes() == b"2"


def test_what_was_deleted_is_taken_back(world: World, police: TestClient, viewer: TestClient) -> None:
    put(police, "a/clip", b"one")
    put(police, "cases/clip", b"two")
    police.put(f"{INPUTS}/access?path=cases", json={"groups": ["police"]})
    gone = [police.delete(f"{INPUTS}/content", params={"path": p}).json()["trash"] for p in ("a", "cases/clip")]
    there = police.get(f"{INPUTS}/trash").json()["items"]
    assert [(t["id"], t["path"], t["actor"]) for t in there] == [
        (gone[1], "cases/clip", "mem"),
        (gone[0], "a", "mem"),
    ]
    assert [t["path"] for t in viewer.get(f"{INPUTS}/trash").json()["items"]] == ["a"]
    assert viewer.post(f"{INPUTS}/trash/{gone[0]}/restore").status_code == 403
    put(police, "a", b"another")
    taken = police.post(f"{INPUTS}/trash/{gone[0]}/restore")
    assert problem(taken) == (409, "path.taken")
    police.delete(f"{INPUTS}/content", params={"path": "a"})
    assert police.post(f"{INPUTS}/trash/{gone[0]}/restore").json()["path"] == "a"
    assert (inputs(world) / "a/clip").read_bytes() == b"one"
    assert problem(police.post(f"{INPUTS}/trash/{gone[0]}/restore")) == (404, "trash.not_found")
    for hostile in ("..", "restored", gone[0] + "%2f..", ".", "f" * 99):
        assert police.post(f"{INPUTS}/trash/{hostile}/restore").status_code in (404, 405), hostile


def test_nothing_is_moved_over_a_folder(world: World, member: TestClient) -> None:
    for name in ("a", "b"):
        member.post(f"{INPUTS}/folders", json={"path": name})
    put(member, "file")
    for source in ("a", "file"):
        answer = member.post(f"{INPUTS}/rename", json={"from": source, "to": "b", "overwrite": True})
        assert problem(answer) == (409, "path.taken")
    assert sorted(names(member)) == ["a", "b", "file"]


def test_a_link_is_deleted_and_not_what_it_leads_to(world: World, member: TestClient) -> None:
    put(member, "real")
    (inputs(world) / "link").symlink_to("real")
    assert member.delete(f"{INPUTS}/content", params={"path": "link"}).status_code == 200
    assert names(member) == ["real"]


def test_a_viewer_looks_and_changes_nothing(world: World, member: TestClient, viewer: TestClient) -> None:
    put(member, "a")
    assert names(viewer) == ["a"]
    assert put(viewer, "b").status_code == 403
    assert viewer.delete(f"{INPUTS}/content", params={"path": "a"}).status_code == 403
    assert names(member) == ["a"]


def test_a_mapped_folder_is_read_only(world: World, member: TestClient, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"film")
    world.installation.files.tree.mapped["recordings"] = tmp_path
    assert names(member, "recordings") == ["clip.mp4"]
    for answer in (
        put(member, "recordings/x"),
        member.delete(f"{INPUTS}/content", params={"path": "recordings/clip.mp4"}),
        member.post(f"{INPUTS}/rename", json={"from": "recordings/clip.mp4", "to": "x"}),
        member.post(f"{INPUTS}/folders", json={"path": "recordings/x/y"}),
    ):
        assert problem(answer) == (409, "path.read_only")
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


# --- groups of the pool's folders


@pytest.fixture
def police(world: World) -> TestClient:
    people = world.services.people
    with suppress(Refused):
        people.add_group(Group(name="police", made=world.installation.clock.now()))
    people.set_member("police", "mem", "member")
    return world.signed_in("mem")


def test_a_folder_of_a_group_is_there_for_its_members(world: World, police: TestClient, viewer: TestClient) -> None:
    put(police, "cases/7/clip.mp4", b"film")
    answer = police.put(f"{INPUTS}/access?path=cases", json={"groups": ["police"]})
    assert answer.json()["groups"] == ["police"]
    assert police.get(f"{INPUTS}/access?path=cases").json() == {"groups": ["police"]}
    assert names(viewer) == []
    for route in ("info", "list", "content", "archive", "text", "series", "preview", "access"):
        for path in ("cases", "cases/7", "cases/7/clip.mp4", "cases/none"):
            got = viewer.get(f"{INPUTS}/{route}", params={"path": path})
            assert problem(got) == (404, "path.not_found"), route
    assert names(world.signed_in("mat")) == ["cases"]
    files = world.services.files
    may = {u: files.may_read(principal(world, u), "cases/7/clip.mp4") for u in ("mem", "vic", "mat")}
    assert may == {"mem": True, "vic": False, "mat": True}


def principal(world: World, user: str) -> Any:
    people = world.services.people
    return people.of_session(people.open_session(user, "password").secret)


def test_who_sees_a_folder_goes_with_its_name(world: World, police: TestClient, viewer: TestClient) -> None:
    put(police, "cases/7/clip.mp4")
    put(police, "open/x")
    police.put(f"{INPUTS}/access?path=cases/7", json={"groups": ["police"]})
    police.post(f"{INPUTS}/rename", json={"from": "cases", "to": "open/old"})
    assert names(viewer, "open/old") == []
    assert names(police, "open/old") == ["7"]
    police.post(f"{INPUTS}/rename", json={"from": "open/old/7", "to": "moved"})
    assert sorted(names(viewer)) == ["open"]
    police.put(f"{INPUTS}/access?path=moved", json={"groups": []})
    assert sorted(names(viewer)) == ["moved", "open"]


def test_nobody_locks_a_folder_for_groups_of_others(world: World, police: TestClient) -> None:
    with suppress(Refused):
        world.services.people.add_group(Group(name="press", made=world.installation.clock.now()))
    put(police, "cases/clip.mp4")
    assert police.put(f"{INPUTS}/access?path=cases", json={"groups": ["press"]}).status_code == 403
    assert world.signed_in("mat").put(f"{INPUTS}/access?path=cases", json={"groups": ["none"]}).status_code == 404
    assert world.signed_in("mat").put(f"{INPUTS}/access?path=cases", json={"groups": ["press"]}).status_code == 200
    assert names(police) == []
    assert problem(put(police, "cases/new")) == (404, "path.not_found")
    assert problem(police.post(f"{INPUTS}/folders", json={"path": "cases/new"})) == (404, "path.not_found")


VALUES = """\
winslow: 1
name: watching
parameters:
  VIDEO: {type: file, title: Video}
  MORE: {type: files, default: "open/a"}
  ALL: {type: folder, default: "open"}
stages:
  - {id: detect, command: ["true"]}
"""


def test_a_stage_is_given_only_what_its_people_may_read(world: World, police: TestClient) -> None:
    put(police, "cases/clip.mp4")
    put(police, "open/a")
    (inputs(world) / "open" / "round").symlink_to("../cases/clip.mp4")
    police.put(f"{INPUTS}/access?path=cases", json={"groups": ["police"]})
    with suppress(Conflict, Refused):
        world.services.people.add(Person(name="out", role=Role.MEMBER, made=world.installation.clock.now()))
    outsider = world.signed_in("out")

    def made(client: TestClient, **values: str) -> Any:
        body = {"name": "watch", "pipeline": {"text": VALUES}, "values": values}
        return client.post("/api/v1/projects", json=body)

    hidden = ["cases/clip.mp4", "./cases//clip.mp4", "cases/none", "open/round"]
    for path in hidden:
        assert problem(made(outsider, VIDEO=path)) == (404, "input.not_found"), path
    assert problem(made(outsider, VIDEO="open/a", MORE="open/a\ncases/clip.mp4")) == (404, "input.not_found")
    for folder in (".", "cases"):
        assert problem(made(outsider, VIDEO="open/a", ALL=folder)) == (404, "input.not_found")
    assert problem(made(outsider, VIDEO="../x"))[0] == 422
    assert made(police, VIDEO="cases/clip.mp4", ALL=".").status_code == 201
    project = made(outsider, VIDEO="open/not-there-yet").json()["id"]
    commands = f"/api/v1/projects/{project}/commands"
    for body in (
        {"kind": "set_values", "values": {"VIDEO": "cases/clip.mp4"}},
        {"kind": "enqueue_stage", "id": "detect", "overrides": {"values": {"VIDEO": "cases/clip.mp4"}}},
        {"kind": "enqueue_stage", "id": "detect", "sweep": {"VIDEO": ["open/a", "cases/clip.mp4"]}},
        {"kind": "edit_pipeline", "text": VALUES.replace("open/a", "cases/clip.mp4")},
    ):
        assert problem(outsider.post(commands, json=body)) == (404, "input.not_found"), body
    published = VALUES.replace("open/a", "cases/clip.mp4")
    assert outsider.post("/api/v1/pipelines", json={"text": published}).status_code == 201
    switch = outsider.post(f"/api/v1/projects/{project}/pipeline/switch", json={"library": "watching"})
    assert problem(switch) == (404, "input.not_found")
    assert outsider.post(commands, json={"kind": "set_values", "values": {"VIDEO": "open/a"}}).status_code == 200


# --- downloads


@pytest.fixture(params=["through the process", "by the kernel"])
def fetching(request: pytest.FixtureRequest, world: World) -> Iterator[Any]:
    if request.param == "through the process":
        yield world.signed_in("mem")
    else:
        with request.getfixturevalue("served").signed_in("mem") as made:
            yield made


def test_a_download_is_whole_or_just_what_was_asked_for(world: World, fetching: Any) -> None:
    content = os.urandom(3_000_000)
    (inputs(world) / "clip.mp4").write_bytes(content)
    url = f"{INPUTS}/content?path=clip.mp4"
    whole = fetching.get(url)
    assert whole.content == content
    assert whole.headers["content-length"] == "3000000"
    tag, modified = whole.headers["etag"], whole.headers["last-modified"]
    for asked, part in {
        "bytes=0-0": content[:1], "bytes=5-": content[5:], "bytes=-7": content[-7:], "bytes=2999999-": content[-1:],
        "bytes=1000000-1999999": content[1000000:2000000], "bytes=0-99999999": content, "bytes=-99999999": content,
    }.items():  # fmt: skip
        got = fetching.get(url, headers={"Range": asked})
        assert (got.status_code, got.content == part) == (206, True), asked
        assert got.headers["content-range"].endswith("/3000000")
        head = fetching.head(url, headers={"Range": asked})
        assert (head.status_code, head.headers["content-length"], head.content) == (206, str(len(part)), b"")
    for asked in ("bytes=3000000-", "bytes=-0", "bytes=0-1,5-6"):
        got = fetching.get(url, headers={"Range": asked})
        assert (got.status_code, got.headers["content-range"]) == (416, "bytes */3000000"), asked
    for ignored in ("lines=1-2", "bytes=5-2", "bytes=a-b", "bytes", "bytes=--5", "bytes=0x1-5"):
        assert fetching.get(url, headers={"Range": ignored}).status_code == 200, ignored
    assert fetching.get(url, headers={"If-None-Match": tag}).status_code == 304
    assert fetching.get(url, headers={"If-None-Match": f'"x", W/{tag}'}).status_code == 304
    assert fetching.get(url, headers={"If-Modified-Since": modified}).status_code == 304
    for no_time in ("nonsense", "Mon, 01 Jan 99999999999999999999 00:00:00", "Mon, 01 Jan 2026 00:00:00 +99999999999"):
        assert fetching.get(url, headers={"If-Modified-Since": no_time}).status_code == 200, no_time
    for known, status in {tag: 206, modified: 206, '"other"': 200, f"W/{tag}": 200,
                          "Mon, 01 Jan 2001 00:00:00 GMT": 200, "nonsense": 200}.items():  # fmt: skip
        got = fetching.get(url, headers={"Range": "bytes=0-4", "If-Range": known})
        assert got.status_code == status, known
    (inputs(world) / "clip.mp4").write_bytes(b"changed")
    assert fetching.get(url, headers={"Range": "bytes=0-4", "If-Range": tag}).content == b"changed"
    assert fetching.get(url, headers={"If-None-Match": tag}).status_code == 200
    (inputs(world) / "empty").touch()
    assert fetching.get(f"{INPUTS}/content?path=empty").content == b""
    assert fetching.get(f"{INPUTS}/content?path=empty", headers={"Range": "bytes=0-"}).status_code == 416


def test_a_file_that_grows_while_it_is_fetched_is_sent_as_it_was(world: World, fetching: Any) -> None:
    place = inputs(world) / "log"
    place.write_bytes(b"a" * 2_000_000)
    with fetching.stream("GET", f"{INPUTS}/content?path=log") as answer:
        with place.open("ab") as file:
            file.write(b"b" * 1000)
        assert answer.read() == b"a" * 2_000_000


def test_a_file_that_became_shorter_ends_the_connection_and_not_the_server(world: World, served: Served) -> None:
    place = inputs(world) / "shrinking"
    place.write_bytes(os.urandom(64_000_000))
    with served.signed_in("mem") as client:
        with (
            pytest.raises(httpx.HTTPError),
            client.stream("GET", f"{INPUTS}/content?path=shrinking") as answer,
        ):
            for number, _ in enumerate(answer.iter_raw(65536)):
                if number == 1:
                    os.truncate(place, 1000)
        assert client.get(f"{INPUTS}/info?path=shrinking").json()["bytes"] == 1000


def test_a_client_that_goes_away_in_a_download_leaves_nothing_behind(world: World, served: Served) -> None:
    (inputs(world) / "clip").write_bytes(os.urandom(50_000_000))
    process = served.processes[-1].pid

    def descriptors() -> list[str]:
        return [os.readlink(p) for p in Path(f"/proc/{process}/fd").iterdir() if p.is_symlink()]

    with served.signed_in("mem") as client:
        for route in ("content", "archive"):
            path = "clip" if route == "content" else ""
            with client.stream("GET", f"{INPUTS}/{route}", params={"path": path}) as answer:
                next(answer.iter_raw(65536))
            until(lambda: not any("inputs/clip" in d for d in descriptors()), 10)


def test_a_reader_that_takes_nothing_holds_no_thread(world: World, served: Served) -> None:
    (inputs(world) / "clip").write_bytes(os.urandom(30_000_000))
    slow = []
    with served.signed_in("mem") as client:
        cookies = "; ".join(f"{k}={v}" for k, v in client.cookies.items())
        for _ in range(40):
            connection = socket.create_connection(("127.0.0.1", served.port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = f"GET {INPUTS}/content?path=clip HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n\r\n"
            connection.sendall(request.encode())
            connection.recv(100)
            slow.append(connection)
        begin = time.monotonic()
        assert len(client.get(f"{INPUTS}/content?path=clip").content) == 30_000_000
        assert names(client) == ["clip"]
        assert time.monotonic() - begin < 10
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("name", ["plain.txt", 'quo"te', "a;b", "naïve 🎬.mp4", "a\r\nSet-Cookie: x=1", "..", "\udcff"])
def test_a_file_is_offered_under_a_name_that_breaks_no_header(name: str) -> None:
    offered = disposition(name)
    assert all(32 <= ord(c) < 127 for c in offered)
    assert offered.count('"') == 2
    assert offered.startswith("attachment; ")


def test_downloads_are_never_shown_and_never_compressed(world: World, member: TestClient) -> None:
    put(member, "page.html", b"<script>alert(1)</script>" * 1000)
    got = member.get(f"{INPUTS}/content?path=page.html", headers={"Accept-Encoding": "gzip, br"})
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-encoding"] == "identity"
    assert got.headers["content-length"] == "25000"


@pytest.mark.parametrize(("name", "kind"), [
    ("a.mp4", "video/mp4"), ("a.png", "image/png"), ("a.JPG", "image/jpeg"), ("a.webm", "video/webm"),
    ("a.svg", "image/svg+xml"), ("a.html", "text/html; charset=utf-8"), ("a.pdf", "application/pdf"),
    ("a.log", "text/plain; charset=utf-8"), ("a.mkv", "video/x-matroska"),
])  # fmt: skip
def test_a_preview_has_its_type_and_can_do_nothing(world: World, member: TestClient, name: str, kind: str) -> None:
    put(member, name, b"0123456789")
    got = member.get(f"{INPUTS}/preview", params={"path": name}, headers={"Range": "bytes=2-3"})
    assert (got.status_code, got.content) == (206, b"23")
    assert got.headers["content-type"] == kind
    assert got.headers["content-disposition"].startswith("inline")
    policy = got.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy, "nothing reaches any server"
    assert "allow-same-origin" not in policy
    assert kind == "application/pdf" or policy.startswith("sandbox")
    assert ("allow-scripts" in policy) == (name == "a.html")
    assert got.headers["x-frame-options"] == "SAMEORIGIN"


@pytest.mark.parametrize("name", ["a.exe", "a.xhtml", "a.js", "a.svgz", "a", "a.html.gz", "a.swf", "a.xml"])
def test_what_no_browser_should_show_comes_as_a_download(world: World, member: TestClient, name: str) -> None:
    put(member, name)
    got = member.get(f"{INPUTS}/preview", params={"path": name})
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"].startswith("attachment")


# --- folders as archives


def a_folder(world: World) -> dict[str, bytes]:
    base = inputs(world) / "run"
    files = {f"d{n % 3}/f{n}.bin": os.urandom(n * 5000) for n in range(12)}
    files["naïve 🎬.txt"] = b"text"
    files["big"] = os.urandom(5_000_000)
    for name, data in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(data)
    (base / "d0" / "empty folder").mkdir()
    (base / "run.sh").write_text("#!")
    (base / "run.sh").chmod(0o755)
    files["run.sh"] = b"#!"
    (base / "out").symlink_to("/etc/passwd")
    (base / "round").symlink_to(".")
    os.mkfifo(base / "pipe")
    return files


def test_a_folder_comes_as_a_zip_that_others_can_read(world: World, fetching: Any, tmp_path: Path) -> None:
    files = a_folder(world)
    got = fetching.get(f"{INPUTS}/archive?path=run")
    assert got.headers["content-disposition"].startswith('attachment; filename="run.zip"')
    with zipfile.ZipFile(io.BytesIO(got.content)) as made:
        assert made.testzip() is None
        there = {n.removeprefix("run/"): made.read(n) for n in made.namelist() if not n.endswith("/")}
        assert there == files
        assert "run/d0/empty folder/" in made.namelist()
        assert made.getinfo("run/run.sh").external_attr >> 16 & 0o111
    if shutil.which("unzip"):
        (tmp_path / "a.zip").write_bytes(got.content)
        assert subprocess.run(["unzip", "-tq", tmp_path / "a.zip"], capture_output=True, check=False).returncode == 0


def test_a_folder_comes_as_a_tar_that_others_can_read(world: World, fetching: Any, tmp_path: Path) -> None:
    files = a_folder(world)
    (inputs(world) / "run" / os.fsdecode(b"caf\xe9")).write_bytes(b"latin")
    (inputs(world) / "run" / ("l" * 200)).write_bytes(b"long")
    got = fetching.get(f"{INPUTS}/archive?path=run&format=tar.gz")
    (tmp_path / "a.tar.gz").write_bytes(got.content)
    subprocess.run(["tar", "xzf", tmp_path / "a.tar.gz", "-C", tmp_path], check=True)
    files |= {os.fsdecode(b"caf\xe9"): b"latin", "l" * 200: b"long"}
    there = {str(p.relative_to(tmp_path / "run")): p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert there == files
    assert os.access(tmp_path / "run" / "run.sh", os.X_OK)


@pytest.mark.chaos
def test_an_archive_takes_no_memory_and_no_disk(world: World, served: Served) -> None:
    with (inputs(world) / "huge").open("wb") as file:
        file.truncate(3 << 30)  # sparse, so that the test costs no disk; all of it is read
    status = Path(f"/proc/{served.processes[-1].pid}/status")

    def resident() -> int:
        return int(status.read_text().partition("VmRSS:")[2].split()[0])

    with served.signed_in("mem") as client, client.stream("GET", f"{INPUTS}/archive") as answer:
        before, most, got = 0, 0, 0
        for block in answer.iter_raw(1 << 20):
            got += len(block)
            if got > 64 << 20 and not before:
                before = resident()
            most = max(most, resident() if before and got % (64 << 20) < 1 << 20 else 0)
            if got > 600 << 20:
                break
        assert most < before + 40_000, f"{before} kB before, {most} kB after"
        assert not list(world.installation.settings.share.glob("uploads/*"))


@pytest.mark.chaos
def test_sizes_beyond_four_gigabytes_are_written_as_64_bits(world: World) -> None:
    from winslow_nomad.resources.archiving import Packed, zipped

    class Zeros:
        entry: Any = None
        descriptor = -1

        def read(self, offset: int, count: int) -> bytes:
            return bytes(count)

        def close(self) -> None:
            pass

    class Tail(io.RawIOBase):
        """A file of which only the end was kept."""

        at = total = 0
        kept = b""

        def take(self, part: bytes) -> None:
            self.total += len(part)
            self.kept = (self.kept + part)[-4096:] if len(part) < 4096 else part[-4096:]

        def seekable(self) -> bool:
            return True

        def seek(self, offset: int, whence: int = 0) -> int:
            self.at = offset + (0, self.at, self.total)[whence]
            return self.at

        def tell(self) -> int:
            return self.at

        def read(self, count: int = -1) -> bytes:
            begin = self.at - (self.total - len(self.kept))
            assert begin >= 0
            found = self.kept[begin:] if count < 0 else self.kept[begin : begin + count]
            self.at += len(found)
            return found

    size = (4 << 30) + 5
    members = [(Packed(path=p, kind="file", size=s, modified=1e9), Zeros()) for p, s in (("a", size), ("b", 3))]
    written = Tail()
    for part in zipped(iter(members), "top"):  # type: ignore[arg-type]
        written.take(part)
    with zipfile.ZipFile(written) as made:  # type: ignore[arg-type]
        large, small = made.infolist()
    assert (large.filename, large.file_size, large.compress_size, large.header_offset) == ("top/a", size, size, 0)
    assert (small.filename, small.file_size) == ("top/b", 3)
    assert small.header_offset > size


# --- text and tables

LINES = "naïve\nzweite\ndritte\n"


@pytest.mark.parametrize(("raw", "encoding"), [
    (LINES.encode(), "utf-8"), (f"\ufeff{LINES}".encode(), "utf-8"), (LINES.encode("latin-1"), "windows-1252"),
    (f"\ufeff{LINES}".encode("utf-16-le"), "utf-16"), (f"\ufeff{LINES}".encode("utf-16-be"), "utf-16"),
    (LINES.encode("utf-16-le"), "utf-16-le"), (LINES.encode("utf-16-be"), "utf-16-be"),
    (f"\ufeff{LINES}".encode("utf-32-be"), "utf-32"), (f"\ufeff{LINES}".encode("utf-32-le"), "utf-32"),
])  # fmt: skip
def test_text_is_read_in_the_encoding_it_is_in(world: World, member: TestClient, raw: bytes, encoding: str) -> None:
    (inputs(world) / "t").write_bytes(raw)
    head = member.get(f"{INPUTS}/text?path=t&head=1").json()
    assert (head["text"], head["encoding"], head["complete"]) == ("naïve\n", encoding, False)
    tail = member.get(f"{INPUTS}/text?path=t&tail=2").json()
    assert (tail["text"], tail["first"] + tail["bytes"]) == ("zweite\ndritte\n", len(raw))
    whole = member.get(f"{INPUTS}/text?path=t").json()
    assert (whole["text"], whole["lines"], whole["complete"]) == ("naïve\nzweite\ndritte\n", 3, True)


def test_what_is_no_text_says_so(world: World, member: TestClient) -> None:
    (inputs(world) / "t").write_bytes(bytes(range(256)) * 20)
    assert problem(member.get(f"{INPUTS}/text?path=t")) == (422, "file.not_text")
    assert member.get(f"{INPUTS}/text?path=t&encoding=iso-8859-1").status_code == 200
    assert member.get(f"{INPUTS}/text?path=t&encoding=rot13").status_code == 422


def test_the_ends_of_a_large_text_are_read_without_the_rest(world: World, member: TestClient) -> None:
    with (inputs(world) / "log").open("w") as file:
        file.writelines(f"line {n}\n" for n in range(300_000))
    tail = member.get(f"{INPUTS}/text?path=log&tail=3").json()
    assert tail["text"] == "line 299997\nline 299998\nline 299999\n"
    (inputs(world) / "one").write_text("x" * 3_000_000)
    for way in ("head", "tail"):
        got = member.get(f"{INPUTS}/text?path=one&{way}=5").json()
        assert (got["bytes"], got["complete"]) == (1 << 20, False)
    (inputs(world) / "é").write_bytes("é".encode() * 2_000_000)
    assert set(member.get(f"{INPUTS}/text", params={"path": "é"}).json()["text"][:-1]) == {"é"}


def test_a_table_comes_as_series(world: World, member: TestClient) -> None:
    put(member, "t.csv", b"second,vehicles,note\n0,3,a\n0.5,,b\n1,5,c\n1.5,oops,d\n" + b"2,6,e\n" * 6)
    got = member.get(f"{INPUTS}/series?path=t.csv").json()
    assert (got["x_name"], got["x"]) == ("second", [0.0, 0.5, 1.0, 1.5] + [2.0] * 6)
    assert got["y"] == {"vehicles": [3.0, None, 5.0, None] + [6.0] * 6}
    kinds = {c["name"]: (c["type"], c["missing"], c["unreadable"]) for c in got["columns"]}
    assert kinds == {"second": ("number", 0, 0), "vehicles": ("number", 1, 1), "note": ("text", 0, 0)}
    assert problem(member.get(f"{INPUTS}/series?path=t.csv&y=none")) == (422, "series.no_column")


# --- projects


def definition(stage: str) -> StageDefinition:
    return StageDefinition(id=stage, command=("true",))


@pytest.fixture
def project(world: World) -> str:
    """Stage 1 has ended and is sealed, stage 2 is prepared and runs. Its space."""
    name = f"p{secrets.token_hex(4)}"
    sender, store, attempts = world.installation.sender, world.installation.store, world.installation.attempts
    pipeline = Pipeline(name="two", stages=(definition("detect"), definition("track")))
    sender(name, [m.CreateProject(project=name, name="street", pipeline=pipeline, actor="mem", start=True)])
    now = world.installation.clock.now()
    for number in (1, 2):
        where = {"stage": number, "attempt": 1}
        sender.facts(name, [m.Admitted(stage=number)])
        loaded = store.load(name)
        assert loaded is not None
        operation = attempts.prepare(loaded, number, 1)
        if operation is not None:
            copying = world.installation.operations.get(operation)
            assert copying is not None
            world.installation.handlers["workspace"](copying, lambda *_: None)
        sender.facts(name, [m.WorkspaceReady(**where), m.AttemptStarted(**where, node="here", started=now)])
        base = folder_of(world, name) / "stages" / ("", "0001-detect", "0002-track")[number]
        (base / "attempts/1/output/result.csv").write_text(f"result {number}")
        (base / "attempts/1/workspace/state").write_text(f"state {number}")
        if number == 1:
            outcome = Outcome(cause=Cause.EXIT, code=0, started=now, ended=now + timedelta(seconds=1))
            (base / "attempts/1/end.json").write_text("{}")
            sender.facts(name, [m.AttemptEnded(**where, outcome=outcome)])
            ended = store.load(name)
            assert ended is not None
            attempts.seal(ended, 1)
            sender.facts(name, [m.StageSealed(stage=1)])
    return f"project:{name}"


def folder_of(world: World, project: str) -> Path:
    """Of a project, or of its space."""
    return world.installation.settings.share / "projects" / project.removeprefix("project:")


def test_an_ended_stage_never_changes(world: World, member: TestClient, admin: TestClient, project: str) -> None:
    base = folder_of(world, project)

    def all_of_it() -> dict[str, str]:
        files = (p for p in base.rglob("*") if p.is_file())
        return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    before = all_of_it()
    for client in (member, admin):
        for way in ("stages/0001-detect/output", "stages/0001-detect/attempts/1/output", "output/detect"):
            for answer in (
                put(client, f"{way}/new", space=project),
                put(client, f"{way}/result.csv", space=project, **{"If-Match": '"x"'}),
                client.delete(f"{FILES}/{project}/content", params={"path": f"{way}/result.csv"}),
                client.post(f"{FILES}/{project}/rename", json={"from": f"{way}/result.csv", "to": f"{way}/x"}),
                client.post(f"{FILES}/{project}/folders", json={"path": f"{way}/x/y"}),
                client.post(f"{FILES}/{project}/unpack", json={"path": f"{way}/result.csv", "into": f"{way}/x"}),
            ):
                assert answer.status_code == 409, answer.text
                assert answer.json()["code"] == "stage.ended"
                assert "never changes" in answer.json()["title"]
    assert all_of_it() == before


def test_a_stage_that_runs_may_be_helped_until_it_ends(world: World, member: TestClient, project: str) -> None:
    base = folder_of(world, project) / "stages/0002-track/attempts/1"
    assert put(member, "stages/0002-track/workspace/hint", b"look left", space=project).status_code == 201
    assert (base / "workspace/hint").read_bytes() == b"look left"
    gone = member.delete(f"{FILES}/{project}/content", params={"path": "stages/0002-track/workspace/hint"})
    assert gone.status_code == 200
    assert world.installation.trash.entries()[-1].project == project.removeprefix("project:")
    assert [t["path"] for t in member.get(f"{FILES}/{project}/trash").json()["items"]] == [
        "stages/0002-track/attempts/1/workspace/hint"
    ]
    (base / "end.json").write_text("{}")  # the runner was quicker than the news of it
    back = member.post(f"{FILES}/{project}/trash/{gone.json()['trash']}/restore")
    assert problem(back) == (409, "stage.ended")
    late = put(member, "stages/0002-track/workspace/late", space=project)
    assert problem(late) == (409, "stage.ended")
    assert not (base / "workspace/late").exists()


def test_the_files_of_a_project_are_those_of_its_members(world: World, project: str) -> None:
    name = project.removeprefix("project:")
    world.installation.sender(name, [m.Describe(author="mem", participants=(), actor="mem")])
    stranger = world.signed_in("vic")
    for route in ("list", "info", "content", "archive", "text", "series", "preview", "usage"):
        got = stranger.get(f"{FILES}/{project}/{route}", params={"path": "output/detect/result.csv"})
        assert problem(got) == (404, "project.not_found"), route
    assert names(world.signed_in("mem"), "output/detect", project) == ["result.csv"]


def test_secrets_of_a_stage_are_in_no_archive(world: World, member: TestClient, project: str) -> None:
    got = member.get(f"{FILES}/{project}/archive")
    with zipfile.ZipFile(io.BytesIO(got.content)) as made:
        there = {n for n in made.namelist() if not n.endswith("/")}
    top = project.replace(":", "-")
    assert there == {
        f"{top}/output/detect/result.csv",
        f"{top}/stages/0001-detect/attempts/1/output/result.csv",
        f"{top}/stages/0001-detect/attempts/1/workspace/state",
        f"{top}/stages/0002-track/attempts/1/output/result.csv",
        f"{top}/stages/0002-track/attempts/1/workspace/state",
    }
    assert names(member, "stages/0002-track", project) == ["attempts", "output", "workspace"]


def test_what_is_used_is_told_as_it_was_counted(world: World, member: TestClient, project: str) -> None:
    put(member, "a/clip", b"x" * 100_000)
    empty = member.get(f"{INPUTS}/usage").json()
    assert (empty["counted"], empty["complete"]) == (None, False)
    assert empty["free"] > 0
    from winslow_nomad.bootstrap.housekeeping import Housekeeping

    Housekeeping(world.installation)()
    pool = member.get(f"{INPUTS}/usage").json()
    assert pool["folders"]["a"] >= 100_000
    assert pool["complete"]
    there = member.get(f"{FILES}/{project}/usage").json()
    assert set(there["folders"]) == {"stages/0000", "stages/0001-detect", "stages/0002-track"}


# --- unpacking


def run_operations(world: World, identifier: str) -> dict[str, Any]:
    """As the process for files does."""
    from winslow_nomad.resources.operate import operate

    book = world.installation.operations

    def ended() -> bool:
        found = book.get(identifier)
        return found is not None and found.state not in ("waiting", "running")

    operate(book, "test", world.installation.handlers, lambda _: None, ended, world.installation.clock)
    found = book.get(identifier)
    assert found is not None
    return json.loads(found.model_dump_json())  # type: ignore[no-any-return]


def unpacked(world: World, client: TestClient, archive: bytes, into: str = "out") -> dict[str, Any]:
    (inputs(world) / "a.zip").write_bytes(archive)
    answer = client.post(f"{INPUTS}/unpack", json={"path": "a.zip", "into": into})
    assert answer.status_code == 202, answer.text
    return run_operations(world, answer.json()["id"])


def zipping(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarring(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar"])
def test_an_archive_becomes_a_folder(world: World, member: TestClient, kind: str) -> None:
    files = {"a/b.txt": b"b", "c.bin": os.urandom(3_000_000), "é/ö": b"umlaut"}
    if kind == "zip":
        archive = zipping(**files, **{"empty/": b""})
    else:
        archive = tarring(*((tarfile.TarInfo(n), d) for n, d in files.items()))
        archive = gzip.decompress(archive) if kind == "tar" else archive
    done = unpacked(world, member, archive, "x/out")
    assert (done["state"], done["actor"]) == ("done", "mem"), done
    out = inputs(world) / "x/out"
    assert {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()} == files
    assert done["text"] == "3 files unpacked into 'out'"
    assert not list((world.installation.settings.share / "uploads").iterdir())
    again = member.post(f"{INPUTS}/unpack", json={"path": "a.zip", "into": "x/out"})
    assert problem(again) == (409, "path.taken")


def info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def zip_with_link() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return made.getvalue()


BAD_NAMES = ["../escape", "a/../../escape", "/tmp/escape", "a\\..\\escape", "C:\\x", "c:x", "a//b", "a\nb", "x" * 256,
             "/".join("d" * 70), "a/..", "\\\\server\\x", "nul\x01"]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_with_a_name_that_leads_out_is_refused_whole(
    world: World, member: TestClient, name: str, kind: str
) -> None:
    files = {"good": b"g", name: b"escaped"}
    archive = zipping(**files) if kind == "zip" else tarring(*((tarfile.TarInfo(n), d) for n, d in files.items()))
    done = unpacked(world, member, archive)
    assert (done["state"], done["code"]) == ("failed", "archive.name"), done
    assert names(member) == ["a.zip"]
    assert not (world.home / "escape").exists()
    assert not list((world.installation.settings.share / "uploads").iterdir())


# made when they are tried: some are large, and names of tests must not hold their bytes
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "link in a zip": (zip_with_link, "archive.special"),
    "link": (lambda: tarring((info("l", tarfile.SYMTYPE, "/etc/passwd"), b"")), "archive.special"),
    "hard link": (
        lambda: tarring((info("x"), b"1"), (info("l", tarfile.LNKTYPE, "x"), b"")), "archive.special"
    ),
    "device": (lambda: tarring((info("d", tarfile.CHRTYPE), b"")), "archive.special"),
    "pipe": (lambda: tarring((info("p", tarfile.FIFOTYPE), b"")), "archive.special"),
    "file behind a link": (
        lambda: tarring((info("l", tarfile.SYMTYPE, "/tmp"), b""), (info("l/escape"), b"out")), "archive.special"
    ),
    "name twice": (lambda: tarring((info("a"), b"1"), (info("a"), b"2")), "archive.twice"),
    "file as a folder": (lambda: tarring((info("a"), b"1"), (info("a/b"), b"2")), "archive.twice"),
    "no archive": (lambda: b"this is no archive at all" * 100, "archive.unknown"),
    "zip without its end": (lambda: zipping(a=b"x" * 100_000)[:-200], "archive.unreadable"),
    "damaged zip": (
        lambda: zipping(a=os.urandom(100_000)).replace(b"a", b"b", 3)[:5000], "archive.unreadable"
    ),
    "half a tar": (lambda: tarring((info("a"), os.urandom(1_000_000)))[:500_000], "archive.unreadable"),
    "no tar in gzip": (lambda: gzip.compress(b"this is no tar" * 1000), "archive.unreadable"),
    "tar of zeros": (lambda: tarring((info("zeros"), bytes(300 << 20))), "archive.bomb"),
    "zip of zeros": (lambda: zipping(**{f"z{n}": bytes(60 << 20) for n in range(6)}), "archive.bomb"),
    "nothing": (lambda: b"", "archive.unknown"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_archive_that_is_damaged_or_hostile_leaves_nothing(world: World, member: TestClient, kind: str) -> None:
    make, code = HOSTILE[kind]
    done = unpacked(world, member, make())
    assert (done["state"], done["code"]) == ("failed", code), done
    assert names(member) == ["a.zip"]
    assert not list((world.installation.settings.share / "uploads").iterdir())


def test_an_encrypted_archive_is_refused(world: World, member: TestClient) -> None:
    archive = bytearray(zipping(a=b"secret"))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.index(mark) + place] |= 1
    assert unpacked(world, member, bytes(archive))["code"] == "archive.encrypted"


def test_unpacking_is_cancelled_soon_and_leaves_nothing(world: World, member: TestClient) -> None:
    (inputs(world) / "a.zip").write_bytes(zipping(**{f"f{n}": b"x" for n in range(30_000)}))
    identifier = member.post(f"{INPUTS}/unpack", json={"path": "a.zip", "into": "out"}).json()["id"]
    book = world.installation.operations
    running = threading.Thread(target=run_operations, args=(world, identifier))
    running.start()
    until(lambda: (o := book.get(identifier)) is not None and o.files_done > 0, 20)
    begin = time.monotonic()
    book.cancel(identifier)
    until(lambda: (o := book.get(identifier)) is not None and o.state == "cancelled", 10)
    assert time.monotonic() - begin < 10
    running.join()
    assert names(member) == ["a.zip"]
    share = world.installation.settings.share
    unpacking.sweep(share, [], time.time() + 1)  # of what takes more than a moment to be removed
    assert not list((share / "uploads").iterdir())


def test_a_name_that_was_taken_while_it_was_unpacked_is_not_touched(world: World, member: TestClient) -> None:
    (inputs(world) / "a.zip").write_bytes(zipping(x=b"x"))
    identifier = member.post(f"{INPUTS}/unpack", json={"path": "a.zip", "into": "out"}).json()["id"]
    put(member, "out/theirs")
    assert run_operations(world, identifier)["code"] == "path.taken"
    assert names(member, "out") == ["theirs"]


# --- a share that hangs


@pytest.mark.chaos
def test_a_mapped_folder_whose_server_is_gone_holds_up_nothing_else(world: World, member: TestClient) -> None:
    put(member, "a")
    with a_share("stall") as recordings:
        (recordings.point / "clip.mp4").write_bytes(b"film")
        world.installation.files.tree.mapped["recordings"] = recordings.point
        assert names(member, "recordings") == ["clip.mp4"]
        recordings.begin()
        late: list[int] = []

        def looking() -> None:
            late.append(member.get(f"{INPUTS}/list?path=recordings").status_code)

        waiting = [threading.Thread(target=looking) for _ in range(20)]
        for thread in waiting:
            thread.start()
        begin = time.monotonic()
        for _ in range(5):
            assert member.get(f"{INPUTS}/content?path=a").content == b"content"
            assert member.get("/api/v1/session").status_code == 200
        assert time.monotonic() - begin < 5
        for thread in waiting:
            thread.join()
        assert late == [503] * 20
        begin = time.monotonic()
        assert problem(member.get(f"{INPUTS}/list?path=recordings")) == (503, "share.stalled")
        assert time.monotonic() - begin < 4, "while all threads hang, everybody is told at once"
        recordings.end()
        until(lambda: member.get(f"{INPUTS}/list?path=recordings").status_code == 200, 10)


@pytest.mark.chaos
def test_a_share_that_hangs_stops_no_other_route(running_server: Embedded) -> None:
    """Readers, writers and an upload in its middle hang; everything else answers, and all goes on afterwards."""
    with a_share("stall") as share:
        home = Path(tempfile.mkdtemp(prefix="api-", dir="/tmp"))
        made = make_world(home, running_server.address, "hang", WINSLOW_SHARE=str(share.point))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            served = Served(made, probe.getsockname()[1])
        try:
            served.start()
            with served.signed_in("mem") as client:
                put(client, "a", b"x")
                place = tus.begun(client, 50_000_000, filename="clip")
                upload = threading.Thread(target=sending, args=(served, place))
                upload.start()
                until(lambda: tus.offset(client, place) > 1_000_000, 20)
                share.begin()
                answers: list[int] = []
                stuck = [threading.Thread(target=quietly, args=(served, n, answers)) for n in range(12)]
                for thread in stuck:
                    thread.start()
                begin = time.monotonic()
                for _ in range(5):
                    assert client.get("/api/v1/session").status_code == 200
                    assert client.get("/api/v1/projects").status_code == 200
                assert time.monotonic() - begin < 5
                for thread in stuck:
                    thread.join()
                assert set(answers) == {503}, "whoever asks for something on the share is told in time"
                share.end()
                until(lambda: client.get(f"{INPUTS}/list").status_code == 200, 20)
                upload.join()
                until(lambda: tus.offset(client, place) == 50_000_000, 30)
        finally:
            served.kill()
            made.installation.close()
            shutil.rmtree(home, ignore_errors=True)


@pytest.mark.chaos
def test_a_process_whose_writers_hang_still_ends(running_server: Embedded) -> None:
    """What is dirty hangs in processes of their own."""
    with a_share("frozen") as share:
        home = Path(tempfile.mkdtemp(prefix="api-", dir="/tmp"))
        made = make_world(home, running_server.address, "frozen", WINSLOW_SHARE=str(share.point))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            served = Served(made, probe.getsockname()[1])
        try:
            served.start()
            with served.signed_in("mem") as client:
                put(client, "a", b"x")
                share.begin()
                writing = [threading.Thread(target=quietly, args=(served, n, [])) for n in (1, 2, 4, 5)]
                for thread in writing:
                    thread.start()
                assert client.get(f"{INPUTS}/content?path=a").content == b"x"
                begin = time.monotonic()
                served.end()
                assert time.monotonic() - begin < 18
                for thread in writing:
                    thread.join()
            share.end()
        finally:
            share.end()
            served.kill()
            made.installation.close()
            shutil.rmtree(home, ignore_errors=True)


def sending(served: Served, place: str) -> None:
    with served.signed_in("mem") as client:
        client.timeout = 120
        for _ in range(20):
            with suppress(httpx.HTTPError):
                at = tus.offset(client, place)
                if at == 50_000_000 or tus.send(client, place, at, bytes(50_000_000 - at)).status_code == 204:
                    return
            time.sleep(0.5)


def quietly(served: Served, number: int, answers: list[int]) -> None:
    """A request that the share holds up."""
    with served.signed_in("mem") as client, suppress(httpx.HTTPError):
        client.timeout = 60
        if number % 3 == 0:
            answers.append(client.get(f"{INPUTS}/list").status_code)
        elif number % 3 == 1:
            answers.append(put(client, f"new{number}").status_code)
        else:
            answers.append(client.delete(f"{INPUTS}/content?path=a").status_code)
