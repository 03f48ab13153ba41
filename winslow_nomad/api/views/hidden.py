"""Secrets are named, never shown: whatever carries the name of one, or was marked as one, is masked on its way out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from winslow_nomad.core.stage import Overrides

MASK = "********"


def masked(values: Mapping[str, str], secret: Collection[str]) -> dict[str, str]:
    return {name: MASK if name in secret else value for name, value in values.items()}


def masked_overrides(overrides: Overrides, secret: Collection[str]) -> Overrides:
    return overrides.but(values=masked(overrides.values, secret), environment=masked(overrides.environment, secret))


def masked_record(record: Mapping[str, Any], secret: Collection[str]) -> dict[str, Any]:
    """A stage's whole record; `secret`: names that the project's pipeline has as secrets by now."""
    marked = {v["name"] for v in record.get("environment", ()) if v.get("secret")}
    names = {*secret, *marked}
    found = {**record}
    found["environment"] = [
        {**v, "value": MASK} if v.get("secret") or v.get("name") in names else v for v in record.get("environment", ())
    ]
    overrides = record.get("overrides") or {}
    found["overrides"] = {
        **overrides,
        **{k: masked(overrides[k], names) for k in ("values", "environment") if overrides.get(k)},
    }
    if record.get("point"):
        found["point"] = masked(record["point"], names)
    return found
