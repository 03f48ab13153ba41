"""The one picture that a process has of Nomad: a View, kept current by whoever follows the stream, else by lists,
which are made only when somebody asks and the last one is too old.

Safe to share between threads. A process that follows asks Nomad nothing but a few lists every few minutes, however
many attempts there are; one that does not makes at most two lists each time. Must never report anything."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from winslow_nomad.core.errors import DriverUnavailable, WinslowError
from winslow_nomad.driver.nomad.client import Client, Listing
from winslow_nomad.driver.nomad.view import Attempt, Document, View

log = logging.getLogger(__name__)

ATTEMPTS_AGE = 2.0  # seconds that a list of attempts is good for, where nobody follows
NODES_AGE = 10.0  # the same for nodes and what is in use on them, and for the line before what is just submitted
SETTLED = 0.3  # seconds after which a list has all that an event has told before it
LOOKED_UP = 5.0  # seconds that "there is no such job" is good for
REFUSED = 1.0  # seconds in which a failure is told again without asking
FEW = 20  # jobs asked for one by one; if more, all allocations are listed

ALIVE = 'ClientStatus != "complete" and ClientStatus != "failed" and ClientStatus != "lost"'
UNSETTLED = 'Status != "complete" and Status != "canceled"'


class Picture:
    def __init__(self, client: Client, prefix: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client, self.prefix, self._monotonic = client, prefix, monotonic
        self._view = View(client.access.namespace)
        self._lock = threading.RLock()  # of the view; held for moments
        self._asking = threading.Lock()  # whoever lists; the others wait and find it done
        self._followed = False
        self._own = 0  # index of the newest change made by this process
        self._attempts_at = self._nodes_at = self._allocations_at = float("-inf")
        self._absent: dict[str, float] = {}
        self._failed: tuple[float, WinslowError] | None = None
        self.version = 0  # grows whenever something may have changed

    # --- what is asked

    def attempt(self, job_id: str, *, age: float = ATTEMPTS_AGE) -> Attempt:
        """What is known of it; a job that is not in the picture is asked for, so that "none" is Nomad's own word.
        `age`: seconds that what is known of others may be old. Raises DriverUnavailable."""
        self._current(age)
        with self._lock:
            found = self._view.attempt(job_id)
            absent_since = self._absent.get(job_id)
        now = self._monotonic()
        if found.known or (absent_since is not None and now - absent_since < LOOKED_UP):
            return found
        return self._look_up(job_id)

    def known(self, job_id: str) -> Attempt:
        """Without asking anybody."""
        with self._lock:
            return self._view.attempt(job_id)

    def unplaced(self) -> list[Document]:
        """Jobs that wait for a place, as far as is known without asking."""
        with self._lock:
            return [found for job_id, found in self._view.jobs() if not self._view.attempt(job_id).allocations]

    def job_ids(self) -> set[str]:
        with self._lock:
            return self._view.job_ids()

    def nodes(self) -> tuple[list[Document], list[Document]]:
        """Whole documents of nodes, and the allocations that use them. Raises DriverUnavailable."""
        if not self._followed and self._older(self._nodes_at, NODES_AGE):
            with self._asking:
                if self._older(self._nodes_at, NODES_AGE):
                    self._guarded(self._list_nodes)
        with self._lock:
            return self._view.nodes(), self._view.allocations()

    # --- what comes in

    def changed_here(self) -> None:
        """This process has changed something at Nomad: an older list does not show it."""
        self._attempts_at = float("-inf")

    def look_at_node(self, node_id: str) -> None:
        """This process has changed it: whoever looks next sees it. Raises DriverUnavailable."""
        document = self._client.node(node_id)
        if document is not None:
            with self._lock:
                self._view.apply_node(document)
                self.version += 1

    def expect(self, job_id: str) -> None:
        """It is about to be made, or was: "there is none" holds no longer."""
        with self._lock:
            self._absent.pop(job_id, None)

    def made(self, job: Document, index: int) -> None:
        """This process has just made it; others learn of it by an event or a list."""
        indexes = {"CreateIndex": index, "ModifyIndex": index, "JobModifyIndex": index}
        kept = {key: value for key, value in job.items() if key != "TaskGroups"}
        with self._lock:
            self.version += 1
            self._view.apply_job({**kept, **indexes, "Status": "pending", "Stop": False})
            self._own = max(self._own, index)

    def refresh(self) -> set[str]:
        """List everything; the jobs whose picture has changed. Raises DriverUnavailable."""
        with self._asking:
            return self._guarded(self._list_attempts) | self._guarded(self._list_nodes)

    def apply(self, events: Iterable[Document]) -> set[str]:
        with self._lock:
            self.version += 1
            return {job for event in events if (job := self._view.apply(event)) is not None}

    def followed(self, now: bool) -> None:
        """Whether events keep it current from here on."""
        self._followed = now
        if not now:
            self._attempts_at = self._nodes_at = float("-inf")

    @property
    def reach(self) -> int:
        """The highest index of a change of a job that is known."""
        with self._lock:
            return self._view.reach[0]

    @property
    def is_followed(self) -> bool:
        return self._followed

    # --- lists

    def _current(self, age: float) -> None:
        if self._followed or not self._older(self._attempts_at, age):
            return
        with self._asking:
            if not self._followed and self._older(self._attempts_at, age):
                self._guarded(self._list_attempts)

    def _older(self, at: float, age: float) -> bool:
        return self._monotonic() - at >= age

    def _guarded(self, lists: Callable[[], set[str]]) -> set[str]:
        """A failure is remembered for a moment: with a hundred projects, not each of them waits for a timeout."""
        now = self._monotonic()
        if self._failed is not None and now - self._failed[0] < REFUSED:
            raise self._failed[1]
        try:
            found = lists()
        except DriverUnavailable as error:
            self._failed = (self._monotonic(), error)
            raise
        self._failed = None
        return found

    def _list_attempts(self) -> set[str]:
        begun = self._monotonic()
        jobs, allocations, put_back = self._listed()
        evaluations = self._client.evaluations(UNSETTLED)
        with self._lock:
            if put_back:
                log.warning("Nomad was put back to an earlier state (index %d): all is read anew", jobs.index)
                self._view = View(self._client.access.namespace)
                self._own = 0
            changed = self._view.apply_jobs(jobs.items, jobs.index)
            changed |= self._view.apply_allocations(allocations.items, allocations.index)
            changed |= self._view.apply_evaluations(evaluations.items)
            unexplained = self._view.unexplained()
            self._absent.clear()
        changed |= self._explain(unexplained)
        self.version += bool(changed)
        self._attempts_at = begun if jobs.index >= self._own else float("-inf")
        self._allocations_at = begun
        return changed

    def _listed(self) -> tuple[Listing, Listing, bool]:
        """Jobs, living allocations, and whether the server knows less than it did: one that was restored from a
        snapshot. Jobs first: an allocation that is made in between belongs to a job that is known. An event may come
        an instant before the lists have it, so what they lack is looked for twice."""
        with self._lock:
            reach = self._view.reach
        for last in (False, True):
            jobs = self._client.jobs(self.prefix, only_wanted=True)
            allocations = self._client.allocations(filtered=ALIVE)
            indexes = jobs.index, allocations.index
            behind = any(index < known for index, known in zip(indexes, reach, strict=True))
            if last or not behind or not all(indexes):  # 0: something on the way has kept the index to itself
                break
            time.sleep(SETTLED)
        return jobs, allocations, behind and all(indexes)

    def _explain(self, jobs: list[str]) -> set[str]:
        """Fetch what became of allocations that live no more."""
        if len(jobs) <= FEW:
            told = {job: self._client.allocations_of(job).items for job in jobs}
        else:
            told = {job: [] for job in jobs}
            for allocation in self._client.allocations().items:
                if allocation["JobID"] in told:
                    told[allocation["JobID"]].append(allocation)
        with self._lock:
            return {job for job, found in told.items() if self._view.apply_allocations_of(job, found)}

    def _list_nodes(self) -> set[str]:
        begun = self._monotonic()
        nodes = self._client.nodes()
        if self._older(self._allocations_at, NODES_AGE / 2):
            allocations = self._client.allocations(filtered=ALIVE)
            with self._lock:
                changed = self._view.apply_allocations(allocations.items, allocations.index)
            self._allocations_at = begun
        else:
            changed = set()
        with self._lock:
            wanted = self._view.apply_nodes(nodes.items, nodes.index)
        for node_id in wanted:
            document = self._client.node(node_id)
            if document is not None:
                with self._lock:
                    self._view.apply_node(document)
        self._nodes_at = begun
        self.version += 1
        return changed

    def _look_up(self, job_id: str) -> Attempt:
        asked_at = self._monotonic()
        job = self._client.job(job_id)
        allocations = self._client.allocations_of(job_id).items
        with self._lock:
            self.version += 1
            if job is not None:
                self._view.apply_job(job)
            self._view.apply_allocations_of(job_id, allocations)
            found = self._view.attempt(job_id)
            if not found.known:
                self._absent[job_id] = asked_at
            return found
