"""What a stage and Winslow say to each other: parameters in, results, progress and files out.

Everything goes through environment variables, so a stage can also be run by hand without Winslow: what is missing falls
back to folders below the current directory. Nothing is ever written outside the workspace, the output and the two
files that Winslow names.
"""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any


class Problem(Exception):
    """Something the person can put right: shown as one sentence, without a traceback."""


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def number(name: str, default: float, low: float = -math.inf, high: float = math.inf) -> float:
    raw = text(name)
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError:
        raise Problem(f"{name} has to be a number, but it is {raw!r}.") from None
    if not math.isfinite(value) or not low <= value <= high:
        raise Problem(f"{name} has to be between {low:g} and {high:g}, but it is {raw}.")
    return value


def integer(name: str, default: int, low: float = -math.inf, high: float = math.inf) -> int:
    value = number(name, default, low, high)
    if value != int(value):
        raise Problem(f"{name} has to be a whole number, but it is {text(name)}.")
    return int(value)


def boolean(name: str, default: bool) -> bool:
    raw = text(name).lower()
    if raw not in ("", "true", "false"):
        raise Problem(f"{name} has to be true or false, but it is {raw!r}.")
    return default if not raw else raw == "true"


def choice(name: str, options: Sequence[str]) -> str:
    raw = text(name) or options[0]
    if raw not in options:
        raise Problem(f"{name} has to be one of {', '.join(options)}, but it is {raw!r}.")
    return raw


def input_file(name: str) -> Path:
    raw = text(name)
    if not raw:
        raise Problem(f"{name} is not set: choose a video for it.")
    path = Path(raw)
    if not path.is_file():
        raise Problem(f"{name} names {raw}, which is not a file.")
    return path


def workspace() -> Path:
    return Path(os.environ.get("WINSLOW_WORKSPACE") or ".")


def output() -> Path:
    path = Path(os.environ.get("WINSLOW_OUTPUT") or "output")
    path.mkdir(parents=True, exist_ok=True)
    return path


def from_workspace(name: str, made_by: str) -> Path:
    path = workspace() / name
    if not path.is_file():
        raise Problem(f"{name} is missing in the workspace: stage {made_by} has to run before this one.")
    return path


def result(**values: object) -> None:
    """Report results; a later line with the same key wins."""
    path = os.environ.get("WINSLOW_RESULTS")
    lines = "".join(f"{key}={_plain(value)}\n" for key, value in values.items())
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(lines)
    print(lines, end="", flush=True)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value).replace("\n", " ")


class Progress:
    """Writes a percentage when the whole number changes; `part` maps a step of the work into a slice of 0 to 100."""

    def __init__(self) -> None:
        self._path = os.environ.get("WINSLOW_PROGRESS")
        self._shown = -1

    def __call__(self, done: float, total: float, part: tuple[float, float] = (0, 100)) -> None:
        share = min(1.0, max(0.0, done / total)) if total > 0 else 0.0
        percent = int(part[0] + share * (part[1] - part[0]))
        if percent != self._shown:
            self._shown = percent
            if self._path:
                Path(self._path).write_text(f"{percent}\n", encoding="utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def run(stage: Callable[[], None]) -> None:
    """Run a stage: a Problem becomes one sentence and exit code 1, anything else is a fault and keeps its traceback."""
    try:
        stage()
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(1)
