"""Broken access, looked for on every route: who may pass is computed from the table of rules, and the routes are taken
from the application, so that a route which is added later is tried as well, and one without a rule fails.

Whoever must be refused asks the real application. Whoever may pass asks one whose routes end right behind their
door, so that nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests import builders
from tests.api.conftest import BASE, World
from winslow_nomad.api.app import routers
from winslow_nomad.api.authority import COOKIE, CSRF, csrf_of, rule_of
from winslow_nomad.api.problems import handle_problems
from winslow_nomad.api.reach import SAFE
from winslow_nomad.core.access import RULES, Principal, Role, Scope, allowed, visible
from winslow_nomad.core.messages import CreateProject
from winslow_nomad.core.people import Group, Person
from winslow_nomad.core.project import Member, Project

PASSED = 299  # what a route answers that ends behind its door
PROJECT = "p-door"
RIGHT = {"tus-resumable": "1.0.0"}  # what requests need in order to be right in all else
SCOPES: tuple[Scope, ...] = ("read", "run", "files", "manage", "trigger")


@dataclass(frozen=True)
class Asker:
    """`principal` None: nobody that is known."""

    name: str
    headers: dict[str, str] = field(default_factory=dict)
    cookie: str = ""
    principal: Principal | None = None

    @property
    def all_headers(self) -> dict[str, str]:
        return {**RIGHT, **self.headers, **({"cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {})}


class Ask(NamedTuple):
    app: FastAPI
    method: str
    path: str
    headers: dict[str, str]


def answers(asks: Sequence[Ask]) -> list[httpx.Response]:
    """Several at a time, in order."""

    async def ask_all() -> list[httpx.Response]:
        at_once = asyncio.Semaphore(16)
        clients = {id(a.app): a.app for a in asks}
        opened = {
            key: httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=BASE)
            for key, app in clients.items()
        }

        async def one(ask: Ask) -> httpx.Response:
            async with at_once:
                return await opened[id(ask.app)].request(ask.method, ask.path, headers=ask.headers)

        return await asyncio.gather(*(one(a) for a in asks))

    return asyncio.run(ask_all())


class Place(NamedTuple):
    route: APIRoute
    method: str
    path: str


def places(*, changing: bool = False) -> list[Place]:
    return [
        Place(route, method, path_of(route.path))
        for router in routers()
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
        if not (changing and method in SAFE)
    ]


def doors(world: World) -> FastAPI:
    """The same paths and the same doors, and nothing behind them."""
    app = FastAPI()
    app.state.services = world.services
    handle_problems(app)

    def behind() -> Response:
        return Response(status_code=PASSED)

    for route, method, _ in places():
        calls = [d.call for d in dependants(route) if d.call is not None and hasattr(d.call, "action")]
        app.add_api_route(route.path, behind, methods=[method], dependencies=[Depends(call) for call in calls])
    return app


def dependants(route: APIRoute) -> Iterator[Dependant]:
    pending = [route.dependant]
    while pending:
        found = pending.pop()
        yield found
        pending.extend(found.dependencies)


def path_of(template: str) -> str:
    """With something in the place of each parameter; the project is one that is there."""
    path = template.replace("{project}", PROJECT)
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + "1" + rest.partition("}")[2]
    return path


def expected(route: APIRoute, asker: Asker, project: Project) -> int:
    action = rule_of(route)
    if action is None:
        return PASSED
    who = asker.principal
    if who is None:
        return 401
    if RULES[action].member is None:
        return PASSED if allowed(who, action) else 403
    if not visible(who, project.author, project.participants, project.id):
        return 404
    may = allowed(who, action, author=project.author, participants=project.participants, project=project.id)
    return PASSED if may else 403


@pytest.fixture
def project(world: World) -> Project:
    """Of `mem`; every role in it is somebody's, one by way of a group."""
    people, now = world.services.people, world.installation.clock.now()
    for name, role in {
        "outsider": Role.MEMBER,
        "looking": Role.MEMBER,
        "working": Role.MEMBER,
        "leading": Role.MEMBER,
        "grouped": Role.MEMBER,
        "watching": Role.VIEWER,
    }.items():
        people.add(Person(name=name, role=role, made=now))
    people.add_group(Group(name="team", members={"grouped": "member"}, made=now))
    participants = (
        Member(user="looking", role="viewer"),
        Member(user="working", role="member"),
        Member(user="leading", role="maintainer"),
        Member(user="@team", role="member"),
        Member(user="watching", role="owner"),
    )
    command = CreateProject(
        actor="mem", project=PROJECT, name="door", pipeline=builders.a_pipeline("detect"), participants=participants
    )
    return world.services.client.send(PROJECT, command)


@pytest.fixture
def askers(world: World, project: Project) -> list[Asker]:
    people = world.services.people
    found = [
        Asker("nobody"),
        Asker("a cookie that is none", cookie="x" * 43),
        Asker("a token that is none", {"authorization": "Bearer wn_abcdefghij_" + "x" * 43}),
        Asker("no scheme", {"authorization": "wn_abc"}),
    ]
    for person in people.persons():
        secret = people.open_session(person.name, "password").secret
        principal = people.of_session(secret)
        found.append(Asker(person.name, {CSRF: csrf_of(secret)}, secret, principal))
    tokens = [*(("ann", {s}) for s in SCOPES), *((name, set(SCOPES)) for name in ("ann", "mem", "leading", "vic"))]
    for name, scopes in tokens:
        token = people.add_token(name, "t", frozenset(scopes))[1]
        bearer = {"authorization": f"Bearer {token}"}
        found.append(Asker(f"token of {name}: {' '.join(sorted(scopes))}", bearer, "", people.of_token(token)))
    for about in (PROJECT, "p-another"):
        token = people.add_token("mem", "t", frozenset({"trigger"}), project=about)[1]
        found.append(Asker(f"trigger of {about}", {"authorization": f"Bearer {token}"}, "", people.of_token(token)))
    expired = people.add_token("ann", "t", frozenset(SCOPES), expires=world.installation.clock.now())[1]
    found.append(Asker("an expired token", {"authorization": f"Bearer {expired}"}))
    return found


def test_every_route_says_who_may_pass_and_about_what() -> None:
    found = places()
    assert len(found) > 30
    for route, _, _ in found:
        action = rule_of(route)
        about_project = action is not None and RULES[action].member is not None
        assert "{project}" in route.path or not about_project, f"{route.path}: {action} is about a project"


def test_every_role_and_every_scope_passes_every_door_as_the_rules_say_and_no_other(
    world: World, project: Project, askers: list[Asker]
) -> None:
    behind = doors(world)
    cases = [(place, asker, expected(place.route, asker, project)) for place in places() for asker in askers]
    asks = [
        Ask(behind if want == PASSED else world.app, place.method, place.path, asker.all_headers)
        for place, asker, want in cases
    ]
    wrong = [
        f"{place.method} {place.path} by {asker.name}: {answer.status_code} instead of {want}"
        for (place, asker, want), answer in zip(cases, answers(asks), strict=True)
        if answer.status_code != want
    ]
    assert wrong == []
    refused = [want for _, _, want in cases if want != PASSED]
    assert len(refused) > 300 and len(cases) - len(refused) > 300


def test_a_project_that_is_not_there_is_answered_like_one_that_must_not_be_seen(
    world: World, askers: list[Asker]
) -> None:
    outsider = next(a for a in askers if a.name == "outsider")
    about = [p for p in places() if "{project}" in p.route.path and rule_of(p.route) is not None]
    paths = [(p.method, path) for p in about for path in (p.path, p.path.replace(PROJECT, "p-none"))]
    found = answers([Ask(world.app, method, path, outsider.all_headers) for method, path in paths])
    assert len(about) > 5
    for hidden, absent in zip(found[::2], found[1::2], strict=True):
        assert hidden.status_code == absent.status_code == 404, hidden.url
        if hidden.request.method != "HEAD":
            left, right = ({**a.json(), "request_id": ""} for a in (hidden, absent))
            assert {**left, "title": left["title"].replace(PROJECT, "p-none")} == right


def test_whatever_changes_something_needs_the_token_of_the_session_or_is_refused(world: World) -> None:
    secret, other = (world.services.people.open_session("ann", "password").secret for _ in range(2))
    guarded = [p for p in places(changing=True) if rule_of(p.route) is not None]
    sent: list[dict[str, str]] = [{}, {CSRF: ""}, {CSRF: csrf_of(other)}, {CSRF: secret}]
    asks = [
        Ask(world.app, p.method, p.path, {**RIGHT, "cookie": f"{COOKIE}={secret}", **headers})
        for p in guarded
        for headers in sent
    ]
    assert len(guarded) > 15
    for answer in answers(asks):
        assert (answer.status_code, answer.json()["code"]) == (403, "session.csrf"), answer.url


def test_a_page_of_another_site_can_change_nothing_whatever_it_knows(world: World) -> None:
    secret = world.services.people.open_session("ann", "password").secret
    own = {**RIGHT, "cookie": f"{COOKIE}={secret}", CSRF: csrf_of(secret)}
    foreign: list[dict[str, str]] = [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost.evil.example"},
        {"origin": "http://localhost:8801"},
        {"origin": "http://localhost@evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost"},
    ]
    asks = [Ask(world.app, p.method, p.path, {**own, **headers}) for p in places(changing=True) for headers in foreign]
    for answer in answers(asks):
        assert (answer.status_code, answer.json()["code"]) == (403, "request.foreign"), answer.url


def test_sockets_are_for_people_who_are_known_and_for_pages_of_our_own(world: World, project: Project) -> None:
    secret = world.services.people.open_session("ann", "password").secret
    refused: list[dict[str, str]] = [
        {},
        {"cookie": f"{COOKIE}={'x' * 43}"},
        {"cookie": f"{COOKIE}={secret}", "origin": "http://evil.example"},
        {"cookie": f"{COOKIE}={secret}", "host": "evil.example"},
    ]
    for router in routers():
        for route in router.routes:
            for headers in refused if isinstance(route, APIWebSocketRoute) else ():
                client, path = world.anonymous(), path_of(str(getattr(route, "path", "")))
                with pytest.raises(WebSocketDisconnect), client.websocket_connect(path, headers=headers):
                    pass
