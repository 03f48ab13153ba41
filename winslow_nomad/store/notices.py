"""The outbox, messages on their way, and what people want to be told of.

Who sends holds a lease; whatever it writes is refused once another one holds it. What screens write (a message that is
to be tried again, a test) touches only what the sender does not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError
from redis import Redis
from redis.exceptions import WatchError

from winslow_nomad.core.errors import Conflict, TooMany
from winslow_nomad.core.notices import Message, Notice, Rules, Tried, What
from winslow_nomad.store import codec
from winslow_nomad.store.commit import Command
from winslow_nomad.store.faults import translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import Transaction, as_dict, ask

log = logging.getLogger(__name__)
LEASE = "notices"
TEST_KEPT = 600  # seconds
DOWN_FOR = 60.0  # seconds that a node is not ready before anybody is told


class Outbox:
    """What the sender works on: notices.sending.Book."""

    def __init__(self, client: Redis, keys: Keys | None = None) -> None:
        self._client = client
        self._keys = keys or Keys()

    def taken(self, count: int) -> list[tuple[str, Notice | None]]:
        """The oldest in the outbox, each with its place. None: it cannot be read."""
        found = []
        for place, fields in ask(self._client, ("XRANGE", self._keys.outbox, "-", "+", "COUNT", count))[0]:
            try:
                notice = Notice.model_validate_json(as_dict(fields)[b"n"])
            except (ValidationError, KeyError):
                log.error("a notice in the outbox cannot be read and is passed over: %s", place.decode())
                notice = None
            found.append((place.decode(), notice))
        return found

    def open(self) -> dict[str, Message]:
        """Messages that take what comes, by `<person>|<channel>`."""
        ids = as_dict(ask(self._client, ("HGETALL", self._keys.messages_open))[0])
        found = self._messages(list(ids.values()))
        return {way.decode(): found[i] for way, i in ids.items() if i in found}

    def last(self) -> dict[str, datetime]:
        """When something was sent last, by `<person>|<channel>`."""
        found = as_dict(ask(self._client, ("HGETALL", self._keys.messages_last))[0])
        return {way.decode(): datetime.fromtimestamp(float(at), UTC) for way, at in found.items()}

    def spread(self, epoch: int, places: Sequence[str], messages: Iterable[Message]) -> None:
        """Notices become messages, in one step."""
        commands: list[Command] = []
        for message in messages:
            commands += self._put(message)
            if not message.sealed and not message.test:
                commands.append(("HSET", self._keys.messages_open, way_of(message), message.id))
        if places:
            commands.append(("XDEL", self._keys.outbox, *places))
        self._fenced(epoch, commands)

    def due(self, now: datetime, count: int, start: int = 0) -> list[Message]:
        """Those that are due longest first, passing over `start` of them."""
        key = self._keys.messages_due
        ids = ask(self._client, ("ZRANGE", key, "-inf", now.timestamp(), "BYSCORE", "LIMIT", start, count))[0]
        found = self._messages(ids)
        for gone in (i for i in ids if i not in found):
            ask(self._client, ("ZREM", key, gone))
        return [found[i] for i in ids if i in found]

    def waiting(self) -> int:
        """How many are on their way, with those in the outbox."""
        outbox, due = ask(self._client, ("XLEN", self._keys.outbox), ("ZCARD", self._keys.messages_due))
        return int(outbox) + int(due)

    def seal(self, epoch: int, message: Message) -> None:
        """It is about to be tried, and takes nothing more."""
        commands = self._put(message)
        open_now = ask(self._client, ("HGET", self._keys.messages_open, way_of(message)))[0]
        if open_now is not None and open_now.decode() == message.id:
            commands.append(("HDEL", self._keys.messages_open, way_of(message)))
        self._fenced(epoch, commands)

    def sent(self, epoch: int, message: Message, at: datetime, kind: str) -> None:
        commands = [
            *self._gone(message),
            ("HSET", self._keys.messages_last, way_of(message), at.timestamp()),
            ("HINCRBY", self._keys.totals, f"notifications_sent|{kind}", 1),
        ]
        if message.test:
            commands.append(self._tested(Tried(id=message.id, by=message.to, state="sent")))
        self._fenced(epoch, commands)

    def failed(self, epoch: int, message: Message, kind: str) -> None:
        """`message` as it is now: due again, or dead. A test is not tried again."""
        commands: list[Command] = [("HINCRBY", self._keys.totals, f"notifications_failed|{kind}", 1)]
        if message.test:
            tried = Tried(id=message.id, by=message.to, state="failed", text=message.error)
            commands += [*self._gone(message), self._tested(tried)]
        else:
            commands += self._put(message)
            if message.dead is not None:
                commands.append(("HINCRBY", self._keys.totals, f"notifications_given_up|{kind}", 1))
        self._fenced(epoch, commands)

    def drop(self, epoch: int, messages: Iterable[Message]) -> None:
        """Nobody is to be told of it any more."""
        commands: list[Command] = []
        for message in messages:
            commands += self._gone(message)
            if message.test:
                text = "The channel is gone, or is switched off."
                commands.append(self._tested(Tried(id=message.id, by=message.to, state="failed", text=text)))
        self._fenced(epoch, commands)

    def all(self) -> list[Message]:
        found = as_dict(ask(self._client, ("HGETALL", self._keys.messages))[0])
        return [m for m in map(_message, found.values()) if m is not None]

    # --- for screens

    def message(self, identifier: str) -> Message | None:
        return self._messages([identifier.encode()]).get(identifier.encode())

    def again(self, message: Message, now: datetime) -> Message:
        """One that was given up is tried from the beginning."""
        fresh = message.but(dead=None, tries=0, first=None, due=now, asked=True)
        ask(self._client, *self._put(fresh))
        return fresh

    def discard(self, message: Message) -> None:
        ask(self._client, *self._gone(message))

    def test(self, message: Message) -> Tried:
        tried = Tried(id=message.id, by=message.to, state="waiting")
        ask(self._client, self._tested(tried), *self._put(message))
        return tried

    def count(self, user: str, most: int) -> None:
        """Of what takes long or reaches others. Raises TooMany where a person did it `most` times in this minute."""
        key = self._keys.limit(f"notices:{user}")
        count, *_ = ask(self._client, ("INCR", key), ("EXPIRE", key, 60, "NX"))
        if int(count) > most:
            raise TooMany(
                "There were too many tests and new channels in this minute; nothing was done.",
                retry_after=60,
                hint="Try again in a minute.",
                code="request.too_many",
            )

    def tested(self, test: str) -> Tried | None:
        text = ask(self._client, ("GET", self._keys.message_test(test)))[0]
        return Tried.model_validate_json(text) if text is not None else None

    # --- nodes

    def nodes(self, ready: Mapping[str, bool], now: datetime) -> None:
        """What is known of all nodes. People are told of those that stay away, and when they are back."""
        key = self._keys.nodes_down
        with translated(), Transaction.on(self._client) as transaction:
            known = as_dict(transaction.read([("HGETALL", key)], watch=[key])[0])
            commands: list[Command] = []
            for node, is_ready in ready.items():
                since, told = _down(known.get(node.encode()), now)
                away = (now - since).total_seconds()
                if is_ready and node.encode() in known:
                    commands.append(("HDEL", key, node))
                    if told:
                        commands.append(self._about_node(node, f"node {node} is back", since, now, "back"))
                elif not is_ready and (node.encode() not in known or (not told and away >= DOWN_FOR)):
                    tell = away >= DOWN_FOR
                    commands.append(("HSET", key, node, f"{since.timestamp()} {int(tell)}"))
                    if tell:
                        text = f"node {node} is down since {since:%H:%M} UTC; what ran there may be cut off"
                        commands.append(self._about_node(node, text, since, now, "down"))
            if commands:
                try:
                    transaction.commit(commands)
                except WatchError:
                    return  # somebody else looks as well

    def _about_node(self, node: str, text: str, since: datetime, now: datetime, what: str) -> Command:
        identifier = f"node.{node}.{since.timestamp():.0f}.{what}"
        notice = Notice(id=identifier, what="node", text=text, at=now, node=node)
        return ("XADD", self._keys.outbox, "*", "n", codec.write_record(notice))

    # --- how all of this is written

    def _messages(self, ids: Sequence[bytes]) -> dict[bytes, Message]:
        if not ids:
            return {}
        texts = ask(self._client, ("HMGET", self._keys.messages, *ids))[0]
        read = ((i, _message(t)) for i, t in zip(ids, texts, strict=True) if t is not None)
        return {i: m for i, m in read if m is not None}

    def _put(self, message: Message) -> list[Command]:
        keys = self._keys
        text = codec.write_record(message)
        mark: Command = ("ZADD", keys.messages_due, message.due.timestamp(), message.id)
        if message.dead is not None:
            mark = ("ZREM", keys.messages_due, message.id)
        return [("HSET", keys.messages, message.id, text), mark]

    def _gone(self, message: Message) -> list[Command]:
        return [("HDEL", self._keys.messages, message.id), ("ZREM", self._keys.messages_due, message.id)]

    def _tested(self, tried: Tried) -> Command:
        return ("SET", self._keys.message_test(tried.id), codec.write_record(tried), "EX", TEST_KEPT)

    def _fenced(self, epoch: int, commands: Sequence[Command]) -> None:
        """Raises Conflict where another process sends by now, StoreUnavailable."""
        if not commands:
            return
        fence = self._keys.epoch(LEASE)
        with translated():
            try:
                with Transaction.on(self._client) as transaction:
                    now = int(transaction.read([("GET", fence)], watch=[fence])[0] or 0)
                    if now == epoch:
                        transaction.commit(commands)
                        return
            except WatchError:
                pass
        raise Conflict("Another process sends notifications by now. Nothing was changed.", code="lease.lost")


class RuleBook:
    """What people want to be told of."""

    def __init__(self, client: Redis, keys: Keys | None = None) -> None:
        self._client = client
        self._keys = keys or Keys()

    def all(self) -> dict[str, Rules]:
        found = as_dict(ask(self._client, ("HGETALL", self._keys.rules))[0])
        return {user.decode(): Rules.model_validate_json(text) for user, text in found.items()}

    def of(self, user: str) -> Rules:
        text = ask(self._client, ("HGET", self._keys.rules, user))[0]
        return Rules.model_validate_json(text) if text is not None else Rules()

    def change(self, user: str, change: Callable[[Rules], Rules]) -> Rules:
        """`change` may be called several times, and may raise."""
        key = self._keys.rules
        with translated():
            while True:
                try:
                    with Transaction.on(self._client) as transaction:
                        text = transaction.read([("HGET", key, user)], watch=[key])[0]
                        after = change(Rules.model_validate_json(text) if text is not None else Rules())
                        transaction.commit([("HSET", key, user, after.model_dump_json())])
                        return after
                except WatchError:
                    continue

    def of_project(self, project: str) -> dict[str, frozenset[What]]:
        found = as_dict(ask(self._client, ("HGETALL", self._keys.rules_of(project)))[0])
        return {user.decode(): frozenset(json.loads(text)) for user, text in found.items()}

    def set_of_project(self, user: str, project: str, events: frozenset[What] | None) -> None:
        key = self._keys.rules_of(project)
        if events is None:
            ask(self._client, ("HDEL", key, user))
        else:
            ask(self._client, ("HSET", key, user, json.dumps(sorted(events))))


def way_of(message: Message) -> str:
    return f"{message.to}|{message.channel}"


def _message(text: bytes) -> Message | None:
    try:
        return Message.model_validate_json(text)
    except ValidationError:
        log.error("a message cannot be read and is not sent: %s", text[:200])
        return None


def _down(text: bytes | None, now: datetime) -> tuple[datetime, bool]:
    if text is None:
        return now, False
    since, told = text.decode().split(" ")
    return datetime.fromtimestamp(float(since), UTC), told == "1"
