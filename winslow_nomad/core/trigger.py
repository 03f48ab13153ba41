"""What a trigger means for a project: run it again, as it ran last. Pure; the commands are sent like a person's."""

from __future__ import annotations

from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.messages import AnyCommand, EnqueueStage, RedoStage, ResumeProject, StartProject
from winslow_nomad.core.project import Project


def triggered(project: Project, stage_id: str, *, single: bool, actor: str, comment: str) -> tuple[AnyCommand, ...]:
    """Without `stage_id` the stages that nothing precedes run again, as they ran last (values, image, sweep), and what
    follows follows; a project that never ran is started. `single`: pause again after one stage. Nothing is to be done
    where they are queued or running already. Raises NotFound."""
    definitions = project.pipeline.by_id
    if stage_id and stage_id not in definitions:
        raise NotFound(f"There is no stage {stage_id!r} in this pipeline; nothing was done.", code="stage.unknown")
    ids = [stage_id] if stage_id else list(project.pipeline.first)
    open_ids = {s.definition.id for s in project.stages.values()}
    if any(i in open_ids for i in ids):
        return ()
    newest = {ended.id: number for number, ended in sorted(project.ended.items())}
    commands: list[AnyCommand] = []
    for i in ids:
        if i in newest:
            commands.append(_again(project, newest[i], single=single, actor=actor, comment=comment))
        elif stage_id:
            commands.append(EnqueueStage(actor=actor, id=i, comment=comment, resume=not single))
    if not commands:
        return (ResumeProject(actor=actor, single=True) if single else StartProject(actor=actor),)
    return (*commands, ResumeProject(actor=actor, single=True)) if single else tuple(commands)


def _again(project: Project, number: int, *, single: bool, actor: str, comment: str) -> RedoStage:
    command = RedoStage(actor=actor, stage=number, comment=comment, resume=not single)
    of_sweep = project.ended[number].sweep
    if of_sweep is None:
        return command
    sweep = project.sweeps[of_sweep]
    return command.but(sweep=sweep.grid, sweep_workspace=sweep.workspace, max_running=sweep.max_running)
