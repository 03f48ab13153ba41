"""What of the share people see as files, and what of that they may change: pure rules over names.

The input pool is seen whole but for Winslow's own names and for folders whose groups do not let somebody in. Of a
project exactly four things are seen: its output view, and of its stages and sweeps the workspaces and outputs.
Everything else there (environments with their secrets, commands, claims, records, logs) has other ways, or none.

An ended stage never changes. What may be changed is the input pool, the files given before the first stage, and the
workspace and output of the newest attempt of a stage that has not ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from winslow_nomad.core.errors import Refused
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import ENDED
from winslow_nomad.resources import layout
from winslow_nomad.resources.descent import Parts
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.pool import OWN, PARTIAL
from winslow_nomad.resources.uploads import stage_ended

GIVEN = "0000"
FOLDERS = ("workspace", "output")


class PoolRules:
    """`may_see`: by the folders' groups."""

    def __init__(self, may_see: Callable[[Parts], bool]) -> None:
        self._may_see = may_see

    def open_below(self, parts: Parts) -> bool:
        return bool(parts) and self._may_see is everything

    def visible(self, parts: Parts) -> bool:
        if parts and (parts[0] == OWN or parts[0].startswith(PARTIAL)):
            return False
        return self._may_see(parts)

    def instead(self, _: Parts, __: int) -> Parts | None:
        return None

    def absolute(self, _: Parts, __: str) -> Parts | None:
        return None


class MappedRules(PoolRules):
    """Of a folder that an administrator mapped into the pool as `name`."""

    def __init__(self, name: str, root: str, may_see: Callable[[Parts], bool]) -> None:
        super().__init__(may_see)
        self._name = name
        self._root = root

    def visible(self, parts: Parts) -> bool:
        return self._may_see((self._name, *parts))

    def absolute(self, _: Parts, target: str) -> Parts | None:
        return _inside(self._root, target)


class ProjectRules:
    """`root`: the project's directory as stages of this machine have it in their links."""

    def __init__(self, root: str) -> None:
        self._root = root

    def visible(self, parts: Parts) -> bool:
        match parts:
            case () | ("output", *_) | ("stages",) | ("sweeps",):
                return True
            case ("stages", stage, *below):
                return self._of_stage(stage, tuple(below))
            case ("sweeps", number, *below):
                return number.isdecimal() and number.isascii() and below[:1] in ([], ["workspace"])
        return False

    def open_below(self, parts: Parts) -> bool:
        return bool(parts) and (parts[-1] in FOLDERS or not set(FOLDERS).isdisjoint(parts[2:]))

    @staticmethod
    def _of_stage(stage: str, below: Parts) -> bool:
        if stage == GIVEN:
            return below[:1] in ((), ("workspace",))
        if layout.parse_stage(stage) is None:
            return False
        match below:
            case () | ("attempts",) | ("workspace", *_) | ("output", *_):
                return True
            case ("attempts", number, *inside):
                return number.isdecimal() and number.isascii() and inside[:1] in ([], *([n] for n in SEEN))
        return False

    def instead(self, parts: Parts, folder: int) -> Parts | None:
        """`stages/0001-detect/output` of a stage that has no such link yet: that of its newest attempt."""
        if len(parts) != 3 or parts[0] != "stages" or parts[2] not in FOLDERS:
            return None
        newest = newest_attempt(folder)
        return (*parts[:2], "attempts", str(newest), parts[2]) if newest else None

    def absolute(self, parts: Parts, target: str) -> Parts | None:
        """As stages of this machine write it, and as containers do, which have their own at the top."""
        inside = _inside(self._root, target)
        if inside is not None:
            return inside
        names = tuple(n for n in target.split("/") if n)
        own = parts[:4] if parts[:1] == ("stages",) and parts[2:3] == ("attempts",) else ()
        return (*own, *names) if own and names and names[0] in SEEN and ".." not in names else None


SEEN = (*FOLDERS, "stages")  # of an attempt; the last holds links to the outputs of earlier stages


def newest_attempt(stage: int) -> int:
    """Of a stage's folder, given as descriptor; 0: there is none."""
    try:
        fd = os.open("attempts", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=stage)
    except OSError:
        return 0
    try:
        numbers = [int(n) for n in os.listdir(fd) if n.isdecimal() and n.isascii()]  # noqa: PTH208 - by descriptor
        return max(numbers, default=0)
    finally:
        os.close(fd)


def _inside(root: str, target: str) -> Parts | None:
    names = target.split("/")
    top = root.rstrip("/").split("/")
    if names[: len(top)] != top or ".." in names:
        return None
    return tuple(n for n in names[len(top) :] if n)


def closed_to(groups: Mapping[str, Sequence[str]], mine: frozenset[str]) -> frozenset[str]:
    """The folders whose groups let none of `mine` in."""
    return frozenset(folder for folder, wanted in groups.items() if wanted and not mine & set(wanted))


def all_open(closed: frozenset[str], parts: Parts) -> bool:
    """Whether none of the closed folders is above a path, it itself, or below it."""
    path = "/".join(parts)
    return not any(f"{path}/".startswith(f"{c}/") or not path or f"{c}/".startswith(f"{path}/") for c in closed)


def everything(_: Parts) -> bool:
    return True


def seen_by(groups: Mapping[str, Sequence[str]], mine: frozenset[str]) -> Callable[[Parts], bool]:
    """Every folder from the root down to a path must let one of `mine` in."""
    closed = closed_to(groups, mine)
    if not closed:
        return everything

    def may_see(parts: Parts) -> bool:
        return not any("/".join(parts[:n]) in closed for n in range(len(parts) + 1))

    return may_see


def writable_in_project(project: Project, parts: Parts) -> list[list[str]]:
    """Raises Refused unless what is at `parts` (without links) may be changed. Answers which files of the project
    must not be there at that moment, since they would say that the stage has ended."""
    if project.trashed is not None:
        raise Refused(
            "The project is in the trash; its files were not changed.", hint="Restore it first.", code="project.trashed"
        )
    match parts:
        case ("stages", "0000", "workspace", _, *_):
            return []
        case ("stages", folder, "attempts", number, "workspace" | "output", _, *_):
            parsed = layout.parse_stage(folder)
            stage = project.stages.get(parsed[0]) if parsed is not None else None
            if stage is None or stage.name != folder or stage.state in ENDED:
                raise stage_ended()
            if stage.attempt is None or str(stage.attempt.number) != number:
                raise Refused(
                    f"Attempt {number} of {folder} was superseded; its files are kept as they are.",
                    code="stage.ended",
                )
            return [["stages", folder, "attempts", number, "end.json"], ["stages", folder, "stage.json"]]
        case ("sweeps", *_):
            raise Refused(
                "The workspace of a sweep belongs to all of its stages, ended ones too; nothing was done.",
                hint="Continue from it: a new stage gets a copy.",
                code="stage.ended",
            )
    raise Refused(
        f"{shown('/'.join(parts) or '/')} is made by Winslow itself; nothing was done.",
        hint="In a project, files below a workspace or an output can be changed while the stage has not ended, and "
        "those in stages/0000/workspace.",
        code="path.not_writable",
    )
