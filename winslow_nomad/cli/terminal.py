"""Asking a person at the terminal, without losing sight of what happens meanwhile.

An answer may come from elsewhere, and Ctrl-C must work in a question as anywhere: so the wait for a line is
broken into short waits."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable

from winslow_nomad.cli import words

LOOK = 0.25  # seconds between two looks at the world while a person thinks


class Withdrawn(Exception):
    """The question needs no answer any more, or the person leaves."""


class Terminal:
    """`wanted` is asked again and again while a person thinks; False ends the question."""

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted

    def tell(self, text: str = "") -> None:
        sys.stderr.write("\n".join(words.safe(line) for line in text.split("\n")) + "\n")
        sys.stderr.flush()

    def ask(self, question: str) -> str:
        """One line, without the white space around it. Raises Withdrawn, also on the end of input."""
        sys.stderr.write(f"{words.safe(question)} ")
        sys.stderr.flush()
        while True:
            if not self._wanted():
                sys.stderr.write("\n")
                raise Withdrawn
            ready, _, _ = select.select([sys.stdin], [], [], LOOK)
            if ready:
                line = sys.stdin.readline()
                if not line:
                    sys.stderr.write("\n")
                    raise Withdrawn
                return line.strip()


def present(output: object) -> bool:
    """Whether a person sits at both ends."""
    isatty = getattr(output, "isatty", None)
    return sys.stdin is not None and sys.stdin.isatty() and bool(isatty is not None and isatty())
