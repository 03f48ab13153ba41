"""Walking down a tree by descriptors, one name at a time: the kernel never follows a link and never sees `..`.

Each name is opened with O_PATH | O_NOFOLLOW below the descriptor of the folder before. A link is read and its text
walked by the same rules, `..` by going back to a descriptor that was already held; so nothing that is renamed, or
replaced by a link, in the middle of a walk can lead out of the tree, and a name that may not be seen cannot be reached
by another way round. What is found is a descriptor, which stays what it is whatever happens to its name.

Standard library only but for the errors: the small processes that write to the share use it too.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from winslow_nomad.core.errors import Invalid, NotFound, Refused
from winslow_nomad.resources.names import check_name, shown

LONGEST_PATH = 4096  # bytes
DEEPEST = 128  # folders, and descriptors that one walk holds
MOST_LINKS = 40  # as the kernel has it

Parts = tuple[str, ...]


class Rules(Protocol):
    """What a tree shows, and how its links are meant. Parts are names from the root down, without links."""

    def visible(self, parts: Parts, /) -> bool: ...

    def open_below(self, parts: Parts, /) -> bool:
        """Whether all of a visible folder is visible, so that nobody has to ask for each name."""
        ...

    def instead(self, parts: Parts, folder: int, /) -> Parts | None:
        """For a name that is not there, below the folder it should be in: the parts from the root it stands for."""
        ...

    def absolute(self, parts: Parts, target: str, /) -> Parts | None:
        """Where a link that lies at `parts` leads whose text begins with `/`, from the root; None: outside."""
        ...


class Everything:
    """All is visible, and no link leads out."""

    def visible(self, _: Parts) -> bool:
        return True

    def open_below(self, _: Parts) -> bool:
        return True

    def instead(self, _: Parts, __: int) -> Parts | None:
        return None

    def absolute(self, _: Parts, __: str) -> Parts | None:
        return None


@dataclass
class Place:
    """Where a walk ended. `parts`: its name without links. `fd` is O_PATH; `folders` those above it, from the root."""

    parts: Parts
    fd: int
    found: os.stat_result
    folders: list[int] = field(default_factory=list)
    linked: bool = False  # a link was followed

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.found.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.found.st_mode)

    def opened(self, flags: int = os.O_RDONLY) -> int:
        """The same file again, to be read: by descriptor, so that nothing else can be opened by it."""
        return os.open(f"/proc/self/fd/{self.fd}", flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)

    def close(self) -> None:
        for fd in (self.fd, *self.folders):
            if fd >= 0:
                os.close(fd)
        self.fd, self.folders = -1, []

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def split(path: str) -> Parts:
    """The names of a path that came from outside. Raises Invalid."""
    if len(path) > LONGEST_PATH or len(os.fsencode(path)) > LONGEST_PATH:
        raise Invalid(f"The path {shown(path)} is longer than {LONGEST_PATH} bytes.", code="path.too_long")
    if path.startswith("/"):
        raise Invalid(f"{shown(path)} is an absolute path; one below the folder is meant.", code="path.absolute")
    parts = tuple(check_name(part) for part in path.removesuffix("/").split("/")) if path else ()
    if len(parts) > DEEPEST:
        raise Invalid(f"The path {shown(path)} has more than {DEEPEST} folders.", code="path.too_deep")
    return parts


def absent(parts: Sequence[str]) -> NotFound:
    return NotFound(f"There is no {shown('/'.join(parts))} here.", code="path.not_found")


def outside(parts: Sequence[str]) -> Refused:
    return Refused(
        f"{shown('/'.join(parts))} is a link that leads out of its place; it was not followed.",
        hint="Put the file itself there.",
        code="path.outside",
    )


def descend(root: int, wanted: Parts, rules: Rules, *, follow_last: bool = True) -> Place:
    """Walk to `wanted` below the folder `root` (a descriptor, which stays the caller's). Raises NotFound, Refused
    (code path.outside), Invalid (path.too_deep), OSError of the file system. `follow_last` False: a link at the
    end is the answer itself."""
    walk = _Walk(root, wanted, rules)
    try:
        return walk.to_the_end(follow_last)
    except BaseException:
        walk.close()
        raise


class _Walk:
    def __init__(self, root: int, wanted: Parts, rules: Rules) -> None:
        self.wanted = wanted
        self.rules = rules
        self.folders = [os.dup(root)]
        self.parts: list[str] = []
        self.ahead = deque(wanted)
        self.links = 0

    def close(self) -> None:
        for fd in self.folders:
            os.close(fd)
        self.folders = []

    def to_the_end(self, follow_last: bool) -> Place:
        while self.ahead:
            name = self.ahead.popleft()
            if name in ("", "."):
                continue
            if name == "..":
                self._up()
                continue
            found = self._step(name, follow_last)
            if found is not None:
                return found
        fd = self.folders.pop()
        return Place(tuple(self.parts), fd, os.fstat(fd), self.folders, self.links > 0)

    def _up(self) -> None:
        if not self.parts:
            raise outside(self.wanted)
        self.parts.pop()
        os.close(self.folders.pop())

    def _step(self, name: str, follow_last: bool) -> Place | None:
        """One name further. A Place where the walk ends: at a file, or at a link that is not followed."""
        here = (*self.parts, name)
        if not self.rules.visible(here):
            raise absent(self.wanted)
        try:
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folders[-1])
        except OSError as error:
            self._instead(here, error)
            return None
        try:
            found = os.fstat(fd)
            if stat.S_ISLNK(found.st_mode) and (self.ahead or follow_last):
                self._follow(os.readlink("", dir_fd=fd))
            elif stat.S_ISDIR(found.st_mode):
                if len(self.parts) >= DEEPEST:
                    raise Invalid(f"More than {DEEPEST} folders deep.", code="path.too_deep")
                self.parts.append(name)
                self.folders.append(fd)
                fd = -1
            elif any(later not in ("", ".") for later in self.ahead):
                raise absent(self.wanted)
            else:
                made = Place(here, fd, found, self.folders, self.links > 0)
                fd = -1
                return made
            return None
        finally:
            if fd >= 0:
                os.close(fd)

    def _instead(self, here: Parts, error: OSError) -> None:
        if error.errno == errno.ENAMETOOLONG:
            raise Invalid(f"The name {shown(here[-1])} is too long.", code="name.too_long") from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise Refused(
                f"{shown('/'.join(here))} may not be read by Winslow; it belongs to somebody else.",
                hint="Look at owner and mode on the share.",
                code="path.denied",
            ) from error
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise error
        other = self.rules.instead(here, self.folders[-1]) if error.errno == errno.ENOENT else None
        if other is None:
            raise absent(self.wanted) from error
        self._restart(other)

    def _follow(self, target: str) -> None:
        self.links += 1
        if self.links > MOST_LINKS:
            raise outside(self.wanted)
        if not target.startswith("/"):
            self.ahead.extendleft(reversed(target.split("/")))
            return
        other = self.rules.absolute(tuple(self.parts), target)
        if other is None:
            raise outside(self.wanted)
        self._restart(other)

    def _restart(self, parts: Parts) -> None:
        """From the root again, to `parts` and then on; counted like a link, so that it ends."""
        self.links += 1
        if self.links > MOST_LINKS:
            raise outside(self.wanted)
        for fd in self.folders[1:]:
            os.close(fd)
        del self.folders[1:]
        self.parts = []
        self.ahead.extendleft(reversed(parts))
