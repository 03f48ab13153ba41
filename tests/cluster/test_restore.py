"""A Nomad that was put back to a snapshot: what it has taken since, it knows no more; what has ended since, it takes
for alive; and where its servers were set up anew, it counts lower than what Winslow has seen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.nomad import Cluster, when
from tests.cluster.test_fences import Scenario, nothing_is_left, succeeded
from tests.cluster.whole import HOLDS, a_whole, stage, stop_all
from winslow_nomad.core.stage import StageState


def put_back(cluster: Cluster, snapshot: Path) -> None:
    cluster.command("operator", "snapshot", "restore", snapshot)


def set_up_anew(cluster: Cluster, snapshot: Path) -> None:
    """The server's disk has died. Agents that saw the old one wait for news beyond it, so they are started anew."""
    cluster.kill_server()
    shutil.rmtree(cluster.directory / "s1" / "nomad")
    cluster.restart_server()
    put_back(cluster, snapshot)
    for name in cluster.nodes:
        cluster.restart_agent(name)


def talk(cluster: Cluster) -> None:
    """So much that Nomad counts far beyond the snapshot, as it does in hours."""
    for _ in range(150):
        cluster.configure_scheduler(PauseEvalBroker=False)


@pytest.mark.chaos
@pytest.mark.parametrize("restore", [put_back, set_up_anew])
def test_after_a_restore_what_runs_goes_on_what_was_lost_is_made_again_and_nothing_runs_twice(
    start_cluster: Callable[..., Cluster], tmp_path: Path, restore: Callable[[Cluster, Path], None]
) -> None:
    cluster = start_cluster(2)
    with a_whole(cluster) as world:
        made = Scenario(world)
        try:
            made.begin(lives=stage(), ends=stage())
            # else Nomad would take it for lost once it is cut off, not for unknown, and end it when its node returns
            when(lambda: cluster.status(world.job(made["lives"])) == "running")
            cluster.command("operator", "snapshot", "save", tmp_path / "snapshot")
            talk(cluster)
            made.let_go("ends")
            made.finish("ends")
            made.begin(after=stage(HOLDS))
            for name in cluster.nodes:
                cluster.set_eligible(name, False)
            made.projects["waits"] = waits = world.create(stage(""))
            when(lambda: world.project(waits).stages[1].state is StageState.SUBMITTED)
            when(lambda: cluster.api("GET", f"/v1/job/{world.job(waits)}"))
            restore(cluster, tmp_path / "snapshot")
            made.finish("waits")
            made.finish("after")
            node = world.node(made["lives"])
            world.works_on(made["lives"])
            cluster.cut(node)
            made.cut_off("lives")
            cluster.rejoin(node)
            when(lambda: not world.out_of_contact(made["lives"]))
            world.works_on(made["lives"])
            made.let_go("lives")
            made.finish("lives")
            succeeded(made, "lives")
            succeeded(made, "ends")
            succeeded(made, "waits", 2)
            succeeded(made, "after", 2)
            assert world.ran(made["after"]) == ["start"]
            nothing_is_left(world)
        finally:
            stop_all(world, list(made.projects.values()))
