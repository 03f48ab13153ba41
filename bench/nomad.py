"""Winslow over a real Nomad: how soon the next stage is registered and a line is seen, what waiting costs, and how fast
events are taken.

    WINSLOW_TEST_NOMAD=/path/to/nomad python -m bench.nomad [--stages 120] [--waiting 1000] [--running 200]
                                                              [--seconds 60] [--peers FOLDER]

A cluster of one server and two nodes on this machine, with the whole installation (store, controller, worker, share)
in this process. A hand-over begins when the line of Nomad's event stream that tells of a stage's end arrives, and ends
when Nomad has answered the registration of the next one; every commit in between is durable. Beside it: what the disk
and Nomad alone would take (two commits synced, one job registered, nothing else done), and, with --peers, what others
take (bench/nomad_peers.py; their environments are kept in FOLDER). Skipped where there is no Nomad.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import httpx

from bench.idle import descendants
from bench.latency import parts, quantile
from bench.nomad_peers import beside
from tests.cluster.late import TALKS, delays, late_share, logs_over, until_it_runs
from tests.cluster.nomad import Cluster, box
from tests.cluster.tools import find
from tests.waiting import until
from winslow_nomad import config
from winslow_nomad.bootstrap.engine import Engine, Files
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core import messages as m
from winslow_nomad.core.inventory import Inventory
from winslow_nomad.core.pipeline import MIB, Pipeline, Resources, StageDefinition
from winslow_nomad.core.ports import AttemptRef, AttemptSpec, Observation
from winslow_nomad.core.project import ProjectState
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.driver import NomadDriver
from winslow_nomad.driver.nomad.stream import EventStream
from winslow_nomad.driver.nomad.view import View

P50, P99 = 20.0, 80.0  # milliseconds
A_MINUTE = 60.0  # requests, with everything waiting and running
COPIED = 8 * MIB  # size of the workspace, where one is copied
HZ = os.sysconf("SC_CLK_TCK")
BARE = 50  # times
LATE = 3.0  # seconds that a late share is late
LONGEST = 20  # stages of a pipeline
LINE, LINES = 150.0, 200  # milliseconds, and how many

Place = tuple[str, int]  # project, stage


class Timed:
    """core.ports.Driver: the driver `nomad`, and when it told of an end and had registered a stage."""

    name = "nomad"

    def __init__(self, inner: NomadDriver) -> None:
        self.inner = inner
        self.arrived: dict[Place, float] = {}
        self.registered: dict[Place, float] = {}
        self.submitting: list[float] = []  # milliseconds

    def submit(self, spec: AttemptSpec) -> Observation:
        began = time.monotonic()
        found = self.inner.submit(spec)
        now = time.monotonic()
        self.registered.setdefault((spec.ref.project, spec.ref.stage), now)
        self.submitting.append((now - began) * 1000)
        return found

    def follow(self, report: Callable[[Observation], None], stopping: Callable[[], bool]) -> None:
        def told(seen: Observation) -> None:
            if seen.phase == "ended":
                lag = self.inner.lag
                self.arrived.setdefault((seen.ref.project, seen.ref.stage), lag.since - lag.seconds)
            report(seen)

        self.inner.follow(told, stopping)

    def stop(self, ref: AttemptRef, how: Literal["terminate", "kill"]) -> None:
        self.inner.stop(ref, how)

    def observe(self, refs: Iterable[AttemptRef]) -> list[Observation]:
        return self.inner.observe(refs)

    def inventory(self) -> Inventory:
        return self.inner.inventory()

    def forget(self, ref: AttemptRef) -> None:
        self.inner.forget(ref)

    def handed_over(self) -> list[float]:
        """Milliseconds of each hand-over."""
        pairs = [(place, (place[0], place[1] + 1)) for place in self.arrived]
        return [(self.registered[b] - self.arrived[a]) * 1000 for a, b in pairs if b in self.registered]


@contextmanager
def installed(cluster: Cluster, home: Path) -> Iterator[tuple[Engine, Timed]]:
    name = f"b{secrets.token_hex(3)}"
    given = {"WINSLOW_HOME": str(home), "HOME": str(home), "USER": "bench", "WINSLOW_DRIVER": "nomad"}
    given |= {"WINSLOW_SHARE": str(place(cluster, home) / "share"), "WINSLOW_INSTALLATION": name}
    settings = config.load({**given, **cluster.environment})
    for_files = Files(settings)
    for_files.start()
    installation = Installation(settings)
    try:
        timed = Timed(installation.nomad)
        installation.drivers["nomad"] = timed
        engine = Engine(installation, for_files)
        engine.start()
        try:
            until(lambda: timed.inner.lag.following, 30)
            yield engine, timed
        finally:
            engine.stop()
    finally:
        for_files.stop()
        installation.close()


def place(cluster: Cluster, home: Path) -> Path:
    return cluster.share / home.name


def chain(length: int, *, copied: bool) -> Pipeline:
    small = Resources(cpu=0.1, memory=16 * MIB)
    script = f"[ -e data ] || head -c {COPIED} /dev/urandom > data" if copied else "true"
    stages = [
        StageDefinition(
            id=f"s{i}",
            image="box:1",
            command=("/bin/sh", "-c", script),
            workspace=f"s{i - 1}" if copied and i else "empty",
            resources=small,
            needs=(f"s{i - 1}",) if i else (),
        )
        for i in range(length)
    ]
    return Pipeline(name="chain", stages=tuple(stages))


def run_chains(cluster: Cluster, home: Path, stages: int, *, copied: bool) -> Timed:
    """One project after the other."""
    with installed(cluster, home) as (engine, timed):
        for number, length in enumerate(lengths(stages)):
            name, made = f"chain{number}", chain(length, copied=copied)
            create = m.CreateProject(project=name, name=name, pipeline=made, start=True, driver="nomad")
            engine.client.send(name, create)
            until(lambda name=name: over(engine, name), 60 + 10 * length, every=0.2)
        until(lambda: not engine.installation.journal.lag().lines, 30, every=0.1)
        return timed


def lengths(stages: int) -> list[int]:
    """Of pipelines. Each stage has the outputs of all before it as mounts, which is what longer ones would measure."""
    return [min(LONGEST, stages - at) for at in range(0, stages, LONGEST)]


def over(engine: Engine, project: str) -> bool:
    return engine.client.project(project).state is ProjectState.SUCCEEDED


def row(name: str, values: list[float]) -> None:
    print(f"{name:52} {quantile(values, 0.5):8.1f} {quantile(values, 0.9):8.1f} {quantile(values, 0.99):8.1f}")


def bare(cluster: Cluster, folder: Path) -> list[float]:
    """Milliseconds of what no orchestrator can do without: the end and the intent on disk, and the job at Nomad. These
    jobs are placed nowhere, so that no container of an earlier one is in the way."""
    nowhere = {"LTarget": "${node.class}", "Operand": "=", "RTarget": "none"}
    took = []
    with (folder / "bare").open("wb", buffering=0) as file:
        for number in range(BARE):
            job = box(f"bare-{secrets.token_hex(3)}-{number}", "true") | {"Constraints": [nowhere]}
            began = time.monotonic()
            for _ in range(2):
                file.write(b"x" * 4096)
                os.fdatasync(file.fileno())
            cluster.submit(job)
            took.append((time.monotonic() - began) * 1000)
            cluster.api("DELETE", f"/v1/job/{job['ID']}", purge=True)
            time.sleep(0.1)
    return took


def hand_overs(cluster: Cluster, folder: Path, stages: int, peers: Path | None) -> bool:
    about = f"ms, {stages} stages in pipelines of {LONGEST}, load {os.getloadavg()[0]:.1f}"
    print(f"{'':52} {'p50':>8} {'p90':>8} {'p99':>8}   {about}")
    first = run_chains(cluster, folder / "empty", stages, copied=False)
    empty = first.handed_over()
    row("end told by Nomad -> next stage registered", empty)
    row("    of that building its job and registering it", first.submitting)
    few = max(5, stages // 3)
    whole = run_chains(cluster, folder / "copied", few, copied=True).handed_over()
    row(f"the same with a workspace of {COPIED // MIB} MiB to copy ({len(whole)})", whole)
    found = parts(place(cluster, folder / "copied") / "share")
    row("    of that the workspace's copy and its commits", found["-> its directory made"])
    found = parts(place(cluster, folder / "empty") / "share")
    row("end of the process -> its end committed", found["end of the process -> its end committed"])
    row("next stage's intent -> its process started", found["-> its process started"])
    row("the disk and Nomad alone: two syncs, one register", bare(cluster, folder))
    beside(cluster, peers, 6)
    p50, p99 = quantile(empty, 0.5), quantile(empty, 0.99)
    good = p50 <= P50 and p99 <= P99
    print(f"wanted: p50 <= {P50:g}, p99 <= {P99:g}: {'reached' if good else 'MISSED'}")
    return good


def live_lines(cluster: Cluster, folder: Path) -> bool:
    """From `echo` in a container to whoever watches the log, both ways: by the share, and by the node's disk where the
    share shows everything late. The first lines of the second, until that is noticed, are left out."""
    home = folder / "lines"
    with installed(cluster, home) as (engine, _), late_share(place(cluster, home) / "share", LATE) as late:
        share = engine.installation.settings.share
        print()
        good = True
        for way, root, first in (("by the share", share, 0), ("by the node's disk, the share 3 s late", late, 40)):
            project = f"lines{first}"
            command = ("/bin/sh", "-c", TALKS.format(count=LINES).replace("$", "$$"))
            small = Resources(cpu=0.1, memory=16 * MIB)
            talks = StageDefinition(id="talks", image="box:1", command=command, resources=small)
            made = Pipeline(name="lines", stages=(talks,))
            create = m.CreateProject(project=project, name=project, pipeline=made, start=True, driver="nomad")
            engine.client.send(project, create)
            until_it_runs(engine.installation, project)
            logs = logs_over(engine.installation, root, folder / f"cache{first}")
            took = delays(engine.installation, logs, project, LINES, 120)[first:]
            p50, p95 = quantile(took, 0.5), quantile(took, 0.95)
            print(f"a line -> who watches, {way:39} p50 {p50:6.0f} ms, p95 {p95:6.0f} ms")
            good &= p95 <= LINE
        print(f"wanted: p95 <= {LINE:g} ms: {'reached' if good else 'MISSED'}")
        return good


def at_rest(cluster: Cluster, folder: Path, waiting: int, running: int, seconds: float) -> bool:
    """So many run that the nodes are full, and so many wait."""
    with installed(cluster, folder / "rest") as (engine, timed):
        nodes = timed.inventory().nodes
        each = running // len(nodes)
        share = min(n.memory for n in nodes) // each // MIB * MIB
        pieces = 40
        for number in range((waiting + each * len(nodes)) // pieces):
            stages = tuple(
                StageDefinition(
                    id=f"s{i}",
                    image="box:1",
                    command=("/bin/sleep", "100000"),
                    workspace="empty",
                    resources=Resources(cpu=0.01, memory=share),
                    stop_grace=1.0,
                )
                for i in range(pieces)
            )
            made = Pipeline(name="rest", stages=stages)
            project = f"rest{number}"
            create = m.CreateProject(project=project, name=project, pipeline=made, start=True, driver="nomad")
            engine.client.send(project, create)
        wanted = each * len(nodes)
        until(lambda: sum(len(cluster.containers(n)) for n in cluster.nodes) >= wanted, 60 + 10 * running, every=1.0)
        time.sleep(5)  # until what was begun has come to rest
        server = engine.installation.server
        pids = [*descendants(os.getpid()), *([server.pid] if server is not None and server.pid else [])]
        own = [p for p in pids if belongs(p, cluster)]
        asked, worked, began = timed.inner._client.asked, ticks(own), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        requests = (timed.inner._client.asked - asked) / took * 60
        core = (ticks(own) - worked) / HZ / took
        really = sum(len(cluster.containers(n)) for n in cluster.nodes)
        queue = engine.installation.store.at_driver("nomad")
        unplaced = sum(u for _, u in queue)
        waits = unplaced + len(engine.installation.store.waiting("nomad"))
        print(f"\n{waits} stages wait ({unplaced} of them at Nomad), {really} containers really run, for {took:.0f} s:")
        print(f"    {core:.1%} of a core (controller, worker, files, store), {requests:.0f} requests a minute to Nomad")
        good = requests <= A_MINUTE
        print(f"wanted: <= {A_MINUTE:g} requests a minute: {'reached' if good else 'MISSED'}")
        return good


def belongs(pid: int, cluster: Cluster) -> bool:
    """Winslow's, not one of the cluster's machines, which are children of this process as well."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        same = os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid")
    except OSError:
        return False
    return same and str(cluster.directory).encode() not in command and b"unshare" not in command


def ticks(pids: Iterable[int]) -> int:
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total


def recorded(cluster: Cluster) -> bytes:
    """The lines of the cluster's own event stream, as they come over the wire."""
    kept = bytearray()
    asked = {"index": "1", "namespace": "*"}
    with cluster.http.stream("GET", "/v1/event/stream", params=asked, timeout=2) as stream, suppress(httpx.ReadTimeout):
        for chunk in stream.iter_raw():
            kept += chunk
    return bytes(kept[: kept.rfind(b"\n") + 1])


def events(lines: bytes, least: int = 20_000) -> None:
    """The stream comes over a socket of this machine as fast as it is taken."""
    count = lines.count(b"\n")
    times = -(-least // max(1, count))
    listening = socket.create_server(("127.0.0.1", 0))
    sender = os.fork()
    if not sender:
        send_all(listening, lines, times)

    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    view, taken, told = View("winslow"), 0, 0
    began, worked = time.monotonic(), time.process_time()
    with EventStream(Access(address=address)) as stream:
        while taken < count * times:
            line = stream.take(5.0)
            if line is None:
                raise SystemExit(f"the stream stood still after {taken} lines")
            taken += 1
            for event in line.events:
                view.apply(event)
                told += 1
    took, core = time.monotonic() - began, time.process_time() - worked
    os.waitpid(sender, 0)
    listening.close()
    size = len(lines) / 1000 / max(1, count)
    print(f"\nevents: {told / took:,.0f} a second taken from the wire, decoded and applied ({told:,} events, "
          f"{size:.1f} kB a line, {core / took:.0%} of a core)")  # fmt: skip


def send_all(listening: socket.socket, lines: bytes, times: int) -> None:
    """In a process of its own, which ends."""
    try:
        connection, _ = listening.accept()
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        for _ in range(times):
            connection.sendall(lines)
        connection.close()
    finally:
        os._exit(0)


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--stages", type=int, default=120)
    arguments.add_argument("--waiting", type=int, default=1000)
    arguments.add_argument("--running", type=int, default=200)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--peers", type=Path)
    given = arguments.parse_args()
    tools = find()
    if isinstance(tools, str):
        print(f"skipped: {tools}")
        return 0
    cluster = Cluster.start(2)
    try:
        with tempfile.TemporaryDirectory(prefix="wn-") as folder:
            good = hand_overs(cluster, Path(folder), given.stages, given.peers)
            good &= live_lines(cluster, Path(folder))
            events(recorded(cluster))
            good &= at_rest(cluster, Path(folder), given.waiting, given.running, given.seconds)
    finally:
        cluster.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
