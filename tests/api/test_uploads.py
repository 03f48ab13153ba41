"""Uploads by tus: no byte is lost, none is doubled, nothing is replaced unasked, nobody gets at another's.

Each behaviour is tried twice: in this process, where the body passes through it, and against a server, where the
process that writes reads the connection."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tests.api import tus
from tests.api.conftest import Served, World
from tests.api.standing import ground, member, served, standing, world
from tests.waiting import until
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import Principal, Role
from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.filing import Area
from winslow_nomad.core.pipeline import Pipeline, StageDefinition

__all__ = ["ground", "member", "served", "standing", "world"]

MIB = 1 << 20
CONTENT = os.urandom(3 * MIB + 4321)
SUM = hashlib.sha256(CONTENT)
Client = Any


def inputs(world: World) -> Path:
    return world.installation.settings.share / "inputs"


def left_over(world: World) -> list[str]:
    return sorted(p.name for p in (world.installation.settings.share / "uploads").glob("[!.]*"))


@pytest.fixture(params=["through the process", "from the connection"])
def client(request: pytest.FixtureRequest, world: World, served: Served) -> Iterator[Client]:
    if request.param == "through the process":
        yield world.signed_in("mem")
    else:
        with served.signed_in("mem") as made:
            yield made


def test_a_file_arrives_in_pieces_and_appears_when_it_is_whole(world: World, client: Client) -> None:
    place = tus.begun(client, len(CONTENT), filename="clip.mp4", path="junction/march", space="inputs")
    assert tus.send(client, place, 0, CONTENT[: 2 * MIB]).headers["upload-offset"] == str(2 * MIB)
    assert not (inputs(world) / "junction").exists(), "nothing is to be seen of half a file"
    assert tus.offset(client, place) == 2 * MIB
    done = tus.send(client, place, 2 * MIB, CONTENT[2 * MIB :])
    assert (done.status_code, done.headers["upload-offset"]) == (204, str(len(CONTENT)))
    assert done.headers["winslow-path"] == "junction/march/clip.mp4"
    assert (inputs(world) / "junction/march/clip.mp4").read_bytes() == CONTENT
    assert tus.offset(client, place) == len(CONTENT)
    again = tus.send(client, place, len(CONTENT), b"")
    assert (again.status_code, again.headers["winslow-path"]) == (204, "junction/march/clip.mp4")


def test_an_empty_file_needs_no_second_request(world: World, client: Client) -> None:
    made = tus.begin(client, 0, filename="empty")
    assert (made.status_code, made.headers["winslow-path"]) == (201, "empty")
    assert (inputs(world) / "empty").read_bytes() == b""


@pytest.mark.parametrize("at", [1, MIB + 1, 2 * MIB, 10**17])
def test_a_wrong_offset_is_refused_before_a_byte_is_written(world: World, client: Client, at: int) -> None:
    place = tus.begun(client, len(CONTENT), filename="clip.mp4")
    tus.send(client, place, 0, CONTENT[:MIB])
    answer = tus.send(client, place, at, CONTENT[MIB:][: 2 * MIB] if at < 10**9 else b"x")
    expected = 409 if at + 2 * MIB <= len(CONTENT) else 413
    assert answer.status_code == expected, answer.text
    assert tus.offset(client, place) == MIB


def test_more_than_was_announced_is_refused(world: World, client: Client) -> None:
    place = tus.begun(client, 10, filename="clip.mp4")
    assert tus.send(client, place, 0, b"x" * 11).status_code == 413
    assert tus.send(client, place, 0, (b"y" * 6 for _ in range(2))).status_code == 413
    assert tus.offset(client, place) <= 6
    assert not (inputs(world) / "clip.mp4").exists()


def test_a_sum_that_is_wrong_takes_the_piece_back(world: World, client: Client) -> None:
    place = tus.begun(client, len(CONTENT), filename="clip.mp4")
    tus.send(client, place, 0, CONTENT[:MIB])

    def with_sum(digest: bytes) -> Any:
        more = {"Upload-Checksum": f"sha256 {base64.b64encode(digest).decode()}"}
        return tus.send(client, place, MIB, CONTENT[MIB:], more)

    assert with_sum(bytes(32)).status_code == 460
    assert tus.offset(client, place) == MIB
    assert with_sum(hashlib.sha256(CONTENT[MIB:]).digest()).status_code == 204
    assert (inputs(world) / "clip.mp4").read_bytes() == CONTENT


def test_a_sum_of_the_whole_file_is_checked_before_it_gets_its_name(world: World, client: Client) -> None:
    place = tus.begun(client, len(CONTENT), filename="clip.mp4", sha256=SUM.hexdigest())
    assert tus.send(client, place, 0, b"X" + CONTENT[1:]).status_code == 460
    assert not (inputs(world) / "clip.mp4").exists()
    assert tus.offset(client, place) == 0
    assert tus.send(client, place, 0, CONTENT).status_code == 204


def test_what_is_there_is_replaced_only_when_that_is_asked_for(world: World, client: Client) -> None:
    assert client.put("/api/v1/files/inputs/content?path=clip.mp4", content=b"first").status_code == 201
    assert tus.begin(client, 6, filename="clip.mp4").status_code == 409
    both = tus.begun(client, 6, filename="clip.mp4", conflict="keep_both")
    assert tus.send(client, both, 0, b"second").headers["winslow-path"] == "clip-2.mp4"
    instead = tus.begun(client, 6, filename="clip.mp4", conflict="replace")
    assert tus.send(client, instead, 0, b"third!").headers["winslow-path"] == "clip.mp4"
    assert (inputs(world) / "clip.mp4").read_bytes() == b"third!"
    (entry,) = world.installation.trash.entries()
    assert entry.paths == ("inputs/clip.mp4",)
    assert (world.installation.settings.share / "trash" / entry.id / "content/0").read_bytes() == b"first"


def test_two_that_begin_with_one_name_both_arrive(world: World, client: Client) -> None:
    first, second = (tus.begun(client, 3, filename="a.txt") for _ in range(2))
    assert tus.send(client, second, 0, b"two").headers["winslow-path"] == "a.txt"
    assert tus.send(client, first, 0, b"one").headers["winslow-path"] == "a-2.txt"
    assert (inputs(world) / "a.txt").read_bytes() == b"two"


def test_an_upload_is_given_up(world: World, client: Client) -> None:
    place = tus.begun(client, 100, filename="clip.mp4")
    tus.send(client, place, 0, b"x" * 50)
    assert client.delete(place, headers=tus.HEADERS).status_code == 204
    assert left_over(world) == []
    assert client.head(place, headers=tus.HEADERS).status_code == 404
    assert client.delete(place, headers=tus.HEADERS).status_code == 404
    assert tus.send(client, place, 50, b"x" * 50).status_code == 404


# --- what is refused before anything is written


def test_the_protocol_is_spoken_as_it_is_written(world: World, member: TestClient) -> None:
    can = member.options("/api/v1/uploads")
    assert can.headers["tus-version"] == "1.0.0"
    assert set(can.headers["tus-extension"].split(",")) == {"creation", "termination", "expiration", "checksum"}
    place = tus.begun(member, 100, filename="clip.mp4", filetype="video/mp4")
    assert place.startswith("/api/v1/uploads/"), "relative, whatever host was named"
    head = member.head(place, headers=tus.HEADERS)
    assert (head.headers["upload-length"], head.headers["cache-control"]) == ("100", "no-store")
    assert head.headers["tus-resumable"] == "1.0.0"
    assert "upload-expires" in head.headers
    assert head.headers["upload-metadata"] == tus.metadata(filename="clip.mp4", filetype="video/mp4")


@pytest.mark.parametrize(("headers", "status"), [
    ({}, 412), ({"Tus-Resumable": "0.2.2"}, 412), ({"Upload-Length": ""}, 400), ({"Upload-Length": "-1"}, 400),
    ({"Upload-Length": "1e3"}, 400), ({"Upload-Length": "٣"}, 400), ({"Upload-Length": "9" * 30}, 400),
    ({"Upload-Length": str(1 << 41)}, 413), ({"Upload-Length": str(1 << 40)}, 507),
    ({"Upload-Metadata": ""}, 400), ({"Upload-Metadata": "filename"}, 400), ({"Upload-Metadata": "filename !!!"}, 400),
    ({"Upload-Metadata": tus.metadata(filename="a", sha256="zz")}, 400),
    ({"Upload-Metadata": tus.metadata(filename="a", sha256="ab " * 32)}, 400),  # no sum is ever written so
    ({"Upload-Metadata": tus.metadata(filename="a", conflict="overwrite")}, 400),
    ({"Upload-Metadata": "filename YQ==,filename Yg=="}, 400), ({"Upload-Metadata": "filename /w=="}, 400),
    ({"Upload-Metadata": tus.metadata(filename="a", space="nowhere")}, 422),
    ({"Upload-Metadata": tus.metadata(filename="a", space="project:none")}, 404),
    ({"Upload-Metadata": "filename " + "A" * 9000}, 400), ({"Upload-Defer-Length": "1", "Upload-Length": ""}, 400),
])  # fmt: skip
def test_a_beginning_that_is_not_right_begins_nothing(
    world: World, member: TestClient, headers: dict[str, str], status: int
) -> None:
    whole = {**tus.HEADERS, "Upload-Length": "5", "Upload-Metadata": tus.metadata(filename="a"), **headers}
    sent = {k.encode(): v.encode() for k, v in whole.items() if v and (headers or k != "Tus-Resumable")}
    answer = member.post("/api/v1/uploads", headers=sent)
    assert answer.status_code == status, answer.text
    assert left_over(world) == []


@pytest.mark.parametrize(("headers", "status"), [
    ({"Tus-Resumable": "2.0.0"}, 412), ({"Content-Type": "text/plain"}, 415), ({"Content-Type": ""}, 415),
    ({"Upload-Offset": ""}, 400), ({"Upload-Offset": "-1"}, 400), ({"Upload-Offset": "0x1"}, 400),
    ({"Upload-Checksum": "md5 AAAA"}, 400), ({"Upload-Checksum": "sha256 AAAA"}, 400),
    ({"Upload-Checksum": "sha256"}, 400),
])  # fmt: skip
def test_a_piece_that_is_not_right_is_not_read(
    world: World, member: TestClient, headers: dict[str, str], status: int
) -> None:
    place = tus.begun(member, 100, filename="clip.mp4")
    whole = {**tus.BODY, "Upload-Offset": "0", **headers}
    taken: list[int] = []

    def body() -> Iterator[bytes]:
        taken.append(1)
        yield b"x" * 100

    answer = member.patch(place, headers={k: v for k, v in whole.items() if v}, content=body())
    assert answer.status_code == status, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert tus.offset(member, place) == 0


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_somebody_elses_upload_is_not_there(world: World, member: TestClient, method: str) -> None:
    place = tus.begun(member, 100, filename="clip.mp4")
    others = [world.signed_in("ann"), world.signed_in("mat"), world.with_token("ann", "files", "read")]
    headers = {**tus.BODY, "Upload-Offset": "0"} if method == "PATCH" else tus.HEADERS
    for other in others:
        assert other.request(method, place, headers=headers, content=b"x").status_code == 404
    assert world.anonymous().request(method, place, headers=headers, content=b"x").status_code == 401
    assert world.signed_in("vic").request(method, place, headers=headers, content=b"x").status_code == 403
    assert world.with_token("mem", "read").request(method, place, headers=headers, content=b"x").status_code == 403
    assert tus.offset(member, place) == 0
    assert world.with_token("mem", "files").head(place, headers=tus.HEADERS).status_code == 200


def test_the_port_itself_gives_an_upload_to_its_owner_alone(world: World, member: TestClient) -> None:
    identifier = tus.begun(member, 100, filename="clip.mp4").rpartition("/")[2]
    for user in ("ann", "mat"):
        who = Principal(user=user, role=Role.ADMIN)
        with pytest.raises(NotFound):
            world.services.uploads.write(Area(who=who), identifier, 0)
    own = world.services.uploads.write(Area(who=Principal(user="mem", role=Role.MEMBER)), identifier, 0)
    own.close()


@pytest.mark.parametrize(
    "identifier", ["", "x", "../inputs", "..%2f..%2fwinslow.json", "A" * 32, "0" * 31, "0" * 32 + "%00"]
)
def test_an_id_that_is_none_is_not_there(world: World, member: TestClient, identifier: str) -> None:
    for method in ("HEAD", "PATCH", "DELETE"):
        headers = {**tus.BODY, "Upload-Offset": "0"}
        answer = member.request(method, f"/api/v1/uploads/{identifier}", headers=headers, content=b"")
        assert answer.status_code in (404, 405), (method, answer.text)


def test_there_is_a_limit_to_what_one_person_announces(world: World, member: TestClient) -> None:
    free = os.statvfs(world.home).f_bavail * os.statvfs(world.home).f_frsize
    length = min(free // 3, 1 << 40)
    tus.begun(member, length, filename="a")
    tus.begun(member, length, filename="b")
    answer = tus.begin(member, length, filename="c")
    assert (answer.status_code, answer.json()["code"]) == (507, "share.full")


def project(world: World) -> str:
    pipeline = Pipeline(name="one", stages=(StageDefinition(id="detect", command=("true",)),))
    name = f"p{secrets.token_hex(4)}"
    world.installation.sender(name, [m.CreateProject(project=name, name="street", pipeline=pipeline, actor="mem")])
    return name


def test_files_for_the_first_stage_make_the_project_know_of_them(world: World, client: Client) -> None:
    name = project(world)
    told = {"space": f"project:{name}", "path": "stages/0000/workspace/frames", "filename": "1.png"}
    place = tus.begun(client, 3, **told)
    assert world.installation.store.load(name).given is True  # type: ignore[union-attr]
    assert tus.send(client, place, 0, b"png").headers["winslow-path"] == "stages/0000/workspace/frames/1.png"
    share = world.installation.settings.share
    assert (share / f"projects/{name}/stages/0000/workspace/frames/1.png").read_bytes() == b"png"
    for path in ("", "output", "stages", "stages/0000", "stages/0001-detect/workspace", "journal", "../.."):
        answer = tus.begin(client, 3, **{**told, "path": path})
        assert answer.status_code in (404, 409, 422), (path, answer.text)


def test_who_is_no_member_of_the_project_brings_nothing_into_it(world: World) -> None:
    name = project(world)
    told = {"space": f"project:{name}", "path": "stages/0000/workspace", "filename": "a"}
    others = world.signed_in("vic")
    assert tus.begin(others, 3, **told).status_code == 403
    world.installation.sender(name, [m.Describe(author="ann", participants=(), actor="ann")])
    assert tus.begin(world.signed_in("mem"), 3, **told).status_code == 404


# --- connections that end


def raw(served: Served, place: str, at: int, length: int, who: str = "mem") -> socket.socket:
    """A connection whose PATCH has begun."""
    client = served.signed_in(who)
    connection = socket.create_connection(("127.0.0.1", served.port))
    cookies = "; ".join(f"{k}={v}" for k, v in client.cookies.items())
    headers = {
        "Host": f"127.0.0.1:{served.port}", **tus.BODY, "Upload-Offset": str(at), "Content-Length": str(length),
        "Cookie": cookies, **{k: v for k, v in client.headers.items() if k == "x-csrf-token"},
    }  # fmt: skip
    client.close()
    lines = [f"PATCH {place} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection


def is_being_written(world: World, place: str) -> bool:
    """Somebody holds its lock: a request that has come, of which not one byte of content need have."""
    with (world.installation.settings.share / "uploads" / f"{place.rsplit('/', 1)[-1]}.part").open("rb") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def status_of(connection: socket.socket) -> int:
    connection.settimeout(10)
    return int(connection.recv(65536).split(b" ")[1])


def test_what_came_before_a_client_was_cut_off_is_kept(world: World, served: Served) -> None:
    with served.signed_in("mem") as client:
        place = tus.begun(client, len(CONTENT), filename="clip.mp4")
        with closing(raw(served, place, 0, len(CONTENT))) as connection:
            connection.sendall(CONTENT[: 2 * MIB])
        until(lambda: tus.offset(client, place) == 2 * MIB)
        assert tus.send(client, place, 2 * MIB, CONTENT[2 * MIB :]).status_code == 204
    assert (inputs(world) / "clip.mp4").read_bytes() == CONTENT


@pytest.mark.parametrize("sent", [0, 1, MIB, 2 * MIB + 17])
def test_a_newer_connection_takes_over_from_one_that_is_silent(world: World, served: Served, sent: int) -> None:
    """A client whose network has changed comes back while its old connection looks alive."""
    with served.signed_in("mem") as client:
        place = tus.begun(client, len(CONTENT), filename="clip.mp4")
        with closing(raw(served, place, 0, len(CONTENT))) as old:
            until(lambda: is_being_written(world, place))
            old.sendall(CONTENT[:sent])
            until(lambda: tus.offset(client, place) == sent)
            begin = time.monotonic()
            at = tus.offset(client, place)
            assert tus.send(client, place, at, CONTENT[at:]).status_code == 204
            assert time.monotonic() - begin < 5
            assert status_of(old) == 409
    assert (inputs(world) / "clip.mp4").read_bytes() == CONTENT


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_nobody_ends_the_connection_of_somebody_elses_upload(world: World, served: Served, method: str) -> None:
    headers = {**tus.BODY, "Upload-Offset": "0"} if method == "PATCH" else tus.HEADERS
    with served.signed_in("mem") as client, served.signed_in("mat") as other:
        place = tus.begun(client, len(CONTENT), filename="clip.mp4")
        with closing(raw(served, place, 0, len(CONTENT))) as mine:
            mine.sendall(CONTENT[:MIB])
            until(lambda: tus.offset(client, place) == MIB)
            assert other.request(method, place, headers=headers).status_code == 404
            mine.sendall(CONTENT[MIB:])
            assert status_of(mine) == 204
    assert (inputs(world) / "clip.mp4").read_bytes() == CONTENT


def test_a_newer_connection_to_another_process_takes_over_too(world: World, served: Served) -> None:
    with served.signed_in("mem") as client:
        place = tus.begun(client, len(CONTENT), filename="clip.mp4")
        with closing(raw(served, place, 0, len(CONTENT))) as old:
            old.sendall(CONTENT[:MIB])
            until(lambda: tus.offset(client, place) == MIB)
            other = Served(world, served.port + 0)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                other.port = probe.getsockname()[1]
            try:
                other.start()
                with other.signed_in("mem") as newer:
                    assert tus.send(newer, place, MIB, CONTENT[MIB:]).status_code == 204
                assert status_of(old) == 409
            finally:
                other.kill()
    assert (inputs(world) / "clip.mp4").read_bytes() == CONTENT


def test_while_bodies_stand_still_others_are_served(world: World, served: Served) -> None:
    with served.signed_in("mem") as client:
        places = [tus.begun(client, len(CONTENT), filename=f"{n}.mp4") for n in range(6)]
        connections = [raw(served, p, 0, len(CONTENT)) for p in places]
        for connection in connections:
            connection.sendall(CONTENT[:100_000])
        begin = time.monotonic()
        for _ in range(20):
            assert client.get("/api/v1/files/inputs/list").status_code == 200
        assert time.monotonic() - begin < 5
        for connection in connections:
            connection.sendall(CONTENT[100_000:])
        assert [status_of(c) for c in connections] == [204] * 6
        for connection in connections:
            connection.close()
    assert {p.read_bytes() for p in inputs(world).glob("*.mp4")} == {CONTENT}


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_after_the_server_was_killed_in_the_middle_the_upload_goes_on(world: World, served: Served, how: str) -> None:
    with served.signed_in("mem") as client:
        place = tus.begun(client, len(CONTENT), filename="clip.mp4", sha256=SUM.hexdigest())
    reached = threading.Event()

    def slowly() -> Iterator[bytes]:
        for at in range(0, len(CONTENT), 65536):
            if at > MIB:
                reached.set()
                time.sleep(0.02)
            yield CONTENT[at : at + 65536]

    def sending() -> None:
        more = {"Content-Length": str(len(CONTENT))} if how == "length" else {}
        with served.signed_in("mem") as sender, pytest.raises(httpx.HTTPError):
            tus.send(sender, place, 0, slowly(), more)

    thread = threading.Thread(target=sending)
    thread.start()
    assert reached.wait(20)
    served.kill()
    thread.join()
    served.start()
    with served.signed_in("mem") as client:
        at = tus.offset(client, place)
        part = world.installation.settings.share / "uploads" / f"{place.rpartition('/')[2]}.part"
        assert at == part.stat().st_size
        assert at < len(CONTENT)
        assert tus.send(client, place, at, CONTENT[at:]).status_code == 204
    assert (inputs(world) / "clip.mp4").read_bytes() == CONTENT


def test_a_server_that_is_told_to_end_keeps_what_has_come(world: World, served: Served) -> None:
    with served.signed_in("mem") as client:
        place = tus.begun(client, len(CONTENT), filename="clip.mp4")
        with closing(raw(served, place, 0, len(CONTENT))) as connection:
            connection.sendall(CONTENT[:MIB])
            until(lambda: tus.offset(client, place) == MIB)
            served.end(signal.SIGTERM)
        served.start()
    with served.signed_in("mem") as client:
        assert tus.offset(client, place) == MIB


def test_a_client_that_waits_to_be_asked_for_the_body_is_asked(world: World, served: Served) -> None:
    with served.signed_in("mem") as client:
        place = tus.begun(client, len(CONTENT), filename="clip.mp4")
        cookies = "; ".join(f"{k}={v}" for k, v in client.cookies.items())
        head = [
            f"PATCH {place} HTTP/1.1", f"Host: 127.0.0.1:{served.port}", "Expect: 100-continue", "Upload-Offset: 0",
            f"Content-Length: {len(CONTENT)}", f"Cookie: {cookies}", f"x-csrf-token: {client.headers['x-csrf-token']}",
            *(f"{k}: {v}" for k, v in tus.BODY.items()), "", "",
        ]  # fmt: skip
    with closing(socket.create_connection(("127.0.0.1", served.port))) as connection:
        connection.sendall("\r\n".join(head).encode())
        assert status_of(connection) == 100
        connection.sendall(CONTENT)
        assert status_of(connection) == 204
    assert (inputs(world) / "clip.mp4").read_bytes() == CONTENT


def test_many_at_once_arrive_each_as_it_was_sent(world: World, served: Served) -> None:
    """Small ones and large ones, by several people at the same time."""
    sizes = [0, 1, 999, MIB - 1, MIB, MIB + 1, 5 * MIB, 8 * MIB + 3]
    wrong: list[object] = []

    def one(number: int, size: int) -> None:
        data = secrets.token_bytes(size)
        try:
            with served.signed_in("mem" if number % 2 else "mat") as client:
                place = tus.begun(client, size, filename=f"{number}.bin")
                if size:
                    half = size // 2
                    assert tus.send(client, place, 0, data[:half]).status_code == 204
                    assert tus.send(client, place, half, data[half:]).status_code == 204
            assert (inputs(world) / f"{number}.bin").read_bytes() == data
        except Exception as error:  # noqa: BLE001 - told below
            wrong.append((number, size, error))

    threads = [threading.Thread(target=one, args=(n, s)) for n, s in enumerate(sizes * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
