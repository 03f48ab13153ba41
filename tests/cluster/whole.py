"""A whole Winslow over a test cluster: controller, worker and the process for files, each a process that may be killed,
and eyes on what must never happen: two process trees of one attempt past its claim, or two attempts of one stage at
work for longer than a superseded one needs to notice."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.verdict import records
from tests.chaos.world import ROLES as COMMANDS
from tests.chaos.world import World, everybody, executions, read_json
from tests.cluster.nomad import Cluster
from tests.core.world import pipeline
from tests.waiting import until
from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core import messages as m
from winslow_nomad.core.errors import Unavailable
from winslow_nomad.core.pipeline import MIB, Pipeline, Resources, StageDefinition
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import AttemptState
from winslow_nomad.driver.nomad import job

ROLES = ("controller", "worker", "operations")
PATIENCE = 6.0  # seconds without a heartbeat, of a stage that is out of contact
OVERLAP = 8.0  # seconds that a superseded attempt may need to see it and to end
SMALL = Resources(cpu=0.1, memory=32 * MIB)

COUNT = """\
echo "start $HOSTNAME" >> "$WINSLOW_OUTPUT/executions"
( set -C; : > "$WINSLOW_OUTPUT/marker" ) || { echo second >> "$WINSLOW_OUTPUT/executions"; exit 97; }
attempt=${WINSLOW_ATTEMPT##*/}
first_waits() {
  [ "$attempt" = 1 ] || return 0
  while [ ! -e "$WINSLOW_WORKSPACE/go" ]; do echo >> "$WINSLOW_OUTPUT/ticks"; sleep 0.1; done
}
"""
DONE = 'echo done >> "$WINSLOW_OUTPUT/executions"\n'
FAILS = 'echo failed >> "$WINSLOW_OUTPUT/executions"; exit 3\n'
HOLDS = "first_waits\n"


def stage(script: str = HOLDS, stage_id: str = "work", **fields: Any) -> StageDefinition:
    """Counts its executions. HOLDS: the first attempt works until it is let go, every further one ends at once."""
    known = {
        "id": stage_id,
        "image": "box:1",
        "command": ("sh", "-c", f"{COUNT}{script}{DONE}".replace("$", "$$")),
        "resources": SMALL,
        "stop_grace": 2.0,
        "patience": PATIENCE,
        "retry": {"node_lost": 3, "delay": 0},
    }
    return StageDefinition.model_validate(known | fields)


class Whole(World):
    """`address`: of Nomad, where it is not the cluster's own. `roles`: the processes of it, such as "worker2"."""

    def __init__(
        self, base: Path, cluster: Cluster, address: str = "", roles: Sequence[str] = ROLES, **settings: str
    ) -> None:
        self.cluster = cluster
        self.roles = roles
        self.name = base.name
        known = {
            **cluster.environment,
            "WINSLOW_DRIVER": "nomad",
            "WINSLOW_SHARE": str(cluster.share / base.name),
            "WINSLOW_INSTALLATION": base.name,
            **({"NOMAD_ADDR": address} if address else {}),
        }
        super().__init__(base, **(known | settings))
        self.trees: dict[str, set[str]] = {}  # attempt -> namespaces of processes that worked for it
        self._together: dict[str, float] = {}  # a stage with two attempts at work -> since when
        self._stack = ExitStack()
        self.installation: Installation
        self.client: LocalClient

    def open(self) -> None:
        self.start(*self.roles)
        self.installation = Installation(self.settings)
        self._stack.callback(self.installation.close)
        self.client = LocalClient(self.installation)

    def end(self) -> None:
        self._stack.close()
        super().end()
        shutil.rmtree(self.share, ignore_errors=True)

    def away(self) -> None:
        """No process of Winslow is left but its store."""
        for role in self.roles:
            self.drop(role)

    def back(self) -> None:
        for role in self.roles:
            self.add(role, COMMANDS[role.rstrip("0123456789")])

    # --- projects

    def create(self, *stages: StageDefinition, made: Pipeline | None = None, **fields: Any) -> str:
        project = f"p{secrets.token_hex(4)}"
        known = {"project": project, "name": project, "actor": "ada", "start": True, "driver": "nomad"}
        command = m.CreateProject.model_validate({**known, "pipeline": made or pipeline(*stages), **fields})
        patiently(lambda: self.client.send("", command, key=f"create {project}"))
        return project

    def send(self, project: str, command: m.AnyCommand) -> Project:
        key = secrets.token_hex(8)
        return patiently(lambda: self.client.send(project, command, key=key))

    def project(self, project: str) -> Project:
        return patiently(lambda: self.client.project(project))

    def finished(self, project: str, seconds: float = 40.0) -> Project:
        """When nothing of it is open any more, and what it had at the driver is given back."""

        def over() -> Project | None:
            found = self.project(project)
            return found if found.ended and not found.stages and not found.sealing else None

        return when_said(over, seconds, lambda: f"{self.project(project)}\n{self.last_words()}")

    def working(self, *projects: str) -> None:
        """Until the first attempt of the first stage of each is known to run, and does."""
        for project in projects:
            runs = lambda p=project: self.state(p) is AttemptState.RUNNING and self.ticks(p)  # noqa: E731
            when_said(runs, 60.0, lambda p=project: f"{self.project(p)}\n{self.last_words()}")  # type: ignore[misc]

    def state(self, project: str, number: int = 1) -> AttemptState | None:
        found = self.project(project).stages.get(number)
        return found.attempts[-1].state if found is not None and found.attempts else None

    def out_of_contact(self, *projects: str) -> bool:
        """Whether people are shown so."""

        def shown(project: str) -> bool:
            found = self.project(project).stages.get(1)
            last = found.attempt if found is not None else None
            kind = found.reason.kind if found is not None and found.reason is not None else ""
            return last is not None and last.out_of_contact is not None and kind == "contact"

        return all(shown(p) for p in projects)

    # --- attempts

    def folder(self, project: str, attempt: int = 1, number: int = 1) -> Path:
        found = self.attempt_folder(f"{project}/{number:04d}/{attempt}")
        assert found is not None, f"{project} has no stage {number} on the share"
        return found

    def let_go(self, project: str) -> None:
        (self.folder(project) / "workspace" / "go").touch()

    def ticks(self, project: str) -> int:
        with suppress(FileNotFoundError, AssertionError):
            return (self.folder(project) / "output" / "ticks").stat().st_size
        return 0

    def works_on(self, *projects: str) -> None:
        for project in projects:
            before = self.ticks(project)
            until(lambda b=before, p=project: self.ticks(p) > b, 10, every=0.05)

    def job(self, project: str, attempt: int = 1, number: int = 1) -> str:
        return job.job_id(self.name, AttemptRef(project=project, stage=number, attempt=attempt))

    def allocations(self, project: str, attempt: int = 1) -> list[dict[str, Any]]:
        """Newest first; none where Nomad does not know its job."""
        return self.cluster.allocations(self.job(project, attempt))

    def allocation(self, project: str, attempt: int = 1) -> str:
        """The one that holds the claim."""
        claim = read_json(self.folder(project, attempt) / "claim")
        assert claim is not None and claim["kind"] == "runner"
        return str(claim["owner"])

    def container(self, project: str, attempt: int = 1) -> str:
        return f"{job.TASK}-{self.allocation(project, attempt)}"

    def node(self, project: str, attempt: int = 1) -> str:
        """The name of the node that its runner says it is on."""
        container = self.container(project, attempt)
        return next(name for name in self.cluster.nodes if container in self.cluster.containers(name))

    def refused(self, project: str, attempt: int = 1) -> list[str]:
        """The allocations that came too late."""
        return sorted(p.name.removeprefix("refused-") for p in self.folder(project, attempt).glob("refused-*"))

    def ran(self, project: str, attempt: int = 1) -> list[str]:
        return executions(self.folder(project, attempt))

    # --- eyes

    def _one_attempt_at_a_time(self) -> None:
        """Containers have a namespace of processes each: two of them in one attempt are two trees. Of two attempts of a
        stage the older one is superseded, and ends soon."""
        working: dict[str, set[str]] = {}
        own = self.name.encode()
        for who, environ in everybody():
            attempt = environ.get("WINSLOW_ATTEMPT", "")
            if not attempt or not self._is_ours(attempt, own):
                continue
            with suppress(OSError):
                space = os.readlink(f"/proc/{who.pid}/ns/pid")
                trees = self.trees.setdefault(attempt, set())
                if space not in trees and trees:
                    self.violations.append(f"a second process tree works for {attempt}")
                trees.add(space)
                working.setdefault(attempt.rpartition("/")[0], set()).add(attempt)
        now = time.monotonic()
        self._together = {s: self._together.get(s, now) for s, those in working.items() if len(those) > 1}
        for of, since in self._together.items():
            if now - since > OVERLAP:
                self.violations.append(f"two attempts work at once for {now - since:.1f} s: {sorted(working[of])}")

    def _is_ours(self, attempt: str, _: bytes) -> bool:
        return (self.share / "projects" / attempt.split("/")[0]).exists()

    def wrong(self, *projects: str) -> list[str]:
        """What the evidence on the share says against it."""
        found = list(self.violations)
        for project in projects:
            found += records(self, self.project(project))
            for attempt in (self.share / "projects" / project / "stages").glob("*/attempts/*"):
                found += claimed(attempt)
        return found

    def last_words(self) -> str:
        keys = ("Name", "Status", "SchedulingEligibility")
        with suppress(AssertionError, httpx.HTTPError):
            nodes = [tuple(node[key] for key in keys) for node in self.cluster.api("GET", "/v1/nodes")]
            return "\n".join([str(nodes), *(f"--- {name}\n{text[-1500:]}" for name, text in self.words().items())])
        return "Nomad does not answer"


def claimed(attempt: Path) -> Iterator[str]:
    """Whoever ran has the claim; whoever came second was refused, and saw the very claim."""
    claim = read_json(attempt / "claim")
    if executions(attempt) and (claim is None or claim.get("kind") != "runner"):
        yield f"{attempt} ran without a claim: {claim}"
    for refusal in attempt.glob("refused-*"):
        if read_json(refusal) != claim:
            yield f"{refusal} saw another claim than {claim}"


def when_said(condition: Callable[[], Any], seconds: float, words: Callable[[], str]) -> Any:
    try:
        return until(condition, seconds, every=0.05)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{words()}") from None


def patiently(ask: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Whose store may be killed at any moment."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextmanager
def a_whole(cluster: Cluster, address: str = "", roles: Sequence[str] = ROLES, **settings: str) -> Iterator[Whole]:
    """Kept for looking at when the test fails and WINSLOW_CHAOS_KEEP is set."""
    base = Path(tempfile.mkdtemp(prefix="wn", dir="/tmp"))
    world = Whole(base, cluster, address, roles, **settings)
    failed = True
    try:
        world.open()
        yield world
        failed = False
    finally:
        if failed and os.environ.get("WINSLOW_CHAOS_KEEP"):
            shutil.copytree(world.share, base / "share", symlinks=True, ignore_dangling_symlinks=True)
            print(f"kept: {base}")
        world.end()
        if not failed or not os.environ.get("WINSLOW_CHAOS_KEEP"):
            shutil.rmtree(base, ignore_errors=True)


def stop_all(world: Whole, projects: Sequence[str]) -> None:
    """Whatever a test that failed has left at work."""
    for project in projects:
        if world.project(project).stages:
            world.send(project, m.StopProject(kill=True))
    for project in projects:
        with suppress(AssertionError):
            until(lambda p=project: not world.project(p).stages, 20, every=0.1)
