"""What is made of the figures of nodes, and of nodes that give none."""

from __future__ import annotations

import time

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
