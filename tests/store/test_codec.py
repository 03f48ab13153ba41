"""Whatever a project holds comes back from its records exactly."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import a_pipeline, a_project, a_stage, an_ended_stage
from winslow_nomad.core.pipeline import Gpu, Pipeline, Resources
from winslow_nomad.core.project import Comment, Gate, Pause, Project, Sweep
from winslow_nomad.core.stage import (
    Attempt,
    AttemptState,
    Cause,
    EnvironmentValue,
    Outcome,
    Overrides,
    Reason,
    Source,
    StageState,
)
from winslow_nomad.core.statistics import Cell
from winslow_nomad.store import codec
from winslow_nomad.store.commit import LogEntry, read_cell, read_log, write_cell, write_log

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
seconds = st.integers(0, 2**32 * 10**6)  # microseconds since 1970
times = seconds.map(lambda s: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=s))
numbers = st.integers(1, 10**6)
maps = st.dictionaries(texts, texts, max_size=3)
finite = st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)  # without -0.0
results = st.dictionaries(texts, st.integers() | finite | st.booleans() | texts, max_size=4)
reals = st.floats(0, 1e9)
resources = st.builds(
    Resources, cpu=reals, memory=numbers, memory_max=st.none() | numbers,
    gpu=st.none() | st.builds(Gpu, count=numbers, memory=numbers, model=texts),
)  # fmt: skip
overrides = st.builds(
    Overrides, values=maps, environment=maps, command=st.none() | st.lists(texts, max_size=3).map(tuple),
    image=st.none() | texts, resources=st.none() | resources, timeout=st.none() | reals,
)  # fmt: skip
outcomes = st.builds(
    Outcome, cause=st.sampled_from(Cause), code=st.none() | st.integers(0, 255), message=texts,
    started=st.none() | times, ended=st.none() | times, cpu_seconds=reals, results=maps,
)  # fmt: skip
attempts = st.builds(
    Attempt, number=numbers, state=st.sampled_from(AttemptState), node=texts, made=times,
    index=numbers, out_of_contact=st.none() | times, outcome=st.none() | outcomes,
)  # fmt: skip
sources = st.builds(
    Source, kind=st.sampled_from(["empty", "stage", "given", "sweep_nested"]), number=numbers, point=texts
)


@st.composite
def stages(draw: st.DrawFn, number: int = 1) -> Any:
    return a_stage(
        number,
        state=draw(st.sampled_from(StageState)),
        overrides=draw(overrides),
        inputs=draw(st.dictionaries(texts, numbers, max_size=3)),
        order=draw(finite),
        actor=draw(texts),
        attempts=tuple(draw(st.lists(attempts, max_size=3))),
        environment=draw(
            st.none()
            | st.lists(st.builds(EnvironmentValue, name=texts, value=texts, origin=texts), max_size=2).map(tuple)
        ),
        source=draw(st.none() | sources),
        retry_at=draw(st.none() | times),
        reason=draw(st.none() | st.builds(Reason, kind=st.just("busy"), text=texts, until=st.none() | times)),
        results=draw(results),
        made=draw(times),
    )


@st.composite
def projects(draw: st.DrawFn) -> Project:
    count = draw(st.integers(0, 4))
    return a_project(
        name=draw(texts),
        values=draw(maps),
        tags=tuple(draw(st.lists(texts, max_size=3))),
        pipeline=a_pipeline("a", "b", name=draw(texts)),
        comments=tuple(draw(st.lists(st.builds(Comment, actor=texts, text=texts, at=times), max_size=2))),
        pause=draw(st.none() | st.builds(Pause, kind=st.just("person"), text=texts, since=times)),
        gates=tuple(
            draw(st.lists(st.builds(Gate, id=texts, kind=st.just("confirm"), question=texts, since=times), max_size=2))
        ),
        sweeps=draw(
            st.dictionaries(
                numbers,
                st.builds(
                    Sweep, number=numbers, id=texts, total=numbers, max_running=numbers,
                    grid=st.dictionaries(texts, st.lists(texts, max_size=2).map(tuple), max_size=2),
                    on_failure=st.sampled_from(["stop", "continue"]),
                ),
                max_size=2,
            )
        ),
        stages={n: draw(stages(n)) for n in range(1, count)},
        sealing={n: draw(stages(n)) for n in range(10, 10 + count)},
        ended={n: an_ended_stage(n, results=draw(results), message=draw(texts), ended=draw(st.none() | times))
               for n in range(20, 20 + count)},
    )  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(projects())
def test_a_project_comes_back_from_its_records(project: Project) -> None:
    digest, text = codec.write_pipeline(project.pipeline)
    pipelines = codec.Pipelines()
    pipeline = pipelines.parse(digest, text)
    assert codec.write_pipeline(pipeline) == (digest, text)
    back = codec.assemble(
        codec.read_head(codec.write_head(project), pipeline),
        {n: codec.read_stage(codec.write_record(s)) for n, s in project.stages.items()},
        {n: codec.read_stage(codec.write_record(s)) for n, s in project.sealing.items()},
        {n: codec.read_ended(codec.write_record(e)) for n, e in project.ended.items()},
    )
    assert back == project
    assert back.model_dump_json() == project.model_dump_json()  # 1, 1.0 and True are equal, and not the same


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_json_cannot_hold_never_gets_into_a_record(number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        an_ended_stage(results={"speed": number})


@given(st.lists(st.builds(LogEntry, numbers, texts, st.none() | st.frozensets(numbers, max_size=5)), max_size=5))
def test_the_log_of_commits_comes_back(log: list[LogEntry]) -> None:
    assert read_log(write_log(tuple(log))) == tuple(log)


names = st.from_regex("[a-z][a-z0-9_]*", fullmatch=True)


@given(st.builds(Cell, numbers, st.sampled_from(["started", "ended_failed"]), names, texts))
def test_a_counter_s_name_comes_back_whatever_the_pipeline_is_called(cell: Cell) -> None:
    assert read_cell(write_cell(cell)) == cell


def test_parsed_pipelines_are_shared_and_bounded() -> None:
    pipelines = codec.Pipelines(size=2)
    parsed: list[tuple[str, Pipeline]] = []
    for name in "abc":
        digest, text = codec.write_pipeline(a_pipeline(name=name))
        parsed.append((digest, pipelines.parse(digest, text)))
    assert pipelines.get(parsed[0][0]) is None
    assert pipelines.get(parsed[2][0]) is parsed[2][1]
