"""Makes messages of what stands in the outbox, and sends them: at least once, under an id that stays the same.

Killed anywhere, the next one goes on: notices leave the outbox in the step that makes them into messages, and a message
is marked as tried before it is. Nobody waits for any of this: neither a decision nor a request."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol

from winslow_nomad.core.access import Principal, Role
from winslow_nomad.core.errors import Conflict, NotFound, Unavailable, WinslowError
from winslow_nomad.core.notices import INSTALLATION, MAIL, Channel, Message, Notice, Rules, What, by_channels, wanted
from winslow_nomad.core.people import Group, Person
from winslow_nomad.core.ports import Clock
from winslow_nomad.core.project import Project
from winslow_nomad.notices import chat, mail, texts, webhook
from winslow_nomad.notices.reach import Undelivered

log = logging.getLogger(__name__)
AT_ONCE = 8  # messages that are sent at the same time
BATCH = 200  # notices made into messages at a time
MOST = 100  # notices that one message names
STEP = 0.5  # seconds between two looks
LAST = 4.0  # seconds that messages under way get when the process is told to end
DEAD_KEPT = timedelta(days=30)
DEAD_MOST = 1000


@dataclass(frozen=True)
class Pace:
    """Seconds. What comes within `quiet` of the last thing goes into the same message, but none waits for longer than
    `longest`, and the next to the same person by the same way comes `between` after the last. A message that was not
    taken is tried again after `again`, then twice as long and so on up to `most`, and given up after `enough`."""

    quiet: float = 10.0
    longest: float = 60.0
    between: float = 60.0
    again: float = 30.0
    most: float = 4 * 3600.0
    enough: float = 24 * 3600.0


@dataclass(frozen=True)
class Ways:
    """What the installation has set. `anywhere`: whoever tells a channel may name machines of its own network."""

    smtp_url: str = ""
    mail_from: str = ""
    public_url: str = ""
    anywhere: bool = False
    zone: str = "UTC"


class Book(Protocol):
    """Messages on their way. Whatever has an `epoch` raises Conflict when another one sends by now; all may raise
    Unavailable."""

    def taken(self, count: int) -> Sequence[tuple[str, Notice | None]]: ...

    def open(self) -> Mapping[str, Message]: ...

    def last(self) -> Mapping[str, datetime]: ...

    def spread(self, epoch: int, places: Sequence[str], messages: Sequence[Message]) -> None: ...

    def due(self, now: datetime, count: int, start: int) -> Sequence[Message]: ...

    def seal(self, epoch: int, message: Message) -> None: ...

    def sent(self, epoch: int, message: Message, at: datetime, kind: str) -> None: ...

    def failed(self, epoch: int, message: Message, kind: str) -> None: ...

    def drop(self, epoch: int, messages: Sequence[Message]) -> None: ...

    def all(self) -> Sequence[Message]: ...


class Wishes(Protocol):
    def all(self) -> Mapping[str, Rules]: ...

    def of_project(self, project: str) -> Mapping[str, frozenset[What]]: ...


class Known(Protocol):
    """Who there is."""

    def persons(self) -> Sequence[Person]: ...

    def groups(self) -> Sequence[Group]: ...


class Lease(Protocol):
    def hold(self) -> int | None: ...

    def release(self) -> None: ...


@dataclass
class Sending:
    """`load`: a project, or None; `reveal`: what a reference to a secret stands for; `mask`: hides all secrets in a
    text; `hook`: told of each notice as well, at least once, and never waited for."""

    lease: Lease
    book: Book
    wishes: Wishes
    people: Known
    load: Callable[[str], Project | None]
    reveal: Callable[[str], str]
    mask: Callable[[str], str]
    ways: Callable[[], Ways]
    clock: Clock
    hook: Callable[[Notice], None]
    pace: Pace = field(default_factory=Pace)
    _in_flight: dict[str, threading.Thread] = field(default_factory=dict)
    _resting: dict[str, datetime] = field(default_factory=dict)
    _tidied: datetime | None = None
    _woken: threading.Event = field(default_factory=threading.Event)  # somebody has finished: there is room

    def run(self, stopping: threading.Event) -> None:
        threading.Thread(target=self._wake, args=(stopping,), name="wake", daemon=True).start()
        while not stopping.is_set():
            self._careful(0.0)
            self._woken.wait(STEP)
            self._woken.clear()
        self._careful(self.pace.longest)  # what was decided a moment ago is on its way before the process ends
        until = time.monotonic() + LAST
        for thread in list(self._in_flight.values()):
            thread.join(max(0.0, until - time.monotonic()))
        try:
            self.lease.release()
        except Unavailable:
            log.info("the lease for notifications runs out by itself")

    def _wake(self, stopping: threading.Event) -> None:
        stopping.wait()
        self._woken.set()

    def _careful(self, ahead: float) -> None:
        try:
            epoch = self.lease.hold()
            if epoch is not None:
                self.step(epoch, ahead)
        except (Unavailable, Conflict) as error:
            log.info("notifications wait: %s", error)
        except WinslowError as error:
            log.warning("notifications failed: %s; they are tried again", error)
        except Exception:
            log.exception("notifications failed; they are tried again")

    def step(self, epoch: int, ahead: float = 0.0) -> None:
        """`ahead`: seconds; what would be tried for the first time within them is tried now."""
        self.spread(epoch)
        self.send_due(epoch, ahead)
        now = self.clock.now()
        if self._tidied is None or now - self._tidied > timedelta(hours=1):
            self._tidied = now
            self.tidy(epoch, now)

    # --- notices become messages

    def spread(self, epoch: int) -> None:
        while True:
            found = self.book.taken(BATCH)
            if not found:
                return
            notices = [n.but(text=self.mask(n.text), name=self.mask(n.name)) for _, n in found if n is not None]
            for notice in notices:
                self.hook(notice)
            self.book.spread(epoch, [place for place, _ in found], self.messages(notices))
            if len(found) < BATCH:
                return

    def messages(self, notices: Sequence[Notice]) -> list[Message]:
        """What is written down: fresh messages, and those that take more."""
        if not notices:
            return []
        wishes, who = self.wishes.all(), self.principals()
        open_now, last, now = dict(self.book.open()), self.book.last(), self.clock.now()
        written: dict[str, Message] = {}
        for notice in notices:
            for to, channel in self.ways_of(notice, wishes, who):
                way = f"{to}|{channel}"
                if channel != MAIL and self.channel(wishes.get(to, Rules()), channel).kind == "webhook":
                    message = self.fresh(notice, to, channel, now)
                else:
                    message = self.gathered(open_now.get(way), notice, to, channel, now, last.get(way))
                    open_now[way] = message
                written[message.id] = message
        return list(written.values())

    def principals(self) -> dict[str, Principal]:
        groups: dict[str, set[str]] = {}
        for group in self.people.groups():
            for member in group.members:
                groups.setdefault(member, set()).add(group.name)
        return {
            p.name: Principal(user=p.name, role=p.role, groups=frozenset(groups.get(p.name, ())))
            for p in self.people.persons()
            if p.active
        }

    def ways_of(
        self, notice: Notice, wishes: Mapping[str, Rules], who: Mapping[str, Principal]
    ) -> list[tuple[str, str]]:
        """(person, channel)"""
        project = self.load(notice.project) if notice.project else None
        if notice.project and project is None:
            return []
        author, participants = (project.author, project.participants) if project is not None else ("", ())
        chosen = self.wishes.of_project(notice.project) if notice.project else {}
        installation = by_channels(notice, wishes.get(INSTALLATION, Rules()))
        found = [(INSTALLATION, channel) for channel in sorted(installation)]
        mails = bool(self.ways().smtp_url)
        addresses = {p.name for p in self.people.persons() if p.email}
        for name, principal in who.items():
            rules = wishes.get(name, Rules())
            for channel in sorted(wanted(notice, principal, rules, chosen.get(name), author, participants)):
                if channel != MAIL or (mails and name in addresses):
                    found.append((name, channel))
        return found

    def fresh(self, notice: Notice, to: str, channel: str, due: datetime) -> Message:
        return Message(
            id=identifier(notice.id, to, channel),
            to=to,
            channel=channel,
            notices=(notice,),
            opened=self.clock.now(),
            due=due,
            sealed=due <= self.clock.now(),
        )

    def gathered(
        self, before: Message | None, notice: Notice, to: str, channel: str, now: datetime, last: datetime | None
    ) -> Message:
        """The message to the same person by the same way that was not tried yet, with this as well."""
        due = now + timedelta(seconds=self.pace.quiet)
        if last is not None:
            due = max(due, last + timedelta(seconds=self.pace.between))
        if before is None:
            return self.fresh(notice, to, channel, due)
        due = max(before.due, min(due, before.opened + timedelta(seconds=self.pace.longest)))
        if any(n.id == notice.id for n in before.notices):
            return before
        if len(before.notices) >= MOST:
            return before.but(more=before.more + 1, due=due)
        return before.but(notices=(*before.notices, notice), due=due)

    # --- messages go out

    def send_due(self, epoch: int, ahead: float) -> None:
        """At most one at a time to the same person by the same way. Where one was not taken, the others by that way
        rest as well."""
        now = self.clock.now()
        self._resting = {way: until for way, until in self._resting.items() if until > now}
        start = 0
        while len(self._in_flight) < AT_ONCE:
            found = self.book.due(now + timedelta(seconds=ahead), BATCH, start)
            for message in found:
                way = f"{message.to}|{message.channel}"
                rests = way in self._resting and not (message.test or message.asked)
                early = message.due > now and message.tries > 0
                if not (rests or early or way in self._in_flight) and len(self._in_flight) < AT_ONCE:
                    self.begin(epoch, way, message, now)
                else:
                    start += 1
            if len(found) < BATCH:
                return

    def begin(self, epoch: int, way: str, message: Message, now: datetime) -> None:
        """It is marked as tried before it is, so that being killed meanwhile is one try like any other."""
        tries = message.tries + 1
        due = now + self.pause(tries)
        marked = message.but(sealed=True, tries=tries, first=message.first or now, due=due, asked=False)
        self.book.seal(epoch, marked)

        def work() -> None:
            self.try_to_send(epoch, marked)
            self._in_flight.pop(way, None)
            self._woken.set()

        thread = threading.Thread(target=work, name="send", daemon=True)
        self._in_flight[way] = thread
        thread.start()

    def pause(self, tries: int) -> timedelta:
        """A little different each time, so that not all come at once."""
        seconds = min(self.pace.again * 2.0 ** min(tries - 1, 30), self.pace.most)
        return timedelta(seconds=seconds * random.uniform(0.8, 1.2))

    def try_to_send(self, epoch: int, message: Message) -> None:
        """`message` is marked as tried already."""
        kind = MAIL if message.channel == MAIL else "channel"
        try:
            rules = self.wishes.all().get(message.to, Rules())
            if message.channel != MAIL:
                kind = self.channel(rules, message.channel).kind
            remaining = self.still(message, rules)
            if remaining is None:
                self.book.drop(epoch, [message])
                return
            try:
                self.deliver(remaining, rules)
            except Undelivered as error:
                self.give_back(epoch, message, kind, error)
            else:
                self._resting.pop(f"{message.to}|{message.channel}", None)
                self.book.sent(epoch, message, self.clock.now(), kind)
        except NotFound:  # its channel is gone
            self.book.drop(epoch, [message])
        except (Unavailable, Conflict) as error:
            log.warning("whether the notification %s was sent is not known; it is tried again: %s", message.id, error)
        except Exception:
            log.exception("the notification %s was not sent; it is tried again", message.id)

    def still(self, message: Message, rules: Rules) -> Message | None:
        """What of it may still be told: rights may have ended since it was written."""
        if message.channel == MAIL:
            wants = rules.mail or message.test
        else:
            wants = self.channel(rules, message.channel).on or message.test
        who = self.principals().get(message.to)
        if not wants or (who is None and message.to != INSTALLATION):
            return None
        if who is None or message.test:
            return message
        seen = tuple(n for n in message.notices if self.may_know(n, who))
        return message.but(notices=seen) if seen else None

    def may_know(self, notice: Notice, who: Principal) -> bool:
        everything = Rules(which="all", own_actions=True, mail=True)
        project = self.load(notice.project) if notice.project else None
        if notice.project and project is None:
            return False
        author, participants = (project.author, project.participants) if project is not None else ("", ())
        known = notice.but(what="gate" if notice.project else "node")
        return bool(wanted(known, who, everything, None, author, participants))

    def deliver(self, message: Message, rules: Rules) -> None:
        """Raises Undelivered."""
        ways = self.ways()
        if message.channel == MAIL:
            person = next((p for p in self.people.persons() if p.name == message.to), None)
            if person is None or not person.email or not ways.smtp_url:
                why = "no mail server is set" if not ways.smtp_url else "the person has no mail address"
                raise Undelivered(f"No mail can be sent: {why}.", for_ever=True)
            body = texts.body(message, ways.public_url, ways.zone)
            letter = mail.Letter(message.id, person.email, texts.subject(message), body, message.opened)
            mail.send(ways.smtp_url, ways.mail_from, letter)
            return
        channel = self.channel(rules, message.channel)
        url, _, key = self.address(channel).partition("\n")
        anywhere = ways.anywhere or message.to == INSTALLATION or self.is_admin(message.to)
        if channel.kind == "webhook":
            event = texts.as_event(message, ways.public_url)
            webhook.post(url, key, message.id, event, anywhere=anywhere)
        else:
            body = texts.body(message, ways.public_url, ways.zone)
            chat.send(url, texts.subject(message), body, anywhere=anywhere)

    def address(self, channel: Channel) -> str:
        """Raises Undelivered where the key of the secrets is gone: nobody but a person can bring it back."""
        try:
            return self.reveal(channel.secret)
        except Unavailable as error:
            if error.code != "secret.key":
                raise
            raise Undelivered("The address cannot be read: the key of the secrets is another one.") from error

    def is_admin(self, user: str) -> bool:
        return any(p.name == user and p.role is Role.ADMIN for p in self.people.persons())

    def give_back(self, epoch: int, message: Message, kind: str, error: Undelivered) -> None:
        now = self.clock.now()
        first = message.first or now
        over = error.for_ever or (now - first).total_seconds() >= self.pace.enough
        after = message.but(error=self.mask(error.text), dead=now if over else None)
        log.warning(
            "a notification was not taken and is %s: %s",
            "given up" if over else f"tried again at {after.due:%H:%M:%S}",
            after.error,
            extra={"about": {"notification": message.id, "way": kind}},
        )
        if not message.test and not error.for_ever:
            self._resting[f"{message.to}|{message.channel}"] = after.due
        self.book.failed(epoch, after, kind)

    def channel(self, rules: Rules, identifier: str) -> Channel:
        found = next((c for c in rules.channels if c.id == identifier), None)
        if found is None:
            raise NotFound("The channel is gone.", code="notices.channel")
        return found

    def tidy(self, epoch: int, now: datetime) -> None:
        """Those that were given up long ago, or are too many."""
        dead = sorted((m for m in self.book.all() if m.dead is not None), key=lambda m: m.dead or now)
        old = [m for m in dead if m.dead is not None and now - m.dead > DEAD_KEPT]
        many = dead[: max(0, len(dead) - DEAD_MOST)]
        self.book.drop(epoch, list({m.id: m for m in [*old, *many]}.values()))


def identifier(notice: str, to: str, channel: str) -> str:
    """The same for the same notice, person and way, whoever makes the message."""
    return f"n{sha256(json.dumps([notice, to, channel]).encode()).hexdigest()[:24]}"
