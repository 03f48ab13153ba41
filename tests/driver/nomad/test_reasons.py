"""Why an attempt waits: busy and impossible told apart, in sentences and in a line for each node."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.driver.nomad import replay
from tests.driver.nomad.jobs import SITE, spec
from tests.waiting import cost
from winslow_nomad.core.inventory import GpuGroup, Inventory, Node
from winslow_nomad.core.pipeline import GIB, Gpu, Placement, Resources
from winslow_nomad.core.stage import Reason
from winslow_nomad.core.verdicts import table
from winslow_nomad.driver.nomad.job import build
from winslow_nomad.driver.nomad.reasons import Unplaced, starting

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SMALL = GpuGroup(model="NVIDIA GeForce RTX 4070", memory=12 * GIB, count=2)
BIG = GpuGroup(model="NVIDIA RTX A6000", memory=48 * GIB, count=1)
ALDER = Node(name="alder", cpu=8, memory=32 * GIB, tags=frozenset({"fast-disk"}))
BIRCH = Node(name="birch", cpu=16, memory=64 * GIB, gpus=(SMALL, BIG))


def known(*nodes: Node) -> Inventory:
    return Inventory(driver="nomad", nodes=nodes, seen=NOW)


def lines(resources: Resources, placement: Placement, *nodes: Node) -> dict[str, tuple[bool, bool, str]]:
    return {v.node: (v.fits, v.free, v.text) for v in table(resources, placement, known(*nodes))}


ANYWHERE = Placement()


def job(number: int, resources: Resources, placement: Placement = ANYWHERE, priority: int = 50) -> dict[str, Any]:
    meta = build(spec(resources=resources, placement=placement), SITE, ())["Meta"]
    return {"ID": f"j{number}", "Meta": meta, "Priority": priority, "CreateIndex": number}


def waits(
    resources: Resources, placement: Placement, inventory: Inventory, metrics: Any = None, ahead: int = 0
) -> Reason:
    """Of the last of a line of those who ask for the same."""
    line = [job(number, resources, placement) for number in range(ahead + 1)]
    reason = Unplaced(line, inventory).reason(line[-1], metrics)
    assert reason is not None
    return reason


def test_busy_says_what_is_in_use_and_how_many_are_ahead() -> None:
    full = BIRCH.but(gpus=(SMALL.but(used=2), BIG.but(used=1)))
    reason = waits(Resources(gpu=Gpu()), Placement(), known(ALDER, full), ahead=2)
    assert (reason.kind, reason.ahead) == ("busy", 2)
    assert reason.text == "waits for a GPU: all 3 are in use, 2 stages ahead"


def test_what_nomad_calls_exhausted_for_ever_is_called_impossible() -> None:
    """Three cards of two models on one node: Nomad says "busy" and would say so for ever."""
    metrics = {"NodesEvaluated": 1, "NodesExhausted": 1, "DimensionExhausted": {"devices: no devices match request": 1}}
    reason = waits(Resources(gpu=Gpu(count=3)), Placement(), known(BIRCH), metrics)
    assert reason.kind == "impossible"
    assert reason.text == "cannot start: no node has 3 GPUs of one model: the most are 2 RTX 4070 on birch"


def test_the_line_is_of_those_who_ask_for_the_same_kind_by_priority_and_age() -> None:
    gpu, big, cpu = Resources(gpu=Gpu()), Resources(gpu=Gpu(memory=20 * GIB)), Resources(cpu=16)
    line = [job(1, gpu), job(2, gpu, priority=20), job(3, big), job(4, gpu, priority=80), job(5, cpu), job(6, gpu)]
    full = BIRCH.but(gpus=(SMALL.but(used=2), BIG.but(used=1)), cpu_used=1.0)
    unplaced = Unplaced(reversed(line), known(full))
    ahead = {j["ID"]: r.ahead for j in line if (r := unplaced.reason(j)) is not None}
    assert ahead == {"j4": 0, "j1": 1, "j6": 2, "j2": 3, "j3": 0, "j5": 0}


def test_a_job_that_was_placed_meanwhile_or_tells_nothing_has_nobody_ahead_or_no_reason() -> None:
    unplaced = Unplaced([job(1, Resources())], known(ALDER.but(cpu_used=8.0)))
    late = unplaced.reason(job(2, Resources()))
    assert late is not None and late.text == "waits for 1 core: 0 of 8 are free on alder"
    assert unplaced.reason({"ID": "other", "Meta": None}) is None


def test_to_explain_ten_times_as_many_that_wait_costs_little_more_than_ten_times_as_much() -> None:
    nodes = [BIRCH.but(name=f"n{i}", gpus=(SMALL.but(used=2), BIG.but(used=1))) for i in range(100)]
    line = [job(i, Resources(gpu=Gpu(memory=(i % 10) * GIB))) for i in range(1000)]

    def explained(count: int) -> list[Reason | None]:
        unplaced = Unplaced(line[:count], known(*nodes))
        return [unplaced.reason(j) for j in line[:count]]

    last = explained(1000)[-1]
    assert last is not None and last.ahead == 99
    assert cost(lambda: explained(1000)) < 40 * cost(lambda: explained(100))


def test_a_fitting_node_that_is_down_is_waited_for() -> None:
    down = BIRCH.but(ready=False, note="it is down")
    reason = waits(Resources(gpu=Gpu(memory=40 * GIB)), Placement(), known(ALDER, down))
    assert (reason.kind, reason.text) == ("busy", "waits for birch (it is down) to be ready")


def test_what_only_nomad_knows_is_told_where_the_inventory_sees_room() -> None:
    metrics = {"DimensionExhausted": {"disk": 1, "memory": 3}, "ConstraintFiltered": {"missing drivers": 2}}
    reason = waits(Resources(), Placement(), known(ALDER), metrics)
    assert reason.text == "waits for a place: Nomad says: disk (1 node), missing drivers (2 nodes)"
    quota = waits(Resources(), Placement(), known(ALDER), {"QuotaExhausted": ["memory exhausted (5 > 4)"]})
    assert quota.text == "waits for a place: Nomad says: quota: memory exhausted (5 > 4)"


def test_an_old_answer_of_nomad_is_not_told_where_the_inventory_knows_better() -> None:
    stale = {"DimensionExhausted": {"disk": 1}}
    full = ALDER.but(cpu_used=8.0)
    assert waits(Resources(), Placement(), known(full), stale).text == "waits for 1 core: 0 of 8 are free on alder"
    counted = {"DimensionExhausted": {"memory": 1, "devices: no devices match request": 1}}
    assert waits(Resources(), Placement(), known(ALDER), counted).text == "waits for its turn"


def test_the_failed_placements_of_a_real_nomad_are_told_or_left_to_the_inventory() -> None:
    said = {}
    for case in ("host-volume-missing", "impossible-constraint", "not-enough-memory"):
        evaluations = replay.case(f"9-outcome/{case}")["moments"]["final"]["evaluations"]
        metrics = next(e["FailedTGAllocs"]["g"] for e in evaluations if e["FailedTGAllocs"])
        said[case] = waits(Resources(), Placement(), known(ALDER), metrics).text
    assert said == {
        "host-volume-missing": "waits for a place: Nomad says: missing compatible host volumes (2 nodes)",
        "impossible-constraint": "waits for a place: Nomad says: ${meta.side} = zzz (2 nodes)",
        "not-enough-memory": "waits for its turn",
    }


@pytest.mark.parametrize(
    ("resources", "placement", "text"),
    [
        (Resources(), Placement(pool="big"), "it is in the pool default"),
        (Resources(), Placement(require=("hall-2", "fast-disk")), "it lacks hall-2, fast-disk"),
        (Resources(gpu=Gpu(model="H100*")), Placement(), "its GPUs are RTX 4070, RTX A6000"),
        (Resources(gpu=Gpu(memory=80 * GIB)), Placement(), "its GPUs have 48 GiB each"),
        (Resources(gpu=Gpu(memory=20 * GIB, model="RTX 4070")), Placement(), "its GPUs have 12 GiB each"),
        (Resources(gpu=Gpu(count=3)), Placement(), "it has 2 RTX 4070"),
        (Resources(memory=GIB, memory_max=65 * GIB), Placement(), "it has 64 GiB of memory"),
        (Resources(cpu=17), Placement(), "it has 16 cores"),
    ],
)
def test_what_a_node_can_never_give_is_said_of_it(resources: Resources, placement: Placement, text: str) -> None:
    assert lines(resources, placement, BIRCH) == {"birch": (False, False, text)}


@pytest.mark.parametrize(
    ("resources", "changes", "text"),
    [
        (Resources(gpu=Gpu(count=2)), {"gpus": (SMALL.but(used=1), BIG)}, "1 of 2 GPUs in use"),
        (Resources(gpu=Gpu(memory=20 * GIB)), {"gpus": (SMALL, BIG.but(used=1))}, "1 of 1 GPU in use"),
        (Resources(cpu=4), {"cpu_used": 13.5}, "2.5 of 16 cores free"),
        (Resources(cpu=4), {"cpu_used": 20.0}, "0 of 16 cores free"),
        (Resources(memory=8 * GIB), {"memory_used": 60 * GIB}, "4 GiB of 64 GiB of memory free"),
        (Resources(), {"ready": False, "note": "it is being drained"}, "it is being drained"),
    ],
)
def test_what_a_node_cannot_give_now_is_said_of_it(resources: Resources, changes: dict[str, Any], text: str) -> None:
    assert lines(resources, Placement(), BIRCH.but(**changes)) == {"birch": (True, False, text)}


def test_the_nodes_that_come_nearest_are_first() -> None:
    free, full, small = ALDER.but(name="z"), ALDER.but(name="b", cpu_used=8.0), ALDER.but(name="a", cpu=0.5)
    found = table(Resources(), Placement(), known(small, full, free))
    assert [(v.node, v.text) for v in found] == [
        ("z", "there is room"),
        ("b", "0 of 8 cores free"),
        ("a", "it has 0.5 cores"),
    ]


def test_cards_that_cannot_be_used_are_not_called_missing() -> None:
    unusable = ALDER.but(note="its GPUs cannot be used: docker has no runtime nvidia")
    assert lines(Resources(gpu=Gpu()), Placement(), unusable)["alder"][2].startswith("it has no GPU (its GPUs cannot")


def test_an_image_that_is_being_fetched_is_told_with_how_far_it_is() -> None:
    def placed(*events: dict[str, Any]) -> dict[str, Any]:
        return {"NodeName": "alder", "TaskStates": {"winslow": {"State": "pending", "Events": list(events)}}}

    fetching = {"Type": "Driver", "DisplayMessage": "Downloading image", "Details": {"image": "traffic:1.2"}}
    layers = {
        "Type": "Driver",
        "DisplayMessage": "Docker image pull progress: Pulled 3/12 (1GiB/4GiB) layers: 5 waiting/4 pulling",
        "Details": {"image": "traffic:1.2"},
    }
    assert starting(placed()).text == "is being started on alder"
    assert starting(placed({"Type": "Task Setup"})).text == "is being started on alder"
    assert starting(placed(fetching)).text == "the image traffic:1.2 is being fetched on alder"
    assert starting(placed(fetching, layers)).text.endswith("on alder, 3 of 12 layers are there")
    assert starting({"NodeName": "alder", "TaskStates": None}).text == "is being started on alder"
