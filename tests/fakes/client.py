"""A client whose installation is a dictionary and whose stages end as a script says.

Commands and facts go through the real `decide`; only what lies outside (nodes, share, logs) is made up.
Time passes in `events`: each call admits what may start and takes every attempt one step further."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from winslow_nomad.core import messages as m
from winslow_nomad.core.begins import Begin
from winslow_nomad.core.client import (
    FileClient,
    Finding,
    Happened,
    LogChunk,
    Progress,
    Report,
    Summary,
    unreported,
)
from winslow_nomad.core.decide import decide
from winslow_nomad.core.effects import PrepareWorkspace, SealStage, StopAttempt, SubmitAttempt
from winslow_nomad.core.errors import InvalidPipeline, NotFound, Problem, WinslowError
from winslow_nomad.core.leftovers import Leftovers
from winslow_nomad.core.line import startable
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.outstanding import outstanding
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import AttemptState, Cause, Outcome, Stage, StageState
from winslow_nomad.core.verdicts import NodeVerdict


@dataclass
class Plan:
    """How attempts of one stage definition go. `steps`: looks until the end, None: it runs until stopped."""

    code: int = 0
    steps: int | None = 1
    results: dict[str, str] = field(default_factory=dict)
    out: bytes = b""
    files: dict[str, str] = field(default_factory=dict)
    percent: float | None = None
    cause: Cause = Cause.EXIT
    message: str = ""


@dataclass
class World:
    """What is outside: pipelines by path, plans by stage id, a directory for outputs."""

    root: Path
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    begins: dict[int, Begin] = field(default_factory=dict)
    leftovers: Leftovers = field(default_factory=Leftovers)
    nodes: list[NodeVerdict] = field(default_factory=list)
    keys: dict[str, Project] = field(default_factory=dict)
    sealed: dict[tuple[str, int], Stage] = field(default_factory=dict)  # stage.json of ended stages
    secrets: dict[str, str] = field(default_factory=dict)
    sent: list[Any] = field(default_factory=list)
    steps: dict[tuple[str, int, int], int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    broken: WinslowError | Exception | None = None  # raised by every call
    refused: dict[str, WinslowError] = field(default_factory=dict)  # kind of command -> what it meets
    served: bool = False  # somebody else moves stages
    journal: Path | None = None  # every command that was accepted, one a line
    opened: list[str] = field(default_factory=list)
    library: dict[str, Pipeline] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.RLock)


def now() -> datetime:
    return datetime.now(UTC)


class FakeClient:
    """Has no files of its own: what would look at them is tried on a real share."""

    files: FileClient

    def __init__(self, world: World) -> None:
        self.world = world
        self.closed = False
        self.files = NoFiles()

    def _there(self) -> None:
        if self.world.broken is not None:
            raise self.world.broken

    def projects(
        self, *, state: str = "", tag: str = "", author: str = "", text: str = "", limit: int = 100, after: str = ""
    ) -> Sequence[Summary]:
        self._there()
        found = [
            Summary(
                id=p.id, name=p.name, state=p.state.value, pipeline=p.pipeline.name, tags=p.tags,
                author=p.author, updated=p.updated, version=p.version,
            )
            for p in self.world.projects.values()
        ]  # fmt: skip
        return [
            s
            for s in sorted(found, key=lambda s: s.updated, reverse=True)
            if state in ("", s.state) and (not tag or tag in s.tags) and author in ("", s.author) and text in s.name
        ][:limit]

    def find(self, name: str) -> str:
        self._there()
        projects = self.world.projects
        if name in projects:
            return name
        begun = [p for p in projects if name and p.startswith(name)]
        named = [p.id for p in sorted(projects.values(), key=lambda p: p.created) if p.name == name]
        if len(begun) == 1 or named:
            return begun[0] if len(begun) == 1 else named[-1]
        raise NotFound(f"There is no project {name!r}.", hint="See winslow projects.", code="project.not_found")

    def project(self, project: str) -> Project:
        self._there()
        with self.world.lock:
            if project not in self.world.projects:
                raise NotFound("There is no such project.", code="project.not_found")
            return self.world.projects[project]

    def send(self, project: str, command: m.AnyCommand, *, key: str = "") -> Project:
        self._there()
        with self.world.lock:
            if command.kind in self.world.refused:
                raise self.world.refused[command.kind]
            if key and key in self.world.keys:
                return self.world.keys[key]
            self._apply(project, command)
            self.world.sent.append(command)
            if self.world.journal is not None:
                with self.world.journal.open("a", encoding="utf-8") as file:
                    file.write(command.model_dump_json() + "\n")
            self.world.keys[key] = self.world.projects[project]
            return self.world.projects[project]

    def _apply(self, project: str, message: m.Message) -> None:
        before = self.world.projects.get(project)
        decision = decide(before, message, now())
        if decision.changed:
            version = (before.version if before is not None else 0) + 1
            self.world.projects[project] = decision.project.but(version=version)

    def pipeline(self, path: PurePath) -> Pipeline:
        self._there()
        return read(self.world, path)

    def library(self, name: str, version: int = 0) -> Pipeline:
        self._there()
        if name not in self.world.library:
            raise NotFound(f"There is no pipeline {name!r}.", code="pipeline.not_found")
        return self.world.library[name]

    def bring_input(self, path: PurePath) -> str:
        self._there()
        return path.name

    def address(self, project: str) -> str:
        return ""

    def put_secret(self, name: str, value: str) -> str:
        self.world.secrets[name] = value
        return f"secret:{name}"

    def record(self, project: str, stage: int) -> dict[str, Any]:
        found = self.project(project)
        whole = found.stages.get(stage) or found.sealing.get(stage) or self.world.sealed[project, stage]
        return {"format": 1, **whole.model_dump(mode="json")}

    def output(self, project: str, stage: int) -> PurePath | None:
        found = self.project(project)
        whole = found.stages.get(stage) or found.ended.get(stage)
        return self.world.root / project / "stages" / whole.name / "output" if whole is not None else None

    def log(self, project: str, stage: int, attempt: int = 0, *, follow: bool = False) -> Iterator[LogChunk]:
        self._there()
        found = self.project(project)
        name = found.ended[stage].id if stage in found.ended else found.stages[stage].definition.id
        yield LogChunk(stream="out", data=self.world.plans.get(name, Plan()).out, at=now())
        while follow and stage in self.world.projects[project].stages:
            threading.Event().wait(0.002)  # the last line comes when the process ends
        yield LogChunk(stream="err", data=b"told on stderr\n", at=now())

    def progress(self, project: str) -> Sequence[Progress]:
        self._there()
        stages = self.project(project).stages.values()
        return [
            Progress(stage=s.number, attempt=1, percent=self.world.plans.get(s.definition.id, Plan()).percent)
            for s in stages
            if s.state is StageState.RUNNING
        ]

    def nodes_for(self, project: str, stage: int) -> Sequence[NodeVerdict]:
        self._there()
        return self.world.nodes if stage in self.project(project).stages else []

    def begins(self, project: str) -> Mapping[int, Begin]:
        self._there()
        return {n: b for n, b in self.world.begins.items() if n in self.project(project).stages}

    def events(self, project: str, cursor: str = "", *, timeout: float = 1.0) -> Sequence[Happened]:
        self._there()
        with self.world.lock:
            before = self.world.projects[project]
            self._step(project)
            changed = self.world.projects[project] is not before
        if not changed:
            threading.Event().wait(min(timeout, 0.01))  # what runs for ever does not make the test spin
        return []

    def _step(self, project: str) -> None:
        """Everything that is outstanding is done, and every running attempt comes one step further."""
        for stage in startable(self.world.projects[project], now()):
            self._apply(project, m.Admitted(stage=stage.number))
        for effect in outstanding(self.world.projects[project]):
            match effect:
                case PrepareWorkspace(stage=n, attempt=a):
                    self._apply(project, m.WorkspaceReady(stage=n, attempt=a))
                case SubmitAttempt(stage=n, attempt=a):
                    self._apply(project, m.AttemptAccepted(stage=n, attempt=a))
                    self._apply(project, m.AttemptStarted(stage=n, attempt=a, node="here", started=now()))
                case StopAttempt(stage=n, attempt=a, how=how):
                    self._apply(project, m.StopSent(stage=n, attempt=a, how=how))
                    self._end(project, n, a, Outcome(cause=Cause.STOPPED, signal=15, ended=now()))
                case SealStage(stage=n):
                    self.world.sealed[project, n] = self.world.projects[project].sealing[n]
                    self._apply(project, m.StageSealed(stage=n))
        for stage in list(self.world.projects[project].stages.values()):
            attempt = stage.attempt
            if attempt is not None and attempt.state is AttemptState.RUNNING:
                self._run(project, stage.number, attempt.number, stage.definition.id)

    def _run(self, project: str, stage: int, attempt: int, name: str) -> None:
        plan = self.world.plans.get(name, Plan())
        taken = self.world.steps.get((project, stage, attempt), 0)
        self.world.steps[project, stage, attempt] = taken + 1
        if plan.steps is None or taken < plan.steps:
            return
        output = Path(str(self.output(project, stage)))
        output.mkdir(parents=True, exist_ok=True)
        for file, text in plan.files.items():
            (output / file).write_text(text)
        outcome = Outcome(cause=plan.cause, code=plan.code, ended=now(), results=plan.results, message=plan.message)
        self._end(project, stage, attempt, outcome)

    def _end(self, project: str, stage: int, attempt: int, outcome: Outcome) -> None:
        self._apply(project, m.AttemptEnded(stage=stage, attempt=attempt, outcome=outcome))

    def clean(self, project: str, *, actor: str = "", key: str = "") -> Operation:
        return Operation(id="o1", kind="clean", project=self.project(project).id, actor=actor, made=now())

    def leftovers(self, project: str) -> Leftovers:
        self.project(project)
        return self.world.leftovers

    def take_back(self, project: str, entry: str, *, actor: str = "", key: str = "") -> Operation:
        held = {each.entry for each in self.leftovers(project).trash}
        if entry not in held:
            raise NotFound("That is not in the trash (any more); nothing was done.", code="trash.not_found")
        return Operation(id="o2", kind="take_back", project=self.project(project).id, actor=actor, made=now())

    def active(self) -> str:
        return "somebody" if self.world.served else ""

    def doctor(self) -> Sequence[Finding]:
        self._there()
        return self.world.findings

    def close(self) -> None:
        self.closed = True


def read(world: World, path: PurePath) -> Pipeline:
    if path.name in world.pipelines:
        return world.pipelines[path.name]
    if not os.path.exists(path):
        raise NotFound(f"There is no pipeline {path}.", code="pipeline.not_found")
    problem = Problem(str(path), 3, 5, "gpus is not a key here", "did you mean gpu?", "pipeline.unknown_key")
    raise InvalidPipeline((problem,))


@dataclass
class FakeEngine:
    client: FakeClient


class NoFiles:
    report: Report = staticmethod(unreported)

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


class FakeFront:
    address = "http://127.0.0.1:1"

    def keep(self) -> None:
        """Nobody asks it anything."""


class FakeDoors:
    """Doors to a `World`."""

    server = ""
    user = "mara"
    driver = "local"

    def __init__(self, world: World) -> None:
        self.world = world
        self.home = world.root

    @contextmanager
    def client(self) -> Iterator[FakeClient]:
        client = FakeClient(self.world)
        self.world.opened.append("client")
        yield client
        client.close()

    @contextmanager
    def engine(self, driver: str) -> Iterator[FakeEngine]:
        self.world.opened.append(f"engine {driver}")
        yield FakeEngine(FakeClient(self.world))
        self.world.opened.append("engine closed")

    @contextmanager
    def front(self, host: str, port: int | None, insecure: bool) -> Iterator[FakeFront]:
        self.world.opened.append("front")
        yield FakeFront()
        self.world.opened.append("front closed")

    def read_pipeline(self, path: Path) -> Pipeline:
        return read(self.world, path)

    def schema(self) -> dict[str, Any]:
        return {"$schema": "https://json-schema.org/draft/2020-12/schema"}

    def examine_nomad(self, image: str) -> Sequence[Finding]:
        tried = Finding(severity="ok", subject="n1", text=f"sees the share, in {image}")
        return [Finding(severity="ok", subject="n1", text="ready"), *([tried] if image else [])]

    def rebuild(self) -> Sequence[str]:
        return ["3 projects restored."]

    def backup(self, target: Path) -> Sequence[str]:
        return [f"The backup is {target}."]

    def restore_backup(self, file: Path) -> Sequence[str]:
        return [f"{file} was restored."]

    def serve(self, what: str) -> None:
        self.world.opened.append(what)
