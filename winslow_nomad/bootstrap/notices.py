"""Notifications, made of an installation: what people have told, and who sends."""

from __future__ import annotations

import logging
import os
import secrets as random
import shutil
from collections.abc import Mapping, Sequence

from winslow_nomad.bootstrap.installation import Installation, new_id
from winslow_nomad.core.errors import Invalid, NotFound, Refused, Unavailable
from winslow_nomad.core.notices import INSTALLATION, MAIL, Channel, Fresh, Kind, Message, Notice, Rules, Tried, What
from winslow_nomad.notices import chat, webhook
from winslow_nomad.notices.sending import Pace, Sending, Ways
from winslow_nomad.resources.log_text import Masks
from winslow_nomad.store.notices import LEASE, Outbox, RuleBook
from winslow_nomad.store.people import RedisPeople

log = logging.getLogger(__name__)
MOST_CHANNELS = 20
UNREADABLE = "[hidden: the key of the secrets is not the one they were stored with]"
MOST_AT_ONCE = 10  # tests and new channels of one person, in a minute


def telling(installation: Installation, owner: str, pace: Pace | None = None) -> Sending:
    """Who sends, if nobody else does."""
    masks = Masks(installation.secrets)
    return Sending(
        lease=installation.lease(f"{owner} {LEASE}", LEASE),
        book=Outbox(installation.state, installation.keys),
        wishes=RuleBook(installation.state, installation.keys),
        people=RedisPeople(installation.state, installation.clock, installation.keys),
        load=installation.store.load,
        reveal=installation.secrets.reveal,
        mask=lambda text: masked(masks, text),
        ways=lambda: ways(installation),
        clock=installation.clock,
        hook=lambda notice: call_hook(installation, notice),
        pace=pace or Pace(),
    )


def masked(masks: Masks, text: str) -> str:
    """Without the key nobody can tell what in a text is a secret: none of it is told, but that something happened is.
    Raises Unavailable."""
    try:
        return masks.now().line(text.encode()).decode("utf-8", "replace")
    except Unavailable as error:
        if error.code != "secret.key":
            raise
        return UNREADABLE if text else ""


def ways(installation: Installation) -> Ways:
    now = installation.choices.now()
    return Ways(
        smtp_url=now.smtp_url,
        mail_from=now.mail_from,
        public_url=now.public_url,
        anywhere=now.private_webhooks,
        zone=now.zone,
    )


def call_hook(installation: Installation, notice: Notice) -> None:
    """A program of the installation, if there is one: `<home>/notify <what> <project id> <name> <text>`."""
    hook = installation.settings.home / "notify"
    if shutil.which(str(hook)) is not None:
        argv = [str(hook), notice.what, notice.project, notice.name or notice.node, notice.text]
        try:
            os.posix_spawn(argv[0], argv, {**os.environ, "WINSLOW_NOTIFICATION": notice.id}, setsid=True)
        except OSError as error:
            log.warning("the notification hook failed: %s", error)


class InstalledNotices:
    """core.notices.Notices."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._rules = RuleBook(installation.state, installation.keys)
        self._outbox = Outbox(installation.state, installation.keys)
        self._people = RedisPeople(installation.state, installation.clock, installation.keys)

    def rules(self, user: str) -> Rules:
        return self._rules.of(user)

    def change(self, user: str, changes: Mapping[str, object]) -> Rules:
        return self._rules.change(user, lambda rules: rules.but(**changes))

    def add_channel(self, user: str, kind: Kind, title: str, url: str, events: frozenset[What] | None) -> Fresh:
        self._outbox.count(user, MOST_AT_ONCE)
        try:
            scheme = webhook.checked(url) if kind == "webhook" else chat.checked(url)
        except ValueError as error:
            raise Invalid(
                f"The address of the channel cannot be used: {error}. Nothing was changed.", code="notices.address"
            ) from None
        if len(self.rules(user).channels) >= MOST_CHANNELS:
            raise too_many_channels()
        key = f"wh_{random.token_urlsafe(32)}" if kind == "webhook" else ""
        made = self._installation.clock.now()
        name = new_id("c")
        secret = self._installation.secrets.put(f"notification channel {name}", f"{url}\n{key}")
        channel = Channel(
            id=name, kind=kind, title=title, shown=f"{scheme}://...", secret=secret, events=events, made=made
        )

        def add(rules: Rules) -> Rules:
            if len(rules.channels) >= MOST_CHANNELS:
                raise too_many_channels()
            return rules.but(channels=(*rules.channels, channel))

        try:
            self._rules.change(user, add)
        except Refused:
            self._installation.secrets.delete(secret)
            raise
        return Fresh(channel=channel, key=key)

    def change_channel(self, user: str, channel: str, changes: Mapping[str, object]) -> Channel:
        def change(rules: Rules) -> Rules:
            found(rules, channel)
            return rules.but(channels=tuple(c.but(**changes) if c.id == channel else c for c in rules.channels))

        return found(self._rules.change(user, change), channel)

    def remove_channel(self, user: str, channel: str) -> None:
        gone = found(self.rules(user), channel)
        self._rules.change(user, lambda r: r.but(channels=tuple(c for c in r.channels if c.id != channel)))
        try:
            self._installation.secrets.delete(gone.secret)
        except NotFound:
            return

    def of_project(self, user: str, project: str) -> frozenset[What] | None:
        return self._rules.of_project(project).get(user)

    def set_of_project(self, user: str, project: str, events: frozenset[What] | None) -> None:
        self._rules.set_of_project(user, project, events)

    def mail_to(self, user: str) -> str:
        if user == INSTALLATION or not self._installation.choices.now().smtp_url:
            return ""
        return self._people.person(user).email

    def test(self, user: str, channel: str) -> Tried:
        if channel == MAIL:
            if not self.mail_to(user):
                raise Refused(
                    "No mail can be sent to you: you have no mail address here, or no mail server is set. "
                    "Nothing was sent.",
                    hint="Enter your address; an administrator sets smtp_url.",
                    code="notices.no_mail",
                )
        else:
            found(self.rules(user), channel)
        self._outbox.count(user, MOST_AT_ONCE)
        now = self._installation.clock.now()
        name = new_id("t")
        return self._outbox.test(
            Message(id=name, to=user, channel=channel, opened=now, due=now, sealed=True, test=True)
        )

    def tested(self, user: str, test: str) -> Tried:
        tried = self._outbox.tested(test)
        if tried is None or tried.by != user:
            raise NotFound(
                "There is no such test, or it was more than ten minutes ago.", hint="Test again.", code="notices.test"
            )
        return tried

    def undelivered(self, user: str) -> Sequence[Message]:
        mine = [m for m in self._outbox.all() if m.to == user and not m.test and m.error]
        return sorted(mine, key=lambda m: m.opened, reverse=True)

    def retry(self, user: str, message: str) -> Message:
        kept = self._mine(user, message)
        if kept.dead is None:
            return kept  # it is tried again without being asked
        return self._outbox.again(kept, self._installation.clock.now())

    def discard(self, user: str, message: str) -> None:
        self._outbox.discard(self._mine(user, message))

    def _mine(self, user: str, message: str) -> Message:
        kept = self._outbox.message(message)
        if kept is None or kept.to != user:
            raise NotFound("There is no such message; nothing was done.", code="notices.message")
        return kept


def found(rules: Rules, channel: str) -> Channel:
    for one in rules.channels:
        if one.id == channel:
            return one
    raise NotFound("There is no such channel; nothing was done.", code="notices.channel")


def too_many_channels() -> Refused:
    return Refused(
        f"There are {MOST_CHANNELS} channels already; nothing was added.",
        hint="Remove one first.",
        code="notices.channels",
    )
