"""People: who there is, what they may do, and how they come in. An account is never deleted, since projects and the
audit name it; who leaves is deactivated."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from winslow_nomad.api.authority import may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given
from winslow_nomad.api.slow import slow
from winslow_nomad.api.texts import DisplayName, Email, NewPassword, Page
from winslow_nomad.api.trail import note
from winslow_nomad.core.access import RANKS, Action, Principal, Role
from winslow_nomad.core.errors import NotFound, Refused
from winslow_nomad.core.leaving import pass_on
from winslow_nomad.core.model import Value
from winslow_nomad.core.people import Person, Token

router = APIRouter(prefix="/api/v1/users", tags=["people"])
Looking = Annotated[Principal, Depends(may(Action.VIEW_PEOPLE))]
Managing = Annotated[Principal, Depends(may(Action.MANAGE_PEOPLE))]
MANAGING = [Depends(may(Action.MANAGE_PEOPLE))]
LINK_DAYS = 3


class UserView(BaseModel):
    """`email` and `password` (whether there is one) are told to administrators and to the person alone."""

    name: str = Field(examples=["ada"])
    display_name: str = Field(default="", examples=["Ada Lovelace"])
    email: str = ""
    role: Role
    active: bool
    password: bool | None = None
    groups: list[str] = []
    made: datetime


class NewUser(Value):
    """Without a password a log-in link lets the person in, who then sets one."""

    name: str = Field(max_length=60, examples=["ada"])
    display_name: DisplayName = ""
    email: Email = ""
    role: Role = Role.MEMBER
    password: NewPassword | None = None


class UserChange(Value):
    display_name: DisplayName | None = None
    email: Email | None = None
    role: Role | None = None


class GivenPassword(Value):
    password: NewPassword


class Leaving(Value):
    """`heir`: who gets the projects of the one who leaves, and so the questions that wait in them."""

    heir: str = Field(default="", max_length=60, examples=["grace"])


class Left(BaseModel):
    """`passed`: projects that the heir has now. `kept`: projects that still name the one who left as author."""

    user: UserView
    passed: int
    kept: int


class LinkView(BaseModel):
    """Lets the person in once; told this once. The page is `/login#<secret>`, below the address of Winslow."""

    secret: str = Field(examples=["..."])
    path: str = Field(examples=["/login#..."])
    expires: datetime


class TokenView(BaseModel):
    id: str = Field(examples=["k3VqT9bZ1x"])
    user: str = Field(examples=["ada"])
    name: str = Field(examples=["nightly import"])
    scopes: list[str] = Field(examples=[["read", "run"]])
    project: str = ""
    made: datetime
    expires: datetime | None
    used: datetime | None = Field(description="to the minute; null: never")


def token_view(token: Token) -> TokenView:
    return TokenView.model_validate({**token.model_dump(), "scopes": sorted(token.scopes)})


@router.get("", summary="List people", operation_id="list_users", responses=documented(401, 403, 422))
def list_users(
    given: Given,
    who: Looking,
    text: Annotated[str, Query(max_length=100, description="looked for in names")] = "",
    active: Annotated[bool | None, Query(description="only those who are, or are not")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str, Query(max_length=60)] = "",
) -> Page[UserView]:
    """By name."""
    sought = text.lower()
    found = [
        p
        for p in given.people.persons()
        if p.name > after
        and (active is None or p.active is active)
        and (sought in p.name or sought in p.display_name.lower())
    ]
    groups = _groups(given)
    items = [_view(p, who, groups.get(p.name, [])) for p in found[:limit]]
    return Page(items=items, next=items[-1].name if len(found) > limit else "")


@router.post(
    "",
    status_code=201,
    summary="Add a person",
    operation_id="add_user",
    responses=documented(401, 403, 409, 422, 429, 503),
)
async def add_user(request: Request, given: Given, who: Managing, body: NewUser) -> UserView:
    note(request, user=body.name, role=body.role.value)
    fields = body.model_dump(exclude={"password"})
    person = Person(**fields, made=given.clock.now())
    if body.password is None:
        made = await run_in_threadpool(given.people.add, person)
    else:
        made = await slow(request).run(given.people.add, person, body.password)
    return _view(made, who, [])


@router.get("/{user}", summary="One person", operation_id="show_user", responses=documented(401, 403, 404))
def show_user(given: Given, who: Looking, user: str) -> UserView:
    return _view(given.people.person(user), who, _groups(given).get(user, []))


@router.patch(
    "/{user}",
    summary="Change a person's name, e-mail or role",
    operation_id="change_user",
    responses=documented(401, 403, 404, 409, 422),
)
def change_user(request: Request, given: Given, who: Managing, user: str, body: UserChange) -> UserView:
    if body.role is not None:
        note(request, role=body.role.value)
    person = given.people.change(user, body.model_dump(exclude_none=True))
    return _view(person, who, _groups(given).get(user, []))


@router.put(
    "/{user}/password",
    status_code=204,
    summary="Give a person another password",
    operation_id="set_password",
    responses=documented(401, 403, 404, 422, 429, 503),
    dependencies=MANAGING,
)
async def set_password(request: Request, given: Given, user: str, body: GivenPassword) -> None:
    """Ends the person's sessions."""
    await slow(request).run(given.people.set_password, user, body.password)


@router.post(
    "/{user}/link",
    status_code=201,
    summary="Make a log-in link for a person",
    operation_id="make_link",
    responses=documented(401, 403, 404),
    dependencies=MANAGING,
)
def make_link(given: Given, user: str) -> LinkView:
    """For who is new, or has forgotten the password. Works once, for three days."""
    life = timedelta(days=LINK_DAYS)
    secret = given.people.make_link(user, round(life.total_seconds()))
    return LinkView(secret=secret, path=f"/login#{secret}", expires=given.clock.now() + life)


@router.delete(
    "/{user}/sessions",
    status_code=204,
    summary="End all sessions of a person",
    operation_id="end_sessions",
    responses=documented(401, 403, 404),
    dependencies=MANAGING,
)
def end_sessions(given: Given, user: str) -> None:
    given.people.close_sessions(user)


@router.post(
    "/{user}/deactivate",
    summary="Let a person go",
    operation_id="deactivate_user",
    responses=documented(401, 403, 404, 409, 422),
)
def deactivate_user(request: Request, given: Given, who: Managing, user: str, body: Leaving) -> Left:
    """Sessions, links and tokens end at once. Stages run on. The projects, and the questions that wait in them, pass to
    the heir; asked again, it goes on with what was left over."""
    note(request, heir=body.heir)
    if body.heir:
        heir = given.people.person(body.heir)
        if not heir.active or heir.name == user or RANKS[heir.role] < RANKS[Role.MEMBER]:
            raise Refused(
                f"{body.heir} cannot take over the projects of {user}; nothing was done.",
                hint="Name another active person who may run projects.",
                code="people.heir",
            )
    person = given.people.deactivate(user)
    passed, kept = pass_on(given.client, user, body.heir, who.user)
    return Left(user=_view(person, who, _groups(given).get(user, [])), passed=passed, kept=kept)


@router.post(
    "/{user}/activate",
    summary="Take a person back",
    operation_id="activate_user",
    responses=documented(401, 403, 404),
)
def activate_user(given: Given, who: Managing, user: str) -> UserView:
    """What ended stays ended: tokens and sessions are made anew."""
    return _view(given.people.activate(user), who, _groups(given).get(user, []))


@router.get(
    "/{user}/tokens",
    summary="Tokens of a person",
    operation_id="list_tokens_of",
    responses=documented(401, 403, 404),
    dependencies=MANAGING,
)
def list_tokens_of(given: Given, user: str) -> Page[TokenView]:
    given.people.person(user)
    return Page(items=[token_view(t) for t in given.people.tokens(user=user)])


@router.delete(
    "/{user}/tokens/{token}",
    status_code=204,
    summary="Withdraw a token of a person",
    operation_id="withdraw_token_of",
    responses=documented(401, 403, 404),
    dependencies=MANAGING,
)
def withdraw_token_of(given: Given, user: str, token: str) -> None:
    if token not in {t.id for t in given.people.tokens(user=user)}:
        raise NotFound(f"{user} has no token {token[:60]!r}; nothing was done.", code="token.not_found")
    given.people.remove_token(token)


def _groups(given: Given) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for group in given.people.groups():
        for member in group.members:
            found.setdefault(member, []).append(group.name)
    return found


def _view(person: Person, who: Principal, groups: list[str]) -> UserView:
    told = who.role is Role.ADMIN or who.user == person.name
    return UserView(
        name=person.name,
        display_name=person.display_name,
        email=person.email if told else "",
        role=person.role,
        active=person.active,
        password=person.password if told else None,
        groups=groups,
        made=person.made,
    )
