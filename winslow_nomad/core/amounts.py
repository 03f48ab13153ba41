"""How much people may give a project, and which signs a name may have. Pure.

Whatever is given is part of every commit, list and live update from then on: the limits are far beyond what is of
use, and one careless program cannot make everything slow for everybody."""

from __future__ import annotations

from collections.abc import Mapping

from winslow_nomad.core import messages as m
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Overrides

LONGEST_NAME = 500  # characters of a project's name
LONGEST_TAG = 100
LONGEST_TEXT = 4000  # of a comment
MOST_TAGS = 100
MOST_PARTICIPANTS = 500
LARGEST_VALUES = 64 * 1024  # characters of all values of a project, or of all that is changed for one stage
LARGEST_GRID = 512 * 1024  # characters of all values that a sweep goes over
TURNING = frozenset(chr(c) for c in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
INTO_FILES = "Put what is large into a file of the input pool or of the pipeline's folder, and give its path."


def one_line(text: str) -> bool:
    """Whether it can stand in lists, terminals, mails and headers: no control characters, and none that turn the
    direction of what stands beside them."""
    return not any(c < " " or "\x7f" <= c < "\xa0" or c in TURNING or c in "\u2028\u2029" for c in text)


def check_command(command: m.Command) -> None:
    """What comes with one command. Raises Invalid."""
    for field in ("text", "comment"):
        text = getattr(command, field, None) or ""
        if len(text) > LONGEST_TEXT:
            raise Invalid(
                f"The text has {len(text)} characters; {LONGEST_TEXT} is the limit.",
                hint="Give a shorter one, or put it into a file of the project.",
                code="comment.too_long",
            )
    grids = [getattr(command, "sweep", None) or {}, *(getattr(command, "sweeps", None) or {}).values()]
    points = sum(len(value) for grid in grids if isinstance(grid, Mapping) for axis in grid.values() for value in axis)
    if points > LARGEST_GRID:
        raise Invalid(
            f"The values of the sweep have {points} characters; {LARGEST_GRID} is the limit.",
            hint="Take larger steps, or several sweeps.",
            code="sweep.too_large",
        )


def check_project(before: Project | None, after: Project) -> None:
    """What adds up over several commands; what was there before is let be. Raises Invalid."""
    if before is None or after.values != before.values:
        check_values(amount(after.values), "The project's values together")
    if (before is None or after.name != before.name) and not one_line(after.name):
        raise Invalid(
            f"{after.name[:80]!r} cannot be a name.", hint="Leave out control characters.", code="project.name"
        )
    known = before.stages if before is not None else {}
    for number, stage in after.stages.items():  # one that is done again keeps what was changed for it before
        if known.get(number) is not stage:
            check_values(amount_of(stage.overrides), "What is changed for this stage")
    sweeps = before.sweeps if before is not None else {}
    for number, sweep in after.sweeps.items():
        if sweeps.get(number) is not sweep:
            check_values(amount_of(sweep.overrides), "What is changed for this sweep")
    new = set(after.tags) - set(before.tags if before is not None else ())
    wrong = next((t for t in sorted(new) if not one_line(t)), None)
    if wrong is not None:
        raise Invalid(f"{wrong[:80]!r} cannot be a tag.", hint="Leave out control characters.", code="project.tag")
    for found, most, what in (
        (len(after.tags), MOST_TAGS, "tags"),
        (len(after.participants), MOST_PARTICIPANTS, "participants"),
    ):
        there = 0 if before is None else len(getattr(before, what))
        if found > most and found > there:
            raise Invalid(
                f"The project would have {found} {what}; {most} is the limit.",
                hint="Take some away first." if what == "tags" else "Name groups instead of persons.",
                code="project.too_many",
            )


def check_values(found: int, what: str) -> None:
    if found > LARGEST_VALUES:
        raise Invalid(
            f"{what} would have {found} characters; {LARGEST_VALUES} is the limit.",
            hint=INTO_FILES,
            code="value.too_large",
        )


def amount(values: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) for name, value in values.items())


def amount_of(overrides: Overrides) -> int:
    words = (*(overrides.command or ()), *(overrides.entrypoint or ()), overrides.image or "")
    return amount(overrides.values) + amount(overrides.environment) + sum(map(len, words))
