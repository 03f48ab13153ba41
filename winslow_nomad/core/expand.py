"""What the process of a stage finds in its environment, and what `${X}` stands for.

Two steps, because places are known only where the attempt will run. `environment` merges the layers into
texts that still hold `${X}`, each with its origin; `resolved` puts in the values. Texts that a person gave
as a value are literal: a `$` in them never refers to anything. Secrets are references until `resolved`, and
what refers to a secret is kept away from command, entrypoint and image, which other people can see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.grid import grid_size, parse_sweep, point
from winslow_nomad.core.pipeline import ParameterKind, Pipeline
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EnvironmentValue, Stage
from winslow_nomad.core.suggest import did_you_mean
from winslow_nomad.core.values import check_value, typed_results

__all__ = [
    "Resolved", "check_value", "environment", "expand", "grid_size", "literal", "names_in", "parse_sweep",
    "point", "resolved", "typed_results",
]  # fmt: skip

RESERVED = "WINSLOW_"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
MAX_TEXT = 120_000  # characters; Linux gives one variable or argument 128 KiB (MAX_ARG_STRLEN)
MAX_DEPTH = 50  # variables that refer to one another

WINSLOW_VARIABLES: dict[str, str] = {
    "WINSLOW_INPUT": "directory of the input pool, read-only",
    "WINSLOW_PIPELINE": "directory of the pipeline folder with its code, read-only",
    "WINSLOW_WORKSPACE": "the workspace: the directory the process starts in",
    "WINSLOW_OUTPUT": "directory for what the stage leaves as its result",
    "WINSLOW_STAGES": "directory with one entry for each earlier stage, by stage id, read-only",
    "WINSLOW_RESULTS": "file to append results to, as lines key=value",
    "WINSLOW_PROGRESS": "file to write the progress to, a number from 0 to 100",
    "WINSLOW_PROJECT": "id of the project",
    "WINSLOW_PROJECT_NAME": "name of the project",
    "WINSLOW_STAGE": "id of the stage",
    "WINSLOW_STAGE_NUMBER": "number of the stage in its project",
    "WINSLOW_ATTEMPT": "names this attempt everywhere: project/stage/attempt",
}

_REFERENCE = re.compile(r"\$(?:(?P<escape>\$)|\{(?P<name>[^{}]*)(?P<close>\}?))")


@dataclass(frozen=True, slots=True)
class Resolved:
    """`variables`: for the process. `public`: those that are no secret and refer to none."""

    variables: dict[str, str]
    public: dict[str, str]


def literal(text: str) -> str:
    """The text, so written that expanding it gives it back."""
    return text.replace("$", "$$")


def names_in(text: str) -> tuple[str, ...]:
    """Names that the text refers to, in order, once each. Raises Invalid (expand.malformed)."""
    return tuple(dict.fromkeys(_name(m) for m in _REFERENCE.finditer(text) if not m["escape"]))


def expand(text: str, variables: Mapping[str, str], *, longest: int | None = None) -> str:
    """Each `${X}` replaced by its variable and each `$$` by `$`; any other `$` stays. What comes out is not
    expanded again, and cut to `longest` characters if so many are wanted. Raises Invalid: expand.malformed,
    expand.undefined, expand.too_long."""
    parts: list[str] = []
    size = end = 0
    for match in _REFERENCE.finditer(text):
        value = "$" if match["escape"] else _value(_name(match), variables)
        parts += (text[end : match.start()], value)
        size += match.start() - end + len(value)
        end = match.end()
        if longest is not None and size >= longest:
            return "".join(parts)[:longest]
        if size > MAX_TEXT:
            break
    if size + len(text) - end > MAX_TEXT:
        raise Invalid(
            f"{text[:60]!r} becomes longer than {MAX_TEXT} characters.",
            hint="Put long texts into a file.",
            code="expand.too_long",
        )
    return ("".join(parts) + text[end:])[:longest]


def _name(match: re.Match[str]) -> str:
    name = match["name"]
    if not match["close"] or not VARIABLE.match(name):
        raise Invalid(
            f"{match[0]!r} is not a reference.",
            hint="Write ${NAME}, or $${ for the characters themselves.",
            code="expand.malformed",
        )
    return name


def _value(name: str, variables: Mapping[str, str]) -> str:
    try:
        return variables[name]
    except KeyError:
        raise Invalid(
            f"${{{name}}} is not defined.", hint=did_you_mean(name, variables), code="expand.undefined"
        ) from None


def environment(
    project: Project, stage: Stage, installation: tuple[EnvironmentValue, ...]
) -> tuple[EnvironmentValue, ...]:
    """The variables of a stage by name, from the nearest layer that has them: run and sweep point, stage,
    project's value, parameter's default, pipeline, installation. Values still hold `${X}` and `$$` (see
    `resolved`), files of the input pool as `${WINSLOW_INPUT}/<path>`. WINSLOW_* belong to the attempt and
    are left out of every layer. An optional secret that nobody has given is an empty text."""
    pipeline, definition, overrides = project.pipeline, stage.definition, stage.overrides
    found: dict[str, EnvironmentValue] = {}

    def lay(origin: str, texts: Mapping[str, str], *, secret: bool = False) -> None:
        for name, text in texts.items():
            if not name.startswith(RESERVED):
                found[name] = EnvironmentValue(name=name, value=text, origin=origin, secret=secret)

    def values(texts: Mapping[str, str]) -> dict[str, str]:
        return {name: _of_value(pipeline, name, text) for name, text in texts.items()}

    defaults = {n: p.default for n, p in pipeline.parameters.items() if p.default is not None}
    for given in installation:
        if not given.secret:
            lay("installation", {given.name: literal(given.value)})
    lay("pipeline", pipeline.environment)
    lay("parameter", values(defaults))
    lay("project", values(project.values))
    lay("stage", definition.environment)
    lay("run", values(overrides.values))
    lay("run", overrides.environment)
    lay("sweep", values(stage.point))
    # after all others: no text of an outer or inner layer may stand where a secret is expected
    common = {g.name: g.value for g in installation if g.secret}
    for name in definition.secrets:
        if name in project.secrets:
            lay("project", {name: project.secrets[name]}, secret=True)
        elif name in common:
            lay("installation", {name: common[name]}, secret=True)
        else:
            lay("pipeline", {name: ""})
    return tuple(found[name] for name in sorted(found))


def _of_value(pipeline: Pipeline, name: str, text: str) -> str:
    parameter = pipeline.parameters.get(name)
    match parameter and parameter.kind:
        case ParameterKind.FILE | ParameterKind.FOLDER:
            return _in_pool(text)
        case ParameterKind.FILES:
            return "\n".join(_in_pool(line) for line in text.split("\n") if line)
        case _:
            return literal(text)


def _in_pool(path: str) -> str:
    return "${WINSLOW_INPUT}/" + literal(path)


def resolved(values: Iterable[EnvironmentValue], winslow: Mapping[str, str], secrets: Mapping[str, str]) -> Resolved:
    """The texts for the process. `winslow`: the WINSLOW_* variables, final. `secrets`: reference -> text.

    Raises Invalid: expand.undefined, expand.cycle, expand.malformed, expand.too_long, expand.too_deep,
    expand.secret_missing."""
    by_name = {v.name: v for v in values}
    done: dict[str, str] = dict(winslow)
    hidden: set[str] = set()

    def settle(name: str, trail: tuple[str, ...]) -> None:
        if name in done or name not in by_name:
            return
        if name in trail:
            raise _cycle((*trail[trail.index(name) :], name))
        if len(trail) >= MAX_DEPTH:
            raise Invalid(
                f"More than {MAX_DEPTH} variables refer to one another, from {trail[0]} on.",
                hint="Write some of them out.",
                code="expand.too_deep",
            )
        given = by_name[name]
        if given.secret:
            done[name] = _secret(given, secrets)
            hidden.add(name)
            return
        references = names_in(given.value)
        for other in references:
            settle(other, (*trail, name))
        done[name] = expand(given.value, done)
        if not hidden.isdisjoint(references):
            hidden.add(name)

    for name in by_name:
        settle(name, ())
    return Resolved(done, {name: text for name, text in done.items() if name not in hidden})


def _secret(given: EnvironmentValue, secrets: Mapping[str, str]) -> str:
    try:
        return secrets[given.value]
    except KeyError:
        raise Invalid(
            f"The secret {given.name} is no longer there.", hint="Set it again.", code="expand.secret_missing"
        ) from None


def _cycle(names: tuple[str, ...]) -> Invalid:
    return Invalid(
        f"Variables refer to one another in a circle: {' -> '.join(names)}.",
        hint="Write one of them out.",
        code="expand.cycle",
    )
