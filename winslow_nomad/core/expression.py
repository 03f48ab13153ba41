"""The language of `when`: `detect.results.vehicles > 100 and values.MODEL == "exact"`.

Comparisons, arithmetic, and/or/not, five functions, results of earlier stages and values; nothing else, so
that a pipeline from a stranger can do no harm. An answer is true, false, or unclear: what is missing or of
the wrong kind makes it unclear and never false, wherever that would change the answer."""

from __future__ import annotations

import ast
import keyword
import math
import operator
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

from winslow_nomad.core.pipeline import ResultKind
from winslow_nomad.core.stage import Result
from winslow_nomad.core.suggest import did_you_mean

MAX_LENGTH = 1_000  # characters
MAX_NODES = 200
MAX_DEPTH = 30
MAX_DIGITS = 18
VALUES = "values"  # values.NAME: the text of a value; no stage may have this id

_KINDS = {
    ResultKind.INTEGER: "number",
    ResultKind.NUMBER: "number",
    ResultKind.BOOLEAN: "boolean",
    ResultKind.STRING: "text",
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS = ("min", "max", "abs", "len", "round", "number")
_WORDS = {"true": True, "false": False}
_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp,
    *_ARITHMETIC, ast.Compare, *_ORDER, ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Call, ast.Attribute,
    ast.Name, ast.Constant, ast.List, ast.Tuple, ast.Load,
)  # fmt: skip
_PLAIN = {
    ast.Pow: "powers (**) are not part of it",
    ast.Subscript: "square brackets behind a name are not part of it",
    ast.Lambda: "functions of your own are not part of it",
    ast.IfExp: "if ... else is not part of it; use and, or, not",
    ast.JoinedStr: "f-strings are not part of it",
    ast.NamedExpr: "assignments (:=) are not part of it; write ==",
    ast.Is: "write == instead of is",
    ast.IsNot: "write != instead of is not",
    ast.BitAnd: "write and instead of &",
    ast.BitOr: "write or instead of |",
}


@dataclass(frozen=True, slots=True)
class Unclear:
    """The expression has no answer now; `reason` says why, in words for the person who decides instead."""

    reason: str


class _Wrong(Exception):
    """The expression itself is wrong."""


class _Open(Exception):
    """A part of the expression has no value."""


def names(text: str) -> frozenset[str]:
    """Ids of the stages whose results the expression reads; none where it cannot be read."""
    try:
        tree = _parse(text)
    except _Wrong:
        return frozenset()
    found = (_reference(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute))
    return frozenset(r[0] for r in found if r is not None and r[0] != VALUES)


def check(text: str, known: Mapping[str, Mapping[str, ResultKind]], parameters: Collection[str]) -> str | None:
    """What is wrong with the expression and what would be right; None: nothing. `known`: the stages before
    this one with their declared results."""
    try:
        tree = _parse(text)
        kind = _Kinds(known, parameters).of(tree.body)
        if kind != "boolean":
            raise _Wrong(f"it gives a {kind}, not true or false; compare it with something, as in > 0")
    except _Wrong as wrong:
        return str(wrong)
    return None


def evaluate(
    text: str, results: Mapping[str, Mapping[str, Result] | None], values: Mapping[str, str]
) -> bool | Unclear:
    """Never raises. `results`: by stage id, None for a stage that left none (skipped, not run)."""
    try:
        answer = _Evaluation(results, values).answer(_parse(text))
    except (_Wrong, _Open) as problem:
        return Unclear(str(problem))
    except (InvalidExpression, ArithmeticError, ValueError, TypeError) as problem:
        return Unclear(f"it cannot be computed: {problem}")
    return answer if isinstance(answer, bool) else Unclear(f"it gives {answer!r}, not true or false")


@lru_cache(maxsize=256)
def _parse(text: str) -> ast.Expression:
    text = text.strip()
    if not text:
        raise _Wrong("the expression is empty")
    if len(text) > MAX_LENGTH:
        raise _Wrong(f"the expression has {len(text)} characters; {MAX_LENGTH} is the limit")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # "1 is 2": answered in our own words
            tree = ast.parse(" ".join(text.split("\n")), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _Wrong(_unreadable(text)) from None
    for number, node in enumerate(_nodes(tree)):
        if number >= MAX_NODES:
            raise _Wrong(f"the expression has more than {MAX_NODES} parts")
        _allow(node)
    return tree


def _nodes(tree: ast.AST) -> Any:
    """All nodes; a tree that is too deep is refused before anything recurses into it."""
    layer: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        yield from layer
        layer = [child for node in layer for child in ast.iter_child_nodes(node)]
        if not layer:
            return
    raise _Wrong("the expression is nested too deeply")


def _unreadable(text: str) -> str:
    for word in re.findall(r"[A-Za-z_]+", text):
        if re.search(rf"\b{word}\.|\.{word}\b", text) and keyword.iskeyword(word):
            return f"{word} is a word of the expression language; give the stage or result another name"
    if re.search(r"(?<![=<>!])=(?!=)", text):
        return "to compare, write == and not ="
    if re.search(r"&&|\|\|", text):
        return "write and, or instead of &&, ||"
    if re.search(r"!(?!=)", text):
        return "write not instead of !"
    return f"{text[:60]!r} cannot be read as an expression, such as detect.results.vehicles > 100"


def _allow(node: ast.AST) -> None:
    if not isinstance(node, _ALLOWED):
        raise _Wrong(_PLAIN.get(type(node), f"{type(node).__name__} is not part of it"))
    if isinstance(node, ast.Constant):
        value = node.value
        if not isinstance(value, bool | int | float | str):
            raise _Wrong(f"{str(value)[:40]} is not a number, a text, true or false")
        if isinstance(value, float) and not math.isfinite(value):
            raise _Wrong("a number is too large")
        if isinstance(value, int) and value.bit_length() > MAX_DIGITS * 3.32:
            raise _Wrong(f"numbers have at most {MAX_DIGITS} digits")
    if isinstance(node, ast.Call):
        function = node.func
        if not isinstance(function, ast.Name) or function.id not in _FUNCTIONS:
            hint = did_you_mean(function.id if isinstance(function, ast.Name) else "", _FUNCTIONS)
            raise _Wrong(f"there is no function {ast.unparse(function)[:40]}; {hint}")
        if node.keywords or not 1 <= len(node.args) <= 20:
            raise _Wrong(f"{function.id} takes plain arguments, as in {function.id}(...)")


def _reference(node: ast.AST) -> tuple[str, str] | None:
    """(stage id, result) of `<stage>.results.<result>`, (values, name) of `values.<name>`."""
    match node:
        case ast.Attribute(value=ast.Name(id="values"), attr=name):
            return VALUES, name
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id=stage), attr="results"), attr=name):
            return stage, name
        case _:
            return None


class _Kinds:
    """Kinds of all parts without their values: number, text, boolean, list."""

    def __init__(self, known: Mapping[str, Mapping[str, ResultKind]], parameters: Collection[str]) -> None:
        self._known, self._parameters = known, parameters

    def of(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=bool()) | ast.Name(id="true" | "false"):
                return "boolean"
            case ast.Constant(value=str()):
                return "text"
            case ast.Constant():
                return "number"
            case ast.Attribute():
                return self._attribute(node)
            case ast.Name(id=name):
                raise _Wrong(self._bare(name))
            case ast.BoolOp(values=parts):
                return self._all(parts, "boolean", "boolean", "and, or")
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return self._all([part], "boolean", "boolean", "not")
            case ast.UnaryOp(operand=part):
                return self._all([part], "number", "number", "a sign")
            case ast.BinOp(left=left, right=right):
                return self._all([left, right], "number", "number", "arithmetic")
            case ast.Compare():
                return self._compare(node)
            case ast.Call(func=ast.Name(id=function), args=arguments):
                return self._call(function, arguments)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                kinds = {self.of(p) for p in parts}
                if len(kinds) != 1 or kinds & {"list"} or any("list" in k for k in kinds):
                    raise _Wrong("a list holds texts or numbers, not both, as in [1, 2]")
                return f"list of {kinds.pop()}"
            case _:
                raise _Wrong(f"{ast.unparse(node)[:40]} is not part of it")

    def _bare(self, name: str) -> str:
        if name in self._known:
            return f"{name} is a stage; write {name}.results.<name>"
        if name in self._parameters:
            return f"{name} is a value; write values.{name}"
        return f"{name} is not known here; write <stage>.results.<name>, values.<NAME>, or a text in quotes"

    def _attribute(self, node: ast.Attribute) -> str:
        reference = _reference(node)
        if reference is None:
            raise _Wrong(f"{ast.unparse(node)[:60]} is not known; write <stage>.results.<name> or values.<NAME>")
        owner, name = reference
        if owner == VALUES:
            if name not in self._parameters:
                raise _Wrong(f"there is no value {name}; {did_you_mean(name, self._parameters)}".rstrip("; "))
            return "text"
        if owner not in self._known:
            raise _Wrong(f"there is no stage {owner} before this one; {did_you_mean(owner, self._known)}".rstrip("; "))
        results = self._known[owner]
        if name not in results:
            hint = did_you_mean(name, results) if results else f"declare it: results: {{{name}: integer}}"
            raise _Wrong(f"stage {owner} does not declare the result {name}; {hint}")
        return _KINDS[results[name]]

    def _all(self, parts: list[ast.expr], wanted: str, gives: str, what: str) -> str:
        for part in parts:
            kind = self.of(part)
            if kind != wanted:
                raise _Wrong(f"{what} needs a {wanted}, and {ast.unparse(part)[:60]} is a {kind}{_cure(part, wanted)}")
        return gives

    def _compare(self, node: ast.Compare) -> str:
        left, kind = node.left, self.of(node.left)
        for sign, right in zip(node.ops, node.comparators, strict=True):
            other = self.of(right)
            if isinstance(sign, ast.In | ast.NotIn):
                fits = other == f"list of {kind}"
            else:
                fits = kind == other and (kind in ("number", "text") or not isinstance(sign, tuple(_ORDER)))
            if not fits:
                cure = _cure(left, other) or _cure(right, kind)
                raise _Wrong(f"{ast.unparse(node)[:80]} compares a {kind} with a {other}{cure}")
            left, kind = right, other
        return "boolean"

    def _call(self, function: str, arguments: list[ast.expr]) -> str:
        if function in ("len", "number"):
            wanted, most = "text", 1
        else:
            wanted, most = "number", {"abs": 1, "round": 2}.get(function, 20)
        if len(arguments) > most:
            raise _Wrong(f"{function} takes {most} argument{'s' * (most > 1)}")
        return self._all(arguments, wanted, "number", function)


def _cure(part: ast.expr, wanted: str) -> str:
    reference = _reference(part)
    if wanted == "number" and reference is not None and reference[0] == VALUES:
        return f"; write number({ast.unparse(part)})"
    return ""


def _same(left: Any, right: Any) -> None:
    if _kind(left) != _kind(right):
        raise _Open(f"{left!r} cannot be compared with {right!r}")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def _numbers(*values: Any) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _Open(f"{value!r} is not a number")


def _finite(value: Any) -> Any:
    """Infinity would make the next comparison true or false by accident."""
    if isinstance(value, float) and not math.isfinite(value):
        raise _Open("a number becomes too large")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Open(f"{value!r} is not true or false")
    return value


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def checked(left: Any, right: Any) -> Any:
        _numbers(left, right)
        return _finite(compute(left, right))

    return checked


def _compared(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], bool]:
    def checked(left: Any, right: Any) -> bool:
        _same(left, right)
        return bool(compute(left, right))

    return checked


def _contained(left: Any, right: Any) -> bool:
    for element in right:
        _same(left, element)
    return left in right


def _of_numbers(compute: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*values: Any) -> Any:
        _numbers(*values)
        return compute(values) if compute in (min, max) else compute(*values)

    return checked


def _len(value: Any) -> int:
    if not isinstance(value, str):
        raise _Open(f"{value!r} is not a text")
    return len(value)


def _number(value: Any) -> int | float:
    text = str(value).strip()
    if re.fullmatch(r"[+-]?[0-9]{1,40}", text):
        return int(text)
    if re.fullmatch(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?", text):
        return float(text)
    raise _Open(f"{value!r} is not a number")


class _Evaluation(SimpleEval):
    """simpleeval, reduced to the node kinds of this language and with strict kinds."""

    def __init__(self, results: Mapping[str, Mapping[str, Result] | None], values: Mapping[str, str]) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            operators={
                **{sign: _arithmetic(f) for sign, f in _ARITHMETIC.items()},
                **{sign: _compared(f) for sign, f in _ORDER.items()},
                ast.Eq: _compared(operator.eq),
                ast.NotEq: _compared(operator.ne),
                ast.In: _contained,
                ast.NotIn: lambda a, b: not _contained(a, b),
                ast.Not: lambda a: not _truth(a),
                ast.USub: _of_numbers(operator.neg),
                ast.UAdd: _of_numbers(operator.pos),
            },
            functions={
                **{f.__name__: _of_numbers(f) for f in (min, max, abs, round)},
                "len": _len,
                "number": _number,
            },
            names=dict(_WORDS),
        )
        self._results, self._values = results, values
        kept = (ast.Name, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Call, ast.Constant)
        self.nodes = {kind: self.nodes[kind] for kind in kept} | {
            ast.Attribute: self._attribute,
            ast.BoolOp: self._boolean,
            ast.List: self._list,
            ast.Tuple: self._list,
        }

    def answer(self, tree: ast.Expression) -> Any:
        return self.eval("", tree.body)  # type: ignore[no-untyped-call]

    def _of(self, node: ast.expr) -> Any:
        return self._eval(node)  # type: ignore[no-untyped-call]

    def _list(self, node: ast.List | ast.Tuple) -> list[Any]:
        return [self._of(part) for part in node.elts]

    def _attribute(self, node: ast.Attribute) -> Result:
        reference = _reference(node)
        if reference is None:
            raise _Open(f"{ast.unparse(node)[:60]} is not known")
        owner, name = reference
        if owner == VALUES:
            if name not in self._values:
                raise _Open(f"{name} has no value")
            return self._values[name]
        found = self._results.get(owner)
        if found is None:
            raise _Open(f"stage {owner} has left no results")
        if name not in found:
            raise _Open(f"stage {owner} has not written the result {name}")
        return found[name]

    def _boolean(self, node: ast.BoolOp) -> bool:
        """Three-valued: an unclear part matters only where the others do not settle the answer."""
        settles = isinstance(node.op, ast.Or)
        unclear: _Open | None = None
        for part in node.values:
            try:
                if _truth(self._of(part)) is settles:
                    return settles
            except _Open as problem:
                unclear = unclear or problem
            except ArithmeticError as problem:
                unclear = unclear or _Open(f"it cannot be computed: {problem}")
        if unclear is not None:
            raise unclear
        return not settles
