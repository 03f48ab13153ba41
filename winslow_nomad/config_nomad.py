"""The table `[nomad]` of winslow.toml, and the variables NOMAD_* as Nomad's own programs know them; the variables win.

Only reads and checks. A token is taken from its variable alone, so that it stands in no file of Winslow."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from winslow_nomad.core.errors import Invalid

HINT = "See docs/settings.md for all settings."
VARIABLES = {
    "NOMAD_ADDR": "address",
    "NOMAD_TOKEN": "token",
    "NOMAD_TOKEN_FILE": "token_file",
    "NOMAD_NAMESPACE": "namespace",
    "NOMAD_REGION": "region",
    "NOMAD_CACERT": "ca_cert",
    "NOMAD_CLIENT_CERT": "client_cert",
    "NOMAD_CLIENT_KEY": "client_key",
    "NOMAD_TLS_SERVER_NAME": "tls_server_name",
    "NOMAD_SKIP_VERIFY": "skip_verify",
}
_TRUE = frozenset({"1", "t", "true"})  # as Go reads a boolean
_FALSE = frozenset({"0", "f", "false", ""})


@dataclass(frozen=True)
class NomadSettings:
    """token_file: holds the token, and is read anew whenever one is needed. ui: where people find Nomad's own pages;
    empty: at the address. share_volume: the host volume of nodes that have the share. share_roots: node pool -> where
    the share is on its nodes, `*` for the others; empty: where it is here. pools: a pipeline's pool -> Nomad's node
    pool, where the names differ. uid, gid: of containers; -1: as Winslow's own. network: of containers; empty: docker's
    bridge."""

    address: str = "http://127.0.0.1:4646"
    ui: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    namespace: str = "winslow"
    region: str = ""
    ca_cert: str = ""
    client_cert: str = ""
    client_key: str = ""
    tls_server_name: str = ""
    skip_verify: bool = False
    share_volume: str = "winslow-share"
    share_roots: dict[str, str] = field(default_factory=dict)
    pools: dict[str, str] = field(default_factory=dict)
    datacenters: tuple[str, ...] = ("*",)
    uid: int = -1
    gid: int = -1
    network: str = ""
    whole_cores: bool = False
    oversubscription: bool = False

    @property
    def run_as(self) -> tuple[int, int]:
        """User and group of containers."""
        return (os.getuid() if self.uid < 0 else self.uid, os.getgid() if self.gid < 0 else self.gid)


def read(table: Mapping[str, Any], env: Mapping[str, str], origin: str) -> NomadSettings:
    """Raises Invalid, naming key and origin."""
    values: dict[str, Any] = {}
    known = {f.name for f in fields(NomadSettings)} - {"token"}
    for key, value in table.items():
        if key not in known:
            raise Invalid(f"{origin}: nomad.{key} is not a setting.", hint=_hint(key), code="settings.unknown")
        values[key] = _checked(key, value, f"{origin}, [nomad]")
    for name, key in VARIABLES.items():
        if env.get(name):
            values[key] = _checked(key, env[name], name)
    if env.get("NOMAD_TOKEN") and not env.get("NOMAD_TOKEN_FILE"):
        values.pop("token_file", None)  # the variables win
    found = NomadSettings(**values)
    if found.token and found.token_file:
        raise Invalid(
            "NOMAD_TOKEN and NOMAD_TOKEN_FILE are both given: one of them would never be used.",
            hint="Keep the file: a token in it can be replaced while Winslow runs.",
            code="settings.invalid",
        )
    if bool(found.client_cert) != bool(found.client_key):
        raise Invalid(
            "A certificate for Nomad is of no use without its key, nor a key without its certificate.",
            hint="Give both NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY, or neither.",
            code="settings.invalid",
        )
    return found


def _hint(key: str) -> str:
    named = "Give it as NOMAD_TOKEN in the environment, or name a file that holds it: token_file."
    return named if key == "token" else HINT


def _checked(key: str, value: Any, origin: str) -> Any:
    try:
        return _value(key, value)
    except (TypeError, ValueError) as error:
        shown = "" if key == "token" else f" {str(value)[:200]!r}"
        said = str(error) or "it is of the wrong kind"
        raise Invalid(
            f"The setting nomad.{key} ({origin}) cannot be{shown}: {said}.", hint=HINT, code="settings.invalid"
        ) from error


def _value(key: str, value: Any) -> Any:
    if key in ("skip_verify", "whole_cores", "oversubscription"):
        return _boolean(value)
    if key in ("uid", "gid"):
        return _number(value)
    if key == "datacenters":
        return tuple(_texts(value))
    if key in ("share_roots", "pools"):
        return _pairs(value, absolute=key == "share_roots")
    text = _text(value)
    if key == "address" or (key == "ui" and text):
        return _address(text)
    if key == "namespace" and (not re.fullmatch(r"[A-Za-z0-9-]{1,128}", text)):
        raise ValueError("a namespace has letters, digits and -, and `*` is none")
    if key == "token":
        return _token(text)
    return text


def _address(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s?#]+/?", text):
        raise ValueError("an address is like https://nomad.example.org:4646")
    return text.rstrip("/")


def _token(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", text.strip()):
        raise ValueError("it holds signs that no token has")
    return text.strip()


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError("it is not a text")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise TypeError('it is written ["dc1", "dc2"]')
    return [_text(v) for v in value]


def _pairs(value: Any, *, absolute: bool) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError('it is written name = "value", one for each pool')
    pairs = {k: _text(v) for k, v in value.items()}
    if absolute and not all(v.startswith("/") and ".." not in v.split("/") for v in pairs.values()):
        raise ValueError("each is an absolute path")
    return pairs


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 31:
        raise ValueError("it is a number, 0 or more")
    return value


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError("it is true or false")
