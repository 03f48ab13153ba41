"""Nodes as Nomad describes them, and what admission makes of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.driver.nomad import replay
from tests.driver.nomad.documents import RTX_4070, RTX_A6000, allocation, gpu_device, node
from tests.driver.nomad.jobs import SITE
from winslow_nomad.core.admit import possible
from winslow_nomad.core.inventory import GpuGroup
from winslow_nomad.core.pipeline import GIB, MIB, Gpu, Placement, Resources
from winslow_nomad.driver.nomad import examine
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.client import Client
from winslow_nomad.driver.nomad.nodes import NodeDetail, inventory, read_nodes

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def one(document: dict[str, Any], *allocations: dict[str, Any], **site: Any) -> NodeDetail:
    (found,) = read_nodes([document], allocations, SITE.but(**site))
    return found


def test_a_node_is_counted_in_cores_and_bytes_and_cards() -> None:
    found = one(node("birch", [RTX_A6000, RTX_4070], cores=16, mhz=2600))
    assert (found.node.name, found.node.cpu, found.node.memory, found.node.ready) == ("birch", 16.0, 32 * GIB, True)
    assert found.node.gpus == (
        GpuGroup(model="NVIDIA GeForce RTX 4070", memory=12282 * MIB, count=2),
        GpuGroup(model="NVIDIA RTX A6000", memory=49140 * MIB, count=1),
    )
    assert (found.core_mhz, found.nomad, found.docker, found.architecture) == (2600.0, "2.0.6", "28.5.1", "amd64")
    assert (found.system, found.volumes, found.lacks, found.node.note) == ("debian 12.11", ("winslow-share",), (), "")


def test_what_the_agent_keeps_back_is_not_there() -> None:
    reserved = {"Cpu": {"CpuShares": 1500}, "Memory": {"MemoryMB": 1024}, "Disk": {"DiskMB": 0}}
    found = one(node("alder", cores=8, mhz=3000, ReservedResources=reserved)).node
    assert (found.cpu, found.memory) == (7.5, 31 * GIB)


def test_everything_that_is_not_over_uses_its_node_whoever_it_belongs_to() -> None:
    birch = node("birch", [RTX_4070, RTX_A6000])
    small, stopped = ("NVIDIA GeForce RTX 4070", ["GPU-4070-b"]), {"ClientStatus": "unknown", "DesiredStatus": "stop"}
    used = [
        allocation(birch, cpu=4500, memory=2048),
        allocation(birch, cpu=0, cores=[3, 4], memory=1024, Namespace="winslow"),
        allocation(birch, gpus=small, **stopped),
        allocation(birch, gpus=("NVIDIA RTX A6000", ["GPU-a6000"]), ClientStatus="pending"),
    ]
    over = [allocation(birch, ClientStatus=s, gpus=("NVIDIA GeForce RTX 4070", ["GPU-4070-a"])) for s in ENDED]
    elsewhere = allocation(node("alder"))
    found = one(birch, *used, *over, elsewhere).node
    assert (found.cpu_used, found.memory_used) == (1.5 + 2 + 1 + 1, 5 * GIB)
    assert [(g.count, g.used) for g in found.gpus] == [(2, 1), (1, 1)]


ENDED = ("complete", "failed", "lost")


def test_a_card_that_is_not_healthy_is_not_there() -> None:
    broken = gpu_device("NVIDIA GeForce RTX 4070", 12282, ("a", "b"))
    broken["Instances"][0]["Healthy"] = False
    assert [g.count for g in one(node("birch", [broken])).node.gpus] == [1]
    broken["Instances"][1]["Healthy"] = False
    assert one(node("birch", [broken])).node.gpus == ()


@pytest.mark.parametrize(("unit", "amount"), [("MiB", 8192), ("GiB", 8), ("KiB", 8 << 20), ("", 8192)])
def test_the_memory_of_a_card_is_read_in_its_own_unit(unit: str, amount: int) -> None:
    assert one(node("x", [gpu_device("T4", amount, ("a",), unit)])).node.gpus[0].memory == 8 * GIB


def test_devices_that_are_no_gpus_of_nvidia_are_not_offered() -> None:
    other = gpu_device("Arc", 8192, ("a",)) | {"Vendor": "intel"}
    capture = gpu_device("Card", 8192, ("a",)) | {"Type": "capture"}
    assert one(node("x", [other, capture])).node.gpus == ()


def test_cards_without_the_runtime_for_them_are_not_offered_and_the_node_says_why() -> None:
    birch = node("birch", [RTX_4070])
    birch["Attributes"] |= {"driver.docker.runtimes": "io.containerd.runc.v2,runc"}
    found = one(birch)
    assert (found.node.gpus, found.node.ready) == ((), True)
    assert "no runtime nvidia" in found.node.note
    assert "no runtime nvidia" in found.lacks[0]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"Status": "down"}, "it is down"),
        ({"Status": "disconnected"}, "it is cut off from Nomad"),
        ({"Status": "initializing"}, "it is initializing"),
        ({"Drain": True, "SchedulingEligibility": "ineligible"}, "it is being drained"),
        ({"DrainStrategy": {"Deadline": 1}}, "it is being drained"),
        ({"SchedulingEligibility": "ineligible"}, "it takes no new work (ineligible)"),
        ({"HostVolumes": {}}, "it does not offer the share (host volume winslow-share)"),
        (
            {"HostVolumes": {"winslow-share": {"ReadOnly": True}}},
            "it offers the share read-only (host volume winslow-share)",
        ),
        ({"Drivers": {}}, "docker does not work there (not detected)"),
        (
            {"Drivers": {"docker": {"Detected": True, "Healthy": False, "HealthDescription": "Failed to connect"}}},
            "docker does not work there (Failed to connect)",
        ),
    ],
)
def test_a_node_that_cannot_be_used_stays_listed_and_says_why(changes: dict[str, Any], note: str) -> None:
    found = one(node("birch", [RTX_4070]) | changes)
    assert (found.node.ready, found.node.note) == (False, note)
    assert found.node.gpus, "what it has is known all the same: to be busy is not to be impossible"


def drain_of(said: str, status: str = "complete") -> dict[str, Any]:
    return {"LastDrain": {"Status": status, "Meta": {"message": said}}}


DRAINED = {"Message": "Node drain complete"}
BY_HAND = {"Message": "Node marked as ineligible for scheduling"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        (drain_of("an old one") | {"Events": [DRAINED]}, ""),
        ({"Drain": True} | drain_of("new disks", "draining"), "new disks"),
        ({"DrainStrategy": {"Deadline": 1}} | drain_of("new disks", "draining"), "new disks"),
        ({"Drain": True}, "drained by Nomad's operators"),
        (drain_of("new disks") | {"Events": [BY_HAND, DRAINED]}, "new disks"),
        (drain_of("") | {"Events": [DRAINED]}, "made ineligible by Nomad's operators"),
        (drain_of("new disks") | {"Events": [DRAINED, BY_HAND]}, "made ineligible by Nomad's operators"),
        (drain_of("new disks", "canceled") | {"Events": [DRAINED]}, "made ineligible by Nomad's operators"),
        (drain_of("new disks") | {"Events": [DRAINED, {"Message": "Node heartbeat missed"}]}, "new disks"),
        ({"Events": None, "LastDrain": None}, "made ineligible by Nomad's operators"),
    ],
)
def test_a_node_that_takes_no_work_says_who_wanted_it_so_and_why(changes: dict[str, Any], why: str) -> None:
    draining = "Drain" in changes or "DrainStrategy" in changes
    eligible = not why
    found = one(node("birch", SchedulingEligibility="eligible" if eligible else "ineligible") | changes)
    assert (found.drained_for, found.draining, found.eligible) == (why, draining, eligible)


def test_docker_that_mounts_nothing_is_said_to_need_its_setting() -> None:
    alder = node("alder")
    alder["Attributes"] |= {"driver.docker.volumes.enabled": "false"}
    assert "volumes.enabled" in one(alder).node.note


def test_a_node_in_a_pool_without_a_share_root_is_not_ready() -> None:
    assert "nobody said where the share is" in one(node("alder"), share_roots={"other": "/mnt"}).node.note


def test_pools_are_called_as_in_pipelines_and_those_that_no_pipeline_can_ask_for_are_left_out() -> None:
    nodes = [node("alder", NodePool="workstations"), node("birch", NodePool="default"), node("cedar", NodePool="big")]
    found = read_nodes(nodes, [], SITE.but(pools={"default": "workstations"}))
    assert [(n.node.name, n.node.pool, n.node_pool) for n in found] == [
        ("alder", "default", "workstations"),
        ("cedar", "big", "big"),
    ]


def test_of_a_node_that_came_back_under_another_id_only_the_living_one_counts() -> None:
    old = node("alder", Status="down", ModifyIndex=99) | {"ID": "old"}
    new = node("alder", ModifyIndex=50) | {"ID": "new"}
    for order in ([old, new], [new, old]):
        assert [n.id for n in read_nodes(order, [], SITE)] == ["new"]


def test_an_inventory_tells_what_is_impossible_and_when_it_was_seen() -> None:
    known = inventory(read_nodes([node("alder"), node("birch", [RTX_4070, RTX_A6000])], [], SITE), NOW)
    assert (known.driver, known.seen, [n.name for n in known.nodes]) == ("nomad", NOW, ["alder", "birch"])
    assert possible(Resources(gpu=Gpu(count=2, memory=8 * GIB)), Placement(), known) is None
    text = possible(Resources(gpu=Gpu(count=3)), Placement(), known)
    assert text is not None and "the most are 2 RTX 4070 on birch" in text


def test_the_whole_documents_that_a_real_nomad_sent_can_be_read_at_every_moment() -> None:
    seen: set[tuple[str, bool]] = set()
    for name in replay.groups():
        for line in replay.group(name).get("", {"events": []})["events"]:
            for _, _, document, _ in line:
                found = one(document)
                seen.add((found.status, found.eligible))
                assert (found.node.cpu, found.node.memory) == (2.0, 4000 * MIB)
                assert (found.core_mhz, found.nomad, found.architecture) == (2000.0, "2.0.6-dev", "amd64")
                assert found.docker == "20.10.24+dfsg1" or found.drivers["docker"] != "healthy"
    assert seen >= {("ready", True), ("ready", False), ("disconnected", True), ("down", True), ("initializing", True)}


PARTS = ["Attributes", "Meta", "Drivers", "HostVolumes", "NodeResources", "ReservedResources"]


@pytest.mark.parametrize("missing", PARTS)
def test_a_document_with_parts_missing_is_a_node_that_lacks_them(missing: str) -> None:
    whole = node("birch", [RTX_4070])
    for document in ({k: v for k, v in whole.items() if k != missing}, whole | {missing: None}):
        assert one(document, allocation(whole)).node.name == "birch"


def test_machines_of_one_name_are_each_a_node_told_apart_by_their_ids() -> None:
    """Copies of one disk, or of one configuration: to Nomad a name is no more than a label."""
    first, second = "1a2b3c4d-0000-0000-0000-000000000001", "5e6f7a8b-0000-0000-0000-000000000002"
    here: dict[str, Any] = {"HTTPAddr": ""}  # agents that nobody reaches
    documents = [node("birch", ID=first, **here)]
    documents += [node("birch", [RTX_A6000], ID=second, Meta={"winslow_tags": "fast-disk"}, **here)]
    found = read_nodes(documents, [allocation(documents[0], cpu=3000)], SITE)
    assert [(n.node.name, n.node.cpu_used) for n in found] == [("birch (1a2b3c4d)", 1.0), ("birch (5e6f7a8b)", 0.0)]
    assert {n.shares_name for n in found} == {"birch"}
    for require in ("fast-disk", "node.birch"):
        wanted = Resources(cpu=1, memory=GIB, gpu=Gpu(count=1)), Placement(require=(require,))
        assert possible(*wanted, inventory(found, NOW)) is None
    warned = [f for f in examine.nodes(found, Client(Access())) if f.severity == "warning"]
    assert [(f.subject, "others are called birch, too" in f.text) for f in warned] == [
        ("birch (1a2b3c4d)", True),
        ("birch (5e6f7a8b)", True),
    ]
