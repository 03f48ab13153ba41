"""Which files of a project may go, and when. Pure: it names paths and never touches one.

Only two kinds of things ever go by themselves: the workspace of an ended stage that brought no result,
and what a superseded attempt left. What a stage with a result, or an open one, descends from stays; the
record, the log and the output of an ended stage stay always.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal

from winslow_nomad.core.lineage import COUNTS
from winslow_nomad.core.model import Value
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import AttemptState, EndedStage, Source, Stage, StageState

UNSUCCESSFUL = frozenset({StageState.FAILED, StageState.STOPPED})


class Retention(Value):
    """How long things stay. None: for ever."""

    failed_workspaces: timedelta | None = timedelta(days=7)
    superseded_attempts: timedelta | None = timedelta(days=30)
    trash: timedelta | None = timedelta(days=7)

    def of(self, project: Project) -> Retention:
        """What the project says itself comes first."""
        failed, superseded = project.keep.failed_days, project.keep.superseded_days
        return self.but(
            failed_workspaces=self.failed_workspaces if failed is None else timedelta(days=failed),
            superseded_attempts=self.superseded_attempts if superseded is None else timedelta(days=superseded),
        )


AT_ONCE = Retention(failed_workspaces=timedelta(0), superseded_attempts=timedelta(0), trash=timedelta(0))


class Removal(Value):
    """One directory that may go. `path` is relative to the share's root; `since`: when it became useless."""

    project: str
    stage: int
    attempt: int
    path: str
    kind: Literal["failed_workspace", "superseded_attempt"]
    since: datetime
    why: str


def obsolete(
    project: Project, now: datetime, policy: Retention, restored: Mapping[str, datetime] | None = None
) -> tuple[Removal, ...]:
    """Everything of a project whose time has come, oldest first. `restored`: paths that a person took
    back from the trash, and when; their time counts from then."""
    found = useless(project, policy, restored)
    return tuple(removal for removal, goes in found if goes is not None and goes <= now)


def useless(
    project: Project, policy: Retention, restored: Mapping[str, datetime] | None = None
) -> tuple[tuple[Removal, datetime | None], ...]:
    """Everything of a project that nothing needs any more, oldest first, each with the moment from which on it goes by
    itself; None: never. `restored` as in `obsolete`."""
    taken_back = restored or {}
    found = []
    for removal, patience in _candidates(project, policy):
        since = max(removal.since, taken_back.get(removal.path, removal.since))
        found.append((removal.but(since=since), since + patience if patience is not None else None))
    return tuple(sorted(found, key=lambda each: (each[0].since, each[0].path)))


def kept(project: Project) -> frozenset[int]:
    """Stage numbers that must stay whole: open ones, those that count, and all that these descend from."""
    line: list[Stage | EndedStage] = [*project.stages.values(), *project.sealing.values()]
    line += [s for s in project.ended.values() if s.state in COUNTS]
    asked = [s.overrides.workspace for s in project.stages.values()]
    asked += [s.overrides.workspace for s in project.sweeps.values()]
    line += [project.ended[n] for n in map(_asked_stage, asked) if n in project.ended]
    members: dict[int, list[int]] = {}
    for ended in project.ended.values():
        if ended.sweep is not None:
            members.setdefault(ended.sweep, []).append(ended.number)
    sweeps_seen: set[int] = set()
    found: set[int] = set()
    while line:
        stage = line.pop()
        if stage.number in found:
            continue
        found.add(stage.number)
        before = {*stage.inputs.values(), *_source_stages(stage.source)}
        for sweep in {*stage.gathered.values(), *_source_sweeps(stage.source)} - sweeps_seen:
            sweeps_seen.add(sweep)
            before.update(members.get(sweep, ()))
        line += [project.ended[n] for n in before if n in project.ended and n not in found]
    for still in project.sweeps.values():
        if not still.closed:
            found.update(members.get(still.number, ()))  # a person may still choose among them
    return frozenset(found)


def _asked_stage(workspace: str | None) -> int:
    """A person asked for the workspace of stage `#7`; 0 where nobody did."""
    number = (workspace or "").removeprefix("#")
    return int(number) if workspace != number and number.isdecimal() else 0


def _source_stages(source: Source | None) -> set[int]:
    return {source.number} if source is not None and source.kind == "stage" else set()


def _source_sweeps(source: Source | None) -> set[int]:
    in_place = source is not None and source.kind in ("sweep_shared", "sweep_nested")
    return {source.number} if source is not None and in_place else set()


def _candidates(project: Project, policy: Retention) -> Iterator[tuple[Removal, timedelta | None]]:
    stay = kept(project)
    for ended in project.ended.values():
        if ended.ended is None:
            continue
        for attempt in range(1, ended.attempt):
            yield from _superseded(project, ended.name, ended.number, attempt, ended.ended, policy)
        in_place = ended.source is not None and ended.source.kind.startswith("sweep_")
        if ended.state in UNSUCCESSFUL and ended.attempt and ended.number not in stay and not in_place:
            path = f"projects/{project.id}/stages/{ended.name}/attempts/{ended.attempt}/workspace"
            how = "failed" if ended.state is StageState.FAILED else "was stopped"
            why = f"workspace of a stage that {how}"
            removal = Removal(
                project=project.id, stage=ended.number, attempt=ended.attempt, path=path,
                kind="failed_workspace", since=ended.ended, why=why,
            )  # fmt: skip
            yield removal, policy.failed_workspaces
    for stage in (*project.stages.values(), *project.sealing.values()):
        needed = stage.source.number if stage.source is not None and stage.source.kind == "attempt" else 0
        for past in stage.attempts[:-1]:
            end = past.outcome.ended if past.outcome is not None else None
            if past.state is AttemptState.ENDED and end is not None and past.number != needed:
                yield from _superseded(project, stage.name, stage.number, past.number, end, policy)


def _superseded(
    project: Project, name: str, stage: int, attempt: int, since: datetime, policy: Retention
) -> Iterator[tuple[Removal, timedelta | None]]:
    """Its workspace and output; its log and end stay, since they tell why there was another attempt."""
    for part in ("workspace", "output"):
        removal = Removal(
            project=project.id, stage=stage, attempt=attempt, kind="superseded_attempt", since=since,
            path=f"projects/{project.id}/stages/{name}/attempts/{attempt}/{part}",
            why=f"{part} of attempt {attempt}, which a later attempt replaced",
        )  # fmt: skip
        yield removal, policy.superseded_attempts
