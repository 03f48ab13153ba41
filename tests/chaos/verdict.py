"""What must hold when everything has come to rest. Each check answers with sentences about what is wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.chaos.person import read_notes
from tests.chaos.world import World, executions, fingerprint, read_json
from winslow_nomad import bootstrap
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core import messages as m
from winslow_nomad.core.decide import decide
from winslow_nomad.core.journal import Line, read_line, replay
from winslow_nomad.core.project import Project
from winslow_nomad.core.said import count
from winslow_nomad.core.stage import Cause, Outcome, Stage, StageState
from winslow_nomad.resources.endings import parse_end
from winslow_nomad.store.statistics import Statistics


def findings(world: World, notes: Path) -> list[str]:
    """While the store still runs and nothing else does."""
    with closing(Installation(world.settings)) as installation:
        store = installation.store
        projects = [p for p in map(store.load, store.projects()) if p is not None]
        lines = {p.id: journal(world, p.id) for p in projects}
        found = list(world.violations)
        found += answered_commands(installation, notes, lines)
        for project in projects:
            found += at_rest(project)
            found += records(world, project)
            found += journals(project, lines[project.id])
        found += killed(world, {p.id: p for p in projects})
        found += unchanged(world)
        found += left_over(world, installation, projects)
        found += counters(installation, projects)
        found += [f"doctor: {f.subject}: {f.text}" for f in doctor(world) if f.severity == "problem"]
        found += rebuilt(world, projects)
    return found


def journal(world: World, project: str) -> list[Line]:
    found: list[Line] = []
    for path in sorted((world.share / "projects" / project / "journal").glob("*.jsonl")):
        for text in path.read_bytes().splitlines():
            try:
                found.append(read_line(text))
            except ValueError:
                continue  # torn by a kill; the line comes again
    return found


def answered_commands(installation: Installation, notes: Path, lines: dict[str, list[Line]]) -> Iterator[str]:
    """Each acknowledged command stands in the journal under the name of who sent it, once; or it is none, since it
    would have changed nothing at the version it was answered for. A refused one stands nowhere."""
    every = list(read_notes(notes))
    meant = {line["n"]: line for line in every if line["what"] == "meant"}
    for line in every:
        if line["what"] == "meant":
            continue
        asked = meant[line["n"]]
        command = m.COMMANDS.validate_python(asked["command"])
        about = f"{asked['project']}: {command.kind} of {command.actor}"
        applied = [x for x in lines.get(asked["project"], []) if x.actor == command.actor]
        versions = {x.version for x in applied}
        if len(versions) > 1:
            yield f"{about} was applied {len(versions)} times"
        if line["what"] == "refused":
            if versions:
                yield f"{about} was refused ({line['code']}) and applied all the same"
            continue
        kept = installation.state.get(installation.keys.idempotency(command.actor, asked["key"]))
        if kept is None:
            yield f"{about}: its answer is gone"
            continue
        version = json.loads(kept)["version"]
        if versions == {version}:
            continue
        before = replay(x for x in lines.get(asked["project"], []) if x.version <= version)
        if before is None or before.version != version:
            yield f"{about}: the journal does not reach version {version}"
        elif decide(before, command, datetime.now(UTC)).changed:
            yield f"{about} was acknowledged at version {version} and is lost"


def at_rest(project: Project) -> Iterator[str]:
    for stage in project.stages.values():
        yield f"{project.id}: stage {stage.name} is still {stage.state} ({stage.reason}, {stage.attempt})"
    if project.sealing:
        yield f"{project.id}: not sealed: {sorted(project.sealing)}"
    if project.gates or project.pause is not None:
        yield f"{project.id}: still waits: {project.gates} {project.pause}"


def records(world: World, project: Project) -> Iterator[str]:
    """Each ended stage against its files: one record, one execution of each attempt, one success."""
    folder = world.share / "projects" / project.id / "stages"
    for ended in project.ended.values():
        about = f"{project.id}/{ended.name}"
        record = read_json(folder / ended.name / "stage.json")
        if record is None:
            yield f"{about} has no record"
            continue
        if record["state"] != ended.state:
            yield f"{about} is {ended.state}, its record says {record['state']}"
        stage = Stage.model_validate({k: record[k] for k in Stage.model_fields if k in record and k != "environment"})
        succeeded = [a.number for a in stage.attempts if a.outcome is not None and a.outcome.succeeded]
        if (ended.state is StageState.SUCCEEDED) != (len(succeeded) == 1):
            yield f"{about} is {ended.state} with successes in {succeeded}"
        if succeeded and succeeded != [len(stage.attempts)]:
            yield f"{about} was tried again after its success: {succeeded} of {len(stage.attempts)}"
        for attempt in stage.attempts:
            yield from one_attempt(folder / ended.name / "attempts" / str(attempt.number), attempt.outcome, about)
    known = {e.name for e in project.ended.values()}
    for path in folder.glob("*"):
        # of a stage that was taken back before its admission was stored, its place may be left, but nothing ran
        if path.name not in known and (list(path.glob("attempts/*/claim")) or list(path.glob("**/executions"))):
            yield f"{project.id}: {path.name} has run and is not in the store"


def one_attempt(folder: Path, outcome: Outcome | None, about: str) -> Iterator[str]:
    about = f"{about} attempt {folder.name}"
    ran = executions(folder)
    if outcome is None:
        yield f"{about} has no outcome"
        return
    if ran.count("start") > 1 or "second" in ran:
        yield f"{about} was executed more than once: {ran}"
    if outcome.succeeded and ran[-1:] != ["done"]:
        yield f"{about} counts as a success and did not finish: {ran}"
    if outcome.cause is Cause.CANCELLED and ran:
        yield f"{about} is said to be cancelled and ran: {ran}"
    end = read_json(folder / "end.json")
    if end is not None:
        said = parse_end((folder / "end.json").read_bytes())
        if (said.cause, said.code, said.signal) != (outcome.cause, outcome.code, outcome.signal):
            yield f"{about}: the store says {outcome.cause} {outcome.code}, end.json {said.cause} {said.code}"
    elif ran:
        yield f"{about} ran and has no end.json"


def journals(project: Project, lines: list[Line]) -> Iterator[str]:
    again = replay(lines)
    if again is None or again != project:
        yield f"{project.id}: the journal leads to version {again.version if again else None}, not to {project.version}"


def killed(world: World, projects: dict[str, Project]) -> Iterator[str]:
    """A runner that was killed while its command worked: runner_lost, never a success."""
    for runner in world.killed_runners:
        if not runner.unfinished:
            continue
        folder = world.attempt_folder(runner.attempt)
        end = read_json(folder / "end.json") if folder is not None else None
        stopped = folder is not None and (folder / "control").read_text().strip() != "run"
        if end is None or (end["cause"] != "runner_lost" and not (stopped and end["cause"] != "exit")):
            yield f"{runner.attempt}: its runner was killed, its end says {end}"


def unchanged(world: World) -> Iterator[str]:
    for path, seen in world.records.items():
        now = fingerprint(path.parent)
        changed = sorted(name for name in {*seen, *now} if seen.get(name) != now.get(name))
        if changed:
            yield f"{path.parent} changed after it had ended: {changed}"


def left_over(world: World, installation: Installation, projects: list[Project]) -> Iterator[str]:
    for path in (*world.share.rglob(".partial-*"), *world.share.rglob(".*.tmp")):
        yield f"left over: {path}"
    for path in (world.home / "local" / "attempts").iterdir():
        yield f"still booked: {path.name}"
    for who, environ in world.processes():
        if "WINSLOW_LOCAL_DRIVER" in environ:
            yield f"still alive: {who} {environ.get('WINSLOW_ATTEMPT')} {environ.get('WINSLOW_RUNNER')}"
    for operation in installation.operations.list():
        yield f"operation {operation.id} is {operation.state}"
    if installation.store.dirty():
        yield f"still dirty: {installation.store.dirty()}"
    if installation.store.open_projects():
        yield f"still open: {installation.store.open_projects()}"
    for name in installation.drivers:
        if installation.store.waiting(name) or installation.store.at_driver(name):
            yield f"the ledger of {name} is not empty"


def counters(installation: Installation, projects: list[Project]) -> Iterator[str]:
    """Statistics were counted once for each stage, whatever was said twice."""
    now = datetime.now(UTC)
    counted: Counter[str] = Counter()
    for cell, amount in (
        Statistics(installation.state, installation.keys).read(now - timedelta(days=2), now + timedelta(days=1)).items()
    ):
        counted[cell.what] += amount
    ended = Counter(f"ended_{e.state}" for p in projects for e in p.ended.values())
    started = sum(e.started is not None for p in projects for e in p.ended.values())
    for what, amount in ended.items():
        if counted[what] != amount:
            yield f"statistics: {what} is {counted[what]}, not {amount}"
    if counted["started"] + counted["started_by_hand"] != started:
        yield f"statistics: {counted['started']} + {counted['started_by_hand']} started, not {started}"


def doctor(world: World) -> list[Any]:
    with closing(bootstrap.open_client(world.settings)) as client:
        return list(client.doctor())


def rebuilt(world: World, projects: list[Project]) -> Iterator[str]:
    """The share alone leads to the same state."""
    fresh = replace(world.settings, home=world.base / "fresh")
    said = bootstrap.rebuild(fresh)
    if said[0] != f"{count(len(projects), 'project')} restored from {world.share}.":
        yield f"rebuild: {said}"
    with closing(Installation(fresh)) as installation:
        for project in projects:
            if installation.store.load(project.id) != project:
                yield f"rebuild: {project.id} is another: {said}"
