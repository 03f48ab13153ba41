"""Nodes of a real cluster: how busy they are, and taking one out of work and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import CARDS
from tests.cluster.nomad import Cluster
from tests.contracts.driver_cases import Does, NomadCase
from tests.waiting import until
from winslow_nomad import config
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.nodes import InstalledNodes
from winslow_nomad.core.errors import NotFound, Refused
from winslow_nomad.core.pipeline import Gpu, Resources

ROOT = Path(__file__).parents[2]
SMALL = Resources(cpu=0.1, memory=32 * 2**20)


@pytest.fixture
def case(cluster: Cluster) -> Iterator[NomadCase]:
    made = NomadCase(cluster)
    yield made
    made.close()


def test_a_node_tells_processor_memory_disk_and_versions(case: NomadCase) -> None:
    loads = until(lambda: len(found := case.driver.loads.loads()) == 2 and found, 20)
    for load in loads.values():
        assert load.cpu is not None and 0 <= load.cpu <= (os.cpu_count() or 1) + 0.1
        assert load.memory and load.disk_free and load.disk_total and load.disk_free < load.disk_total
        assert load.up and load.facts["nomad"].startswith("2.") and load.facts["docker"] and load.facts["kernel"]


@pytest.mark.usefixtures("nomad_plugin")
def test_cards_tell_their_figures_and_which_attempt_has_them(case: NomadCase) -> None:
    gpu = Resources(cpu=0.1, memory=32 * 2**20, gpu=Gpu(count=1, memory=20 * 2**30))
    spec = case.prepared(Does(hold=True), resources=gpu)
    case.driver.submit(spec)
    case.until(lambda: case.driver.observe([spec.ref])[0].phase == "running")
    cards = until(lambda: (found := case.driver.loads.loads().get("n2")) and found.cards, 20)
    assert [c.uuid for c in cards] == sorted(c.uuid for c in CARDS)
    large = next(c for c in cards if c.uuid == "GPU-a6000")
    assert large.memory == 49140 * 2**20 and large.memory_used == 512 * 2**20
    assert (large.percent, large.temperature, large.watts) == (7.0, 41.0, 55.0)

    def told() -> bool:
        found = case.driver.loads.loads()["n2"].cards
        return {c.uuid: c.attempts for c in found if c.attempts} == {"GPU-a6000": (str(spec.ref),)}

    until(told, 20)
    case.release(spec.ref)


def test_a_drained_node_takes_nothing_new_and_what_runs_there_ends_by_itself(case: NomadCase) -> None:
    spec = case.prepared(Does(hold=True), resources=SMALL)
    case.driver.submit(spec)
    case.until(lambda: case.driver.observe([spec.ref])[0].phase == "running")
    node = case.driver.observe([spec.ref])[0].node
    other = next(n for n in ("n1", "n2") if n != node)
    loads = case.driver.loads
    loads.drain(node, "new fan")
    assert loads.draining() == {node: "new fan"}
    assert not next(n for n in case.driver.inventory().nodes if n.name == node).ready
    later = case.prepared(Does(hold=True), resources=SMALL)
    case.driver.submit(later)
    case.until(lambda: case.driver.observe([later.ref])[0].phase == "running")
    assert case.driver.observe([later.ref])[0].node == other
    case.release(later.ref)
    assert case.driver.observe([spec.ref])[0].phase == "running"
    case.release(spec.ref)
    case.until(lambda: case.driver.observe([spec.ref])[0].phase == "ended")
    (end,) = case.driver.observe([spec.ref])
    assert end.outcome is not None and end.outcome.succeeded, "a drain ends nothing"
    case.until(lambda: not case.cluster.node(node)["DrainStrategy"])
    assert case.restarted().loads.draining() == {node: "new fan"}, "it stays out when the last has ended"
    loads.undrain(node)
    assert loads.draining() == {}
    assert all(n.ready for n in case.driver.inventory().nodes)


def test_what_the_operators_did_is_told_as_theirs(case: NomadCase) -> None:
    case.cluster.set_eligible("n1", eligible=False)
    assert case.restarted().loads.draining() == {"n1": "made ineligible by Nomad's operators"}
    with pytest.raises(NotFound):
        case.driver.loads.drain("n7", "")


def test_a_node_that_is_cut_off_keeps_the_others_figures_from_nobody(case: NomadCase) -> None:
    until(lambda: len(case.driver.loads.loads()) == 2, 20)
    case.cluster.cut("n1")
    fresh = case.restarted()
    try:
        until(lambda: set(fresh.loads.loads()) == {"n2"}, 20)
    finally:
        case.cluster.rejoin("n1")
        fresh.close()


def test_a_token_that_may_only_read_is_told_which_policy_drains(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(1, acl=True)
    for name in ("policy-winslow", "policy-winslow-nodes"):
        cluster.command("acl", "policy", "apply", name, ROOT / "nomad" / f"{name}.hcl")
    policies = (["policy-winslow"], ["policy-winslow", "policy-winslow-nodes"])
    reader, drainer = (
        cluster.api("POST", "/v1/acl/token", {"Name": "t", "Type": "client", "Policies": p})["SecretID"]
        for p in policies
    )
    case = NomadCase(cluster)
    try:
        weak, strong = case.restarted(token=reader), case.restarted(token=drainer)
        assert until(weak.loads.loads, 20), "reading nodes is enough for their figures"
        with pytest.raises(Refused, match="may not drain") as refused:
            weak.loads.drain("n1", "new fan")
        assert refused.value.code == "driver.no_drain" and "policy-winslow-nodes" in refused.value.hint
        assert cluster.node("n1")["SchedulingEligibility"] == "eligible"
        strong.loads.drain("n1", "new fan")
        assert strong.loads.draining() == {"n1": "new fan"}
        strong.loads.undrain("n1")
    finally:
        case.close()


def test_screens_see_nodes_of_the_cluster_and_drain_them(cluster: Cluster, tmp_path: Path) -> None:
    given = {"WINSLOW_HOME": str(tmp_path), "HOME": str(tmp_path), "USER": "ada", "WINSLOW_DRIVER": "nomad"}
    given |= {"WINSLOW_SHARE": str(cluster.share / tmp_path.name)}
    installation = Installation(config.load({**given, **cluster.environment}))
    try:
        nodes = InstalledNodes(installation)
        until(lambda: (found := nodes.get("n2").load) is not None and found.memory, 20)
        assert nodes.get("n2").can_drain
        assert nodes.drain("n2", "new fan").draining == "new fan"
        assert nodes.undrain("n2").draining is None
    finally:
        installation.close()
