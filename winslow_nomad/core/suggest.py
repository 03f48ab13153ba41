"""Guessing what somebody meant to write. Only for messages: nothing may ever act on a guess."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that `word` was most likely meant to be; empty when none is near."""
    words = sorted(set(known))
    if not word or len(word) > 40:
        return ""
    folded = {w.lower(): w for w in words}
    near = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    if near:
        return folded[near[0]]
    longer = [w for w in words if w.lower().startswith(word.lower())]
    return longer[0] if len(longer) == 1 else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean gpu?`, or what there is when nothing is near and the list is short, or nothing."""
    words = sorted(set(known))
    near = closest(word, words)
    if near:
        return f"did you mean {near}?"
    if not words or len(words) > 12:
        return ""
    return f"there are {listed(words)}" if len(words) > 1 else f"there is only {words[0]}"


def suggestion(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The same as a sentence of its own; `otherwise` where there is nothing to say."""
    text = did_you_mean(word, known)
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('?') else '.'}" if text else otherwise


def listed(words: Iterable[str]) -> str:
    """`a, b and c`"""
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last
