"""Which stages belong together. A stage's `inputs` names, for each stage id, the one execution it
descends from: two lineages go together if they agree wherever both say something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

from winslow_nomad.core.pipeline import Pipeline, StageDefinition
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, Source, Stage, StageState

COUNTS = frozenset({StageState.SUCCEEDED, StageState.SKIPPED})
LONGEST_POINT = 180  # bytes of a directory's name, which file systems end at 255


def agree(a: Mapping[str, int], b: Mapping[str, int]) -> bool:
    """No stage id has different executions in the two lineages."""
    return all(b.get(key, number) == number for key, number in a.items())


def lineage(stage: Stage | EndedStage) -> dict[str, int]:
    """What descends from this stage has these as its inputs."""
    return {**stage.inputs, definition_id(stage): stage.number}


def definition_id(stage: Stage | EndedStage) -> str:
    return stage.definition.id if isinstance(stage, Stage) else stage.id


def executions(project: Project, stage_id: str) -> Iterator[Stage | EndedStage]:
    """All stages of a definition, newest first."""
    numbers = sorted(
        [n for n, s in project.stages.items() if s.definition.id == stage_id]
        + [n for n, e in project.ended.items() if e.id == stage_id],
        reverse=True,
    )
    for number in numbers:
        yield project.stages.get(number) or project.ended[number]


def ancestors(pipeline: Pipeline, definition: StageDefinition) -> list[str]:
    """Stage ids before this one, nearest first."""
    found: list[str] = []
    line = list(definition.needs)
    while line:
        name = line.pop(0)
        if name not in found and name in pipeline.by_id:
            found.append(name)
            line.extend(pipeline.by_id[name].needs)
    return found


def newest_inputs(project: Project, definition: StageDefinition) -> dict[str, int]:
    """The lineage that a stage gets which a person adds without naming one: the newest success of the
    nearest ancestors, as far as these agree."""
    inputs: dict[str, int] = {}
    for name in ancestors(project.pipeline, definition):
        for stage in executions(project, name):
            if stage.state in COUNTS and agree(inputs, lineage(stage)):
                inputs = {**lineage(stage), **inputs}
                break
    return inputs


def newest_gathered(project: Project, definition: StageDefinition) -> dict[str, int]:
    """For a gathering stage: the newest sweep of each stage that it needs."""
    if not definition.gather:
        return {}
    return {s.id: s.number for s in sorted(project.sweeps.values(), key=lambda s: s.number) if s.id in definition.needs}


def descends(stage: Stage | EndedStage, number: int) -> bool:
    return number in stage.inputs.values()


def counting(project: Project) -> list[EndedStage]:
    """The newest ended execution of each stage definition, where it counts; members of sweeps do not:
    a person's choice or a gathering stage follows them."""
    newest: dict[str, EndedStage] = {}
    for stage in project.ended.values():
        if stage.sweep is None and stage.number > newest.get(stage.id, stage).number - 1:
            newest[stage.id] = stage
    return [s for s in newest.values() if s.state in COUNTS]


def merged(lineages: Iterable[Mapping[str, int]]) -> dict[str, int]:
    inputs: dict[str, int] = {}
    for one in lineages:
        inputs.update(one)
    return inputs


def source(project: Project, stage: Stage) -> Source:
    """What this stage's workspace starts from."""
    last = stage.attempt
    if last is not None and last.outcome is not None and stage.definition.retry.workspace == "continue":
        return Source(kind="attempt", number=last.number)
    if stage.sweep is not None:
        sweep = project.sweeps[stage.sweep]
        if sweep.workspace == "shared":
            return Source(kind="sweep_shared", number=sweep.number)
        if sweep.workspace == "nested":
            return Source(kind="sweep_nested", number=sweep.number, point=point_name(stage.point))
    return logical_source(project, stage)


def logical_source(project: Project, stage: Stage) -> Source:
    """By the stage's `workspace`: empty, a named or numbered stage, or the logically previous one."""
    definition = stage.definition
    wanted = stage.overrides.workspace or definition.workspace
    if wanted == "empty":
        return Source(kind="empty")
    if wanted.startswith("#"):
        return of_ended(project, int(wanted[1:]))
    if wanted != "previous":
        return of_ended(project, stage.inputs.get(wanted, 0))
    if definition.gather and stage.gathered:
        return Source(kind="empty")
    before = [
        stage.inputs[n] for n in (*definition.needs, *ancestors(project.pipeline, definition)) if n in stage.inputs
    ]
    ran = [n for n in before if n in project.ended and project.ended[n].state is not StageState.SKIPPED]
    if ran or before:
        return of_ended(project, (ran or before)[0])
    return Source(kind="given") if project.given else Source(kind="empty")


def of_ended(project: Project, number: int) -> Source:
    """A skipped stage passes its own source on."""
    ended = project.ended.get(number)
    if ended is None:
        return Source(kind="empty")
    if ended.state is StageState.SKIPPED or ended.attempt == 0:
        return ended.source or Source(kind="empty")
    return Source(kind="stage", number=number)


def point_name(point: Mapping[str, str]) -> str:
    """A directory name for a point of a sweep, another one for each point: `MIN_AREA=100,MODEL=fast`. Where a value
    has other signs than these or is long, they are `_` or left out, and a checksum tells it from its like."""
    plain = ",".join(f"{k}=" + "".join(c if c.isalnum() or c in ".-_" else "_" for c in v) for k, v in point.items())
    exact = ",".join(f"{k}={v}" for k, v in point.items())
    short = plain.encode()[:LONGEST_POINT].decode(errors="ignore")
    if short == exact:
        return short or "point"
    told = "\0".join(f"{k}={v}" for k, v in point.items()).encode(errors="surrogatepass")
    return f"{short}-{sha256(told).hexdigest()[:8]}"
