"""Patterns for lines: a text, or a regular expression of RE2, which never goes back and so cannot be made to run for
ever. Line by line, as grep does: `^` and `$` are the ends of a line, and no match spans two.

Not for ever is long enough to hold up others: with all its states used, RE2 takes some 17 ns for each byte and each
instruction of the expression (2,000 s for a megabyte and `(?:a?b?){500}` sixty times). So intricate ones are refused,
and one call looks at no more bytes than take two seconds then."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import re2

from winslow_nomad.core.errors import Invalid
from winslow_nomad.resources.log_files import NEWLINE

LONGEST = 1000  # characters
MEMORY = 4 * 1024 * 1024  # bytes for the states of one expression
INTRICATE = 10_000  # instructions, times groups, that one may have: `.{0,1000}` has 9,000, most have fewer than 100
EFFORT = 100_000_000  # bytes times instructions of one call: two seconds at the worst
LEAST, MOST = 4096, 4 * 1024 * 1024  # bytes of one call
MISSES = 32  # lines of a block that hold the literal and do not match: then it is of no use there
_OUTER = re.compile(r"(?<!\\)(?:\\\\)*\\[AzQE]")
_UNSURE = re.compile(r"\(\?[^:P<]|\\[pPxC0-9]")  # flags that change what letters mean; escapes of several letters
_TOKEN = re.compile(
    r"\\(?P<escaped>[^\w\s])|(?P<many>[*?]|\{0(?:,\d*)?\})"
    r"|(?P<other>\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\{\d+(?:,\d*)?\}|[\\.^$|+()\[\]{}])|(?P<plain>.)",
    re.DOTALL,
)


class LinePattern:
    """Raises Invalid (log.pattern). spanning: for texts of several lines; ends of line can be matched then."""

    def __init__(self, pattern: str, *, regex: bool = True, case: bool = True, spanning: bool = False) -> None:
        if not pattern or len(pattern) > LONGEST:
            raise _wrong(f"it must have between 1 and {LONGEST} characters")
        if not regex and "\n" in pattern:
            raise _wrong("lines are searched one by one, so it cannot have an end of line")
        if regex and _OUTER.search(pattern):
            raise _wrong(r"\A, \z, \Q and \E are not of use here", r"Write ^ and $ for the ends of a line.")
        source = "(?m)" + pattern if regex else re2.escape(pattern)
        try:
            self.compiled = re2.compile(source, _options(case, spanning))
            literal = required_literal(pattern) if regex and case and not spanning else ""
            self._literal = re2.compile(re2.escape(literal), _options(case)) if literal else None
        except re2.error as error:
            reason = error.args[0] if error.args else error
            words = reason.decode() if isinstance(reason, bytes) else str(reason)
            raise _wrong(words.replace("(?m)", "", 1)) from None
        finally:
            re2.purge()  # its cache would keep as many automata as people have had ideas
        weight = self.compiled.programsize * (1 + self.compiled.groups)
        if weight > INTRICATE:
            raise _wrong(
                f"it is too intricate ({weight} steps; {INTRICATE} is the limit)",
                "Repetitions make it long: write + or * in place of {1,500}, and name fewer groups.",
            )
        self.reach = max(LEAST, min(MOST, EFFORT // weight))

    @property
    def groups(self) -> dict[str, int]:
        """The named ones, in their order."""
        return dict(sorted(self.compiled.groupindex.items(), key=lambda item: item[1]))

    def in_line(self, line: bytes) -> bool:
        return self.compiled.search(line) is not None

    def lines(self, data: bytes, overdue: Callable[[], bool] = lambda: False) -> Iterator[tuple[int, int]]:
        """Beginning and end of the lines that match; of one longer than `reach`, its beginning is looked at. Raises
        TimeoutError when `overdue` says so, which is asked after two seconds of work at the latest."""
        at = 0
        while at < len(data):
            upto = at + self.reach
            following = len(data)
            if upto < len(data):
                following = data.rfind(NEWLINE, at, upto) + 1 or data.find(NEWLINE, upto) + 1 or len(data)
            yield from self._within(data, at, min(upto, following))
            at = following
            if at < len(data) and overdue():
                raise TimeoutError

    def _within(self, data: bytes, at: int, upto: int) -> Iterator[tuple[int, int]]:
        misses = 0
        look = self._literal or self.compiled
        while at < upto:
            hit = look.search(data, at, upto)
            if hit is None:
                return
            begin = data.rfind(NEWLINE, at, hit.start()) + 1 or at
            end = data.find(NEWLINE, hit.start(), upto)
            end = upto if end < 0 else end
            if look is self.compiled:
                if begin < upto:
                    yield begin, end
            elif self.compiled.search(data, begin, end) is not None:
                yield begin, end
            else:
                misses += 1
                if misses > MISSES:
                    look = self.compiled
            at = end + 1


def required_literal(pattern: str) -> str:
    """A text that every match holds, for looking for it first; empty where there is none or where RE2 itself begins
    with one. Understands only what it is sure of."""
    if _UNSURE.search(pattern):
        return ""
    runs = [""]
    depth = 0
    for token in _TOKEN.finditer(pattern):
        kind = str(token.lastgroup)
        text = token[kind]
        if text == "|" and kind == "other" and not depth:
            return ""
        if kind == "other" and text in "()":
            depth += 1 if text == "(" else -1
            runs.append("")
        elif depth:
            continue
        elif kind in ("plain", "escaped"):
            runs[-1] += text
        else:
            runs[-1] = runs[-1][:-1] if kind == "many" else runs[-1]
            runs.append("")
    longest = max((run.strip() for run in runs), key=len)  # spaces are found everywhere
    return longest if len(longest) >= 3 and longest not in runs[0] else ""


def _options(case: bool, spanning: bool = False) -> re2.Options:
    options = re2.Options()
    options.never_nl, options.log_errors = not spanning, False
    options.case_sensitive, options.max_mem = case, MEMORY
    return options


def _wrong(why: str, hint: str = "The language is that of RE2: no look-around, no back-references.") -> Invalid:
    return Invalid(f"This cannot be searched for: {why}.", hint=hint, code="log.pattern")
