"""Doorbells: rung with the commit, answered by threads and processes, and never anything but a doorbell."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rq.worker.base
from rq import Queue
from rq.job import Job, JobStatus, Webhook
from rq.timeouts import TimerDeathPenalty

from tests.builders import a_project, decided
from tests.store.processes import STEPS, one_step, start
from tests.valkey import Server
from tests.waiting import until
from winslow_nomad.core.decision import Decision
from winslow_nomad.core.effects import SealStage
from winslow_nomad.core.project import Project
from winslow_nomad.store.client import state_client, worker_client
from winslow_nomad.store.embedded import Embedded
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.queue import ADVANCE, BEATS, Doorbell, Doorbells, ThreadWorker, WorkerThread, answer_with
from winslow_nomad.store.redis import RedisStore
from winslow_nomad.store.transaction import ask


@pytest.fixture
def store(server: Server) -> RedisStore:
    return RedisStore(server.client, keys=server.keys)


@pytest.fixture
def bells(server: Server) -> Doorbells:
    return Doorbells(server.client, server.keys)


Starter = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def process() -> Iterator[Starter]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-m", "tests.store.processes", *arguments]))
        return started[-1]

    yield begin
    for child in started:
        child.kill()
        child.wait()


@pytest.fixture
def thread(server: Server, bells: Doorbells) -> Iterator[WorkerThread]:
    client = worker_client(server.address)
    found = WorkerThread(client, bells.name)
    yield found
    assert found.stop()
    client.close()


def finished(store: RedisStore, project: str) -> bool:
    loaded = store.load(project)
    return loaded is not None and len(loaded.values) == STEPS


def in_order_and_once(project: Project | None) -> bool:
    return project is not None and dict(project.values) == {f"step{n}": str(n) for n in range(STEPS)}


def test_a_worker_thread_answers_every_ring(store: RedisStore, bells: Doorbells, thread: WorkerThread) -> None:
    answer_with(lambda project: store.change(project, one_step))
    thread.start()
    for number in range(10):
        start(store, f"p{number}")
    until(lambda: all(finished(store, f"p{n}") for n in range(10)))
    assert all(in_order_and_once(store.load(f"p{n}")) for n in range(10))
    assert list(store.dirty()) == []
    until(lambda: bells.length() == 0)


def test_a_failing_doorbell_does_not_end_the_worker(store: RedisStore, bells: Doorbells, thread: WorkerThread) -> None:
    answered: list[str] = []

    def advance(project: str) -> None:
        answered.append(project)
        if project == "bad":
            raise RuntimeError("broken")

    answer_with(advance)
    thread.start()
    for project in ("bad", "good"):
        bells.ring(project)
    until(lambda: answered == ["bad", "good"])


def test_the_worker_thread_leaves_the_signals_of_the_process_alone(
    store: RedisStore, bells: Doorbells, thread: WorkerThread
) -> None:
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    answered: list[str] = []
    answer_with(answered.append)
    thread.start()
    bells.ring("p1")
    until(lambda: answered)
    assert {s: signal.getsignal(s) for s in before} == before


def test_a_worker_thread_waits_out_a_store_that_is_away(directory: Path) -> None:
    with Embedded(directory / "data") as own:
        keys = Keys()
        store = RedisStore(state_client(own.address), keys=keys)
        bells = Doorbells(state_client(own.address), keys)
        answered: list[str] = []
        answer_with(answered.append)
        thread = WorkerThread(worker_client(own.address), bells.name)
        thread.start()
        bells.ring("before")
        until(lambda: answered == ["before"])
        for _ in range(2):
            assert own.pid is not None
            old = own.pid
            os.kill(old, signal.SIGKILL)
            until(lambda old=old: own.pid not in (None, old))
        store.change("after", lambda _: decided(a_project("after"), SealStage(stage=1)))
        until(lambda: "after" in answered)
        assert thread.stop()


def test_a_worker_whose_registration_outlived_a_cut_goes_on_at_once(server: Server, bells: Doorbells) -> None:
    answered: list[str] = []
    answer_with(answered.append)
    worker: Any = ThreadWorker.on(worker_client(server.address), bells.name)
    worker.register_birth()  # carried out, and then the connection was cut
    stopping = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stopping,))
    thread.start()
    try:
        bells.ring("p1")
        until(lambda: answered == ["p1"])
    finally:
        stopping.set()
        thread.join()


def test_a_job_that_names_another_function_is_not_run(server: Server, bells: Doorbells, directory: Path) -> None:
    """Whoever can write to the server must not be able to run anything."""
    answered: list[str] = []
    answer_with(answered.append)
    trap = directory / "trap"
    plain = Queue(bells.name, connection=server.client, serializer="json")
    plain.enqueue_call("pathlib.Path.touch", args=(str(trap),))
    plain.enqueue_call("os.mkdir", args=(str(trap),))
    called_back = Job.create(ADVANCE, args=("p1",), connection=server.client, serializer="json", origin=bells.name)
    called_back._success_callback_name = "os.abort"
    called_back._failure_callback_name = "os.abort"
    plain.enqueue_job(called_back)
    client = worker_client(server.address)
    worker = WorkerThread(client, bells.name)
    worker.start()
    until(lambda: answered == ["p1"])
    until(lambda: bells.length() == 0)
    assert worker.stop()
    assert not trap.exists()


def test_nothing_that_a_job_asks_for_beside_its_work_is_done(server: Server, bells: Doorbells) -> None:
    """A worker process runs jobs as RQ does, which calls functions and addresses that the job names."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    job = Job.create(
        ADVANCE, args=("p1",), connection=server.client, serializer="json", origin=bells.name,
        webhooks=[Webhook(url, "finished")],
    )  # fmt: skip
    job._success_callback_name = job._failure_callback_name = job._stopped_callback_name = "os.abort"
    job.save()
    found = Doorbell.fetch(job.id, connection=server.client, serializer="json")
    assert found.webhooks and found._success_callback_name == "os.abort", "as it was asked for"
    assert (found.success_callback, found.failure_callback, found.stopped_callback) == (None, None, None)
    found.send_webhooks(JobStatus.FINISHED)
    with listener, pytest.raises(BlockingIOError):
        listener.accept()


def test_pickled_jobs_are_not_unpickled(server: Server, bells: Doorbells) -> None:
    answered: list[str] = []
    answer_with(answered.append)
    Queue(bells.name, connection=server.client).enqueue_call("os.abort")
    bells.ring("p1")
    client = worker_client(server.address)
    worker = WorkerThread(client, bells.name)
    worker.start()
    until(lambda: answered == ["p1"])
    assert worker.stop()


def test_an_answered_doorbell_leaves_nothing_behind(server: Server, bells: Doorbells, thread: WorkerThread) -> None:
    answered: list[str] = []
    answer_with(answered.append)

    def jobs() -> set[bytes]:
        return set(server.client.keys("rq:job:*"))

    before = jobs()
    bells.ring("p1")
    (job,) = jobs() - before
    thread.start()
    until(lambda: answered)
    until(lambda: not server.client.exists(job))
    assert server.client.keys(f"rq:queue:{bells.name}*") == []


def test_two_workers_on_one_project_do_every_step_once(store: RedisStore, server: Server, process: Starter) -> None:
    for _ in range(2):
        process("worker", server.address.socket, server.keys.prefix, "")
    for number in range(12):
        start(store, f"p{number}")
        store.ring(f"p{number}")  # spurious rings, as sweepers make them
        store.ring(f"p{number}")
    until(lambda: all(finished(store, f"p{n}") for n in range(12)), seconds=30)
    assert all(in_order_and_once(store.load(f"p{n}")) for n in range(12))


def test_a_worker_killed_in_the_middle_of_a_job_is_made_good_by_one_ring(
    store: RedisStore, server: Server, process: Starter, directory: Path
) -> None:
    stall = directory / "stall"
    stall.touch()
    victim = process("worker", server.address.socket, server.keys.prefix, str(stall))
    start(store, "p1")
    until(lambda: (directory / "stall.reached").exists(), seconds=20)
    victim.kill()
    victim.wait()
    stall.unlink()
    process("worker", server.address.socket, server.keys.prefix, "")
    assert store.ring_again(datetime.now(UTC) + timedelta(seconds=3)) == ["p1"]
    until(lambda: finished(store, "p1"), seconds=20)
    assert in_order_and_once(store.load("p1"))
    assert list(store.dirty()) == []


def test_a_click_between_load_and_commit_is_not_lost(store: RedisStore) -> None:
    """advance finds nothing left to do and commits; a click came in between: the project stays dirty."""
    store.change("p1", lambda _: decided(a_project(), SealStage(stage=1)))
    clicks: list[int] = []

    def last_step(project: Project | None) -> Decision:
        assert project is not None
        if not clicks:
            clicks.append(1)
            store.change("p1", lambda p: decided(p.but(values={"click": "1"}), SealStage(stage=2)))
        return decided(project.but(name="done"), *([SealStage(stage=2)] if "click" in project.values else []))

    store.change("p1", last_step)
    loaded = store.load("p1")
    assert loaded is not None and (loaded.name, dict(loaded.values)) == ("done", {"click": "1"})
    assert list(store.dirty()) == ["p1"]


def test_a_worker_says_that_it_lives_when_it_is_due_and_not_for_each_doorbell(
    server: Server, bells: Doorbells, thread: WorkerThread
) -> None:
    """Each of those writes is on disk before a doorbell is heard: milliseconds of every hand-over."""

    def beats() -> int:
        return int(server.client.info("commandstats")["cmdstat_expire"]["calls"]) // 2

    answered: list[str] = []
    answer_with(answered.append)
    thread.start()
    bells.ring("first")
    until(lambda: answered)
    before, began = beats(), time.monotonic()
    for number in range(1, 21):
        bells.ring(str(number))
        until(lambda number=number: len(answered) == number + 1)
    assert beats() - before <= 1 + (time.monotonic() - began) // BEATS


def test_a_worker_process_ends_politely_on_sigterm(store: RedisStore, server: Server, process: Starter) -> None:
    worker = process("worker", server.address.socket, server.keys.prefix, "")
    start(store, "p1")
    until(lambda: finished(store, "p1"), seconds=20)
    worker.terminate()
    assert worker.wait(timeout=10) == 0


def test_what_the_thread_worker_uses_of_rq_is_still_there(server: Server, bells: Doorbells) -> None:
    """It has a loop of its own around RQ's parts; a release that changes them must fail here first."""
    client = worker_client(server.address)
    worker = ThreadWorker.on(client, bells.name)
    for name in (
        "register_birth", "register_death", "heartbeat", "run_maintenance_tasks", "execute_job",
        "get_redis_server_version", "subscribe", "unsubscribe", "procline", "_install_signal_handlers",
    ):  # fmt: skip
        assert callable(getattr(rq.worker.base.BaseWorker, name)), name
    assert isinstance(rq.worker.base.BaseWorker.should_run_maintenance_tasks, property)
    assert worker.queues[0].death_penalty_class is TimerDeathPenalty
    assert worker.death_penalty_class is TimerDeathPenalty
    assert isinstance(Job.func, property) and isinstance(Job.success_callback, property)
    commands = [c[0] for c in bells.commands("p1")]
    assert commands == ["SADD", "HSET", "RPUSH"]
    ask(server.client, *bells.commands("p1"))
    ours = worker.queues[0].jobs[-1]
    worker.queues[0].enqueue_call(ADVANCE, args=("p1",), timeout=30, result_ttl=0, failure_ttl=3600)
    theirs = worker.queues[0].jobs[-1]
    assert ours.id != theirs.id
    for name in ("func_name", "args", "kwargs", "origin", "timeout", "result_ttl", "failure_ttl"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.get_status() == theirs.get_status()
    assert ours.created_at is not None and ours.enqueued_at is not None
    worker.queues[0].empty()
    client.close()


@pytest.mark.chaos
def test_a_hundred_projects_finish_once_and_in_order_while_workers_and_server_are_killed(
    directory: Path, process: Starter
) -> None:
    with Embedded(directory / "data") as own:
        store = RedisStore(state_client(own.address), deadline=30)
        workers = [process("worker", own.address.socket, "winslow", "") for _ in range(2)]
        names = [f"p{n}" for n in range(100)]
        for name in names:
            start(store, name)
        stopping = threading.Event()

        def sweep() -> None:
            while not stopping.wait(0.5):
                store.ring_again(datetime.now(UTC))

        sweeper = threading.Thread(target=sweep)
        sweeper.start()
        kills = 0
        while not all(finished(store, n) for n in names):
            kills += 1
            if kills % 8 == 0:
                pid = own.pid
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
            victim = workers[kills % 2]
            victim.kill()
            victim.wait()
            workers[kills % 2] = process("worker", own.address.socket, "winslow", "")
            stopping.wait(1.0)
            assert kills < 120
        stopping.set()
        sweeper.join()
        assert all(in_order_and_once(store.load(n)) for n in names)
        assert list(store.dirty()) == []


def kill_writers_server(directory: Path, process: Starter, kills: int, between: int) -> int:
    """Four writers while the server is killed `kills` times, each having written down some `between` bytes more in
    the meantime; how many were acknowledged."""
    logs = [directory / f"log{n}" for n in range(4)]
    with Embedded(directory / "data") as own:
        writers = [process("writer", own.address.socket, "winslow", f"p{n}", str(logs[n])) for n in range(4)]
        until(lambda: all(log.exists() and log.stat().st_size > 100 for log in logs), seconds=30)
        for _ in range(kills):
            sizes = [log.stat().st_size for log in logs]
            until(
                lambda sizes=sizes: all(log.stat().st_size > s + between for log, s in zip(logs, sizes, strict=True)),
                seconds=30,
            )
            old = own.pid
            assert old is not None
            os.kill(old, signal.SIGKILL)
            until(lambda old=old: own.pid not in (None, old), seconds=30)
        sizes = [log.stat().st_size for log in logs]
        until(lambda: all(log.stat().st_size > s for log, s in zip(logs, sizes, strict=True)), seconds=30)
        for writer in writers:
            writer.kill()
            writer.wait()
        store = RedisStore(state_client(own.address))
        total = 0
        for number, log in enumerate(logs):
            lines = [line.split() for line in log.read_text().splitlines() if line.count(" ") == 1]
            last, version = int(lines[-1][0]), int(lines[-1][1])
            project = store.load(f"p{number}")
            assert project is not None
            count = int(project.values["c"])
            assert project.version >= version, "an acknowledged commit was lost"
            # each step counted exactly once; the very last may have been made without being written down
            assert count - (int(project.values["n"]) + 1) == 0, "a commit was applied twice"
            assert int(project.values["n"]) in (last, last + 1)
            total += len(lines)
        return total


def test_a_killed_server_loses_no_acknowledged_commit_and_repeats_none(directory: Path, process: Starter) -> None:
    assert kill_writers_server(directory, process, 4, 0) > 100


@pytest.mark.chaos
def test_forty_killed_servers_lose_and_repeat_nothing(directory: Path, process: Starter) -> None:
    assert kill_writers_server(directory, process, 40, 300) > 4000
