"""Tokens: a person's own, for programs; and trigger tokens of a project, which can do nothing but run it again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from winslow_nomad.api.authority import may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.routes.users import TokenView, token_view
from winslow_nomad.api.services import Given
from winslow_nomad.api.texts import OneLine, Page
from winslow_nomad.api.trail import note
from winslow_nomad.core.access import Action, Principal, Scope
from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.model import Value

router = APIRouter(prefix="/api/v1", tags=["tokens"])
Own = Annotated[Principal, Depends(may(Action.OWN_ACCOUNT))]
Managing = Annotated[Principal, Depends(may(Action.MANAGE_PROJECT))]
MANAGING = [Depends(may(Action.MANAGE_PROJECT))]
Name = Annotated[OneLine, Field(min_length=1, examples=["nightly import"])]
Days = Annotated[int | None, Field(ge=1, le=3650, description="after which it ends; null: never", examples=[90])]


class NewToken(Value):
    """It can do what its scopes name, and never more than the person's role allows."""

    name: Name
    scopes: frozenset[Scope] = Field(min_length=1, examples=[["read", "run"]])
    days: Days = 90


class NewTrigger(Value):
    name: Name
    days: Days = None


class FreshToken(TokenView):
    """`secret` is told this once: send it as `Authorization: Bearer <secret>`."""

    secret: str = Field(examples=["wn_..."])


@router.get("/tokens", summary="Own tokens", operation_id="list_tokens", responses=documented(401, 403))
def list_tokens(given: Given, who: Own) -> Page[TokenView]:
    return Page(items=[token_view(t) for t in given.people.tokens(user=who.user)])


@router.post(
    "/tokens",
    status_code=201,
    summary="Make a token",
    operation_id="make_token",
    responses=documented(401, 403, 409, 422),
)
def make_token(request: Request, given: Given, who: Own, body: NewToken) -> FreshToken:
    note(request, name=body.name, scopes=" ".join(sorted(body.scopes)))
    token, secret = given.people.add_token(who.user, body.name, body.scopes, expires=_end(given, body.days))
    return FreshToken(**token_view(token).model_dump(), secret=secret)


@router.delete(
    "/tokens/{token}",
    status_code=204,
    summary="Withdraw a token",
    operation_id="withdraw_token",
    responses=documented(401, 403, 404),
)
def withdraw_token(given: Given, who: Own, token: str) -> None:
    if token not in {t.id for t in given.people.tokens(user=who.user)}:
        raise NotFound(f"You have no token {token[:60]!r}; nothing was done.", code="token.not_found")
    given.people.remove_token(token)


@router.get(
    "/projects/{project}/tokens",
    summary="Trigger tokens of a project",
    operation_id="list_triggers",
    responses=documented(401, 403, 404),
    dependencies=MANAGING,
)
def list_triggers(given: Given, project: str) -> Page[TokenView]:
    return Page(items=[token_view(t) for t in given.people.tokens(project=project)])


@router.post(
    "/projects/{project}/tokens",
    status_code=201,
    summary="Make a trigger token",
    operation_id="make_trigger",
    responses=documented(401, 403, 404, 409, 422),
)
def make_trigger(request: Request, given: Given, who: Managing, project: str, body: NewTrigger) -> FreshToken:
    """Acts in the name of who makes it, for this project, and only to run it again."""
    note(request, name=body.name)
    token, secret = given.people.add_token(
        who.user, body.name, frozenset({"trigger"}), project=project, expires=_end(given, body.days)
    )
    return FreshToken(**token_view(token).model_dump(), secret=secret)


@router.delete(
    "/projects/{project}/tokens/{token}",
    status_code=204,
    summary="Withdraw a trigger token",
    operation_id="withdraw_trigger",
    responses=documented(401, 403, 404),
    dependencies=MANAGING,
)
def withdraw_trigger(given: Given, project: str, token: str) -> None:
    if token not in {t.id for t in given.people.tokens(project=project)}:
        raise NotFound(f"This project has no token {token[:60]!r}; nothing was done.", code="token.not_found")
    given.people.remove_token(token)


def _end(given: Given, days: int | None) -> datetime | None:
    return given.clock.now() + timedelta(days=days) if days is not None else None
