"""Recorded cases of a real Nomad, played to the judge as the follower would: document by document.

python -m tests.driver.nomad.replay         writes what the judge says of each to recordings/expected.txt"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from winslow_nomad.driver.claim import Claim
from winslow_nomad.driver.nomad.outcome import Verdict, judge, task_of

FOLDER = Path(__file__).parent / "recordings"
EXPECTED = FOLDER / "expected.txt"
Document = dict[str, Any]
Event = tuple[str, str, Document, bool]


@cache
def group(name: str) -> dict[str, Any]:
    return json.loads(lzma.decompress((FOLDER / f"{name}.json.xz").read_bytes()))


def groups() -> list[str]:
    return sorted(p.name.removesuffix(".json.xz") for p in FOLDER.glob("*.json.xz"))


def cases() -> list[str]:
    return [f"{name}/{case}" for name in groups() for case in group(name) if case]


def case(name: str) -> dict[str, Any]:
    of, _, own = name.partition("/")
    return group(of)[own]


def events(name: str) -> Iterator[Event]:
    for line in case(name)["events"]:
        yield from (tuple(event) for event in line)


def job_ids(name: str) -> list[str]:
    found = case(name)
    listed = [m["job"]["ID"] for m in found["moments"].values() if m["job"]]
    return sorted({*listed, *(e[2]["ID"] for e in events(name) if e[0] == "Job")})


@dataclass
class World:
    """What is known of one job: of each document the newest."""

    job_id: str
    job: Document | None = None
    allocations: dict[str, Document] = field(default_factory=dict)
    claim: Claim | None = None

    def apply(self, topic: str, document: Document, deleted: bool = False) -> None:
        if topic == "Job" and document["ID"] == self.job_id:
            if deleted:
                self.job = None
            elif self.job is None or document["ModifyIndex"] >= self.job["ModifyIndex"]:
                self.job = document
        elif topic == "Allocation" and document["JobID"] == self.job_id:
            known = self.allocations.get(document["ID"])
            if known is None or document["ModifyIndex"] >= known["ModifyIndex"]:
                self.allocations[document["ID"]] = document

    def runner_starts(self) -> None:
        """The first process to start makes the claim."""
        started = [a for a in self.allocations.values() if task_of(a).get("StartedAt")]
        if self.claim is None and started:
            first = min(started, key=lambda a: task_of(a)["StartedAt"])
            self.claim = Claim(kind="runner", owner=first["ID"])

    def verdict(self) -> Verdict:
        return judge(self.job, list(self.allocations.values()), self.claim)


def of_moment(found: Document, job_id: str) -> World:
    """As a sweep lists it."""
    world = World(job_id)
    if found["job"] is not None:
        world.apply("Job", found["job"])
    for allocation in found["allocations"]:
        world.apply("Allocation", allocation)
    return world


def stream(name: str, job_id: str) -> Iterator[World]:
    """The world after each line of the stream; the same object each time."""
    world = World(job_id)
    for line in case(name)["events"]:
        for topic, _, document, deleted in line:
            world.apply(topic, document, deleted)
        world.runner_starts()
        yield world


def first_claim(name: str, job_id: str) -> Claim | None:
    """Made by whichever process started first, in the whole course of the case."""
    claim = None
    for world in stream(name, job_id):
        claim = world.claim
    return claim


def told(verdict: Verdict) -> str:
    """In one line, as it stands in `expected.txt`."""
    cause = verdict.cause.value if verdict.phase == "over" else ""
    parts = [verdict.phase, verdict.node, cause, verdict.message or verdict.text]
    others = f"; {len(verdict.others)} other" if verdict.others else ""
    return " | ".join(p for p in parts if p) + others


def changes(verdicts: Iterable[Verdict]) -> list[str]:
    lines: list[str] = []
    for verdict in verdicts:
        line = told(verdict)
        if not lines or lines[-1] != line:
            lines.append(line)
    return lines


def answers(name: str) -> list[str]:
    """All that is said of a case: as it went, and what is listed at each moment, if the claim is not seen, too."""
    lines = [name]
    for job_id in job_ids(name):
        lines.append(f"  {job_id}")
        lines += [f"    {line}" for line in changes(world.verdict() for world in stream(name, job_id))]
        claim = first_claim(name, job_id)
        for moment, found in sorted(case(name)["moments"].items()):
            world = of_moment(found, job_id)
            bare = told(world.verdict())
            world.claim = claim
            lines.append(f"    [{moment}] {told(world.verdict())}")
            if bare != told(world.verdict()):
                lines.append(f"    [{moment}, no claim seen] {bare}")
    return lines


def main() -> None:
    """Writes what is expected anew: to be read, line by line, before it is committed."""
    EXPECTED.write_text("".join(f"{line}\n" for name in cases() for line in answers(name)))


if __name__ == "__main__":
    main()
