"""Packs cases recorded from a real Nomad into what the tests replay: one file for each group of cases.

    python -m tests.driver.nomad.pack_recordings <folder of groups> tests/driver/nomad/recordings

In a group's folder lies one folder for each case, with `events.ndjson` (the lines of the event stream as they
came), `<moment>.allocation.<id>.json`, `<moment>.job.json`, `<moment>.evaluations.json`, `<moment>.nodes.json`
(what the API answered at that moment), and beside them `node-events.ndjson`. Left out is what no answer depends
on: the job's groups, the resources in their older spellings, lines of the stream without events.

A packed group is {case: {"moments": {name: {"job", "allocations", "evaluations", "nodes"}}, "events": [[event]]}}
with a case "" for the events of nodes; xz-compressed JSON."""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

OLDER = {"Job", "Resources", "TaskResources", "SharedResources", "SigningKeyID", "NetworkStatus", "Metrics"}
GROUPS = {"TaskGroups", "Affinities", "Constraints", "Spreads", "Update", "Payload", "VersionTag"}


def without(document: Any, names: set[str]) -> Any:
    return {k: v for k, v in document.items() if k not in names} if isinstance(document, dict) else document


def answer(path: Path) -> Any:
    """The body of an answer; None where it was not found."""
    found = json.loads(path.read_text())
    if isinstance(found, dict) and {"status", "body"} <= found.keys():
        return found["body"] if found["status"] == 200 else None
    return found


def moments(case: Path) -> dict[str, Any]:
    names = sorted(p.name.removesuffix(".job.json") for p in case.glob("*.job.json"))
    return {name: moment(case, name) for name in names}


def moment(case: Path, name: str) -> dict[str, Any]:
    def optional(kind: str) -> Any:
        path = case / f"{name}.{kind}.json"
        return answer(path) if path.exists() else None

    allocations = [answer(p) for p in sorted(case.glob(f"{name.replace('[', '[[]')}.allocation.*.json"))]
    return {
        "job": without(optional("job"), GROUPS),
        "allocations": [without(a, OLDER) for a in allocations if a is not None],
        "evaluations": optional("evaluations") or [],
        "nodes": optional("nodes") or [],
    }


def events(path: Path) -> list[list[Any]]:
    """[topic, type, document, deleted], one list for each line, which is one transaction."""
    lines = []
    for line in path.read_text().splitlines():
        found = json.loads(line).get("Events") or []
        if found:
            lines.append([packed(event) for event in found])
    return lines


def packed(event: dict[str, Any]) -> list[Any]:
    topic, payload = event["Topic"], event["Payload"]
    document = without(payload.get(topic), OLDER if topic == "Allocation" else GROUPS)
    if topic == "Node":
        document["Attributes"] = without(document["Attributes"], {"kernel.version"})
    return [topic, event["Type"], document, bool(payload.get("Deleted"))]


def pack(group: Path) -> dict[str, Any]:
    cases = {
        case.name: {"moments": moments(case), "events": events(case / "events.ndjson")}
        for case in sorted(group.iterdir())
        if (case / "events.ndjson").exists()
    }
    nodes = group / "node-events.ndjson"
    return cases | ({"": {"moments": {}, "events": events(nodes)}} if nodes.exists() else {})


def main(source: Path, target: Path) -> None:
    for group in sorted(p for p in source.iterdir() if p.is_dir()):
        cases = pack(group)
        if any(cases):
            text = json.dumps(cases, separators=(",", ":"), sort_keys=True)
            (target / f"{group.name}.json.xz").write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
