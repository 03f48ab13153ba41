"""What one version keeps, the next one reads: in the store, on the share, with the machine.

`tests/records.json` holds every field of every stored value with its default. A field that is added has a default, and
a default stays what it is: records leave out what has it. `python -m tests.test_records` writes down what was added."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic_core import to_json

import winslow_nomad
from winslow_nomad.core.model import Record

KEPT = Path(__file__).with_name("records.json")
REQUIRED = "required"
Fields = dict[str, dict[str, str]]


def present() -> Fields:
    """Of all stored values, and of those within them."""
    for module in pkgutil.walk_packages(winslow_nomad.__path__, "winslow_nomad."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: dict[str, type[BaseModel]] = {}
    for stored in subclasses(Record):
        gather(stored, found)
    return {
        name: {field: default(about) for field, about in sorted(model.model_fields.items())}
        for name, model in sorted(found.items())
    }


def subclasses(of: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in of.__subclasses__():
        if one.__module__.startswith("winslow_nomad.") and not one.__module__.startswith("winslow_nomad.api."):
            yield one
        yield from subclasses(one)


def gather(annotation: Any, found: dict[str, type[BaseModel]]) -> None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        name = annotation.__qualname__
        assert found.get(name, annotation) is annotation, f"two stored values are called {name}"
        if name not in found:
            found[name] = annotation
            for field in annotation.model_fields.values():
                gather(field.annotation, found)
    for part in get_args(annotation):
        gather(part, found)


def default(field: Any) -> str:
    if field.is_required():
        return REQUIRED
    found = field.get_default(call_default_factory=True)
    return to_json(sorted(found) if isinstance(found, frozenset) else found).decode()


NOW = present()
BEFORE: Fields = json.loads(KEPT.read_text()) if KEPT.exists() else {}


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_what_was_stored_before_is_read(name: str) -> None:
    now = NOW.get(name)
    assert now is not None, f"{name} is stored: nothing could read it"
    added = {f: d for f, d in now.items() if f not in BEFORE[name]}
    assert REQUIRED not in added.values(), f"{added}: what was stored has no such field, so it needs a default"
    assert BEFORE[name].keys() <= now.keys(), "what was stored has a field that nobody knows"
    changed = {f: (d, now[f]) for f, d in BEFORE[name].items() if now[f] != d and d != REQUIRED}
    assert not changed, "a default was left out where it was written, and would be read as another one"


def test_every_field_of_what_is_stored_is_written_down() -> None:
    missing = {name: sorted(now.keys() - BEFORE.get(name, {}).keys()) for name, now in NOW.items()}
    assert not any(missing.values()), "python -m tests.test_records writes them down"


if __name__ == "__main__":
    both = {name: NOW.get(name, {}) | BEFORE.get(name, {}) for name in NOW | BEFORE}
    KEPT.write_text(json.dumps(both, indent=1, sort_keys=True) + "\n")
