"""Declares the commands about single stages of a project."""

from __future__ import annotations

from typing import Annotated

import typer

from winslow_nomad.cli import options


def register(app: typer.Typer) -> None:
    app.command("redo")(redo)
    app.command("enqueue")(enqueue)
    app.command("change")(change_queued)
    app.command("skip")(skip)
    app.command("stop")(stop)
    app.command("reorder")(reorder)


AtOnce = Annotated[bool, typer.Option("--at-once", help="Beside what is lined up already, not behind it.")]


def redo(
    context: typer.Context,
    project: options.ProjectArgument,
    stage: options.StageArgument,
    set_: options.Set = None,
    env: options.Env = None,
    command: options.Command = "",
    image: options.Image = "",
    cpu: options.Cpu = None,
    memory: options.Memory = "",
    sweep: options.SweepOption = None,
    comment: options.CommentOption = "",
    at_once: AtOnce = False,
    json: options.Json = False,
) -> None:
    """Run a stage again, with changes.

    It becomes a new stage; what follows it is made anew.
    """
    from winslow_nomad.cli import given
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.messages import RedoStage
    from winslow_nomad.core.project import Project

    def make(found: Project) -> RedoStage:
        number = given.stage_number(found, stage)
        overrides = given.overrides(
            found,
            given.resources_of(found, number),
            set_=set_ or (),
            env=env or (),
            command=command,
            image=image,
            cpu=cpu,
            memory=memory,
        )
        grid = given.grid(found.pipeline, sweep or ())
        return RedoStage(stage=number, overrides=overrides, sweep=grid, comment=comment, at_once=at_once)

    change(context, project, make, "Lined up:", as_json=json)


def enqueue(
    context: typer.Context,
    project: options.ProjectArgument,
    stage: Annotated[str, typer.Argument(metavar="STAGE_ID", help="A stage of the pipeline, also out of its order.")],
    after: Annotated[
        list[str] | None, typer.Option("--after", metavar="STAGE", help="Continue from this one, not from the newest.")
    ] = None,
    set_: options.Set = None,
    env: options.Env = None,
    command: options.Command = "",
    image: options.Image = "",
    cpu: options.Cpu = None,
    memory: options.Memory = "",
    sweep: options.SweepOption = None,
    comment: options.CommentOption = "",
    at_once: AtOnce = False,
    json: options.Json = False,
) -> None:
    """Line up a stage of the pipeline, whatever ran before."""
    from winslow_nomad.cli import given
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.commands import known
    from winslow_nomad.core.messages import EnqueueStage
    from winslow_nomad.core.project import Project

    def make(found: Project) -> EnqueueStage:
        overrides = given.overrides(
            found,
            known(found.pipeline.by_id, stage).resources,
            set_=set_ or (),
            env=env or (),
            command=command,
            image=image,
            cpu=cpu,
            memory=memory,
        )
        return EnqueueStage(
            id=stage,
            after=tuple(given.stage_number(found, s) for s in after or ()),
            overrides=overrides,
            sweep=given.grid(found.pipeline, sweep or ()),
            comment=comment,
            at_once=at_once,
        )

    change(context, project, make, "Lined up:", as_json=json)


def change_queued(
    context: typer.Context,
    project: options.ProjectArgument,
    stage: options.StageArgument,
    set_: options.Set = None,
    env: options.Env = None,
    command: options.Command = "",
    image: options.Image = "",
    cpu: options.Cpu = None,
    memory: options.Memory = "",
    comment: options.CommentOption = "",
    json: options.Json = False,
) -> None:
    """Change a stage that has not started yet."""
    from winslow_nomad.cli import given
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.errors import Invalid
    from winslow_nomad.core.graph import merge_overrides
    from winslow_nomad.core.messages import ChangeQueued
    from winslow_nomad.core.project import Project
    from winslow_nomad.core.stage import Overrides

    def make(found: Project) -> ChangeQueued:
        number = given.stage_number(found, stage)
        overrides = given.overrides(
            found,
            given.resources_of(found, number),
            set_=set_ or (),
            env=env or (),
            command=command,
            image=image,
            cpu=cpu,
            memory=memory,
        )
        if overrides == Overrides() and not comment:
            hint = "See winslow change --help for what can be."
            raise Invalid("Nothing is to be changed.", hint=hint, code="cli.nothing_to_do")
        known = found.stages.get(number)
        merged = merge_overrides(known.overrides, overrides) if known is not None else overrides
        return ChangeQueued(stage=number, overrides=merged, comment=comment or None)

    change(context, project, make, "Changed:", as_json=json)


def skip(
    context: typer.Context, project: options.ProjectArgument, stage: options.StageArgument, json: options.Json = False
) -> None:
    """Go on without a stage.

    It may be queued, failed or stopped.
    """
    from winslow_nomad.cli import given
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.messages import SkipStage

    change(context, project, lambda p: SkipStage(stage=given.stage_number(p, stage)), "Skipped:", as_json=json)


def stop(
    context: typer.Context,
    project: options.ProjectArgument,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="Only this one; without it everything.")] = "",
    kill: Annotated[bool, typer.Option("--kill", help="Without giving it time to end by itself.")] = False,
    json: options.Json = False,
) -> None:
    """Stop a stage, or all of a project."""
    from winslow_nomad.cli import given
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.messages import StopProject, StopStage
    from winslow_nomad.core.project import Project

    def make(found: Project) -> StopStage | StopProject:
        return StopStage(stage=given.stage_number(found, stage), kill=kill) if stage else StopProject(kill=kill)

    change(context, project, make, "Stopping:", as_json=json)


def reorder(
    context: typer.Context,
    project: options.ProjectArgument,
    stages: Annotated[list[str], typer.Argument(metavar="STAGE...", help="Queued stages in their new order.")],
    json: options.Json = False,
) -> None:
    """Give queued stages another order."""
    from winslow_nomad.cli import given
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.messages import Reorder
    from winslow_nomad.core.project import Project

    def make(found: Project) -> Reorder:
        return Reorder(stages=tuple(given.stage_number(found, s) for s in stages))

    change(context, project, make, "Reordered:", as_json=json)
