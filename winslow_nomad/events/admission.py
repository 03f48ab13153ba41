"""Lets waiting stages start, in the order that `admit` gives: the one place where projects meet.

May run in several processes at once: a stage that another one admitted meanwhile is no longer queued,
and the fact changes nothing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from winslow_nomad.core import messages as m
from winslow_nomad.core.admit import Policy, admit
from winslow_nomad.core.allowance import Allowance
from winslow_nomad.core.effects import Effect
from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.core.inventory import Inventory
from winslow_nomad.core.ledger import Ledger
from winslow_nomad.core.ports import Clock, Driver
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EnvironmentValue, Reason

FRESH = timedelta(seconds=1)
TOLD = 32  # stages at the head of the line that learn what they wait for, once a second: every end moves all of them


Prepare = Callable[[Project, Sequence[Effect]], list[m.AnyFact]]


def nothing_first(project: Project, effects: Sequence[Effect]) -> list[m.AnyFact]:  # noqa: ARG001
    return []


Limits = Callable[[Iterable[str]], Mapping[str, Allowance]]
"""What each of these users may have in use at the same time; one that is not in the answer, as much as there is."""


def no_limits(actors: Iterable[str]) -> Mapping[str, Allowance]:  # noqa: ARG001
    return {}


class Send(Protocol):
    """The one path into `decide`."""

    def facts(self, project: str, facts: Sequence[m.AnyFact], *, quiet: bool = False) -> object: ...

    def admit(self, project: str, fact: m.Admitted, prepare: Prepare, *, quiet: bool = False) -> None: ...


class Admission:
    def __init__(
        self,
        drivers: Mapping[str, Driver],
        ledger: Ledger,
        clock: Clock,
        send: Send,
        installation: Callable[[], Sequence[EnvironmentValue]] = tuple,
        limits: Limits = no_limits,
    ) -> None:
        self.drivers = drivers
        self.ledger = ledger
        self.clock = clock
        self.send = send
        self.installation = installation
        self.limits = limits
        self._lock = threading.Lock()
        self._inventories: dict[str, tuple[datetime, Inventory]] = {}
        self._told: dict[str, dict[tuple[str, int], Reason]] = {}  # by driver
        self._looked_at: dict[str, tuple[object, bool]] = {}
        self._explained: dict[str, datetime] = {}

    def run(self, prepare: Prepare = nothing_first, *, quiet: str = "") -> int:
        """Admit what may start now; how many were. `prepare` carries out what an admission asks for first;
        `quiet`: a project whose doorbell need not be rung."""
        with self._lock:
            return sum(self._run(name, prepare, quiet) for name in self.drivers)

    def _run(self, name: str, prepare: Prepare, quiet: str) -> int:
        waiting = self.ledger.waiting(name)
        told = self._told.setdefault(name, {})
        for gone in told.keys() - {w.key for w in waiting}:
            del told[gone]
        if not waiting:
            return 0
        active = self.ledger.at_driver(name)
        inventory = self.inventory(name)
        now = self.clock.now()
        explains = not timedelta(0) <= now - self._explained.get(name, now - FRESH) < FRESH  # clocks may jump back
        limits = dict(self.limits({w.actor for w in waiting}))
        state = (waiting, active, inventory.but(seen=None), limits)
        before, explained = self._looked_at.get(name, (None, False))
        if state == before and (explained or not explains):
            return 0  # with thousands waiting, most looks find nothing new
        served = Counter(w.actor for w, _ in active)
        policy = Policy(served=dict(served), limits=limits, explained=TOLD if explains else 0)
        elsewhere = [w for other in self.drivers if other != name for w, _ in self.ledger.at_driver(other)]
        standing = [*elsewhere, *(w for w, _ in active)]
        verdict = admit(waiting, inventory, [w for w, unplaced in active if unplaced], policy, standing)
        variables = tuple(self.installation()) if verdict.admitted else ()
        for chosen in verdict.admitted:
            told.pop(chosen.key, None)
            admitted = m.Admitted(stage=chosen.stage, installation=variables)
            self.send.admit(chosen.project, admitted, prepare, quiet=chosen.project == quiet)
        for key, reason in verdict.held.items():
            self._tell(told, key, reason)
        # where something was admitted the very same may stand in line again, for another attempt
        self._looked_at[name] = (None if verdict.admitted else state, explains)
        if explains:
            self._explained[name] = now
        return len(verdict.admitted)

    def _tell(self, told: dict[tuple[str, int], Reason], key: tuple[str, int], reason: Reason) -> None:
        """A reason is sent once, not at every look."""
        if told.get(key) == reason:
            return
        told[key] = reason
        project, stage = key
        if reason.kind == "impossible":
            text = reason.text.removeprefix("cannot start: ")
            self.send.facts(project, [m.BecameImpossible(stage=stage, text=text)])
        else:
            self.send.facts(project, [m.HeldBack(stage=stage, reason=reason)])

    def inventory(self, name: str) -> Inventory:
        """At most a second old; empty and never seen while the driver cannot be asked."""
        now = self.clock.now()
        kept = self._inventories.get(name)
        if kept is not None and timedelta(0) <= now - kept[0] < FRESH:
            return kept[1]
        try:
            inventory = self.drivers[name].inventory()
        except DriverUnavailable as error:
            return kept[1] if kept is not None else Inventory(driver=name, note=error.message.rstrip("."))
        self._inventories[name] = (now, inventory)
        return inventory
