"""The page of features: every row of the checklist is there, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| (W\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def page() -> str:
    return (ROOT / "docs" / "features.md").read_text(encoding="utf-8")


@cache
def functions_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_row_of_the_checklist_is_answered() -> None:
    found = ROW.findall(page())
    assert [name for name, *_ in found] == [f"W{n:02d}" for n in range(1, 103)]
    for name, _, where, tests in found:
        assert tests != "none" or where.startswith("left out: "), name


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`(tests/[^`]+)`", page())
    assert len(named) > 150
    missing = []
    for name in named:
        file, _, function = name.partition("::")
        path = ROOT / file
        if not path.is_file() or (function and function not in functions_of(path)):
            missing.append(name)
    assert missing == []


def test_the_routes_that_the_page_names_are_there() -> None:
    from winslow_nomad.api.app import described

    paths = described().openapi()["paths"]
    wrong = []
    for methods, address in re.findall(r"`((?:(?:GET|POST|PUT|PATCH|DELETE)(?:`, `)? ?)+)(/[^`\s?]*)", page()):
        known = [p for p in (f"/api/v1{address}", address) if p in paths]
        for method in re.findall(r"[A-Z]+", methods):
            if "..." not in address and not (known and method.lower() in paths[known[0]]):
                wrong.append(f"{method} {address}")
    assert wrong == []


def test_every_test_that_the_page_about_nomad_names_is_there() -> None:
    text = (ROOT / "docs" / "nomad.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)`", text)
    assert len(named) > 30
    assert set(named) <= functions_of(ROOT / "tests" / "cluster" / "test_fences.py")
    assert all((ROOT / file).is_file() for file in re.findall(r"`(tests/[^`]+)`", text))
