"""How fast the runner carries a log, against the same command piped into cat in the same run, and how soon it starts.

    python bench/runner_log.py [--directory DIR] [--megabytes N] [--starts N]

Prints one JSON object. `ratio` is (time of `command | cat >/dev/null`) / (time under the runner, until the command and
its log have ended); the best of three each, in turn, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from winslow_nomad.runner import binary


def prepare(path: Path, command: list[str]) -> None:
    shutil.rmtree(path, ignore_errors=True)
    (path / "workspace").mkdir(parents=True)
    (path / "command").write_bytes(b"".join(part.encode() + b"\0" for part in command))
    (path / "environment").write_bytes(f"PATH={os.environ['PATH']}\0".encode())
    (path / "control").write_text("run\n")


def through_runner(path: Path, command: list[str]) -> tuple[float, dict[str, float]]:
    prepare(path, command)
    begin = time.monotonic()
    subprocess.run(
        [binary(), "--attempt", path, "--spool", path.with_name("spool")], check=True, stderr=subprocess.DEVNULL
    )
    took = time.monotonic() - begin
    return took, json.loads((path / "end.json").read_text())


def through_cat(command: list[str]) -> float:
    begin = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        subprocess.run(["cat"], stdin=writer.stdout, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin


def compare(place: Path, command: list[str], rounds: int = 3) -> dict[str, float]:
    runner, command_alone, cat = [], [], []
    size = 0
    for _ in range(rounds):
        cat.append(through_cat(command))
        took, end = through_runner(place / "attempt", command)
        size = end["log"]["out"]
        runner.append(took)
        command_alone.append(_seconds(end))
    return {
        "megabytes": round(size / 1e6, 1),
        "cat_mb_per_s": round(size / 1e6 / min(cat), 1),
        "runner_mb_per_s": round(size / 1e6 / min(runner), 1),
        "ratio": round(min(cat) / min(runner), 3),
        "ratio_for_the_command": round(min(cat) / min(command_alone), 3),
    }


def _seconds(end: dict[str, float]) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(end["ended"]) - datetime.fromisoformat(end["started"])).total_seconds()  # type: ignore[arg-type]


def starts(place: Path, count: int) -> dict[str, float]:
    """From the time in the claim to the time of a successful exec, both by the runner's clock."""
    from datetime import datetime

    taken = []
    for _ in range(count):
        _, end = through_runner(place / "attempt", ["true"])
        claim = json.loads((place / "attempt/claim").read_text())
        taken.append((datetime.fromisoformat(end["started"]) - datetime.fromisoformat(claim["time"])).total_seconds())  # type: ignore[arg-type]
    taken.sort()
    return {
        "p50_ms": round(taken[count // 2] * 1000, 2),
        "p99_ms": round(taken[min(count - 1, count * 99 // 100)] * 1000, 2),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--directory", type=Path, help="where attempt and spool are made (default: a temporary one)")
    arguments.add_argument("--megabytes", type=int, default=1000)
    arguments.add_argument("--starts", type=int, default=100)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory, prefix="winslow-bench-") as scratch:
        place = Path(scratch)
        lines = str(chosen.megabytes * 1_000_000 // 64 // 4)
        print(
            json.dumps(
                {
                    "blocks": compare(place, ["head", "-c", f"{chosen.megabytes}MB", "/dev/zero"]),
                    "text": compare(place, ["seq", "-f", "%063.0f", "1", lines]),
                    "a_write_per_line": compare(place, ["stdbuf", "-oL", "seq", "-f", "%063.0f", "1", lines]),
                    "claim_to_exec": starts(place, chosen.starts),
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()
