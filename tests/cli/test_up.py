"""`winslow up`: everything on one machine by one command, whatever of it is killed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.person import ROOT, Person
from tests.cli.served import GATED, STEPS
from tests.parts import free_port
from tests.waiting import until

PID = re.compile(r"^PPid:\s*(\d+)$", re.MULTILINE)


class Machine:
    """A data directory, and people who type `winslow ...` in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("WINSLOW_", "XDG_", "REDIS_"))},
            "HOME": str(root),
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        }
        self.here = {"WINSLOW_HOME": str(root / "h")}
        self.people: list[Person] = []
        (root / "steps.yaml").write_text(STEPS)
        (root / "gated.yaml").write_text(GATED)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> Person:
        argv = [sys.executable, "-m", "winslow_nomad.cli", "up", "--port", str(self.port)]
        self.people.append(Person(argv, **{**self.environ, **self.here}))
        return self.people[-1]

    def winslow(self, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "winslow_nomad.cli", *args], env={**self.environ, **more}, cwd=self.root,
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    def close(self) -> None:
        for person in self.people:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(person.process.pid, signal.SIGTERM)
            with contextlib.suppress(AssertionError):
                person.ends(20)
            person.close()
        self.winslow("projects", **self.here)  # who leaves last stops the store


@pytest.fixture
def machine() -> Iterator[Machine]:
    root = Path(tempfile.mkdtemp(prefix="up-", dir="/tmp"))
    made = Machine(root)
    yield made
    made.close()
    shutil.rmtree(root, ignore_errors=True)


def children(parent: int, what: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, AttributeError):
            is_child = int(PID.search((folder / "status").read_text())[1]) == parent  # type: ignore[index]
            if is_child and what.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def api_of(person: Person) -> int:
    return until(lambda: children(person.process.pid, "winslow_nomad.bootstrap.front"), 30)[0]


def gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def test_one_command_prints_the_address_and_a_link_that_lets_in_and_one_ctrl_c_ends_all(machine: Machine) -> None:
    person = machine.up()
    person.reads(f"Its pages are at {machine.url}")
    person.reads(f"winslow answers at {machine.url}", 60)
    person.reads("Log in as ")
    until(lambda: person.looks() and "works once" in person.said)
    link = re.search(rf"{re.escape(machine.url)}/login#\S+", person.said)
    assert link is not None
    assert machine.winslow("login", link[0]).returncode == 0
    done = machine.winslow("submit", "steps.yaml", "--name", "over http", "--wait")
    assert done.returncode == 0, done.stderr
    assert "over http" in machine.winslow("projects", **machine.here).stdout  # the same, without the server
    api = api_of(person)
    person.presses(b"\x03")
    assert person.ends(30) == 0, person.said
    assert gone(api)
    with pytest.raises(httpx.ConnectError):
        httpx.get(machine.url)
    assert "Traceback" not in person.said


def test_an_api_process_that_is_killed_comes_back_and_nobody_is_refused_meanwhile(machine: Machine) -> None:
    person = machine.up()
    person.reads("winslow answers at", 60)
    first = api_of(person)
    statuses: list[int] = []
    stopping = threading.Event()

    def asks() -> None:
        with httpx.Client(base_url=machine.url, timeout=60) as client:
            while not stopping.is_set():
                with contextlib.suppress(httpx.RemoteProtocolError, httpx.ReadError):  # what was under way
                    statuses.append(client.get("/api/v1/session").status_code)

    asking = threading.Thread(target=asks)
    asking.start()
    until(lambda: len(statuses) > 3, 30)
    os.kill(first, signal.SIGKILL)
    second = until(lambda: [p for p in children(person.process.pid, "bootstrap.front") if p != first], 30)[0]
    mark = len(statuses)
    until(lambda: len(statuses) > mark + 5, 60)
    stopping.set()
    asking.join(60)
    assert not asking.is_alive() and set(statuses) == {401}, "a connection waited; none was refused"
    assert second != first and "the API has ended (-9); starting it again" in person.said + read(person)


def read(person: Person) -> str:
    until(lambda: person.looks() and "starting it again" in person.said, 10)
    return person.said


@pytest.mark.chaos
def test_stages_go_on_while_the_api_is_down(machine: Machine) -> None:
    person = machine.up()
    person.reads("winslow answers at", 60)
    mark = machine.root / "mark"
    mark.touch()
    done = machine.winslow("submit", "steps.yaml", "--name", "goes on", "--set", f"MARK={mark}", **machine.here)
    assert done.returncode == 0, done.stderr

    def state() -> str:
        return machine.winslow("projects", **machine.here).stdout

    until(lambda: "running" in state(), 40)
    os.kill(api_of(person), signal.SIGKILL)
    mark.unlink()
    until(lambda: "succeeded" in state(), 40)


@pytest.mark.chaos
def test_up_itself_is_killed_and_started_again(machine: Machine) -> None:
    """What it ran goes on, what was acknowledged is there, and nothing of the first is left."""
    person = machine.up()
    person.reads("winslow answers at", 60)
    api = api_of(person)
    mark = machine.root / "mark"
    mark.touch()
    machine.winslow("submit", "steps.yaml", "--name", "survives", "--set", f"MARK={mark}", **machine.here)
    until(lambda: "running" in machine.winslow("projects", **machine.here).stdout, 40)
    person.process.kill()
    person.ends()
    until(lambda: gone(api), 30)
    again = machine.up()
    again.reads("winslow answers at", 60)
    mark.unlink()
    assert machine.winslow("follow", "survives", "--wait", **machine.here).returncode == 0


def test_a_port_that_is_taken_is_told_where_it_was_named_and_another_is_used_where_not(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", machine.port)):
        done = machine.winslow("up", "--port", str(machine.port), **machine.here)
        assert done.returncode == 2 and "[serve.address]" in done.stderr
    exposed = machine.winslow("up", "--host", "192.0.2.1", **machine.here)
    assert exposed.returncode == 2 and "[serve.exposed]" in exposed.stderr
    assert not (machine.root / "h").exists(), "nothing was started"
