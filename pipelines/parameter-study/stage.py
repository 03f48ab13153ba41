"""The few lines that all stages of this pipeline share: numbers in, results and errors out."""

import os
import sys
from pathlib import Path
from typing import NoReturn

WORKSPACE = Path(os.environ.get("WINSLOW_WORKSPACE") or ".")
OUTPUT = Path(os.environ.get("WINSLOW_OUTPUT") or "output")
STAGES = Path(os.environ.get("WINSLOW_STAGES") or "stages")


def number(name: str, default: float) -> float:
    raw = os.environ.get(name) or str(default)
    try:
        return float(raw)
    except ValueError:
        fail(f"{name} has to be a number, but it is {raw!r}.")


def fail(sentence: str) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(1)


def result(**values: object) -> None:
    lines = "".join(f"{key}={value}\n" for key, value in values.items())
    print(lines, end="")
    if path := os.environ.get("WINSLOW_RESULTS"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(lines)


def progress(percent: float) -> None:
    if path := os.environ.get("WINSLOW_PROGRESS"):
        Path(path).write_text(f"{percent:.0f}\n", encoding="utf-8")
