"""The list of projects at scale: the newest 100 of 100,000 with two filters and the caller's groups, at the handler and
over HTTP, beside what the server needs for bare rows of the same size.

    python -m bench.projects_list [--projects 100000] [--rounds 200]

The yardstick is ZREVRANGE and HMGET of 100 rows in one round trip on the same server: what no list can do without.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn

from tests.builders import a_pipeline, a_running_stage, a_stage
from winslow_nomad import config
from winslow_nomad.api.app import create_app
from winslow_nomad.api.authority import COOKIE
from winslow_nomad.api.routes import projects as route
from winslow_nomad.api.views.projects import Asked
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.services import services
from winslow_nomad.core import rows
from winslow_nomad.core.access import Role
from winslow_nomad.core.people import Group, Person
from winslow_nomad.core.project import Gate, Member, Project
from winslow_nomad.core.stage import EndedStage, StageState
from winslow_nomad.store import codec, indexes
from winslow_nomad.store.commit import Command
from winslow_nomad.store.transaction import ask

TAGS = [f"campaign-{n:02d}" for n in range(40)]
GROUPS = [f"@lab{n}" for n in range(12)]
PEOPLE = [f"user{n:02d}" for n in range(50)]
AT = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = ("detect", "inspect", "track", "clean", "analyse")
PIPELINES = [a_pipeline(*STEPS, name=n) for n in ("traffic", "night", "crowd")]


def one(number: int, chance: random.Random) -> Project:
    """As real ones are: most have ended, some wait, few run."""
    fate = chance.random()
    at = AT + timedelta(seconds=number * 30 + chance.randrange(30))
    ended = {n: EndedStage(number=n, id=i, state=StageState.SUCCEEDED, attempt=1, queued=at, started=at, ended=at)
             for n, i in enumerate(STEPS, start=1)}  # fmt: skip
    gate = Gate(id="g1", kind="confirm", stage=2, question="Start inspect?", since=at)
    members = (Member(user=chance.choice(GROUPS)), *([Member(user="@everyone")] if fate < 0.3 else []))
    open_ones = {6: a_running_stage(6, "detect")} if fate < 0.01 else {6: a_stage(6, "track")} if fate < 0.04 else {}
    return Project(
        id=f"p{number:011d}", version=12, name=f"Crossing {number}, {chance.choice(['north', 'south'])}",
        pipeline=chance.choice(PIPELINES), author=chance.choice(PEOPLE), participants=members,
        tags=tuple(chance.sample(TAGS, chance.randrange(4))), created=at, updated=at, stages=open_ones,
        ended=ended if fate > 0.1 else {}, gates=(gate,) if 0.04 < fate < 0.06 else (),
    )  # fmt: skip


def fill(installation: Installation, count: int) -> tuple[float, int]:
    """Indexes and rows as commits write them; seconds, and bytes of a row."""
    chance, keys, state = random.Random(7), installation.keys, installation.state
    began, size = time.perf_counter(), 0
    batch: list[Command] = []
    for number in range(count):
        project = one(number, chance)
        text = codec.write_row(rows.row(project, rows.tally(project, None, rows.NOTHING)))
        size += len(text)
        batch += indexes.write(keys, None, project, indexes.places(project))
        batch.append(("HSET", keys.project(project.id), "summary", text))
        if len(batch) > 5000:
            ask(state, *batch)
            batch = []
    ask(state, *batch)
    return time.perf_counter() - began, size // count


def timed(rounds: int, work: Callable[[int], object]) -> list[float]:
    """Milliseconds of each round."""
    found = []
    for number in range(rounds):
        began = time.perf_counter()
        work(number)
        found.append((time.perf_counter() - began) * 1000)
    return sorted(found)


def told(name: str, times: list[float], note: str = "") -> None:
    p95 = times[int(len(times) * 0.95)]
    print(f"{name:46} p50 {statistics.median(times):7.2f} ms   p95 {p95:7.2f} ms   max {times[-1]:7.2f} ms  {note}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--projects", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="bench-list-", dir="/tmp"))
    installation = Installation(config.load({"WINSLOW_HOME": str(home / "h"), "HOME": str(home), "USER": "bench"}))
    try:
        return run(installation, arguments.projects, arguments.rounds)
    finally:
        installation.close()
        shutil.rmtree(home, ignore_errors=True)


def run(installation: Installation, count: int, rounds: int) -> int:
    given = services(installation)
    for name, role, groups in (("user01", Role.MEMBER, GROUPS[:3]), ("boss", Role.ADMIN, [])):
        given.people.add(Person(name=name, role=role, made=installation.clock.now()))
        for group in groups:
            given.people.add_group(Group(name=group.removeprefix("@"), made=installation.clock.now()))
            given.people.set_member(group.removeprefix("@"), name, "member")
    seconds, size = fill(installation, count)
    load = os.getloadavg()[0]
    print(f"{count} projects, rows of {size} bytes, put into the store in {seconds:.0f} s; load {load:.1f}")
    keys, state = installation.keys, installation.state

    def bare(_: int) -> None:
        newest = ask(state, ("ZREVRANGE", keys.updated, 0, 99))[0]
        ask(state, *(("HMGET", keys.project(p.decode()), "summary") for p in newest))

    session = given.people.open_session("user01", "password").secret
    who = given.people.of_session(session)
    assert who is not None

    def listed(asked: Asked) -> Callable[[int], object]:
        return lambda _: route.list_projects(given, who, asked)

    cases = {
        "two filters, the caller's groups": Asked(tag=["campaign-07"], pipeline=["traffic"]),
        "state and tag": Asked(state=["running"], tag=["campaign-07"]),
        "no filter": Asked(),
        "two tags, one excluded": Asked(tag=["campaign-07", "campaign-11", "-campaign-03"]),
        "a text that few have": Asked(text="crossing 777"),
        "by priority, two filters": Asked(sort="priority", tag=["campaign-07"], pipeline=["traffic"]),
        "by name, two filters": Asked(sort="name", tag=["campaign-07"], pipeline=["traffic"]),
    }
    yardstick = timed(rounds, bare)
    told("bare ZREVRANGE and HMGET of 100 rows", yardstick, "yardstick")
    good = True
    for name, asked in cases.items():
        times = timed(rounds, listed(asked))
        page = given.listing.find(asked.query(who.names, route.CAP))
        told(f"handler: {name}", times, f"{len(page.rows)} rows{', more' if page.next else ''}")
        good = good and (name != "two filters, the caller's groups" or times[int(rounds * 0.95)] <= 5.0)
    told("handler: counts", timed(rounds, lambda _: route.count_projects(given, who)))
    good = over_http(given, session, rounds) and good
    return 0 if good else 1


def over_http(given: object, session: str, rounds: int) -> bool:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(create_app(given), host="127.0.0.1", port=port, log_level="error", access_log=False)  # type: ignore[arg-type]
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def get(_: int) -> None:
        path = "/api/v1/projects?tag=campaign-07&pipeline=traffic"
        connection.request("GET", path, headers={"Cookie": f"{COOKIE}={session}", "Host": "localhost"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body[:500]

    times = timed(rounds, get)
    told("HTTP: two filters, the caller's groups", times, "one process for both ends")
    server.should_exit = True
    thread.join(timeout=5)
    return times[int(rounds * 0.95)] <= 20.0


if __name__ == "__main__":
    sys.exit(main())
