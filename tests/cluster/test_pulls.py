"""Nodes that cannot fetch an image from a registry with TLS and a log-in: what is said, where the next attempt goes,
and that all goes on by itself once somebody has mended the node."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.nomad import Cluster, Node, when
from tests.cluster.test_doctor import of
from tests.cluster.test_images import imaged, push, succeeded
from tests.cluster.whole import Whole, a_whole, stage, when_said
from tests.driver.nomad.certificates import Authority
from tests.images import docker_registry
from tests.images.docker_registry import ADA, DockerRegistry, registry
from tests.images.pushing import Pusher
from winslow_nomad.bootstrap.nomad_doctor import examine_nomad
from winslow_nomad.core.line import why
from winslow_nomad.core.stage import StageState

STRICT = {"insecure-registry": "127.0.0.0/8"}  # docker asks every other registry for a certificate that it trusts


@pytest.fixture(autouse=True)
def installed(nomad_tools: object) -> None:
    docker_registry.need()


@contextmanager
def guarded(cluster: Cluster, folder: Path) -> Iterator[tuple[DockerRegistry, Authority]]:
    """A registry with a certificate of an authority of its own, and a log-in."""
    authority = Authority(folder)
    tls = authority.issue("registry", cluster.rack.gateway)
    with registry(folder / "registry", address=cluster.rack.gateway, login=ADA, tls=tls) as served:
        with Pusher(served.url, ADA, authority.file) as pusher:
            push(pusher, folder)
        yield served, authority


def trust(cluster: Cluster, node: str, served: DockerRegistry, authority: Authority) -> None:
    """As docs/cluster.md says: docker reads it at every pull."""
    folder = f"/etc/docker/certs.d/{served.host}"
    machine = cluster.rack.machines[node]
    script = "mkdir -p /etc/docker && mount -t tmpfs own /etc/docker"
    script += f" && mkdir -p {folder} && cp {authority.file} {folder}/ca.crt"
    machine.run("sh", "-c", script)  # of that machine alone


def waits_for_another_try(world: Whole, project: str, said: str) -> None:
    def told() -> bool:
        found = world.project(project)
        one = found.stages.get(1)
        reason = why(found, one, found.updated) if one is not None and one.state is StageState.QUEUED else None
        return reason is not None and reason.kind == "retry" and said in reason.text

    when_said(told, 60, lambda: f"{world.project(project)}\n{world.last_words()}")


@pytest.mark.chaos
def test_what_one_node_cannot_fetch_is_tried_on_another_and_goes_on_there_when_it_is_mended(
    start_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    logins = tmp_path / "docker-auth.json"
    logins.write_text("{}")
    nodes = [Node(name, docker={"auth": {"config": str(logins)}}, daemon=STRICT) for name in ("n1", "n2")]
    cluster = start_cluster(nodes)
    with guarded(cluster, tmp_path) as (served, authority):
        trust(cluster, "n2", served, authority)
        auth = base64.b64encode(":".join(ADA).encode()).decode()
        logins.write_text(json.dumps({"auths": {served.host: {"auth": auth}}}))
        with a_whole(cluster, WINSLOW_REGISTRIES_CACERT=str(authority.file)) as world:
            world.installation.registry_logins.put(served.host, *ADA, "ann")
            cluster.set_eligible("n2", False)
            busy = world.create(stage())
            world.working(busy)  # a node that has something to do is Nomad's first choice for more
            cluster.set_eligible("n2", True)

            anywhere = world.create(imaged(served, retry={"delay": 0}))
            record = succeeded(world, anywhere)
            assert [a["node"] for a in record["attempts"]] == ["n1", "n2"]
            assert "n1 does not trust the certificate of the registry" in record["attempts"][0]["outcome"]["message"]

            there = world.create(imaged(served, retry={"delay": 8}, placement={"require": ["node.n1"]}))
            waits_for_another_try(world, there, f"n1 does not trust the certificate of the registry {served.host}")
            findings = [vars(f) for f in examine_nomad(world.settings, f"{served.host}/team/tool:1")]
            fix = of(findings, "n1", "does not trust the certificate")["fix"]
            assert f"/etc/docker/certs.d/{served.host}/ca.crt" in fix
            assert of(findings, "n2", "sees the share")["severity"] == "ok"
            logins.write_text("{}")
            trust(cluster, "n1", served, authority)
            waits_for_another_try(world, there, "n1 may not fetch the image: that node has no log-in")
            logins.write_text(json.dumps({"auths": {served.host: {"auth": auth}}}))
            assert len(succeeded(world, there)["attempts"]) >= 3
            world.let_go(busy)
            world.finished(busy)


@pytest.mark.chaos
def test_a_full_disk_of_docker_s_is_named_and_the_stage_is_run_elsewhere(
    start_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = start_cluster(2)
    cluster.kill_docker("n1")
    disk = str(cluster.directory / "n1" / "docker")
    cluster.rack.machines["n1"].run("mount", "-t", "tmpfs", "-o", "size=400k", "disk", disk)
    cluster.restart_docker("n1")
    when(lambda: cluster.node("n1")["Drivers"]["docker"]["Healthy"], 60)
    with registry(tmp_path / "registry", address=cluster.rack.gateway) as served:
        with Pusher(served.url) as pusher:
            push(pusher, tmp_path)
        with a_whole(cluster, WINSLOW_REGISTRIES_INSECURE=served.host) as world:
            cluster.set_eligible("n2", False)
            project = world.create(imaged(served, retry={"delay": 5}))
            waits_for_another_try(world, project, "the disk of docker on n1 is full")
            cluster.set_eligible("n2", True)
            assert [a["node"] for a in succeeded(world, project)["attempts"]] == ["n1", "n2"]
