"""The description of the API: what clients are made from."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import World
from winslow_nomad.api.app import described

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
