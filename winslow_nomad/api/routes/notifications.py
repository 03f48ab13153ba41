"""What people are told: everybody's own rules and channels, those of one project, and those of the installation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import APIRouter, Depends, Request

from winslow_nomad.api.authority import may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.trail import note
from winslow_nomad.api.views.notifications import (
    ChannelChange,
    ChannelsView,
    ChannelView,
    ChannelWishes,
    FreshChannel,
    NewChannel,
    NotificationsView,
    OfProject,
    OfProjectView,
    TestAsked,
    TestView,
    Undelivered,
    Wishes,
    channel_view,
    fresh_view,
    sorted_events,
    test_view,
    undelivered_view,
)
from winslow_nomad.core.access import Action, Principal
from winslow_nomad.core.notices import INSTALLATION

router = APIRouter(prefix="/api/v1", tags=["notifications"])
Own = Annotated[Principal, Depends(may(Action.OWN_ACCOUNT))]
Managing = Annotated[Principal, Depends(may(Action.MANAGE_SETTINGS))]
Viewing = Annotated[Principal, Depends(may(Action.VIEW_PROJECT))]
Commenting = Annotated[Principal, Depends(may(Action.COMMENT_PROJECT))]
F = TypeVar("F", bound=Callable[..., object])
SHOWN = 50  # messages that were not taken


def _view(given: Services, user: str) -> NotificationsView:
    rules = given.notices.rules(user)
    return NotificationsView(
        events=sorted(rules.events),
        which=rules.which,
        own_actions=rules.own_actions,
        mail=rules.mail,
        mail_to=given.notices.mail_to(user),
        channels=[channel_view(c) for c in rules.channels],
        undelivered=[undelivered_view(m, rules) for m in given.notices.undelivered(user)[:SHOWN]],
    )


def _channels(given: Services) -> ChannelsView:
    return ChannelsView.model_validate(_view(given, INSTALLATION).model_dump())


@router.get("/notifications", summary="What you are told", responses=documented(401, 403, 503))
def read_notifications(given: Given, who: Own) -> NotificationsView:
    """Your rules, your channels, and what could not be delivered to you."""
    return _view(given, who.user)


@router.put("/notifications", summary="Change what you are told", responses=documented(401, 403, 422, 503))
def change_notifications(given: Given, who: Own, body: Wishes) -> NotificationsView:
    changes: dict[str, Any] = body.model_dump(exclude_none=True)
    if body.events is not None:
        changes["events"] = frozenset(body.events)
    given.notices.change(who.user, changes)
    return _view(given, who.user)


@router.get("/notifications/installation", summary="Channels of all", responses=documented(401, 403, 503))
def read_installation_notifications(given: Given, who: Managing) -> ChannelsView:  # noqa: ARG001 - who is asked for
    """They are told of every project."""
    return _channels(given)


@router.put(
    "/notifications/installation",
    summary="Change what channels of all are told",
    responses=documented(401, 403, 422, 503),
)
def change_installation_notifications(given: Given, who: Managing, body: ChannelWishes) -> ChannelsView:  # noqa: ARG001
    given.notices.change(INSTALLATION, {"events": frozenset(body.events)})
    return _channels(given)


@router.get(
    "/projects/{project}/notifications",
    summary="What you are told of a project",
    responses=documented(401, 403, 404, 503),
)
def read_project_notifications(given: Given, who: Viewing, project: str) -> OfProjectView:
    return OfProjectView(events=sorted_events(given.notices.of_project(who.user, project)))


@router.put(
    "/projects/{project}/notifications",
    summary="Change what you are told of a project",
    responses=documented(401, 403, 404, 422, 503),
)
def change_project_notifications(given: Given, who: Commenting, project: str, body: OfProject) -> OfProjectView:
    """Follow a project that is not yours, or be left alone by one that is."""
    given.notices.set_of_project(who.user, project, frozenset(body.events) if body.events is not None else None)
    return OfProjectView(events=sorted_events(given.notices.of_project(who.user, project)))


def own(who: Own) -> str:
    return who.user


def of_installation(who: Managing) -> str:  # noqa: ARG001 - who is asked for
    return INSTALLATION


class Same(Protocol):
    """Leaves what it decorates as it is."""

    def __call__(self, function: F, /) -> F: ...


def declare_channels(prefix: str, suffix: str, of: str, owner: Callable[..., str]) -> None:
    """The same routes for one's own channels and for those of the installation. `of`: as summaries say it."""

    def route(method: str, path: str, name: str, summary: str, *statuses: int, answers: int = 200) -> Same:
        return router.api_route(
            f"{prefix}{path}",
            methods=[method],
            name=f"{name}{suffix}",
            summary=f"{summary} {of}",
            status_code=answers,
            responses=documented(401, 403, 503, *statuses),
        )

    @route("POST", "/channels", "add_channel", "Add a channel", 409, 422, 429, answers=201)
    def add_channel(request: Request, body: NewChannel, given: Given, user: str = Depends(owner)) -> FreshChannel:
        """A webhook gets signed JSON; a chat service (Slack, Teams, Matrix, Telegram and many more) a text."""
        note(request, kind=body.kind, title=body.title)
        events = frozenset(body.events) if body.events is not None else None
        return fresh_view(given.notices.add_channel(user, body.kind, body.title, body.address, events))

    @route("PATCH", "/channels/{channel}", "change_channel", "Change a channel", 404, 422)
    def change_channel(channel: str, body: ChannelChange, given: Given, user: str = Depends(owner)) -> ChannelView:
        changes: dict[str, Any] = body.model_dump(exclude_none=True, exclude={"as_rules"})
        if body.events is not None:
            changes["events"] = frozenset(body.events)
        if body.as_rules:
            changes["events"] = None
        return channel_view(given.notices.change_channel(user, channel, changes))

    @route("DELETE", "/channels/{channel}", "remove_channel", "Remove a channel", 404, answers=204)
    def remove_channel(channel: str, given: Given, user: str = Depends(owner)) -> None:
        given.notices.remove_channel(user, channel)

    @route("POST", "/tests", "test_channel", "Send a test by a channel", 404, 409, 422, 429, answers=202)
    def test_channel(body: TestAsked, given: Given, user: str = Depends(owner)) -> TestView:
        """Sent by who sends all others, so ask what became of it. Other messages that wait are not held up by it."""
        return test_view(given.notices.test(user, body.channel))

    @route("GET", "/tests/{test}", "read_channel_test", "What became of a test", 404)
    def read_test(test: str, given: Given, user: str = Depends(owner)) -> TestView:
        return test_view(given.notices.tested(user, test))

    @route("POST", "/undelivered/{message}/retry", "retry_message", "Try again to deliver a message", 404)
    def retry_message(message: str, given: Given, user: str = Depends(owner)) -> Undelivered:
        kept = given.notices.retry(user, message)
        return undelivered_view(kept, given.notices.rules(user))

    @route("DELETE", "/undelivered/{message}", "discard_message", "Discard a message", 404, answers=204)
    def discard_message(message: str, given: Given, user: str = Depends(owner)) -> None:
        given.notices.discard(user, message)


declare_channels("/notifications", "", "of your own", own)
declare_channels("/notifications/installation", "_of_installation", "of the installation", of_installation)
