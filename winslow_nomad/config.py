"""The one reader of settings: environment variables `WINSLOW_*` over `<home>/winslow.toml` over defaults.

Read once, at the composition root. Unknown keys are errors. `origins` tells where each value came from,
for `winslow doctor`."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from winslow_nomad import config_nomad, config_registries
from winslow_nomad.config_nomad import NomadSettings
from winslow_nomad.config_registries import RegistrySettings
from winslow_nomad.core.allowance import WrongEntries, parse
from winslow_nomad.core.errors import Invalid, InvalidEntries

HINT = "See docs/settings.md for all settings."
HINTS = {
    "home": "Name a directory.",
    "share": "Name a directory.",
    "memory": "Write a number of bytes, such as 8589934592.",
    "upload_largest": "Write a number of bytes, such as 1099511627776.",
    "upload_quota": "Write a number of bytes, such as 1099511627776.",
    "installation": "Letters, digits and . _ - make one, 63 at most, beginning with a letter or a digit.",
    "names": "Write host names, with commas between them.",
    "trusted_proxies": "Write addresses or networks (10.0.0.7, 10.0.0.0/24), with commas between them.",
    "metrics_from": "Write addresses or networks (10.0.0.7, 10.0.0.0/24), with commas between them.",
    "public_url": "Write an address such as https://winslow.example.org.",
    "smtp_url": "Write smtp://user:password@host:port or smtps://..., with special characters as %xx.",
    "mail_from": "Write an address such as winslow@example.org.",
    "limits": "Write @everyone gpus=4 cpu=32; @students gpus=1; ann memory=256GiB stages=20.",
    "roots": 'Write name = "/an/absolute/path" for each.',
    "environment": 'Write NAME = "value" for each.',
}
INSTALLATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # begins the names of keys and of jobs
SECRET = {"redis_url", "smtp_url"}  # may hold a password
NUMBERS = {"cpu", "sweep_seconds", "keep_failed_days", "keep_superseded_days", "keep_trash_days", "keep_audit_days"}
ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+|[^@<>,;\r\n]+ <[^@\s<>,;]+@[^@\s<>,;]+>")
VARIABLE = re.compile(r"(?!WINSLOW_)[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Settings:
    """home: this machine's data (store, keys, local driver); share: what all nodes see."""

    home: Path
    share: Path
    driver: str = "local"
    redis_url: str = ""
    user: str = ""
    installation: str = "winslow"
    cpu: float = 0.0  # cores the local driver may book; 0: all of this machine
    memory: int = 0  # bytes it may book; 0: all of this machine
    sweep_seconds: float = 5.0
    keep_failed_days: float = 7.0
    keep_superseded_days: float = 30.0
    keep_trash_days: float = 7.0
    limits: str = ""  # who may have how much in use at the same time; see core.allowance.parse
    open_projects: bool = True  # everybody is a member of a new project, unless its author says otherwise
    zone: str = "UTC"  # in which people read times; IANA name
    roots: dict[str, str] = field(default_factory=dict)  # read-only folders mapped into the input pool
    environment: dict[str, str] = field(default_factory=dict)  # variables of every stage
    nomad: NomadSettings = field(default_factory=NomadSettings)
    registries: RegistrySettings = field(default_factory=RegistrySettings)
    keep_audit_days: float = 180.0
    upload_largest: int = 1 << 40  # bytes of one file
    upload_quota: int = 0  # bytes of one person's unfinished uploads; 0: as much as there is room for
    names: tuple[str, ...] = ()  # host names under which the API is asked, besides that of the machine
    tls_certificate: str = ""
    tls_key: str = ""
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks whose X-Forwarded-* is believed
    public_url: str = ""  # where people find the web UI, for links in notifications
    smtp_url: str = ""  # the server that takes mail; may hold a password
    mail_from: str = ""
    private_webhooks: bool = False  # whoever makes a channel may name machines of Winslow's own network
    metrics_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")  # who may read metrics without a token
    origins: dict[str, str] = field(default_factory=dict, compare=False)


def default_home(environ: dict[str, str]) -> Path:
    data = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME", "/root")) / ".local" / "share")
    return Path(data) / "winslow"


def load(environ: dict[str, str] | None = None) -> Settings:
    """Settings of this process. Raises Invalid, naming the key and where it stands."""
    env = dict(os.environ) if environ is None else environ
    origins = {"home": "WINSLOW_HOME" if env.get("WINSLOW_HOME") else "default"}
    home = converted("home", env.get("WINSLOW_HOME") or default_home(env), origins["home"])
    values: dict[str, Any] = {"home": home}
    file = home / "winslow.toml"
    for key, value in read_file(file).items():
        values[key] = value
        origins[key] = str(file)
    for item in fields(Settings):
        name = "REDIS_URL" if item.name == "redis_url" else f"WINSLOW_{item.name.upper()}"
        if item.name not in ("home", "origins", "roots", "environment", "nomad", "registries") and env.get(name):
            values[item.name] = env[name]
            origins[item.name] = name
    nomad = config_nomad.read(_table("nomad", values.pop("nomad", {}), file), env, str(file))
    registries = config_registries.read(_table("registries", values.pop("registries", {}), file), env, str(file))
    values.setdefault("share", home / "share")
    values.setdefault("user", env.get("USER") or env.get("LOGNAME") or "someone")
    known = {k: converted(k, v, origins.get(k, "default")) for k, v in values.items()}
    return Settings(**known, nomad=nomad, registries=registries, origins=origins)


def _table(name: str, found: Any, file: Path) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise Invalid(f"{file}: {name} is a table, [{name}].", hint=HINT, code="settings.invalid")
    return found


def read_file(file: Path) -> dict[str, Any]:
    """What it says; nothing where there is none."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would hold us, a device never end
            raise IsADirectoryError(0, "it is not a file")
        found = tomllib.loads(file.read_bytes().decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, RecursionError, OSError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise Invalid(f"{file} cannot be read: {why}.", hint=HINT, code="settings.unreadable") from error
    known = {f.name for f in fields(Settings)} - {"origins", "home"}
    for key in found:
        if key not in known:
            raise Invalid(f"{file}: {key} is not a setting.", hint=HINT, code="settings.unknown")
    return found


def converted(key: str, value: Any, origin: str) -> Any:
    """The value as it is used. Raises Invalid, naming key and origin."""
    try:
        return _value(key, value)
    except WrongEntries as error:
        raise InvalidEntries(
            f"The setting {key} ({origin}) cannot be {str(value)[:200]!r}: {error}.",
            {f"{key}.{number}": why for number, why in error.entries.items()},
            hint=HINTS[key],
            code="settings.invalid",
        ) from error
    # the last two: where a folder is cannot be found out
    except (AttributeError, TypeError, ValueError, LookupError, RuntimeError, OSError) as error:
        raise Invalid(
            f"The setting {key} ({origin}) cannot be {'what it is' if key in SECRET else repr(str(value)[:200])}.",
            hint=HINTS.get(key, HINT),
            code="settings.invalid",
        ) from error


def _value(key: str, value: Any) -> Any:
    if key in ("home", "share"):
        return Path(_wanted(value, value != "")).expanduser().absolute()
    if key in NUMBERS:
        number = float(_wanted(value, not isinstance(value, bool)))
        return _wanted(number, 0 < number < 1e9 or (number == 0 and key != "sweep_seconds"))
    if key in ("open_projects", "private_webhooks"):
        return {"true": True, "false": False}[str(value).lower()]
    if key == "limits":
        return _wanted(value.strip(), parse(value) is not None)
    if key == "zone":
        return ZoneInfo(_wanted(value, isinstance(value, str) and value != "")).key
    if key == "public_url":
        return _address(value, ("http", "https")).rstrip("/")
    if key == "smtp_url":
        return _address(value, ("smtp", "smtps"))
    if key == "mail_from":
        return _wanted(value, isinstance(value, str) and (not value or ADDRESS.fullmatch(value) is not None))
    if key in ("names", "trusted_proxies", "metrics_from"):
        given = value.split(",") if isinstance(value, str) else list(value)
        texts = tuple(t.strip() for t in given if t.strip())
        return _wanted(texts, key == "names" or all(ip_network(t, strict=False) for t in texts))
    if key in ("memory", "upload_largest", "upload_quota"):
        amount = int(_wanted(value, not isinstance(value, bool | float)))
        return _wanted(amount, 0 <= amount < 1 << 62)
    if key == "roots":
        roots = {k: Path(v).expanduser() for k, v in value.items()}
        _wanted(roots, all(p.is_absolute() and k not in ("", ".", "..") and "/" not in k for k, p in roots.items()))
        return {k: str(p) for k, p in roots.items()}
    if key == "environment":
        variables = {k: str(_wanted(v, isinstance(v, str | int | float))) for k, v in value.items()}
        return _wanted(variables, all(VARIABLE.fullmatch(k) and "\0" not in v for k, v in variables.items()))
    text = _wanted(value, isinstance(value, str))
    if key != "redis_url":  # which may hold a password and is looked at where it is used
        text.encode()
    return _wanted(text, key != "installation" or INSTALLATION.fullmatch(text) is not None)


def _address(value: Any, schemes: tuple[str, ...]) -> str:
    """An address with a server in it, or nothing."""
    text: str = _wanted(value, isinstance(value, str) and value.isprintable() and " " not in value)
    if text:
        found = urlsplit(text)
        _wanted(text, found.scheme in schemes and bool(found.hostname) and (found.port or 1) > 0)
    return text


T = TypeVar("T")


def _wanted(value: T, good: bool) -> T:
    if not good:
        raise ValueError
    return value
