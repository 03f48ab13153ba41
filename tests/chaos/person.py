"""A person at work, as a process that may be killed: sends commands and writes down, on disk, first what is
meant to be sent and then what was answered. Started again, the same person first repeats what has no answer.

    python -m tests.chaos.person NOTES PIPELINE SEED PROJECTS
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos import pipeline
from winslow_nomad import bootstrap, config
from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.core import messages as m
from winslow_nomad.core.errors import Unavailable, WinslowError
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import ENDED, StageState

AT_ONCE = 3  # projects that are worked on
IMPATIENT = 0.3  # of all commands are sent again although they were answered
STAGES = 26  # of one project; then nothing is added to it


class Notes:
    """Lines {"n", "what": meant | answered | refused, ...}. A torn last line was never relied upon."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.meant: dict[int, dict[str, Any]] = {}
        self.closed: dict[int, dict[str, Any]] = {}
        for line in read_notes(path):
            (self.meant if line["what"] == "meant" else self.closed)[line["n"]] = line
        if path.exists():  # a torn line must not swallow the next
            with path.open("ab") as file:
                file.write(b"\n")

    def write(self, line: dict[str, Any]) -> None:
        with self.path.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        (self.meant if line["what"] == "meant" else self.closed)[line["n"]] = line

    @property
    def unanswered(self) -> list[dict[str, Any]]:
        return [line for n, line in self.meant.items() if n not in self.closed]

    @property
    def projects(self) -> list[str]:
        return [line["project"] for line in self.meant.values() if line["command"]["kind"] == "create_project"]


def read_notes(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


class Person:
    def __init__(self, client: LocalClient, notes: Notes, made: Pipeline, random: Random) -> None:
        self.client = client
        self.notes = notes
        self.pipeline = made
        self.random = random

    def send(self, line: dict[str, Any]) -> None:
        """Until there is an answer; the key makes that safe."""
        command = m.COMMANDS.validate_python(line["command"])
        twice = self.random.random() < IMPATIENT
        while True:
            try:
                after = self.client.send(line["project"], command, key=line["key"])
                if twice:
                    after = self.client.send(line["project"], command, key=line["key"])
            except Unavailable:
                time.sleep(0.05)
                continue
            except WinslowError as error:
                self.notes.write({"n": line["n"], "what": "refused", "code": error.code})
                return
            self.notes.write({"n": line["n"], "what": "answered", "version": after.version})
            return

    def ask(self, project: str, command: m.Command) -> None:
        n = len(self.notes.meant)
        command = command.but(actor=f"person{n}")
        line = {
            "n": n,
            "what": "meant",
            "project": project,
            "key": f"key{n}",
            "command": command.model_dump(mode="json"),
        }
        self.notes.write(line)
        self.send(line)

    def create(self) -> None:
        number = len(self.notes.projects)
        project = f"p{number:03d}"
        grid = {"study": {"N": tuple(str(i) for i in range(1, self.random.randint(2, 5)))}}
        command = m.CreateProject(project=project, name=project, pipeline=self.pipeline, sweeps=grid, start=True)
        self.ask(project, command)

    def act(self, project: Project) -> None:
        """One thing a person could do now."""
        choices: list[m.Command] = [
            m.AddComment(text=f"note {self.random.random()}"),
            m.Describe(priority=self.random.randint(0, 100)),
            m.SetValues(values={"SEEN": str(self.random.random())}),
        ]
        queued = [s.number for s in project.stages.values() if s.state is StageState.QUEUED]
        active = [s.number for s in project.stages.values() if s.state is not StageState.QUEUED]
        choices += [m.StopStage(stage=n, kill=self.random.random() < 0.3) for n in active]
        choices += [m.PauseProject()]
        if project.pause is not None:
            choices += [m.ResumeProject(single=self.random.random() < 0.2)] * 6
        if queued:
            choices += [m.SkipStage(stage=self.random.choice(queued)), m.StopStage(stage=self.random.choice(queued))]
            choices += [m.RemoveQueued(stage=self.random.choice(queued))]
            choices += [m.ChangeQueued(stage=self.random.choice(queued), comment=f"c{self.random.random()}")]
            choices += [m.Reorder(stages=tuple(self.random.sample(queued, len(queued))))]
        if project.next_number < STAGES:
            at_once = self.random.random() < 0.5
            if project.ended:
                number = self.random.choice(list(project.ended))
                choices += [m.RedoStage(stage=number, comment="again", at_once=at_once)] * 2
            choices += [m.EnqueueStage(id=self.random.choice(pipeline.IDS), comment="more", at_once=at_once)]
        open_sweeps = [s.number for s in project.sweeps.values() if not s.closed]
        choices += [m.StopSweep(sweep=n, running=self.random.random() < 0.5) for n in open_sweeps]
        if self.random.random() < 0.05:
            choices = [m.StopProject(kill=self.random.random() < 0.5)]
        self.ask(project.id, self.random.choice(choices))

    def answer(self, project: Project) -> bool:
        """What the project waits for. False: it waits for nobody."""
        for gate in project.gates:
            winners = [e.number for e in project.ended.values() if e.sweep == gate.sweep and gate.sweep]
            winners = [n for n in winners if project.ended[n].state is StageState.SUCCEEDED]
            self.ask(project.id, m.AnswerGate(gate=gate.id, stage=winners[0] if winners else 0))
            return True
        if project.pause is not None:
            self.ask(project.id, m.ResumeProject())
            return True
        return False

    def load(self, project: str) -> Project | None:
        while True:
            try:
                return self.client.installation.store.load(project)
            except Unavailable:
                time.sleep(0.05)


def at_rest(project: Project) -> bool:
    open_sweeps = [s for s in project.sweeps.values() if not s.closed and not s.halted]
    waits = project.stages or project.sealing or project.gates or open_sweeps
    return not waits and project.pause is None


def work(person: Person, most: int) -> None:
    """For ever: a few projects at a time, each bothered again and again until it has enough stages."""
    for line in person.notes.unanswered:
        person.send(line)
    while True:
        projects = [p for p in map(person.load, person.notes.projects) if p is not None]
        lively = [p for p in projects if not at_rest(p)]
        if len(lively) < AT_ONCE and len(projects) < most:
            person.create()
            continue
        if lively:
            project = person.random.choice(lively)
            if project.gates and person.random.random() < 0.7:
                person.answer(project)
            else:
                person.act(project)
        elif projects:
            person.act(person.random.choice(projects))
        time.sleep(person.random.uniform(0.0, 0.3))


def ended_all(project: Project) -> bool:
    return all(e.state in ENDED for e in project.ended.values())


def main() -> None:
    notes, folder, seed, projects = sys.argv[1:5]
    client = bootstrap.open_client(config.load())
    while True:
        try:
            made = client.pipeline(Path(folder))
            break
        except Unavailable:
            time.sleep(0.1)
    kept = Notes(Path(notes))
    work(Person(client, kept, made, Random(f"{seed}:{len(kept.meant)}")), int(projects))


if __name__ == "__main__":
    main()
