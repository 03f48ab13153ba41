"""Nodes over REST."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from starlette.testclient import TestClient

from tests.api.conftest import World
from tests.api.test_projects import new
from tests.api.test_projects_commands import Runs
from tests.builders import START, HandClock
from tests.waiting import until
from winslow_nomad.bootstrap.watching import Watching, cells, sample
from winslow_nomad.core.inventory import GpuGroup, Node
from winslow_nomad.core.nodes import Busy, CardLoad, Load, NodeNow
from winslow_nomad.driver.local.load import LocalLoads, Ticks, busy_cores
from winslow_nomad.driver.local.machine import this_machine

PATH = "/api/v1/nodes"


def test_this_machine_is_listed_with_what_it_has_and_how_busy_it_is(viewer: TestClient) -> None:
    found = viewer.get(PATH).json()
    node = found["items"][0]
    assert node["name"] == this_machine().host and node["driver"] == "local"
    assert (node["state"], node["busy"], node["ready"]) == ("idle", [], True)
    assert node["cpu"] > 0 and 0 < node["load"]["memory"] < 2**50
    assert node["load"]["up"] > 0 and node["load"]["facts"]["kernel"]
    assert (found["running"], found["waiting"]) == (0, 0)
    assert viewer.get(f"{PATH}/{node['name']}").json()["name"] == node["name"]
    assert viewer.get(f"{PATH}/nowhere").json()["code"] == "node.not_found"
    load = until(lambda: viewer.get(f"{PATH}/{node['name']}").json()["load"], every=0.3)
    assert load["disk_total"] >= load["disk_free"] > 0


def test_a_node_shows_what_works_on_it_and_hides_what_is_not_yours(
    member: TestClient, admin: TestClient, world: World
) -> None:
    host = this_machine().host
    for name, members in (("open", None), ("secret name", [])):
        project = new(admin, name, start=True, participants=members)["id"]
        Runs(world, project).start(1, node=host)
    new(admin, "waits", start=True)
    mine = member.get(f"{PATH}/{host}").json()
    assert mine["state"] == "ready" and mine["idle_since"] is None
    assert sorted(b["name"] for b in mine["busy"]) == ["a project that is not yours", "open"]
    assert "secret name" not in member.get(PATH).text
    everything = admin.get(PATH).json()
    assert sorted(b["name"] for b in everything["items"][0]["busy"]) == ["open", "secret name"]
    assert (everything["running"], everything["waiting"]) == (2, 1)
    busy = next(b for b in everything["items"][0]["busy"] if b["name"] == "open")
    assert (busy["id"], busy["cpu"], busy["attempt"]) == ("detect", 1.0, 1) and busy["since"]


def test_only_maintainers_drain_and_the_local_driver_says_why_it_cannot(
    member: TestClient, maintainer: TestClient
) -> None:
    host = this_machine().host
    assert member.get(PATH).json()["items"][0]["can_drain"] is False
    assert member.post(f"{PATH}/{host}/drain", json={"text": "new fan"}).status_code == 403
    for what in ("drain", "undrain"):
        refused = maintainer.post(f"{PATH}/{host}/{what}", json={"text": "new fan"})
        assert (refused.status_code, refused.json()["code"]) == (409, "driver.no_drain"), what
        assert refused.json()["hint"]


def test_somebody_who_looks_keeps_samples_and_progress_and_when_a_node_was_used(
    member: TestClient, world: World
) -> None:
    host = this_machine().host
    world.installation.install_runner()  # establishes the share
    project = new(member, start=True)["id"]
    runs = Runs(world, project)
    runs.start(1, node=host)
    attempt = world.installation.settings.share / "projects" / project / "stages/0001-detect/attempts/1"
    attempt.mkdir(parents=True)
    (attempt / "heartbeat").write_text('{"counter":3,"cpu_seconds":7.5,"memory_bytes":4096,"progress":41.5}')
    watching = Watching(world.installation, "test")
    watching.step()
    assert member.get(f"/api/v1/projects/{project}").json()["stages"][0]["progress"]["percent"] == 41.5
    samples = member.get(f"{PATH}/{host}/samples").json()["items"]
    assert len(samples) == 1 and 0 < samples[0]["memory"] <= 100
    runs.end(1)
    Watching(world.installation, "test").progress()
    assert world.services.progress.all() == {}
    assert until(lambda: member.get(f"{PATH}/{host}").json()["idle_since"], every=0.2)
    wrong = member.get(f"{PATH}/{host}/samples", params={"since": "2020-01-01T00:00:00Z"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "request.span")


def a_node(**changes: object) -> Node:
    gpus = (GpuGroup(model="RTX 4080", memory=2**34, count=2, used=1),)
    return Node(**{"name": "alder", "cpu": 8, "memory": 2**35, "gpus": gpus, **changes})


def test_idle_gpu_seconds_have_the_reason_of_their_time() -> None:
    busy = Busy(project="p", name="P", stage=1, id="detect", attempt=1, cpu=1, memory=1, gpus=1)
    ready = NodeNow(driver="x", node=a_node(), busy=(busy,))
    down = NodeNow(driver="x", node=a_node(name="birch", ready=False, gpus=(GpuGroup(model="A", memory=1, count=1),)))
    found = {(c.what, c.stage): n for c, n in cells([ready, down], START, 10, "person").items()}
    assert found == {
        ("gpu_total", "alder"): 20, ("gpu_idle_person", "alder"): 10, ("node_total", "alder"): 10,
        ("gpu_total", "birch"): 10, ("gpu_idle_down", "birch"): 10, ("node_total", "birch"): 10,
        ("node_idle", "birch"): 10,
    }  # fmt: skip


def test_a_sample_is_in_percent_of_what_the_node_has() -> None:
    cards = (
        CardLoad(index=0, model="A", memory=100, memory_used=50, percent=90.0),
        CardLoad(index=1, model="A", memory=100, memory_used=None, percent=None),
    )
    load = Load(at=START, cpu=2.0, memory=2**34, cards=cards)
    found = sample(NodeNow(driver="x", node=a_node(), load=load), START)
    assert (found.cpu, found.memory, found.gpu, found.gpu_memory) == (25.0, 50.0, 90.0, 50.0)
    assert (found.gpus_used, found.gpus) == (1, 2)
    assert sample(NodeNow(driver="x", node=a_node()), START).cpu is None


def test_busy_cores_are_counted_between_two_looks(tmp_path: Path) -> None:
    from os import cpu_count

    whole = cpu_count() or 1
    assert busy_cores(Ticks(0.0, 100, 1000), Ticks(1.0, 150, 1100)) == whole / 2
    assert busy_cores(Ticks(0.0, 100, 1000), Ticks(1.0, 100, 1000)) == 0.0
    clock = HandClock()
    loads = LocalLoads(machine=this_machine(), home=tmp_path, disk=tmp_path / "gone", clock=clock, cards=list)
    clock.pass_by(timedelta(seconds=1).total_seconds())
    found = loads.loads()[this_machine().host]
    assert (found.disk_free, found.cards) == (None, ())
