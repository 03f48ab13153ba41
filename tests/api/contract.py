"""Asks every operation of the API what its description allows, and what it does not, and holds the answers against
it."""

from __future__ import annotations

import contextlib
import random
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from tests.api.conftest import BASE, World
from tests.api.furnished import Known, Prepared

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS = {"follow_events", "follow_log"}  # answers that do not end by themselves; tests of their own look at them
Operation_ = APIOperation[Any, Any, Any, Any]
Case_ = Case[Any]
ROLES = ("nobody", "vic", "mem", "mat", "ann")
MOSTLY = 0.8  # how often something that there is stands in an address
RIGHT = 0.2  # how often a request is one that is accepted


for kind in ("application/zip", "application/offset+octet-stream", "text/yaml"):

    @schemathesis.serializer(kind)
    def as_it_is(ctx: object, value: Any) -> bytes:
        return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@dataclass
class Asked:
    """`failures`: what was wrong, once for each operation and kind of mistake. `seen`: how often which status came."""

    failures: dict[str, str] = field(default_factory=dict)
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)

    def ran_into(self, operation: str, error: Failure, case: Case_) -> None:
        key = f"{operation}: {type(error).__name__}"
        sent = f"{case.method} {case.formatted_path} query={case.query!r} body={str(case.body)[:300]!r}"
        self.failures.setdefault(key, f"{error.title}: {error.message[:900]}\n{sent}")


@contextlib.contextmanager
def asking(world: World, role: str) -> Iterator[TestClient]:
    """With a session that may have been ended by what was asked before, so each time a new one."""
    if role == "nobody":
        yield world.anonymous()
        return
    with contextlib.suppress(Exception):
        world.services.people.activate(role)
    yield world.signed_in(role)


def operations(world: World) -> list[Operation_]:
    schema = schemathesis.openapi.from_dict(world.app.openapi())
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def identifier(operation: Operation_) -> str:
    return str(operation.definition.raw["operationId"])


def ask(
    world: World, operation: Operation_, role: str, examples: int, asked: Asked,
    mode: GenerationMode, prepared: Prepared, number: int = 0,
) -> None:  # fmt: skip
    """So many requests to one operation in the name of one role."""
    name = identifier(operation)
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
        return  # any text may stand in an address
    luck = random.Random(f"{name} {role} {number}")
    strategy = operation.as_strategy(generation_mode=mode)

    @seed(number)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip
    @given(strategy)
    def one(case: Case_) -> None:
        meet(case, luck, prepared, right=mode is GenerationMode.POSITIVE)
        with asking(world, role) as client:
            answer = sent(client, case)
        judge(asked, name, case, answer)

    with contextlib.suppress(Unsatisfiable):  # there is nothing that could be wrong
        one()


def ask_right(world: World, operation: Operation_, role: str, asked: Asked, prepared: Prepared) -> Any:
    """The answer to one request that an administrator would not be refused."""
    case = good_request(operation, prepared)
    with asking(world, role) as client:
        answer = sent(client, case)
    judge(asked, identifier(operation), case, answer)
    return answer


def judge(asked: Asked, name: str, case: Case_, answer: Any) -> None:
    asked.seen[name, answer.status_code] += 1
    try:
        case.validate_response(answer, checks=CHECKS)
    except FailureGroup as group:
        for error in group.exceptions:
            asked.ran_into(name, error, case)
    except Failure as error:
        asked.ran_into(name, error, case)


def sent(client: TestClient, case: Case_) -> Any:
    asked = case.as_transport_kwargs(base_url=BASE)
    asked.pop("cookies", None)
    if "/uploads" in case.path:
        asked["headers"]["tus-resumable"] = "1.0.0"
    data = asked.pop("data", None)
    if isinstance(data, str | bytes):
        asked["content"] = data
    elif data is not None:
        asked["data"] = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a body with a GET
        return client.request(**asked)


def good_request(operation: Operation_, prepared: Prepared) -> Case_:
    """One that is accepted: what there is, and what the description shows unless another body is prepared."""
    wanted = prepared.requests.get(identifier(operation), {})
    place = {name: prepared.known[name][0] for name in re.findall(r"{(\w+)}", operation.path)} | wanted.get("place", {})
    query = {p.name: prepared.known[p.name][0] for p in operation.query if p.is_required and p.name in prepared.known}
    case = operation.Case(path_parameters=place, query=query | wanted.get("query", {}))
    case.headers.update(wanted.get("headers", {}))
    body = wanted.get("body", example_body(operation))
    if body is not None:
        case.body = body
        case.media_type = next(iter(operation.definition.raw["requestBody"]["content"]))
    return case


def meet(case: Case_, luck: random.Random, prepared: Prepared, *, right: bool) -> None:
    """Things that there are, in most addresses; now and then a whole request that is right, or one with a body as the
    description shows it; and nothing that waits for long."""
    if right and luck.random() < RIGHT:
        good = good_request(case.operation, prepared)
        case.path_parameters, case.query, case.headers = good.path_parameters, good.query, good.headers
        case.body, case.media_type = good.body, good.media_type
        return
    known: Known = prepared.known
    for place in (case.path_parameters, case.query if right else {}):
        for key in place or {}:
            if key in known and luck.random() < MOSTLY:
                place[key] = luck.choice(list(known[key]))
    if case.query and isinstance(case.query.get("timeout"), int | float):
        case.query["timeout"] = 0
    if right and luck.random() < 0.5:
        shown = example_body(case.operation)
        if shown is not None:
            case.body = shown


def example_body(operation: Operation_) -> Any:
    """What the description shows as a body; None: it has none that is JSON."""
    content = operation.definition.raw.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    said = content["application/json"]
    if "examples" in said:
        return next(iter(said["examples"].values()))["value"]
    schemas = operation.schema.raw_schema["components"]["schemas"]
    return said.get("example") or example_of(said["schema"], schemas)


def example_of(part: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Put together from the examples of its parts; optional ones without any are left out."""
    if "$ref" in part:
        part = schemas[part["$ref"].rpartition("/")[2]]
    for key in ("examples", "enum"):
        if part.get(key):
            return part[key][0]
    for key in ("example", "const", "default"):
        if key in part:
            return part[key]
    if "properties" in part:
        wanted = {n: p for n, p in part["properties"].items() if n in part.get("required", ()) or "examples" in p}
        return {name: example_of(p, schemas) for name, p in wanted.items()}
    for key in ("oneOf", "anyOf"):
        if key in part:
            return example_of(next(p for p in part[key] if p.get("type") != "null"), schemas)
    match part.get("type"):
        case "array":
            return [example_of(part["items"], schemas)]
        case "integer" | "number":
            return part.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return {} if part.get("type") == "object" else "x"
