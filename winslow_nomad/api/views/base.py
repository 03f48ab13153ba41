"""What all bodies have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """What is answered. Fields are only ever added within a version of the API."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Request(BaseModel):
    """What is sent: a field that nobody knows is a mistake, not something to pass over."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def example(**fields: Any) -> ConfigDict:
    """For an answer's `model_config`."""
    return ConfigDict(json_schema_extra={"examples": [fields]})
