"""Pipelines and worlds that the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.client import Plan, World
from winslow_nomad.core.pipeline import (
    Confirm,
    Parameter,
    ParameterKind,
    Pipeline,
    ResultKind,
    Retry,
    Secret,
    StageDefinition,
    SweepPolicy,
)

K = ParameterKind


def stage(name: str, *needs: str, **fields: object) -> StageDefinition:
    return StageDefinition(id=name, needs=needs, command=("true",), **fields)


def street() -> Pipeline:
    """detect -> inspect -> (a gate) -> track."""
    show = ("inspect/preview.jpg", "inspect/counts.csv")
    return Pipeline(
        name="street",
        parameters={
            "VIDEO": Parameter(kind=K.FILE, title="Video", accept=(".mp4",)),
            "MIN_AREA": Parameter(kind=K.INTEGER, default="300", min="20"),
        },
        stages=(
            stage("detect", results={"detections": ResultKind.INTEGER}),
            stage("inspect", "detect"),
            stage("track", "inspect", confirm=Confirm(ask="always", show=show)),
        ),
    )


def plain() -> Pipeline:
    return Pipeline(
        name="plain",
        parameters={"SPEED": Parameter(kind=K.INTEGER, default="1")},
        stages=(stage("one", retry=Retry(failed=0)), stage("two", "one")),
    )


def swept() -> Pipeline:
    """try_out -> (choose) -> report."""
    return Pipeline(
        name="swept",
        parameters={"SPEED": Parameter(kind=K.INTEGER, default="1", max="50")},
        stages=(
            stage("try_out", results={"score": ResultKind.INTEGER}, sweep=SweepPolicy(max_running=2)),
            stage("report", "try_out"),
        ),
    )


def asking() -> Pipeline:
    return Pipeline(
        name="asking",
        parameters={
            "CITY": Parameter(kind=K.STRING, title="Which city"),
            "LANES": Parameter(kind=K.INTEGER, min="1", max="8"),
        },
        stages=(stage("only"),),
    )


def secretive() -> Pipeline:
    return Pipeline(name="secretive", secrets={"LICENCE": Secret()}, stages=(stage("only", secrets=("LICENCE",)),))


def world(root: Path) -> World:
    pipelines = {p.name: p for p in (street(), plain(), swept(), asking(), secretive())}
    plans = {
        "detect": Plan(results={"detections": "1204"}, out=b"frame 1\nframe 2\n", percent=40.0),
        "inspect": Plan(files={"preview.jpg": "picture", "counts.csv": "second,count\n0,17\n1,4\n"}),
        "track": Plan(files={"tracks.csv": "id\n1\n"}),
        "try_out": Plan(results={"score": "7"}),
    }
    return World(root, pipelines, plans)
