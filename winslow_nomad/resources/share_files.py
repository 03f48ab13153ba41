"""core.filing.Files on the share: reads by `tree`, lets processes of their own (`porter`) write.

What is to be changed is walked to as one person may see it; the writer then gets it as names without links, and walks
there once more following none. What is in somebody's way goes to the trash, never away.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from winslow_nomad.core.access import Principal
from winslow_nomad.core.errors import Invalid, NotFound, Refused
from winslow_nomad.core.filing import (
    ArchiveForm,
    Area,
    Encoding,
    Entry,
    Listing,
    Opened,
    Series,
    Sorting,
    Space,
    SpaceUsage,
    Text,
    Trashed,
    from_text,
    to_text,
)
from winslow_nomad.core.operations import Operation, Operations
from winslow_nomad.core.ports import Clock
from winslow_nomad.resources import archiving, changes, series, spaces, texts
from winslow_nomad.resources.descent import Parts, split
from winslow_nomad.resources.layout import INPUTS, project_folder
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.porter import Porters
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.trash import Trash, TrashEntry
from winslow_nomad.resources.tree import Tree, may_write
from winslow_nomad.resources.usage import Measured
from winslow_nomad.resources.work import share_conditions

GIVEN = ("stages", spaces.GIVEN, "workspace")


class Target:
    """Something that may be changed. `parts`: from the share's root down, without links. `unless`: files that would
    say that the stage has ended."""

    def __init__(self, parts: Parts, unless: list[list[str]], path: str) -> None:
        self.parts = parts
        self.unless = unless
        self.path = path


class ShareFiles:
    """`give`: tells a project that it has files before its first stage. `new_id`: of operations and of what goes to
    the trash. `sizes`: the file of this machine that housekeeping counts into."""

    def __init__(
        self,
        tree: Tree,
        porters: Porters,
        operations: Operations,
        clock: Clock,
        *,
        new_id: Callable[[str], str],
        give: Callable[[str], object],
        sizes: Path,
    ) -> None:
        self.tree = tree
        self.porters = porters
        self._operations = operations
        self._clock = clock
        self._new_id = new_id
        self._give = give
        self._sizes = sizes
        self._thinned = series.Thinned()
        self._trash = Trash(tree.share)
        self._reader = Reader(tree.share, deadline=5.0)

    # --- reading

    def place(self, space: Space, path: str) -> str:
        first = from_text(path).split("/")[0]
        return first if not space.project and first in self.tree.mapped else ""

    def may_read(self, who: Principal, path: str) -> bool:
        return self._reader.call(lambda: self.tree.may_read(who, path), path)

    def page(self, area: Area, path: str, *, sort: Sorting = "name", limit: int = 200, after: str = "") -> Listing:
        return self.tree.page(area, path, sort=sort, limit=limit, after=after)

    def entry(self, area: Area, path: str) -> Entry:
        return self.tree.entry(area, path)

    def open(self, area: Area, path: str) -> Opened:
        return self.tree.open(area, path)

    def archive(self, area: Area, path: str, form: ArchiveForm) -> Iterator[bytes]:
        top = from_text(path).rstrip("/").rpartition("/")[2] or str(area.space).replace(":", "-")
        with share_conditions():
            yield from archiving.streamed(self.tree.members(area, path), form, top)

    def text(self, area: Area, path: str, *, lines: int, tail: bool, encoding: Encoding = "") -> Text:
        opened = self.tree.open(area, path)
        try:
            return texts.text(opened, lines=lines, tail=tail, encoding=encoding)
        finally:
            opened.close()

    def series(self, area: Area, path: str, *, x: str, y: Sequence[str], points: int) -> Series:
        opened = self.tree.open(area, path)
        try:
            return self._thinned.series(opened, x=x, y=y, points=points)
        finally:
            opened.close()

    def usage(self, area: Area) -> SpaceUsage:
        with share_conditions():
            found = os.statvfs(self.tree.share)
        try:
            known = json.loads(self._sizes.read_bytes())["sizes"]
        except (FileNotFoundError, ValueError, KeyError):
            known = {}
        base = project_folder(area.project.id) if area.project is not None else INPUTS
        counted = {p: Measured.model_validate(m) for p, m in known.items() if p == base or p.startswith(f"{base}/")}
        folders: dict[str, int] = {}
        for path, measured in counted.items():
            if path == base:
                folders.update({to_text(n): b for n, b in measured.size.inside.items() if not n.startswith(".")})
            else:
                name = "/".join(path.removeprefix(f"{base}/").split("/")[:2])
                folders[name] = folders.get(name, 0) + measured.size.bytes
        return SpaceUsage(
            bytes=sum(m.size.bytes for m in counted.values()),
            files=sum(m.size.files for m in counted.values()),
            complete=bool(counted) and all(m.size.complete for m in counted.values()),
            counted=datetime.fromtimestamp(min(m.at for m in counted.values()), UTC) if counted else None,
            folders=folders,
            free=found.f_bavail * found.f_frsize,
            total=found.f_blocks * found.f_frsize,
        )

    def groups(self, area: Area, path: str) -> tuple[str, ...]:
        return self.tree.entry(area, path).groups

    # --- changing

    def set_groups(self, area: Area, path: str, groups: Iterable[str]) -> Entry:
        with self.tree.at(area, path) as (place, root):
            if area.project is not None or not place.is_folder:
                raise Invalid("Groups belong to folders of the input pool; nothing was done.", code="pool.not_a_folder")
            folder = "/".join((*root.above, *place.parts))
        if not folder:
            raise Invalid("The whole input pool is everybody's; nothing was done.", code="pool.not_a_folder")
        self.porters.ask("set_groups", folder=folder, groups=sorted(set(groups)))
        return self.tree.entry(area, path)

    def make_folder(self, area: Area, path: str) -> Entry:
        target = self.new(area, path)
        self.porters.ask("make_folder", parts=target.parts, unless=target.unless)
        return self.tree.entry(area, target.path)

    def rename(self, area: Area, path: str, to: str, *, overwrite: bool = False) -> Entry:
        source, target = self.existing(area, path), self.new(area, to)
        aside = self.aside(area, target.parts, "it was replaced by another file") if overwrite else None
        self.porters.ask(
            "rename",
            source=source.parts,
            target=target.parts,
            aside=aside,
            unless=[*source.unless, *target.unless],
        )
        return self.tree.entry(area, target.path)

    def trash(self, area: Area, path: str) -> str:
        target = self.existing(area, path)
        aside = self.aside(area, target.parts, "it was deleted")
        self.porters.ask("trash", parts=target.parts, aside=aside, unless=target.unless)
        return aside[0]

    def trashed(self, area: Area) -> list[Trashed]:
        project = area.project.id if area.project is not None else ""
        may_see = self.tree.may_see(area.who) if area.project is None else spaces.everything
        found = []
        for entry in self._trash.entries():
            parts = tuple(entry.paths[0].split("/"))
            ours = entry.project == project and (project or parts[0] == INPUTS)
            below = parts[2:] if project else parts[1:]
            if entry.actor and ours and not entry.whole_project and len(entry.paths) == 1 and may_see(below):
                path = to_text("/".join(below))
                found.append(Trashed(id=entry.id, path=path, why=entry.why, actor=entry.actor, at=entry.at))
        return sorted(found, key=lambda t: t.at, reverse=True)

    def restore(self, area: Area, identifier: str) -> Entry:
        found = next((t for t in self.trashed(area) if t.id == identifier), None)
        if found is None:
            raise changes.not_in_trash()
        target = self.new(area, found.path)
        self.porters.ask("restore", entry=found.id, parts=target.parts, unless=target.unless)
        return self.tree.entry(area, target.path)

    def unpack(self, area: Area, path: str, into: str) -> Operation:
        with self.tree.at(area, path) as (place, root):
            if not place.is_file:
                raise Invalid(f"{shown(path)} is not a file; nothing was unpacked.", code="path.not_a_file")
            source = (*root.share, *place.parts) if root.share else (INPUTS, *root.above, *place.parts)
            size = place.found.st_size
        target = self.new(area, into)
        self._refuse_taken(area, target)
        operation = Operation(
            id=self._new_id("o"),
            kind="unpack",
            project=area.project.id if area.project is not None else "",
            arguments={
                "source": "/".join(source),
                "target": "/".join(target.parts),
                "unless": json.dumps(target.unless),
            },
            actor=area.who.user,
            bytes_total=size,
            made=self._clock.now(),
        )
        return self._operations.put(operation)

    def _refuse_taken(self, area: Area, target: Target) -> None:
        try:
            self.tree.entry(area, target.path)
        except NotFound:
            return
        raise taken(target.path)

    # --- what may be changed

    def existing(self, area: Area, path: str) -> Target:
        """Something that is there; a link itself, not what it leads to."""
        with self.tree.at(area, path, follow_last=False) as (place, root):
            if not place.parts:
                raise Refused("This is where the space begins; nothing was done.", code="path.not_writable")
            return self._checked(area, root.share, root.above, place.parts)

    def new(self, area: Area, path: str) -> Target:
        """A name that may come to be. Folders above it that are missing are made with it."""
        parts = split(from_text(path))
        if not parts:
            raise Refused("This is where the space begins; nothing was done.", code="path.not_writable")
        for part in parts:
            check_new_name(part)
        there, missing = self._deepest(area, parts[:-1])
        share, above, found = there
        if area.project is not None and (*found, *missing)[:3] == GIVEN:
            self._prepare_given(area)
        return self._checked(area, share, above, (*found, *missing, parts[-1]))

    def _deepest(self, area: Area, parts: Parts) -> tuple[tuple[Parts, Parts, Parts], Parts]:
        """The deepest folder that is there, without links, and what is missing below it."""
        for depth in range(len(parts), -1, -1):
            root = self.tree.root(area, parts[:depth])
            if not root.rules.visible((*root.below, *parts[depth:])):
                raise NotFound(f"There is no {shown('/'.join(parts))} here.", code="path.not_found")
            try:
                with share_conditions(), self.tree.walked(root) as (place, _):
                    if not place.is_folder:
                        raise Invalid(f"{shown('/'.join(parts[:depth]))} is not a folder.", code="path.not_a_folder")
                    if not root.rules.visible((*place.parts, *parts[depth:])):
                        raise NotFound(f"There is no {shown('/'.join(parts))} here.", code="path.not_found")
                    return (root.share, root.above, place.parts), parts[depth:]
            except NotFound:
                if depth == 0:
                    return (root.share, root.above, ()), parts
        raise AssertionError("the range ends at 0")

    def _prepare_given(self, area: Area) -> None:
        """The folder first, then the project is told: a stage must not begin with a copy of what is not there."""
        assert area.project is not None
        if not area.project.given:
            self.porters.ask("ensure_folder", parts=(*project_folder(area.project.id).split("/"), *GIVEN))
            self._give(area.project.id)

    def _checked(self, area: Area, share: Parts, above: Parts, parts: Parts) -> Target:
        path = to_text("/".join((*above, *parts)))
        if above:
            raise Refused(
                f"{shown(above[0])} is mapped into the input pool read-only; nothing was done.",
                hint="Change its files where they are, or put others into a folder of the pool.",
                code="path.read_only",
            )
        if not may_write(area):
            raise Refused("You may look at these files, not change them; nothing was done.", code="path.not_writable")
        if area.project is None:
            if not self.tree.root(area, parts).rules.visible(parts):
                raise NotFound(f"There is no {shown(path)} here.", code="path.not_found")
            return Target((*share, *parts), [], path)
        unless = spaces.writable_in_project(area.project, parts)
        return Target((*share, *parts), [[*share, *names] for names in unless], path)

    def aside(self, area: Area, parts: Parts, why: str) -> tuple[str, str]:
        """An entry of the trash and its manifest."""
        entry = TrashEntry(
            id=self._new_id("f"),
            paths=("/".join(parts),),
            project=area.project.id if area.project is not None else "",
            why=why,
            actor=area.who.user,
            at=self._clock.now(),
        )
        return entry.id, json.dumps(entry.model_dump(mode="json"))


def check_new_name(name: str) -> None:
    """What may be read under any name is given only names that a person can see and type. Raises Invalid."""
    unusable = [c for c in name if ord(c) < 32 or ord(c) == 127 or 0x80 <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000]
    if unusable or name != name.strip() or any(c in name for c in TURNING):
        raise Invalid(
            f"The name {shown(name)} has signs that nobody could see or type.",
            hint="Leave out control characters, and spaces at its ends.",
            code="name.invalid",
        )


TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"  # would show a name the wrong way round


def taken(path: str) -> Refused:
    return Refused(
        f"There is something else under the name {shown(path)}; it was not touched.",
        hint="Choose another name, or delete what is there first.",
        code="path.taken",
    )
