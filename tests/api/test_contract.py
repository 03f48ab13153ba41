"""What the API answers is what its description says, for whoever asks and whatever is sent: no failure of the server,
no status, media type or body that is not written down."""

from __future__ import annotations

import os
import re

import pytest
from schemathesis import GenerationMode

from tests.api.conftest import World
from tests.api.contract import (
    ENDLESS,
    ROLES,
    Asked,
    Known,
    Operation_,
    ask,
    asking,
    example_body,
    furnish,
    identifier,
    judge,
    operations,
    sent,
)

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
SEED = int(os.environ.get("WINSLOW_CHAOS_SEED") or 0)
# Examples about what is not there in this world, or is there already; all others have to be accepted.
ELSEWHERE = {"change_chart": 404, "restore_pipeline_version": 409,
             "log_in": 401, "add_group": 409, "add_user": 409, "create_pipeline": 409, "publish_pipeline": 409,
             "set_own_password": 403, "drain_node": 409, "undrain_node": 409, "unpack_file": 404,
             "switch_pipeline": 404, "test_channel": 409, "test_channel_of_installation": 409}  # fmt: skip


@pytest.fixture
def furnished(world: World) -> tuple[World, Known]:
    return world, furnish(world)


def finite(world: World) -> list[Operation_]:
    return [o for o in operations(world) if identifier(o) not in ENDLESS]


def verdict(asked: Asked) -> str:
    return "\n\n".join(f"{where}\n{what}" for where, what in sorted(asked.failures.items()))


def test_whatever_is_sent_the_answer_is_one_that_is_described(furnished: tuple[World, Known]) -> None:
    """Everything once as an administrator, and as another role in turn; what is wrong as well."""
    world, known = furnished
    asked = Asked()
    for number, operation in enumerate(finite(world)):
        ask(world, operation, "ann", 1, asked, GenerationMode.POSITIVE, known)
        ask(world, operation, ROLES[number % 4], 1, asked, GenerationMode.POSITIVE, known, 1)
        ask(world, operation, "ann", 1, asked, GenerationMode.NEGATIVE, known)
    assert not asked.failures, verdict(asked)
    assert sum(asked.seen.values()) > 300
    assert {200, 201, 401, 403, 404, 422} <= {status for _, status in asked.seen}


def test_every_body_that_the_description_shows_is_accepted(furnished: tuple[World, Known]) -> None:
    world, known = furnished
    asked, tried = Asked(), 0
    refused: list[str] = []
    for operation in finite(world):
        body = example_body(operation)
        if body is None:
            continue
        tried += 1
        name = identifier(operation)
        place = {p: str(known.get(p, ["x"])[0]) for p in re.findall(r"{(\w+)}", operation.path)}
        query = {p.name: str(known.get(p.name, [1])[0]) for p in operation.query if p.is_required}
        if "channel" in place and not name.endswith("_of_installation"):
            place["channel"] = known["channel"][-1]  # of ann
        if name == "edit_own_pipeline":
            place["project"] = known["project"][-1]  # the others are asked for by what their pipeline has
        if name == "set_folder_access":
            query["path"] = "a"
        case = operation.Case(body=body, media_type="application/json", path_parameters=place, query=query)
        with asking(world, "ann") as client:
            answer = sent(client, case)
        judge(asked, name, case, answer)
        wanted = ELSEWHERE.get(name)
        if answer.status_code != wanted and (wanted or answer.status_code >= 300):
            refused.append(f"{name} {answer.status_code} {answer.text}")
    assert not refused, "\n".join(refused)
    assert not asked.failures, verdict(asked)
    assert tried > 35


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("role", ROLES)
def test_many_requests_of_each_role(furnished: tuple[World, Known], role: str) -> None:
    world, known = furnished
    asked = Asked()
    for operation in finite(world):
        for mode in MODES:
            ask(world, operation, role, 40, asked, mode, known, SEED)
    assert not asked.failures, verdict(asked)
