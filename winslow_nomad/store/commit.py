"""What one commit writes: a list of commands, computed from the project before and after. No I/O.

Everything that must hold together is in this one list; nothing else writes these keys."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeVar

from pydantic import TypeAdapter

from winslow_nomad.core import journal, ledger, monitoring, rows, statistics
from winslow_nomad.core.admit import Waiting
from winslow_nomad.core.effects import Effect, Notify
from winslow_nomad.core.messages import Entry
from winslow_nomad.core.notices import Notice
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, Stage
from winslow_nomad.store import codec, extracts, indexes
from winslow_nomad.store.indexes import Places
from winslow_nomad.store.keys import Keys

Command = tuple[str | bytes | int | float, ...]

REMEMBERED = 16  # commits in a project's log
MANY = 200  # touched stages beyond which a log entry says "all"
LIVE_LENGTH = 10_000  # entries of the live stream, about
AnyStage = TypeVar("AnyStage", Stage, EndedStage)
ENTRIES: TypeAdapter[tuple[Entry, ...]] = TypeAdapter(tuple[Entry, ...])


@dataclass(frozen=True)
class LogEntry:
    """One of the last commits of a project. `touched`: the stages whose records it changed; None: all."""

    version: int
    commit: str
    touched: frozenset[int] | None

    @cached_property
    def text(self) -> bytes:
        touched = "null" if self.touched is None else str(sorted(self.touched)).replace(" ", "")
        return f"[{self.version},{json.dumps(self.commit)},{touched}]".encode()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A project as it is stored, with what the next commit has to compare with."""

    project: Project
    digest: str
    log: tuple[LogEntry, ...]
    log_text: bytes  # as stored: equal to what is stored now means that nothing was committed since
    dirty: bool
    due: datetime | None
    places: Places
    tally: rows.Tally
    open: bool
    waiting: Mapping[int, Waiting]
    at_driver: Mapping[int, extracts.AtDriver]


@dataclass(frozen=True, slots=True)
class Cause:
    """Who and what leads to a commit."""

    commit: str
    time: datetime
    epoch: int
    actor: str
    entries: tuple[Entry, ...]
    effects: tuple[Effect, ...]
    restored: bool = False  # the project comes from the mirror: no history is written for it


@dataclass(slots=True)
class _Changed:
    """Records of one hash that differ, as they are written."""

    written: dict[int, bytes]
    removed: list[int]


def plan(keys: Keys, before: Snapshot | None, project: Project, cause: Cause) -> tuple[list[Command], Snapshot]:
    """The commands, and the snapshot that holds once they are applied. `project` has its new version."""
    old = before.project if before is not None else None
    commands: list[Command] = []
    if before is not None and (
        project.pipeline is before.project.pipeline or project.pipeline == before.project.pipeline
    ):
        digest, pipeline_text = before.digest, None
    else:
        digest, pipeline_text = codec.write_pipeline(project.pipeline)
        commands.append(("SET", keys.pipeline(digest), pipeline_text))

    stages = _changed(old.stages if old else {}, project.stages)
    sealing = _changed(old.sealing if old else {}, project.sealing)
    ended = _changed(old.ended if old else {}, project.ended)
    _write_records(commands, keys.stages(project.id), stages)
    _write_records(commands, keys.sealing(project.id), sealing)
    _write_records(commands, keys.ended(project.id), ended)

    counted = rows.tally(project, old, before.tally if before else rows.NOTHING)
    due = extracts.due(cause.effects)
    log = _log(before, project, cause, stages, sealing, ended)
    after = Snapshot(
        project=project,
        digest=digest,
        log=log,
        log_text=write_log(log),
        dirty=cause.restored or extracts.needs_work(cause.effects),
        due=due,
        places=indexes.places(project),
        tally=counted,
        open=ledger.is_open(project),
        waiting=extracts.waiting(project, old, before.waiting if before else {}),
        at_driver=extracts.at_driver(project, old, before.at_driver if before else {}),
    )
    head = codec.write_head(project)
    fields: list[str | bytes | int] = [
        "version", project.version, "head", head, "log", after.log_text, "marks", write_marks(after),
        "summary", codec.write_row(rows.row(project, counted)),
    ]  # fmt: skip
    if before is None or digest != before.digest:
        fields += ["format", codec.FORMAT, "pipeline", digest]
    commands.append(("HSET", keys.project(project.id), *fields))
    commands += indexes.write(keys, before.places if before is not None else None, project, after.places)
    _write_ledger(commands, keys, before, after)
    _write_marks(commands, keys, before, after, cause.time)
    if not cause.restored:
        _write_statistics(commands, keys, statistics.counted(old, project))
        history = keys.history(project.pipeline.name)
        commands += [
            ("HINCRBY", history, f"{stage}|{what}", amount)
            for (stage, what), amount in statistics.durations(old, project).items()
        ]
        entries = ENTRIES.dump_json(cause.entries, exclude_defaults=True)
        line = _line(after, cause, entries, head, pipeline_text, stages, sealing, ended)
        commands.append(("XADD", keys.journal, "*", "p", project.id, "l", line))
        commands.append(_live(keys, project, cause, entries))
        commands += _outbox(keys, project, cause)
        added = monitoring.totals(old, project, cause.entries)
        commands += [("HINCRBY", keys.totals, what, amount) for what, amount in added.items()]
    return commands, after


def rings(before: Snapshot | None, after: Snapshot) -> bool:
    """Whether somebody should look now: something is to be carried out, or admission has a new candidate."""
    known = before.waiting if before is not None else {}
    return after.dirty or any(known.get(n) is not row and known.get(n) != row for n, row in after.waiting.items())


def _changed(before: Mapping[int, AnyStage], after: Mapping[int, AnyStage]) -> _Changed:
    if before is after:
        return _Changed({}, [])
    written: dict[int, bytes] = {}
    for number, record in after.items():
        known = before.get(number)
        if known is not record and known != record:
            written[number] = codec.write_record(record)
    return _Changed(written, [n for n in before if n not in after])


def _write_records(commands: list[Command], key: str, changed: _Changed) -> None:
    if changed.written:
        commands.append(("HSET", key, *(x for item in changed.written.items() for x in item)))
    if changed.removed:
        commands.append(("HDEL", key, *changed.removed))


def _log(before: Snapshot | None, project: Project, cause: Cause, *changes: _Changed) -> tuple[LogEntry, ...]:
    touched = frozenset(n for c in changes for n in (*c.written, *c.removed))
    entry = LogEntry(project.version, cause.commit, None if cause.restored or len(touched) > MANY else touched)
    return (*(before.log if before is not None and not cause.restored else ()), entry)[-REMEMBERED:]


def _write_ledger(commands: list[Command], keys: Keys, before: Snapshot | None, after: Snapshot) -> None:
    """Every change of a list counts its edition up, so that readers know when theirs still holds."""
    driver = after.project.driver
    was_open = before is not None and before.open
    if before is not None and before.project.driver != driver:
        _write_rows(commands, keys, before.project, keys.waiting(before.project.driver), before.waiting, {})
        _write_rows(commands, keys, before.project, keys.at_driver(before.project.driver), before.at_driver, {})
        before = None
    project = after.project
    _write_rows(commands, keys, project, keys.waiting(driver), before.waiting if before else {}, after.waiting)
    _write_rows(commands, keys, project, keys.at_driver(driver), before.at_driver if before else {}, after.at_driver)
    if after.open and not was_open:
        commands.append(("SADD", keys.open, project.id))
    elif was_open and not after.open:
        commands.append(("SREM", keys.open, project.id))


def _write_rows(
    commands: list[Command],
    keys: Keys,
    project: Project,
    key: str,
    before: Mapping[int, Waiting] | Mapping[int, extracts.AtDriver],
    after: Mapping[int, Waiting] | Mapping[int, extracts.AtDriver],
) -> None:
    fields: list[str | bytes] = []
    for number, row in after.items():
        known = before.get(number)
        if known is not row and known != row:
            fields += [f"{project.id}/{number}", write_row(row)]
    gone = [f"{project.id}/{n}" for n in before if n not in after]
    if fields:
        commands.append(("HSET", key, *fields))
    if gone:
        commands.append(("HDEL", key, *gone))
    if fields or gone:
        commands.append(("INCR", keys.edition(key)))


def write_row(row: Waiting | extracts.AtDriver) -> bytes:
    """One character tells a stage that waits here or there from one that runs."""
    if isinstance(row, tuple):
        return (b"1" if row[1] else b"0") + codec.write_record(row[0])
    return codec.write_record(row)


def _write_marks(commands: list[Command], keys: Keys, before: Snapshot | None, after: Snapshot, now: datetime) -> None:
    project = after.project.id
    if after.dirty:
        commands.append(("ZADD", keys.dirty, now.timestamp(), project))
        if before is None or not before.dirty:
            commands.append(("ZADD", keys.dirty_since, now.timestamp(), project))
    elif before is not None and before.dirty:
        commands.append(("ZREM", keys.dirty, project))
        commands.append(("ZREM", keys.dirty_since, project))
    if after.due is not None:
        if before is None or before.due != after.due:
            commands.append(("ZADD", keys.timers, after.due.timestamp(), project))
    elif before is not None and before.due is not None:
        commands.append(("ZREM", keys.timers, project))


def _write_statistics(commands: list[Command], keys: Keys, cells: Counter[statistics.Cell]) -> None:
    for cell, amount in cells.items():
        month = datetime.fromtimestamp(cell.quarter, UTC).strftime("%Y-%m")
        commands.append(("HINCRBY", keys.statistics(month), write_cell(cell), amount))


def write_cell(cell: statistics.Cell) -> str:
    """The pipeline's name comes last, since it may hold any character."""
    return f"{cell.quarter}|{cell.what}|{cell.stage}|{cell.pipeline}"


def read_cell(text: str) -> statistics.Cell:
    quarter, what, stage, pipeline = text.split("|", 3)
    return statistics.Cell(int(quarter), what, stage, pipeline)


def _line(
    after: Snapshot,
    cause: Cause,
    entries: bytes,
    head: bytes,
    pipeline_text: bytes | None,
    stages: _Changed,
    sealing: _Changed,
    ended: _Changed,
) -> bytes:
    """A core.journal.Line, put together from texts that are already there."""
    project = after.project
    opening = (
        f'{{"format":{journal.FORMAT},"epoch":{cause.epoch},"project":{json.dumps(project.id)},'
        f'"version":{project.version},"time":"{cause.time.isoformat()}","actor":{json.dumps(cause.actor)},'
        f'"pipeline":"{after.digest}","removed":{stages.removed},"sealed":{sealing.removed},"entries":'
    )
    parts = [opening.encode(), entries, b',"head":', head]
    if pipeline_text is not None:
        parts += [b',"pipeline_text":', json.dumps(pipeline_text.decode()).encode()]
    for name, changed in ((b"stages", stages), (b"sealing", sealing), (b"ended", ended)):
        if changed.written:
            parts += [b',"', name, b'":[', b",".join(changed.written.values()), b"]"]
    return b"".join([*parts, b"}"])


def _live(keys: Keys, project: Project, cause: Cause, entries: bytes) -> Command:
    notices = tuple(
        Entry(what="notice", stage=e.stage, text=e.text, data={"about": e.what})
        for e in cause.effects
        if isinstance(e, Notify)
    )
    if notices:
        entries = ENTRIES.dump_json((*cause.entries, *notices), exclude_defaults=True)
    return (
        "XADD", keys.live, "MAXLEN", "~", LIVE_LENGTH, "*",
        "p", project.id, "v", project.version, "t", cause.time.isoformat(), "e", entries,
    )  # fmt: skip


def _outbox(keys: Keys, project: Project, cause: Cause) -> list[Command]:
    """What people may want to be told of: nobody has to remember it after the commit."""
    found: list[Command] = []
    for effect in cause.effects:
        if isinstance(effect, Notify):
            stages = (project.stages, project.sealing)
            about = next((s[effect.stage] for s in stages if effect.stage in s), None)
            notice = Notice(
                id=f"{cause.commit}.{len(found)}",
                what=effect.what,
                text=effect.text,
                at=cause.time,
                project=project.id,
                name=project.name,
                stage=effect.stage,
                stage_id=about.definition.id if about is not None else "",
                actor=cause.actor,
            )
            found.append(("XADD", keys.outbox, "*", "n", codec.write_record(notice)))
    return found


def write_log(log: tuple[LogEntry, ...]) -> bytes:
    return b"[" + b",".join(e.text for e in log) + b"]"


def read_log(text: bytes) -> tuple[LogEntry, ...]:
    return tuple(
        LogEntry(version, commit, None if touched is None else frozenset(touched))
        for version, commit, touched in json.loads(text)
    )


def write_marks(snapshot: Snapshot) -> str:
    return f"{int(snapshot.dirty)} {snapshot.due.isoformat() if snapshot.due is not None else ''}"


def read_marks(text: bytes) -> tuple[bool, datetime | None]:
    dirty, due = text.decode().split(" ", 1)
    return dirty == "1", datetime.fromisoformat(due) if due else None
