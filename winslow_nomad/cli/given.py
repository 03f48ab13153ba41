"""What a person gave on the command line, as values for commands: `KEY=VALUE`, files, sweeps, resources.

Checks what can be checked before anything is done, so that a slip of the finger costs nothing. Reads
no file's content and sends nothing itself."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from winslow_nomad.core.allowance import FREE, Allowance, parse_allowance
from winslow_nomad.core.errors import Invalid, NotFound, Refused
from winslow_nomad.core.expand import check_value, grid_size, parse_sweep
from winslow_nomad.core.messages import Grid
from winslow_nomad.core.pipeline import FILE_KINDS, ParameterKind, Pipeline, Resources
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Overrides, StageState
from winslow_nomad.core.suggest import suggestion
from winslow_nomad.resources.sizes import parse_size

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def pair(text: str) -> tuple[str, str]:
    """`KEY=VALUE`; the value may be empty and may hold further `=`."""
    name, equals, value = text.partition("=")
    if not equals or not _NAME.match(name):
        raise Invalid(
            f"{text[:80]!r} is not of the form KEY=VALUE.",
            hint="Write a name, an equals sign and a value, such as MIN_AREA=300.",
            code="cli.not_a_pair",
        )
    return name, value


def allowance(text: str) -> Allowance:
    """`gpus=2 cpu=16 memory=64GiB stages=4`, or `none`."""
    if text.strip() == "none":
        return FREE
    try:
        return parse_allowance(text.split())
    except ValueError as error:
        raise Invalid(
            f"{text[:80]!r} is not a limit: {error}.",
            hint="Write gpus=2, cpu=16, memory=64GiB, stages=4, or some of them with spaces between; or none.",
            code="cli.not_a_limit",
        ) from error


def days(text: str) -> float | None:
    """A number, or `default` (None)."""
    if text.strip() == "default":
        return None
    if re.fullmatch(r"\d{1,5}(\.\d{1,3})?", text.strip(), re.ASCII) is None:
        raise Invalid(f"{text[:80]!r} is not a number of days.", hint="Write 30, 0.5 or default.", code="cli.not_days")
    return float(text)


def pairs(texts: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, value = pair(text)
        if name in found:
            raise Invalid(f"{name} is given twice.", hint="Give each name once.", code="cli.given_twice")
        found[name] = value
    return found


def names_of(pipeline: Pipeline) -> set[str]:
    """Every name that a value may have: parameters, required variables, the pipeline's and stages' own."""
    names = {*pipeline.parameters, *pipeline.environment}
    for stage in pipeline.stages:
        names |= {*stage.required, *stage.environment}
    return names


def values(pipeline: Pipeline, texts: Iterable[str]) -> dict[str, str]:
    """Values for names that the pipeline knows; a mistyped name is an error, not a new variable."""
    found = pairs(texts)
    for name, value in found.items():
        known_name(pipeline, name)
        if name in pipeline.parameters:
            check_value(pipeline.parameters[name], value, name=name)
    return found


def known_name(pipeline: Pipeline, name: str) -> None:
    if name not in names_of(pipeline):
        known = names_of(pipeline)
        raise Invalid(
            f"The pipeline {pipeline.name} has no parameter {name}.",
            hint=suggestion(name, known, "They stand in its file." if known else "It has none."),
            code="cli.unknown_parameter",
        )


def inputs(pipeline: Pipeline, texts: Iterable[str], bring: Callable[[Path], str]) -> dict[str, str]:
    """`PARAM=FILE` or, where there is one file parameter, `FILE`. All are checked before the first is brought
    into the input pool by `bring`."""
    chosen: dict[str, list[Path]] = {}
    for text in texts:
        name, path = _named_input(pipeline, text)
        chosen.setdefault(name, []).append(there(pipeline, name, path))
    for name, paths in chosen.items():
        if len(paths) > 1 and pipeline.parameters[name].kind is not ParameterKind.FILES:
            raise Invalid(
                f"{name} takes one {pipeline.parameters[name].kind.value}, and {len(paths)} are given.",
                hint="Give --input once for it.",
                code="cli.given_twice",
            )
    return {name: "\n".join(bring(p) for p in paths) for name, paths in chosen.items()}


def _named_input(pipeline: Pipeline, text: str) -> tuple[str, str]:
    takes = {n for n, p in pipeline.parameters.items() if p.kind in FILE_KINDS}
    name, equals, path = text.partition("=")
    if equals and name in takes:
        return name, path
    misnamed = equals and name.isidentifier() and not path_of(text).exists()  # a file's own name may have the sign
    if misnamed and name not in pipeline.parameters:
        known_name(pipeline, name)
    if len(takes) == 1 and not (equals and name in pipeline.parameters):
        return next(iter(takes)), text
    listed = ", ".join(sorted(takes))
    raise Invalid(
        f"It is not clear which parameter {text[:200]!r} is for.",
        hint=f"Write --input PARAM=FILE with one of {listed}." if takes else "This pipeline takes no files.",
        code="cli.input_unclear",
    )


def path_of(text: str) -> Path:
    """The absolute path of something on this machine."""
    try:
        return Path(text).expanduser().absolute()
    except (RuntimeError, OSError) as error:  # nobody has that home; the working directory was deleted
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise Invalid(
            f"{text[:200]!r} cannot be a path: {why.rstrip('.')}. Nothing was done.",
            hint="Write it whole, from / on.",
            code="cli.path",
        ) from None


def there(pipeline: Pipeline, name: str, text: str) -> Path:
    """The absolute path of a file or folder of this machine that suits the parameter and can be read."""
    parameter = pipeline.parameters[name]
    path = path_of(text)
    wanted = "folder" if parameter.kind is ParameterKind.FOLDER else "file"
    try:
        if not path.exists():
            hint = suggestion(path.name, _beside(path), f"Name a {wanted} that is there.")
            raise Invalid(
                f"{name}: there is no {wanted} {path}. Nothing was brought.", hint=hint, code="cli.input_missing"
            )
        right = path.is_dir() if wanted == "folder" else path.is_file()
        if right:
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as error:
        raise Invalid(
            f"{name}: {path} cannot be read: {error.strerror}. Nothing was brought.",
            hint="Look at its owner and mode, and at those of the folders it lies in.",
            code="cli.input_unreadable",
        ) from None
    if not right:
        raise Invalid(f"{name}: {path} is not a {wanted}.", hint=f"Name a {wanted}.", code="cli.input_kind")
    if parameter.accept and not path.name.lower().endswith(tuple(a.lower() for a in parameter.accept)):
        raise Invalid(
            f"{name}: {path.name} is not accepted.",
            hint=f"Accepted are {', '.join(parameter.accept)}.",
            code="cli.input_kind",
        )
    if any(c in "\n\r" or "\ud800" <= c <= "\udfff" for c in path.name):  # it becomes a line of a value
        raise Invalid(
            f"{name}: the name {path.name!r} holds a line break, or bytes that are no text. Nothing was brought.",
            hint="Give it another name.",
            code="cli.input_name",
        )
    return path


def _beside(path: Path) -> list[str]:
    try:
        return [p.name for p in path.parent.iterdir() if p.name != path.name][:2000]  # it may be a link to nothing
    except OSError:
        return []


def sweeps(pipeline: Pipeline, texts: Iterable[str]) -> dict[str, Grid]:
    """`KEY=1..5` for the stage that is made for sweeps (else the first), `STAGE.KEY=fast|exact` for another;
    several axes of a stage make a grid."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        stage, dot, key = name.partition(".")
        if not dot:
            stage, key = _only_first(pipeline, text), name
        elif stage not in pipeline.by_id:
            raise NotFound(
                f"The pipeline has no stage {stage!r}.",
                hint=f"It has {', '.join(pipeline.by_id)}.",
                code="stage.unknown_definition",
            )
        axis(pipeline, found.setdefault(stage, {}), key + equals + rest)
    return {stage: dict(grid) for stage, grid in found.items()}


def grid(pipeline: Pipeline, texts: Iterable[str]) -> Grid:
    """The axes of one sweep."""
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        axis(pipeline, found, text)
    return found


def axis(pipeline: Pipeline, found: dict[str, tuple[str, ...]], text: str) -> None:
    name, points = parse_sweep(text)
    known_name(pipeline, name)
    if name in found:
        raise Invalid(f"The sweep over {name} is given twice.", hint="Give it once.", code="cli.given_twice")
    if name in pipeline.parameters:
        for point in points[:1000]:
            check_value(pipeline.parameters[name], point, name=name)
    found[name] = points
    grid_size(found)


def _only_first(pipeline: Pipeline, text: str) -> str:
    meant = [s.id for s in pipeline.stages if s.sweep is not None] or list(pipeline.first)
    if len(meant) == 1:
        return meant[0]
    raise Invalid(
        f"{text[:80]!r} does not say which stage it is for, and there are several it could be.",
        hint=f"Write STAGE.KEY=..., with one of {', '.join(pipeline.by_id)}.",
        code="cli.sweep_unclear",
    )


def stage_number(project: Project, text: str) -> int:
    """A stage by its number (`3`, `0003`, `0003-track`) or its id: the newest of that name."""
    number = text.partition("-")[0]
    if number.isascii() and number.isdigit() and len(number) < 10:
        if int(number) in project.stages or int(number) in project.ended:
            return int(number)
        raise NotFound(
            f"There is no stage {int(number)} in this project.", hint=_there(project), code="stage.not_found"
        )
    numbers = [n for n, s in project.stages.items() if s.definition.id == text]
    numbers += [n for n, e in project.ended.items() if e.id == text]
    if numbers:
        return max(numbers)
    if text in project.pipeline.by_id:
        raise Refused(f"No stage {text} was made yet.", hint=_there(project), code="stage.not_made")
    hint = suggestion(text, project.pipeline.by_id)
    raise NotFound(f"There is no stage {text!r}.", hint=hint, code="stage.not_found")


def _there(project: Project) -> str:
    count = len(project.stages) + len(project.ended)
    return f"They are numbered 1 to {project.next_number - 1}." if count else "It has no stages yet."


def overrides(
    project: Project,
    base: Resources,
    *,
    set_: Sequence[str] = (),
    env: Sequence[str] = (),
    command: str = "",
    image: str = "",
    cpu: float | None = None,
    memory: str = "",
) -> Overrides:
    """The layer "this run" of a redo or an enqueued stage; `base` is what its resources are without it."""
    return Overrides(
        values=values(project.pipeline, set_),
        environment=pairs(env),
        command=words(command) if command else None,
        image=image or None,
        resources=resources(base, cpu, memory) if cpu is not None or memory else None,
    )


def words(command: str) -> tuple[str, ...]:
    """A command line as its elements; quotes group, and nothing is expanded."""
    try:
        found = tuple(shlex.split(command))
    except ValueError as error:
        raise Invalid(
            f"The command {command[:80]!r} has an open quote.", hint="Close it.", code="cli.command"
        ) from error
    if not found:
        raise Invalid(f"The command {command[:80]!r} names no program.", hint="Name one.", code="cli.command")
    return found


def resources(base: Resources, cpu: float | None, memory: str) -> Resources:
    if cpu is not None and not 0 < cpu < 100_000:
        raise Invalid(f"{cpu:g} cores cannot be.", hint="Give a number above 0.", code="cli.resources")
    changed = base.but(cpu=cpu) if cpu is not None else base
    if not memory:
        return changed
    try:
        amount = parse_size(memory)
    except Invalid as wrong:
        raise Invalid(f"The memory {wrong.message}.", hint="Write it as 4 GiB.", code=wrong.code) from None
    if amount == 0:
        raise Invalid("No memory at all is not enough.", hint="Write it as 4 GiB.", code="cli.resources")
    ceiling = base.memory_max if base.memory_max is not None and base.memory_max > amount else None
    return changed.but(memory=amount, memory_max=ceiling)


def resources_of(project: Project, number: int) -> Resources:
    """What a stage had or will have."""
    stage = project.stages.get(number) or project.sealing.get(number)
    if stage is not None:
        return stage.overrides.resources or stage.definition.resources
    ended = project.ended[number]
    definition = project.pipeline.by_id.get(ended.id)
    return ended.overrides.resources or (definition.resources if definition is not None else Resources())


def redoable(project: Project, number: int) -> list[tuple[int, str]]:
    """Ended stages that a person at the gate of stage `number` may want again: its lineage, newest last."""
    stage = project.stages.get(number)
    numbers = sorted(stage.inputs.values()) if stage is not None else []
    lineage = [project.ended[n] for n in numbers if n in project.ended]
    return [(e.number, e.id) for e in lineage if e.state is not StageState.SKIPPED]
