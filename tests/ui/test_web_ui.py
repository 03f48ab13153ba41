"""The web UI: its own tests, and a browser that uses it against a real server. They need Node.js, Chromium, and what
`make ui` brings; where one is missing, one line says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

UI = Path(__file__).parents[2] / "ui"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
LONGEST = 1500  # seconds; a machine that builds at the same time is slow


def missing() -> str:
    """What cannot be found here; empty: all is there."""
    found = {
        "Node.js": shutil.which("npx") is not None,
        "ui/node_modules (make ui)": (UI / "node_modules" / ".bin" / "playwright").exists(),
        f"Chromium ({CHROMIUM})": Path(CHROMIUM).exists(),
        "the built pages (make ui)": (UI.parent / "winslow_nomad" / "site" / "index.html").exists(),
    }
    return ", ".join(name for name, there in found.items() if not there)


pytestmark = pytest.mark.skipif(bool(missing()), reason=f"the web UI is not tested here, for want of {missing()}")


def run(*command: str) -> None:
    whole = {**os.environ, "CHROMIUM": CHROMIUM}
    done = subprocess.run(
        ["npx", "--no-install", *command],
        cwd=UI, env=whole, capture_output=True, text=True, timeout=LONGEST, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_what_the_pages_reckon_with_is_right() -> None:
    run("vitest", "run")


def test_a_project_lives_its_whole_life_in_a_browser() -> None:
    run("playwright", "test", "--project=e2e", "--grep", "@smoke")


# One for each file, so that a failure names what it is about.
LONG = {
    "life": "a project's life by hand",
    "lives": "people at once, servers and networks that go away, sessions that end, a keyboard",
    "pages": "every page for everybody",
    "faults": "every page with every fault",
    "big": "ten thousand projects, two million lines, two gibibytes",
    "demo": "a street video's life, with another value, compared and drawn",
    "first": "the way of an empty installation to a result",
    "notifications": "who is told of what, and in the browser",
    "inbox": "what waits for a person, answered in place",
    "analysis": "figures of several stages, of sweeps, and what is kept of them for others",
    "files": "files dropped, seen, renamed, fetched and put away",
    "logs": "what a log is read with, and the tables that are made of it",
    "nodes": "what runs where, and on a machine that cannot be emptied",
    "settings": "keys for programs",
    "statistics": "what ran, as pictures, tables and files",
    "palette": "everything by typing",
    "upkeep": "what a project may use, keeps and lets go",
    "line": "what waits in line, changed where it stands",
    "limits": "what people may have in use at a time",
    "pipelines": "pipelines written, compared and published again",
}


def test_every_file_of_browser_tests_is_run_here() -> None:
    assert {path.name.removesuffix(".spec.ts") for path in (UI / "e2e").glob("*.spec.ts")} == set(LONG)


@pytest.mark.chaos
@pytest.mark.timeout(LONGEST + 30)
@pytest.mark.parametrize("name", LONG, ids=LONG.values())
def test_in_a_browser(name: str) -> None:
    run("playwright", "test", "--project=e2e", f"e2e/{name}.spec.ts")
