"""Winslow itself on Nomad: `jobspecs/` as they are shipped, on a cluster of the shipped configuration with access
control and TLS."""

from __future__ import annotations

import os
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cluster import images
from tests.cluster.nomad import OWNER, Cluster, Node, when
from tests.cluster.tools import Tools

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "nomad"
JOBSPECS = ROOT / "jobspecs"
SYSTEM = "winslow-system"
PIPELINE = """\
winslow: 1
name: hello
defaults: {image: "box:1"}
stages:
  - id: greet
    command: [sh, -c, 'echo "greeting $WINSLOW_ATTEMPT"; id -u > "$WINSLOW_OUTPUT/uid"']
  - id: look
    command: [sh, -c, 'cat "$WINSLOW_STAGES/greet/uid"']
"""


@pytest.fixture(scope="module")
def system(nomad_tools: Tools) -> Iterator[Cluster]:
    """n1 is the node that Winslow itself runs on."""
    nodes = [Node("n1", also=("system.hcl",)), Node("n2")]
    cluster = Cluster.start(nodes, acl=True, tls=True, shipped=CONFIGURATION)
    try:
        for file in ("namespace.hcl", "namespace-system.hcl"):
            cluster.command("namespace", "apply", CONFIGURATION / file)
        rights = ["-namespace", SYSTEM, "-job", "winslow", "winslow-itself"]
        cluster.command("acl", "policy", "apply", *rights, CONFIGURATION / "policy-winslow.hcl")
        yield cluster
    finally:
        cluster.stop()


def test_every_jobspec_is_tested() -> None:
    assert {file.name for file in JOBSPECS.iterdir()} == {"registry.nomad.hcl", "store.nomad.hcl", "winslow.nomad.hcl"}


@pytest.mark.parametrize("name", ["registry", "store", "winslow"])
def test_nomad_accepts_and_would_place_the_job(system: Cluster, name: str) -> None:
    file = JOBSPECS / f"{name}.nomad.hcl"
    assert "Job validation successful" in system.command("job", "validate", file).stdout
    planned = system.command("job", "plan", file, check=False)
    assert "All tasks successfully allocated" in planned.stdout, planned.stdout + planned.stderr


def test_nothing_of_winslow_is_placed_where_its_volume_is_not(system: Cluster) -> None:
    system.set_eligible("n1", False)
    for name in ("store", "winslow"):
        planned = system.command("job", "plan", JOBSPECS / f"{name}.nomad.hcl", check=False)
        assert "missing compatible host volumes" in planned.stdout, planned.stdout
    system.set_eligible("n1", True)


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_winslow_runs_on_nomad_and_its_stages_beside_it(system: Cluster) -> None:
    if shutil.which("debootstrap") is None:
        pytest.skip("images with Python are made by debootstrap, which is not here")
    system.add_image(images.python_base(), ["n1"])
    with tempfile.TemporaryDirectory() as context:
        settings = [part for each in images.winslow_context(Path(context)) for part in ("--build-arg", each)]
        system.docker("n1", "build", "--tag", "winslow:0.1", *settings, context)
    os.chown(system.share, OWNER, OWNER)
    tls = give_certificates(system, "cli", "cli")
    https = give_certificates(system, "server", "")

    system.command("job", "run", "-detach", JOBSPECS / "store.nomad.hcl")
    variables = ["-var", f"share={system.share}", "-var", f"tls={tls}", "-var", f"https={https}"]
    system.command("job", "run", "-detach", *variables, JOBSPECS / "winslow.nomad.hcl")
    when(lambda: running(system) == {"controller": 1, "worker": 2, "files": 1, "api": 1}, 90)
    when(lambda: deployed(system) == "successful", 90)
    with httpx.Client(verify=ssl.create_default_context(cafile=str(tls / "ca.pem")), trust_env=False) as people:
        address = f"https://{system.rack.machines['n1'].address}:8800/api/v1"
        assert people.get(f"{address}/projects").status_code == 401

    (system.share / "hello.yaml").write_text(PIPELINE)
    container = next(name for name in system.containers("n1") if name.startswith("winslow-"))
    run = ["exec", container, "winslow", "run", str(system.share / "hello.yaml"), "--name", "hello"]
    said = system.docker("n1", *run)
    assert "succeeded" in said
    (project,) = (system.share / "projects").iterdir()
    assert (project / "stages" / "0002-look" / "log" / "out").read_text() == f"{OWNER}\n"
    assert len(system.api("GET", "/v1/jobs")) == 2
    assert {job["ID"] for job in system.api("GET", "/v1/jobs", namespace=SYSTEM)} == {"winslow", "winslow-store"}

    # whoever is killed comes back by itself, and a stage that was begun meanwhile ends
    for name in system.containers("n1"):
        system.docker("n1", "kill", name)
    when(lambda: running(system) == {"controller": 1, "worker": 2, "files": 1, "api": 1}, 90)
    container = next(name for name in system.containers("n1") if name.startswith("winslow-"))
    assert "succeeded" in system.docker("n1", "exec", container, "winslow", "show", "hello")


def give_certificates(cluster: Cluster, role: str, name: str) -> Path:
    """A directory of n1 as the jobs want it: ca.pem, and certificate and key of a role, called after the name if there
    is one."""
    assert cluster.certificates is not None
    directory = cluster.directory / "n1" / f"tls-{role}"
    directory.mkdir()
    certificate, key = cluster.certificates.of(role)
    names = {certificate: f"{name or 'cert'}.pem", key: f"{name}-key.pem" if name else "key.pem"}
    for source, target in {cluster.certificates.authority: "ca.pem", **names}.items():
        shutil.copy(source, directory / target)
        os.chown(directory / target, OWNER, OWNER)
    return directory


def deployed(cluster: Cluster) -> str:
    return str(cluster.api("GET", "/v1/job/winslow/deployment", namespace=SYSTEM)["Status"])


def running(cluster: Cluster) -> dict[str, int]:
    """Processes of Winslow by group, that have not ended once."""
    found: dict[str, int] = {}
    for allocation in cluster.api("GET", "/v1/job/winslow/allocations", namespace=SYSTEM):
        task = (allocation["TaskStates"] or {}).get("winslow", {})
        if allocation["ClientStatus"] == "running" and task.get("State") == "running":
            found[allocation["TaskGroup"]] = found.get(allocation["TaskGroup"], 0) + 1
    return found
