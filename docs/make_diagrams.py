"""Draws the state diagrams in docs/architecture.md from the transition tables in the core.

`python docs/make_diagrams.py` rewrites them; with `--check` it only tells, by exit code 1, that they are stale."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from winslow_nomad.core.project import ProjectState
from winslow_nomad.core.stage import ATTEMPT_TRANSITIONS, TRANSITIONS

PAGE = Path(__file__).with_name("architecture.md")


def diagram(first: StrEnum, table: Mapping[Any, frozenset[Any]]) -> str:
    """A mermaid diagram of a transition table; states without a way out are ends."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for state, following in table.items():
        lines += [f"    {state} --> {after}" for after in table if after in following]
        lines += [] if following else [f"    {state} --> [*]"]
    return "\n".join([*lines, "```"])


def precedence() -> str:
    return "> " + " > ".join(ProjectState)


DRAWINGS = {
    "stage": lambda: diagram(next(iter(TRANSITIONS)), TRANSITIONS),
    "attempt": lambda: diagram(next(iter(ATTEMPT_TRANSITIONS)), ATTEMPT_TRANSITIONS),
    "project": precedence,
}


def drawn(page: str) -> str:
    """The page with every drawing between its marks made anew."""
    for name, draw in DRAWINGS.items():
        begin, end = f"<!-- drawn: {name} -->", f"<!-- end: {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise SystemExit(f"{PAGE} has to have {begin} and {end} once each")
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{draw()}\n{end}{rest.partition(end)[2]}"
    return page


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    wanted = drawn(page)
    if "--check" in sys.argv[1:]:
        if page != wanted:
            raise SystemExit(f"{PAGE} does not show the tables as they are; run: python docs/make_diagrams.py")
    elif page != wanted:
        PAGE.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
