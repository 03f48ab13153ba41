"""Whoever types commands in an installation of their own, which uses a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.nomad import Cluster

ROOT = Path(__file__).parents[2]
PIPELINE = """
winslow: 1
name: hello
parameters:
  FILE: {type: file}
  WORD: {type: string, default: none}
secrets: {KEY: {required: true}}
defaults: {image: "box:1", resources: {cpu: 0.2, memory: 32 MiB}, stop_grace: 2s}
stages:
  - id: one
    secrets: [KEY]
    command: [sh, "${WINSLOW_PIPELINE}/one.sh"]
    results: {size: integer}
  - id: two
    command: [sh, -c, "cat /stages/one/copy copy; cat copy > /output/second; echo $$WORD; exec sleep $$HOLD"]
    environment: {HOLD: "0"}
"""
ONE = """
set -e
cp "$FILE" copy
cp "$FILE" "$WINSLOW_OUTPUT/copy"
echo "size=$(wc -c < "$FILE")" >> "$WINSLOW_RESULTS"
echo "the key has ${#KEY} letters"
[ "$(id -u)" = "$(stat -c %u /workspace)" ]
! touch /input/x 2> /dev/null
! touch /pipeline/x 2> /dev/null
"""


class Person:
    """Types commands in an installation of their own, which uses the cluster."""

    def __init__(self, cluster: Cluster, base: Path) -> None:
        self.share = cluster.share / base.name
        self.base = base
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("WINSLOW_", "NOMAD_", "REDIS_"))},
            **cluster.environment,
            "WINSLOW_HOME": str(base / "home"),
            "WINSLOW_SHARE": str(self.share),
            "WINSLOW_INSTALLATION": base.name.replace("_", "-")[:40],
            "KEY": "a-secret-of-24-characters",
            "PYTHONPATH": str(ROOT),
        }

    def types(self, *words: str | Path, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "winslow_nomad.cli", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(command, env=self.environment, cwd=self.base, text=True, **pipes, **options)

    def gets(self, *words: str | Path, seconds: float = 120) -> tuple[int, str]:
        typed = self.types(*words)
        said, _ = typed.communicate(timeout=seconds)
        return typed.returncode, said

    def outputs(self, name: str) -> list[Path]:
        return sorted(self.share.glob(f"projects/*/stages/*/attempts/*/output/{name}"))


@contextmanager
def a_person(cluster: Cluster, base: Path, **environment: str) -> Iterator[Person]:
    """With a pipeline `hello` in front of them, and `a file`."""
    made = Person(cluster, base)
    made.environment |= environment
    (base / "hello").mkdir()
    (base / "hello/pipeline.yaml").write_text(PIPELINE)
    (base / "hello/one.sh").write_text(ONE)
    (base / "a file").write_text("some text\n")
    yield made
    home = made.environment["WINSLOW_HOME"]
    for pid in filter(str.isdigit, os.listdir("/proc")):  # the store stays up for whoever comes next
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if home.encode() in words:
            os.kill(int(pid), signal.SIGTERM)
