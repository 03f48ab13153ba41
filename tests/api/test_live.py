"""Live updates: what is told to whom, what happens to who was away, and how a socket ends."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.api.conftest import Served, World, make_world
from tests.api.listening import Listener, Message, listening
from tests.api.logged import ended, log_of, running
from tests.api.test_logs import Follower
from tests.waiting import until
from winslow_nomad.api.authority import COOKIE
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import Role
from winslow_nomad.core.people import Person
from winslow_nomad.core.project import Member
from winslow_nomad.runner import binary
from winslow_nomad.store.embedded import Embedded


def comment(world: World, project: str, text: str = "hello") -> None:
    world.services.client.send(project, m.AddComment(actor="mem", text=text))


def describe(world: World, project: str, **fields: Any) -> None:
    world.services.client.send(project, m.Describe(actor="mem", **fields))


@pytest.fixture(scope="module")
def lasting(running_server: Embedded) -> Iterator[Served]:
    """One server for all tests that leave it alone: each has projects of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="api-", dir="/tmp"))
    made = Served(make_world(folder, running_server.address, f"t{secrets.token_hex(4)}"), port)
    try:
        assert made.world.installation.scribe is not None  # the share is Winslow's before tests put files there
        made.start()
        yield made
    finally:
        made.kill()
        made.world.installation.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def p() -> str:
    return f"p{secrets.token_hex(4)}"


@pytest.fixture
def hidden() -> str:
    return f"h{secrets.token_hex(4)}"


def rows(message: Message) -> dict[str, Any]:
    return {row["id"]: row for row in message["data"]["rows"]}


def test_the_list_is_told_of_what_changes_and_only_to_those_who_may_see_it(
    lasting: Served, p: str, hidden: str
) -> None:
    world = lasting.world
    running(world, p)
    running(world, hidden, participants=())
    with listening(lasting, "vic") as viewer, listening(lasting, "mem") as member:
        hello = viewer.hear()
        assert (hello["type"], hello["user"], hello["heartbeat"]) == ("hello", "vic", 20.0)
        for one in (viewer, member):
            one.follow("projects")
            assert one.of("projects")["type"] == "snapshot"
        describe(world, hidden, tags=("secret",))
        describe(world, p, tags=("open",))
        told = viewer.of("projects")
        assert list(rows(told)) == [p]
        assert (rows(told)[p]["tags"], rows(told)[p]["role"]) == (["open"], "member")
        assert told["cursor"]
        mine: dict[str, Any] = {}
        while {p, hidden} - mine.keys():
            mine |= rows(member.of("projects"))
        assert mine[hidden]["role"] == "owner"
    assert hidden not in str(viewer.heard)


def test_who_is_taken_out_of_a_project_loses_its_row_and_its_page(lasting: Served, p: str) -> None:
    world = lasting.world
    running(world, p, participants=(Member(user="vic"),))
    with listening(lasting, "vic") as viewer:
        for topic in ("projects", f"project:{p}", f"log:{p}/1/1"):
            viewer.follow(topic)
            viewer.of(topic)
        describe(world, p, participants=())
        comment(world, p, "not for vic")
        gone, denied = [], []
        while not gone or len(denied) < 2:
            message = viewer.hear()
            gone += message.get("data", {}).get("removed", [])
            denied += [message["topic"]] if message["type"] == "denied" else []
        assert gone == [p] and set(denied) == {f"project:{p}", f"log:{p}/1/1"}
        describe(world, p, participants=(Member(user="vic"),))
        assert p in rows(viewer.of("projects"))
    assert "not for vic" not in str(viewer.heard)


def test_a_page_is_told_of_all_that_happens_in_its_project(lasting: Served, p: str) -> None:
    world = lasting.world
    running(world, p)
    with listening(lasting, "vic") as viewer:
        viewer.follow(f"project:{p}")
        viewer.of(f"project:{p}")
        comment(world, p, "first")
        told = viewer.of(f"project:{p}")["data"]
        assert told["row"]["version"] == told["happened"][-1]["version"]
        assert [h["entry"]["text"] for h in told["happened"]] == ["first"]


def test_progress_of_a_running_stage_is_told_without_any_commit(lasting: Served, p: str) -> None:
    from winslow_nomad.core.progress import Told

    world = lasting.world
    running(world, p)
    with listening(lasting, "vic") as viewer:
        for topic in ("projects", f"project:{p}"):
            viewer.follow(topic)
            viewer.of(topic)
        now = world.installation.clock.now()
        world.services.progress.put({(p, 1): Told(attempt=1, percent=42.0, cpu_seconds=3.5, at=now)})
        seen: dict[str, Any] = {}
        while len(seen) < 2:
            message = viewer.until(lambda x: x["type"] == "delta")
            if message["topic"] == "projects":
                seen["row"] = rows(message)[p]["percent"]
            elif message["data"]["progress"]:
                seen["progress"] = message["data"]["progress"]
        assert seen["row"] == 42.0
        assert seen["progress"] == [{"stage": 1, "attempt": 1, "percent": 42.0, "cpu_seconds": 3.5, "memory_bytes": 0}]


def test_a_client_that_was_away_is_told_what_it_missed(lasting: Served, p: str) -> None:
    world = lasting.world
    running(world, p)
    with listening(lasting, "vic") as viewer:
        viewer.follow(f"project:{p}")
        cursor = viewer.of(f"project:{p}")["cursor"]
    comment(world, p, "missed")
    with listening(lasting, "vic") as viewer:
        viewer.follow(f"project:{p}", cursor)
        viewer.follow("projects", cursor)
        told = viewer.of(f"project:{p}")["data"]
        assert [h["entry"]["text"] for h in told["happened"]] == ["missed"]
        comment(world, p, "next")
        told = viewer.of(f"project:{p}")["data"]
        while not told["happened"]:  # how far its stage is may be told before
            told = viewer.of(f"project:{p}")["data"]
        assert [h["entry"]["text"] for h in told["happened"]] == ["next"]
    assert any(p in rows(x) for x in viewer.heard if x.get("topic") == "projects" and x["type"] == "delta")


def test_a_client_that_was_away_for_too_long_is_told_of_a_gap(lasting: Served, p: str) -> None:
    running(lasting.world, p)
    comment(lasting.world, p)
    with listening(lasting, "vic") as viewer:
        viewer.follow("projects", "1-1")
        assert viewer.of("projects")["type"] == "gap"
        viewer.follow("projects", "nonsense")
        assert (viewer.of("projects")["type"], viewer.heard[-1]["code"]) == ("denied", "live.cursor")


@pytest.mark.parametrize(
    "topic",
    [
        "project:{hidden}", "log:{hidden}/1/1", "log:{p}/7/1", "log:{p}/1/9", "log:{p}/1/0",
        "files:project:{hidden}/", "files:project:{p}/nothing", "files:inputs/nothing", "files:inputs/../projects/{p}",
    ],
)  # fmt: skip
def test_a_topic_about_what_is_not_there_is_denied(lasting: Served, p: str, hidden: str, topic: str) -> None:
    running(lasting.world, p)
    running(lasting.world, hidden, participants=())
    name = topic.format(p=p, hidden=hidden)
    with listening(lasting, "vic") as viewer:
        viewer.follow(name)
        assert viewer.of(name)["type"] == "denied"


def test_what_is_no_message_is_answered_and_the_socket_lives_on(lasting: Served) -> None:
    with listening(lasting, "vic") as viewer:
        viewer.hear()
        unknown = ('{"op":"sub"}', '{"op":"fly","topic":"projects"}', '{"op":"sub","topic":"projects","x":1}')
        for text in ("", "{", "[]", *unknown):
            viewer.socket.send(text)
            assert viewer.hear()["code"] == "live.message", text
        for topic in ("", "everything", "project:../../etc", "log:p1", "project:" + "x" * 250):
            viewer.follow(topic)
            assert viewer.hear()["code"] in ("live.topic", "live.message"), topic
        viewer.follow("projects")
        assert viewer.of("projects")["type"] == "snapshot"
        viewer.socket.send("x" * 20_000)
        assert viewer.closed() == 1009


def test_new_lines_of_a_log_are_told_and_open_ones_again_when_they_have_changed(lasting: Served, p: str) -> None:
    world = lasting.world
    running(world, p)
    log = log_of(world, p)
    log.write(0, b"one\ntwo\n")
    topic = f"log:{p}/1/1"
    with listening(lasting, "vic") as viewer:
        viewer.follow(topic)
        first = viewer.of(topic)
        assert (first["type"], first["cursor"], first["data"]["total"]) == ("snapshot", "2", 2)
        begun = time.monotonic()
        log.write(1, b"10%")
        told = viewer.of(topic)
        assert time.monotonic() - begun < 5
        assert [(x["n"], x["text"], x["open"]) for x in told["data"]["lines"]] == [(2, "10%", True)]
        log.write(0, b"three\n")
        told = viewer.of(topic)
        assert [(x["n"], x["text"]) for x in told["data"]["lines"]] == [(3, "three")]
        log.write(1, b"\r20%\n")
        told = viewer.of(topic)
        assert [(x["n"], x["text"], x["open"]) for x in told["data"]["lines"]] == [(2, "20%", False)]
        ended(world, p)
        assert viewer.until(lambda x: x["data"]["ended"])["topic"] == topic
    with listening(lasting, "vic") as viewer:
        viewer.follow(topic, "2")
        told = viewer.of(topic)["data"]
        assert ([x["n"] for x in told["lines"]], told["total"], told["ended"]) == ([2, 3], 4, True)


def test_what_a_command_prints_under_the_runner_is_on_screens_soon(lasting: Served, p: str, tmp_path: Path) -> None:
    running(lasting.world, p)
    attempt = log_of(lasting.world, p).log.parent
    words = ["sh", "-c", "for n in 1 2 3; do date +%s.%N; sleep 0.3; done; printf unfinished >&2; sleep 1"]
    (attempt / "command").write_bytes(b"".join(word.encode() + b"\0" for word in words))
    (attempt / "environment").write_bytes(b"PATH=/usr/bin:/bin\0")
    (attempt / "control").write_text("run\n")
    (attempt / "workspace").mkdir()
    with listening(lasting, "vic") as viewer:
        viewer.follow(f"log:{p}/1/1")
        viewer.of(f"log:{p}/1/1")
        runner = subprocess.Popen(
            [binary(), "--attempt", attempt, "--spool", tmp_path / "spool"], stderr=subprocess.DEVNULL
        )
        try:
            delays, last = [], {}
            while len(delays) < 3 or last.get("text") != "unfinished":
                for last in viewer.of(f"log:{p}/1/1")["data"]["lines"]:
                    if last["stream"] == "out":
                        delays.append(time.time() - float(last["text"]))
            assert sorted(delays)[1] < 1.0 and last["open"] and last["stream"] == "err"
        finally:
            runner.wait(20)
        ended(lasting.world, p)
        assert viewer.until(lambda x: x["data"]["ended"])["data"]["total"] == 4


def test_of_very_many_new_lines_only_the_number_is_told(lasting: Served, p: str) -> None:
    running(lasting.world, p)
    log = log_of(lasting.world, p)
    log.write(0, b"one\n")
    with listening(lasting, "vic") as viewer:
        viewer.follow(f"log:{p}/1/1")
        viewer.of(f"log:{p}/1/1")
        log.write(0, b"x\n" * 100_000)
        told = viewer.of(f"log:{p}/1/1")
        assert (told["type"], told["cursor"], told["data"]["lines"]) == ("total", "100001", [])
        log.write(0, b"last\n")
        assert viewer.of(f"log:{p}/1/1")["data"]["lines"][0]["text"] == "last"


def test_no_live_message_holds_a_secret(lasting: Served, p: str) -> None:
    world = lasting.world
    running(world, p)
    log = log_of(world, p)
    log.write(0, b"begin\n")
    with listening(lasting, "vic") as viewer:
        viewer.follow(f"log:{p}/1/1")
        viewer.of(f"log:{p}/1/1")
        world.installation.secrets.put("KEY", "swordfish-swordfish")
        log.write(0, b"key swordfish-")
        told = viewer.of(f"log:{p}/1/1")
        assert told["data"]["lines"][0]["text"] == "key "
        log.write(0, b"swordfish\n")
        assert viewer.of(f"log:{p}/1/1")["data"]["lines"][0]["text"] == "key ********"
    assert "swordfish" not in str(viewer.heard)


def test_the_inbox_is_told_of_questions_that_the_reader_may_answer(lasting: Served, p: str) -> None:
    from tests.builders import START
    from winslow_nomad.core.project import Gate

    world = lasting.world
    gate = Gate(id="g1", kind="confirm", stage=1, question="Start detect?", since=START)
    running(world, p, gates=(gate,))
    with listening(lasting, "mem") as member, listening(lasting, "vic") as viewer:
        for one in (member, viewer):
            one.follow("inbox")
            one.of("inbox")
            one.follow("projects")
            one.of("projects")
        comment(world, p)
        told = member.of("inbox")["data"]
        assert [(i["project"], i["gate"], i["text"]) for i in told["items"]] == [(p, "g1", "Start detect?")]
        running(world, p, gates=())
        comment(world, p)
        assert member.of("inbox")["data"]["removed"] == [p]
        viewer.of("projects")
    assert "Start detect?" not in str([x for x in viewer.heard if x.get("topic") == "inbox"])


def test_operations_are_told_to_those_who_may_see_them(lasting: Served, p: str, hidden: str) -> None:
    from winslow_nomad.core.operations import Operation

    world = lasting.world
    running(world, p)
    running(world, hidden, participants=())
    with listening(lasting, "vic") as viewer:
        viewer.follow("transfers")
        assert viewer.of("transfers")["data"]["transfers"] == []
        made = world.installation.clock.now()
        for name, project in (("o1", p), ("o2", hidden), ("o3", "")):
            world.installation.operations.put(Operation(id=name, kind="workspace", project=project, made=made))
        told = viewer.of("transfers")["data"]["transfers"]
        assert [(x["id"], x["project"]) for x in told] == [("o1", p)]
        world.installation.operations.cancel("o1")
        ended = viewer.of("transfers")["data"]["transfers"]
        assert [(x["id"], x["state"]) for x in ended] == [("o1", "cancelled")]


def test_a_page_of_another_site_gets_no_socket(lasting: Served) -> None:
    with pytest.raises(InvalidStatus) as raised:
        listening(lasting, "vic", Origin="https://evil.example")
    assert raised.value.response.status_code == 403
    with pytest.raises(InvalidStatus):
        listening(lasting, "vic", Host="evil.example")


def test_a_socket_needs_a_session_or_a_token(lasting: Served) -> None:
    world = lasting.world
    with Listener(lasting.url, {"Cookie": f"{COOKIE}=nothing"}) as stranger:
        assert stranger.closed() == 4401
    _, secret = world.services.people.add_token("mem", "script", frozenset({"read"}))
    with Listener(lasting.url, {"Authorization": f"Bearer {secret}"}) as script:
        assert script.hear()["user"] == "mem"
    with Listener(lasting.url, {}) as script:
        script.say(op="auth", token=secret)
        assert script.hear()["user"] == "mem"
    with Listener(lasting.url, {}) as script:
        script.say(op="auth", token="wn_wrong")
        assert script.closed() == 4401
    _, secret = world.services.people.add_token("mem", "no reader", frozenset({"trigger"}))
    with Listener(lasting.url, {"Authorization": f"Bearer {secret}"}) as script:
        assert script.closed() == 4403


def test_a_socket_ends_soon_after_its_session(served: Served) -> None:
    people = served.world.services.people
    opened = people.open_session("mat", "password")
    headers = {"Cookie": f"{COOKIE}={opened.secret}", "Origin": served.url}
    with Listener(served.url, headers) as out, listening(served, "vic") as gone, listening(served, "mem") as member:
        for one in (out, gone, member):
            one.hear()
        people.close_session(opened.secret)
        people.deactivate("vic")
        assert (out.closed(10), gone.closed(10)) == (4401, 4401)
        member.follow("projects")
        assert member.of("projects")["type"] == "snapshot"


def test_bytes_are_not_understood(lasting: Served) -> None:
    with listening(lasting, "vic") as viewer:
        viewer.hear()
        viewer.socket.send(b"\0\1")
        assert viewer.closed() == 1003


def test_a_client_that_talks_without_end_is_cut_off(lasting: Served) -> None:
    with listening(lasting, "vic") as viewer:
        viewer.hear()
        for _ in range(300):
            viewer.socket.send("{}")
        assert viewer.closed() == 1008


def test_who_gets_another_role_begins_anew_and_sees_what_it_may(lasting: Served, hidden: str) -> None:
    world = lasting.world
    running(world, hidden, participants=())
    world.services.people.add(Person(name="eve", role=Role.VIEWER, made=world.installation.clock.now()))
    with listening(lasting, "eve") as viewer:
        viewer.follow("projects")
        viewer.of("projects")
        world.services.people.change("eve", {"role": Role.MAINTAINER})
        assert viewer.of("projects")["type"] == "gap"
        describe(world, hidden, tags=("now",))
        assert hidden in rows(viewer.until(lambda x: x["type"] == "delta"))


def test_a_server_that_ends_says_so_and_clients_go_on_elsewhere_where_they_were(served: Served, p: str) -> None:
    world = served.world
    running(world, p)
    viewer = listening(served, "vic")
    viewer.follow("projects")
    cursor = viewer.of("projects")["cursor"]
    ending = threading.Thread(target=served.end, args=(signal.SIGTERM,))
    ending.start()
    assert viewer.closed() == 1012
    ending.join(20)
    comment(world, p)
    served.start()
    with listening(served, "vic") as viewer:
        viewer.follow("projects", cursor)
        assert p in rows(viewer.of("projects"))


def test_several_servers_tell_the_same(served: Served, p: str) -> None:
    served.start()
    running(served.world, p)
    sockets = [listening(served, "vic") for _ in range(6)]
    try:
        for one in sockets:
            one.follow("projects")
            one.of("projects")
        describe(served.world, p, tags=("t",))
        for one in sockets:
            assert rows(one.of("projects"))[p]["tags"] == ["t"]
    finally:
        for one in sockets:
            one.socket.close()


def test_events_since_a_cursor_are_answered_at_once_and_new_ones_as_they_come(
    lasting: Served, p: str, hidden: str
) -> None:
    world = lasting.world
    running(world, p)
    running(world, hidden, participants=())
    with lasting.signed_in("vic") as client:

        def events(**asked: Any) -> Any:
            answer = client.get("/api/v1/events", params=asked)
            assert answer.status_code == 200, answer.text
            return answer.json()

        start = events()["cursor"]
        comment(world, p, "one")
        comment(world, hidden, "none of yours")
        found = events(cursor=start)
        assert [i["entry"]["text"] for i in found["items"]] == ["one"] and not found["gap"]
        assert events(cursor=found["cursor"])["items"] == []
        timer = threading.Timer(0.5, comment, (world, p, "two"))
        timer.start()
        begun = time.monotonic()
        found = events(cursor=found["cursor"], timeout=10, project=p)
        assert 0.3 < time.monotonic() - begun < 5
        assert [i["entry"]["text"] for i in found["items"]] == ["two"]
        assert events(cursor="1-1")["gap"]
        assert client.get("/api/v1/events", params={"cursor": "x"}).status_code == 422
        assert client.get("/api/v1/events", params={"project": hidden}).status_code == 404


def test_events_can_be_followed_line_by_line(served: Served, p: str) -> None:
    import json

    world = served.world
    running(world, p)
    follower = Follower(served.signed_in("vic"), "/api/v1/events/follow", project=p, cursor="1-1")
    until(lambda: b'"gap"' in follower.data)
    comment(world, p, "as it comes")
    until(lambda: b"as it comes" in follower.data)
    found = [json.loads(line) for line in follower.data.splitlines()]
    assert [line["type"] for line in found] == ["gap", "event"]
    assert found[1]["entry"]["what"] == "commented"
    served.end(signal.SIGTERM)
    assert follower.ended.wait(5)


def test_uploads_are_told_as_they_go_on_to_their_owner_and_to_those_who_look_after_everything(lasting: Served) -> None:
    begin = {"tus-resumable": "1.0.0", "upload-length": "9", "upload-metadata": "filename YS50eHQ=,path bmV3"}
    piece = {"tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream"}

    def sent(page: Any) -> list[tuple[str, int, int]]:
        """The next that is told of uploads; other transfers come and go meanwhile."""
        while True:
            told = page.of("transfers")["data"]["transfers"]
            found = [(t["text"], t["bytes_done"], t["bytes_total"]) for t in told if t["kind"] == "upload"]
            if found:
                return found

    with (
        listening(lasting, "mem") as owner, listening(lasting, "mat") as maintainer,
        listening(lasting, "vic") as other, lasting.signed_in("mem") as client,
    ):  # fmt: skip
        for page in (owner, maintainer, other):
            page.follow("transfers")
            page.of("transfers")
        made = client.post("/api/v1/uploads", headers=begin)
        assert made.status_code == 201, made.text
        path = made.headers["location"]
        assert sent(owner) == sent(maintainer) == [("new/a.txt", 0, 9)]
        client.patch(path, content=b"12345", headers={**piece, "upload-offset": "0"})
        assert sent(owner) == [("new/a.txt", 5, 9)]
        client.patch(path, content=b"6789", headers={**piece, "upload-offset": "5"})
        until(lambda: path.rpartition("/")[2] in owner.of("transfers")["data"]["removed"])
        told = [t for x in other.heard if x.get("topic") == "transfers" for t in x["data"]["transfers"]]
        assert "upload" not in {t["kind"] for t in told}


def test_who_looks_at_a_folder_is_told_that_it_changed_whoever_changed_it(lasting: Served, p: str) -> None:
    on_share = lasting.world.installation.settings.share / "inputs" / p / "Sperrstraße, 17 Nov"
    topic = f"files:inputs/{p}/Sperrstraße, 17 Nov"
    address = "/api/v1/files/inputs"
    with lasting.signed_in("mem") as client, listening(lasting, "vic") as viewer:

        def put(name: str) -> None:
            path = {"path": f"{p}/Sperrstraße, 17 Nov/{name}"}
            assert client.put(f"{address}/content", params=path, content=b"12345").status_code == 201

        def told() -> str:
            message = viewer.of(topic)
            assert (message["type"], message["data"]) == ("delta", {"changed": True})
            return str(message["cursor"])

        put("first.txt")
        viewer.follow(topic)
        before = viewer.of(topic)
        assert before["type"] == "snapshot" and before["cursor"]
        put("second.txt")  # by somebody on another page
        seen = [before["cursor"], told()]
        with (on_share / "first.txt").open("ab") as file:  # by a stage, on whatever machine: no name changes
            file.write(b"more")
        seen.append(told())
        assert client.post(f"{address}/folders", json={"path": f"{p}/Sperrstraße, 17 Nov/inner"}).status_code == 201
        seen.append(told())
        gone = client.delete(f"{address}/content", params={"path": f"{p}/Sperrstraße, 17 Nov"}).json()["trash"]
        seen.append(told())
        assert client.post(f"{address}/trash/{gone}/restore").status_code == 200
        assert told() == seen[-2]  # it is as it was
        assert len(set(seen)) == len(seen)
        with listening(lasting, "vic") as again:  # after a cut
            again.follow(topic, seen[0])
            assert again.of(topic)["type"] == "delta"
            again.follow(topic, seen[-2])
            with pytest.raises(TimeoutError):
                again.of(topic, 3.0)


def test_of_a_large_folder_names_are_told_and_it_is_not_read_again_and_again(world: World, p: str) -> None:
    from winslow_nomad.api.live import folders
    from winslow_nomad.core.filing import Space

    inside = world.installation.settings.share / "inputs" / p
    inside.mkdir(parents=True)
    for number in range(folders.FEW + 1):
        (inside / f"{number:04}").touch()
    look = folders.FolderLook(world.services, Space(), p)
    first = look()
    (inside / "0000").write_bytes(b"more")
    assert look() == first
    (inside / "new").touch()
    assert look() != first
    (inside / "new").unlink()
    (inside / "0200").unlink()
    before = look()
    (inside / "0000").write_bytes(b"still more")
    assert look() != before


def test_who_is_taken_out_of_a_project_hears_no_more_of_its_files(lasting: Served, p: str) -> None:
    world = lasting.world
    running(world, p, participants=(Member(user="vic"),))
    log_of(world, p)
    inside = world.installation.settings.share / "projects" / p / "stages/0001-detect/attempts/1/workspace"
    inside.mkdir(parents=True)
    topic = f"files:project:{p}/stages/0001-detect/workspace"
    with listening(lasting, "vic") as viewer:
        viewer.follow(topic)
        assert viewer.of(topic)["type"] == "snapshot"
        (inside / "frame-1.png").write_bytes(b"x")
        assert viewer.of(topic)["type"] == "delta"
        describe(world, p, participants=())
        assert viewer.of(topic)["type"] == "denied"
        (inside / "frame-2.png").write_bytes(b"x")
        with pytest.raises(TimeoutError):
            viewer.of(topic, 3.0)


def test_a_folder_that_is_not_for_somebody_is_not_followed_by_them(lasting: Served, p: str) -> None:
    with lasting.signed_in("ann") as admin, listening(lasting, "vic") as viewer:
        path = {"path": f"{p}/a.txt"}
        assert admin.put("/api/v1/files/inputs/content", params=path, content=b"1").status_code == 201
        assert admin.post("/api/v1/groups", json={"name": p}).status_code == 201
        viewer.follow(f"files:inputs/{p}/a.txt")
        assert viewer.of(f"files:inputs/{p}/a.txt")["code"] == "path.not_a_folder"
        assert admin.put(f"/api/v1/files/inputs/access?path={p}", json={"groups": [p]}).status_code == 200
        viewer.follow(f"files:inputs/{p}")
        told = viewer.of(f"files:inputs/{p}")
        assert (told["type"], told["code"]) == ("denied", "path.not_found")
