"""Follows Nomad's event stream for the whole installation: subscribe, list, apply, go on; and again on every
reconnect and every few minutes, since a gap gives no sign; and at once where Nomad is found to be elsewhere than its
stream.

There is one follower at a time in an installation (the active controller). What it learns goes into the process's
Picture, and the jobs that changed to `tell`. Must never judge, and never end because Nomad is away."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from winslow_nomad.core.errors import Unavailable, WinslowError
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.picture import Picture
from winslow_nomad.driver.nomad.pulse import EVERY, Beat, Pulse
from winslow_nomad.driver.nomad.stream import SILENCE, SUBSCRIBED_WITHIN, Ended, EventStream

log = logging.getLogger(__name__)

RESYNC = 150.0  # seconds between two comparisons with lists while the stream flows; a fifth more or less
LONGEST_PAUSE = 5.0  # so that all is right again within seconds of the end of a fault
TICK = 0.1  # seconds between two looks at `stopping`
AT_ONCE = 500  # lines applied before what they changed is told


@dataclass
class Lag:
    """How well the stream keeps up. `seconds`: from the arrival of the last line until it was taken; `waiting`: lines
    that have arrived and were not taken; `since`: when the last line came, by the monotonic clock."""

    following: bool = False
    seconds: float = 0.0
    waiting: int = 0
    since: float = 0.0
    lines: int = 0
    events: int = 0
    resyncs: int = 0
    reconnects: int = 0


class Follower:
    """`tell` gets the jobs whose picture has changed; `look_again` is called every TICK, for what waits for a moment
    to pass. `probe` asks Nomad for the index of its newest change of a job, which also gives the reason of a rejection;
    it is asked every `pulse` seconds."""

    def __init__(
        self,
        access: Access,
        picture: Picture,
        tell: Callable[[set[str]], None],
        look_again: Callable[[], None],
        probe: Callable[[], int],
        *,
        silence: float = SILENCE,
        resync: float = RESYNC,
        pulse: float = EVERY,
        lag: Lag | None = None,
    ) -> None:
        self._access, self._picture = access, picture
        self._tell, self._look_again, self._probe = tell, look_again, probe
        self._silence, self._resync, self._every = silence, resync, pulse
        self._index = 0
        self._failures = 0
        self.lag = lag or Lag()

    def run(self, stopping: Callable[[], bool]) -> None:
        """Until `stopping()`."""
        try:
            while not stopping():
                try:
                    self._follow_once(stopping)
                except Ended as end:
                    self._explain(end)
                except Unavailable as error:
                    log.warning("following Nomad: %s", error)
                finally:
                    self._picture.followed(False)
                    self.lag.following = False
                if not stopping():
                    self._pause(stopping)
        finally:
            self._picture.followed(False)

    def _follow_once(self, stopping: Callable[[], bool]) -> None:
        self.lag.reconnects += 1
        with (
            EventStream(self._access, self._index, silence=self._silence) as stream,
            Pulse(self._beat, self._every) as pulse,
        ):
            if not self._subscribed(stream, stopping):
                return
            self._resynchronise()
            self._picture.followed(True)
            self.lag.following = True
            self._failures = 0
            next_resync = self._next_resync()
            before, events = 0, self.lag.events
            while not stopping():
                self._take(stream)
                self._look_again()
                beat = pulse.take()
                if beat is not None:
                    self._compare(beat, before if events == self.lag.events else 0)
                    before, events = beat.index, self.lag.events
                if time.monotonic() >= next_resync:
                    self._resynchronise()
                    next_resync = self._next_resync()

    def _subscribed(self, stream: EventStream, stopping: Callable[[], bool]) -> bool:
        """Nomad writes the first line when the subscription stands; before it there is nothing that could be lost."""
        deadline = time.monotonic() + SUBSCRIBED_WITHIN
        while not stopping():
            if stream.peek(TICK):
                return True
            if time.monotonic() > deadline:
                raise Ended(f"Nomad did not confirm the subscription within {SUBSCRIBED_WITHIN:g} s", subscribed=False)
        return False

    def _beat(self) -> Beat:
        return Beat(self._picture.reach, self._probe())

    def _compare(self, beat: Beat, before: int) -> None:
        """Raises Ended where Nomad was put back, or the stream stands still. `before`: Nomad's index a while ago, if
        nothing has come since then. An event may be quicker than the lists, and a change in another namespace is told
        by no event; so it is the lists that say whether it is so."""
        if 0 < beat.index < beat.known:
            self._resynchronise()
            if self._picture.reach < beat.known:
                raise Ended(f"Nomad is at {beat.index} and was at {beat.known}, so it was put back", subscribed=True)
        elif before > max(self._picture.reach, self._index) and self._resynchronise():
            raise Ended(f"Nomad is at {beat.index}, and its stream stands still at {self._index}", subscribed=True)

    def _resynchronise(self) -> bool:
        """Whether anything had changed that was not known yet."""
        changed = self._picture.refresh()
        self.lag.resyncs += 1
        self._tell(changed)
        return bool(changed)

    def _take(self, stream: EventStream) -> None:
        """What has arrived, at most so much that others are not kept waiting."""
        changed: set[str] = set()
        line = stream.take(TICK)
        taken = 0
        while line is not None:
            now = time.monotonic()
            self.lag.seconds, self.lag.since = now - line.arrived, now
            self.lag.waiting = stream.waiting
            self.lag.lines += 1
            if line.events:
                self.lag.events += len(line.events)
                changed |= self._picture.apply(line.events)
                self._index = line.index
            taken += 1
            line = stream.take(0.0) if taken < AT_ONCE else None
        if changed:
            self._tell(changed)

    def _explain(self, end: Ended) -> None:
        if end.subscribed:
            log.info("the event stream of Nomad has ended: %s; following anew", end)
            return
        try:
            self._probe()
        except WinslowError as error:
            log.warning("Nomad's events cannot be followed: %s", error)
        else:
            log.warning("Nomad does not let its events be followed: %s", end)

    def _pause(self, stopping: Callable[[], bool]) -> None:
        self._failures += 1
        longest = min(LONGEST_PAUSE, 0.1 * 2.0 ** min(self._failures, 10))
        until = time.monotonic() + random.uniform(longest / 2, longest)
        while time.monotonic() < until and not stopping():
            time.sleep(min(TICK, max(0.0, until - time.monotonic())))

    def _next_resync(self) -> float:
        return time.monotonic() + self._resync * random.uniform(0.8, 1.2)
