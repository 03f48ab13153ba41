"""Files of the input pool that somebody names for a stage: only those that they may read themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from winslow_nomad.api.services import Services
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import Principal
from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.filing import to_text
from winslow_nomad.core.pipeline import FILE_KINDS, ParameterKind, Pipeline

Named = Mapping[str, Any]  # parameter -> a value, several of them (a sweep), or None


def check_inputs(given: Services, who: Principal, pipeline: Pipeline, command: m.AnyCommand) -> None:
    """`pipeline`: that of the project, unless the command brings another. Raises NotFound (input.not_found) for what
    groups keep from `who`, as if it were not there, and ShareUnavailable."""
    if who.sees_all:
        return
    pipeline = getattr(command, "pipeline", pipeline)
    for path in sorted(set(_paths(pipeline, _named(command)))):
        if not given.files.may_read(who, path):
            raise NotFound(
                f"There is no {path[:200]!r} in the input pool, or not all of it is for {who.user}; nothing was done.",
                hint="Name other files, or ask for being in the group that they are kept to.",
                code="input.not_found",
            )


def _named(command: m.AnyCommand) -> Iterable[Named]:
    """All that a command gives parameters as values."""
    yield getattr(getattr(command, "overrides", None), "values", None) or {}
    yield getattr(command, "values", None) or {}
    if isinstance(command, m.EnqueueStage | m.RedoStage):
        yield command.sweep
    yield from getattr(command, "sweeps", {}).values()
    if isinstance(command, m.CreateProject | m.EditPipeline):
        yield {name: parameter.default for name, parameter in command.pipeline.parameters.items()}


def _paths(pipeline: Pipeline, named: Iterable[Named]) -> Iterable[str]:
    for values in named:
        for name, value in values.items():
            parameter = pipeline.parameters.get(name)
            if parameter is None or parameter.kind not in FILE_KINDS or not value:
                continue
            for text in [value] if isinstance(value, str) else value:
                for path in text.split("\n") if parameter.kind is ParameterKind.FILES else [text]:
                    parts = [p for p in path.split("/") if p not in ("", ".")]  # as a value is kept
                    if ".." not in parts and not path.startswith("/"):  # which is refused later, with the reason
                        yield to_text("/".join(parts))
