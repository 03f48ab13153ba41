"""YAML as people mean it: a tree of texts with their places.

The full language has traps (1.10 is a number, NO is false, 010 is eight, aliases can grow a kilobyte into
gigabytes, tags can make objects), so only its plain part is read: mappings, lists and scalars whose source
text is kept. Everything else is a problem with a place. Never builds an object from a tag, never expands an
alias."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from winslow_nomad.core.errors import InvalidPipeline, Problem

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 50
MAX_PROBLEMS = 100

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Scalar:
    """`text` as written, without quotes. `plain`: it had no quotes."""

    text: str
    line: int
    column: int
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: tuple[tuple[Scalar, Node], ...]
    line: int
    column: int

    def get(self, name: str) -> Node | None:
        return next((value for key, value in self.entries if key.text == name), None)


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    line: int
    column: int


Node = Scalar | Mapping | Sequence


def at(node: Node, *path: str | int) -> Node:
    """The node at the end of the path, or the last one on the way that is there."""
    for step in path:
        below: Node | None = None
        if isinstance(node, Mapping) and isinstance(step, str):
            below = node.get(step)
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            below = node.items[step]
        if below is None:
            return node
        node = below
    return node


class Report:
    """Collects the problems of one file, so that all can be shown at once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: dict[tuple[int, int, str], Problem] = {}

    def add(self, place: Node | tuple[int, int], message: str, hint: str = "", code: str = "invalid") -> None:
        """`code` is the part behind `pipeline.`. Raises InvalidPipeline when there are too many to go on."""
        line, column = place if isinstance(place, tuple) else (place.line, place.column)
        key = (line, column, message)
        if key not in self._found:
            self._found[key] = Problem(self._file, line, column, message, hint, f"pipeline.{code}")
        if len(self._found) >= MAX_PROBLEMS:
            self.end()

    def end(self) -> None:
        """Raise InvalidPipeline if there is any problem."""
        if self._found:
            raise InvalidPipeline(tuple(self._found[key] for key in sorted(self._found)))

    def stop(self, place: Node | tuple[int, int], message: str, hint: str = "", code: str = "yaml") -> None:
        """A problem after which nothing can be read: the only one to be shown."""
        self._found.clear()
        self.add(place, message, hint, code)
        self.end()


def decoded(data: bytes, report: Report) -> str:
    """The text of a file's bytes."""
    if len(data) > MAX_BYTES:
        report.stop(
            (0, 0), f"the file has {len(data)} bytes; {MAX_BYTES} is the limit", "is it a pipeline file?", "too_large"
        )
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        report.stop((1, 1), "the file is saved as UTF-16", "save it as UTF-8", "encoding")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        byte = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        report.stop(place, byte, "save the file as UTF-8", "encoding")
        raise


def compose(text: str, report: Report) -> Mapping:
    """The tree of a pipeline file. Raises InvalidPipeline."""
    _check_characters(text, report)
    try:
        tree = _Composer(text, report).document()
    except yaml.MarkedYAMLError as error:
        problem = str(error.problem or error.context or error)
        mark = error.problem_mark or error.context_mark
        if "stream" in problem:  # never closed: where it begins helps more than where the file ends
            mark = error.context_mark or mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        report.stop(place, *_in_words(problem))
        raise
    except yaml.YAMLError as error:
        report.stop((1, 1), f"not readable as YAML: {str(error).splitlines()[0]}")
        raise
    report.end()
    return tree


def _check_characters(text: str, report: Report) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        report.stop((0, 0), f"the text is longer than {MAX_BYTES} bytes", "is it a pipeline?", "too_large")
    if text.startswith("\ufeff"):
        report.stop(
            (1, 1),
            "the file begins with a byte order mark",
            "save it as UTF-8 without one",
            "encoding",
        )
    found = _UNPRINTABLE.search(text)
    if found is not None:
        before = text[: found.start()]
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        name = "a NUL character" if found[0] == "\0" else f"the unprintable character U+{ord(found[0]):04X}"
        report.stop(place, f"{name} is in the text", "remove it", "encoding")


class _Composer:
    """Builds the tree from PyYAML's events; limits hold before anything large is built."""

    def __init__(self, text: str, report: Report) -> None:
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self._report = report
        self._count = 0

    def document(self) -> Mapping:
        next(self._events)  # start of the stream
        start = next(self._events)
        if not isinstance(start, yaml.DocumentStartEvent):
            self._report.stop((1, 1), "the file is empty", "begin with winslow: 1", "empty")
        if getattr(start, "version", None) or getattr(start, "tags", None):
            self._report.stop((1, 1), "% directives are not part of a pipeline file", "remove the line")
        first = next(self._events)
        root = self._node(first, 1)
        next(self._events)  # end of the document
        more = next(self._events)
        if isinstance(more, yaml.DocumentStartEvent):
            place = _place(more)
            self._report.stop(place, "a second document begins here", "a file holds one pipeline; remove the ---")
        if not isinstance(root, Mapping):
            self._report.stop(
                (root.line, root.column), "a pipeline file is a mapping", "begin with winslow: 1", "wrong_kind"
            )
            raise AssertionError  # stop has raised
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        line, column = _place(event)
        self._count += 1
        if self._count > MAX_NODES:
            self._report.stop((line, column), f"the file has more than {MAX_NODES} values", "", "too_large")
        if depth > MAX_DEPTH:
            self._report.stop((line, column), f"values are nested more than {MAX_DEPTH} deep", "", "too_large")
        if isinstance(event, yaml.AliasEvent):
            self._report.add(
                (line, column),
                f"*{str(event.anchor)[:60]} is an alias",
                "write the value out; what stages share goes into defaults:",
                "yaml",
            )
            return Scalar("", line, column, plain=False)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # nothing else begins a value
        if event.anchor is not None:
            self._report.add((line, column), f"&{event.anchor[:60]} is an anchor", "remove it", "yaml")
        if event.tag is not None:
            self._report.add((line, column), f"{event.tag[:60]} is a tag", "remove it; every value is a text", "yaml")
        if isinstance(event, yaml.ScalarEvent):
            if _NO_TEXT.search(event.value):
                self._report.add(
                    (line, column),
                    "the text holds a character that no text may hold (NUL, or half of one)",
                    "remove it",
                    "encoding",
                )
            return Scalar(event.value, line, column, plain=event.style is None)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(below := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(below, depth + 1))
            return Sequence(tuple(items), line, column)
        return self._mapping(line, column, depth)

    def _mapping(self, line: int, column: int, depth: int) -> Mapping:
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, Scalar] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, Scalar):
                self._report.add(key, "a key is a single word here", "put texts with { or [ into quotes", "yaml")
            elif key.plain and key.text == "<<":
                self._report.add(
                    key, "<< merges are not part of a pipeline file", "what stages share goes into defaults:", "yaml"
                )
            elif key.text in seen:
                self._report.add(
                    key,
                    f"{key.text} is here twice",
                    f"the first is in line {seen[key.text].line}; remove one",
                    "duplicate",
                )
            else:
                seen[key.text] = key
                entries.append((key, value))
        return Mapping(tuple(entries), line, column)


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)


_WORDS: tuple[tuple[str, str, str], ...] = (
    (r"found character '\\t'", "a tab is used where only spaces may stand", "indent with spaces"),
    (r"found character '(.)' that cannot start", "a text cannot begin with {0}", "put it into quotes"),
    (
        r"mapping values are not allowed",
        "a colon is not expected here",
        "put texts with a colon into quotes, or check the indentation",
    ),
    (r"could not find expected ':'", "a key without a colon", "write key: value"),
    (
        r"expected <block end>",
        "the line does not fit what is above",
        "check the indentation, and that every entry has its key or its -",
    ),
    (
        r"expected ',' or '\]'",
        "the list in [ ] is not closed, or a comma is missing",
        "separate by commas, close with ], put texts with [ ] {{ }} , into quotes",
    ),
    (
        r"expected ',' or '}'",
        "the mapping in {{ }} is not closed, or a comma is missing",
        "separate by commas, close with }}, put texts with [ ] {{ }} , into quotes",
    ),
    (r"unexpected end of stream", "a quote is not closed", "close it"),
    (
        r"unknown escape character|expected escape sequence",
        "there is no such sequence with \\ in double quotes",
        "write \\\\ for a backslash, or use single quotes",
    ),
)


def _in_words(problem: str) -> tuple[str, str]:
    for pattern, message, hint in _WORDS:
        found = re.search(pattern, problem)
        if found is not None:
            return message.format(*found.groups()), hint.format()
    return f"not readable as YAML: {problem}", "check quotes and indentation"
