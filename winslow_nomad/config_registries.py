"""The table `[registries]` of winslow.toml, and the variables for it; the variables win. Only reads and checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.images import is_host

HINT = "See docs/settings.md for all settings."
VARIABLES = {
    "WINSLOW_REGISTRIES_INSECURE": "insecure",
    "WINSLOW_REGISTRIES_UNASKED": "unasked",
    "WINSLOW_REGISTRIES_CACERT": "ca_cert",
}


@dataclass(frozen=True)
class RegistrySettings:
    """insecure: hosts that may speak plain HTTP, or TLS with any certificate. unasked: hosts that Winslow does not ask,
    since only nodes reach them. ca_cert: a file with certificates (PEM) trusted beside those of the system."""

    insecure: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    ca_cert: str = ""


def read(table: Mapping[str, Any], env: Mapping[str, str], origin: str) -> RegistrySettings:
    """Raises Invalid, naming key and origin."""
    values: dict[str, Any] = {}
    known = {f.name for f in fields(RegistrySettings)}
    for key, value in table.items():
        if key not in known:
            raise Invalid(f"{origin}: registries.{key} is not a setting.", hint=HINT, code="settings.unknown")
        values[key] = _checked(key, value, f"{origin}, [registries]")
    for name, key in VARIABLES.items():
        if env.get(name):
            text = env[name]
            values[key] = _checked(key, text if key == "ca_cert" else text.split(","), name)
    return RegistrySettings(**values)


def _checked(key: str, value: Any, origin: str) -> Any:
    if key == "ca_cert":
        if isinstance(value, str) and "\0" not in value:
            return value
        raise _invalid(key, value, origin, "it is the name of a file")
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise _invalid(key, value, origin, 'it is written ["registry.example.org:5000", "10.0.0.7:5000"]')
    hosts = tuple(v.strip() for v in value if v.strip())
    wrong = next((host for host in hosts if not is_host(host)), None)
    if wrong is not None:
        raise _invalid(key, wrong, origin, "a registry is a host, with a port where it is not 443, as images name it")
    return hosts


def _invalid(key: str, value: Any, origin: str, why: str) -> Invalid:
    text = f"The setting registries.{key} ({origin}) cannot be {str(value)[:200]!r}: {why}."
    return Invalid(text, hint=HINT, code="settings.invalid")
