"""Who may start next, and the sentences that say why the others wait."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waiting import cost
from winslow_nomad.core.admit import (
    Policy,
    Waiting,
    admit,
    class_of,
    fits,
    limit,
    model_matches,
    possible,
    suits,
    why_busy,
)
from winslow_nomad.core.inventory import GpuGroup, Inventory, Node
from winslow_nomad.core.pipeline import GIB, Gpu, Placement, Resources

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TI = GpuGroup(model="NVIDIA GeForce RTX 2080 Ti", memory=11 * GIB, count=2)
BIG = GpuGroup(model="NVIDIA RTX A5000", memory=24 * GIB, count=1)


def node(name: str = "alder", **more: object) -> Node:
    return Node(name=name, **({"cpu": 8.0, "memory": 32 * GIB, "gpus": (TI,)} | more))  # type: ignore[arg-type]


def inventory(*nodes: Node) -> Inventory:
    return Inventory(driver="test", nodes=nodes, seen=NOW)


def waiting(project: str = "p", stage: int = 1, age: float = 0, **more: object) -> Waiting:
    return Waiting(project=project, stage=stage, queued=NOW - timedelta(seconds=age), **more)  # type: ignore[arg-type]


def gpu(count: int = 1, memory: int = 0, model: str = "") -> Resources:
    return Resources(gpu=Gpu(count=count, memory=memory * GIB, model=model))


ANY = Placement()


@pytest.mark.parametrize(
    ("resources", "placement", "sentence"),
    [
        (gpu(memory=16), ANY, "no node has a GPU with 16 GiB: the largest is RTX 2080 Ti, 11 GiB, on alder"),
        (gpu(3), ANY, "no node has 3 GPUs of one model: the most are 2 RTX 2080 Ti on alder"),
        (gpu(model="H100*"), ANY, "no node has a GPU like H100*: there is RTX 2080 Ti (alder)"),
        (
            gpu(2, 8, "RTX*"),
            Placement(require=("fast",)),
            "no node has the tag fast: birch lacks fast",
        ),
        (Resources(cpu=64), ANY, "no node has 64 cores: the most is 8, on birch"),
        (Resources(memory=64 * GIB), ANY, "no node has 64 GiB of memory: the most is 32 GiB, on birch"),
        (Resources(memory=GIB, memory_max=64 * GIB), ANY,
         "no node has 64 GiB of memory: the most is 32 GiB, on birch"),
        (Resources(), Placement(pool="night"), "no node is in the pool night: the pools are default"),
        (Resources(cpu=8.5, gpu=Gpu()), ANY, "no node with a GPU has 8.5 cores: the most is 8, on alder"),
    ],
)  # fmt: skip
def test_what_can_never_start_is_told_with_the_constraint_and_the_nearest_node(
    resources: Resources, placement: Placement, sentence: str
) -> None:
    known = inventory(node(), node("birch", gpus=()))
    assert possible(resources, placement, known) == sentence


def test_gpus_of_one_request_come_from_one_group_of_one_node() -> None:
    mixed = inventory(node(gpus=(TI, BIG)), node("birch", gpus=(TI.but(count=1),)))
    three = possible(gpu(3), ANY, mixed)
    assert three == "no node has 3 GPUs of one model: the most are 2 RTX 2080 Ti on alder"
    assert possible(gpu(2), ANY, mixed) is None
    assert possible(gpu(2, memory=16), ANY, mixed) is not None


def test_a_node_that_is_not_ready_makes_it_busy_and_not_impossible() -> None:
    known = inventory(node(ready=False, note="drained by anna"))
    assert possible(gpu(), ANY, known) is None
    assert why_busy(gpu(), ANY, known).text == "waits for alder (drained by anna) to be ready"


def test_nothing_is_called_impossible_before_the_nodes_were_ever_seen() -> None:
    unseen = Inventory(driver="nomad")
    assert possible(gpu(), ANY, unseen) is None
    answer = admit([waiting()], unseen, [], Policy())
    assert not answer.admitted
    assert answer.held["p", 1].kind == "driver_away"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("RTX*", True), ("rtx 2080*", True), ("NVIDIA*", True), ("2080 Ti", True), ("A100*", False), ("", True)],
)
def test_a_model_is_found_by_its_name_or_the_end_of_it(pattern: str, found: bool) -> None:
    assert model_matches(pattern, "NVIDIA GeForce RTX 2080 Ti") is found


@pytest.mark.parametrize(
    ("resources", "known", "ahead", "text"),
    [
        (gpu(memory=16), node(gpus=(BIG.but(count=2, used=2),)), 2,
         "waits for a GPU with 16 GiB: both are in use, 2 stages ahead"),
        (gpu(), node(gpus=(BIG.but(used=1),)), 0, "waits for a GPU: the only one is in use"),
        (gpu(2), node(gpus=(TI.but(count=4, used=3),)), 1,
         "waits for 2 GPUs: 3 of 4 are in use, 1 stage ahead"),
        (Resources(cpu=2), node(cpu_used=7.0), 0, "waits for 2 cores: 1 of 8 are free on alder"),
        (Resources(memory=4 * GIB), node(memory_used=30 * GIB), 0,
         "waits for 4 GiB of memory: 2 GiB of 32 GiB are free on alder"),
    ],
)  # fmt: skip
def test_what_waits_says_what_is_missing_what_is_in_use_and_how_many_are_ahead(
    resources: Resources, known: Node, ahead: int, text: str
) -> None:
    reason = why_busy(resources, ANY, inventory(known), ahead)
    assert (reason.kind, reason.text, reason.ahead) == ("busy", text, ahead)


def test_priority_comes_first_then_the_least_served_user_then_age() -> None:
    line = [
        waiting("old", age=90, actor="anna"),
        waiting("older", age=100, actor="anna"),
        waiting("bert", age=1, actor="bert"),
        waiting("urgent", age=0, actor="anna", priority=80),
    ]
    answer = admit(line, inventory(node()), [], Policy(served={"anna": 1}))
    assert [w.project for w in answer.admitted] == ["urgent", "bert", "older", "old"]


def test_within_a_project_its_own_order_counts_and_not_age() -> None:
    line = [waiting(stage=1, age=9, order=2.0), waiting(stage=2, age=1, order=1.0), waiting(stage=3, turn=0)]
    answer = admit(line, inventory(node()), [], Policy())
    assert [w.stage for w in answer.admitted] == [3, 2, 1]


def test_a_full_class_does_not_hold_back_another_one() -> None:
    full = [waiting("at", i, resources=gpu()) for i in range(8)]
    line = [waiting("g", resources=gpu(), age=9), waiting("c", resources=Resources())]
    answer = admit(line, inventory(node()), full, Policy())
    assert [w.project for w in answer.admitted] == ["c"]
    assert answer.held["g", 1].ahead == 8


def test_many_gpus_allow_more_to_wait_at_the_driver() -> None:
    known = inventory(*(node(f"n{i}", gpus=(TI.but(count=4),)) for i in range(4)))
    line = [waiting("p", i, resources=gpu()) for i in range(1, 50)]
    answer = admit(line, known, [], Policy())
    assert len(answer.admitted) == 32
    assert [answer.held["p", i].ahead for i in (33, 49)] == [32, 48]


RESOURCES = st.sampled_from(
    [Resources(), Resources(cpu=4), Resources(cpu=99), gpu(), gpu(2), gpu(memory=16), gpu(model="A5000")]
)
LINES = st.lists(
    st.builds(
        waiting,
        st.sampled_from([f"p{i}" for i in range(8)]),
        st.integers(1, 30),
        st.integers(0, 50),
        priority=st.sampled_from([20, 50]),
        actor=st.sampled_from(["anna", "bert", "carl"]),
        resources=RESOURCES,
        turn=st.integers(1, 3),
        order=st.sampled_from([0.0, 1.0, 2.0]),
    ),
    max_size=120,
    unique_by=lambda w: w.key,
)
NODES = inventory(node(), node("birch", gpus=(BIG,), cpu=4.0))
SERVED = st.dictionaries(st.sampled_from(["anna", "bert", "carl"]), st.integers(0, 5))


@settings(deadline=None)
@given(LINES, st.lists(RESOURCES, max_size=20), SERVED, st.randoms())
def test_admission_is_deterministic_bounded_fair_and_never_impossible(line, at, served, random) -> None:
    unplaced = [waiting("at", i, resources=r) for i, r in enumerate(at)]
    policy = Policy(served=served)
    answer = admit(line, NODES, unplaced, policy)
    shuffled = random.sample(line, len(line))
    assert admit(shuffled, NODES, unplaced, policy) == answer, "the order in the list must not matter"

    keys = [w.key for w in answer.admitted]
    assert sorted(keys + list(answer.held)) == sorted(w.key for w in line), "each is admitted or held, once"
    for w in answer.admitted:
        assert any(fits(w.resources, w.placement, n) for n in NODES.nodes)
    before = Counter(class_of(u.resources, u.placement) for u in unplaced)
    now = Counter(class_of(w.resources, w.placement) for w in answer.admitted)
    for w in answer.admitted:
        kind = class_of(w.resources, w.placement)
        assert now[kind] + before[kind] <= limit(w, NODES, policy)

    held = [w for w in line if w.key in answer.held and answer.held[w.key].kind == "busy"]
    for w in held:
        kind = class_of(w.resources, w.placement)
        assert now[kind] + before[kind] >= limit(w, NODES, policy), "held only where its class is full"
        rivals = [a for a in answer.admitted if class_of(a.resources, a.placement) == kind]
        assert all(a.priority >= w.priority for a in rivals), "a lower priority never takes the place of a higher one"


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 40), min_size=2), SERVED)
def test_no_user_starves_however_many_stages_another_one_queues(counts, served) -> None:
    line = [
        waiting(f"{user}{i}", 1, age=1000 if user == "a" else i, actor=user)
        for user, count in counts.items()
        for i in range(count)
    ]
    answer = admit(line, NODES, [], Policy(served=served, unplaced=16))
    got = Counter(w.actor for w in answer.admitted) + Counter(served)
    for _, user in {(w.key, w.actor) for w in line if w.key in answer.held}:
        for other in {w.actor for w in answer.admitted}:
            assert got[other] <= max(got[user] + 1, served.get(other, 0))


def test_ten_times_as_many_waiting_stages_cost_little_more_than_ten_times_as_much() -> None:
    line = [waiting(f"p{i}", 1, age=i % 977, actor=f"u{i % 50}", resources=gpu()) for i in range(10_000)]
    answer = admit(line, NODES, [], Policy())
    assert len(answer.held) == 10_000 - len(answer.admitted)
    few = cost(lambda: admit(line[:1000], NODES, [], Policy()))
    assert cost(lambda: admit(line, NODES, [], Policy())) < 40 * few


@pytest.mark.parametrize(
    ("told", "asked", "fit"),
    [(24564, 24, True), (49140, 48, True), (81559, 80, True), (12282, 16, False), (24564, 25, False)],
)
def test_a_card_is_as_large_as_it_is_sold_though_it_tells_of_a_little_less(told: int, asked: int, fit: bool) -> None:
    group = GpuGroup(model="RTX", memory=told << 20, count=1)
    assert suits(Gpu(memory=asked << 30), group) is fit
