"""What Winslow asks of Nomad: as good as nothing for what waits or runs; and nothing is lost where events break off.

Counted at a proxy between all of Winslow's processes and the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.counting import STREAM, CountingProxy
from tests.cluster.nomad import Card, Cluster, when
from tests.cluster.whole import HOLDS, Whole, a_whole, stage, stop_all
from tests.core.world import pipeline
from winslow_nomad.core.pipeline import MIB, Gpu, Parameter, ParameterKind, Pipeline, Resources
from winslow_nomad.core.stage import StageState

NODES = ("n1", "n2")
CARDS = 48  # of each: so many that two hundred attempts may be with Nomad and wait there
RUNNING = 8  # at the same time, for want of memory


def a_sweep(script: str, points: int) -> Pipeline:
    one = stage(
        script,
        resources=Resources(cpu=0.1, memory=32 * MIB, gpu=Gpu(count=1)),
        sweep={"max_running": points, "on_failure": "continue"},
    )
    return pipeline(one, parameters={"N": Parameter(kind=ParameterKind.INTEGER, default="0")})


def grid(points: int) -> dict[str, dict[str, tuple[str, ...]]]:
    return {"work": {"N": tuple(str(n) for n in range(1, points + 1))}}


@contextmanager
def through_a_proxy(start_cluster: Callable[..., Cluster]) -> Iterator[tuple[Whole, CountingProxy]]:
    cards = {name: [Card(f"GPU-{name}-{n}", "NVIDIA GeForce RTX 4070", 12282) for n in range(CARDS)] for name in NODES}
    cluster = start_cluster(2, gpus=cards, client={"memory_total_mb": RUNNING * 32 // len(NODES)})
    with CountingProxy(cluster.address) as proxy, a_whole(cluster, proxy.address, WINSLOW_SWEEP_SECONDS="5") as world:
        yield world, proxy


def at_nomad(world: Whole, projects: list[str]) -> tuple[int, int]:
    """How many attempts are known to wait there, and to run."""
    stages = [s for p in projects for s in world.project(p).stages.values()]
    waiting = sum(s.state is StageState.SUBMITTED and s.reason is not None for s in stages)
    return waiting, sum(s.state is StageState.RUNNING for s in stages)


@pytest.mark.parametrize(
    "attempts, window", [(40, 10.0), pytest.param(200, 30.0, marks=[pytest.mark.chaos, pytest.mark.timeout(900)])]
)
def test_attempts_that_wait_or_run_cost_no_request_a_second(
    start_cluster: Callable[..., Cluster], nomad_plugin: None, attempts: int, window: float
) -> None:
    """In all, over all of Winslow's processes; and beginning one costs little more than its own."""
    with through_a_proxy(start_cluster) as (world, proxy):
        made = a_sweep(HOLDS, 20)
        projects = [world.create(made=made, sweeps=grid(20)) for _ in range(attempts // 20)]
        began = time.monotonic()
        when(lambda: at_nomad(world, projects) == (attempts - RUNNING, RUNNING), 60 + 2 * attempts)
        submitting, took = proxy.since(0.0), time.monotonic() - began
        began = time.monotonic()
        when(lambda: time.monotonic() > began + window, 2 * window)
        counted = proxy.since(began)
        print(f"\nat rest: {counted} in {window:g} s; submitting {attempts} in {took:.0f} s: {submitting}")
        assert at_nomad(world, projects) == (attempts - RUNNING, RUNNING)
        assert counted.total() <= window
        assert submitting["PUT /v1/jobs"] == attempts
        assert submitting.total() <= 1.25 * attempts + 60
        stop_all(world, projects)


def run_through(world: Whole, proxy: CountingProxy, points: int) -> None:
    with proxy.cutting(every=1.0):
        project = world.create(made=a_sweep("sleep 0.5\n", points), sweeps=grid(points))
        after = world.finished(project, 60 + 3 * points)
    assert not world.wrong(project)
    assert [(e.state, e.attempt) for e in after.ended.values()] == [(StageState.SUCCEEDED, 1)] * points
    assert proxy.cut >= 5 and sum(r.path == STREAM for r in proxy.requests) > proxy.cut / 2


def test_nothing_is_lost_when_the_events_break_off_every_second(
    start_cluster: Callable[..., Cluster], nomad_plugin: None
) -> None:
    with through_a_proxy(start_cluster) as (world, proxy):
        run_through(world, proxy, 16)


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_nothing_of_two_hundred_attempts_is_lost_when_the_events_break_off_every_second(
    start_cluster: Callable[..., Cluster], nomad_plugin: None
) -> None:
    with through_a_proxy(start_cluster) as (world, proxy):
        run_through(world, proxy, 200)
