"""Logging in and out, and what a person may change about the own account.

The cookie cannot be read by scripts, goes to this site alone, and over TLS only where there is TLS. A session's secret
is a fresh one at each log-in, whatever cookie came with it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, model_validator

from winslow_nomad.api.authority import COOKIE, bearer, csrf_of, may, open_to_all
from winslow_nomad.api.guards import address_of
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.slow import slow
from winslow_nomad.api.texts import DisplayName, Email, NewPassword, Typed
from winslow_nomad.api.trail import note
from winslow_nomad.core.access import Action, Principal, Role
from winslow_nomad.core.errors import Denied, NotFound, Unidentified
from winslow_nomad.core.model import Value
from winslow_nomad.core.people import Opened

router = APIRouter(prefix="/api/v1", tags=["session"])
LIFE = 30 * 24 * 3600  # seconds that a browser keeps the cookie; the session may end before
FRESH = 3600  # seconds after a log-in by link in which a password may be set without the present one
Own = Annotated[Principal, Depends(may(Action.OWN_ACCOUNT))]


class LogIn(Value):
    """Either name and password, or the secret of a log-in link."""

    user: Typed = Field(default="", examples=["ada"])
    password: Typed = Field(default="", examples=["correct horse battery"])
    link: Typed = ""

    @model_validator(mode="after")
    def one_way(self) -> LogIn:
        if bool(self.link) == bool(self.user and self.password) or (self.link and (self.user or self.password)):
            raise ValueError("give user and password, or link")
        return self


class SessionView(BaseModel):
    """Who asks. `csrf`: to be sent as the header X-CSRF-Token with whatever changes something; empty for tokens,
    which need none. `by`: how the session was opened. `scopes`: of a token; null: all that the role allows."""

    user: str = Field(examples=["ada"])
    display_name: str = Field(default="", examples=["Ada Lovelace"])
    email: str = ""
    role: Role
    groups: list[str] = []
    by: str = Field(examples=["password"])
    csrf: str = ""
    scopes: list[str] | None = Field(default=None, examples=[["read", "run"]])
    project: str = Field(default="", description="the only one that a trigger token is for")
    password: bool = Field(default=False, description="whether there is one")
    until: datetime | None = None


class Profile(Value):
    display_name: DisplayName | None = None
    email: Email | None = None


class PasswordChange(Value):
    """`present` is not needed within an hour after a log-in by link."""

    password: NewPassword
    present: Typed = ""


@router.post(
    "/session",
    summary="Log in",
    operation_id="log_in",
    responses=documented(401, 403, 422, 429, 503),
    dependencies=[Depends(open_to_all)],
)
async def log_in(request: Request, response: Response, given: Given, body: LogIn) -> SessionView:
    """Sets the cookie of a new session; one that came along ends."""
    people, address = given.people, address_of(request.scope)
    try:
        if body.link:
            opened = await run_in_threadpool(people.log_in_by_link, body.link, address)
        else:
            opened = await slow(request).run(people.log_in, body.user, body.password, address)
    except Unidentified:
        if body.user:
            await run_in_threadpool(_tell_whom, request, given, body.user)
        raise
    request.state.actor = opened.session.user
    note(request, by=opened.session.by)
    if old := request.cookies.get(COOKIE):
        await run_in_threadpool(people.close_session, old)
    return await run_in_threadpool(_begin, request, response, given, opened)


@router.get("/session", summary="Who am I", operation_id="who_am_i", responses=documented(401))
def who_am_i(request: Request, given: Given, who: Annotated[Principal, Depends(may(Action.WHO_AM_I))]) -> SessionView:
    if who.scopes is not None:
        return _view(given, who, by="token")
    return _of_cookie(given, who, request.cookies[COOKIE])


@router.patch(
    "/session", summary="Change the own profile", operation_id="change_profile", responses=documented(401, 403, 422)
)
def change_profile(request: Request, given: Given, who: Own, body: Profile) -> SessionView:
    given.people.change(who.user, body.model_dump(exclude_none=True))
    return _of_cookie(given, who, request.cookies[COOKIE])


@router.put(
    "/session/password",
    summary="Set the own password",
    operation_id="set_own_password",
    responses=documented(401, 403, 422, 429, 503),
)
async def set_own_password(
    request: Request, response: Response, given: Given, who: Own, body: PasswordChange
) -> SessionView:
    """Ends all sessions of the person, and begins a new one for who asks."""
    people, cookie = given.people, request.cookies[COOKIE]
    session = await run_in_threadpool(people.session, cookie)
    by_link = session is not None and session.by == "link"
    if session is None or not by_link or (given.clock.now() - session.made).total_seconds() > FRESH:
        try:
            await slow(request).run(people.confirm_password, who.user, body.present, address_of(request.scope))
        except Unidentified:
            raise Denied(
                "The present password is another one; nothing was changed.",
                hint="Type it again, or ask an administrator for a log-in link.",
                code="password.wrong",
            ) from None
    await slow(request).run(people.set_password, who.user, body.password)
    opened = await run_in_threadpool(people.open_session, who.user, "password")
    return await run_in_threadpool(_begin, request, response, given, opened)


@router.delete("/session", status_code=204, summary="Log out", operation_id="log_out", responses=documented(401, 403))
def log_out(
    request: Request,
    response: Response,
    given: Given,
    who: Annotated[Principal, Depends(may(Action.WHO_AM_I))],
    everywhere: Annotated[bool, Query(description="end the other sessions as well")] = False,
) -> None:
    """A token that asks for it is withdrawn; the sessions of its owner go on."""
    if who.scopes is not None:
        given.people.withdraw(bearer(request))
        return
    given.people.close_session(request.cookies[COOKIE])
    if everywhere:
        given.people.close_sessions(who.user)
    response.delete_cookie(COOKIE, path="/", secure=_secure(request), httponly=True, samesite="strict")


def _tell_whom(request: Request, given: Services, user: str) -> None:
    """Whose name was tried. What is nobody's name may be a password in the wrong field: it is written nowhere."""
    try:
        note(request, user=given.people.person(user.strip().lower()).name)
    except NotFound:
        note(request, user="(nobody of ours)")


def _begin(request: Request, response: Response, given: Services, opened: Opened) -> SessionView:
    response.set_cookie(
        COOKIE, opened.secret, max_age=LIFE, path="/", secure=_secure(request), httponly=True, samesite="strict"
    )
    who = given.people.of_session(opened.secret)
    if who is None:
        raise Unidentified("The account was changed at this moment; you are not logged in.", hint="Log in again.")
    return _of_cookie(given, who, opened.secret)


def _of_cookie(given: Services, who: Principal, secret: str) -> SessionView:
    session = given.people.session(secret)
    shown = _view(given, who, by=session.by if session is not None else "password")
    return shown.model_copy(update={"csrf": csrf_of(secret), "until": session.until if session is not None else None})


def _view(given: Services, who: Principal, by: str) -> SessionView:
    person = given.people.person(who.user)
    return SessionView(
        user=who.user,
        display_name=person.display_name,
        email=person.email,
        role=who.role,
        groups=sorted(who.groups),
        by=by,
        scopes=sorted(who.scopes) if who.scopes is not None else None,
        project=who.project,
        password=person.password,
    )


def _secure(request: Request) -> bool:
    return bool(request.scope["scheme"] == "https")
