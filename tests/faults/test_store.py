"""The store in trouble while stages run: what was acknowledged stays, what was not is said, and all goes on by
itself."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.faults.server import a_server
from tests.faults.system import a_system
from tests.waiting import until
from winslow_nomad.core import messages as m
from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.core.project import ProjectState


def test_a_store_without_memory_refuses_in_words_and_goes_on_when_there_is_some() -> None:
    with a_server() as server, a_system(REDIS_URL=f"unix://{server.socket}") as system, server.client as redis:
        system.create("runs", hold=["first"])
        system.create("asks")
        until(lambda: system.is_running("runs", "first"), 15)
        system.reaches("asks", ProjectState.WAITING, 15)
        before = until(lambda: not (p := system.project("asks")).sealing and p)
        redis.config_set("maxmemory", "1mb")
        with pytest.raises(StoreUnavailable) as caught:
            system.go("asks")
        assert caught.value.code == "store.memory" and "Nothing was changed" in str(caught.value)
        said = system.winslow("gate", "asks", "--go")
        assert said.returncode == 5 and "[store.memory]" in said.stderr, said.stderr
        assert system.shown("asks")["state"] == "waiting"  # reading goes on
        system.release("runs", "first")  # an end that cannot be stored now
        until(lambda: not system.is_running("runs", "first"), 5)
        assert system.project("asks") == before
        redis.config_set("maxmemory", "0")
        system.reaches("runs", ProjectState.WAITING, 10)
        system.go("asks")
        system.go("runs")
        for project in ("asks", "runs"):
            system.reaches(project, ProjectState.SUCCEEDED, 10)
        system.check_whole("asks", "runs")
        assert system.members["engine"].ended == []


def test_the_own_store_is_killed_and_started_again_under_running_stages() -> None:
    with a_system() as system:
        system.create("runs", hold=["first"])
        until(lambda: system.is_running("runs", "first"), 15)
        for round_number in range(3):
            assert system.kill("store")
            system.create(f"new{round_number}")  # waits a moment, and is made
        system.release("runs", "first")
        for project in ("runs", "new0", "new1", "new2"):
            system.reaches(project, ProjectState.WAITING, 15)
            system.go(project)
        for project in ("runs", "new0", "new1", "new2"):
            system.reaches(project, ProjectState.SUCCEEDED, 15)
        system.check_whole("runs", "new0", "new1", "new2")
        assert system.members["engine"].ended == []


def test_a_store_that_stays_away_is_said_and_its_return_needs_nobody() -> None:
    with a_server() as server, a_system(REDIS_URL=f"unix://{server.socket}") as system:
        system.create("runs", hold=["first"])
        system.create("asks")
        until(lambda: system.is_running("runs", "first"), 15)
        system.reaches("asks", ProjectState.WAITING, 15)
        gate = system.project("asks").gates[0].id
        server.end()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            system.send("asks", m.AnswerGate(gate=gate))
        assert time.monotonic() - began < 12
        said = system.winslow("projects")
        assert said.returncode == 5 and "[store." in said.stderr, said.stderr
        system.release("runs", "first")  # its end is found by whoever looks later
        until(lambda: not system.is_running("runs", "first"), 5)
        server.start()
        system.reaches("runs", ProjectState.WAITING, 10)
        system.send("asks", m.AnswerGate(gate=gate))
        system.go("runs")
        for project in ("asks", "runs"):
            system.reaches(project, ProjectState.SUCCEEDED, 15)
        system.check_whole("asks", "runs")
        assert system.members["engine"].ended == []


def test_a_store_that_hangs_is_said_within_its_deadline_and_goes_on() -> None:
    with a_server() as server, a_system(REDIS_URL=f"unix://{server.socket}") as system:
        system.create("runs", hold=["first"])
        until(lambda: system.is_running("runs", "first"), 15)
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            system.release("runs", "first")
            with pytest.raises(StoreUnavailable):
                system.project("runs")
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        system.reaches("runs", ProjectState.WAITING, 15)
        system.check_whole("runs")
        assert system.members["engine"].ended == []
