"""The description of the API: what clients are made from."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from tests.api.conftest import World
from winslow_nomad.api.app import described
from winslow_nomad.api.authority import rule_of

OPEN = {"log_in", "upload_options", "read_health", "read_readiness", "read_metrics"}
ROOT = Path(__file__).parents[2]
METHODS = {"get", "put", "post", "patch", "delete", "head", "options"}
SAID_LIVE = ["Hello", "Ping", "Snapshot", "Gap", "Refused", "ProjectsDelta", "ProjectsData", "ProjectDelta",
             "ProjectData", "LogDelta", "LogData", "ItemsDelta", "ItemsData", "InboxDelta", "InboxData",
             "Subscribe", "Unsubscribe", "Authenticate"]  # fmt: skip


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return described().openapi()


def operations(description: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """`GET /path` and what is said of it."""
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_every_operation_has_a_name_of_its_own_that_is_no_address(description: dict[str, Any]) -> None:
    names = Counter(operation["operationId"] for _, operation in operations(description))
    assert len(names) > 100
    assert [name for name, times in names.items() if times > 1] == []
    assert [name for name in names if "api_v1" in name] == []


def test_clients_find_what_is_said_on_the_live_socket_among_the_types(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    assert [name for name in SAID_LIVE if name not in schemas] == []
    assert schemas["ProjectsData"]["properties"]["rows"]["items"] == {"$ref": "#/components/schemas/Row"}


def test_the_description_that_clients_are_made_from_is_the_one_that_is_served(world: World, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "docs/make_openapi.py", str(tmp_path / "api.json")], cwd=ROOT, check=True,
                   env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"})  # fmt: skip
    served = world.anonymous().get("/api/v1/openapi.json").json()
    assert json.loads((tmp_path / "api.json").read_text(encoding="utf-8")) == served


PROBLEM = "application/problem+json"


def has_example(part: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> bool:
    """Whether somebody who reads it sees what it may look like: by an example, or since there is little to choose."""
    if "$ref" in part:
        part = schemas[part["$ref"].rpartition("/")[2]]
    if depth > 8 or {"examples", "example", "default", "const", "enum"} & part.keys():
        return True
    if part.get("properties"):
        return all(has_example(p, schemas, depth + 1) for p in part["properties"].values())
    for key, enough in (("oneOf", all), ("anyOf", any)):
        if key in part:
            choices = [p for p in part[key] if p.get("type") != "null"]
            return bool(enough(has_example(p, schemas, depth + 1) for p in choices))
    inner = part.get("items") or part.get("additionalProperties")
    if isinstance(inner, dict):
        return has_example(inner, schemas, depth + 1)
    return part.get("type") in ("boolean", "integer", "number", "null") or "format" in part


def test_an_example_is_asked_for_wherever_a_text_may_be_anything() -> None:
    assert not has_example({"type": "object", "properties": {"name": {"type": "string"}}}, {})
    assert has_example({"type": "object", "properties": {"name": {"type": "string", "examples": ["x"]}}}, {})


def test_every_operation_says_in_a_line_what_it_does(description: dict[str, Any]) -> None:
    for name, operation in operations(description):
        summary = operation.get("summary", "")
        assert 3 < len(summary) <= 60 and not summary.endswith("."), name
        assert operation.get("tags"), name


def test_every_operation_has_examples_of_what_is_sent_and_answered(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    without = []
    for name, operation in operations(description):
        answers = [r.get("content", {}) for s, r in operation["responses"].items() if int(s) < 300]
        for content in [operation.get("requestBody", {}).get("content", {}), *answers]:
            for kind, said in content.items():
                if "json" not in kind or "schema" not in said:  # a file, whatever it holds
                    continue
                if not {"example", "examples"} & said.keys() and not has_example(said["schema"], schemas):
                    without.append(f"{name} {kind}")
    assert without == []


def test_every_operation_says_which_problems_it_may_answer_with(description: dict[str, Any]) -> None:
    """Those that the doors, the reading of a request and the store make, whatever the operation is."""
    for name, operation in operations(description):
        responses = operation["responses"]
        for status, said in responses.items():
            if int(status) >= 400 and not (name == "GET /readyz" and status == "503"):
                assert said["content"] == {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}, name
                assert said["description"], name
        if operation["operationId"] not in OPEN:
            assert {"401", "403", "503"} <= responses.keys(), name
        if "requestBody" in operation:
            assert {"400", "413", "422"} <= responses.keys(), name
        if "{project}" in name:
            assert "404" in responses, name
    assert "HTTPValidationError" not in json.dumps(description)


def test_what_is_open_to_all_is_named_here(description: dict[str, Any]) -> None:
    found = {str(r.operation_id or r.name) for r in described().router.routes
             if isinstance(r, APIRoute) and rule_of(r) is None}  # fmt: skip
    assert found == OPEN and description["paths"]
