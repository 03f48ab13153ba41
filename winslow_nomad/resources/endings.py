"""What an attempt leaves about its end: `end.json` and the lines of `results`. Reads bytes, never files.

Both may have been written by other versions or by anybody's program: what cannot be understood is said in
the message and never raises.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError

from winslow_nomad.core.ports import Heartbeat
from winslow_nomad.core.stage import Cause, Outcome

FORMAT = 1
RESULTS_BYTES = 1024 * 1024
RESULTS_KEYS = 1000
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}\Z")
_FIELDS = ("cause", "code", "signal", "message", "started", "ended", "cpu_seconds", "peak_memory_bytes")


def render_end(outcome: Outcome, token: str, by: str) -> str:
    """end.json as Winslow publishes it."""
    fields = outcome.model_dump(mode="json", include=set(_FIELDS))
    return json.dumps({"format": FORMAT, "token": token, "by": by, **fields, "log": {}}) + "\n"


def parse_end(data: bytes) -> Outcome:
    """What end.json says. One that cannot be read tells that the runner is lost: never a success."""
    try:
        found = json.loads(data)
        fields: dict[str, Any] = {name: found[name] for name in _FIELDS if found.get(name) is not None}
        return Outcome.model_validate(fields)
    except (ValueError, ValidationError, TypeError, AttributeError) as error:
        text = str(error).splitlines()[0][:200]
        return Outcome(cause=Cause.RUNNER_LOST, message=f"its end.json cannot be understood: {text}")


def parse_results(data: bytes) -> tuple[dict[str, str], str]:
    """Lines `key=value`; a later one wins. Answers what is good, and a sentence about what is not."""
    found: dict[str, str] = {}
    bad: list[int] = []
    cut = len(data) > RESULTS_BYTES
    if cut:
        data = data[:RESULTS_BYTES].rpartition(b"\n")[0]
    too_many = 0
    for number, line in enumerate(data.split(b"\n"), 1):
        text = line.decode("utf-8", "replace").strip("\r")
        if not text.strip():
            continue
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not _KEY.match(key):
            bad.append(number)
        elif key not in found and len(found) >= RESULTS_KEYS:
            too_many += 1
        else:
            found[key] = value.strip()
    said = []
    if bad:
        lines = ", ".join(map(str, bad[:5])) + (" ..." if len(bad) > 5 else "")
        said.append(f"results: line {lines} is not key=value, with a key of letters from a to z, digits and _.-")
    if too_many:
        said.append(f"results: {too_many} lines beyond the first {RESULTS_KEYS} keys were left out")
    if cut:
        said.append(f"results: only the first {RESULTS_BYTES >> 20} MiB were read")
    return found, "; ".join(said)


def parse_heartbeat(data: bytes) -> Heartbeat:
    """Raises ValueError for one that is torn."""
    found = json.loads(data)
    return Heartbeat.model_validate({k: v for k, v in found.items() if k in Heartbeat.model_fields})
