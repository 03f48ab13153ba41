"""Settings as administrators see and change them while everything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from winslow_nomad.core.model import Value

SettingKind = Literal["boolean", "number", "text", "zone", "variables", "folders"]


class Setting(Value):
    """origin: `store` (changed here), the variable or file that gives it, or `default`. `changeable`: here, at once."""

    name: str
    value: Any
    origin: str
    kind: SettingKind
    help: str = ""
    changeable: bool = False


class SettingsBook(Protocol):
    def all(self) -> Sequence[Setting]: ...

    def change(self, values: Mapping[str, Any]) -> Sequence[Setting]:
        """None takes a change back. All or none. Raises Invalid: settings.unknown, settings.fixed, settings.invalid."""
        ...
