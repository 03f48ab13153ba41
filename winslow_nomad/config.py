"""The one reader of settings: environment variables `WINSLOW_*` over `<home>/winslow.toml` over defaults.

Read once, at the composition root. Unknown keys are errors. `origins` tells where each value came from,
for `winslow doctor`."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from winslow_nomad.core.errors import Invalid

HINT = "See docs/settings.md for all settings."


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
    roots: dict[str, str] = field(default_factory=dict)  # read-only folders mapped into the input pool
    environment: dict[str, str] = field(default_factory=dict)  # variables of every stage
    origins: dict[str, str] = field(default_factory=dict, compare=False)


def default_home(environ: dict[str, str]) -> Path:
    data = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME", "/root")) / ".local" / "share")
    return Path(data) / "winslow"


def load(environ: dict[str, str] | None = None) -> Settings:
    """Settings of this process. Raises Invalid, naming the key and where it stands."""
    env = dict(os.environ) if environ is None else environ
    home = Path(env["WINSLOW_HOME"]) if env.get("WINSLOW_HOME") else default_home(env)
    home = home.expanduser().absolute()
    values: dict[str, Any] = {"home": home}
    origins = {"home": "WINSLOW_HOME" if env.get("WINSLOW_HOME") else "default"}
    file = home / "winslow.toml"
    if file.is_file():
        for key, value in read_file(file).items():
            values[key] = value
            origins[key] = str(file)
    for item in fields(Settings):
        name = "REDIS_URL" if item.name == "redis_url" else f"WINSLOW_{item.name.upper()}"
        if item.name not in ("home", "origins", "roots", "environment") and env.get(name):
            values[item.name] = env[name]
            origins[item.name] = name
    values.setdefault("share", home / "share")
    values.setdefault("user", env.get("USER") or env.get("LOGNAME") or "someone")
    return Settings(**{k: converted(k, v) for k, v in values.items()}, origins=origins)


def read_file(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            found = tomllib.load(stream)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise Invalid(f"{file} cannot be read: {error}.", hint=HINT, code="settings.unreadable") from error
    known = {f.name for f in fields(Settings)} - {"origins", "home"}
    for key in found:
        if key not in known:
            raise Invalid(f"{file}: {key} is not a setting.", hint=HINT, code="settings.unknown")
    return found


def converted(key: str, value: Any) -> Any:
    try:
        if key in ("home", "share"):
            return Path(value).expanduser().absolute()
        if key in ("cpu", "sweep_seconds", "keep_failed_days", "keep_superseded_days", "keep_trash_days"):
            number = float(value)
            if not 0 <= number < 1e9:
                raise ValueError
            return number
        if key == "memory":
            return int(value)
        if key in ("roots", "environment"):
            return {str(k): str(v) for k, v in dict(value).items()}
        return str(value)
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"The setting {key} cannot be {value!r}.", hint=HINT, code="settings.invalid"
        ) from error
