"""Following one project until there is nothing left to wait for.

The project as it is now says everything; what happens only says when to look again. So a missed or a
repeated event changes nothing, and joining late shows the same as having been there from the start."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from winslow_nomad.cli import asking, edge
from winslow_nomad.cli.interrupt import Interrupt
from winslow_nomad.cli.screen import Screen
from winslow_nomad.cli.tail import Tail
from winslow_nomad.cli.terminal import Terminal, Withdrawn
from winslow_nomad.core.client import Client, Progress
from winslow_nomad.core.errors import Invalid, Refused
from winslow_nomad.core.line import startable
from winslow_nomad.core.messages import AnswerGate, AnyCommand
from winslow_nomad.core.project import Gate, Project, ProjectState
from winslow_nomad.core.stage import ACTIVE, AttemptState, StageState

SEALING = 15.0  # seconds to wait at the end for the records of ended stages to reach the share
PROGRESS = 1.0  # seconds between two readings of heartbeats
REST = 0.05  # seconds between two looks while much happens: the engine works in this process too
LOGS = 2.0  # seconds to wait at the end for the last lines of logs


def now() -> datetime:
    return datetime.now(UTC)


def busy(project: Project) -> bool:
    """Whether something runs, or will start without anybody doing anything."""
    return (
        any(s.state in ACTIVE and not s.held for s in project.stages.values())
        or bool(startable(project))
        or (project.pause is None and any(project.unfinished(s) and s.confirmed for s in project.sweeps.values()))
    )


def exit_code(project: Project) -> int:
    """What became of the project, as an exit code."""
    match project.state:
        case ProjectState.SUCCEEDED:
            return edge.SUCCEEDED
        case ProjectState.FAILED:
            return edge.FAILED
        case ProjectState.PAUSED if project.pause is not None and project.pause.kind == "failure":
            return edge.FAILED
        case ProjectState.IDLE:
            return edge.STOPPED
        case _:
            return edge.STOPPED if stopped(project) and not project.gates else edge.WAITING


Attempts = dict[tuple[int, int], tuple[str, AttemptState]]


def attempts_of(project: Project) -> Attempts:
    """(stage, attempt) -> name of the stage and state of the attempt, for every attempt that started."""
    found: Attempts = {(e.number, e.attempt): (e.name, AttemptState.ENDED) for e in project.ended.values() if e.attempt}
    for stage in (*project.stages.values(), *project.sealing.values()):
        found |= {(stage.number, a.number): (stage.name, a.state) for a in stage.attempts if a.started is not None}
    return found


def stopped(project: Project) -> bool:
    """The newest execution of some stage was stopped."""
    newest = {e.id: e.state for _, e in sorted(project.ended.items())}
    newest |= {s.definition.id: s.state for s in project.stages.values()}  # what is lined up again was not the end
    return StageState.STOPPED in newest.values()


@dataclass
class Following:
    """`ask`: a person is at the terminal. `yes`: confirmations are given without asking, and that is said.
    `fresh`: the project has just been made, so that nothing of it is history. `pace`: seconds of one wait for news."""

    client: Client
    screen: Screen
    project: str
    interrupt: Interrupt
    send: Callable[[AnyCommand], Project]
    ask: bool = False
    yes: bool = False
    fresh: bool = False
    pace: float = 0.25

    def __post_init__(self) -> None:
        self._cursor = ""
        self._told: dict[int, Progress] = {}
        self._progress_due = 0.0
        self._tail = Tail(self.client, self.project)
        self._left_open: set[str] = set()  # questions that a person left without an answer
        self._history: set[tuple[int, int]] | None = set() if self.fresh else None

    def until_settled(self) -> Project:
        """Follow until nothing runs and nothing will start by itself, or a person interrupts."""
        project = self._look()
        while not self.interrupt.asked:
            gate = self._next_gate(project)
            if gate is not None:
                self._answer(project, gate)
            elif not busy(project):
                break
            else:
                self._wait(self.pace)
            project = self._look()
        return self._settle(project)

    def _look(self) -> Project:
        project = self.client.project(self.project)
        attempts = attempts_of(project)
        # the last lines of what has ended come before the line that says so, the first after "running"
        self._tail.settle({key for key, (_, state) in attempts.items() if state is AttemptState.ENDED})
        self._show_logs()
        self.screen.show(project, self._progress(project), now())
        self._follow_logs(attempts)
        return project

    def _progress(self, project: Project) -> dict[int, Progress]:
        """What heartbeats say; read from the share, so not at every look."""
        if not any(s.state is StageState.RUNNING for s in project.stages.values()):
            return {}
        if time.monotonic() >= self._progress_due:
            self._told = {p.stage: p for p in self.client.progress(self.project)}
            self._progress_due = time.monotonic() + PROGRESS
        return self._told

    def _wait(self, seconds: float) -> None:
        news = self.client.events(self.project, self._cursor, timeout=seconds)
        if news:
            self._cursor = news[-1].cursor
            time.sleep(REST)

    def _follow_logs(self, attempts: Attempts) -> None:
        """Read the log of every attempt that started while we look on."""
        if self._history is None:
            # what ended before we came is in the log, and not shown again
            self._history = {key for key, (_, state) in attempts.items() if state is AttemptState.ENDED}
        for (number, attempt), (name, _) in sorted(attempts.items()):
            if (number, attempt) not in self._history:
                self._tail.follow(number, attempt, name)

    def _show_logs(self) -> None:
        for name, lines in self._tail.take():
            self.screen.log(name, lines)

    def _next_gate(self, project: Project) -> Gate | None:
        for gate in project.gates:
            if self.yes and gate.kind == "confirm":
                return gate
            if self.ask and gate.id not in self._left_open:
                return gate
        return None

    def _answer(self, project: Project, gate: Gate) -> None:
        if self.yes and gate.kind == "confirm":
            self._answer_by_itself(project, gate)
            return
        terminal = Terminal(lambda: not self.interrupt.asked and self._open(gate))
        with self.screen.aside():
            try:
                command = asking.ask(self.client, terminal, project, gate)
                self.send(command)
            except Withdrawn:
                if self._open(gate):
                    self._left_open.add(gate.id)
                    return
                terminal.tell("It was answered elsewhere.")
            except (Refused, Invalid) as wrong:
                terminal.tell(str(wrong))

    def _open(self, gate: Gate) -> bool:
        return any(g.id == gate.id for g in self.client.project(self.project).gates)

    def _answer_by_itself(self, project: Project, gate: Gate) -> None:
        self.screen.say(f"{gate.question} Answered with go, as --yes says.", "yellow")
        for path in asking.looked_at(self.client, project, gate):
            self.screen.say(f"  to look at: {path}", "yellow")
        try:
            self.send(AnswerGate(gate=gate.id))
        except Refused as wrong:  # somebody was quicker
            self.screen.say(str(wrong))

    def _settle(self, project: Project) -> Project:
        """Wait a little for what follows an end by itself: records on the share, the last log lines."""
        deadline = time.monotonic() + SEALING
        while project.sealing and not self.interrupt.asked and time.monotonic() < deadline:
            self._wait(0.1)
            project = self._look()
        if not self.interrupt.asked:
            self._tail.finish(LOGS)
        self._show_logs()
        self.screen.show(project, {}, now())
        return project
