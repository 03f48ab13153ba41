"""Groups of people. A project or a folder names one as `@name` among those who may see it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from winslow_nomad.api.authority import denied, may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.texts import OneLine, Page
from winslow_nomad.api.trail import note
from winslow_nomad.core.access import Action, Principal, leads
from winslow_nomad.core.model import Value
from winslow_nomad.core.people import Group, GroupRole

router = APIRouter(prefix="/api/v1/groups", tags=["people"])
LOOKING = [Depends(may(Action.VIEW_PEOPLE))]
Leading = Annotated[Principal, Depends(may(Action.LEAD_GROUP))]
MANAGING = [Depends(may(Action.MANAGE_PEOPLE))]


class MemberView(BaseModel):
    user: str = Field(examples=["ada"])
    role: GroupRole


class GroupView(BaseModel):
    name: str = Field(examples=["traffic"])
    title: str = Field(default="", examples=["Traffic team"])
    members: list[MemberView] = []
    made: datetime


class NewGroup(Value):
    name: str = Field(max_length=60, examples=["traffic"])
    title: OneLine = Field(default="", examples=["Traffic team"])
    owners: tuple[str, ...] = Field(default=(), max_length=50, examples=[["ada"]])


class GroupChange(Value):
    title: Annotated[OneLine, Field(examples=["Night shift"])]


class Membership(Value):
    """An owner may say who is in the group."""

    role: GroupRole = "member"


@router.get(
    "", summary="List groups", operation_id="list_groups", responses=documented(401, 403, 422), dependencies=LOOKING
)
def list_groups(
    given: Given,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str, Query(max_length=60)] = "",
) -> Page[GroupView]:
    """By name."""
    found = [g for g in given.people.groups() if g.name > after]
    return Page(items=[_view(g) for g in found[:limit]], next=found[limit - 1].name if len(found) > limit else "")


@router.post(
    "",
    status_code=201,
    summary="Add a group",
    operation_id="add_group",
    responses=documented(401, 403, 404, 409, 422),
    dependencies=MANAGING,
)
def add_group(request: Request, given: Given, body: NewGroup) -> GroupView:
    note(request, group=body.name)
    members: dict[str, GroupRole] = {owner: "owner" for owner in body.owners}
    group = Group(name=body.name, title=body.title, members=members, made=given.clock.now())
    return _view(given.people.add_group(group))


@router.get(
    "/{group}",
    summary="One group",
    operation_id="show_group",
    responses=documented(401, 403, 404),
    dependencies=LOOKING,
)
def show_group(given: Given, group: str) -> GroupView:
    return _view(given.people.group(group))


@router.patch(
    "/{group}", summary="Change a group's title", operation_id="change_group", responses=documented(401, 403, 404, 422)
)
def change_group(given: Given, who: Leading, group: str, body: GroupChange) -> GroupView:
    """For its owners, and administrators."""
    _check_leads(given, who, group)
    return _view(given.people.change_group(group, body.title))


@router.delete(
    "/{group}",
    status_code=204,
    summary="Remove a group",
    operation_id="remove_group",
    responses=documented(401, 403, 404),
    dependencies=MANAGING,
)
def remove_group(given: Given, group: str) -> None:
    """Whoever saw a project or a folder by it alone does so no more. Its name is never given again."""
    given.people.remove_group(group)


@router.put(
    "/{group}/members/{user}",
    summary="Take a person into a group",
    operation_id="set_member",
    responses=documented(401, 403, 404, 422),
)
def set_member(request: Request, given: Given, who: Leading, group: str, user: str, body: Membership) -> GroupView:
    """For its owners, and administrators."""
    note(request, role=body.role)
    _check_leads(given, who, group)
    return _view(given.people.set_member(group, user, body.role))


@router.delete(
    "/{group}/members/{user}",
    summary="Take a person out of a group",
    operation_id="remove_member",
    responses=documented(401, 403, 404),
)
def remove_member(given: Given, who: Leading, group: str, user: str) -> GroupView:
    """For its owners, and administrators."""
    _check_leads(given, who, group)
    return _view(given.people.set_member(group, user, None))


def _check_leads(given: Services, who: Principal, group: str) -> None:
    if not leads(who, given.people.group(group).members):
        raise denied(who, Action.LEAD_GROUP, f"to be an owner of the group {group}")


def _view(group: Group) -> GroupView:
    members = [MemberView(user=user, role=role) for user, role in sorted(group.members.items())]
    return GroupView(name=group.name, title=group.title, members=members, made=group.made)
