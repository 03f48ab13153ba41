"""Tests on a real Nomad. Where there is none they are skipped, all with one line in pytest's summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.nomad import Card, Cluster
from tests.cluster.tools import Tools, find
from tests.conftest import NEEDS_NOMAD

CARDS = [
    Card("GPU-4070-a", "NVIDIA GeForce RTX 4070", 12282),
    Card("GPU-4070-b", "NVIDIA GeForce RTX 4070", 12282),
    Card("GPU-a6000", "NVIDIA RTX A6000", 49140),
]


SHIPPED = Path(__file__).parents[2] / "nomad"


@pytest.fixture(scope="session")
def nomad_tools() -> Tools:
    found = find()
    if isinstance(found, str):
        pytest.skip(f"{NEEDS_NOMAD}: {found}")
    return found


@pytest.fixture(scope="session")
def nomad_plugin(nomad_tools: Tools) -> None:
    """For tests that need GPUs."""
    if nomad_tools.plugins is None:
        pytest.skip(f"{NEEDS_NOMAD}, those with GPUs: no nomad-device-nvidia on PATH or in plugins/ beside nomad")


@pytest.fixture(scope="session")
def nomad_cluster(nomad_tools: Tools) -> Iterator[Cluster]:
    """One server, and two nodes of which n2 has GPUs (where the plugin is there). For tests that break nothing."""
    cluster = Cluster.start(2, gpus={"n2": CARDS} if nomad_tools.plugins else {})
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(nomad_cluster: Cluster) -> Iterator[Cluster]:
    """The same, and made whole again after a test that broke something."""
    yield nomad_cluster
    nomad_cluster.heal()


@pytest.fixture
def start_cluster(nomad_tools: Tools) -> Iterator[Callable[..., Cluster]]:
    """For tests that need one of their own: takes what `Cluster.start` takes."""
    started: list[Cluster] = []

    def start(*arguments: Any, **settings: Any) -> Cluster:
        started.append(Cluster.start(*arguments, **settings))
        return started[-1]

    yield start
    for cluster in started:
        cluster.stop()


@pytest.fixture(scope="module")
def shipped(nomad_tools: Tools) -> Iterator[Cluster]:
    """A server and two nodes that run the shipped configuration, with access control and TLS; n2 has GPUs."""
    gpus = {"n2": CARDS} if nomad_tools.plugins else {}
    cluster = Cluster.start(2, gpus=gpus, acl=True, tls=True, shipped=SHIPPED)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def prepared(shipped: Cluster) -> Cluster:
    """With the namespaces, the pool and the policies that docs/cluster.md tells to make."""
    for file in ("namespace.hcl", "namespace-system.hcl"):
        shipped.command("namespace", "apply", SHIPPED / file)
    shipped.command("node", "pool", "apply", SHIPPED / "node-pool.hcl")
    for policy in ("winslow", "winslow-nodes"):
        shipped.command("acl", "policy", "apply", policy, SHIPPED / f"policy-{policy}.hcl")
    return shipped


def token(cluster: Cluster, *policies: str) -> str:
    asked = {"Name": "test", "Type": "client", "Policies": list(policies)}
    return str(cluster.api("POST", "/v1/acl/token", asked)["SecretID"])
