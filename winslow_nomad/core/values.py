"""Texts that people and programs give, checked against what the pipeline declares: values of parameters
before a stage runs, results after it. Values stay texts; nothing is rounded or rewritten."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.pipeline import Parameter, ParameterKind, ResultKind, StageDefinition
from winslow_nomad.core.stage import Result
from winslow_nomad.core.suggest import suggestion

MAX_VALUE = 100_000  # bytes of UTF-8; Linux gives one variable 128 KiB
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?\Z")


def check_value(parameter: Parameter, text: str, *, name: str = "") -> str:
    """The text as it will be used: integers without leading zeros and plus, paths without `./` and `//`.
    Raises Invalid (value.*); the message begins with `name` where one is given."""
    try:
        return _checked(parameter, text)
    except Invalid as wrong:
        if not name:
            raise
        raise Invalid(f"{name}: {wrong.message}", hint=wrong.hint, code=wrong.code) from None


def _checked(parameter: Parameter, text: str) -> str:
    size = len(text.encode("utf-8", "surrogatepass"))
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise _wrong("text", "The value holds a character that no text may hold (NUL, or half of one).", "Remove it.")
    if size > MAX_VALUE:
        raise _wrong("long", f"The value has {size} bytes; {MAX_VALUE} is the limit.", "Put it into a file.")
    match parameter.kind:
        case ParameterKind.STRING:
            return text
        case ParameterKind.INTEGER | ParameterKind.NUMBER:
            return _number(parameter, text.strip())
        case ParameterKind.BOOLEAN:
            return _boolean(text.strip())
        case ParameterKind.CHOICE:
            return _choice(parameter, text)
        case ParameterKind.FILES:
            paths = [_path(parameter, line) for line in text.split("\n") if line]
            if not paths:
                raise _wrong("path", "No file is named.", "Name at least one file of the input pool, one a line.")
            return "\n".join(paths)
        case ParameterKind.FILE | ParameterKind.FOLDER:
            return _path(parameter, text)


def _wrong(code: str, message: str, hint: str = "") -> Invalid:
    return Invalid(message, hint=hint, code=f"value.{code}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _number(parameter: Parameter, text: str) -> str:
    whole = parameter.kind is ParameterKind.INTEGER
    if not (_INTEGER if whole else _NUMBER).match(text):
        raise _wrong(
            "kind",
            f"{_shown(text)} is not {'an integer' if whole else 'a number'}.",
            "Write digits, such as 300." if whole else "Write digits with a point, such as 0.25.",
        )
    value = Decimal(text)
    low, high = parameter.min, parameter.max
    if low is not None and value < Decimal(low):
        raise _wrong("range", f"{text} is less than {low}.", _between(low, high))
    if high is not None and value > Decimal(high):
        raise _wrong("range", f"{text} is more than {high}.", _between(low, high))
    return str(int(text)) if whole else text


def _between(low: str | None, high: str | None) -> str:
    if low is not None and high is not None:
        return f"Allowed is {low} to {high}."
    return f"Allowed is {low} and more." if low is not None else f"Allowed is up to {high}."


def _boolean(text: str) -> str:
    if text not in ("true", "false"):
        raise _wrong("kind", f"{_shown(text)} is not true or false.", "Write true or false.")
    return text


def _choice(parameter: Parameter, text: str) -> str:
    if text not in parameter.options:
        raise _wrong("option", f"{_shown(text)} is not one of the options.", suggestion(text, parameter.options))
    return text


def _path(parameter: Parameter, text: str) -> str:
    """A path below the input pool, as a posix path."""
    folder = parameter.kind is ParameterKind.FOLDER
    what, example = ("folder", "recordings/monday") if folder else ("file", "street.mp4")
    hint = f"Name a {what} of the input pool, such as {example}."
    if not text.strip():
        raise _wrong("path", f"No {what} is named.", hint)
    if text.startswith("/"):
        raise _wrong("path", f"{_shown(text)} is an absolute path.", hint)
    parts = [p for p in text.split("/") if p not in ("", ".")]
    if ".." in parts:
        raise _wrong("path", f"{_shown(text)} leads out of the input pool.", hint)
    if not parts and not folder:
        raise _wrong("path", f"{_shown(text)} is not a {what}.", hint)
    if any("\n" in p or "\r" in p for p in parts) or any(len(p.encode()) > 255 for p in parts):
        raise _wrong("path", f"{_shown(text)} holds a line break, or a name longer than 255 bytes.", hint)
    if parameter.accept and not parts[-1].lower().endswith(tuple(a.lower() for a in parameter.accept)):
        raise _wrong("accept", f"{_shown(parts[-1])} is not accepted.", f"Accepted are {', '.join(parameter.accept)}.")
    return "/".join(parts) or "."


def typed_results(definition: StageDefinition, texts: Mapping[str, str]) -> tuple[dict[str, Result], tuple[str, ...]]:
    """Results as declared, the others as texts; and in words what is not of its kind. That stays a text, so
    that nothing is lost; comparing it is unclear, never false. A declared result may be missing."""
    found: dict[str, Result] = dict(texts)
    problems: list[str] = []
    for name, kind in definition.results.items():
        if name not in texts:
            continue
        value = texts[name] if kind is ResultKind.STRING else _typed(kind, texts[name].strip())
        if value is None:
            article = "an" if kind is ResultKind.INTEGER else "a"
            problems.append(f"The result {name} is {_shown(texts[name])}, which is not {article} {kind}.")
        else:
            found[name] = value
    return found, tuple(problems)


def _typed(kind: ResultKind, text: str) -> Result | None:
    if kind is ResultKind.BOOLEAN:
        return {"true": True, "false": False}.get(text.lower())
    if kind is ResultKind.INTEGER:
        return int(text) if _INTEGER.match(text) else None
    return float(text) if _NUMBER.match(text) else None
