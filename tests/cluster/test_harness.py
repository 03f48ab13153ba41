"""The test cluster itself: what the other tests of this folder rely on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.conftest import CARDS
from tests.cluster.keeper import interface, links
from tests.cluster.nomad import SHARE_VOLUME, Cluster, Node, box, when

ROOT = Path(__file__).parents[2]


def counting(cluster: Cluster, name: str, **task: object) -> tuple[dict[str, object], Callable[[], int]]:
    """A job that counts on the share, and how far it got."""
    file = cluster.share / name
    file.mkdir()
    mount = {"type": "bind", "source": str(file), "target": "/out"}
    script = "i=0; while true; do i=$((i+1)); echo $i > /out/now.part; mv /out/now.part /out/now; sleep 0.05; done"
    now = file / "now"
    job = box(name, script, Config={"mount": [mount]}, **task)
    return job, lambda: int(now.read_text()) if now.exists() else 0


def goes_on(count: Callable[[], int]) -> None:
    before = count()
    when(lambda: count() > before, 10)


def on(job: dict[str, object], node: str) -> dict[str, object]:
    return {**job, "Constraints": [{"LTarget": "${node.unique.name}", "RTarget": node, "Operand": "="}]}


def test_every_node_is_ready_with_docker_and_the_share(nomad_cluster: Cluster) -> None:
    for name in ("n1", "n2"):
        node = nomad_cluster.node(name)
        assert node["Status"] == "ready"
        assert node["Drivers"]["docker"]["Healthy"] is True
        assert node["HostVolumes"][SHARE_VOLUME]["Path"] == str(nomad_cluster.share)
        assert "nvidia" in node["Attributes"]["driver.docker.runtimes"]


def test_a_job_has_the_directories_it_is_given_and_writes_only_where_it_may(cluster: Cluster) -> None:
    for name in ("given", "made"):
        (cluster.share / name).mkdir()
    (cluster.share / "given" / "word").write_text("hello")
    mounts = [
        {"type": "bind", "source": str(cluster.share / "given"), "target": "/in", "readonly": True},
        {"type": "bind", "source": str(cluster.share / "made"), "target": "/out"},
    ]
    script = "cat /in/word > /out/word; touch /in/more 2> /out/refused; ls / > /out/root"
    cluster.submit(box("mounts", script, Config={"mount": mounts}))
    when(lambda: cluster.status("mounts") == "complete")
    assert (cluster.share / "made" / "word").read_text() == "hello"
    assert "Read-only" in (cluster.share / "made" / "refused").read_text()
    assert "alloc" in (cluster.share / "made" / "root").read_text().split()


def test_what_the_share_lacks_is_not_made_up(cluster: Cluster) -> None:
    missing = cluster.share / "missing"
    cluster.submit(box("missing", "true", Config={"mount": [{"type": "bind", "source": str(missing), "target": "/x"}]}))
    when(lambda: cluster.status("missing") == "failed")
    events = cluster.allocations("missing")[0]["TaskStates"]["main"]["Events"]
    assert any("bind source path does not exist" in event["Details"].get("driver_error", "") for event in events)
    assert not missing.exists()


@pytest.mark.parametrize("mode, cards", [(None, ["eth0", "lo"]), ("none", ["lo"])])
def test_docker_networks_work(cluster: Cluster, mode: str | None, cards: list[str]) -> None:
    name = f"network-{mode}"
    (cluster.share / name).mkdir()
    mount = {"type": "bind", "source": str(cluster.share / name), "target": "/out"}
    config = {"mount": [mount], **({"network_mode": mode} if mode else {})}
    cluster.submit(box(name, "ls /sys/class/net > /out/cards", Config=config))
    when(lambda: cluster.status(name) == "complete")
    seen = (cluster.share / name / "cards").read_text().split()
    assert [card for card in seen if card in ("eth0", "lo")] == cards


def test_a_node_that_is_cut_off_works_on_and_comes_back(cluster: Cluster) -> None:
    job, count = counting(cluster, "cut")
    cluster.submit(on(job, "n1"))
    when(lambda: cluster.status("cut") == "running")
    cluster.cut("n1")
    when(lambda: cluster.node_status("n1") == "disconnected")
    assert cluster.status("cut") == "unknown"
    goes_on(count)
    assert cluster.node_status("n2") == "ready"
    cluster.rejoin("n1")
    when(lambda: cluster.status("cut") == "running")
    assert cluster.node_status("n1") == "ready"
    assert len(cluster.allocations("cut")) == 1


def test_a_killed_agent_finds_its_container_again(cluster: Cluster) -> None:
    job, count = counting(cluster, "agent")
    cluster.submit(on(job, "n1"))
    when(lambda: cluster.status("agent") == "running" and count() > 0)
    running = cluster.containers("n1")
    cluster.kill_agent("n1")
    goes_on(count)
    cluster.restart_agent("n1")
    cluster.wait_ready("n1")
    goes_on(count)
    assert cluster.containers("n1") == running
    assert len(cluster.allocations("agent")) == 1


def test_a_node_whose_state_was_lost_comes_back_as_another(cluster: Cluster) -> None:
    before = cluster.node_id("n1")
    cluster.kill_agent("n1")
    cluster.wipe_client_state("n1")
    cluster.restart_agent("n1")
    when(lambda: cluster.node_id("n1") != before)
    cluster.wait_ready("n1")


def test_containers_outlive_their_docker_if_it_is_told_to_take_them_up(cluster: Cluster) -> None:
    job, count = counting(cluster, "docker")
    cluster.submit(on(job, "n1"))
    when(lambda: count() > 0)
    cluster.kill_docker("n1")
    goes_on(count)
    cluster.restart_docker("n1", live_restore=True)
    goes_on(count)
    assert len(cluster.containers("n1")) == 1


def test_a_node_without_power_runs_nothing(cluster: Cluster) -> None:
    job, count = counting(cluster, "power")
    cluster.submit(on(job, "n1"))
    when(lambda: count() > 0)
    cluster.power_off("n1")
    last = count()
    when(lambda: cluster.node_status("n1") == "disconnected")
    assert count() == last
    cluster.power_on("n1")
    cluster.wait_ready("n1")


def test_a_node_can_lose_the_share(cluster: Cluster) -> None:
    (cluster.share / "there").mkdir()
    mount = {"type": "bind", "source": str(cluster.share / "there"), "target": "/x"}
    cluster.lose_share("n1")
    cluster.submit(on(box("lost", "true", Config={"mount": [mount]}), "n1"))
    when(lambda: cluster.status("lost") == "failed")
    cluster.regain_share("n1")
    cluster.submit(on(box("regained", "true", Config={"mount": [mount]}), "n1"))
    when(lambda: cluster.status("regained") == "complete")


def test_a_drained_node_gives_up_its_work_and_takes_none(cluster: Cluster) -> None:
    job, _ = counting(cluster, "drained", KillTimeout=10**8)
    cluster.submit(on(job, "n1"))
    when(lambda: cluster.status("drained") == "running")
    cluster.drain("n1")
    when(lambda: cluster.status("drained") == "complete")
    assert cluster.node("n1")["SchedulingEligibility"] == "ineligible"
    cluster.undrain("n1")
    assert cluster.node("n1")["SchedulingEligibility"] == "eligible"


@pytest.mark.usefixtures("nomad_plugin")
def test_gpus_are_seen_lost_and_found(cluster: Cluster) -> None:
    def seen() -> list[tuple[str, int, list[str]]]:
        return sorted(
            (
                group["Name"],
                group["Attributes"]["memory"]["Int"],
                sorted(instance["ID"] for instance in group["Instances"]),
            )
            for group in cluster.node("n2")["NodeResources"]["Devices"] or []
        )

    small = ("NVIDIA GeForce RTX 4070", 12282, ["GPU-4070-a", "GPU-4070-b"])
    large = ("NVIDIA RTX A6000", 49140, ["GPU-a6000"])
    assert seen() == [small, large]
    assert not cluster.node("n1")["NodeResources"]["Devices"]
    cluster.set_gpus("n2", CARDS[:2])
    when(lambda: seen() == [small])
    cluster.set_gpus("n2", CARDS)
    when(lambda: seen() == [small, large])


@pytest.mark.usefixtures("nomad_plugin")
def test_a_job_gets_the_gpu_it_asks_for(cluster: Cluster) -> None:
    (cluster.share / "gpu").mkdir()
    mount = {"type": "bind", "source": str(cluster.share / "gpu"), "target": "/out"}
    fits = {"LTarget": "${device.attr.memory}", "RTarget": "40 GiB", "Operand": ">="}
    asks = {"CPU": 50, "MemoryMB": 32, "Devices": [{"Name": "nvidia/gpu", "Count": 1, "Constraints": [fits]}]}
    script = "echo $NVIDIA_VISIBLE_DEVICES > /out/gpu"
    cluster.submit(box("gpu", script, Config={"mount": [mount]}, Resources=asks))
    when(lambda: cluster.status("gpu") == "complete")
    assert (cluster.share / "gpu" / "gpu").read_text().strip() == "GPU-a6000"


def test_a_server_comes_back_with_what_it_knew(cluster: Cluster) -> None:
    job, count = counting(cluster, "server")
    cluster.submit(job)
    when(lambda: cluster.status("server") == "running")
    cluster.kill_server()
    goes_on(count)
    cluster.restart_server()
    assert cluster.status("server") == "running"


def test_three_servers_choose_another_leader(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(nodes=1, servers=3)
    addresses = {f"{cluster.rack.machines[name].address}:4647": name for name in cluster.server_names}
    leader = addresses[cluster.api("GET", "/v1/status/leader")]
    cluster.kill_server(leader)
    other = next(name for name in cluster.server_names if name != leader)
    with cluster.client(at=other) as http:
        when(lambda: (now := http.get("/v1/status/leader")).is_success and addresses.get(now.json(), leader) != leader)
        assert http.get("/v1/nodes").json()[0]["Status"] == "ready"


def test_a_cluster_with_rights_and_certificates_refuses_strangers(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(nodes=1, acl=True, tls=True)
    assert cluster.address.startswith("https://")
    with cluster.client("") as stranger:
        assert stranger.get("/v1/jobs").status_code == 403
        assert stranger.post("/v1/jobs", json={"Job": box("no", "true")}).status_code == 403
    cluster.submit(box("yes", "true"))
    when(lambda: cluster.status("yes") == "complete")
    assert "yes" in cluster.command("job", "status").stdout


def test_two_clusters_live_side_by_side(nomad_cluster: Cluster, start_cluster: Callable[..., Cluster]) -> None:
    other = start_cluster([Node("n1", meta={"colour": "red"})])
    assert other.address != nomad_cluster.address
    other.submit(box("theirs", "true"))
    when(lambda: other.status("theirs") == "complete")
    assert "theirs" not in [job["ID"] for job in nomad_cluster.api("GET", "/v1/jobs")]
    assert other.node("n1")["Meta"]["colour"] == "red"
    assert "colour" not in nomad_cluster.node("n1")["Meta"]


@pytest.mark.usefixtures("nomad_tools")
def test_nothing_is_left_of_a_cluster_whose_process_was_killed() -> None:
    script = """
from tests.cluster.nomad import Cluster, box, when
cluster = Cluster.start(1)
cluster.submit(box("left", "sleep 1000"))
when(lambda: cluster.status("left") == "running")
print(cluster.rack.slot, cluster.rack.machines["n1"].first, flush=True)
input()
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        slot, first = (int(word) for word in process.stdout.readline().split())
        inside = os.stat(f"/proc/{first}/ns/pid_for_children").st_ino
        process.kill()

    def left() -> list[str]:
        processes = [str(pid) for pid in Path("/proc").glob("[0-9]*") if namespace_of(pid) == inside]
        spaces = [space.name for space in Path("/run/netns").glob(f"{interface(slot)}-*")]
        groups = [str(group) for group in Path("/sys/fs/cgroup").glob(f"*/{interface(slot)}-*")]
        directory = Path(f"/tmp/winslow-cluster-{slot}")
        return processes + links(slot) + spaces + groups + [str(directory)] * directory.exists()

    when(lambda: not left(), 20)


def namespace_of(process: Path) -> int:
    try:
        return os.stat(process / "ns" / "pid").st_ino
    except OSError:
        return 0


def test_without_nomad_the_tests_are_skipped_with_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    environment.pop("WINSLOW_TEST_NOMAD", None)
    chosen = ["-k", "ready_with_docker or drained or side_by_side or lose_the_share"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, __file__]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    lines = [line for line in done.stdout.splitlines() if "Nomad tests skipped" in line]
    assert len(lines) == 1, done.stdout
    assert "[4]" in lines[0] and "no nomad binary on PATH or named by WINSLOW_TEST_NOMAD" in lines[0]


def test_an_agent_can_be_ended_in_an_orderly_way(cluster: Cluster) -> None:
    cluster.kill_agent("n1", signal.SIGTERM)
    assert not cluster.agents["n1"].running
    when(lambda: cluster.node_status("n1") in ("down", "disconnected"))


@pytest.mark.chaos
def test_the_image_of_the_traffic_pipeline_has_what_its_stages_need(cluster: Cluster) -> None:
    cluster.add_image(images.traffic(), ["n1"])
    (cluster.share / "traffic").mkdir()
    mounts = [
        {"type": "bind", "source": str(cluster.share / "traffic"), "target": "/out"},
        {"type": "bind", "source": str(ROOT / "pipelines" / "traffic"), "target": "/pipeline", "readonly": True},
    ]
    script = "cd /pipeline && python -c 'import numpy, cv2, av, roadusers; print(cv2.__version__)' > /out/version"
    config = {"mount": mounts, "image": images.TRAFFIC}
    cluster.submit(on(box("traffic", script, Config=config, Resources={"CPU": 500, "MemoryMB": 512}), "n1"))
    when(lambda: cluster.status("traffic") == "complete")
    assert (
        f"opencv-python-headless=={(cluster.share / 'traffic' / 'version').read_text().strip()}"
        in (ROOT / "pipelines" / "traffic" / "requirements.txt").read_text()
    )
