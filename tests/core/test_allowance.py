"""What persons and projects may have in use at the same time: what goes beyond it waits and says so, others pass it,
and what alone is too much never starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from winslow_nomad.core.admit import Admission, Policy, Waiting, admit, never
from winslow_nomad.core.allowance import FREE, Allowance, WrongEntries, of_person, parse, parse_allowance
from winslow_nomad.core.inventory import GpuGroup, Inventory, Node
from winslow_nomad.core.pipeline import GIB, Gpu, Resources

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NODE = Node(name="alder", cpu=64, memory=256 * GIB, gpus=(GpuGroup(model="RTX 4080", memory=16 * GIB, count=8),))
NODES = Inventory(driver="d", nodes=(NODE,), seen=NOW)


def stage(number: int, actor: str = "ann", project: str = "p", gpus: int = 0, **fields: Any) -> Waiting:
    gpu = Gpu(count=gpus) if gpus else None
    resources = Resources(cpu=fields.pop("cpu", 1), memory=fields.pop("memory", GIB), gpu=gpu)
    queued = NOW + timedelta(seconds=number)
    given = {"project": project, "stage": number, "actor": actor, "resources": resources}
    return Waiting(**given, queued=queued, order=number, **fields)


def let_in(waiting: list[Waiting], standing: list[Waiting] = [], **limits: Allowance) -> Admission:  # noqa: B006
    return admit(waiting, NODES, [], Policy(limits=limits), standing)


def numbers(found: Admission) -> list[int]:
    return [w.stage for w in found.admitted]


def test_what_is_beyond_what_a_person_may_use_waits_and_says_so() -> None:
    found = let_in([stage(3, gpus=1), stage(4, gpus=1)], [stage(1, gpus=1)], ann=Allowance(gpus=2))
    assert numbers(found) == [3]
    assert found.held["p", 4].kind == "limit"
    assert found.held["p", 4].text == "waits: ann may use 2 GPUs at a time, and 2 GPUs are in use"


def test_others_pass_who_has_used_up_what_is_allowed() -> None:
    line = [stage(1, priority=100, gpus=1), stage(2, "bob", "q", gpus=1)]
    assert numbers(let_in(line, [stage(9, gpus=1)], ann=Allowance(gpus=1))) == [2]


def test_a_stage_that_needs_none_of_what_is_used_up_starts() -> None:
    found = let_in([stage(2), stage(3, gpus=1)], [stage(1, gpus=1)], ann=Allowance(gpus=1))
    assert numbers(found) == [2]


@pytest.mark.parametrize(
    ("allowance", "fits"),
    [
        (Allowance(stages=2), 1),
        (Allowance(cpu=5), 2),
        (Allowance(memory=2 * GIB), 1),
        (Allowance(cpu=1.5, stages=40), 0),
        (FREE, 4),
    ],
)
def test_cores_memory_and_the_number_of_stages_are_limited_as_well(allowance: Allowance, fits: int) -> None:
    line = [stage(n, cpu=1.5) for n in (2, 3, 4, 5)]
    assert len(let_in(line, [stage(1, cpu=1.5)], ann=allowance).admitted) == fits


def test_a_project_has_a_limit_of_its_own_whoever_starts_its_stages() -> None:
    mine = Allowance(stages=1)
    line = [stage(2, "bob", limit=mine), stage(3, "ann", "q"), stage(4, "ann", "q")]
    found = let_in(line, [stage(1, "ann", limit=mine)])
    assert numbers(found) == [3, 4]
    assert found.held["p", 2].text == "waits: this project may use 1 stage at a time, and 1 stage is in use"


def test_what_alone_is_more_than_is_allowed_cannot_start_and_names_who_may_how_much() -> None:
    limits = {"ann": Allowance(gpus=2)}
    found = let_in([stage(1, gpus=3), stage(2, "bob", gpus=3)], **limits)
    assert numbers(found) == [2]
    assert found.held["p", 1].kind == "impossible"
    assert found.held["p", 1].text == "cannot start: it needs 3 GPUs, and ann may use 2 GPUs at a time"
    assert never(stage(1, gpus=3), NODES, limits) == "it needs 3 GPUs, and ann may use 2 GPUs at a time"
    assert never(stage(1, gpus=3), NODES, {}) is None
    none = let_in([stage(1, gpus=1)], ann=Allowance(gpus=0))
    assert none.held["p", 1].text == "cannot start: it needs 1 GPU, and ann may use none"


def test_nobody_ever_has_more_than_allowed_however_the_line_is_made() -> None:
    limits = {"ann": Allowance(gpus=3, cpu=9), "bob": Allowance(stages=2)}
    line = [stage(n, "ann" if n % 3 else "bob", f"p{n % 4}", gpus=n % 3, cpu=1 + n % 5) for n in range(60)]
    used = let_in(line, **limits).admitted
    assert sum(w.resources.gpu.count for w in used if w.actor == "ann" and w.resources.gpu) <= 3
    assert sum(w.resources.cpu for w in used if w.actor == "ann") <= 9
    assert 0 < sum(w.actor == "bob" for w in used) <= 2


def test_the_setting_is_read_as_people_write_it() -> None:
    found = parse(" @everyone gpus=4 cpu=32.5 ;@students gpus=0; ann memory=1.5TiB stages=20; ")
    assert found["@everyone"] == Allowance(gpus=4, cpu=32.5) and found["@students"] == Allowance(gpus=0)
    assert found["ann"] == Allowance(memory=1536 * GIB, stages=20)
    assert parse("") == {} and parse_allowance(["gpus=1"]) == Allowance(gpus=1)


@pytest.mark.parametrize(
    "text",
    ["ann", "ann gpus", "ann gpus=two", "ann gpus=-1", "ann gpus=1 gpus=2", "ann gpu=1", "ann memory=4", "Ann gpus=1",
     "ann gpus=1.5", "ann gpus=1; ann cpu=2", "ann stages=0", "ann cpu=1e9", "ann memory=4GB", "gpus=1", "@ gpus=1"],
)  # fmt: skip
def test_a_setting_that_cannot_be_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_every_wrong_entry_is_named_with_what_is_the_matter() -> None:
    with pytest.raises(WrongEntries) as refused:
        parse("@everyone gpus=4;; @students gpu=1; Ann gpus=1; bob; eve stages=0 ;; @everyone cpu=1; cy memory=64")
    assert refused.value.entries == {
        1: "'gpu=1' is no amount: write stages, cpu, memory or gpus, = and how much",
        2: "'Ann' is nobody: write ann for a person, @lab for a group, @everyone for all",
        3: "it does not say how much: write stages=10, cpu=8, memory=64GiB or gpus=2",
        4: "stages=0 cannot be: stages takes a whole number from 1 to 1000000",
        5: "@everyone has an entry before this one; one is enough",
        6: "memory=64 cannot be: memory takes a number with B, KiB, MiB, GiB or TiB behind it",
    }
    assert "entry 2: 'gpu=1'" in str(refused.value) and "entry 7: memory=64" in str(refused.value)


def test_the_nearest_limit_of_a_person_counts_and_of_groups_the_most_generous() -> None:
    limits = parse("@everyone gpus=1; @lab gpus=4 cpu=8; @students gpus=2; ann gpus=9")
    assert of_person(limits, "ann", ["lab"]) == Allowance(gpus=9)
    assert of_person(limits, "bob", ["lab", "students"]) == Allowance(gpus=4)
    assert of_person(limits, "bob", ["students", "choir"]) == Allowance(gpus=2)
    assert of_person(limits, "bob", []) == Allowance(gpus=1)
    assert of_person(parse("ann gpus=1"), "bob", ["lab"]) == FREE
