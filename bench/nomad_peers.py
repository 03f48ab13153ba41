"""What others who run their work on Nomad need between the end of one job and the registration of the next, on the
same cluster, seen by the same bystander at the event stream.

They are given the most favourable case: only the part of them that speaks to Nomad runs, in one process that is warm,
without Airflow's scheduler and Prefect's server, which both come on top, and with the shortest pause between two looks
that their settings take (a whole second). Each has an environment of its own below `folder`, made where it is missing;
what cannot be made is said in one line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.latency import quantile
from tests.cluster.nomad import Cluster
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.stream import Ended, EventStream

INSTALLED_WITHIN = 600.0  # seconds
STARTED_WITHIN = 240.0  # seconds until the first job: they load a lot
OVER = ("complete", "failed")

PREFECT = """
import asyncio, sys, types, uuid
from prefect_nomad.worker import NomadWorker, NomadWorkerJobConfiguration

async def chain(count):
    worker = NomadWorker(work_pool_name="bench")
    for number in range(count):
        made = NomadWorkerJobConfiguration(image="box:1", command="true", datacenters=["*"], namespace="winslow")
        made.name, made._flow_run_name = f"{sys.argv[2]}-{number}", "bench"
        await worker.run(types.SimpleNamespace(id=uuid.uuid4(), name="bench"), made)

asyncio.run(chain(int(sys.argv[1])))
"""

AIRFLOW = """
import json, sys
from airflow.providers.nomad.operators.job import NomadJobOperator

for number in range(int(sys.argv[1])):
    task = {"Name": "main", "Driver": "docker", "Resources": {"CPU": 100, "MemoryMB": 32},
            "Config": {"image": "box:1", "entrypoint": ["/bin/sh", "-c"], "args": ["true"]}}
    group = {"Name": "main", "Count": 1, "Tasks": [task], "RestartPolicy": {"Attempts": 0, "Mode": "fail"}}
    job = {"ID": f"{sys.argv[2]}-{number}", "Name": "bench", "Namespace": "winslow", "Type": "batch",
           "Datacenters": ["*"], "TaskGroups": [group]}
    NomadJobOperator(task_id=f"t{number}", template_content=json.dumps({"Job": job})).execute({})
"""


@dataclass(frozen=True)
class Peer:
    """`pythons`: commands that may have the version it wants, the best first."""

    name: str
    package: str
    pythons: tuple[str, ...]
    script: str


PEERS = (
    Peer("prefect-nomad", "prefect-nomad", ("python3.13", "python3.14"), PREFECT),
    Peer(
        "Airflow's Nomad provider",
        "apache-airflow-providers-nomad",
        ("python3.12", "python3.11", "python3.13"),
        AIRFLOW,
    ),
)


@dataclass
class Bystander:
    """Reads the event stream by itself: when it was told of a job's end, and when of its registration. Seconds of the
    monotonic clock, by job. Use as a context."""

    cluster: Cluster
    registered: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="bystander", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(5)

    def _read(self) -> None:
        access = Access(address=self.cluster.environment["NOMAD_ADDR"])
        try:
            with EventStream(access) as stream:
                while not self._stopping.is_set():
                    line = stream.take(0.2)
                    for event in line.events if line is not None else ():
                        self._note(event, line.arrived if line is not None else 0.0)
        except Ended:
            return

    def _note(self, event: Mapping[str, Any], at: float) -> None:
        payload = event.get("Payload") or {}
        if event.get("Topic") == "Job" and event.get("Type") == "JobRegistered":
            self.registered.setdefault(payload["Job"]["ID"], at)
        allocation = payload.get("Allocation") or {}
        if event.get("Topic") == "Allocation" and allocation.get("ClientStatus") in OVER:
            self.ended.setdefault(allocation["JobID"], at)

    def gaps(self, prefix: str) -> list[float]:
        """Milliseconds between the end of `<prefix>-<n>` and the registration of the next."""
        pairs = [(f"{prefix}-{n}", f"{prefix}-{n + 1}") for n in range(len(self.registered))]
        return [
            (self.registered[after] - self.ended[before]) * 1000
            for before, after in pairs
            if before in self.ended and after in self.registered
        ]


def beside(cluster: Cluster, folder: Path | None, count: int) -> None:
    """A line for each peer."""
    for peer in PEERS:
        python = environment(peer, folder)
        if isinstance(python, str):
            print(f"not measured beside it: {peer.name} ({python})")
            continue
        prefix = f"peer-{peer.package}-{os.getpid()}"
        with Bystander(cluster) as bystander:
            said = run(peer, python, cluster, count, prefix)
            time.sleep(1)
        gaps = bystander.gaps(prefix)
        if not gaps:
            print(f"not measured beside it: {peer.name} ({said or 'no hand-over was seen'})")
            continue
        print(f"{peer.name + f', at its best ({len(gaps)})':52} {quantile(gaps, 0.5):8.1f} "
              f"{quantile(gaps, 0.9):8.1f} {quantile(gaps, 0.99):8.1f}")  # fmt: skip


def environment(peer: Peer, folder: Path | None) -> Path | str:
    """Its Python, made where it is missing; or why there is none, in half a sentence."""
    if folder is None:
        return "no folder for its environment was named: --peers"
    python = folder.resolve() / peer.package / "bin" / "python"
    if python.exists():
        return python
    base = next(filter(None, map(working, peer.pythons)), None)
    if base is None:
        return f"it wants {peer.pythons[0]}, which is not here"
    print(f"installing {peer.package} ...", flush=True)
    steps = (
        [base, "-m", "venv", str(python.parents[1])],
        [str(python), "-m", "pip", "install", "--quiet", "uv"],
        [str(python), "-m", "uv", "pip", "install", "--quiet", "--python", str(python), peer.package],
    )
    try:
        for step in steps:
            subprocess.run(step, check=True, capture_output=True, text=True, timeout=INSTALLED_WITHIN)
    except (subprocess.SubprocessError, OSError) as error:
        shutil.rmtree(python.parents[1], ignore_errors=True)
        words = str(getattr(error, "stderr", "") or error).strip().splitlines()
        return f"it does not install: {words[-1] if words else type(error).__name__}"
    return python


def working(name: str) -> str | None:
    """The path of a Python that really starts: version switchers leave names that do not."""
    found = shutil.which(name)
    if found is None:
        return None
    asked = [found, "-c", "import sys; print(sys.executable)"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def run(peer: Peer, python: Path, cluster: Cluster, count: int, prefix: str) -> str:
    """Empty, or what went wrong."""
    home = python.parents[1] / "home"
    home.mkdir(exist_ok=True)
    address = cluster.environment["NOMAD_ADDR"]
    host, _, port = address.rpartition("/")[2].partition(":")
    given = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "NOMAD_ADDR": address,
        "NOMAD_NAMESPACE": "winslow",
        "PREFECT_HOME": str(home),
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__NOMAD_PROVIDER__AGENT_HOST": host,
        "AIRFLOW__NOMAD_PROVIDER__AGENT_SERVER_PORT": port,
        "AIRFLOW__NOMAD_PROVIDER__AGENT_NAMESPACE": "winslow",
        "AIRFLOW__NOMAD_PROVIDER__OPERATOR_POLL_DELAY": "1",
    }
    command = [str(python), "-c", peer.script, str(count), prefix]
    patience = STARTED_WITHIN + 20 * count
    try:
        done = subprocess.run(
            command, env=given, cwd=home, capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        return "it did not end"
    return (done.stderr.strip().splitlines() or ["it failed"])[-1][:200] if done.returncode else ""
