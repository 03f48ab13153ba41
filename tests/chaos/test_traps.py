"""The schedules that break systems like this one, each made to happen on purpose."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.chaos.disk import a_disk
from tests.chaos.verdict import journal
from tests.chaos.world import ROLES, World, a_world, executions, read_json
from tests.store.proxy import Proxy
from tests.waiting import until
from winslow_nomad.bootstrap import files
from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.bootstrap.engine import open_engine
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core import messages as m
from winslow_nomad.core.errors import Unavailable
from winslow_nomad.core.journal import Line
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.outstanding import outstanding
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import AttemptState, Cause, StageState
from winslow_nomad.driver.local.machine import send
from winslow_nomad.events.advance import Advance
from winslow_nomad.events.perform import Performer
from winslow_nomad.resources.operate import LEASE, operate
from winslow_nomad.store.embedded import Embedded
from winslow_nomad.store.operations import RedisOperations
from winslow_nomad.store.statistics import Statistics

STAGE = """
  - id: {id}
    command: [sh, -c, '{script}']
    resources: {{cpu: 0.1, memory: 32 MiB}}
    stop_grace: 1s
    {more}
"""
COUNT = 'echo "start $$" >> "$WINSLOW_OUTPUT/executions"; '
DONE = 'echo "done $$" >> "$WINSLOW_OUTPUT/executions"'


def stage(stage_id: str, script: str = "", more: str = "") -> str:
    return STAGE.format(id=stage_id, script=f"{COUNT}{script}{DONE}", more=more)


def a_pipeline(world: World, *stages: str) -> Path:
    path = world.base / f"traps{len(list(world.base.iterdir()))}.yaml"
    path.write_text("winslow: 1\nname: traps\nstages:\n" + "".join(stages))
    return path


def start(client: LocalClient, project: str, path: Path) -> Project:
    made = client.pipeline(path)
    return client.send("", m.CreateProject(project=project, name=project, pipeline=made, start=True, actor="ann"))


def step_until(installation: Installation, project: str, condition: Callable[[Project], object]) -> Project:
    """Without any other process: sweep and advance until `condition` holds."""

    def so() -> Project | None:
        now = installation.store.load(project)
        if now is not None and condition(now):
            return now
        installation.sweep(0)
        installation.advance(project)
        return None

    found = until(so, 20)
    assert found is not None
    return found


def attempt_state(state: AttemptState) -> Callable[[Project], bool]:
    return lambda p: any(s.attempts and s.attempts[-1].state is state for s in p.stages.values())


def at_end(project: Project) -> bool:
    return bool(project.ended) and not project.stages and not project.sealing


def folder(world: World, project: Project, number: int, attempt: int = 1) -> Path:
    return world.share / "projects" / project.id / "stages" / project.ended[number].name / "attempts" / str(attempt)


@contextmanager
def alone(world: World) -> Iterator[Installation]:
    with closing(Installation(world.settings)) as installation:
        yield installation


# --- late submit after stop


def test_a_submission_that_comes_after_the_stop_runs_nothing_and_leaves_nothing() -> None:
    with a_world() as world, alone(world) as installation:
        start(LocalClient(installation), "p1", a_pipeline(world, stage("work")))
        installation.admission.run()
        late = Held(installation)
        with pytest.raises(Frozen):
            late.advance("p1")  # prepared it, and then was paused for long, just before it submits
        assert late.spec is not None
        LocalClient(installation).send("p1", m.StopStage(stage=1, actor="ann"))
        after = step_until(installation, "p1", at_end)
        assert after.ended[1].state is StageState.STOPPED
        driver = installation.drivers["local"]
        driver.submit(late.spec)  # it wakes up
        ref = AttemptRef(project="p1", stage=1, attempt=1)
        seen = until(lambda: [o for o in driver.observe([ref]) if o.phase == "ended"], 10)[0]
        assert seen.outcome is not None and seen.outcome.cause is Cause.CANCELLED
        until(lambda: not world.runners(), 10)
        assert executions(folder(world, after, 1)) == []
        assert installation.store.load("p1") == after
        world.start("controller")
        until(lambda: not list((world.home / "local" / "attempts").glob("[!.]*")), 10)


class Frozen(Exception):
    """Stands for a process that is stopped here, and goes on much later."""


class Held:
    """An advance that freezes where it would submit."""

    def __init__(self, installation: Installation) -> None:
        self.spec = None
        performer = Performer({"local": self}, installation.attempts, installation.operations, installation.pinning)  # type: ignore[dict-item]
        self.advance = Advance(
            installation.store, installation.sender, performer, installation.admission, installation.breakers
        )

    def submit(self, spec: object) -> object:
        self.spec = spec
        raise Frozen


# --- click between load and clear


@pytest.mark.parametrize("killed", [False, True])
def test_a_click_while_the_worker_is_at_work_is_never_lost(killed: bool) -> None:
    """Even when that worker is killed the moment it has stored what it did: the mark stays, and rings again."""
    with a_world() as world, alone(world) as installation:
        client = LocalClient(installation)
        start(client, "p1", a_pipeline(world, stage("work", "sleep 30; ")))
        installation.admission.run()
        step_until(installation, "p1", attempt_state(AttemptState.RUNNING))

        class Clicked(Performer):
            def __call__(self, project: Project, effect: object) -> list[m.AnyFact]:
                found = super().__call__(project, effect)  # type: ignore[arg-type]
                if not clicked:
                    clicked.append(1)
                    client.send("p1", m.StopStage(stage=1, kill=True, actor="ann"))
                elif killed:
                    raise Frozen
                return found

        clicked: list[int] = []
        client.send("p1", m.StopStage(stage=1, actor="bob"))
        performer = Clicked(installation.drivers, installation.attempts, installation.operations, installation.pinning)
        sender, store = installation.sender, installation.store
        advance = Advance(store, sender, performer, installation.admission, installation.breakers)
        if killed:
            with pytest.raises(Frozen):
                advance("p1")
        else:
            advance("p1")
        now = store.load("p1")
        assert now is not None and clicked
        assert bool(outstanding(now)) == ("p1" in store.dirty())
        if killed:
            assert "p1" in store.dirty()
        after = step_until(installation, "p1", at_end)
        assert after.ended[1].state is StageState.STOPPED
        assert "p1" not in store.dirty()


# --- reply lost after EXEC


def test_a_project_whose_commits_lose_their_replies_is_none_the_worse() -> None:
    with a_world() as world, Embedded(world.base / "store") as server:
        proxy = Proxy(world.base / "proxy.sock", server.address.socket)
        url = f"unix://{proxy.path}?password={server.address.password}"
        through = replace(world.settings, redis_url=url)
        with open_engine(through) as engine:
            proxy.lose_every = 4
            stages = [stage("one"), stage("two", more="retry: {node_lost: 5}"), stage("three")]
            for number in range(3):
                name = f"p{number}"
                made = engine.client.pipeline(a_pipeline(world, *stages))
                sent = m.CreateProject(project=name, name=name, pipeline=made, start=True, actor="ann")
                insist(engine.client, "", sent, f"create{number}")
                insist(engine.client, name, m.AddComment(text="seen", actor="bob"), f"comment{number}")
                for said in range(5):  # without a key, it is the commit that is recognised
                    engine.client.send(name, m.AddComment(text=f"{said}", actor="cy"))
            store = engine.installation.store
            names = ["p0", "p1", "p2"]
            until(lambda: all(len(p.ended) == 3 and at_end(p) for p in map(patiently(store.load), names)), 60)
            proxy.lose_every = 0
            projects = [p for p in map(patiently(store.load), names) if p is not None]
            now = engine.installation.clock.now()
            statistics = Statistics(engine.installation.state, engine.installation.keys)
            cells = patiently(lambda _: statistics.read(now - timedelta(hours=2), now + timedelta(hours=1)))("")
        assert proxy.lost > 10
        counted = sum(n for cell, n in cells.items() if cell.what == "ended_succeeded")
        assert counted == 9
        for project in projects:
            assert [c.text for c in project.comments] == ["seen", "0", "1", "2", "3", "4"]
            assert [e.attempt for e in project.ended.values()] == [1, 1, 1]
            for number in project.ended:
                assert executions(folder(world, project, number)) == ["start", "done"]


def insist(client: LocalClient, project: str, command: m.AnyCommand, key: str) -> None:
    patiently(lambda p: client.send(p, command, key=key))(project)


def patiently(ask: Callable[[str], object]) -> Callable[[str], object]:
    def asked(what: str) -> object:
        while True:
            try:
                return ask(what)
            except Unavailable:
                time.sleep(0.01)

    return asked


# --- two workers on one copy


def test_two_workers_on_one_copy_make_one_workspace() -> None:
    """The first is stopped amid the copy for longer than its lease; the second copies; the first goes on."""
    with a_world() as world:
        world.start("controller", "worker", "operations")
        with alone(world) as installation:
            client = LocalClient(installation)
            many = "mkdir many; cd many; seq 6000 | xargs touch; cd ..; "
            start(client, "p1", a_pipeline(world, stage("one", many), stage("two", "ls many | wc -l > count; ")))
            store, operations = installation.store, installation.operations
            first = until(lambda: [o for o in operations.list() if o.state == "running"], 20)[0]
            pid = world.pid_of("operations")
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            try:
                stopped = operations.get(first.id)
                assert stopped is not None and stopped.state == "running"
                later = AheadClock(installation, LEASE + 1)
                second = RedisOperations(installation.state, installation.state, later, installation.keys)
                ended = threading.Event()

                def tell(operation: Operation) -> None:
                    files.on_end(installation, operation)
                    ended.set()

                operate(second, "second", installation.handlers, tell, ended.is_set, later)
                done = operations.get(first.id)
                assert done is not None and (done.state, done.owner) == ("done", "second")
            finally:
                os.kill(pid, signal.SIGCONT)
            after = until(lambda: at_end_with(2, store.load("p1")), 30)
            assert after.ended[2].state is StageState.SUCCEEDED and after.ended[2].attempt == 1
            workspace = folder(world, after, 2) / "workspace"
            assert (workspace / "count").read_text().strip() == "6000"
            until(lambda: not unfinished(world.share), 10)
            assert executions(folder(world, after, 2)) == ["start", "done"]


def unfinished(share: Path) -> list[str]:
    """Of folders that may vanish while they are looked through."""
    return [name for _, folders, _ in os.walk(share) for name in folders if name.startswith(".partial-")]


class AheadClock:
    """Another machine's clock, or later."""

    def __init__(self, installation: Installation, seconds: float) -> None:
        self.inner, self.ahead = installation.clock, timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self.inner.now() + self.ahead


# --- two controllers


def two_controllers(seconds: float) -> None:
    """The active one is stopped for longer than its lease; after that it goes on as if nothing had been."""
    with a_world() as world:
        world.start("controller1", "controller2", "worker", "operations")
        with alone(world) as installation:
            client, store, lease = LocalClient(installation), installation.store, installation.lease("test")
            first = until(lease.holder, 60)
            pid = int(first.partition("@")[0].rpartition(":")[2])
            path = a_pipeline(world, stage("one", "sleep 1; "), stage("two"))
            start(client, "p1", path)
            until(lambda: (p := store.load("p1")) and attempt_state(AttemptState.RUNNING)(p), 60)
            stop_between_two_bookings(world, pid)
            try:
                began = time.monotonic()
                second = until(lambda: (h := lease.holder()) not in ("", first) and h, 60)
                ended = until(lambda: at_end_with(2, store.load("p1")), 60)
                number = 2
                while time.monotonic() < began + seconds:
                    finish(client, f"p{number}", path)
                    number += 1
            finally:
                os.kill(pid, signal.SIGCONT)
            finish(client, "last", path)
            assert lease.holder() == second
            assert store.load("p1") == ended
            assert [executions(folder(world, ended, n)) for n in (1, 2)] == [["start", "done"]] * 2
            until(lambda: installation.journal.lag().lines == 0, 30)
            assert {x.epoch for x in journal(world, "last")} == {int(installation.state.get(epoch_key(installation)))}


def stop_between_two_bookings(world: World, pid: int) -> None:
    """Not while it holds the local driver's lock: who is stopped with it keeps all others out until it goes on."""
    with (world.home / "local" / "lock").open("a") as lock:

        def stopped() -> bool:
            os.kill(pid, signal.SIGSTOP)
            until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", 10)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.kill(pid, signal.SIGCONT)
                return False
            fcntl.flock(lock, fcntl.LOCK_UN)
            return True

        until(stopped, 30)


def epoch_key(installation: Installation) -> str:
    return installation.keys.epoch("controller")


def finish(client: LocalClient, project: str, path: Path) -> Project:
    start(client, project, path)
    return until(lambda: at_end_with(2, client.project(project)), 30)


def test_a_controller_that_was_paused_beyond_its_lease_does_nothing_that_counts() -> None:
    two_controllers(0)


@pytest.mark.chaos
def test_a_controller_that_was_paused_for_two_minutes_does_nothing_that_counts() -> None:
    two_controllers(120)


def test_what_a_former_controller_has_seen_is_refused() -> None:
    with a_world() as world, alone(world) as installation:
        start(LocalClient(installation), "p1", a_pipeline(world, stage("work", "sleep 1; ")))
        old = installation.lease("old").hold()
        assert old is not None
        installation.admission.run()
        before = step_until(installation, "p1", attempt_state(AttemptState.RUNNING))
        until(lambda: (world.attempt_folder("p1/0001/1") or Path()).joinpath("end.json").exists(), 10)
        installation.state.delete(installation.keys.lease("controller"))  # it ran out
        new = installation.lease("new").hold()
        assert new is not None and new > old
        installation.sweep(old)
        now = installation.store.load("p1")
        assert now is not None and now.version == before.version
        installation.sweep(new)
        now = installation.store.load("p1")
        assert now is not None and now.ended[1].state is StageState.SUCCEEDED


# --- the share stalls


def stalled_share(seconds: float) -> None:
    """Decisions, gates and stops go on, a stage that runs runs on, and nothing is lost when the share is back."""
    with a_disk() as disk, a_world(WINSLOW_SHARE=str(disk.point / "share")) as world:
        world.start("controller", "worker", "operations")
        with alone(world) as installation:
            client, store = LocalClient(installation), installation.store
            long = a_pipeline(world, stage("work", "sleep 2; "), stage("next"))
            gated = a_pipeline(world, stage("work"), stage("ask", more="confirm: {ask: always}"))
            start(client, "long", long)
            start(client, "stop", a_pipeline(world, stage("work", "sleep 600; ")))
            start(client, "gate", gated)
            runs = attempt_state(AttemptState.RUNNING)
            until(lambda: runs(client.project("long")) and runs(client.project("stop")), 20)
            until(lambda: client.project("gate").gates and not client.project("gate").sealing, 20)
            disk.freeze()
            try:
                thaw_at = time.monotonic() + seconds
                slowest, said = 0.0, 0
                answered = quickly(lambda: client.send("gate", m.AnswerGate(gate="g1", actor="ann")))
                stopped = quickly(lambda: client.send("stop", m.StopStage(stage=1, actor="ann")))
                while time.monotonic() < thaw_at:
                    comment = m.AddComment(text=f"{said}", actor="ann")
                    slowest = max(slowest, quickly(lambda c=comment: client.send("long", c)))  # type: ignore[misc]
                    said += 1
                    time.sleep(0.05 if seconds < 60 else 1.0)
                until(lambda: "stop/0001/1" not in working(world), 15)  # the stop does not wait for the share
                assert not client.project("long").ended
            finally:
                disk.thaw()
            assert max(answered, stopped, slowest) < 2.0
            for project, stages in (("long", 2), ("stop", 1), ("gate", 2)):
                found = until(lambda p=project, n=stages: at_end_with(n, store.load(p)), 90)
                expected = StageState.STOPPED if project == "stop" else StageState.SUCCEEDED
                assert {e.state for e in found.ended.values()} == {expected}
                assert {e.attempt for e in found.ended.values()} == {1}
            texts = [x.text for line in journal_when_whole(world, installation, "long") for x in line.entries]
            assert {str(n) for n in range(said)} <= set(texts)


def at_end_with(stages: int, project: Project | None) -> Project | None:
    return project if project is not None and len(project.ended) == stages and at_end(project) else None


def working(world: World) -> set[str]:
    """Attempts with a command or a runner that lives."""
    return {e["WINSLOW_ATTEMPT"] for _, e in world.processes() if "WINSLOW_ATTEMPT" in e}


def quickly(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def journal_when_whole(world: World, installation: Installation, project: str) -> list[Line]:
    until(lambda: installation.journal.lag().lines == 0, 30)
    return journal(world, project)


def test_while_the_share_stalls_people_go_on_and_nothing_is_lost() -> None:
    stalled_share(5)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_while_the_share_stalls_for_five_minutes_people_go_on_and_nothing_is_lost() -> None:
    stalled_share(300)


# --- everything is killed at once


ALL = ("controller", "worker", "operations")


def kill_everything(world: World) -> None:
    """Every process of Winslow, the store too; not the stages and their runners."""
    for name in ALL:
        world.drop(name)
    pid = world.store_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: world.store_pid is None, 10)


def start_again(world: World) -> None:
    for name in ALL:
        world.add(name, ROLES[name])


def running_project(world: World, script: str) -> None:
    """`p1` with one stage that runs, and one that follows."""
    with alone(world) as installation:
        path = a_pipeline(world, stage("work", script, "retry: {node_lost: 1, delay: 0s}"), stage("next"))
        start(LocalClient(installation), "p1", path)
        until(lambda: (p := installation.store.load("p1")) and attempt_state(AttemptState.RUNNING)(p), 20)
        until(lambda: executions(world.attempt_folder("p1/0001/1") or Path()) == ["start"], 10)


def finished_project(world: World) -> Project:
    with alone(world) as installation:
        store = installation.store
        return until(lambda: at_end_with(2, store.load("p1")), 30)


@pytest.mark.parametrize("meanwhile", ["it runs on", "it ends"])
def test_a_stage_outlives_the_death_of_every_process_of_winslow(meanwhile: str) -> None:
    with a_world() as world:
        world.start(*ALL)
        go = world.base / "go"
        running_project(world, f"while [ ! -e {go} ]; do sleep 0.05; done; ")
        kill_everything(world)
        folder_of = world.attempt_folder("p1/0001/1")
        assert folder_of is not None and executions(folder_of) == ["start"]
        assert [a for _, a in world.runners()] != []
        if meanwhile == "it ends":
            go.touch()
            until(lambda: (folder_of / "end.json").exists(), 10)
        start_again(world)
        go.touch()
        after = finished_project(world)
        assert [(e.state, e.attempt) for e in after.ended.values()] == [(StageState.SUCCEEDED, 1)] * 2
        assert executions(folder(world, after, 1)) == ["start", "done"]


def test_after_a_reboot_what_ran_is_node_lost_and_tried_again() -> None:
    """Another boot: nothing lives any more, and claim and booking speak of a boot that is over."""
    with a_world() as world:
        world.start(*ALL)
        go = world.base / "go"
        running_project(world, f"[ -e {go} ] || sleep 600; ")
        kill_everything(world)
        for who, _ in list(world.processes()):
            send(who, signal.SIGKILL)
        until(lambda: not list(world.processes()), 10)
        attempt = world.attempt_folder("p1/0001/1")
        assert attempt is not None and not (attempt / "end.json").exists()
        claim = read_json(attempt / "claim")
        assert claim is not None
        (attempt / "claim").write_text(json.dumps({**claim, "boot_id": "an-earlier-boot"}))
        for path in (world.home / "local" / "attempts").glob("p1*"):
            path.write_text(path.read_text().replace(claim["boot_id"], "an-earlier-boot"))
        go.touch()
        start_again(world)
        after = finished_project(world)
        assert [(e.state, e.attempt) for e in after.ended.values()] == [
            (StageState.SUCCEEDED, 2),
            (StageState.SUCCEEDED, 1),
        ]
        end = read_json(attempt / "end.json")
        assert end is not None and end["cause"] == "node_lost"
        assert executions(attempt) == ["start"]
        assert executions(folder(world, after, 1, 2)) == ["start", "done"]
