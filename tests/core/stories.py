"""The start of a story about `decide`, and letting it go on until something is so."""

from __future__ import annotations

from typing import Any

from tests.core.world import World, pipeline
from winslow_nomad.core import messages as m
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.stage import Cause, Outcome, Stage, StageState

FAILED = Outcome(cause=Cause.EXIT, code=3)
SUCCESS = Outcome(cause=Cause.EXIT, code=0)


def started(made: Pipeline, **fields: Any) -> World:
    world = World(made, **fields)
    world.send(m.StartProject(actor="ada"))
    return world


def ids(world: World) -> list[str]:
    """What has ended, in order: `detect:succeeded`."""
    return [f"{e.id}:{e.state.value}" for e in world.project.ended.values()]


def open_ids(world: World) -> list[str]:
    return sorted(s.definition.id for s in world.project.stages.values())


def run_until(world: World, stage_id: str) -> int:
    """Let it go on until a stage of this id runs; its number."""
    for _ in range(200):
        for s in world.project.stages.values():
            if s.definition.id == stage_id and s.state is StageState.RUNNING:
                return s.number
        if world.deliver() or world.admit():
            continue
        effects = world.effects()
        for effect in effects:
            world.perform(effect)
        if not effects and world.running():
            world.end(world.running()[0], SUCCESS.but(started=world.now))
    raise AssertionError(f"{stage_id} never ran")


def run_until_attempt(world: World, number: int, attempt: int) -> Stage:
    """Let the stage go on until this attempt of it runs."""
    while len(world.project.stages[number].attempts) < attempt:
        if not (world.deliver() or world.admit()):
            world.wait(60)
    assert run_until(world, world.project.stages[number].definition.id) == number
    return world.project.stages[number]


DIAMOND = pipeline(
    {"id": "a"}, {"id": "b", "needs": ("a",)}, {"id": "c", "needs": ("a",)}, {"id": "d", "needs": ("b", "c")}
)
