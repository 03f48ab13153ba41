"""A project as lists and its own page show it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator
from pydantic_core import to_jsonable_python

from winslow_nomad.api.views.base import Answer, Request, example
from winslow_nomad.api.views.hidden import MASK, masked, masked_overrides
from winslow_nomad.api.views.stages import Beside, Stages, StageView
from winslow_nomad.core import said
from winslow_nomad.core.access import MEMBER_RANKS, Action, Principal, allowed, rank_in
from winslow_nomad.core.allowance import FREE, Allowance
from winslow_nomad.core.leftovers import Leftovers
from winslow_nomad.core.lists import Query, Sort
from winslow_nomad.core.pipeline import Parameter, StageDefinition
from winslow_nomad.core.project import Comment, Failure, Gate, Keeping, Member, Pause, Project, Sweep
from winslow_nomad.core.rows import NOTHING as NO_STAGES
from winslow_nomad.core.rows import Cell, Now, Summary, strip, tally, thumbnail

SHOWN = 200  # ended stages in the answer about a project; the others are behind `stages_next`
ROLE_OF = {-1: "viewer", **{rank: name for name, rank in MEMBER_RANKS.items()}}
ABOUT_PROJECTS = (Action.VIEW_PROJECT, Action.COMMENT_PROJECT, Action.RUN_PROJECT, Action.MANAGE_PROJECT)


Texts = Annotated[list[str], Field(max_length=50)]


class Asked(Request):
    """What a list of projects is asked for. Of several values of one name any may hold, of tags all; a value that
    begins with - must not hold."""

    state: Texts = Field(default=[], description="states, `trashed` for what is in the trash; `-failed` for none of it")
    tag: Texts = Field(default=[], description="all of these; `-archive` for none of those")
    author: Texts = []
    pipeline: Texts = Field(default=[], description="names, `traffic*` for all that begin so")
    participant: Texts = Field(default=[], description="a user or an @group that sees it")
    text: str = Field(default="", max_length=200, description="part of name or id, whatever its case")
    sort: Sort = "updated"
    order: Literal["", "asc", "desc"] = Field(default="", description="empty: names from a on, all else newest first")
    limit: int = Field(default=100, ge=1, le=500)
    after: str = Field(default="", max_length=400, description="`next` of the page before")
    behind: str = Field(default="", max_length=100, description="a project instead, in the order by last change")

    @model_validator(mode="after")
    def one_place(self) -> Asked:
        if self.behind and (self.after or self.sort != "updated" or self.order == "asc"):
            raise ValueError("`behind` goes with the usual order alone, and not with `after`")
        return self

    def query(self, who: frozenset[str] | None, cap: int) -> Query:
        states, not_states = signed(self.state)
        tags, not_tags = signed(self.tag)
        authors, not_authors = signed(self.author)
        pipelines, not_pipelines = signed(self.pipeline)
        return Query(
            who=who,
            states=states,
            not_states=not_states,
            tags=tags,
            not_tags=not_tags,
            authors=authors,
            not_authors=not_authors,
            pipelines=pipelines,
            not_pipelines=not_pipelines,
            participants=tuple(self.participant),
            text=self.text,
            sort=self.sort,
            descending=self.order == "desc" if self.order else self.sort != "name",
            after=self.after,
            limit=self.limit,
            cap=cap,
        )


def signed(texts: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is wanted, and what begins with - and is not."""
    wanted = tuple(t for t in texts if t and not t.startswith("-"))
    return wanted, tuple(t[1:] for t in texts if len(t) > 1 and t.startswith("-"))


class Row(Summary):
    """`role`: what the caller is in this project. `percent`: of the current stage; `expected`: its likely end."""

    role: str = "viewer"
    percent: float | None = None
    expected: datetime | None = None


class Rows(Answer):
    items: list[Row]
    next: str = Field(default="", description="give it as `after` for what follows; empty: there is no more")

    model_config = example(
        items=[
            {
                "id": "pk3m8x2w9qf4t", "name": "Neckartor, 17 Nov 16:30", "state": "running", "pipeline": "traffic",
                "pipeline_version": 7, "tags": ["b14-campaign"], "author": "mara", "updated": "2026-11-24T14:32:00Z",
                "version": 31, "strip": [{"id": "detect", "state": "succeeded"}, {"id": "track", "state": "running"}],
                "current": {"stage": 4, "id": "track", "state": "running", "attempt": 1, "node": "alder"},
                "role": "member", "percent": 62.0, "expected": "2026-11-24T16:28:00Z",
            }
        ],
        next="1795530720000-pk3m8x2w9qf4t",
    )  # fmt: skip


class CountsView(Answer):
    """By state; `total` and `mine` leave out what is in the trash."""

    states: dict[str, int]
    total: int
    mine: int
    waiting_for_me: int = Field(description="projects in the inbox, up to a hundred")

    model_config = example(states={"running": 10, "waiting": 3, "succeeded": 25}, total=38, mine=19, waiting_for_me=3)


class Facets(Answer):
    """What can be filtered by, with the number of projects that have it."""

    tags: dict[str, int]
    pipelines: dict[str, int]

    model_config = example(tags={"b14-campaign": 11}, pipelines={"traffic": 40})


class SecretView(Answer):
    """A secret is never shown; `given`: it has a value."""

    required: bool
    given: bool


class StepView(Answer):
    """One stage of the pipeline with where the project stands in it. `typical`: seconds that it takes, as history
    says."""

    definition: StageDefinition
    state: str
    newest: int = Field(default=0, description="number of its newest execution; 0: none yet")
    executions: list[int] = []
    pause_after: bool = False
    typical: float | None = None
    expected_start: datetime | None = None
    expected_end: datetime | None = None


class PipelineView(Answer):
    """The project's own copy. `version`: of the library, that it was made from; `edited`: it was changed since."""

    name: str
    title: str
    description: str
    version: int
    edited: bool
    folder: str | None
    parameters: dict[str, Parameter]
    secrets: dict[str, SecretView]
    environment: dict[str, str]
    stages: list[StepView]


class ProjectView(Answer):
    """Everything that the page of a project shows but logs, files and charts. Its `version` is the ETag."""

    id: str
    version: int
    name: str
    state: str
    look: str
    word: str
    detail: str
    driver: str
    author: str
    participants: list[Member]
    role: str = Field(description="what the caller is in this project: viewer, member, maintainer, owner")
    may: list[str] = Field(description="actions that the caller may do here: view, comment, run, manage")
    tags: list[str]
    priority: int
    limit: Allowance = Field(default=FREE, description="what its stages may have in use at the same time")
    keep: Keeping = Field(default=Keeping(), description="how long things of it stay")
    created: datetime
    updated: datetime
    trashed: datetime | None
    values: dict[str, str] = Field(description="of the project; names that are secrets are masked")
    planned_sweeps: dict[str, dict[str, list[str]]] = {}
    pipeline: PipelineView
    strip: list[Cell]
    pause: Pause | None
    single: bool = Field(description="it pauses again after the next stage has started")
    gates: list[Gate]
    failures: list[Failure]
    sweeps: list[Sweep]
    stages: list[StageView] = Field(description="newest first: all open ones, and the newest of those that ended")
    stages_next: int = Field(description="ask for stages before this number; 0: all are here")
    comments: list[Comment]
    expected: datetime | None = Field(default=None, description="likely end, by progress and history")
    seconds: float = Field(description="that its ended stages ran altogether")
    began: datetime | None
    thumbnail: str = ""

    model_config = example(
        id="pk3m8x2w9qf4t", version=31, name="Neckartor, 17 Nov 16:30", state="running", look="running", word="running",
        detail="", driver="nomad", author="mara", participants=[{"user": "@everyone", "role": "member"}], role="member",
        may=["view", "comment", "run"], tags=["b14-campaign"], priority=50, created="2026-11-23T06:40:00Z",
        updated="2026-11-24T14:32:00Z", trashed=None, values={"VIDEO": "b14/neckartor.mp4"},
        pipeline={"name": "traffic", "title": "", "description": "", "version": 7, "edited": False, "folder": None,
                  "parameters": {}, "secrets": {}, "environment": {}, "stages": []},
        strip=[{"id": "detect", "state": "succeeded"}], pause=None, single=False, gates=[], failures=[], sweeps=[],
        stages=[], stages_next=0, comments=[], seconds=24180.0, began="2026-11-23T08:01:00Z",
    )  # fmt: skip


class LeftoversView(Leftovers):
    """What nothing needs any more, the oldest first, and what of such things is in the trash."""

    model_config = example(
        items=[{"stage": 3, "id": "track", "attempt": 1, "kind": "failed_workspace", "bytes": 25877626060,
                "why": "workspace of a stage that failed", "since": "2026-11-24T09:57:00Z",
                "goes": "2026-12-01T09:57:00Z"}],
        trash=[{"entry": "pk3m8x2w9qf4t-old-o7d2nq8r5vbxc", "why": "workspace of a stage that was stopped",
                "actor": "mara", "at": "2026-11-23T17:20:00Z", "until": "2026-11-30T17:20:00Z", "directories": 1,
                "bytes": 9663676416}],
        trash_days=7.0, failed_days=7.0, superseded_days=30.0,
    )  # fmt: skip


class StagePage(Answer):
    items: list[StageView]
    next: int = Field(description="give it as `before` for older ones; 0: there are no more")

    model_config = example(items=[], next=0)


class Describing(Request):
    """What is left out stays. Author, participants, limit and how long things are kept need the right to manage the
    project. `limit` and `keep` are taken as a whole: what is left out in them has none."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    tags: list[str] | None = Field(default=None, max_length=50)
    priority: int | None = Field(default=None, ge=0, le=100)
    author: str | None = Field(default=None, max_length=100)
    participants: list[Member] | None = Field(default=None, max_length=200)
    limit: Allowance | None = Field(default=None, description="what its stages may have in use at the same time")
    keep: Keeping | None = None

    model_config = example(tags=["b14-campaign", "rush-hour"], priority=70, limit={"gpus": 2}, keep={"failed_days": 30})


def defaults_of(model: type[BaseModel]) -> dict[str, Any]:
    """What its fields are in JSON where they are left out."""
    fields = model.model_fields.items()
    return {n: to_jsonable_python(f.get_default(call_default_factory=True)) for n, f in fields if not f.is_required()}


ROW, NOW, PAUSE = defaults_of(Row), defaults_of(Now), defaults_of(Pause)
MANY = (
    ("strip", defaults_of(Cell)),
    ("gates", defaults_of(Gate)),
    ("failures", defaults_of(Failure)),
    ("participants", defaults_of(Member)),
)


def completed(stored: dict[str, Any]) -> dict[str, Any]:
    """A summary as it is stored, with the fields that have their defaults."""
    row = {**ROW, **stored}
    for name, defaults in MANY:
        row[name] = [{**defaults, **item} for item in row[name]]
    for name, defaults in (("current", NOW), ("pause", PAUSE)):
        if row[name] is not None:
            row[name] = {**defaults, **row[name]}
    return row


def role_of(who: Principal, author: str, participants: tuple[Member, ...]) -> str:
    return ROLE_OF[rank_in(who, author, participants)]


def may_do(who: Principal, project: Project) -> list[str]:
    return [
        a.value.removesuffix("_project")
        for a in ABOUT_PROJECTS
        if allowed(who, a, author=project.author, participants=project.participants, project=project.id)
    ]


def project_view(
    project: Project,
    who: Principal,
    beside: Beside,
    typical: Mapping[str, float],
    steps: Mapping[str, tuple[datetime, datetime]],
) -> ProjectView:
    """`typical`: seconds by stage id; `steps`: likely start and end of what is still to come, by stage id."""
    told = said.of_project(project)
    stages = Stages(project, beside)
    numbers = stages.newest_first()
    ended = [n for n in numbers if n not in project.stages]
    shown = set(numbers) if len(ended) <= SHOWN else {*project.stages, *ended[:SHOWN]}
    known = tally(project, None, NO_STAGES)
    started = [s.started for s in project.stages.values() if s.started is not None]
    ends = [*beside.expected.values(), *(end for _, end in steps.values())]
    return ProjectView(
        id=project.id,
        version=project.version,
        name=project.name,
        state=project.state.value,
        look=told.look,
        word=told.word,
        detail=told.detail,
        driver=project.driver,
        author=project.author,
        participants=list(project.participants),
        role=role_of(who, project.author, project.participants),
        may=may_do(who, project),
        tags=list(project.tags),
        priority=project.priority,
        limit=project.limit,
        keep=project.keep,
        created=project.created,
        updated=project.updated,
        trashed=project.trashed,
        values=masked(project.values, project.pipeline.secrets),
        planned_sweeps={i: _shown(grid, project) for i, grid in project.planned_sweeps.items()},
        pipeline=_pipeline(project, typical, steps),
        strip=list(strip(project, known)),
        pause=project.pause,
        single=project.single,
        gates=list(project.gates),
        failures=list(project.failures),
        sweeps=[_sweep(project, s) for _, s in sorted(project.sweeps.items(), reverse=True)],
        stages=[v for n in numbers if n in shown and (v := stages.of(n)) is not None],
        stages_next=min(ended[:SHOWN]) if len(ended) > SHOWN else 0,
        comments=list(project.comments),
        expected=max(ends, default=None),
        seconds=round(known.seconds, 1),
        began=min(started + ([known.began] if known.began else []), default=None),
        thumbnail=thumbnail(project, known),
    )


def _sweep(project: Project, sweep: Sweep) -> Sweep:
    secret = project.pipeline.secrets
    return sweep.but(
        overrides=masked_overrides(sweep.overrides, secret),
        grid={n: tuple(v) for n, v in _shown(sweep.grid, project).items()},
    )


def _shown(grid: Mapping[str, tuple[str, ...]], project: Project) -> dict[str, list[str]]:
    return {n: [MASK] if n in project.pipeline.secrets else list(v) for n, v in grid.items()}


def _pipeline(
    project: Project, typical: Mapping[str, float], steps: Mapping[str, tuple[datetime, datetime]]
) -> PipelineView:
    pipeline = project.pipeline
    states = {c.id: c.state for c in strip(project, tally(project, None, NO_STAGES))}
    numbers: dict[str, list[int]] = {}
    for stage in project.ended.values():
        numbers.setdefault(stage.id, []).append(stage.number)
    for open_stage in project.stages.values():
        numbers.setdefault(open_stage.definition.id, []).append(open_stage.number)
    asked = {*project.pause_after, *(s.definition.id for s in project.stages.values() if s.pause_after)}
    return PipelineView(
        name=pipeline.name,
        title=pipeline.title,
        description=pipeline.description,
        version=pipeline.version,
        edited=pipeline.edited,
        folder=pipeline.folder,
        parameters=pipeline.parameters,
        secrets={n: SecretView(required=s.required, given=n in project.secrets) for n, s in pipeline.secrets.items()},
        environment=masked(pipeline.environment, pipeline.secrets),
        stages=[
            StepView(
                definition=d,
                state=states[d.id],
                newest=max(numbers.get(d.id, [0])),
                executions=sorted(numbers.get(d.id, []), reverse=True)[:SHOWN],
                pause_after=d.id in asked,
                typical=typical.get(d.id),
                expected_start=steps[d.id][0] if d.id in steps else None,
                expected_end=steps[d.id][1] if d.id in steps else None,
            )
            for d in pipeline.stages
        ],
    )
