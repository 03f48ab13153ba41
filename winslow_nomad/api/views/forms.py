"""The form of a stage: every value with where it comes from, so that a person changes one and leaves the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from winslow_nomad.api.views.base import Answer, example
from winslow_nomad.api.views.hidden import MASK
from winslow_nomad.core.durations import Typical
from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.graph import missing_values
from winslow_nomad.core.layers import Layer, layers
from winslow_nomad.core.lineage import ancestors, definition_id, descends, executions, newest_inputs
from winslow_nomad.core.pipeline import Parameter, Resources, StageDefinition, SweepPolicy
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, Overrides, Stage, StageState
from winslow_nomad.core.suggest import suggestion

BLUEPRINT = "blueprint"


class FormField(Answer):
    """`value` from `origin` is what the stage gets if nobody changes it: `blueprint` where an earlier stage had it;
    without that it is `inherited`. kind: of the parameter, or `variable`."""

    name: str
    kind: str
    title: str = ""
    help: str = ""
    required: bool = False
    value: str | None = None
    origin: str = ""
    inherited: str | None = None
    inherited_origin: str = ""
    layers: list[Layer] = []
    parameter: Parameter | None = None


class FormSecret(Answer):
    name: str
    required: bool
    given: bool


class Chosen(Answer):
    """One of the fixed parts of a definition: what this run gets, and what it gets without a blueprint."""

    value: Any = None
    inherited: Any = None
    origin: str = "stage"


class Base(Answer):
    """A stage whose workspace this one could begin with."""

    number: int
    id: str
    state: str
    suggested: bool = Field(description="the one it begins with if nobody chooses")


class FormView(Answer):
    """`inputs`: the stages it will descend from. `blueprint`: the stage it is filled in from; 0: none. `missing`: names
    without a value. `stale`: stages that descend from the one that is redone. `sweep`: the policy, and the grid of the
    sweep that the blueprint belonged to."""

    id: str
    title: str
    blueprint: int
    fields: list[FormField]
    secrets: list[FormSecret]
    missing: list[str]
    image: Chosen
    entrypoint: Chosen
    command: Chosen
    resources: Chosen
    timeout: Chosen
    workspace: Chosen
    placement: dict[str, Any]
    inputs: dict[str, int]
    bases: list[Base]
    sweep: SweepPolicy
    grid: dict[str, list[str]] = {}
    comment: str = ""
    stale: list[int]
    typical: Typical | None = None

    model_config = example(
        id="detect", title="", blueprint=2, secrets=[], missing=[], placement={"pool": "default"}, inputs={}, bases=[],
        fields=[{"name": "MIN_AREA", "kind": "integer", "value": "340", "origin": "blueprint", "inherited": "300",
                 "inherited_origin": "parameter"}],
        image={"value": "traffic:1.2"}, entrypoint={}, command={"value": ["python", "detect.py"]}, resources={},
        timeout={}, workspace={"value": "previous"}, sweep={"max_running": 4}, stale=[4],
    )  # fmt: skip


class SweepSize(Answer):
    """How many stages the sweep makes, and its values as a command takes them. `seconds`: that all of them usually
    take together; null where that is not known."""

    total: int
    grid: dict[str, list[str]]
    seconds: float | None = None

    model_config = example(total=5, grid={"MIN_AREA": ["100", "200", "300", "400", "500"]}, seconds=120600.0)


def blueprint_of(project: Project, definition: StageDefinition, asked: str) -> Stage | EndedStage | None:
    """`asked`: empty, `newest`, or a number. Raises NotFound."""
    if asked == "newest":
        return next(iter(executions(project, definition.id)), None)
    if not asked:
        return None
    number = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 0
    found = project.stages.get(number) or project.ended.get(number)
    if found is None or definition_id(found) != definition.id:
        raise NotFound(
            f"There is no stage {asked[:20]} of {definition.id} in this project.",
            hint="Name the number of one, or `newest`.",
            code="stage.not_found",
        )
    return found


def definition_of(project: Project, stage_id: str) -> StageDefinition:
    """Raises NotFound."""
    found = project.pipeline.by_id.get(stage_id)
    if found is None:
        raise NotFound(
            f"The pipeline has no stage {stage_id[:80]!r}.",
            hint=suggestion(stage_id, project.pipeline.by_id),
            code="stage.unknown_definition",
        )
    return found


def form(
    project: Project,
    definition: StageDefinition,
    blueprint: Stage | EndedStage | None,
    installation: Mapping[str, str],
    typical: Typical | None,
) -> FormView:
    overrides = blueprint.overrides if blueprint is not None else Overrides()
    point = blueprint.point if blueprint is not None else {}
    plain = layers(project, definition, Overrides(), {}, installation)
    filled = layers(project, definition, overrides, point, installation)
    inputs = dict(blueprint.inputs) if blueprint is not None else newest_inputs(project, definition)
    trial = Stage(
        number=10**9, definition=definition, overrides=overrides, point=dict(point), inputs=inputs,
        made=project.created, queued=project.created,
    )  # fmt: skip
    sweep = project.sweeps.get(blueprint.sweep) if blueprint is not None and blueprint.sweep is not None else None
    secret = project.pipeline.secrets
    return FormView(
        id=definition.id,
        title=definition.title,
        blueprint=blueprint.number if blueprint is not None else 0,
        fields=_fields(project, definition, plain, filled),
        secrets=[
            FormSecret(name=n, required=secret[n].required if n in secret else True, given=n in project.secrets)
            for n in definition.secrets
        ],
        missing=list(missing_values(project, trial)),
        image=_chosen(definition.image, overrides.image),
        entrypoint=_chosen(definition.entrypoint, overrides.entrypoint),
        command=_chosen(definition.command, overrides.command),
        resources=_chosen(_dump(definition.resources), _dump(overrides.resources)),
        timeout=_chosen(definition.timeout, overrides.timeout),
        workspace=_chosen(definition.workspace, overrides.workspace),
        placement=definition.placement.model_dump(mode="json"),
        inputs=inputs,
        bases=_bases(project, definition, inputs),
        sweep=definition.sweep or SweepPolicy(),
        grid={n: [MASK] if n in secret else list(v) for n, v in sweep.grid.items()} if sweep is not None else {},
        comment=blueprint.comment if blueprint is not None else "",
        stale=_stale(project, blueprint),
        typical=typical,
    )


def _fields(
    project: Project,
    definition: StageDefinition,
    plain: Mapping[str, tuple[Layer, ...]],
    filled: Mapping[str, tuple[Layer, ...]],
) -> list[FormField]:
    """Parameters in the order of the file, then required variables, then all others."""
    parameters = project.pipeline.parameters
    names = dict.fromkeys([*parameters, *definition.required, *sorted(filled)])
    found = []
    for name in names:
        if name in definition.secrets or name in project.pipeline.secrets:
            continue
        parameter, now, before = parameters.get(name), filled.get(name, ()), plain.get(name, ())
        changed = bool(now) and now[-1].origin in ("run", "sweep")
        found.append(
            FormField(
                name=name,
                kind=parameter.kind.value if parameter is not None else "variable",
                title=parameter.title if parameter is not None else "",
                help=parameter.help if parameter is not None else "",
                required=name in definition.required or (parameter is not None and parameter.default is None),
                value=now[-1].value if now else None,
                origin=BLUEPRINT if changed else now[-1].origin if now else "",
                inherited=before[-1].value if before else None,
                inherited_origin=before[-1].origin if before else "",
                layers=list(now),
                parameter=parameter,
            )
        )
    return found


def _chosen(inherited: Any, override: Any) -> Chosen:
    if override is None:
        return Chosen(value=inherited, inherited=inherited)
    return Chosen(value=override, inherited=inherited, origin=BLUEPRINT)


def _dump(resources: Resources | None) -> dict[str, Any] | None:
    return resources.model_dump(mode="json") if resources is not None else None


def _bases(project: Project, definition: StageDefinition, inputs: Mapping[str, int]) -> list[Base]:
    before = {*definition.needs, *ancestors(project.pipeline, definition)}
    found = [e for e in project.ended.values() if e.id in before and e.state is StageState.SUCCEEDED]
    return [
        Base(number=e.number, id=e.id, state=e.state.value, suggested=inputs.get(e.id) == e.number)
        for e in sorted(found, key=lambda e: -e.number)[:100]
    ]


def _stale(project: Project, blueprint: Stage | EndedStage | None) -> list[int]:
    if blueprint is None:
        return []
    every: list[Stage | EndedStage] = [*project.stages.values(), *project.ended.values()]
    return sorted(s.number for s in every if descends(s, blueprint.number))
