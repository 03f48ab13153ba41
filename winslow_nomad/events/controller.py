"""The one active controller: follows drivers, sweeps, fires timers, rings again, mirrors.

Any number may run; the lease lets one be active, the others stand by. Everything it does is also safe
when two believe to be active for a moment: facts are idempotent, and a sweep's facts carry the epoch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from winslow_nomad.core import messages as m
from winslow_nomad.core.about import about
from winslow_nomad.core.errors import Unavailable, WinslowError
from winslow_nomad.core.ports import Driver, Observation
from winslow_nomad.core.project import Project
from winslow_nomad.events.perform import facts_of

log = logging.getLogger(__name__)


class Lease(Protocol):
    def hold(self) -> int | None:
        """Take or renew it: the epoch, or None while another one has it."""
        ...

    def release(self) -> None: ...


@dataclass
class Chore:
    """Something done every `seconds` while active. It may fail; it is tried again at its next turn."""

    name: str
    seconds: float
    run: Callable[[int], object]
    next: float = field(default=0.0)


class Controller:
    def __init__(
        self,
        lease: Lease,
        drivers: Mapping[str, Driver],
        send: Callable[[str, Sequence[m.AnyFact]], Project | None],
        chores: Sequence[Chore],
        monotonic: Callable[[], float],
    ) -> None:
        self.lease = lease
        self.drivers = drivers
        self.send = send
        self.chores = list(chores)
        self.monotonic = monotonic
        self.epoch: int | None = None

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set; a lost store or driver is waited out."""
        followers: list[threading.Thread] = []
        active = threading.Event()  # set: the followers of this term of office are to end
        try:
            while not stopping.is_set():
                epoch = self.try_hold()
                if epoch != self.epoch:
                    active.set()
                    active = threading.Event()
                    followers = self.start_followers(active, stopping) if epoch is not None else []
                    self.epoch = epoch
                if epoch is not None:
                    self.do_chores(epoch)
                stopping.wait(0.1 if epoch is not None else 0.5)
        finally:
            active.set()
            for follower in followers:
                follower.join(timeout=5)
            if self.epoch is not None:
                self.give_up()

    def try_hold(self) -> int | None:
        try:
            return self.lease.hold()
        except Unavailable as error:
            log.warning("controller: %s", error)
            return self.epoch

    def give_up(self) -> None:
        try:
            self.lease.release()
        except Unavailable:
            log.info("the lease runs out by itself")

    def do_chores(self, epoch: int) -> None:
        for chore in self.chores:
            now = self.monotonic()
            if now < chore.next:
                continue
            chore.next = now + chore.seconds
            try:
                chore.run(epoch)
            except WinslowError as error:
                log.warning("%s: %s", chore.name, error)
            except Exception:
                log.exception("%s failed; it is tried again", chore.name)

    def start_followers(self, active: threading.Event, stopping: threading.Event) -> list[threading.Thread]:
        def ended() -> bool:
            return active.is_set() or stopping.is_set()

        threads = [
            threading.Thread(target=self.follow, args=(d, ended, stopping), name=f"follow-{n}", daemon=True)
            for n, d in self.drivers.items()
        ]
        for thread in threads:
            thread.start()
        return threads

    def follow(self, driver: Driver, ended: Callable[[], bool], stopping: threading.Event) -> None:
        while not ended():
            try:
                driver.follow(partial(self.report, driver), ended)
            except WinslowError as error:
                log.warning("following %s: %s", driver.name, error)
            except Exception:
                log.exception("following %s failed; starting again", driver.name)
            if not ended():
                stopping.wait(1.0)

    def report(self, driver: Driver, seen: Observation) -> None:
        """A report that cannot be stored now is left to the sweep. What was submitted after its stage had ended is
        forgotten here, since nobody else will ever speak of it again."""
        facts = facts_of(seen)
        if not facts:
            return
        with about(project=seen.ref.project, attempt=str(seen.ref)):
            try:
                project = self.send(seen.ref.project, facts)
                if seen.phase == "ended" and is_over(project, seen.ref.stage):
                    driver.forget(seen.ref)
            except Unavailable as error:
                log.warning("a report of %s waits for the sweep: %s", seen.ref, error)


def is_over(project: Project | None, stage: int) -> bool:
    """Ended, with its record on the share; or the project is gone."""
    return project is None or (stage not in project.stages and stage not in project.sealing)
