"""What the API answers is what its description says, for whoever asks and whatever is sent: no failure of the server,
no status, media type or body that is not written down."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from dataclasses import replace
from typing import Any

import pytest
from schemathesis import GenerationMode

from tests.api.contract import (
    ENDLESS,
    ROLES,
    Asked,
    Operation_,
    ask,
    ask_right,
    identifier,
    operations,
)
from tests.api.furnished import PROJECT, Ground
from tests.valkey import Server
from winslow_nomad.api.app import create_app
from winslow_nomad.core.defaults import Defaults
from winslow_nomad.core.nodes import NodeNow, Nodes
from winslow_nomad.core.ports import AttemptRef

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
SEED = int(os.environ.get("WINSLOW_CHAOS_SEED") or 0)
# Refused here, with the status: they need a Nomad. All others have to be accepted.
ELSEWHERE = {
    "drain_node": 409,  # the local driver has one node, which it does not drain
    "undrain_node": 409,
    "find_in_nomad": 404,  # no attempt here is a job of Nomad
}


@pytest.fixture
def ground(server: Server) -> Iterator[Ground]:
    made = Ground(server.address, server.keys.prefix, server.client)
    yield made
    made.close()


def finite(ground: Ground, endless: Set[str] = frozenset(ENDLESS)) -> list[Operation_]:
    """Those that only look come first: they need no world of their own."""
    return sorted((o for o in operations(ground.world) if identifier(o) not in endless), key=changes)


def changes(operation: Operation_) -> bool:
    return operation.method.upper() not in ("GET", "HEAD", "OPTIONS")


def verdict(asked: Asked) -> str:
    return "\n\n".join(f"{where}\n{what}" for where, what in sorted(asked.failures.items()))


def test_whatever_is_sent_the_answer_is_one_that_is_described(ground: Ground) -> None:
    """Everything once as an administrator, and as another role in turn; what is wrong as well."""
    asked = Asked()
    for number, operation in enumerate(finite(ground)):
        world = ground.anew() if changes(operation) else ground.world
        ask(world, operation, "ann", 1, asked, GenerationMode.POSITIVE, ground.prepared)
        ask(world, operation, ROLES[number % 4], 1, asked, GenerationMode.POSITIVE, ground.prepared, 1)
        ask(world, operation, "ann", 1, asked, GenerationMode.NEGATIVE, ground.prepared)
    assert not asked.failures, verdict(asked)
    assert sum(asked.seen.values()) > 300
    assert {200, 201, 401, 403, 404, 422} <= {status for _, status in asked.seen}


def test_of_every_operation_there_is_a_request_that_is_accepted(ground: Ground) -> None:
    """With the body that its description shows, wherever that fits what there is. A new operation needs what its
    address names in `furnish`, and another body there if its example is about something else."""
    asked = Asked()
    refused: list[str] = []
    for operation in finite(ground, {"follow_events"}):  # the log that is asked for has an end
        name = identifier(operation)
        world = ground.anew() if changes(operation) else ground.world
        answer = ask_right(world, operation, "ann", asked, ground.prepared)
        wanted = ELSEWHERE.get(name)
        if answer.status_code != wanted and (wanted or answer.status_code >= 300):
            refused.append(f"{name} {answer.status_code} {answer.text}")
    assert not refused, "\n".join(refused)
    assert not asked.failures, verdict(asked)
    assert set(ELSEWHERE) <= {name for name, _ in asked.seen}


class Cluster:
    """The nodes and the defaults that there are, with a Nomad behind them."""

    def __init__(self, behind: Nodes | Defaults) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def drain(self, node: str, text: str) -> NodeNow:
        return self.undrain(node)

    def undrain(self, node: str) -> NodeNow:
        found: NodeNow = self._behind.get(node)  # type: ignore[union-attr]
        return found

    def nomad_job(self, attempt: AttemptRef) -> str:
        return f"http://10.0.0.7:4646/ui/jobs/{attempt.project}"


def test_what_needs_a_nomad_is_accepted_where_there_is_one(ground: Ground) -> None:
    given, store = ground.world.services, ground.world.installation.store
    project = store.load(PROJECT)
    assert project is not None
    store.restore(project.but(driver="nomad", version=project.version + 1))
    nodes, defaults = Cluster(given.nodes), Cluster(given.defaults)
    app = create_app(replace(given, nodes=nodes, defaults=defaults))
    asked = Asked()
    for operation in finite(ground):
        if identifier(operation) in ELSEWHERE:
            ask_right(replace(ground.world, app=app), operation, "ann", asked, ground.prepared)
    assert not asked.failures, verdict(asked)
    assert set(asked.seen) == {("drain_node", 200), ("undrain_node", 200), ("find_in_nomad", 307)}


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("role", ROLES)
def test_many_requests_of_each_role(ground: Ground, role: str) -> None:
    """Each operation in a world that nothing was taken from before."""
    asked, known = Asked(), finite(ground)
    for operation in known:
        ask_right(ground.anew(), operation, role, asked, ground.prepared)
        for mode in MODES:
            ask(ground.anew(), operation, role, 40, asked, mode, ground.prepared, SEED)
    accepted = {name for name, status in asked.seen if status < 300}
    print(f"{role}: {len(known)} operations, {asked.seen.total()} requests, {len(accepted)} accepted at least once")
    assert not asked.failures, verdict(asked)
    if role == "ann":
        assert {identifier(o) for o in known} - accepted == set(ELSEWHERE)
