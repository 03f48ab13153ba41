"""Log-ins for registries of images. No password is ever shown."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from winslow_nomad.api.views.base import Answer, Request, example
from winslow_nomad.core.images import RegistryLogin


class RegistryView(Answer):
    """`user`: who Winslow is there; `changed`: when the password was set, `by`: by whom."""

    host: str
    user: str
    changed: datetime
    by: str = ""

    model_config = example(host="registry.example.org", user="winslow", changed="2026-11-24T14:32:00Z", by="ann")


class RegistriesView(Answer):
    """By host."""

    items: list[RegistryView]

    model_config = example(
        items=[{"host": "registry.example.org", "user": "winslow", "changed": "2026-11-24T14:32:00Z", "by": "ann"}]
    )


class RegistryPassword(Request):
    """A password, or a token that the registry takes for one; it should be good for reading only."""

    user: str = Field(max_length=256)
    password: str = Field(max_length=16_384)

    model_config = example(user="winslow", password="...")


class RegistryCheck(Answer):
    """`code` and `text` say what is wrong; both are empty where the registry lets us in."""

    ok: bool
    code: str = ""
    text: str = ""

    model_config = example(ok=False, code="image.denied", text="the registry does not show anything to winslow.")


def registry_view(login: RegistryLogin) -> RegistryView:
    return RegistryView.model_validate(login.model_dump())
