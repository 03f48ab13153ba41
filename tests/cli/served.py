"""The command line of somebody on another machine: a home of its own, and nothing of the server but its address."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from tests.cli.person import ROOT, Person
from tests.parts import Parts
from winslow_nomad.cli.main import app

STEPS = """\
winslow: 1
name: steps
parameters:
  TEXT: {type: string, default: hello}
  MARK: {type: string, default: /nowhere}
  CODE: {type: integer, default: 0}
stages:
  - id: first
    command:
      - sh
      - -c
      - 'echo "$TEXT"; while [ -e "$MARK" ]; do sleep 0.05; done; echo a,b > "$WINSLOW_OUTPUT/t.csv"; exit $CODE'
    resources: {cpu: 0.1, memory: 16 MiB}
"""
GATED = (
    STEPS.replace("name: steps", "name: gated")
    + """\
  - id: second
    confirm: {ask: always, show: [first/t.csv]}
    command: [sh, -c, 'echo two']
    resources: {cpu: 0.1, memory: 16 MiB}
"""
)
VIDEO = """\
winslow: 1
name: video
parameters:
  VIDEO: {type: file, accept: [.mp4, .bin]}
stages:
  - id: sum
    command: [sh, -c, 'sha256sum "$VIDEO" | cut -d" " -f1']
    resources: {cpu: 0.1, memory: 16 MiB}
"""
VIDEOS = """\
winslow: 1
name: videos
parameters:
  VIDEOS: {type: files}
stages:
  - id: sums
    command: [sh, -c, 'echo "$VIDEOS" | while read -r f; do sha256sum < "$f" | cut -c1-64; done']
    resources: {cpu: 0.1, memory: 16 MiB}
"""


class Desk:
    """`environ`: of the commands that are given at it."""

    def __init__(self, root: Path, parts: Parts, token: str = "") -> None:
        self.root = root
        self.parts = parts
        self.environ = {
            "HOME": str(root),
            "USER": "somebody",
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
        }
        if token:
            self.environ |= {"WINSLOW_URL": parts.url, "WINSLOW_TOKEN": token}
        for name, text in {"steps": STEPS, "gated": GATED, "video": VIDEO, "videos": VIDEOS}.items():
            (root / f"{name}.yaml").write_text(text)

    def says(self, *args: str, typed: str = "", **more: str) -> Result:
        """In this process, which is quick."""
        ours = [n for n in os.environ if n.startswith(("WINSLOW_", "XDG_", "REDIS_", "DISPLAY"))]
        gone: dict[str, Any] = dict.fromkeys(ours)
        here = Path.cwd()
        os.chdir(self.root)
        try:
            return CliRunner().invoke(app, list(args), env={**gone, **self.environ, **more}, input=typed)
        finally:
            os.chdir(here)

    def told(self, *args: str, code: int = 0) -> dict[str, Any]:
        done = self.says(*args, "--json")
        assert done.exit_code == code, done.output
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def begins(self, *args: str, **more: str) -> subprocess.Popen[str]:
        """In a process of its own, which can be cut off."""
        return subprocess.Popen(
            [sys.executable, "-m", "winslow_nomad.cli", *args], env={**self.environ, **more}, cwd=self.root,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def sits(self, *args: str) -> Person:
        return Person([sys.executable, "-m", "winslow_nomad.cli", *args], **self.environ)
