"""The files of `nomad/` and `jobspecs/`, as they are shipped, judged by a real Nomad. Only directories and addresses
are those of the test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.agents import SHARE_VOLUME
from tests.cluster.conftest import SHIPPED, token
from tests.cluster.nomad import NAMESPACE, Cluster, box, when
from tests.cluster.tools import Tools
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.client import Client

ROOT = Path(__file__).parents[2]
JOBSPECS = ROOT / "jobspecs"


def test_every_file_is_told_of() -> None:
    told = (ROOT / "docs" / "cluster.md").read_text()
    files = [*SHIPPED.iterdir(), *JOBSPECS.iterdir()]
    assert [str(file) for file in files if f"{file.parent.name}/{file.name}" not in told] == []


@pytest.mark.parametrize("files", ["server", "client", "client gpu", "server tls", "client gpu tls"])
def test_nomad_accepts_the_configuration(nomad_tools: Tools, files: str) -> None:
    paths = [SHIPPED / f"{file}.hcl" for file in files.split()]
    command: list[str | Path] = [nomad_tools.nomad, "config", "validate", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def test_a_server_means_what_its_configuration_says(shipped: Cluster) -> None:
    said = shipped.api("GET", "/v1/agent/self")["config"]
    assert said["Server"]["EventBufferSize"] == 10000
    assert said["Server"]["JobGCThreshold"] == "72h"
    assert said["Server"]["BatchEvalGCThreshold"] == "72h"
    assert said["Limits"]["HTTPMaxConnsPerClient"] == 300
    assert said["TLSConfig"]["VerifyHTTPSClient"] is True
    scheduler = shipped.api("GET", "/v1/operator/scheduler/configuration")["SchedulerConfig"]
    assert scheduler["MemoryOversubscriptionEnabled"] is True
    assert scheduler["PreemptionConfig"]["BatchSchedulerEnabled"] is False
    assert scheduler["PreemptionConfig"]["SystemSchedulerEnabled"] is False


def test_a_node_means_what_its_configuration_says(shipped: Cluster) -> None:
    node = shipped.node("n1")
    assert node["Meta"]["winslow_tags"] == ""
    volume = node["HostVolumes"][SHARE_VOLUME]
    assert (volume["Path"], volume["ReadOnly"]) == (str(shipped.share), False)
    assert [name for name, driver in node["Drivers"].items() if driver["Detected"]] == ["docker"]
    assert node["Attributes"]["driver.docker.volumes.enabled"] == "true"
    assert node["ReservedResources"]["Memory"]["MemoryMB"] == 2048
    with shipped.client(shipped.token, at="n1") as http:
        said = http.get("/v1/agent/self").json()["config"]["Client"]
    assert said["MaxKillTimeout"] == "24h"
    assert said["GCDiskUsageThreshold"] == 90
    assert said["GCMaxAllocs"] == 500


@pytest.mark.usefixtures("nomad_plugin")
def test_a_gpu_node_shows_its_gpus(shipped: Cluster) -> None:
    groups = shipped.node("n2")["NodeResources"]["Devices"]
    assert {group["Name"]: len(group["Instances"]) for group in groups} == {
        "NVIDIA GeForce RTX 4070": 2,
        "NVIDIA RTX A6000": 1,
    }


# -- rights ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def winslow(prepared: Cluster) -> Iterator[Client]:
    """The driver's own client, with the token that a real installation has."""
    certificate, key = prepared.certificates.of("cli") if prepared.certificates else ("", "")
    access = Access(
        address=prepared.address,
        token=token(prepared, "winslow"),
        ca=str(prepared.certificates.authority) if prepared.certificates else "",
        certificate=str(certificate),
        key=str(key),
    )
    client = Client(access)
    yield client
    client.close()


def with_the_share(job: dict[str, Any], volume: str = SHARE_VOLUME) -> dict[str, Any]:
    job["TaskGroups"][0]["Volumes"] = {"share": {"Name": "share", "Type": "host", "Source": volume}}
    return job


def test_namespaces_and_pool_are_there(prepared: Cluster) -> None:
    for name in (NAMESPACE, "winslow-system"):
        made = prepared.api("GET", f"/v1/namespace/{name}")
        assert made["Capabilities"]["EnabledTaskDrivers"] == ["docker"]
    assert prepared.api("GET", "/v1/node/pool/gpu")["Description"]


def test_the_token_of_winslow_does_all_that_the_driver_does(prepared: Cluster, winslow: Client) -> None:
    job = with_the_share(box("rights", "echo 12345 > $NOMAD_ALLOC_DIR/spool; sleep 300", KillTimeout=10**8))
    assert winslow.mistakes(job) == []
    assert winslow.register(job) > 0
    when(lambda: prepared.status("rights") == "running")
    (allocation,) = winslow.allocations_of("rights").items
    assert [a["ID"] for a in winslow.allocations().items] == [allocation["ID"]]
    assert [j["ID"] for j in winslow.jobs("rights", only_wanted=True).items] == ["rights"]
    assert (winslow.job("rights") or {})["ID"] == "rights"
    assert winslow.evaluations('JobID == "rights"').items
    nodes = winslow.nodes().items
    assert {node["Name"] for node in nodes} == {"n1", "n2"}
    assert (winslow.node(nodes[0]["ID"]) or {})["ID"] == nodes[0]["ID"]
    assert winslow.version() >= (1, 11, 3)
    when(lambda: winslow.size_of(allocation["ID"], "alloc/spool") == 6)
    assert winslow.bytes_of(allocation["ID"], "alloc/spool", 0, 5) == b"12345"
    winslow.deregister("rights")
    when(lambda: prepared.status("rights") == "complete")


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "/v1/job/plan-it/plan", {"Job": with_the_share(box("plan-it", "true"))}),
        ("GET", "/v1/operator/scheduler/configuration", None),
        ("GET", "/v1/client/stats?node_id=n1", None),
        ("GET", "/v1/evaluations", None),
    ],
)
def test_the_token_of_winslow_may_ask(
    prepared: Cluster, winslow: Client, method: str, path: str, body: dict[str, Any] | None
) -> None:
    path = path.replace("=n1", f"={prepared.node_id('n1')}")
    with prepared.client(winslow.access.token) as http:
        answer = http.request(method, path, json=body, params=winslow.access.parameters if "?" not in path else None)
    assert answer.status_code == 200, answer.text


def test_the_token_of_winslow_may_follow_events(winslow: Client) -> None:
    topics = {"topic": ["Allocation", "Evaluation", "Job", "Node"], "index": "0"}
    with winslow.access.stream_client(40) as http, http.stream("GET", "/v1/event/stream", params=topics) as answer:
        assert next(answer.iter_lines()) == "{}"


def elsewhere(namespace: str) -> dict[str, Any]:
    return {"Job": {**box("elsewhere", "true"), "Namespace": namespace}}


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "/v1/jobs?namespace=default", elsewhere("default")),
        ("POST", "/v1/jobs?namespace=winslow-system", elsewhere("winslow-system")),
        ("GET", "/v1/jobs?namespace=winslow-system", None),
        ("POST", "/v1/jobs?namespace=winslow", {"Job": with_the_share(box("other", "true"), "winslow-home")}),
        ("PUT", "/v1/node/n1/drain", {"DrainSpec": {"Deadline": 10**9}}),
        ("PUT", "/v1/node/n1/eligibility", {"Eligibility": "ineligible"}),
        ("PUT", "/v1/node/n1/purge", None),
        ("PUT", "/v1/operator/scheduler/configuration", {"SchedulerAlgorithm": "spread"}),
        ("PUT", "/v1/system/gc", None),
        ("GET", "/v1/acl/tokens", None),
        ("PUT", "/v1/namespace/other", {"Name": "other"}),
        ("GET", "/v1/var/nomad/jobs?namespace=winslow-system", None),
        ("GET", "/v1/agent/self", None),
        ("GET", "/v1/operator/snapshot", None),
    ],
)
def test_the_token_of_winslow_may_do_nothing_else(
    prepared: Cluster, winslow: Client, method: str, path: str, body: dict[str, Any] | None
) -> None:
    with prepared.client(winslow.access.token) as http:
        answer = http.request(method, path.replace("/n1/", f"/{prepared.node_id('n1')}/"), json=body)
    assert answer.status_code == 403, answer.text
    assert prepared.node("n1")["SchedulingEligibility"] == "eligible"


def test_the_token_that_the_pages_tell_to_make_is_made(prepared: Cluster) -> None:
    """Nomad allows a day, unless the server is told otherwise."""
    (command,) = {
        line.strip().removeprefix("nomad ")
        for line in (ROOT / "docs" / "cluster.md").read_text().splitlines()
        if line.strip().startswith("nomad acl token create -name winslow -policy winslow -ttl")
    }
    assert "Secret ID" in prepared.command(*command.split()).stdout


def test_the_agent_of_a_node_asks_for_a_token_too(prepared: Cluster) -> None:
    with prepared.client(at="n1") as nobody, prepared.client(token(prepared, "winslow"), at="n1") as weak:
        for http in (nobody, weak):
            assert http.get("/v1/agent/self").status_code == 403
        assert nobody.get("/v1/client/stats").status_code == 403


def test_nodes_are_drained_with_the_policy_for_that_and_jobs_are_not_submitted(prepared: Cluster) -> None:
    path = f"/v1/node/{prepared.node_id('n1')}/eligibility"
    with prepared.client(token(prepared, "winslow-nodes")) as http:
        for word in ("ineligible", "eligible"):
            assert http.put(path, json={"Eligibility": word}).status_code == 200
            assert prepared.node("n1")["SchedulingEligibility"] == word
        assert http.post(f"/v1/jobs?namespace={NAMESPACE}", json={"Job": box("no", "true")}).status_code == 403


def test_a_stage_may_use_more_memory_than_is_reserved_for_it(prepared: Cluster, winslow: Client) -> None:
    job = box("memory", "sleep 300", Resources={"CPU": 50, "MemoryMB": 32, "MemoryMaxMB": 64}, KillTimeout=10**8)
    winslow.register(job)
    when(lambda: prepared.status("memory") == "running")
    name = "n1" if prepared.containers("n1") else "n2"
    (container,) = prepared.containers(name)
    assert prepared.docker(name, "inspect", "--format", "{{.HostConfig.Memory}}", container).strip() == str(64 << 20)
    winslow.deregister("memory")
    when(lambda: prepared.status("memory") == "complete")


def test_only_docker_runs_in_the_namespace_of_attempts(prepared: Cluster) -> None:
    job = box("raw", "true")
    job["TaskGroups"][0]["Tasks"][0] |= {"Driver": "raw_exec", "Config": {"command": "/bin/true"}}
    with prepared.client(prepared.token) as http:
        answer = http.post("/v1/jobs", json={"Job": job}, params={"namespace": NAMESPACE})
    assert answer.status_code == 500 and "raw_exec" in answer.text
