"""The page about Python is true: what it shows is run, against a server in a process of its own."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.parts import ROOT, Parts, parts
from tests.valkey import running_server, server
from winslow_nomad.client import HttpClient
from winslow_nomad.client.files import HttpFiles

__all__ = ["parts", "running_server", "server"]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
STEPS = """\
winslow: 1
name: steps
parameters: {VIDEO: {type: file}}
stages:
  - id: first
    command: [sh, -c, 'wc -c < "$VIDEO" > "$WINSLOW_OUTPUT/size"; echo "n=7" >> "$WINSLOW_RESULTS"']
    results: {n: integer}
    resources: {cpu: 0.1, memory: 16 MiB}
"""


def test_what_the_page_shows_works(parts: Parts, tmp_path: Path) -> None:
    parts.start("serve")
    parts.start_engine()
    token = parts.token()
    (tmp_path / "steps.yaml").write_text(STEPS)
    (tmp_path / "video.mp4").write_bytes(os.urandom(2000))
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    program = "\n".join(blocks).replace("https://winslow.example.org", parts.url).replace("wn_...", token)
    environ = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "WINSLOW_URL": parts.url, "WINSLOW_TOKEN": token}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environ, cwd=tmp_path, capture_output=True, text=True,
        timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "succeeded {'n': 7}\n"
    assert (tmp_path / "results" / "first" / "size").read_text().strip() == "2000"


def test_every_call_of_the_client_is_on_the_page() -> None:
    table = PAGE.partition("## What there is")[2]
    for kind, prefix in ((HttpClient, ""), (HttpFiles, "files.")):
        for name, found in inspect.getmembers(kind, inspect.isfunction):
            ours = not name.startswith("_") and name not in ("close", "output", "address", "bring", "rename", "sha256")
            assert not ours or f"`{prefix}{name}" in table, found
