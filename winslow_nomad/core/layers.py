"""The layers that a stage's variables come from, each value with its origin, as people wrote them. For forms and
screens; what a process gets is computed by core.expand."""

from __future__ import annotations

from collections.abc import Mapping

from winslow_nomad.core.expand import RESERVED
from winslow_nomad.core.model import Value
from winslow_nomad.core.pipeline import Pipeline, StageDefinition
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Overrides

ORDER = ("installation", "pipeline", "parameter", "project", "stage", "run", "sweep")  # the nearest last


class Layer(Value):
    """`value` None: a secret that has a value, which is never shown."""

    origin: str
    value: str | None


def layers(
    project: Project,
    definition: StageDefinition,
    overrides: Overrides,
    point: Mapping[str, str],
    installation: Mapping[str, str],
) -> dict[str, tuple[Layer, ...]]:
    """By name, the farthest layer first. Names of secrets that the stage gets have their own layers alone."""
    pipeline = project.pipeline
    given: list[tuple[str, Mapping[str, str]]] = [
        ("installation", installation),
        ("pipeline", pipeline.environment),
        ("parameter", _defaults(pipeline)),
        ("project", project.values),
        ("stage", definition.environment),
        ("run", {**overrides.values, **overrides.environment}),
        ("sweep", point),
    ]
    found: dict[str, list[Layer]] = {}
    for origin, texts in given:
        for name, text in texts.items():
            if not name.startswith(RESERVED) and name not in pipeline.secrets:
                found.setdefault(name, []).append(Layer(origin=origin, value=text))
    for name in definition.secrets:
        found[name] = [Layer(origin="project", value=None)] if name in project.secrets else []
    return {name: tuple(found[name]) for name in sorted(found)}


def _defaults(pipeline: Pipeline) -> dict[str, str]:
    return {n: p.default for n, p in pipeline.parameters.items() if p.default is not None}
