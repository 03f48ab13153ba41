"""Lists every error code in docs/errors.md, with what is said, as found in the source.

`python docs/make_errors.py` rewrites the list; with `--check` it only tells, by exit code 1, that it is stale."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "errors.md"
BEGIN, END = "<!-- listed -->", "<!-- end -->"


def text_of(node: ast.expr | None) -> str:
    """A literal text, with `…` for each part that is only known when it happens."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(p) if isinstance(p, ast.Constant) else "…" for p in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text_of(left) + text_of(right)
        case ast.IfExp(body=body):
            return text_of(body)
    return ""


def codes_in(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(code)):
            yield code
        case ast.IfExp(body=body, orelse=other):
            yield from codes_in(body)
            yield from codes_in(other)


def prefixed(function: ast.FunctionDef) -> tuple[str, str, int] | None:
    """(prefix, suffix, place) of a helper that makes `code=f"prefix{argument}suffix"` of its argument at `place`."""
    for node in ast.walk(function):
        if not isinstance(node, ast.keyword) or node.arg != "code" or not isinstance(node.value, ast.JoinedStr):
            continue
        holes = [p for p in node.value.values if isinstance(p, ast.FormattedValue)]
        names = [a.arg for a in function.args.args if a.arg != "self"]
        if len(holes) == 1 and isinstance(holes[0].value, ast.Name) and holes[0].value.id in names:
            before, _, after = text_of(node.value).partition("…")
            return before, after, names.index(holes[0].value.id)
    return None


def found_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(code, text) of every error that a module can raise."""
    helpers = {f.name: p for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and (p := prefixed(f))}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.Assign) and [getattr(t, "id", "") for t in item.targets] == ["code"]:
                    yield text_of(item.value), (ast.get_docstring(node) or "").partition("\n")[0]
        if isinstance(node, ast.Assign) and [getattr(t, "id", "") for t in node.targets] == ["code"]:
            for code in codes_in(node.value):
                yield code, ""
        if not isinstance(node, ast.Call):
            continue
        texts = [t for t in map(text_of, node.args) if " " in t]
        for keyword in node.keywords:
            if keyword.arg == "code":
                for code in codes_in(keyword.value):
                    yield code, texts[0] if texts else ""
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in helpers and len(node.args) > helpers[name][2]:
            before, after, place = helpers[name]
            for code in codes_in(node.args[place]):
                yield before + code + after, texts[0] if texts else ""


def listed() -> str:
    """A table of all codes that look like one, sorted; the shortest text of each."""
    said: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "winslow_nomad").rglob("*.py")):
        for code, text in found_in(ast.parse(path.read_text(encoding="utf-8"))):
            if code and code.replace("_", "").replace(".", "").isalpha():
                said[code] |= {" ".join(text.split()).replace("|", "\\|")} - {""}
    rows = [f"| `{code}` | {min(sorted(texts), key=len, default='')} |" for code, texts in sorted(said.items())]
    return "\n".join(["| code | what is said |", "|---|---|", *rows])


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    wanted = f"{before}{BEGIN}\n{listed()}\n{END}{rest.partition(END)[2]}"
    if "--check" in sys.argv[1:]:
        if page != wanted:
            raise SystemExit(f"{PAGE} does not list the codes as they are; run: make docs")
    elif page != wanted:
        PAGE.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
