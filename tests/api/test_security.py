"""What holds for every request, whatever its route."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from tests.api.conftest import BASE, World
from tests.waiting import until
from winslow_nomad.api.app import create_app
from winslow_nomad.api.authority import COOKIE, CSRF
from winslow_nomad.api.guards import Guards
from winslow_nomad.api.patience import LARGEST_BODY
from winslow_nomad.api.reach import Reach, of_names
from winslow_nomad.api.slow import AT_ONCE, WAITING
from winslow_nomad.api.trail import Trail
from winslow_nomad.bootstrap.logs import Lines
from winslow_nomad.core.access import Principal
from winslow_nomad.core.audit import AuditEntry, AuditRow
from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.core.people import Person
from winslow_nomad.store.limits import PAIR
from winslow_nomad.store.passwords import Passwords
from winslow_nomad.store.people import RedisPeople

API = "/api/v1"
PASSWORD = "nineteen purple lanterns"
PROBLEM = "application/problem+json"


class Broken:
    """In the place of a service: fails in a way that nobody foresaw, telling a secret."""

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError("s3cret in a stack")


def with_ada(world: World) -> None:
    world.services.people.add(Person(name="ada", made=world.installation.clock.now()), PASSWORD)


def cookies_of(answer: Any) -> str:
    return str(answer.headers.get("set-cookie", ""))


# --- names


OURS = """localhost LOCALHOST:8800 127.0.0.1 127.0.0.1:80 [::1]:8800 10.1.2.3 winslow.example Winslow.Example.:443"""
FOREIGN = """evil.example localhost.evil.example 127.0.0.1.evil.example localhost@evil.example evil.example:80
    localhost/x [::1 localhost#x 0x7f000001 1.2.3.4.5"""


@pytest.mark.parametrize("host", OURS.split())
def test_it_answers_under_its_names_and_its_addresses(world: World, host: str) -> None:
    app = create_app(world.services, reach=of_names(["Winslow.example "]))
    client = TestClient(app, base_url=BASE)
    assert client.get(f"{API}/session", headers={"host": host}).status_code == 401


@pytest.mark.parametrize("host", ["", "a b", *FOREIGN.split()])
def test_it_answers_under_no_other_name_since_such_a_name_may_point_to_us_from_a_foreign_page(
    world: World, host: str
) -> None:
    secret = world.services.people.open_session("ann", "password").secret
    answer = world.anonymous().get(f"{API}/session", headers={"host": host, "cookie": f"{COOKIE}={secret}"})
    assert (answer.status_code, answer.json()["code"]) == (421, "request.host")


def test_our_own_page_behind_any_port_and_programs_that_are_no_browser_may_ask(member: TestClient) -> None:
    for headers in (
        {},
        {"origin": "http://localhost"},
        {"origin": "http://LOCALHOST:80"},
        {"origin": "https://localhost:8800", "host": "localhost:8800"},
        {"sec-fetch-site": "same-origin", "origin": "http://localhost"},
        {"sec-fetch-site": "none"},
    ):
        assert member.patch(f"{API}/session", json={}, headers=headers).status_code == 200, headers


def test_a_foreign_page_cannot_log_somebody_in_either(world: World, anonymous: TestClient) -> None:
    with_ada(world)
    body = {"user": "ada", "password": PASSWORD}
    answer = anonymous.post(f"{API}/session", json=body, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403 and not cookies_of(answer)


# --- sessions


def test_the_cookie_is_for_this_site_alone_and_out_of_reach_of_scripts(world: World) -> None:
    with_ada(world)
    for base, secure in (("http://localhost", False), ("https://localhost", True)):
        client = TestClient(world.app, base_url=base)
        answer = client.post(f"{API}/session", json={"user": "ada", "password": PASSWORD})
        attributes = {a.strip().lower() for a in cookies_of(answer).split(";")[1:]}
        assert {"httponly", "samesite=strict", "path=/"} <= attributes
        assert ("secure" in attributes) is secure
        assert not any(a.startswith("domain") for a in attributes)
        assert ("strict-transport-security" in answer.headers) is secure


def test_a_session_that_somebody_slipped_in_before_the_log_in_is_worth_nothing_after_it(world: World) -> None:
    with_ada(world)
    planted = world.services.people.open_session("mem", "password").secret
    for cookie in (planted, "chosen-by-the-attacker"):
        client = world.anonymous()
        client.cookies.set(COOKIE, cookie, domain="localhost.local", path="/")
        answer = client.post(f"{API}/session", json={"user": "ada", "password": PASSWORD})
        assert answer.status_code == 200
        assert cookie not in cookies_of(answer) and len(cookies_of(answer).partition(";")[0]) > 40
        assert world.services.people.of_session(cookie) is None


def test_a_log_in_that_fails_leaves_the_session_that_is_there(world: World, member: TestClient) -> None:
    assert member.post(f"{API}/session", json={"user": "mem", "password": "wrong"}).status_code == 401
    assert member.get(f"{API}/session").status_code == 200


def test_a_bearer_token_counts_before_a_cookie_and_a_wrong_one_is_not_made_good_by_it(member: TestClient) -> None:
    for header in ("Bearer wn_wrong_wrong", "Basic bWVtOng=", "Bearer", "Bearer ", "bearer wn_x_y", "x"):
        assert member.get(f"{API}/session", headers={"authorization": header}).status_code == 401


# --- what every answer has


def every_kind_of_answer(world: World) -> Iterator[tuple[str, Any]]:
    admin, anonymous = world.signed_in("ann"), world.anonymous()
    yield "200", admin.get(f"{API}/session")
    yield "204", admin.delete(f"{API}/users/mem/sessions")
    yield "401", anonymous.get(f"{API}/session")
    yield "403", world.signed_in("vic").get(f"{API}/audit")
    yield "404 of a route", admin.get(f"{API}/users/nobody")
    yield "404 without a route", admin.get(f"{API}/nothing")
    yield "405", admin.put(f"{API}/audit")
    yield "409", admin.post(f"{API}/users", json={"name": "ann"})
    yield "413", admin.post(f"{API}/users", content=b"x" * (LARGEST_BODY + 1))
    yield "421", admin.get(f"{API}/session", headers={"host": "evil.example"})
    yield "422", admin.post(f"{API}/users", json={})
    world.app.state.services = replace(world.services, people=Broken())
    yield "500", admin.get(f"{API}/users")
    world.app.state.services = world.services


def test_every_answer_has_an_id_and_says_what_browsers_must_not_do_with_it(world: World) -> None:
    for kind, answer in every_kind_of_answer(world):
        headers = answer.headers
        assert str(answer.status_code) == kind[:3]
        assert len(headers["x-request-id"]) == 16, kind
        assert headers["x-content-type-options"] == "nosniff", kind
        assert headers["x-frame-options"] == "DENY", kind
        assert headers["referrer-policy"] == "same-origin", kind
        assert headers["cache-control"] == "no-store", kind
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "sandbox" in policy and "script-src" not in policy, kind
        assert "server" not in headers and "x-powered-by" not in headers, kind


def test_every_problem_says_what_happened_under_a_code_and_nothing_of_the_inside(world: World) -> None:
    for kind, answer in every_kind_of_answer(world):
        if answer.status_code < 400:
            continue
        assert answer.headers["content-type"] == PROBLEM, kind
        problem = answer.json()
        assert problem["status"] == answer.status_code and problem["code"] and problem["title"], kind
        assert problem["request_id"] == answer.headers["x-request-id"], kind
        for inside in ("s3cret", "Traceback", "ZeroDivision", ".py"):
            assert inside not in answer.text, kind


def test_pages_may_run_scripts_of_their_own_site_alone(anonymous: TestClient) -> None:
    policy = anonymous.get("/login").headers["content-security-policy"]
    assert "script-src 'self';" in policy and "unsafe-eval" not in policy and "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


def test_a_failure_that_nobody_foresaw_is_in_the_log_under_the_id_that_was_answered(
    world: World, admin: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.app.state.services = replace(world.services, people=Broken())
    answer = admin.get(f"{API}/users")
    assert answer.status_code == 500
    (record,) = [r for r in caplog.records if r.exc_info]
    assert record.exc_info is not None and record.exc_info[0] is ZeroDivisionError
    lines = [Lines().format(r) for r in caplog.records if getattr(r, "fields", None)]
    assert any(answer.headers["x-request-id"] in line and "status=500" in line for line in lines)


@pytest.mark.parametrize("given", ["abc-1.2_3", "x" * 64, "x" * 65, "a b", "a;b=c", "<b>", ""])
def test_an_id_from_outside_is_taken_only_if_it_is_harmless(member: TestClient, given: str) -> None:
    answer = member.get(f"{API}/session", headers={"X-Request-Id": given})
    assert (answer.headers["X-Request-Id"] == given) is (given in ("abc-1.2_3", "x" * 64))


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/session/",
        "//evil.example/%2e%2e",
        "//evil.example",
        "/\\evil.example",
        "/%5cevil.example/",
        "/login//evil.example",
        "/%0d%0aLocation:%20http://evil.example",
        f"{API}/session?next=http://evil.example",
        f"{API}//session",
    ],
)
def test_nobody_is_sent_anywhere(member: TestClient, path: str) -> None:
    for method in ("GET", "POST"):
        answer = member.request(method, f"{BASE}{path}", headers={"accept": "text/html"})
        assert answer.status_code not in range(300, 400) and "location" not in answer.headers
        assert "evil" not in str(answer.headers)


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x=y", "a%0d%0aSet-Cookie:%20x=y", "\r\n\r\n<script>"])
def test_what_people_send_makes_no_header(admin: TestClient, name: str) -> None:
    for answer in (
        admin.get(f"{API}/users/{name.encode().hex() if not name.isprintable() else name}"),
        admin.get(f"{API}/users", params={"text": name, "after": name}),
        admin.post(f"{API}/session", json={"user": name, "password": "x"}),
        admin.post(f"{API}/users", json={"name": name}),
    ):
        assert "set-cookie" not in answer.headers and "<script" not in str(answer.headers)


# --- bodies


def test_a_body_that_is_too_large_is_refused_before_it_is_read_and_changes_nothing(world: World) -> None:
    admin = world.signed_in("ann")
    large = json.dumps({"name": "bob", "display_name": "x" * LARGEST_BODY}).encode()

    def pieces() -> Iterator[bytes]:
        yield from (large[at : at + 65536] for at in range(0, len(large), 65536))

    for answer in (
        admin.post(f"{API}/users", content=large, headers={"content-type": "application/json"}),
        admin.post(f"{API}/users", content=pieces(), headers={"content-type": "application/json"}),
        admin.post(f"{API}/users", content=large, headers={"content-type": "application/octet-stream"}),
        admin.request("DELETE", f"{API}/users/mem/sessions", content=large),
        world.anonymous().post(f"{API}/session", content=large, headers={"content-type": "application/json"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large"), answer.request.url
        assert answer.headers["content-type"] == PROBLEM and answer.headers["connection"] == "close"
    assert "bob" not in [p.name for p in world.services.people.persons()]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 500_000,
        b'{"a":' * 150_000,
        b"\xff\xfe",
        b"",
        b"nul",
        b'{"name": "\\ud800"}',
        b'{"name": "bob", "name": "ann"}',
        b"NaN",
        b'{"name": 1e999999}',
        b"1" * 100_000,
    ],
)
def test_what_is_no_request_is_told_so(admin: TestClient, body: bytes) -> None:
    answer = admin.post(f"{API}/users", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 409, 422) and answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_form_of_another_site_could_send_is_not_taken_for_json(admin: TestClient, kind: str) -> None:
    answer = admin.post(f"{API}/users", content=b'{"name": "bob"}', headers={"content-type": kind})
    assert answer.status_code == 422


class Slowly:
    """An application behind the guards, and a caller whose body comes in pieces with a pause before each."""

    def __init__(self, pieces: Sequence[bytes], pause: float) -> None:
        self.pieces = list(pieces)
        self.pause = pause
        self.sent: list[Message] = []
        self.read = b""

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            self.read += message["body"]
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def receive(self) -> Message:
        await asyncio.sleep(self.pause)
        piece = self.pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def run(self, world: World, gap: float) -> int:
        trail = Trail(world.services.audit)
        guards = Guards(self.app, reach=Reach(), trail=trail, clock=world.installation.clock, gap=gap)
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/v1/x",
            "scheme": "http",
            "headers": [(b"host", b"localhost")],
            "query_string": b"",
            "client": ("10.0.0.1", 1),
        }
        asyncio.run(guards(scope, self.receive, self.send))
        return int(self.sent[0]["status"])


def test_a_body_that_does_not_come_is_waited_for_only_so_long(world: World) -> None:
    slow = Slowly([b"a", b"b"], pause=5)
    assert slow.run(world, gap=0.05) == 408
    assert json.loads(slow.sent[1]["body"])["code"] == "request.too_slow"
    assert (b"connection", b"close") in slow.sent[0]["headers"]
    steady = Slowly([b"a"] * 4, pause=0.02)
    assert steady.run(world, gap=5) == 200 and steady.read == b"aaaa"


# --- log-in


def test_after_too_many_attempts_the_answer_says_when_to_come_back(world: World, anonymous: TestClient) -> None:
    with_ada(world)
    for _ in range(PAIR.attempts):
        assert anonymous.post(f"{API}/session", json={"user": "ada", "password": "wrong"}).status_code == 401
    answer = anonymous.post(f"{API}/session", json={"user": "ada", "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (429, "session.too_many")
    assert 0 < int(answer.headers["retry-after"]) <= PAIR.seconds


def test_a_refused_log_in_says_the_same_whoever_is_named(world: World, anonymous: TestClient) -> None:
    with_ada(world)
    said = []
    for user in ("ada", "nobody"):
        answer = anonymous.post(f"{API}/session", json={"user": user, "password": "wrong"})
        said.append({**answer.json(), "request_id": ""})
        assert answer.status_code == 401 and not cookies_of(answer)
    assert said[0] == said[1]


def test_who_confirms_the_own_password_too_often_is_held_up_as_well(world: World, member: TestClient) -> None:
    world.services.people.set_password("mem", PASSWORD)
    client = world.signed_in("mem")
    body = {"password": "another good one", "present": "wrong"}
    for _ in range(PAIR.attempts):
        assert client.put(f"{API}/session/password", json=body).status_code == 403
    assert client.put(f"{API}/session/password", json={**body, "present": PASSWORD}).status_code == 429


def test_many_who_log_in_at_once_hold_up_nobody_else_and_more_than_that_are_sent_away(world: World) -> None:
    class Held(Passwords):
        at_once = most = 0
        go = threading.Event()
        lock = threading.Lock()

        def matches(self, hashed: str, password: str) -> bool:
            with self.lock:
                self.at_once += 1
                self.most = max(self.most, self.at_once)
            assert self.go.wait(30)
            with self.lock:
                self.at_once -= 1
            return False

    held = Held()
    installation = world.installation
    people = RedisPeople(installation.state, installation.clock, installation.keys, held)
    world.app.state.services = replace(world.services, people=people)
    cookie = world.services.people.open_session("mem", "password").secret

    async def everybody() -> tuple[list[int], int]:
        transport = httpx.ASGITransport(world.app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=60) as client:

            async def log_in(n: int) -> int:
                answer = await client.post(f"{API}/session", json={"user": f"u{n}", "password": "x"})
                return answer.status_code

            under_way = [asyncio.create_task(log_in(n)) for n in range(AT_ONCE + WAITING + 5)]
            while sum(t.done() for t in under_way) < 5:  # those who are sent away
                await asyncio.sleep(0.01)
            other = await client.get(f"{API}/session", headers={"cookie": f"{COOKIE}={cookie}"})
            held.go.set()
            return [await t for t in under_way], other.status_code

    answered, other = asyncio.run(everybody())
    assert other == 200
    assert answered.count(429) >= 5 and set(answered) <= {401, 429}
    assert held.most == AT_ONCE


# --- audit and log


class Away:
    """core.audit.Audit while the store is away."""

    def append(self, entries: Sequence[AuditEntry]) -> None:
        raise StoreUnavailable("The store cannot be reached.")

    def read(self, **_: Any) -> tuple[Sequence[AuditRow], str]:
        return [], ""


def test_what_cannot_be_written_into_the_audit_stands_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(replace(world.services, audit=Away()))
    secret = world.services.people.open_session("ann", "password").secret
    client = TestClient(app, base_url=BASE, cookies={COOKIE: secret})
    client.headers[CSRF] = client.get(f"{API}/session").json()["csrf"]
    assert client.post(f"{API}/groups", json={"name": "team"}).status_code == 201
    (line,) = [r.getMessage() for r in caplog.records if "not in the audit" in r.getMessage()]
    assert '"what":"add_group"' in line and '"actor":"ann"' in line


def test_the_log_has_one_line_for_each_request_and_nothing_of_its_query(
    world: World, member: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "winslow.requests"):
        member.get(f"{API}/projects/p-1/tokens?secret=hunter2")
        member.get("/nothing/%0alevel=error%20forged?secret=hunter2")
    first, second = [Lines().format(r) for r in caplog.records if r.name == "winslow.requests"]
    for part in ("user=mem", "status=404", 'route="/api/v1/projects/{project}/tokens"', "project=p-1", "method=GET"):
        assert part in first, first
    assert "hunter2" not in first + second and "\n" not in second and "\\nlevel=error forged" in second


def test_strangers_cannot_fill_the_log_with_one_request(world: World, caplog: pytest.LogCaptureFixture) -> None:
    client = world.anonymous()
    with caplog.at_level(logging.INFO, "winslow.requests"):
        client.get("/" + "a" * 50_000)
        client.get(f"{API}/projects/" + "a" * 50_000)
        client.request("A" * 3000, "/")
        client.post("/" + "a" * 50_000, headers={"Origin": "https://evil.example"})
    lines = [Lines().format(r) for r in caplog.records if r.name == "winslow.requests"]
    assert len(lines) == 4 and max(map(len, lines)) < 700, lines


def test_no_secret_ever_comes_out_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Everything that is stored, answered or logged while people use their secrets, searched for them."""
    caplog.set_level(logging.DEBUG)
    answers: list[str] = []
    admin = world.signed_in("ann")

    def ask(client: TestClient, method: str, path: str, **more: Any) -> Any:
        answer = client.request(method, f"{API}{path}", **more)
        answers.append(f"{answer.headers} {answer.text}")
        return answer

    ask(admin, "POST", "/users", json={"name": "ada", "password": PASSWORD})
    link = admin.post(f"{API}/users/ada/link").json()["secret"]
    ada = world.anonymous()
    opened = ada.post(f"{API}/session", json={"user": "ada", "password": PASSWORD})
    ada.headers[CSRF] = csrf = opened.json()["csrf"]
    cookie = ada.cookies[COOKIE]
    token = ada.post(f"{API}/tokens", json={"name": "t", "scopes": ["read", "manage"]}).json()["secret"]
    by_token = world.anonymous()
    by_token.headers["Authorization"] = f"Bearer {token}"
    world.anonymous().post(f"{API}/session", json={"link": link})
    for client in (ada, by_token, admin):
        for path in ("/users", "/users/ada", "/groups", "/tokens", "/audit", "/users/ada/tokens", "/openapi.json"):
            ask(client, "GET", path)
        ask(client, "GET", f"/session?token={token}&password={PASSWORD}") if client is not ada else None
        ask(client, "POST", "/users", json={"name": PASSWORD, "password": [PASSWORD], "x": token})
    ask(world.anonymous(), "POST", "/session", json={"user": token, "password": PASSWORD, "link": ""})
    ask(world.anonymous(), "POST", "/session", json={"user": "ada", "password": PASSWORD + "x"})
    ask(world.anonymous(), "GET", "/session", headers={"Authorization": f"Basic {PASSWORD}"})
    world.app.state.services = replace(world.services, people=Broken())
    ask(ada, "GET", "/users")

    stored = "\n".join(everything(world))
    ours = [r for r in caplog.records if not r.name.startswith("httpx")]  # the test's own client tells all
    logged = "\n".join(Lines().format(r) for r in ours)
    assert "argon2" in stored and "add_user" in stored and "winslow.requests" in logged  # it was looked at
    for name, secret in {"password": PASSWORD, "link": link, "cookie": cookie, "csrf": csrf, "token": token}.items():
        assert secret not in stored, name
        assert secret not in logged, name
        assert secret not in "\n".join(answers), name
    assert "argon2" not in "\n".join(answers)


def everything(world: World) -> list[str]:
    client: Any = world.installation.state
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda k: client.zrange(k, 0, -1),
        b"list": lambda k: client.lrange(k, 0, -1),
        b"stream": client.xrange,
    }
    keys = client.scan_iter(match=f"{world.installation.keys.prefix}:*")
    return [f"{key!r} {read[client.type(key)](key)!r}" for key in keys]


def test_who_is_gone_while_the_answer_is_made_is_no_failure(world: World, caplog: pytest.LogCaptureFixture) -> None:
    gone = Slowly([b"a", b"b"], pause=0)

    async def leave() -> Message:
        return {"type": "http.disconnect"}

    trail = Trail(world.services.audit)
    guards = Guards(world.app, reach=Reach(), trail=trail, clock=world.installation.clock)
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{API}/session",
        "raw_path": f"{API}/session".encode(),
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"10")],
        "query_string": b"",
        "client": ("10.0.0.1", 1),
        "server": ("localhost", 80),
    }
    asyncio.run(guards(scope, leave, gone.send))
    until(lambda: not [r for r in caplog.records if r.levelno >= logging.ERROR])


def test_a_session_is_worth_the_person_and_no_more(world: World) -> None:
    """What is asked of people with every request is one round trip to the store."""
    secret = world.services.people.open_session("mem", "password").secret
    world.services.people.of_session(secret)
    before = world.installation.state.info("stats")["total_commands_processed"]
    found = world.services.people.of_session(secret)
    commands = world.installation.state.info("stats")["total_commands_processed"] - before
    assert found == Principal(user="mem", role=world.services.people.person("mem").role)
    assert commands <= 4  # the session, its life, the edition; and INFO
