"""The picture of Nomad that events and lists make: the same whatever got lost, came twice, or in another order."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winslow_nomad.driver.nomad.view import Attempt, View

Document = dict[str, Any]
LIVE = ("pending", "running", "unknown")
JOBS = [f"winslow-p-000{n}-1-abcdef" for n in range(3)]


@dataclass
class History:
    """What a server knows, and every event it ever sent."""

    index: int = 0
    jobs: dict[str, Document] = field(default_factory=dict)
    allocations: dict[str, Document] = field(default_factory=dict)
    events: list[Document] = field(default_factory=list)

    def happens(self, what: str, job_id: str, random: Random) -> None:
        mine = [a for a in self.allocations.values() if a["JobID"] == job_id]
        live = [a for a in mine if a["ClientStatus"] in LIVE]
        self.index += 1
        match what:
            case "register" if job_id not in self.jobs and not self.was_here(job_id):
                self.job({"ID": job_id, "Namespace": "winslow", "Stop": False, "CreateIndex": self.index})
            case "stop" if job_id in self.jobs:
                self.job(self.jobs[job_id] | {"Stop": True})
            case "purge" if job_id in self.jobs:
                gone = self.jobs.pop(job_id) | {"ModifyIndex": self.index}
                self.allocations = {k: a for k, a in self.allocations.items() if a["JobID"] != job_id}
                self.tell("Job", {"Job": gone, "Deleted": True})
            case "place" if job_id in self.jobs:
                made = {"ID": f"a{self.index}", "JobID": job_id, "ClientStatus": "pending", "CreateIndex": self.index}
                self.allocation(made)
            case "change" if live:
                self.allocation(random.choice(live) | {"ClientStatus": random.choice(LIVE)})
            case "end" if live:
                self.allocation(random.choice(live) | {"ClientStatus": random.choice(("complete", "failed"))})

    def was_here(self, job_id: str) -> bool:
        """Ids are never used again."""
        return any(e["Topic"] == "Job" and e["Payload"]["Job"]["ID"] == job_id for e in self.events)

    def job(self, job: Document) -> None:
        self.jobs[job["ID"]] = job = job | {"ModifyIndex": self.index}
        self.tell("Job", {"Job": job})

    def allocation(self, allocation: Document) -> None:
        self.allocations[allocation["ID"]] = made = allocation | {"ModifyIndex": self.index, "Namespace": "winslow"}
        self.tell("Allocation", {"Allocation": made})
        self.job(self.jobs[allocation["JobID"]])  # its status changes along with it

    def tell(self, topic: str, payload: Document) -> None:
        self.events.append({"Topic": topic, "Index": self.index, "Payload": payload})

    def list_into(self, view: View) -> None:
        """As the driver does it: wanted jobs, living allocations, and one by one what is missing."""
        jobs = [j | self.summary(j["ID"]) for j in self.jobs.values() if not j["Stop"]]
        view.apply_jobs(jobs, self.index)
        view.apply_allocations([a for a in self.allocations.values() if a["ClientStatus"] in LIVE], self.index)
        for job_id in view.unexplained():
            view.apply_allocations_of(job_id, [a for a in self.allocations.values() if a["JobID"] == job_id])

    def summary(self, job_id: str) -> Document:
        count = sum(a["JobID"] == job_id for a in self.allocations.values())
        return {"JobSummary": {"Summary": {"attempt": {"Queued": 1, "Running": count}}}}

    def agrees_with(self, view: View) -> None:
        for job_id, job in self.jobs.items():
            if job["Stop"]:
                continue
            found = view.attempt(job_id)
            assert found.job is not None and found.job["ModifyIndex"] == job["ModifyIndex"]
            mine = {(k, a["ModifyIndex"]) for k, a in self.allocations.items() if a["JobID"] == job_id}
            assert {(a["ID"], a["ModifyIndex"]) for a in found.allocations} == mine
        for job_id in JOBS:
            if job_id not in self.jobs:
                assert view.attempt(job_id) == Attempt(), "purged, or never there"


STEPS = st.lists(
    st.tuples(st.sampled_from(["register", "place", "change", "end", "stop", "purge", "list"]), st.sampled_from(JOBS)),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.integers(0, 2**32))
def test_once_a_list_was_read_no_loss_repetition_or_order_of_events_changes_the_picture(
    steps: list[tuple[str, str]], seed: int
) -> None:
    """Between two lists any event may be lost, as in a gap; what follows the last one arrives, in any order."""
    random, history, view = Random(seed), History(), View("winslow")
    since = 0
    for what, job_id in [*steps, ("list", "")]:
        if what == "list":
            for event in random.choices(history.events, k=len(history.events)) if history.events else []:
                view.apply(event)
            history.list_into(view)
            since = len(history.events)
        else:
            history.happens(what, job_id, random)
    for what, job_id in random.sample(steps, k=len(steps)):
        history.happens(what, job_id, random)
    late = random.choices(history.events[:since], k=min(since, 20)) if since else []
    arriving = [*history.events[since:], *history.events[since:], *late]
    random.shuffle(arriving)
    for event in arriving:
        view.apply(event)
    history.agrees_with(view)
    history.list_into(view)
    history.agrees_with(view)


@pytest.fixture
def view() -> View:
    return View("winslow")


def job(index: int, **changes: Any) -> Document:
    return {"ID": JOBS[0], "Namespace": "winslow", "Stop": False, "ModifyIndex": index} | changes


def allocation(index: int, **changes: Any) -> Document:
    known = {"ID": "a", "JobID": JOBS[0], "Namespace": "winslow", "ClientStatus": "running", "ModifyIndex": index}
    return known | changes


def event(topic: str, document: Document, index: int, **more: Any) -> Document:
    return {"Topic": topic, "Index": index, "Payload": {topic: document, **more}}


def test_an_event_tells_whose_attempt_it_changed_and_only_then(view: View) -> None:
    assert view.apply(event("Job", job(5), 5)) == JOBS[0]
    assert view.apply(event("Job", job(5), 5)) is None
    assert view.apply(event("Allocation", allocation(6), 6)) == JOBS[0]
    assert view.apply(event("Allocation", allocation(4), 4)) is None
    assert view.apply(event("Evaluation", {"ID": "e", "JobID": JOBS[0], "Status": "blocked", "ModifyIndex": 7}, 7))
    assert view.apply(event("Node", {"ID": "n", "ModifyIndex": 8}, 8)) is None


def test_what_belongs_to_others_or_says_nothing_is_nobodys(view: View) -> None:
    assert view.apply(event("Job", job(5, Namespace="theirs"), 5)) is None
    assert view.apply(event("Allocation", allocation(5, Namespace="theirs"), 5)) is None
    for odd in ({}, {"Topic": "Job"}, {"Topic": "Allocation", "Payload": None}, {"Topic": "Service", "Payload": {}}):
        assert view.apply(odd) is None
    assert view.job_ids() == set()


def test_the_oldest_allocation_comes_first(view: View) -> None:
    for name, created in (("b", 3), ("c", 9), ("a", 7)):
        view.apply(event("Allocation", allocation(10, ID=name, CreateIndex=created), 10))
    assert [a["ID"] for a in view.attempt(JOBS[0]).allocations] == ["b", "a", "c"]


def test_what_weighs_and_nobody_reads_is_not_kept(view: View) -> None:
    view.apply(event("Allocation", allocation(5, Job={"x": 1}, TaskResources={}, AllocatedResources={"Tasks": {}}), 5))
    view.apply(event("Job", job(5, TaskGroups=[{}], Meta={"a": "b"}), 5))
    found = view.attempt(JOBS[0])
    assert found.job is not None and ("TaskGroups" in found.job, found.job["Meta"]) == (False, {"a": "b"})
    assert set(found.allocations[0]) >= {"AllocatedResources"} and "Job" not in found.allocations[0]


def test_a_purged_job_does_not_come_back_by_an_event_that_was_late(view: View) -> None:
    view.apply(event("Job", job(5), 5))
    view.apply(event("Job", job(9), 9, Deleted=True))
    assert view.apply(event("Job", job(7), 7)) is None
    assert not view.attempt(JOBS[0]).known


def test_other_namespaces_allocations_use_nodes_and_are_nobodys_attempt(view: View) -> None:
    view.apply_allocations([allocation(5), allocation(5, ID="b", Namespace="theirs", JobID="x")], 6)
    assert {a["ID"] for a in view.allocations()} == {"a", "b"}
    assert view.job_ids() == {JOBS[0]}


def test_nodes_are_asked_for_whole_when_they_have_changed(view: View) -> None:
    stubs = [{"ID": "n1", "ModifyIndex": 5}, {"ID": "n2", "ModifyIndex": 5}]
    assert view.apply_nodes(stubs, 6) == ["n1", "n2"]
    view.apply_node({"ID": "n1", "ModifyIndex": 5, "Meta": {}})
    view.apply_node({"ID": "n2", "ModifyIndex": 5, "Meta": {}})
    assert view.apply_nodes(stubs, 7) == []
    view.apply(event("Node", {"ID": "n1", "ModifyIndex": 8, "Status": "down"}, 8))
    assert view.apply_nodes([stubs[0] | {"ModifyIndex": 8}], 9) == []
    assert [(n["ID"], n.get("Status")) for n in view.nodes()] == [("n1", "down")]


def test_an_evaluation_that_explains_stays_until_the_job_goes(view: View) -> None:
    failed = {"ID": "e1", "JobID": JOBS[0], "Status": "complete", "ModifyIndex": 5, "FailedTGAllocs": {"attempt": {}}}
    view.apply_jobs([job(4)], 4)
    view.apply(event("Evaluation", failed, 5))
    assert view.apply(event("Evaluation", {"JobID": JOBS[0], "Status": "complete", "ModifyIndex": 6}, 6)) is None
    view.apply_evaluations([])
    assert view.attempt(JOBS[0]).evaluation == failed
    view.apply_jobs([], 7)
    view.apply_evaluations([])
    assert view.attempt(JOBS[0]).evaluation is None


def test_a_list_that_is_no_newer_than_an_event_still_tells_how_many_allocations_there_were(view: View) -> None:
    view.apply(event("Job", job(5), 5))
    summary = {"JobSummary": {"Summary": {"attempt": {"Queued": 0, "Complete": 1}}}}
    view.apply_jobs([job(5) | summary], 6)
    view.apply_allocations([], 6)
    assert view.unexplained() == [JOBS[0]]


def test_what_an_allocation_uses_stays_known_though_a_shorter_document_is_newer(view: View) -> None:
    view.apply(event("Allocation", allocation(5, AllocatedResources={"Tasks": {}}), 5))
    view.apply_allocations_of(JOBS[0], [allocation(6, ClientStatus="unknown")])
    (found,) = view.attempt(JOBS[0]).allocations
    assert (found["ClientStatus"], found["AllocatedResources"]) == ("unknown", {"Tasks": {}})
