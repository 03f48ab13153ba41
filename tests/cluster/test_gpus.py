"""GPUs through the whole of Winslow, with Nomad's own plugin over a stand-in for the driver's library: who gets which
card, what is lost and found, and what no node has until one joins that does."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.conftest import CARDS
from tests.cluster.nomad import Card, Cluster, Node, when
from tests.cluster.whole import HOLDS, Whole, a_whole, stage, stop_all
from winslow_nomad.core.pipeline import GIB, MIB, Gpu, Resources, StageDefinition
from winslow_nomad.core.project import Project, ProjectState
from winslow_nomad.core.stage import StageState

TELLS = 'echo "$NVIDIA_VISIBLE_DEVICES" > "$WINSLOW_OUTPUT/gpus"\n'
SMALL_ONES = {"GPU-4070-a", "GPU-4070-b"}
BIG_ONE = {"GPU-a6000"}


@pytest.fixture(scope="module")
def world(nomad_tools: object, nomad_plugin: None) -> Iterator[Whole]:
    cluster = Cluster.start(2, gpus={"n2": CARDS})
    try:
        with a_whole(cluster) as made:
            yield made
    finally:
        cluster.stop()


@contextmanager
def tidy(world: Whole) -> Iterator[list[str]]:
    """Projects that are ended whatever happens; and all cards are there again."""
    created: list[str] = []
    yield created
    stop_all(world, created)
    world.cluster.set_gpus("n2", CARDS)
    when(lambda: cards_of(world) == 3)


def cards_of(world: Whole) -> int:
    return sum(g.count for n in world.installation.nomad.inventory().nodes for g in n.gpus)


def with_gpu(script: str = TELLS, **gpu: Any) -> StageDefinition:
    return stage(script, resources=Resources(cpu=0.1, memory=32 * MIB, gpu=Gpu(**gpu) if gpu else None))


def gpus(world: Whole, project: str) -> set[str]:
    """The cards that its container was given."""
    return set((world.folder(project) / "output" / "gpus").read_text().strip().split(","))


def given(world: Whole, definition: StageDefinition) -> set[str]:
    project = world.create(definition)
    assert world.finished(project).ended[1].state is StageState.SUCCEEDED
    return gpus(world, project)


def reason(world: Whole, project: str) -> str:
    found = world.project(project).stages[1]
    return found.reason.text if found.reason is not None else ""


def paused(world: Whole, project: str) -> str:
    """Why, once it is."""

    def why() -> str:
        found = world.project(project)
        return found.pause.text if found.pause is not None and found.state is ProjectState.PAUSED else ""

    return str(when(why))


def test_a_stage_gets_as_many_cards_of_one_kind_as_it_asks_for(world: Whole) -> None:
    assert given(world, with_gpu(count=2)) == SMALL_ONES


def test_a_stage_that_asks_for_none_sees_none(world: Whole) -> None:
    assert given(world, with_gpu()) == {"void"}


@pytest.mark.parametrize("gpu", [{"model": "RTX A6000"}, {"model": "*a6000"}, {"memory": 16 * GIB}])
def test_a_stage_gets_a_card_of_the_model_and_memory_it_asks_for(world: Whole, gpu: dict[str, Any]) -> None:
    assert given(world, with_gpu(**gpu)) == BIG_ONE


def test_whoever_takes_any_card_leaves_the_big_one_to_whoever_needs_it(world: Whole) -> None:
    with tidy(world) as created:
        any_card = with_gpu(TELLS + HOLDS, count=1)
        created += [world.create(any_card), world.create(any_card)]
        world.working(*created)
        assert set().union(*(gpus(world, p) for p in created)) == SMALL_ONES
        created.append(big := world.create(with_gpu(TELLS + HOLDS, memory=40 * GIB)))
        world.working(big)
        assert gpus(world, big) == BIG_ONE
        created.append(late := world.create(any_card))
        when(lambda: "all 3 are in use" in reason(world, late))
        world.let_go(big)
        world.working(late)
        assert gpus(world, late) == BIG_ONE, "what is free is given, however big"


@pytest.mark.chaos
def test_a_lost_card_disturbs_nobody_who_runs_and_pauses_whoever_needs_it_until_it_is_found(world: Whole) -> None:
    with tidy(world) as created:
        created.append(runs := world.create(with_gpu(TELLS + HOLDS, model="RTX A6000")))
        world.working(runs)
        world.cluster.set_gpus("n2", CARDS[:2])
        when(lambda: cards_of(world) == 2)
        created.append(needs := world.create(with_gpu(model="RTX A6000")))
        assert "no node has a GPU like RTX A6000: there is RTX 4070 (n2)" in paused(world, needs)
        world.works_on(runs)
        world.let_go(runs)
        assert world.finished(runs).ended[1].state is StageState.SUCCEEDED
        world.cluster.set_gpus("n2", CARDS)
        assert world.finished(needs).ended[1].state is StageState.SUCCEEDED
        assert gpus(world, needs) == BIG_ONE


def test_who_waits_for_a_card_that_is_lost_meanwhile_is_told_and_gets_it_when_it_is_found(world: Whole) -> None:
    with tidy(world) as created:
        created.append(runs := world.create(with_gpu(TELLS + HOLDS, model="RTX A6000")))
        world.working(runs)
        created.append(waits := world.create(with_gpu(model="RTX A6000")))
        when(lambda: "the only one is in use" in reason(world, waits))
        world.cluster.set_gpus("n2", CARDS[:2])
        when(lambda: "cannot start: no node has a GPU like RTX A6000" in reason(world, waits))
        world.let_go(runs)
        world.cluster.set_gpus("n2", CARDS)
        assert world.finished(waits).ended[1].state is StageState.SUCCEEDED


def test_what_no_node_can_run_pauses_and_goes_on_by_itself_when_a_node_joins_that_can(world: Whole) -> None:
    project = world.create(with_gpu(memory=70 * GIB))
    why = paused(world, project)
    assert "no node has a GPU with 70 GiB: the largest is RTX A6000, 48 GiB, on n2" in why
    name = f"n{secrets.randbelow(90) + 10}"
    world.cluster.add_node(Node(name, gpus=[Card("GPU-h100", "NVIDIA H100 80GB HBM3", 81559)]))
    after: Project = world.finished(project)
    assert (after.ended[1].state, after.ended[1].node) == (StageState.SUCCEEDED, name)
    assert gpus(world, project) == {"GPU-h100"}
