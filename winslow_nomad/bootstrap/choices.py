"""The settings of an installation as they are now: what was changed while it runs, over variables, file, defaults."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from winslow_nomad.config import SECRET, Settings, converted
from winslow_nomad.core.errors import Invalid, StoreUnavailable
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.core.settings import Setting, SettingKind
from winslow_nomad.driver.nomad.job import job_id
from winslow_nomad.store.settings import ChangedSettings

if TYPE_CHECKING:
    from winslow_nomad.bootstrap.installation import Installation

FRESH = 1.0  # seconds that what was read last is good for
CHANGEABLE: dict[str, tuple[SettingKind, str]] = {
    "open_projects": ("boolean", "everybody is a member of a new project, unless its author says otherwise"),
    "zone": ("zone", "in which people read times"),
    "limits": ("text", "what people may have in use at the same time: @everyone gpus=4 cpu=32; @students gpus=1"),
    "keep_failed_days": ("number", "days that workspaces of failed stages stay"),
    "keep_superseded_days": ("number", "days that superseded attempts stay"),
    "keep_trash_days": ("number", "days that deleted things can be taken out of the trash"),
    "public_url": ("text", "where people find the web UI, for the links in notifications"),
    "mail_from": ("text", "whom notifications by mail come from"),
    "private_webhooks": ("boolean", "notifications of anybody may go to machines of Winslow's own network"),
    "environment": ("variables", "variables of every stage, unless something nearer sets them"),
}
NOT_SHOWN = frozenset({"origins", *SECRET})
STORE = "store"


class Choices:
    """core.settings.SettingsBook and core.defaults.Defaults."""

    def __init__(self, installation: Installation) -> None:
        self._settings = installation.settings
        self._changed = ChangedSettings(installation.state, installation.keys)
        self._read: tuple[float, Settings] | None = None

    @property
    def driver(self) -> str:
        return self._settings.driver

    @property
    def nomad_ui(self) -> str:
        found = self._settings.nomad
        return f"{found.ui or found.address}/ui" if self._settings.driver == "nomad" else ""

    def nomad_job(self, attempt: AttemptRef) -> str:
        if not self.nomad_ui:
            return ""
        found = self._settings.nomad
        region = f"?{urlencode({'region': found.region})}" if found.region else ""
        return f"{self.nomad_ui}/jobs/{quote(job_id(self._settings.installation, attempt))}@{found.namespace}{region}"

    @property
    def zone(self) -> str:
        return self.now().zone

    @property
    def environment(self) -> Mapping[str, str]:
        return self.now().environment

    @property
    def open_projects(self) -> bool:
        return self.now().open_projects

    def now(self) -> Settings:
        """At most a second old; while the store cannot be asked, as it was last."""
        if self._read is not None and time.monotonic() - self._read[0] < FRESH:
            return self._read[1]
        try:
            found = self._over(self._changed.read())
        except StoreUnavailable:
            if self._read is None:
                raise
            found = self._read[1]
        self._read = (time.monotonic(), found)
        return found

    def _over(self, changed: Mapping[str, Any]) -> Settings:
        """What a newer Winslow changed, and what is no longer usable, is passed over."""
        values: dict[str, Any] = {}
        for name in CHANGEABLE:
            if name in changed:
                try:
                    values[name] = converted(name, changed[name], STORE)
                except Invalid:
                    continue
        return replace(self._settings, **values)

    def all(self) -> Sequence[Setting]:
        changed, now = self._changed.read(), self._over(self._changed.read())
        found = []
        for field in fields(Settings):
            if field.name in NOT_SHOWN:
                continue
            value = getattr(now, field.name)
            kind, help_ = CHANGEABLE.get(field.name, _of(value))
            found.append(
                Setting(
                    name=field.name,
                    value=_plain(value),
                    origin=STORE if field.name in changed else self._settings.origins.get(field.name, "default"),
                    kind=kind,
                    help=help_,
                    changeable=field.name in CHANGEABLE,
                )
            )
        return found

    def change(self, values: Mapping[str, Any]) -> Sequence[Setting]:
        names = {f.name for f in fields(Settings)} - NOT_SHOWN
        for name, value in values.items():
            if name not in names:
                raise Invalid(f"{name[:80]} is not a setting. Nothing was changed.", code="settings.unknown")
            if name not in CHANGEABLE:
                raise Invalid(
                    f"The setting {name} is read when Winslow starts. Nothing was changed.",
                    hint="Change it in winslow.toml or as a variable, and start Winslow again.",
                    code="settings.fixed",
                )
            if value is not None:
                converted(name, value, STORE)
        self._changed.write(values)
        self._read = None
        return self.all()


def _plain(value: Any) -> Any:
    """What has parts is told part by part, without those that are kept out of every text: they are secrets."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.repr}
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _of(value: Any) -> tuple[SettingKind, str]:
    if isinstance(value, dict):
        return "folders", "folders of the nodes that are shown read-only in the input pool"
    return ("boolean" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "text"), ""
