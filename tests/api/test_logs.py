"""Logs over REST: lines, the end, search, the bytes, and what is being written."""

from __future__ import annotations

import base64
import json
import signal
import threading
import time
from collections.abc import Callable

import httpx
import pytest
from starlette.testclient import TestClient

from tests.api.conftest import Served, World
from tests.api.logged import ended, log_of, running
from tests.waiting import until

LOG = "/api/v1/projects/p1/stages/1/log"
SECRET = "swordfish-swordfish"


def texts(answer: httpx.Response, key: str = "lines") -> list[str]:
    assert answer.status_code == 200, answer.text
    return [line["text"] for line in answer.json()[key]]


def test_lines_of_both_streams_come_in_the_order_of_time(world: World, viewer: TestClient) -> None:
    running(world)
    log = log_of(world)
    log.write(0, b"one\ntw")
    log.write(1, b"warning\n")
    log.write(0, b"o\nthree")
    answer = viewer.get(LOG).json()
    assert (answer["attempt"], answer["start"], answer["total"]) == (1, 0, 4)
    assert (answer["complete"], answer["ended"]) == (True, False)
    assert [(x["n"], x["stream"], x["text"], x["open"]) for x in answer["lines"]] == [
        (0, "out", "one", False), (1, "out", "two", False), (2, "err", "warning", False), (3, "out", "three", True),
    ]  # fmt: skip
    assert answer["lines"][0]["at"].startswith("2023-11-14T22:13:20.001")
    assert texts(viewer.get(LOG, params={"stream": "err"})) == ["warning"]
    assert texts(viewer.get(LOG, params={"start": 1, "count": 2})) == ["two", "warning"]
    assert texts(viewer.get(f"{LOG}/tail", params={"count": 2})) == ["warning", "three"]
    assert texts(viewer.get(LOG, params={"start": -1})) == ["three"]


def test_a_stage_that_has_not_run_has_an_empty_log(world: World, viewer: TestClient) -> None:
    from tests.builders import a_stage

    running(world, stages={1: a_stage()})
    answer = viewer.get(LOG)
    assert (answer.json()["attempt"], answer.json()["total"], answer.json()["ended"]) == (0, 0, False)
    assert texts(viewer.get(f"{LOG}/search", params={"pattern": "a"}), "hits") == []
    assert viewer.get(f"{LOG}/raw").content == b""


@pytest.mark.parametrize(("stage", "attempt", "code"), [(7, 0, "stage.not_found"), (1, 2, "attempt.not_found")])
def test_what_is_not_there_is_told(world: World, viewer: TestClient, stage: int, attempt: int, code: str) -> None:
    running(world)
    for what in ("", "/tail", "/raw", "/follow", "/search"):
        path = f"/api/v1/projects/p1/stages/{stage}/log{what}"
        answer = viewer.get(path, params={"pattern": "a", "attempt": attempt})
        assert (answer.status_code, answer.json()["code"]) == (404, code), what


def test_a_log_of_a_project_that_is_not_to_be_seen_is_not_there(world: World, viewer: TestClient) -> None:
    running(world, participants=())
    for what in ("", "/tail", "/raw", "/follow", "/search?pattern=a"):
        answer = viewer.get(f"{LOG}{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, "project.not_found"), what


def test_a_search_answers_lines_and_where_to_go_on(world: World, viewer: TestClient) -> None:
    running(world)
    log_of(world).write(0, b"".join(b"frame %d %s\n" % (n, b"ERROR" if n % 10 == 3 else b"fine") for n in range(100)))

    def search(**asked: object) -> dict[str, object]:
        answer = viewer.get(f"{LOG}/search", params=asked)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    found = search(pattern="ERROR", limit=3)
    assert ([x["n"] for x in found["hits"]], found["next"]) == ([3, 13, 23], 24)
    found = search(pattern="err.r$", regex=True, case=False, limit=20, start=24)
    assert ([x["n"] for x in found["hits"]], found["next"]) == ([33, 43, 53, 63, 73, 83, 93], None)
    found = search(pattern="ERROR", backwards=True, limit=2)
    assert ([x["n"] for x in found["hits"]], found["next"]) == ([93, 83], 83)
    answer = viewer.get(f"{LOG}/search", params={"pattern": "(", "regex": True})
    assert (answer.status_code, answer.json()["code"]) == (422, "log.pattern")


def test_the_raw_log_is_exact_and_can_be_had_in_parts(world: World, viewer: TestClient) -> None:
    ended(world)
    log = log_of(world)
    log.write(0, bytes(range(256)) * 40)
    log.write(1, b"\xff\xfe err \r\n" * 500)
    log.write(0, b"end without a newline")
    whole = bytes(range(256)) * 40 + b"\xff\xfe err \r\n" * 500 + b"end without a newline"
    answer = viewer.get(f"{LOG}/raw")
    assert answer.content == whole and answer.headers["content-length"] == str(len(whole))
    assert 'filename="p1-0001-1.log"' in answer.headers["content-disposition"]
    assert viewer.get(f"{LOG}/raw", params={"stream": "err"}).content == b"\xff\xfe err \r\n" * 500
    for start, end in ((0, 1), (10_000, 10_300), (5, len(whole)), (14_700, 14_760)):
        part = viewer.get(f"{LOG}/raw", headers={"Range": f"bytes={start}-{end - 1}"})
        assert (part.status_code, part.content) == (206, whole[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(whole)}"
    assert viewer.get(f"{LOG}/raw", headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
    tag = answer.headers["etag"]
    assert viewer.get(f"{LOG}/raw", headers={"If-None-Match": tag}).status_code == 304
    other = viewer.get(f"{LOG}/raw", headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, whole)
    same = viewer.get(f"{LOG}/raw", headers={"Range": "bytes=0-1", "If-Range": tag})
    assert same.status_code == 206


def test_no_answer_about_a_log_holds_a_secret(world: World, viewer: TestClient) -> None:
    running(world)
    world.installation.secrets.put("LICENCE", SECRET)
    world.installation.secrets.put("KEY", "first-line-of-key\nsecond-line-of-key")
    log = log_of(world)
    log.write(0, b"key: " + SECRET.encode() + b"\n" + b"x" * 5000 + SECRET.encode()[:9])
    log.write(1, b"between\n")
    log.write(0, SECRET.encode()[9:] + b"\nfirst-line-of-key\nsecond-line-of-key\n")
    log.write(0, b"and the beginning: " + SECRET.encode()[:12])
    place = (5 + len(SECRET) + 1 + 5000) + 4
    asked = [
        (LOG, {}), (f"{LOG}/tail", {}), (f"{LOG}/search", {"pattern": "key"}), (f"{LOG}/raw", {}),
        (f"{LOG}/raw", {"stream": "out"}),
    ]  # fmt: skip
    for path, params in asked:
        answer = viewer.get(path, params=params)
        assert answer.status_code == 200
        for hidden in (SECRET[:12], SECRET[9:], "line-of-key"):
            assert hidden not in answer.text, (path, hidden)
    assert viewer.get(f"{LOG}/raw", params={"stream": "out"}).content.endswith(b"beginning: " + b"*" * 12)
    assert viewer.get(f"{LOG}/raw", params={"stream": "out"}).content.count(b"x" + b"*" * len(SECRET) + b"\n") == 1
    for start in range(place - 30, place + 30, 7):  # cut anywhere
        part = viewer.get(f"{LOG}/raw", params={"stream": "out"}, headers={"Range": f"bytes={start}-{start + 9}"})
        assert not any(SECRET[a : a + 4] in part.text for a in range(len(SECRET) - 4)), start
    assert texts(viewer.get(f"{LOG}/search", params={"pattern": SECRET[:8]}), "hits") == []
    assert texts(viewer.get(LOG))[0] == "key: ********"


class Follower:
    """Reads an answer that goes on, in a thread of its own."""

    def __init__(self, client: httpx.Client, path: str, **params: object) -> None:
        self.data = b""
        self.times: list[tuple[float, bytes]] = []
        self.status = 0
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(client, path, params), daemon=True)
        self._thread.start()

    def _run(self, client: httpx.Client, path: str, params: dict[str, object]) -> None:
        try:
            with client.stream("GET", path, params=params) as answer:
                self.status = answer.status_code
                for piece in answer.iter_raw():
                    self.times.append((time.monotonic(), piece))
                    self.data += piece
        except httpx.TransportError:
            pass
        self.ended.set()

    def has(self, text: bytes) -> Callable[[], bool]:
        return lambda: text in self.data


def test_whoever_follows_gets_what_is_written_and_the_end(served: Served) -> None:
    world = served.world
    running(world)
    log = log_of(world)
    log.write(0, b"before\n")
    with served.signed_in("vic") as client:
        text = Follower(client, f"{LOG}/follow")
        lines = Follower(served.signed_in("vic"), f"{LOG}/follow", format="lines", start=-1)
        chunks = Follower(served.signed_in("vic"), f"{LOG}/follow", format="chunks")
        until(text.has(b"before\n"))
        until(lines.has(b'"before"'))
        begun = time.monotonic()
        log.write(1, b"no end yet")
        until(text.has(b"no end yet"))
        assert text.times[-1][0] - begun < 1.0
        log.write(0, b"after\n")
        until(lines.has(b'"after"'))
        log.write(1, b": now\n")
        until(lines.has(b'"no end yet: now"'))
        ended(world)
        for follower in (text, lines, chunks):
            assert follower.ended.wait(10) and follower.status == 200
    assert text.data == b"before\nno end yetafter\n: now\n"
    assert [json.loads(x)["n"] for x in lines.data.splitlines()] == [0, 2, 1]
    found = [json.loads(x) for x in chunks.data.splitlines()]
    assert found.pop() == {"end": True}
    assert b"".join(base64.b64decode(x["data"]) for x in found) == text.data
    assert {x["stream"] for x in found} == {"out", "err"}


def test_following_ends_when_the_server_is_told_to_end_or_the_reader_may_no_longer_look(served: Served) -> None:
    world = served.world
    running(world)
    log_of(world).write(0, b"line\n")
    mine = Follower(served.signed_in("mem"), f"{LOG}/follow")
    other = Follower(served.signed_in("vic"), f"{LOG}/follow")
    until(mine.has(b"line"))
    until(other.has(b"line"))
    running(world, participants=())
    assert other.ended.wait(15)
    assert not mine.ended.is_set()
    begun = time.monotonic()
    served.end(signal.SIGTERM)
    assert mine.ended.wait(5) and time.monotonic() - begun < 5
