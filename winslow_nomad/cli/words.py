"""How things read on a terminal: states with their shape and word, reasons, times, sizes and numbers.

Pure; the same words as on every other screen. Texts of other people pass through `safe` before they are
shown: nothing that a stage prints or somebody names may steer the terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from winslow_nomad.core.project import Project
    from winslow_nomad.core.stage import EndedStage, Stage


@dataclass(frozen=True, slots=True)
class Look:
    """shape: in Unicode; plain: where the terminal has no Unicode; style: for rich."""

    shape: str
    plain: str
    style: str


LOOKS: Mapping[str, Look] = {
    "running": Look("◐", ">", "blue"),
    "succeeded": Look("✔", "+", "green"),
    "waiting": Look("◈", "?", "yellow"),
    "failed": Look("✖", "x", "red"),
    "paused": Look("⏸", "=", "bold"),
    "queued": Look("◌", ".", "dim"),
    "preparing": Look("◜", ".", "dim"),
    "submitted": Look("◷", ".", "dim"),
    "stopped": Look("■", "#", "dim"),
    "skipped": Look("⊘", "-", "dim"),
    "idle": Look("⊙", "o", "dim"),
    "later": Look("○", "o", "dim"),
}
# C0 and C1 controls, and the marks that turn the direction of writing: in a terminal they can hide or forge text
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def safe(text: str) -> str:
    """The text on one line, with a visible sign for each character that would not be shown as itself."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


@dataclass(frozen=True, slots=True)
class Said:
    """look: key of LOOKS; word: the state; detail: why, or how it ended."""

    look: str
    word: str
    detail: str = ""

    @property
    def sentence(self) -> str:
        """`failed: exit code 3`, `waits for a GPU: both are in use`."""
        if not self.detail:
            return self.word
        return f"{self.word} {self.detail}" if self.detail.startswith("for ") else f"{self.word}: {self.detail}"


def every(project: Project) -> list[Stage | EndedStage]:
    """All stages of a project in the order of their numbers; of an ended one what is kept of it."""
    found: dict[int, Stage | EndedStage] = {**project.ended, **project.stages}
    return [found[number] for number in sorted(found)]


def of_stage(project: Project, stage: Stage | EndedStage, now: datetime) -> Said:
    """What a stage's line says: `waits for a GPU: both are in use, 2 stages ahead`."""
    from winslow_nomad.core import said

    told = said.of_stage(project, stage, now)
    return Said(told.look, told.word, told.detail)


def of_project(project: Project) -> Said:
    """The project's state with its reason."""
    from winslow_nomad.core import said

    told = said.of_project(project)
    return Said(told.look, told.word, told.detail)


def named(stage: Stage | EndedStage) -> str:
    """`0006-detect (MIN_AREA=340)`: with the values that were given for it alone."""
    own = pairs({**stage.overrides.values, **stage.point})
    return f"{stage.name} ({own})" if own else stage.name


def duration(seconds: float) -> str:
    """`0.4 s`, `41 s`, `3 min 20 s`, `3 h 14 min`, `2 d 3 h`."""
    if seconds < 0:
        seconds = 0.0
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    minutes = whole // 60
    if minutes < 24 * 60:
        return _two(minutes // 60, "h", minutes % 60, "min")
    return _two(minutes // 1440, "d", minutes % 1440 // 60, "h")


def _two(large: int, unit: str, small: int, part: str) -> str:
    return f"{large} {unit} {small} {part}" if small else f"{large} {unit}"


def size(count: int) -> str:
    """Bytes: `812 B`, `14.2 MiB`."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def number(value: object) -> str:
    """A result: thousands with a comma, six digits of a fraction."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    return safe(str(value))


def results(values: Mapping[str, object]) -> str:
    """`frames 250, detections 1,204`."""
    return ", ".join(f"{safe(k)} {number(v)}" for k, v in values.items())


def pairs(values: Mapping[str, str]) -> str:
    """`MIN_AREA=300, MODEL=fast`."""
    return ", ".join(f"{safe(k)}={safe(v)}" for k, v in values.items())


def count(amount: int, thing: str) -> str:
    """`1 stage`, `5 stages`."""
    from winslow_nomad.core import said

    return said.count(amount, thing)


def moment(at: datetime, now: datetime) -> str:
    """In the zone of this machine: `14:32`, `Tue 14:32`, `2026-11-24 14:32`."""
    local, today = at.astimezone(), now.astimezone()
    days = (today.date() - local.date()).days
    if days == 0:
        return f"{local:%H:%M:%S}"
    return f"{local:%a %H:%M}" if 0 < days < 7 else f"{local:%Y-%m-%d %H:%M}"
