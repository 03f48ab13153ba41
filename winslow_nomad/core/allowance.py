"""How much somebody may have in use at the same time: for persons and members of groups by a setting, for one project
by who manages it. Pure.

What may go beyond it waits, and says so; what could never be within it cannot start, and says that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import Field, ValidationError

from winslow_nomad.core.model import Value
from winslow_nomad.core.pipeline import GIB, MIB, Resources

EVERYONE = "@everyone"
UNITS = {"B": 1, "KiB": 1024, "MiB": MIB, "GiB": GIB, "TiB": 1024 * GIB}
WHO = re.compile(r"@?[a-z0-9][a-z0-9._-]{0,63}")
SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(B|KiB|MiB|GiB|TiB)", re.ASCII)
NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,6})?", re.ASCII)


class Allowance(Value):
    """None: as much as there is. `memory` in bytes."""

    stages: int | None = Field(default=None, ge=1, le=1_000_000, description="that run or are on their way to a node")
    cpu: float | None = Field(default=None, gt=0, le=1_000_000, description="cores")
    memory: int | None = Field(default=None, ge=1, le=1 << 60, description="bytes")
    gpus: int | None = Field(default=None, ge=0, le=1_000_000)

    def generous(self, other: Allowance) -> Allowance:
        """Of each the larger one: who is in two groups may use what either may."""
        return Allowance(
            stages=_larger(self.stages, other.stages),
            cpu=_larger(self.cpu, other.cpu),
            memory=_larger(self.memory, other.memory),
            gpus=_larger(self.gpus, other.gpus),
        )


FREE = Allowance()
AMOUNTS = tuple(Allowance.model_fields)
TAKES = {
    "stages": "a whole number from 1 to 1000000",
    "cpu": "a number of cores above 0, up to 1000000",
    "memory": "a number with B, KiB, MiB, GiB or TiB behind it",
    "gpus": "a whole number from 0 to 1000000",
}


N = TypeVar("N", int, float)


def _larger(a: N | None, b: N | None) -> N | None:
    return None if a is None or b is None else max(a, b)


class Use(Value):
    """What is in use, or would be."""

    stages: int = 0
    cpu: float = 0.0
    memory: int = 0
    gpus: int = 0

    def plus(self, resources: Resources) -> Use:
        one = use_of(resources)
        return Use(
            stages=self.stages + 1, cpu=self.cpu + one.cpu, memory=self.memory + one.memory, gpus=self.gpus + one.gpus
        )


NOTHING = Use()


def use_of(resources: Resources) -> Use:
    memory = max(resources.memory, resources.memory_max or 0)
    return Use(stages=1, cpu=resources.cpu, memory=memory, gpus=resources.gpu.count if resources.gpu else 0)


def beyond(allowance: Allowance, use: Use, resources: Resources) -> str:
    """What there would be too much of with one more stage, as a field of an allowance; empty: nothing."""
    after = use.plus(resources)
    for field in ("gpus", "stages", "memory", "cpu"):
        most = getattr(allowance, field)
        wants = field == "stages" or getattr(after, field) > getattr(use, field)
        if most is not None and wants and getattr(after, field) > most + 1e-6:
            return field
    return ""


def why_never(who: str, allowance: Allowance, resources: Resources) -> str:
    """A sentence about what alone is more than is allowed; empty: it is not."""
    field = beyond(allowance, NOTHING, resources)
    if not field:
        return ""
    return f"it needs {amount(field, getattr(use_of(resources), field))}, and {who} may use {_most(allowance, field)}"


def why_waits(who: str, allowance: Allowance, use: Use, field: str) -> str:
    """What is said of a stage that would go beyond it now."""
    used = amount(field, getattr(use, field))
    return f"waits: {who} may use {_most(allowance, field)}, and {used} {'is' if used[:2] == '1 ' else 'are'} in use"


def _most(allowance: Allowance, field: str) -> str:
    most = getattr(allowance, field)
    return f"{amount(field, most)} at a time" if most else "none"


def amount(field: str, number: float) -> str:
    """As people read it: 2 GPUs, 1 stage, 64 GiB of memory, 1.5 cores."""
    if field == "memory":
        unit, divisor = ("GiB", GIB) if number >= GIB else ("MiB", MIB)
        return f"{round(number / divisor, 1):g} {unit} of memory"
    noun = {"gpus": "GPU", "stages": "stage", "cpu": "core"}[field]
    return f"{round(number, 2):g} {noun}{'s' * (number != 1)}"


# --- as a setting


class WrongEntries(ValueError):
    """`entries`: what is the matter, by how many entries stand before it."""

    def __init__(self, entries: Mapping[int, str]) -> None:
        super().__init__("; ".join(f"entry {number + 1}: {why}" for number, why in entries.items()))
        self.entries = entries


def parse(text: str) -> dict[str, Allowance]:
    """`@everyone gpus=4 cpu=32; @students gpus=1; ann gpus=8 memory=256GiB`. Raises WrongEntries, naming every one."""
    found: dict[str, Allowance] = {}
    wrong: dict[int, str] = {}
    for number, part in enumerate(filter(None, (p.strip() for p in text.split(";")))):
        who, *pairs = part.split()
        try:
            if WHO.fullmatch(who) is None:
                named = f"ann for a person, @lab for a group, {EVERYONE} for all"
                raise ValueError(f"{who[:80]!r} is nobody: write {named}")
            if who in found:
                raise ValueError(f"{who} has an entry before this one; one is enough")
            found[who] = FREE
            found[who] = parse_allowance(pairs)
        except ValueError as error:
            wrong[number] = str(error)
    if wrong:
        raise WrongEntries(wrong)
    return found


def parse_allowance(pairs: Iterable[str]) -> Allowance:
    """`gpus=2`, `cpu=8`, `memory=64GiB`, `stages=10`. Raises ValueError with what is the matter."""
    values: dict[str, float | int] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in AMOUNTS:
            known = f"{', '.join(AMOUNTS[:-1])} or {AMOUNTS[-1]}"
            raise ValueError(f"{pair[:80]!r} is no amount: write {known}, = and how much")
        if name in values:
            raise ValueError(f"{name} is given twice")
        number = _number(name, value)
        if number is None:
            raise ValueError(f"{name}={value[:80]} cannot be: {name} takes {TAKES[name]}")
        values[name] = number
    if not values:
        raise ValueError("it does not say how much: write stages=10, cpu=8, memory=64GiB or gpus=2")
    return Allowance.model_validate(values)


def _number(name: str, value: str) -> float | int | None:
    """None: that cannot be."""
    number: float | int
    if name == "memory":
        size = SIZE.fullmatch(value)
        if size is None:
            return None
        number = round(float(size[1]) * UNITS[size[2]])
    elif NUMBER.fullmatch(value) is None or (name != "cpu" and "." in value):
        return None
    else:
        number = float(value) if name == "cpu" else int(value)
    try:
        Allowance.model_validate({name: number})
    except ValidationError:
        return None
    return number


def of_person(limits: Mapping[str, Allowance], user: str, groups: Iterable[str]) -> Allowance:
    """The nearest counts: the person's own, else the most generous of the groups', else that of everyone."""
    if user in limits:
        return limits[user]
    named = [limits[f"@{g}"] for g in groups if f"@{g}" in limits and f"@{g}" != EVERYONE]
    if not named:
        return limits.get(EVERYONE, FREE)
    found = named[0]
    for other in named[1:]:
        found = found.generous(other)
    return found
