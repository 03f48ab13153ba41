"""Axes of a sweep as people write them, as the grid that a command takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.expand import check_value, grid_size, parse_sweep
from winslow_nomad.core.messages import Grid
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.suggest import suggestion


def grid(pipeline: Pipeline, axes: Mapping[str, list[str] | str]) -> Grid:
    """Raises Invalid: sweep.*, value.*."""
    known = {*pipeline.parameters, *pipeline.environment}
    for stage in pipeline.stages:
        known |= {*stage.required, *stage.environment}
    found: dict[str, tuple[str, ...]] = {}
    for name, axis in axes.items():
        if name not in known:
            raise Invalid(
                f"The pipeline {pipeline.name} has no parameter {name[:80]}.",
                hint=suggestion(name, known),
                code="sweep.unknown",
            )
        values = parse_sweep(f"{name}={axis}")[1] if isinstance(axis, str) else tuple(axis)
        if name in pipeline.parameters:
            values = tuple(check_value(pipeline.parameters[name], v, name=name) for v in values)
        found[name] = values
        grid_size(found)
    return found
