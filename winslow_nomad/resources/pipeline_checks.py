"""What must be true between the parts of a pipeline file: names that exist, no circles, defaults that fit.

Works on the values that the table has read, and on the nodes they came from for the places of problems.
Reports every mistake once, at the place where it is cured; a part that could not be read is left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from winslow_nomad.core import expression
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.expand import RESERVED, WINSLOW_VARIABLES, names_in, resolved
from winslow_nomad.core.images import host_of
from winslow_nomad.core.pipeline import OF_MATCH, Parameter, ParameterKind, ResultKind
from winslow_nomad.core.stage import EnvironmentValue
from winslow_nomad.core.suggest import closest, did_you_mean
from winslow_nomad.core.values import check_value
from winslow_nomad.resources.log_patterns import LinePattern
from winslow_nomad.resources.pipeline_keys import STAGE
from winslow_nomad.resources.yaml_text import Mapping, Node, Report, Scalar, at

WORDS = ("previous", "empty", expression.VALUES)  # they mean something where a stage id may stand
_NUMBERS = (ParameterKind.INTEGER, ParameterKind.NUMBER)


@dataclass
class Step:
    """A stage of the file: `values` as read, `node` with `defaults` merged in, `own` as it stands."""

    node: Mapping
    own: Mapping
    values: dict[str, Any]
    needs: tuple[str, ...] = ()
    before: frozenset[str] = field(default_factory=frozenset)  # ids of all stages before it

    @property
    def id(self) -> str:
        """As written, even where it is no valid id, so that one mistake makes one problem."""
        found = self.own.get("id")
        return found.text if isinstance(found, Scalar) else ""


@dataclass
class File:
    """A pipeline file as read."""

    root: Mapping
    values: dict[str, Any]
    steps: list[Step]
    report: Report

    @property
    def by_id(self) -> dict[str, Step]:
        return {step.id: step for step in self.steps if step.id}

    def names(self, key: str) -> tuple[str, ...]:
        """The names in a mapping of the file, also those whose values could not be read."""
        node = self.root.get(key)
        return tuple(k.text for k, _ in node.entries) if isinstance(node, Mapping) else ()


def check(file: File) -> None:
    """Report all problems, and fill in `needs` and `before` of every step."""
    _ids(file)
    _needs(file)
    _variables(file)
    for name, fields in file.values.get("parameters", {}).items():
        _parameter(file, name, fields)
    for step in file.steps:
        _workspace(file, step)
        _shown(file, step)
        _when(file, step)
        _secrets(file, step)
        _limits(file, step)
        _program(file, step)
        _log_parsers(file, step)
    _references(file)


def _ids(file: File) -> None:
    seen: dict[str, Node] = {}
    for step in file.steps:
        place = at(step.own, "id")
        if step.id in WORDS:
            file.report.add(
                place,
                f"no stage can be called {step.id}",
                "the word has a meaning of its own; take another",
                "wrong_value",
            )
        elif step.id and step.id in seen:
            file.report.add(
                place,
                f"a stage {step.id} is here twice",
                f"the first is in line {seen[step.id].line}; give this one another id",
                "duplicate",
            )
        else:
            seen[step.id] = place


# -- the graph


def _needs(file: File) -> None:
    steps, known = file.steps, file.by_id
    explicit = any(step.own.get("needs") is not None for step in steps)
    for number, step in enumerate(steps):
        above = steps[number - 1].id if number else ""
        if not explicit:
            step.needs = (above,) if above and above != step.id else ()
            continue
        if step.own.get("needs") is None and number:
            file.report.add(
                step.own,
                f"{step.id or 'this stage'} has no needs, and other stages have",
                f"write needs: [{above}] to run after the stage above, or needs: [] to run at once",
                "missing",
            )
        step.needs = step.values.get("needs", ())
        for position, need in enumerate(step.needs):
            place = at(step.node, "needs", position)
            if need == step.id:
                file.report.add(place, f"{need} needs itself", "remove it", "cycle")
            elif need not in known:
                _no_stage(file, place, need, known.keys() - {step.id})
        step.needs = tuple(n for n in step.needs if n in known and n != step.id)
    if len(known) == sum(1 for step in steps if step.id):  # else a circle would only be one name's two stages
        _circles(file)
    for step in steps:
        step.before = _before(step, known)


def _no_stage(file: File, place: Node, name: str, known: Iterable[str]) -> None:
    file.report.add(place, f"there is no stage {name}", did_you_mean(name, known), "undefined_stage")


def _before(step: Step, known: dict[str, Step]) -> frozenset[str]:
    found: set[str] = set()
    line = list(step.needs)
    while line:
        name = line.pop()
        if name not in found:
            found.add(name)
            line.extend(known[name].needs)
    return frozenset(found)


def _circles(file: File) -> None:
    """One problem for each circle. Stages that only lie behind a circle are not part of it."""
    known = file.by_id
    settled: set[str] = set()
    for start in known:
        trail: list[str] = []
        branches: list[Iterator[str]] = [iter((start,))]
        while branches:
            name = next(branches[-1], None)
            if name is None:
                branches.pop()
                if trail:
                    settled.add(trail.pop())
            elif name in trail:
                circle = trail[trail.index(name) :]
                text = " -> ".join([*circle, name])
                place = at(known[circle[-1]].node, "needs", known[circle[-1]].needs.index(name))
                file.report.add(
                    place,
                    f"stages need one another in a circle: {text}",
                    f"remove {name} from the needs of {circle[-1]}",
                    "cycle",
                )
            elif name not in settled:
                trail.append(name)
                branches.append(iter(known[name].needs))


# -- one stage


def _earlier(file: File, step: Step, place: Node, name: str, what: str) -> bool:
    """Whether the named stage runs before this one; else a problem."""
    if name in step.before:
        return True
    if name == step.id:
        file.report.add(place, f"{what} names the stage itself", "name a stage before it", "undefined_stage")
    elif name in file.by_id:
        file.report.add(
            place,
            f"{name} does not run before {step.id}",
            f"add {name} to its needs, or name another stage",
            "undefined_stage",
        )
    else:
        _no_stage(file, place, name, step.before)
    return False


def _workspace(file: File, step: Step) -> None:
    wanted = step.values.get("workspace", "previous")
    if wanted in ("previous", "empty"):
        return
    place = at(step.node, "workspace")
    near = closest(wanted, ("previous", "empty")) if wanted not in file.by_id else ""
    if near and not closest(wanted, step.before):
        file.report.add(place, f"there is no stage {wanted}", f"did you mean {near}?", "undefined_stage")
    else:
        _earlier(file, step, place, wanted, "workspace")


def _shown(file: File, step: Step) -> None:
    for number, path in enumerate(step.values.get("confirm", {}).get("show", ())):
        _earlier(file, step, at(step.node, "confirm", "show", number), path.partition("/")[0], "show")


def _when(file: File, step: Step) -> None:
    text = step.values.get("when")
    if text is None:
        return
    place = at(step.node, "when")
    if not all([_earlier(file, step, place, name, "when") for name in sorted(expression.names(text))]):
        return
    results = {name: file.by_id[name].values.get("results", {}) for name in step.before}
    kinds = {name: {key: ResultKind(kind) for key, kind in found.items()} for name, found in results.items()}
    problem = expression.check(text, kinds, file.names("parameters"))
    if problem is not None:
        message, _, hint = problem.partition("; ")
        file.report.add(place, f"when: {message}", hint, "expression")


def _secrets(file: File, step: Step) -> None:
    declared = file.names("secrets")
    for number, name in enumerate(step.values.get("secrets", ())):
        if name not in declared:
            hint = (
                did_you_mean(name, declared)
                if closest(name, declared)
                else f"add it at the top: secrets: {{{name}: {{}}}}"
            )
            file.report.add(at(step.node, "secrets", number), f"there is no secret {name}", hint, "undefined_name")
    for number, name in enumerate(step.values.get("required", ())):
        if name in declared:
            file.report.add(
                at(step.node, "required", number), f"{name} is a secret", "list it under secrets", "wrong_value"
            )


def _limits(file: File, step: Step) -> None:
    resources = step.values.get("resources", {})
    most = resources.get("memory_max")
    if most is not None and "memory" in resources and most < resources["memory"]:
        place = at(step.node, "resources", "memory_max")
        file.report.add(
            place, "memory_max is less than memory", "give at least as much, or leave it out", "wrong_value"
        )


def _program(file: File, step: Step) -> None:
    given = {key.text for key, _ in step.node.entries}
    misspelt = given - {key.name for key in STAGE.keys}  # it may be the command; one problem is enough
    if not misspelt and given.isdisjoint(("image", "command", "entrypoint")):
        file.report.add(
            step.own,
            f"{step.id or 'this stage'} has neither a command nor an image",
            'write command: [python, "${WINSLOW_PIPELINE}/<file>.py"]',
            "missing",
        )
        return
    image = step.values.get("image", "")
    wordless = not misspelt and not step.values.get("command") and not step.values.get("entrypoint")
    if wordless and image and not host_of(image) and "${" not in image:
        file.report.add(
            at(step.node, "image"),
            f"{step.id or 'this stage'} gives no command, and the image {image} names no registry that could tell one",
            "write command: [...], or the registry: registry.example.org/team/tool:1.2, docker.io/library/busybox:1",
            "missing",
        )


def _log_parsers(file: File, step: Step) -> None:
    """Patterns that can be used, and names that mean something."""
    node = step.node.get("environment")
    known = {*file.names("parameters"), *file.names("environment"), *step.values.get("required", ())}
    known |= {key.text for key, _ in node.entries} if isinstance(node, Mapping) else set()
    for number, parser in enumerate(step.values.get("log_parsers", ())):
        if "pattern" not in parser:
            continue
        try:
            groups = LinePattern(parser["pattern"], spanning=parser.get("lines", 1) > 1).groups
        except Invalid as wrong:
            _refused(file, at(step.node, "log_parsers", number, "pattern"), wrong, "wrong_value")
            continue
        if not groups and "columns" not in parser:
            file.report.add(
                at(step.node, "log_parsers", number, "pattern"),
                "this pattern has no named groups, and no columns say what is to be kept",
                "name what is to be kept: (?P<vehicles>\\d+)",
                "missing",
            )
        names = known | set(groups) | set(OF_MATCH) | set(WINSLOW_VARIABLES)
        if "file" in parser:
            _defined(file, at(step.node, "log_parsers", number, "file"), parser["file"], names, ())
        for heading, text in parser.get("columns", {}).items():
            _defined(file, at(step.node, "log_parsers", number, "columns", heading), text, names, ())


# -- parameters and variables


def _parameter(file: File, name: str, fields: dict[str, Any]) -> None:
    if "type" not in fields:
        return
    kind = ParameterKind(fields["type"])
    node = at(file.root, "parameters", name)
    owners = (
        (("min", "max"), _NUMBERS, "an integer or a number"),
        (("options",), (ParameterKind.CHOICE,), "a choice"),
        (("accept",), (ParameterKind.FILE, ParameterKind.FILES), "a file or files"),
    )
    fits = True
    for keys, kinds, words in owners:
        for key in keys:
            if key in fields and kind not in kinds:
                fits = False
                file.report.add(
                    at(node, key),
                    f"{key} has no meaning for type {kind}",
                    f"it belongs to {words}; remove it",
                    "wrong_value",
                )
    if kind is ParameterKind.CHOICE and "options" not in fields:
        fits = False
        if not isinstance(node, Mapping) or node.get("options") is None:
            file.report.add(node, f"{name} is a choice without options", "write options: [fast, exact]", "missing")
    bare = Parameter(kind=kind, options=fields.get("options", ()), accept=fields.get("accept", ()))
    for key in ("min", "max"):
        fits = fits and _canonical(file, at(node, key), bare, fields, key)
    if fits and "min" in fields and "max" in fields and Decimal(fields["min"]) > Decimal(fields["max"]):
        fits = False
        file.report.add(
            at(node, "max"), f"max {fields['max']} is less than min {fields['min']}", "exchange them", "wrong_value"
        )
    if fits:
        bounded = bare.but(min=fields.get("min"), max=fields.get("max"))
        _canonical(file, at(node, "default"), bounded, fields, "default")


def _canonical(file: File, place: Node, parameter: Parameter, fields: dict[str, Any], key: str) -> bool:
    """Replace a text of the parameter by its canonical form; False after reporting that it does not fit."""
    if key not in fields:
        return True
    try:
        fields[key] = check_value(parameter, fields[key])
    except Invalid as wrong:
        _refused(file, place, wrong, "wrong_value", f"{key}: ")
        return False
    return True


def _refused(file: File, place: Node, wrong: Invalid, code: str, prefix: str = "") -> None:
    """A refusal by the core, whose sentences stand alone, as half a sentence."""
    hint = wrong.hint[:1].lower() + wrong.hint[1:].removesuffix(".")
    file.report.add(place, prefix + wrong.message.removesuffix("."), hint, code)


def _variables(file: File) -> None:
    """Names that are reserved, or mean two things."""
    owners: list[tuple[str, Node | None]] = [(k, file.root.get(k)) for k in ("parameters", "secrets", "environment")]
    owners += [("environment", step.node.get("environment")) for step in file.steps]
    secrets = file.names("secrets")
    for what, node in owners:
        for key, _ in node.entries if isinstance(node, Mapping) else ():
            if key.text.startswith(RESERVED):
                file.report.add(
                    key,
                    f"{key.text} cannot be set: names with {RESERVED} belong to Winslow",
                    "take another name",
                    "reserved",
                )
            elif what != "secrets" and key.text in secrets:
                file.report.add(key, f"{key.text} is a secret as well", "give one of them another name", "duplicate")
    for step in file.steps:
        for number, name in enumerate(step.values.get("required", ())):
            if name.startswith(RESERVED):
                file.report.add(at(step.node, "required", number), f"{name} is always set", "remove it", "reserved")


def _references(file: File) -> None:
    """Every `${X}` has a meaning, and secrets stay in the environment."""
    common: dict[str, str] = file.values.get("environment", {})
    outer = {*file.names("parameters"), *file.names("environment"), *WINSLOW_VARIABLES}
    sound = True
    for name, text in common.items():
        sound = _defined(file, at(file.root, "environment", name), text, outer, ()) and sound
    for step in file.steps:
        _references_of(file, step, common, outer, sound)


def _references_of(file: File, step: Step, common: dict[str, str], outer: set[str], sound: bool) -> None:
    own: dict[str, str] = step.values.get("environment", {})
    secrets = tuple(n for n in step.values.get("secrets", ()) if n in file.names("secrets"))
    node = step.node.get("environment")
    plain = outer | set(step.values.get("required", ()))
    plain |= {k.text for k, _ in node.entries} if isinstance(node, Mapping) else set()
    for name, text in own.items():
        sound = _defined(file, at(step.node, "environment", name), text, plain | set(secrets), ()) and sound
    hidden = set(secrets)
    if sound:
        hidden |= _hidden(file, step, common | own, plain, secrets)
    places = [(step.values["image"], at(step.node, "image"))] if "image" in step.values else []
    for key in ("entrypoint", "command"):
        places += [(text, at(step.node, key, i)) for i, text in enumerate(step.values.get(key, ()))]
    for text, place in places:
        _defined(file, place, text, plain - hidden, hidden)


def _hidden(file: File, step: Step, texts: dict[str, str], names: set[str], secrets: tuple[str, ...]) -> set[str]:
    """Variables that hold a secret, directly or through others."""
    parameters = file.names("parameters")
    values = [EnvironmentValue(name=n, value="", origin="") for n in names if n not in texts or n in parameters]
    values += [
        EnvironmentValue(name=n, value=t, origin="")
        for n, t in texts.items()
        if n not in parameters or n in step.values.get("environment", {})
    ]
    values += [EnvironmentValue(name=n, value=n, origin="", secret=True) for n in secrets]
    try:
        found = resolved(values, dict.fromkeys(WINSLOW_VARIABLES, ""), dict.fromkeys(secrets, ""))
    except Invalid as wrong:
        first = next((n for n in reversed(re.findall(r"\w+", wrong.message)) if n in texts), "")
        node = step.node if first in step.values.get("environment", {}) else file.root
        place = at(node, "environment", first)
        _refused(file, place, wrong, "undefined_name")
        return set()
    return set(found.variables) - set(found.public)


def _defined(file: File, place: Node, text: str, names: Iterable[str], hidden: Iterable[str]) -> bool:
    try:
        found = names_in(text)
    except Invalid as wrong:
        _refused(file, place, wrong, "undefined_name")
        return False
    known, kept = set(names), set(hidden)
    for name in found:
        if name in kept:
            file.report.add(
                place,
                f"${{{name}}} holds a secret, and secrets reach a stage only through its environment",
                f"let the program read the variable {name}",
                "secret",
            )
        elif name in file.names("secrets") and name not in known:
            file.report.add(
                place,
                f"${{{name}}} is a secret that does not reach this place",
                f"list it in the stage (secrets: [{name}]) and use it in the stage's environment",
                "secret",
            )
        elif name not in known:
            # few names are near, and the list of all would be long
            hint = (
                did_you_mean(name, known)
                if closest(name, known)
                else "declare it under parameters or environment; $${ stands for the characters ${"
            )
            file.report.add(place, f"${{{name}}} is not defined", hint, "undefined_name")
    return known.issuperset(found)
