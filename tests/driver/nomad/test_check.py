"""What is said about a Nomad before anything is started on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.driver.nomad.server import FakeNomad
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.check import findings
from winslow_nomad.driver.nomad.client import Client


@pytest.fixture
def server() -> Iterator[FakeNomad]:
    with FakeNomad() as made:
        made.add_node("n1")
        yield made


def said(server: FakeNomad) -> dict[str, str]:
    """The texts of what is not in order, with how bad each is."""
    client = Client(Access(address=server.address, token="t", connect=0.5, answer=0.5))
    return {f"{f.text} {f.fix}": f.severity for f in findings(client) if f.severity != "ok"}


def test_what_is_in_order_is_said_in_two_lines(server: FakeNomad) -> None:
    texts = [f.text for f in findings(Client(Access(address=server.address)))]
    assert texts == [f"version 2.0.6 at {server.address}", "namespace winslow"]


@pytest.mark.parametrize(
    ("version", "severity"), [("2.0.4", ""), ("2.0.3", "warning"), ("1.11.3", "warning"), ("1.11.2", "problem")]
)
def test_an_older_version_is_warned_of_and_one_that_loses_events_is_a_problem(
    server: FakeNomad, version: str, severity: str
) -> None:
    server.version = version
    found = said(server)
    assert list(found.values()) == ([severity] if severity else [])
    assert all(version in text and "2.0.4" in text for text in found)


def test_a_namespace_that_is_missing_is_said_with_what_makes_it(server: FakeNomad) -> None:
    server.namespaces = set()
    ((text, severity),) = said(server).items()
    assert severity == "problem" and "nomad namespace apply winslow" in text


@pytest.mark.parametrize(
    ("path", "right"), [("/v1/jobs", "list-jobs"), ("/v1/allocations", "read-job"), ("/v1/nodes", "node {")]
)
def test_a_right_that_is_missing_is_named(server: FakeNomad, path: str, right: str) -> None:
    server.answers = lambda method, asked: (403, "Permission denied") if asked == path else None
    ((text, severity),) = said(server).items()
    assert severity == "problem" and right in text


def test_who_cannot_be_reached_is_asked_once(server: FakeNomad) -> None:
    server.faults = lambda method, path: "refuse"
    ((text, severity),) = said(server).items()
    assert severity == "problem" and "the connection was lost" in text
    assert {path for _, path in server.asked} == {"/v1/agent/members"}
