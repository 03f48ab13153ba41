"""The driver `simulated`: a whole cluster in memory, on a virtual clock, repeatable by its seed.

What happens on the nodes and what the driver knows of it are kept apart: a cut node goes on working and
its runners go on writing their ends; a dead one falls silent; reports are late, lost, doubled and out of
order as `Faults` says, while `observe` tells what the driver knows now."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from random import Random
from typing import Literal

from winslow_nomad.core.admit import Class, class_of, possible, why_busy
from winslow_nomad.core.errors import DriverRejected, DriverUnavailable
from winslow_nomad.core.inventory import Inventory, Node
from winslow_nomad.core.ports import AttemptRef, AttemptSpec, Observation
from winslow_nomad.core.stage import Cause, Outcome, Reason
from winslow_nomad.driver.simulated.attempts import MemoryAttempts
from winslow_nomad.driver.simulated.clock import VirtualClock
from winslow_nomad.driver.simulated.machines import Machines, Room
from winslow_nomad.driver.simulated.script import Act, Faults, Script

_OBEY = 1.0  # seconds between two looks of a runner at `control`


@dataclass
class _Life:
    """One attempt: `phase` is what is true, whoever knows it."""

    spec: AttemptSpec
    act: Act
    phase: Literal["waiting", "placed", "running", "ended"] = "waiting"
    room: Room | None = None
    index: int = 0
    started: float | None = None
    stopping: Literal["", "terminate", "kill"] = ""
    refused: bool = False
    forgotten: bool = False


@dataclass(order=True)
class _Event:
    at: float
    order: int
    happen: Callable[[], None] = field(compare=False)


class SimulatedDriver:
    """`attempts` and `clock` are shared with whoever plays Winslow in the same world."""

    name = "simulated"

    def __init__(
        self,
        nodes: Iterable[Node],
        script: Script,
        *,
        clock: VirtualClock,
        attempts: MemoryAttempts,
        seed: int = 0,
        faults: Faults | None = None,
    ) -> None:
        self._machines = Machines(nodes)
        self._script, self._seed = script, seed
        self._clock, self._attempts = clock, attempts
        self._faults = faults or Faults()
        self._random = Random(seed)
        self._events: list[_Event] = []
        self._order = 0
        self._index = 0
        self._lives: dict[AttemptRef, _Life] = {}
        self._waiting: dict[tuple[int, Class], deque[_Life]] = defaultdict(deque)
        self._reports: list[Observation] = []
        self._away = False
        self.started: Counter[AttemptRef] = Counter()  # how often each command was ever started
        attempts.on_word = self._word_written

    # --- core.ports.Driver

    def submit(self, spec: AttemptSpec) -> Observation:
        self._reach()
        life = self._lives.get(spec.ref)
        if life is None:
            life = _Life(spec, self._script(spec, Random(f"{self._seed}/{spec.ref}")))
            self._lives[spec.ref] = life
            line = self._line(spec)
            line.append(life)
            self._changed(life)
            if len(line) == 1:  # else those before it do not fit either
                self._start(line, None)
        elif life.spec.fingerprint != spec.fingerprint:
            raise DriverRejected(
                f"Attempt {spec.ref} was submitted before with another specification; that one stays.",
                hint="Start a new attempt.",
            )
        if self._random.random() < self._faults.reply_lost:
            raise DriverUnavailable("The answer of the driver was lost.", hint="It is asked again.")
        return self._report(life)

    def stop(self, ref: AttemptRef, how: Literal["terminate", "kill"]) -> None:
        self._reach()
        life = self._lives.get(ref)
        if life is None or life.phase == "ended":
            return
        if life.phase == "running":
            if life.room is not None and not self._machines[life.room.node].cut:
                self._obey(life, how)
        elif self._attempts.cancel(ref) is not None:
            self._finish(life)

    def observe(self, refs: Iterable[AttemptRef]) -> list[Observation]:
        self._reach()
        return [self._observe(ref) for ref in refs]

    def follow(self, report: Callable[[Observation], None], stopping: Callable[[], bool]) -> None:
        """Plays on until `stopping()`, or until nothing is left to happen."""
        while not stopping():
            for observation in self._delivered():
                report(observation)
            if not self._step():
                return

    def inventory(self) -> Inventory:
        self._reach()
        return self._inventory()

    def forget(self, ref: AttemptRef) -> None:
        self._reach()
        life = self._lives.get(ref)
        if life is not None:
            life.forgotten = True
            if life.phase == "ended":
                del self._lives[ref]

    # --- the world

    def advance(self, until: datetime) -> list[Observation]:
        """Let time pass; the reports that arrived, in the order of their arrival."""
        end = self._clock.seconds_until(until)
        while self._events and self._events[0].at <= end:
            self._step()
        self._clock.seconds = max(self._clock.seconds, end)
        return self._delivered()

    @property
    def next_event(self) -> datetime | None:
        """When something happens next, so that `advance` to it makes it happen; None: nothing ever will by
        itself. Rounded up, since datetime knows no less than a microsecond."""
        return self._clock.at(self._events[0].at + 1e-6) if self._events else None

    def cut(self, node: str, seconds: float) -> None:
        """Nobody hears of the node for a while; its attempts go on."""
        self._machines[node].cut = True
        self._tell(node)
        self._after(seconds, lambda: self._mend(node))

    def lose(self, node: str, back_after: float) -> None:
        """The node dies with all that runs there, and comes back empty."""
        self._machines[node].gone = True
        for life in self._on(node):
            self._attempts.silence(life.spec.ref)
        self._tell(node)
        self._after(back_after, lambda: self._reboot(node))

    def join(self, node: Node) -> None:
        self._machines.join(node)
        self._place(node.name)

    def away(self, seconds: float) -> None:
        """The driver answers nobody for a while and reports nothing; attempts go on."""
        self._away = True
        self._after(seconds, lambda: setattr(self, "_away", False))

    def preempt(self, ref: AttemptRef) -> None:
        """The driver takes the place for something else: SIGTERM that nobody asked for."""
        life = self._lives[ref]
        if life.phase == "running":
            life.stopping = "terminate"
            self._end(life, Outcome(cause=Cause.STOPPED, signal=15, message="preempted"))

    # --- the life of an attempt

    def _line(self, spec: AttemptSpec) -> deque[_Life]:
        return self._waiting[-spec.priority, class_of(spec.resources, spec.placement)]

    def _place(self, node: str) -> None:
        """There may be room on this node: start what fits there, by priority."""
        for key in sorted(k for k, line in self._waiting.items() if line):
            self._start(self._waiting[key], node)

    def _start(self, line: deque[_Life], node: str | None) -> None:
        """Within a class the first that does not fit holds back those behind it."""
        while line:
            life = line[0]
            if life.phase == "waiting":
                room = self._machines.place(life.spec, node)
                if room is None:
                    return
                self._machines.take(life.spec, room)
                life.room, life.phase = room, "placed"
                self._after(life.act.starting, lambda life=life: self._begin(life))  # type: ignore[misc]
            line.popleft()

    def _begin(self, life: _Life) -> None:
        if life.phase != "placed" or self._dead(life):
            return
        ref, act = life.spec.ref, life.act
        if not self._attempts.claim(ref, f"runner {self._next_order()}"):
            life.refused = True
            self._finish(life)
            return
        life.phase, life.started = "running", self._clock.seconds
        self.started[ref] += 1
        self._changed(life)
        timeout = life.spec.timeout
        if timeout is not None and timeout < act.seconds:
            self._after(timeout, lambda: self._end(life, Outcome(cause=Cause.TIMEOUT, signal=15)))
        else:
            self._after(act.seconds, lambda: self._end(life, self._own_end(act)))
        self._word_written(ref)

    @staticmethod
    def _own_end(act: Act) -> Outcome:
        if act.out_of_memory:
            return Outcome(cause=Cause.OUT_OF_MEMORY, signal=9)
        if act.signal is not None:
            return Outcome(cause=Cause.EXIT, signal=act.signal)
        return Outcome(cause=Cause.EXIT, code=act.code, results=act.results)

    def _word_written(self, ref: AttemptRef) -> None:
        life = self._lives.get(ref)
        word = self._attempts.word(ref)
        if life is None or life.phase != "running" or word == "run":
            return
        if word == "superseded":
            self._after(_OBEY, lambda: self._end(life, Outcome(cause=Cause.SUPERSEDED, signal=9)))
        else:
            self._after(_OBEY, lambda: self._obey(life, word))

    def _obey(self, life: _Life, how: Literal["terminate", "kill"]) -> None:
        if life.phase != "running" or life.stopping in (how, "kill") or self._dead(life):
            return
        life.stopping = how
        ends = life.act.stop_seconds
        if how == "kill":
            self._end(life, Outcome(cause=Cause.KILLED, signal=9))
        elif ends is not None and ends <= life.spec.stop_grace:
            self._after(ends, lambda: self._end(life, Outcome(cause=Cause.STOPPED, signal=15)))
        else:
            self._after(life.spec.stop_grace, lambda: self._end(life, Outcome(cause=Cause.KILLED, signal=9)))

    def _end(self, life: _Life, outcome: Outcome) -> None:
        """The runner publishes; whether anybody hears of it is another matter."""
        if life.phase != "running" or self._dead(life):
            return
        started = None if life.started is None else self._clock.at(life.started)
        self._attempts.publish_end(life.spec.ref, outcome.but(started=started, ended=self._clock.now()))
        self._finish(life)

    def _finish(self, life: _Life) -> None:
        life.phase = "ended"
        self._attempts.silence(life.spec.ref)
        if life.room is not None:
            self._machines.release(life.spec, life.room)
        self._changed(life)
        if life.forgotten:
            self._lives.pop(life.spec.ref, None)
        if life.room is not None:
            self._place(life.room.node)

    def _mend(self, node: str) -> None:
        machine = self._machines[node]
        machine.cut = False
        self._tell(node)
        for ref in machine.unheard:
            if ref in self._lives:
                self._changed(self._lives[ref])
        machine.unheard.clear()
        self._place(node)

    def _reboot(self, node: str) -> None:
        """Same node, other boot: what was there can be alive no more."""
        lost = self._on(node)
        self._machines[node].gone = False
        for life in lost:
            outcome = Outcome(cause=Cause.NODE_LOST, message=f"{node} was started anew", ended=self._clock.now())
            if life.phase == "running" or self._attempts.claim(life.spec.ref, "lost"):
                self._attempts.publish_end(life.spec.ref, outcome)
            self._finish(life)
        self._place(node)

    def _dead(self, life: _Life) -> bool:
        return life.room is not None and self._machines[life.room.node].gone

    def _on(self, node: str) -> list[_Life]:
        return [
            life
            for life in self._lives.values()
            if life.room is not None and life.room.node == node and life.phase in ("placed", "running")
        ]

    # --- what the driver knows and says

    def _reach(self) -> None:
        if self._away:
            raise DriverUnavailable("The simulated driver is away.", hint="It is asked again.")

    def _inventory(self) -> Inventory:
        return Inventory(driver=self.name, nodes=self._machines.shown(), seen=self._clock.now())

    def _observe(self, ref: AttemptRef) -> Observation:
        life = self._lives.get(ref)
        if life is not None:
            return self._observation(life)
        outcome = self._attempts.end(ref)
        if outcome is None:
            return Observation(ref=ref, phase="absent")
        return Observation(ref=ref, phase="ended", outcome=outcome, started=outcome.started)

    def _observation(self, life: _Life) -> Observation:
        ref = life.spec.ref
        outcome = self._attempts.end(ref)
        node = life.room.node if life.room is not None else ""
        if outcome is not None:
            started = outcome.started
            return Observation(
                ref=ref, phase="ended", index=life.index + 1, node=node, started=started, outcome=outcome
            )
        if life.room is not None and (self._machines[node].cut or self._machines[node].gone):
            text = f"{node} is out of contact"
            return Observation(ref=ref, phase="out_of_contact", index=life.index, node=node, text=text)
        if life.phase == "running" and life.started is not None:
            started = self._clock.at(life.started)
            return Observation(ref=ref, phase="running", index=life.index, node=node, started=started)
        return Observation(ref=ref, phase="waiting", index=life.index, node=node, reason=self._reason(life))

    def _reason(self, life: _Life) -> Reason:
        if life.phase != "waiting":
            return Reason(kind="busy", text="is being started", ahead=0)
        spec, now = life.spec, self._inventory()
        text = possible(spec.resources, spec.placement, now)
        if text is not None:
            return Reason(kind="impossible", text=f"cannot start: {text}")
        before = takewhile(lambda other: other is not life, self._line(spec))
        ahead = sum(other.phase == "waiting" for other in before)
        return why_busy(spec.resources, spec.placement, now, ahead)

    def _tell(self, node: str) -> None:
        for life in self._on(node):
            self._changed(life)

    def _changed(self, life: _Life) -> None:
        """A report goes out, with all that may befall it."""
        self._index += 2  # one for what is true, one for an end that is seen first
        life.index = self._index
        if life.phase == "ended" and life.room is not None and self._machines[life.room.node].cut:
            self._machines[life.room.node].unheard.append(life.spec.ref)
            return
        if self._away or self._random.random() < self._faults.lost:
            return
        observation = self._report(life)
        for _ in range(2 if self._random.random() < self._faults.twice else 1):
            self._after(self._random.random() * self._faults.delay, lambda: self._reports.append(observation))

    def _report(self, life: _Life) -> Observation:
        """Like an observation, but a long line is not searched for the place in it."""
        if life.phase != "waiting":
            return self._observation(life)
        return Observation(ref=life.spec.ref, phase="waiting", index=life.index)

    def _delivered(self) -> list[Observation]:
        reports, self._reports = self._reports, []
        return reports

    # --- time

    def _next_order(self) -> int:
        self._order += 1
        return self._order

    def _after(self, seconds: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, _Event(self._clock.seconds + seconds, self._next_order(), happen))

    def _step(self) -> bool:
        if not self._events:
            return False
        event = heapq.heappop(self._events)
        self._clock.seconds = max(self._clock.seconds, event.at)
        event.happen()
        return True
