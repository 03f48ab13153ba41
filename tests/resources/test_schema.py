"""The schema for editors accepts what the parser accepts, and shows the mistakes that an editor can show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.resources.test_definitions import FULL, FULL_PIPELINE
from tests.resources.wrong_pipelines import WRONG
from winslow_nomad.resources.definitions import write
from winslow_nomad.resources.schema import schema

ROOT = Path(__file__).parents[2]
KINDS: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "array": list,
    "object": dict,
}
KNOWN = {
    "$schema", "title", "description", "examples", "type", "enum", "const", "pattern", "minimum", "exclusiveMinimum",
    "maximum", "items", "minItems", "uniqueItems", "properties", "required", "additionalProperties", "propertyNames",
}  # fmt: skip


def mistakes(value: Any, rule: Any, place: str = "") -> list[str]:
    """What JSON Schema 2020-12 says, for the words that are used."""
    if rule is True or rule is False:
        return [] if rule else [f"{place}: not allowed"]
    assert set(rule) <= KNOWN, f"the schema uses words that this test does not check: {set(rule) - KNOWN}"
    kinds = rule.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, KINDS[k]) and isinstance(value, bool) <= (k == "boolean") for k in kinds):
        return [f"{place}: {value!r} is not {kinds}"]
    found: list[str] = []
    if ("enum" in rule and value not in rule["enum"]) or ("const" in rule and value != rule["const"]):
        found.append(f"{place}: {value!r} is not possible")
    if isinstance(value, str) and "pattern" in rule and not re.search(rule["pattern"], value):
        found.append(f"{place}: {value!r} does not match")
    if isinstance(value, int | float) and (
        value < rule.get("minimum", value)
        or value > rule.get("maximum", value)
        or ("exclusiveMinimum" in rule and value <= rule["exclusiveMinimum"])
    ):
        found.append(f"{place}: {value!r} is out of range")
    if isinstance(value, list):
        if len(value) < rule.get("minItems", 0) or (rule.get("uniqueItems") and len(set(map(str, value))) < len(value)):
            found.append(f"{place}: too few, or twice the same")
        for number, item in enumerate(value):
            found += mistakes(item, rule.get("items", True), f"{place}[{number}]")
    if isinstance(value, dict):
        found += [f"{place}: {key} is missing" for key in rule.get("required", ()) if key not in value]
        for key, below in value.items():
            found += mistakes(key, rule.get("propertyNames", True), f"{place}.{key}")
            below_rule = rule.get("properties", {}).get(key, rule.get("additionalProperties", True))
            found += mistakes(below, below_rule, f"{place}.{key}")
    return found


SHIPPED = [p.read_text() for p in sorted((ROOT / "pipelines").glob("*/pipeline.yaml"))]


@pytest.mark.parametrize("text", [FULL, write(FULL_PIPELINE), *SHIPPED])
def test_an_editor_finds_no_fault_in_a_right_file(text: str) -> None:
    assert mistakes(yaml.safe_load(text), schema()) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpus", ".stages[0].resources.gpus: not allowed"),
        ("needs text", ".stages[1].needs: 'detect' is not ['array']"),
        ("no id", ".stages[0]: id is missing"),
        ("bad id", ".stages[0].id: 'Detect-1' does not match"),
        ("kind", ".parameters.A.type: 'int' is not possible"),
        ("var name", ".parameters.MIN-AREA: 'MIN-AREA' does not match"),
        ("newer", ".winslow: 2 is not possible"),
        ("no stages", ".stages: too few, or twice the same"),
        ("charts", ".stages[0].charts[0].file: '/etc/passwd' does not match"),
    ],
)
def test_an_editor_shows_a_mistake(name: str, expected: str) -> None:
    assert expected in mistakes(yaml.safe_load(WRONG[name][0]), schema())


def test_every_key_is_explained() -> None:
    def walk(rule: dict[str, Any]) -> None:
        for key, below in rule.get("properties", {}).items():
            assert below["description"].endswith("."), key
            walk(below)
        for part in ("items", "additionalProperties"):
            if isinstance(rule.get(part), dict):
                walk(rule[part])

    walk(schema())
