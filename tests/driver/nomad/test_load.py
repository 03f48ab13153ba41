"""What is made of the figures of nodes, and of nodes that give none."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tests.driver.nomad import documents
from tests.driver.nomad.server import FakeNomad
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.driver.nomad import job
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.client import Client
from winslow_nomad.driver.nomad.load import PATIENCE, NomadLoads, cards_held, read
from winslow_nomad.driver.nomad.nodes import read_nodes
from winslow_nomad.driver.nomad.picture import Picture
from winslow_nomad.driver.nomad.site import Site

NODE = documents.node("n1", [documents.RTX_A6000])


def figures(watts: int) -> documents.Document:
    told = {"Power usage": {"IntNumeratorVal": watts}, "GPU utilization": {"IntNumeratorVal": 80}}
    return {"DeviceStats": [{"InstanceStats": {"GPU-a6000": {"Stats": {"Attributes": told}}}}]}


def test_a_card_that_tells_little_is_still_shown() -> None:
    (card,) = read({}, NODE, {}).cards
    assert (card.uuid, card.memory, card.percent, card.watts) == ("GPU-a6000", 49140 * 2**20, None, None)


def test_what_an_agent_tells_of_its_machine_is_read_in_cores_bytes_and_seconds() -> None:
    stats: documents.Document = {
        "Timestamp": 1_700_000_000_500_000_000,
        "CPU": [{"TotalPercent": 75.5}, {"TotalPercent": 50}, {"TotalPercent": None}],
        "Memory": {"Total": 64 << 30, "Available": 60 << 30, "Used": 1},
        "AllocDirStats": {"Size": 1000, "Available": 400},
        "Uptime": 3600,
    }
    found = read(stats, documents.node("n1"), {})
    assert found.at == datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC)
    assert (found.cpu, found.memory, found.disk_free, found.disk_total, found.up) == (1.25, 4 << 30, 400, 1000, 3600)
    assert (found.cards, read({}, {}, {}).cpu, read({}, {}, {}).memory) == ((), None, None)
    full = read({"CPU": [{"TotalPercent": 0.0}], "Memory": {"Total": 8, "Available": 0}}, {}, {})
    assert (full.cpu, full.memory) == (0.0, 8), "idle, and full, are figures too"


def test_each_card_has_its_own_figures_and_those_that_have_it() -> None:
    other = documents.gpu_device("Arc", 8192, ("a",)) | {"Vendor": "intel"}
    node = documents.node("n1", [documents.RTX_A6000, other, documents.RTX_4070])
    attributes = {
        "Memory state": {"IntNumeratorVal": 2048, "IntDenominatorVal": 12282},
        "GPU utilization": {"IntNumeratorVal": 0},
        "Temperature": {"IntNumeratorVal": 61},
    }
    stats = {
        "DeviceStats": [{"InstanceStats": {"GPU-4070-b": {"Stats": {"Attributes": attributes}}, "GPU-a6000": None}}]
    }
    cards = read(stats, node, {"GPU-4070-b": ("p/1/1",)}).cards
    assert [(c.index, c.uuid, c.attempts) for c in cards] == [
        (0, "GPU-4070-a", ()),
        (1, "GPU-4070-b", ("p/1/1",)),
        (2, "GPU-a6000", ()),
    ]
    busy = cards[1]
    assert (busy.model, busy.memory) == ("NVIDIA GeForce RTX 4070", 12282 << 20)
    assert (busy.memory_used, busy.percent, busy.temperature, busy.watts) == (2048 << 20, 0.0, 61.0, None)


def test_power_is_in_watts_whether_the_plugin_gives_watts_or_milliwatts() -> None:
    assert [read(figures(w), NODE, {}).cards[0].watts for w in (300, 300_000)] == [300.0, 300.0]


def test_cards_of_what_has_ended_and_of_others_are_nobody_s() -> None:
    ref = AttemptRef(project="p", stage=1, attempt=1)
    given = {"gpus": ("NVIDIA RTX A6000", ("GPU-a6000",))}
    mine = documents.allocation(NODE, JobID=job.job_id("winslow", ref), **given)
    assert cards_held([mine], "winslow") == {"GPU-a6000": (str(ref),)}
    assert cards_held([{**mine, "ClientStatus": "complete"}, documents.allocation(NODE, **given)], "winslow") == {}
    assert cards_held([mine], "another") == {}


def test_a_node_that_never_answers_is_waited_for_once_and_left_out() -> None:
    with FakeNomad() as nomad:
        nomad.add_node("n1")
        nomad.faults = lambda _, path: "silence" if path.startswith("/v1/client/stats") else None
        client = Client(Access(address=nomad.address, answer=PATIENCE * 4))
        picture = Picture(client, job.prefix("winslow"))
        site = Site(runner_version="test")
        loads = NomadLoads(client, picture, lambda: read_nodes(*picture.nodes(), site), "winslow")
        began = time.monotonic()
        assert loads.loads() == {}
        first = time.monotonic()
        assert loads.loads() == {}
        assert PATIENCE <= first - began < PATIENCE * 2 and time.monotonic() - first < PATIENCE / 2
        loads.close()
        client.close()
