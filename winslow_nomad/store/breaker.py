"""Breakers: one for each driver, and one for the share. While one is open nobody keeps trying what
cannot work; the projects that wait for it are parked, and rung when it closes.

open -> (after a pause that doubles) half-open: one caller may try -> closed, or open again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from redis import Redis
from redis.exceptions import WatchError

from winslow_nomad.core.model import Record
from winslow_nomad.core.ports import Clock
from winslow_nomad.store.commit import Command
from winslow_nomad.store.faults import translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.queue import Doorbells
from winslow_nomad.store.transaction import Transaction, ask, texts

FAILURES = 3  # in a row, until it opens
FIRST_PAUSE = 1.0  # seconds until the first try
LONGEST_PAUSE = 5.0  # so that all is right again within seconds of the end of a fault, however long it was
TRY_LASTS = 10.0  # seconds; a try that was never reported is another's turn after that


class BreakerState(Record):
    """`until`: open: when a try is allowed; half_open: when the one who tries is given up."""

    format: int = 1
    name: str
    state: Literal["closed", "open", "half_open"] = "closed"
    failures: int = 0
    pause: float = 0.0
    until: datetime | None = None
    since: datetime | None = None
    text: str = ""


class Breakers:
    """events.advance.Breaker. Safe to share between threads."""

    def __init__(self, client: Redis, clock: Clock, keys: Keys | None = None) -> None:
        self._client = client
        self._clock = clock
        self._keys = keys or Keys()
        self._bells = Doorbells(client, self._keys)
        self._here = threading.local()

    def state(self, name: str) -> BreakerState:
        return _read(name, ask(self._client, ("GET", self._keys.breaker(name)))[0])

    def states(self) -> list[BreakerState]:
        """All that have ever failed, by name."""
        return all_states(self._client, self._keys)

    def allows(self, what: str) -> bool:
        """Whether to try. While half-open, True for one caller only."""
        seen = self.state(what)
        self._remember(what, sound=seen == BreakerState(name=what), trying=False)
        if seen.state == "closed":
            return True
        now = self._clock.now()
        allowed = False

        def take(old: BreakerState) -> BreakerState | None:
            nonlocal allowed
            allowed = old.state == "closed" or _is_due(old, now)
            if old.state == "closed" or not allowed:
                return None
            return old.but(state="half_open", until=now + timedelta(seconds=TRY_LASTS))

        taken = self._replace(what, take)
        self._remember(what, sound=False, trying=allowed and taken.state == "half_open")
        return allowed

    def why(self, what: str) -> str:
        return self.state(what).text

    def failed(self, what: str, project: str, text: str = "", *, at_once: bool = False) -> None:
        """A call of this thread failed because the other side is away, or was not allowed to be tried: the
        project waits for it. `text`: why, for people. `at_once`: it opens now, not after some failures."""
        now = self._clock.now()
        trying = self._trying(what)

        def count(old: BreakerState) -> BreakerState | None:
            if old.state == "open" or (old.state == "half_open" and not trying):
                return None  # not allowed, or a call that began before it opened
            failures = old.failures + 1
            if old.state == "closed" and failures < FAILURES and not at_once:
                return old.but(failures=failures, text=text)
            pause = min(old.pause * 2 or FIRST_PAUSE, LONGEST_PAUSE)
            return old.but(
                state="open",
                failures=failures,
                pause=pause,
                until=now + timedelta(seconds=pause),
                since=old.since or now,
                text=text,
            )

        # parked before it opens: a project is rung for nothing rather than left waiting
        ask(self._client, ("SADD", self._keys.parked(what), project))
        self._replace(what, count)
        self._remember(what, sound=False, trying=False)

    def succeeded(self, what: str) -> None:
        """A call went through: closed. Rings for the projects that were parked."""
        if self._sound(what):
            return
        if self.state(what) == BreakerState(name=what):
            return
        parked = sorted(texts(ask(self._client, ("SMEMBERS", self._keys.parked(what)))[0]))
        # one transaction, so that no parked project is forgotten when this process dies in between
        also: list[Command] = [c for p in parked for c in self._bells.commands(p)]
        if parked:
            also.append(("SREM", self._keys.parked(what), *parked))
        self._replace(what, lambda _: BreakerState(name=what), also)
        self._remember(what, sound=True, trying=False)

    def _remember(self, what: str, *, sound: bool, trying: bool) -> None:
        known: dict[str, tuple[bool, bool]] = self._here.__dict__.setdefault("known", {})
        known[what] = (sound, trying)

    def _sound(self, what: str) -> bool:
        """Nothing was wrong when this thread asked: a success is no news."""
        return bool(self._here.__dict__.get("known", {}).get(what, (False, False))[0])

    def _trying(self, what: str) -> bool:
        return bool(self._here.__dict__.get("known", {}).get(what, (False, False))[1])

    def _replace(
        self,
        name: str,
        step: Callable[[BreakerState], BreakerState | None],
        also: list[Command] | None = None,
    ) -> BreakerState:
        key = self._keys.breaker(name)
        with translated():
            while True:
                try:
                    with Transaction.on(self._client) as transaction:
                        old = _read(name, transaction.read([("GET", key)], watch=[key])[0])
                        new = step(old)
                        if new is None:
                            return old
                        transaction.commit(
                            [
                                ("SET", key, new.model_dump_json(exclude_defaults=True)),
                                ("SADD", self._keys.breakers, name),
                                *(also or []),
                            ]
                        )
                        return new
                except WatchError:
                    continue


def all_states(client: Redis, keys: Keys) -> list[BreakerState]:
    names = sorted(texts(ask(client, ("SMEMBERS", keys.breakers))[0]))
    if not names:
        return []
    found = ask(client, *(("GET", keys.breaker(n)) for n in names))
    return [_read(n, t) for n, t in zip(names, found, strict=True)]


def blocked(client: Redis, keys: Keys) -> set[str]:
    """Projects that wait for a breaker which is not closed."""
    names = [s.name for s in all_states(client, keys) if s.state != "closed"]
    parked = ask(client, *(("SMEMBERS", keys.parked(n)) for n in names)) if names else []
    return {p for members in parked for p in texts(members)}


def awake(client: Redis, keys: Keys, now: datetime) -> set[str]:
    """One parked project of each breaker that may be tried now: somebody has to find out."""
    states = all_states(client, keys)
    names = [s.name for s in states if s.state != "closed" and _is_due(s, now)]
    chosen = ask(client, *(("SRANDMEMBER", keys.parked(n)) for n in names)) if names else []
    return {p.decode() for p in chosen if p is not None}


def _is_due(state: BreakerState, now: datetime) -> bool:
    """Whether a try is allowed. One that is further away than any pause was set by a clock that was put back since."""
    return state.until is not None and not now < state.until <= now + timedelta(seconds=max(LONGEST_PAUSE, TRY_LASTS))


def _read(name: str, text: bytes | None) -> BreakerState:
    return BreakerState(name=name) if text is None else BreakerState.model_validate_json(text)
