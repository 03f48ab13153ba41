"""Pipeline files in, pipelines out: `read` for a file or a folder, `parse` for a text.

A wrong file is answered with all its mistakes at once, each with line, column and cure. Any text at all is
answered by a Pipeline or by InvalidPipeline, soon, and nothing in it is ever carried out."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from winslow_nomad.core.errors import Invalid, InvalidPipeline, NotFound, Problem
from winslow_nomad.core.expand import names_in
from winslow_nomad.core.pipeline import (
    Chart,
    Confirm,
    Gpu,
    LogParser,
    Parameter,
    Pipeline,
    Placement,
    Resources,
    Retry,
    Secret,
    StageDefinition,
    SweepPolicy,
)
from winslow_nomad.resources import pipeline_folder
from winslow_nomad.resources.pipeline_checks import File, Step, check
from winslow_nomad.resources.pipeline_keys import DEFAULTS, FORMAT, PIPELINE, STAGE
from winslow_nomad.resources.pipeline_text import write
from winslow_nomad.resources.yaml_text import MAX_BYTES, Mapping, Report, Scalar, Sequence, compose, decoded

__all__ = ["parse", "read", "take", "write"]

FILE_NAME = "pipeline.yaml"


def read(path: Path) -> Pipeline:
    """The pipeline of a YAML file, or of a folder with pipeline.yaml; `folder` is the digest of the folder
    (see `pipeline_folder.store_folder`), None for a file that needs no code beside it.

    Raises InvalidPipeline, NotFound (pipeline.not_found), Invalid (pipeline.unreadable, pipeline.folder)."""
    folder = source_folder(path)
    file = path / FILE_NAME if _is_folder(path) else path
    pipeline = _parse(_bytes(file), str(file), None)
    if folder is not None and (_is_folder(path) or needs_folder(pipeline)):
        return pipeline.but(folder=pipeline_folder.digest(folder))
    if needs_folder(pipeline):
        hint = f"put it into a folder of its own, with that code, as {FILE_NAME}"
        problem = "${WINSLOW_PIPELINE} is the folder of the pipeline, and this is a single file"
        raise InvalidPipeline((Problem(str(file), 0, 0, problem, hint, "pipeline.no_folder"),))
    return pipeline


def take(path: Path, share: Path) -> Pipeline:
    """`read`, with the folder kept on the share. What is answered was read from the kept copy, so that a
    folder that somebody is editing gives one state of it, never half of two."""
    pipeline = read(path)
    folder = source_folder(path)
    if pipeline.folder is None or folder is None:
        return pipeline
    digest = pipeline_folder.store_folder(folder, share)
    file = pipeline_folder.place(share, digest) / FILE_NAME
    return _parse(_bytes(file), str(folder / FILE_NAME), digest)


def source_folder(path: Path) -> Path | None:
    """The folder that goes with a pipeline file: only one called pipeline.yaml has its folder to itself."""
    if _is_folder(path):
        return path
    return path.parent if path.name == FILE_NAME else None


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - a name that is too long is no folder; pathlib would raise


def needs_folder(pipeline: Pipeline) -> bool:
    """Whether any text of it names the pipeline's own folder."""
    texts = list(pipeline.environment.values())
    for stage in pipeline.stages:
        texts += [stage.image, *(stage.entrypoint or ()), *(stage.command or ()), *stage.environment.values()]
    return any("WINSLOW_PIPELINE" in names_in(text) for text in texts)


def parse(text: str, file_name: str = FILE_NAME, *, folder: str | None = None) -> Pipeline:
    """The pipeline of a text; `folder`: digest of the folder it belongs to. Raises InvalidPipeline."""
    return _parse(text, file_name, folder)


def _bytes(file: Path) -> bytes:
    """At most one byte more than a pipeline file may have."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not hold us up
    except FileNotFoundError:
        raise NotFound(
            f"There is no {file}.",
            hint=f"Name a pipeline file, or a folder with {FILE_NAME}.",
            code="pipeline.not_found",
        ) from None
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    with open(fd, "rb") as opened:
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "not a file")
            return opened.read(MAX_BYTES + 1)
        except OSError as error:
            raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> Invalid:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Invalid(f"{file} cannot be read: {reason}.", hint="Nothing was done.", code="pipeline.unreadable")


def _parse(source: str | bytes, file_name: str, folder: str | None) -> Pipeline:
    report = Report(file_name)
    text = decoded(source, report) if isinstance(source, bytes) else source
    root = compose(text, report)
    _check_version(root, report)
    merged, steps = _with_defaults(root)
    values = PIPELINE.read(merged, "the file", report) or {}
    read_steps = values.get("stages", ())
    if len(read_steps) != len(steps):  # some could not be read as a whole: take what can be
        quiet = Report(file_name)
        read_steps = [STAGE.read(node, "the stage", quiet) or {} for node, _ in steps]
    file = File(
        merged,
        values,
        [Step(node, own, dict(found)) for (node, own), found in zip(steps, read_steps, strict=True)],
        report,
    )
    check(file)
    report.end()
    return _pipeline(file, folder)


def _check_version(root: Mapping, report: Report) -> None:
    node = root.get("winslow")
    if isinstance(node, Scalar) and node.text.isdecimal() and len(node.text) < 7 and int(node.text) > FORMAT:
        report.stop(
            node,
            f"this file is written for a newer Winslow: its language is version {node.text}",
            f"this one reads version {FORMAT}; upgrade Winslow",
            "newer",
        )


def _with_defaults(root: Mapping) -> tuple[Mapping, list[tuple[Mapping, Mapping]]]:
    """The file with `defaults` merged into every stage; and each stage so merged, and as it stands."""
    stages, defaults = root.get("stages"), root.get("defaults")
    if not isinstance(stages, Sequence):
        return root, []
    shared = {key.name for key in DEFAULTS.keys}
    given = tuple(e for e in defaults.entries if e[0].text in shared) if isinstance(defaults, Mapping) else ()
    base = Mapping(given, 0, 0)
    items = tuple(_merged(base, s) if isinstance(s, Mapping) else s for s in stages.items)
    steps = [
        (m, s) for m, s in zip(items, stages.items, strict=True) if isinstance(m, Mapping) and isinstance(s, Mapping)
    ]
    whole = tuple((k, Sequence(items, v.line, v.column) if k.text == "stages" else v) for k, v in root.entries)
    return Mapping(whole, root.line, root.column), steps


def _merged(base: Mapping, over: Mapping) -> Mapping:
    """Mappings are merged, deeply; anything else is replaced."""
    entries = {key.text: (key, value) for key, value in base.entries}
    for key, value in over.entries:
        before = entries.get(key.text)
        if before is not None and isinstance(before[1], Mapping) and isinstance(value, Mapping):
            value = _merged(before[1], value)
        entries[key.text] = (key, value)
    return Mapping(tuple(entries.values()), over.line, over.column)


def _pipeline(file: File, folder: str | None) -> Pipeline:
    values = file.values
    return Pipeline(
        name=values["name"],
        title=values.get("title", ""),
        description=values.get("description", ""),
        parameters={n: _parameter(p) for n, p in values.get("parameters", {}).items()},
        secrets={n: Secret(**s) for n, s in values.get("secrets", {}).items()},
        environment=values.get("environment", {}),
        stages=tuple(_stage(step) for step in file.steps),
        folder=folder,
    )


def _parameter(fields: dict[str, Any]) -> Parameter:
    return Parameter(kind=fields["type"], **{k: v for k, v in fields.items() if k != "type"})


def _stage(step: Step) -> StageDefinition:
    fields = dict(step.values)
    made: dict[str, Callable[[Any], Any]] = {
        "resources": _resources,
        "placement": lambda v: Placement(**v),
        "retry": lambda v: Retry(**v),
        "sweep": lambda v: SweepPolicy(**v),
        "confirm": lambda v: Confirm(**v),
        "charts": lambda v: tuple(Chart(**c) for c in v),
        "log_parsers": lambda v: tuple(LogParser(**p) for p in v),
    }
    for key, make in made.items():
        if key in fields:
            fields[key] = make(fields[key])
    return StageDefinition(**{**fields, "needs": step.needs})


def _resources(fields: dict[str, Any]) -> Resources:
    gpu = fields.get("gpu")
    wanted = None if gpu is None or gpu.get("count") == 0 else Gpu(**gpu)
    return Resources(**{**fields, "gpu": wanted})
