"""core.images.RegistryBook on a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from winslow_nomad.client.wire import Wire
from winslow_nomad.core.errors import ImageRefused, RegistryUnavailable
from winslow_nomad.core.images import RegistryLogin, checked_host


class HttpRegistries:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def all(self) -> Sequence[RegistryLogin]:
        page = self._wire.read(dict[str, Any], "registries")
        return [RegistryLogin.model_validate(item) for item in page["items"]]

    def put(self, host: str, user: str, password: str, by: str) -> RegistryLogin:
        del by  # the server knows who asks
        body = {"user": user, "password": password}
        answer = self._wire.ask("PUT", _path(host), json=body, again=True)
        return RegistryLogin.model_validate(self._wire.value(dict[str, Any], answer))

    def remove(self, host: str) -> None:
        self._wire.ask("DELETE", _path(host))

    def check(self, host: str) -> None:
        told = self._wire.value(dict[str, Any], self._wire.ask("POST", f"{_path(host)}/check", again=True))
        if not told["ok"]:
            kind = ImageRefused if str(told["code"]).startswith("image.") else RegistryUnavailable
            raise kind(told["text"], code=told["code"])


def _path(host: str) -> str:
    return f"registries/{quote(checked_host(host), safe='')}"
