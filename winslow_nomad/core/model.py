"""The one base of all records: frozen, and keeping fields that a newer Winslow wrote."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value without unknown fields: what comes from people and files."""

    # JSON has no NaN and no infinity: a record that held one could be written and never be read again
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def but(self, **changes: Any) -> Self:
        """The same value with some fields changed."""
        return self.model_copy(update=changes)


class Record(Value):
    """A stored value: unknown fields survive reading and writing, so that versions can live side by side."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
