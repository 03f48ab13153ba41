"""Commands to several API processes of which one is killed again and again: none is lost, none is done twice."""

from __future__ import annotations

import threading
import time
from collections import Counter

import httpx
import pytest

from tests.api.conftest import Served
from tests.api.test_projects import TEXT

SENDERS = 4
EACH = 30
KILLS = 5


class Sender(threading.Thread):
    """Sends its commands one after the other, each under a key of its own, until each is answered."""

    def __init__(self, served: Served, name: str, project: str) -> None:
        super().__init__(name=name)
        self.client = served.signed_in("mem")
        self.project = project
        self.tries = 0
        self.refused: list[str] = []

    def run(self) -> None:
        for number in range(EACH):
            comment = {"kind": "add_comment", "text": f"{self.name}/{number}"}
            self.insist(f"/api/v1/projects/{self.project}/commands", comment, f"{self.name}-c{number}")
            if number % 10 == 0:
                made = {"name": f"{self.name}/{number}", "pipeline": {"text": TEXT}, "secrets": {"LICENCE": "x" * 20}}
                self.insist("/api/v1/projects", made, f"{self.name}-p{number}")

    def insist(self, path: str, body: dict[str, object], key: str) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.tries += 1
            try:
                answer = self.client.post(path, json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                continue  # killed in the middle, or not there again yet
            if answer.status_code == 503:
                continue
            if answer.status_code not in (200, 201):
                self.refused.append(answer.text)
            return
        self.refused.append(f"no answer to {key}")


@pytest.mark.chaos
def test_no_command_is_lost_or_done_twice_while_servers_are_killed(served: Served) -> None:
    served.start()
    admin = served.signed_in("mem")
    project = admin.post("/api/v1/projects", json={"name": "shared", "pipeline": {"text": TEXT}}).json()["id"]
    senders = [Sender(served, f"s{n}", project) for n in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        victim = next(p for p in served.processes if p.poll() is None)
        victim.kill()
        victim.wait(10)
        served.start()
    for sender in senders:
        sender.join(120)
    assert [r for s in senders for r in s.refused] == []
    told: Counter[str] = Counter()
    before = 0
    while True:
        page = admin.get(f"/api/v1/projects/{project}/history", params={"before": before, "limit": 500}).json()
        told.update(e["text"] for t in page["items"] for e in t["entries"] if e["what"] == "commented")
        before = page["next"]
        if not before:
            break
    assert told == Counter({f"s{n}/{i}": 1 for n in range(SENDERS) for i in range(EACH)})
    names = [r["name"] for r in admin.get("/api/v1/projects", params={"limit": 500}).json()["items"]]
    assert sorted(names) == sorted(["shared", *(f"s{n}/{i}" for n in range(SENDERS) for i in range(0, EACH, 10))])
    assert sum(s.tries for s in senders) > SENDERS * EACH  # some had to be sent again
