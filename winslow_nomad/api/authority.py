"""The one door: who asks, and whether they may. A route says `may(Action.X)`; nothing else lets anybody in.

A project that somebody may not know about is answered as one that is not there."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.requests import HTTPConnection

from winslow_nomad.api.problems import Hidden, SignInFirst
from winslow_nomad.api.reach import SAFE
from winslow_nomad.api.services import Given, Services
from winslow_nomad.core.access import ANY, RULES, Action, Principal, allowed, visible
from winslow_nomad.core.errors import Denied, NotFound
from winslow_nomad.core.project import Project

COOKIE = "winslow_session"
CSRF = "x-csrf-token"


def csrf_of(session: str) -> str:
    """The token that a page sends with whatever it changes: known only to who was told it, ends with the session."""
    return hmac.new(session.encode(), b"winslow csrf", hashlib.sha256).hexdigest()


def identify(given: Services, connection: HTTPConnection) -> Principal | None:
    """Who asks: by `Authorization: Bearer wn_...`, else by the session's cookie. None: nobody that is known. Sockets
    use this alone: that they come from a page of our own is looked at before (guards)."""
    if connection.headers.get("authorization", ""):
        secret = bearer(connection)
        found = given.people.of_token(secret) if secret else None
    else:
        cookie = connection.cookies.get(COOKIE, "")
        found = given.people.of_session(cookie) if cookie else None
    connection.scope.setdefault("state", {})["principal"] = found
    return found


def bearer(connection: HTTPConnection) -> str:
    """The token that came along; empty: none."""
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def principal(request: Request, given: Given) -> Principal:
    found = identify(given, request)
    if found is None:
        raise SignInFirst(
            "You are not logged in; nothing was done.", hint="Log in, or send a token that is still valid."
        )
    if found.scopes is None and request.method not in SAFE:
        check_csrf(request)
    return found


def check_csrf(request: Request) -> None:
    """A cookie comes along with whatever a browser sends; only our own pages know the token."""
    expected = csrf_of(request.cookies.get(COOKIE, ""))
    if not hmac.compare_digest(request.headers.get(CSRF, "").encode(), expected.encode()):
        raise Denied(
            "The request does not show that it comes from Winslow's own page; nothing was done.",
            hint=f"Send the `csrf` of GET /session as the header {CSRF}.",
            code="session.csrf",
        )


def may(action: Action) -> Callable[..., Principal]:
    """A dependency: the principal, when it may do `action`. For actions about a project the path has `{project}`."""
    about_project = RULES[action].member is not None

    def check(request: Request, given: Given) -> Principal:
        who = principal(request, given)
        if about_project:
            check_project(given, who, action, request.path_params["project"])
        elif not allowed(who, action):
            raise denied(who, action)
        return who

    check.action = action  # type: ignore[attr-defined]
    return check


def check_project(given: Services, who: Principal, action: Action, project: str) -> Project:
    """For routes that learn of the project otherwise than from the path, too. Raises NotFound or Denied."""
    absent = f"There is no project {project[:60]!r}."
    try:
        found = given.client.project(project)
    except NotFound:
        raise NotFound(absent, code="project.not_found") from None  # word for word as below
    if not visible(who, found.author, found.participants, found.id):
        raise Hidden(absent, code="project.not_found")
    if not allowed(who, action, author=found.author, participants=found.participants, project=found.id):
        raise denied(who, action)
    return found


def denied(who: Principal, action: Action, why: str = "") -> Denied:
    """`why`: what is needed, where the table of rules does not tell all."""
    rule = RULES[action]
    if who.scopes is not None and rule.scope != ANY and rule.scope not in who.scopes:
        need = f"the scope {rule.scope}" if rule.scope else "a log-in; no token can do this"
        return Denied(f"This token may not do that ({action.value}); nothing was done.", hint=f"It needs {need}.")
    if who.project:
        text = f"This token is for one project alone; it may not do that ({action.value}); nothing was done."
        return Denied(text, hint="Use a personal token.")
    need = why or f"the role {rule.member + ' in the project' if rule.member else rule.role.value}"
    return Denied(f"{who.user} may not do that ({action.value}); nothing was done.", hint=f"It needs {need}.")


def open_to_all() -> None:
    """Marks a route that needs nobody: log-in, health."""


def rule_of(route: Any) -> Action | None:
    """The action that a route asks for; None: it is open to all. Raises LookupError where it says neither."""
    pending = [route.dependant]
    while pending:
        dependant = pending.pop()
        if dependant.call is open_to_all:
            return None
        action = getattr(dependant.call, "action", None)
        if isinstance(action, Action):
            return action
        pending.extend(dependant.dependencies)
    raise LookupError(f"{route.path} names no action")
