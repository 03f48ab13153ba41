"""Several processes of the API side by side, one of them killed again and again while people give commands."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import Counter

import httpx
import pytest

from tests import builders
from tests.api.conftest import Served
from winslow_nomad.core.messages import CreateProject

API = "/api/v1"
PEOPLE, KILLS = 4, 4


@pytest.mark.chaos
def test_no_command_is_lost_and_none_done_twice_while_processes_are_killed(served: Served) -> None:
    """Whoever gets no answer asks again with the same key, until there is one. An idle project changes by commands
    alone, so its version counts them."""
    client = served.world.services.client
    pipeline = builders.a_pipeline("detect")
    project = client.send("p-1", CreateProject(actor="mem", project="p-1", name="p", pipeline=pipeline))
    served.start()
    acknowledged, unanswered, over = Counter[int](), Counter[int](), threading.Event()
    refused: list[str] = []
    deadline = time.monotonic() + 120

    def person(number: int) -> None:
        with served.signed_in("mem") as http:
            while not over.is_set():
                while not answered(http, f"{number}/{acknowledged[number]}"):
                    unanswered[number] += 1
                    assert time.monotonic() < deadline
                acknowledged[number] += 1

    def answered(http: httpx.Client, text: str) -> bool:
        body = {"kind": "add_comment", "text": text}
        with contextlib.suppress(httpx.TransportError):
            answer = http.post(f"{API}/projects/{project.id}/commands", json=body, headers={"Idempotency-Key": text})
            if answer.status_code != 200:
                refused.append(answer.text)
            return True
        return False

    people = [threading.Thread(target=person, args=(n,)) for n in range(PEOPLE)]
    for thread in people:
        thread.start()
    chance = random.Random(5)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.3))  # anywhere in the work of a request
        oldest = next(p for p in served.processes if p.poll() is None)
        oldest.send_signal(signal.SIGKILL)
        oldest.wait(10)
        served.start()
    over.set()
    for thread in people:
        thread.join(60)
    assert refused == []
    assert sum(acknowledged.values()) > 50 and sum(unanswered.values()) > 0
    assert client.project(project.id).version - project.version == sum(acknowledged.values())
