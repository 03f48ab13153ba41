"""What all bodies have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict


def usual(at: datetime) -> datetime:
    if not 1970 < at.year < 9000:  # at the ends of what a time can be, no day can be added or taken away
        raise ValueError("a time has a year from 1971 to 8999")
    return at


Moment = Annotated[datetime, AfterValidator(usual)]  # one that is asked with


class Answer(BaseModel):
    """What is answered. Fields are only ever added within a version of the API."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Request(BaseModel):
    """What is sent: a field that nobody knows is a mistake, not something to pass over."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def example(**fields: Any) -> ConfigDict:
    """For an answer's `model_config`."""
    return ConfigDict(json_schema_extra={"examples": [fields]})
