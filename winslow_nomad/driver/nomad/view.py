"""What Nomad has said about the attempts' jobs, as a value that grows: events and lists go in, the newest word about
each object stays. Pure: no I/O, no clock.

Of each object the highest ModifyIndex counts, so that events may come twice, late and in any order. What a list
does not name is gone or of no interest any more; an event that is older than the list does not bring it back. That an
object is gone is never an outcome: it is only no longer here. Must never judge what a document means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Document = dict[str, Any]
Kind = Literal["Job", "Allocation", "Evaluation", "Node"]

_HEAVY = ("Job", "Resources", "SharedResources", "TaskResources", "Services", "Metrics")  # of an allocation in an event
GIVEN = "AllocatedResources"
LIVE = frozenset({"pending", "running", "unknown"})
_OVER = frozenset({"complete", "canceled", "cancelled"})  # evaluations that explain nothing any more


@dataclass(frozen=True)
class Attempt:
    """What is known of one job. `job` is None where only its allocations were seen; both empty: nothing is."""

    job: Document | None = None
    allocations: tuple[Document, ...] = ()
    evaluation: Document | None = None

    @property
    def known(self) -> bool:
        return self.job is not None or bool(self.allocations)


@dataclass
class _Table:
    """Objects of one kind. `listed`: the index of the newest list; nothing older is news about an object that is not
    here. `reach`: the highest that was ever seen; a server that was never put back has no lower one."""

    listed: int = 0
    reach: int = 0
    objects: dict[str, Document] = field(default_factory=dict)
    buried: dict[str, int] = field(default_factory=dict)  # purged after the newest list: the index of its end

    def put(self, key: str, found: Document, index: int) -> bool:
        """False: not news."""
        before = self.objects.get(key)
        if before is None and (index <= self.listed or index <= self.buried.get(key, -1)):
            return False
        if before is not None and modified(before) >= modified(found):
            return False
        self._keep(key, found, before)
        return True

    def bury(self, key: str, index: int) -> bool:
        if index <= self.listed:
            return False
        self.buried[key] = max(index, self.buried.get(key, 0))
        self.reach = max(self.reach, index)
        before = self.objects.get(key)
        if before is not None and modified(before) > index:
            return False
        self.objects.pop(key, None)
        return True

    def replace(self, found: dict[str, Document], index: int) -> set[str]:
        """Take a whole list; the keys of what is new, changed, or gone. What changed after it stays as it is."""
        changed = set()
        for key, document in found.items():
            if self.put_listed(key, document):
                changed.add(key)
        for key in [k for k, o in self.objects.items() if k not in found and modified(o) <= index]:
            del self.objects[key]
            changed.add(key)
        self.listed = max(self.listed, index)
        self.reach = max(self.reach, index)
        self.buried = {k: i for k, i in self.buried.items() if i > index}
        return changed

    def put_listed(self, key: str, found: Document) -> bool:
        """False: not news; it may still say more than an event of the same moment did."""
        before = self.objects.get(key)
        if modified(found) <= self.buried.get(key, -1) or (before is not None and modified(before) > modified(found)):
            return False
        self._keep(key, found, before)
        return before is None or modified(before) < modified(found)

    def _keep(self, key: str, found: Document, before: Document | None) -> None:
        """What an allocation was given never changes, and not every document of it says so."""
        if before is not None and GIVEN in before and GIVEN not in found:
            found = {**found, GIVEN: before[GIVEN]}
        self.objects[key] = found
        self.reach = max(self.reach, modified(found))


class View:
    """Of the jobs of one namespace, their allocations and evaluations, and of all nodes. Not safe to share between
    threads by itself."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._jobs, self._allocations, self._nodes = _Table(), _Table(), _Table()
        self._evaluations: dict[str, Document] = {}  # of each job, the newest that explains something
        self._of_job: dict[str, set[str]] = {}  # job -> its allocations
        self._others: tuple[Document, ...] = ()  # allocations of other namespaces: they use nodes, too

    @property
    def reach(self) -> tuple[int, int]:
        """The highest index ever seen, of jobs and of allocations: lists that end before it are those of a server that
        was put back."""
        return self._jobs.reach, self._allocations.reach

    # --- what is asked

    def attempt(self, job_id: str) -> Attempt:
        """Its allocations from the oldest on."""
        found = (self._allocations.objects[key] for key in self._of_job.get(job_id, ()))
        return Attempt(
            job=self._jobs.objects.get(job_id),
            allocations=tuple(sorted(found, key=lambda a: (a.get("CreateIndex", 0), a["ID"]))),
            evaluation=self._evaluations.get(job_id),
        )

    def jobs(self) -> Iterator[tuple[str, Document]]:
        return iter(self._jobs.objects.items())

    def job_ids(self) -> set[str]:
        """Of every job, or allocation of one, that is here."""
        return {*self._jobs.objects, *self._of_job}

    def nodes(self) -> list[Document]:
        return list(self._nodes.objects.values())

    def node_index(self, node_id: str) -> int:
        """The ModifyIndex of what is known of a node; -1: nothing."""
        found = self._nodes.objects.get(node_id)
        return -1 if found is None else modified(found)

    def allocations(self) -> list[Document]:
        """Of all jobs, also of others' as far as lists have told."""
        return [*self._allocations.objects.values(), *self._others]

    def unexplained(self) -> list[str]:
        """Jobs that are wanted and had more allocations than are here: how those ended was not told, since lists
        name living ones only."""
        jobs = self._jobs.objects.items()
        return [job_id for job_id, job in jobs if _placed(job) > len(self._of_job.get(job_id, ()))]

    # --- what comes in

    def apply(self, event: Document) -> str | None:
        """Take one event of the stream; the job whose attempt it changed, if it did."""
        payload = event.get("Payload") or {}
        index = int(event.get("Index") or 0)
        match event.get("Topic"):
            case "Job":
                return self._job(payload.get("Job") or {}, index, deleted=bool(payload.get("Deleted")))
            case "Allocation":
                return self._allocation(payload.get("Allocation") or {}, index)
            case "Evaluation":
                return self._evaluation(payload.get("Evaluation") or {})
            case "Node":
                self._node(payload.get("Node") or {}, index)
        return None

    def apply_jobs(self, listed: Iterable[Document], index: int) -> set[str]:
        """A list of all jobs that are wanted; the jobs that it changed."""
        return self._jobs.replace({j["ID"]: j for j in listed}, index)

    def apply_allocations(self, listed: Iterable[Document], index: int) -> set[str]:
        """A list of all allocations that live; the jobs that it changed. An ended one stays as long as its job."""
        ours, others = {}, []
        for allocation in listed:
            if allocation.get("Namespace", self.namespace) == self.namespace:
                ours[allocation["ID"]] = light(allocation)
            else:
                others.append(light(allocation))
        self._others = tuple(others)
        table = self._allocations
        for key, known in table.objects.items():
            if key not in ours and known.get("ClientStatus") not in LIVE and known.get("JobID") in self._jobs.objects:
                ours[key] = known
        jobs_before = {key: known["JobID"] for key, known in table.objects.items()}
        changed = {jobs_before.get(key) or table.objects[key]["JobID"] for key in table.replace(ours, index)}
        self._of_job = {}
        for key, known in table.objects.items():
            self._of_job.setdefault(known["JobID"], set()).add(key)
        return changed

    def apply_allocations_of(self, job_id: str, listed: Iterable[Document]) -> bool:
        """All allocations of one job, ended or not. False: nothing new."""
        changed = False
        for allocation in listed:
            if self._allocations.put_listed(allocation["ID"], light(allocation)):
                self._of_job.setdefault(job_id, set()).add(allocation["ID"])
                changed = True
        return changed

    def apply_job(self, job: Document) -> None:
        """One job that was asked for by its id."""
        self._jobs.put_listed(job["ID"], job)

    def apply_evaluations(self, listed: Iterable[Document]) -> set[str]:
        """A list of all evaluations that wait or have failed."""
        newest: dict[str, Document] = {}
        for found in listed:
            before = newest.get(found["JobID"])
            if before is None or modified(before) < modified(found):
                newest[found["JobID"]] = found
        changed = {job for job, found in newest.items() if self._evaluations.get(job) != found}
        kept = {job: e for job, e in self._evaluations.items() if job in self._jobs.objects and job not in newest}
        self._evaluations = {**kept, **newest}
        return changed

    def apply_nodes(self, listed: Iterable[Document], index: int) -> list[str]:
        """A list of all nodes, which leaves their meta and attributes out; those whose whole document is wanted."""
        stubs = {n["ID"]: n for n in listed}
        table = self._nodes
        known = {i: o for i, o in table.objects.items() if i in stubs or modified(o) > index}
        table.objects = known
        table.listed = max(table.listed, index)
        return [i for i, stub in stubs.items() if self.node_index(i) < modified(stub)]

    def apply_node(self, node: Document) -> None:
        """The whole document of one node."""
        before = self._nodes.objects.get(node["ID"])
        if before is None or modified(before) <= modified(node):
            self._nodes.objects[node["ID"]] = node

    # --- each kind

    def _job(self, job: Document, index: int, *, deleted: bool) -> str | None:
        job_id = job.get("ID")
        if not job_id or job.get("Namespace", self.namespace) != self.namespace:
            return None
        if deleted:
            return job_id if self._purged(job_id, index) else None
        kept = {k: v for k, v in job.items() if k != "TaskGroups"}
        return job_id if self._jobs.put(job_id, kept, index) else None

    def _allocation(self, allocation: Document, index: int) -> str | None:
        key, job_id = allocation.get("ID"), allocation.get("JobID")
        if not key or not job_id or allocation.get("Namespace", self.namespace) != self.namespace:
            return None
        if index <= self._jobs.buried.get(job_id, -1) or not self._allocations.put(key, light(allocation), index):
            return None
        self._of_job.setdefault(job_id, set()).add(key)
        return str(job_id)

    def _purged(self, job_id: str, index: int) -> bool:
        """Its allocations go with it, and no event says so."""
        if not self._jobs.bury(job_id, index):
            return False
        for key in self._of_job.pop(job_id, ()):
            self._allocations.objects.pop(key, None)
        return True

    def _evaluation(self, evaluation: Document) -> str | None:
        job_id = evaluation.get("JobID")
        if not job_id or evaluation.get("Namespace", self.namespace) != self.namespace:
            return None
        explains = evaluation.get("Status") not in _OVER or bool(evaluation.get("FailedTGAllocs"))
        before = self._evaluations.get(job_id)
        if not explains or (before is not None and modified(before) >= modified(evaluation)):
            return None
        self._evaluations[job_id] = evaluation
        return str(job_id)

    def _node(self, node: Document, index: int) -> None:
        if node.get("ID"):
            self._nodes.put(node["ID"], node, index)


def modified(document: Document) -> int:
    return int(document.get("ModifyIndex") or 0)


def light(allocation: Document) -> Document:
    """Without what nobody asks for: an event carries the resources three times."""
    return {k: v for k, v in allocation.items() if k not in _HEAVY}


def _placed(job: Document) -> int:
    """How many allocations the summary of a job in a list counts."""
    groups = ((job.get("JobSummary") or {}).get("Summary") or {}).values()
    return sum(count for group in groups for state, count in group.items() if state != "Queued")
