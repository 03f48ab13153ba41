"""What a value in a pipeline file may look like. Each shape reads a node of the file and describes itself
as JSON Schema, so that the parser and an editor's hints cannot differ.

`read` answers None where the value is wrong, after it has reported every mistake in it; no value is None."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.suggest import closest, did_you_mean, listed
from winslow_nomad.resources import sizes
from winslow_nomad.resources.yaml_text import Mapping, Node, Report, Scalar, Sequence

Schema = dict[str, Any]

# words of neighbouring tools, and what they are called here
SYNONYMS = {
    "after": "needs", "args": "command", "artifacts": "results", "cmd": "command", "condition": "when",
    "cores": "cpu", "cpus": "cpu", "depends_on": "needs", "env": "environment", "if": "when",
    "inputs": "parameters", "jobs": "stages", "kind": "type", "mem": "memory", "params": "parameters",
    "ram": "memory", "retries": "retry", "script": "command", "steps": "stages", "tasks": "stages",
    "variables": "environment", "vars": "environment", "version": "winslow",
}  # fmt: skip


class Shape(Protocol):
    @property
    def example(self) -> str: ...

    def read(self, node: Node, name: str, report: Report) -> Any | None: ...

    def schema(self) -> Schema: ...


def _kind(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return "a text"


def _not(node: Node, name: str, what: str, example: str, report: Report) -> None:
    """The node is of the wrong kind."""
    empty = isinstance(node, Scalar) and node.plain and not node.text
    problem = f"{name} has no value" if empty else f"{name} is {_kind(node)}, not {what}"
    entry = name.startswith("an entry of")
    report.add(node, problem, f"write {example}" if entry else f"write {name}: {example}", "wrong_kind")


def _scalar(node: Node, name: str, what: str, example: str, report: Report) -> str | None:
    """The text of a scalar; `nothing` behind a key is none."""
    if not isinstance(node, Scalar):
        _not(node, name, what, example, report)
        return None
    if node.plain and not node.text:
        if what == "a text":
            example += f', or {name}: "" for an empty text'
        _not(node, name, what, example, report)
        return None
    return node.text


@dataclass(frozen=True)
class Text:
    """A text that keeps its source: 1.10 stays 1.10. `pattern` is what all of it must match."""

    example: str
    pattern: str = ""
    words: str = ""  # what the pattern means
    longest: int = 100_000

    def read(self, node: Node, name: str, report: Report) -> str | None:
        text = _scalar(node, name, "a text", self.example, report)
        if text is None:
            return None
        if len(text) > self.longest:
            report.add(node, f"{name} has {len(text)} characters; {self.longest} is the limit", "", "too_large")
            return None
        if self.pattern and not re.fullmatch(self.pattern, text):
            hint = f"{self.words}, such as {self.example}"
            report.add(node, f"{_quoted(text)} cannot be used for {name}", hint, "wrong_value")
            return None
        return text

    def schema(self) -> Schema:
        # an editor sees 300, 1.2 and true as other kinds than texts; here all are texts
        return {"type": ["string", "number", "boolean"]} | (
            {"pattern": f"^(?:{self.pattern})$"} if self.pattern else {}
        )


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


@dataclass(frozen=True)
class Choice:
    options: tuple[str, ...]

    @property
    def example(self) -> str:
        return self.options[0]

    def read(self, node: Node, name: str, report: Report) -> str | None:
        text = _scalar(node, name, f"one of {', '.join(self.options)}", self.example, report)
        if text is None or text in self.options:
            return text
        hint = closest(text, self.options)
        end = f"did you mean {hint}?" if hint else f"write one of {', '.join(self.options)}"
        report.add(node, f"{_quoted(text)} is not possible for {name}", end, "wrong_value")
        return None

    def schema(self) -> Schema:
        return {"enum": list(self.options)}


@dataclass(frozen=True)
class Boolean:
    example: str = "true"

    def read(self, node: Node, name: str, report: Report) -> bool | None:
        text = _scalar(node, name, "true or false", self.example, report)
        if text is None or text in ("true", "false"):
            return None if text is None else text == "true"
        report.add(node, f"{_quoted(text)} is not true or false", f"write {name}: true or {name}: false", "wrong_value")
        return None

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Number:
    """`whole`: an int, else a float."""

    low: int
    high: int
    example: str
    whole: bool = True
    above: bool = False  # more than `low`, not `low` itself

    def read(self, node: Node, name: str, report: Report) -> int | float | None:
        what = "a whole number" if self.whole else "a number"
        text = _scalar(node, name, what, self.example, report)
        if text is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,15}" if self.whole else r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text):
            report.add(node, f"{_quoted(text)} is not {what}", f"write {name}: {self.example}", "wrong_value")
            return None
        value = Decimal(text)
        if value > self.high or value < self.low or (self.above and value == self.low):
            bounds = f"{name} is {'more than' if self.above else 'at least'} {self.low} and at most {self.high}"
            report.add(node, f"{text} is out of range", bounds, "wrong_value")
            return None
        return int(text) if self.whole else float(text)

    def schema(self) -> Schema:
        low = "exclusiveMinimum" if self.above else "minimum"
        return {"type": "integer" if self.whole else "number", low: self.low, "maximum": self.high}


@dataclass(frozen=True)
class Quantity:
    """A text with a unit: a size or a duration. `least` is in its base unit."""

    parse: Callable[[str], int | float]
    example: str
    what: str
    least: int = 0
    least_text: str = ""

    def read(self, node: Node, name: str, report: Report) -> int | float | None:
        text = _scalar(node, name, self.what, self.example, report)
        if text is None:
            return None
        try:
            value = self.parse(text)
        except Invalid as wrong:
            report.add(node, wrong.message, wrong.hint, "wrong_value")
            return None
        if value < self.least:
            report.add(
                node, f"{_quoted(text)} is too little for {name}", f"the least is {self.least_text}", "wrong_value"
            )
            return None
        return value

    def schema(self) -> Schema:
        return {"type": ["string", "integer"], "examples": [self.example]}


def duration(example: str, *, least: int = 0) -> Quantity:
    return Quantity(sizes.parse_duration, example, "a duration", least, f"{least}s")


def size(example: str, *, least: int = 0) -> Quantity:
    return Quantity(sizes.parse_size, example, "a size", least, sizes.format_size(least))


@dataclass(frozen=True)
class Items:
    """A list of one shape."""

    each: Shape
    example: str
    least: int = 0
    most: int = 10_000
    unique: bool = False

    def read(self, node: Node, name: str, report: Report) -> tuple[Any, ...] | None:
        if not isinstance(node, Sequence):
            _not(node, name, "a list", self._meant(node), report)
            return None
        if len(node.items) < self.least:
            report.add(node, f"{name} is empty", f"write {name}: {self.example}", "wrong_value")
            return None
        if len(node.items) > self.most:
            message = f"{name} has {len(node.items)} entries; {self.most} is the limit"
            report.stop(node.items[self.most], message, "", "too_large")
        found = [self.each.read(item, f"an entry of {name}", report) for item in node.items]
        if self.unique:
            for number, value in enumerate(found):
                if value is not None and value in found[:number]:
                    report.add(
                        node.items[number], f"{_quoted(str(value))} is in {name} twice", "remove one", "duplicate"
                    )
        return None if None in found else tuple(found)

    def _meant(self, node: Node) -> str:
        """The text that stands there, as a list."""
        if not isinstance(node, Scalar) or not node.text or len(node.text) > 80:
            return self.example
        try:
            words = shlex.split(node.text) if self.example.startswith("[python") else [node.text]
        except ValueError:
            return self.example
        return "[" + ", ".join(w if re.fullmatch(r"[\w./=-]+", w) else f'"{w}"' for w in words) + "]"

    def schema(self) -> Schema:
        bounds: Schema = ({"minItems": self.least} if self.least else {}) | (
            {"uniqueItems": True} if self.unique else {}
        )
        return {"type": "array", "items": self.each.schema()} | bounds


@dataclass(frozen=True)
class Names:
    """A mapping from free names to one shape."""

    pattern: str
    words: str  # what the pattern means
    each: Shape
    example: str
    most: int = 10_000

    def read(self, node: Node, name: str, report: Report) -> dict[str, Any] | None:
        if not isinstance(node, Mapping):
            _not(node, name, "a mapping", self.example, report)
            return None
        if len(node.entries) > self.most:
            message = f"{name} has {len(node.entries)} entries; {self.most} is the limit"
            report.stop(node.entries[self.most][0], message, "", "too_large")
        found: dict[str, Any] = {}
        for key, value in node.entries:
            if not re.fullmatch(self.pattern, key.text):
                report.add(key, f"{_quoted(key.text)} cannot be a name in {name}", self.words, "wrong_value")
            read = self.each.read(value, key.text, report)
            if read is not None:
                found[key.text] = read
        return found

    def schema(self) -> Schema:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^(?:{self.pattern})$"},
            "additionalProperties": self.each.schema(),
        }


@dataclass(frozen=True)
class Key:
    """One key of a table: its shape, what it means, and whether it must be there."""

    name: str
    shape: Shape
    means: str
    required: bool = False


@dataclass(frozen=True)
class Table:
    """A mapping with known keys. `elsewhere`: keys that people write here and that belong elsewhere, with the cure."""

    keys: tuple[Key, ...]
    example: str
    elsewhere: tuple[tuple[str, str], ...] = ()

    def read(self, node: Node, name: str, report: Report) -> dict[str, Any] | None:
        if not isinstance(node, Mapping):
            _not(node, name, "a mapping", self.example, report)
            return None
        known = {key.name: key for key in self.keys}
        found: dict[str, Any] = {}
        for key, value in node.entries:
            if key.text not in known:
                report.add(key, f"{_shown(key.text)} is not a key here", self._hint(key.text, known), "unknown_key")
                continue
            read = known[key.text].shape.read(value, key.text, report)
            if read is not None:
                found[key.text] = read
        for wanted in self.keys:
            if wanted.required and node.get(wanted.name) is None:
                report.add(
                    node,
                    f"{wanted.name} is missing in {name}",
                    f"write {wanted.name}: {wanted.shape.example}",
                    "missing",
                )
        return found

    def _hint(self, word: str, known: Iterable[str]) -> str:
        names = list(known)
        if SYNONYMS.get(word) in names:
            return f"did you mean {SYNONYMS[word]}?"
        places = dict(self.elsewhere)
        if word in places:
            return places[word]
        return did_you_mean(word, names) or f"there are {listed(names)}"

    def schema(self) -> Schema:
        properties = {key.name: {"description": key.means} | key.shape.schema() for key in self.keys}
        required = [key.name for key in self.keys if key.required]
        closed: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        return closed | ({"required": required} if required else {})


def _shown(text: str) -> str:
    return text if re.fullmatch(r"[\w.-]{1,60}", text) else _quoted(text)
