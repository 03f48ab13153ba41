"""Files as people see them through the API: spaces, entries, pages, uploads. Values, and the ports that keep them.

A path is relative to its space, with `/` between names. Names are bytes on the disk; as text, whatever is no UTF-8
is written with signs of the private use area, so that every name fits into JSON and a URL and comes back as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from winslow_nomad.core.access import Principal
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.model import Record, Value
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.project import Project

EntryKind = Literal["file", "folder", "link", "other"]
Sorting = Literal["name", "-name", "size", "-size", "modified", "-modified"]
Conflict = Literal["refuse", "keep_both", "replace"]
ArchiveForm = Literal["zip", "tar.gz"]
Encoding = Literal[
    "", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "windows-1250", "windows-1251", "windows-1252",
    "iso-8859-1", "iso-8859-15", "koi8-r", "shift_jis", "euc-jp", "euc-kr", "gb18030", "big5",
]  # fmt: skip

FOREIGN = 0xEF00  # U+EF80..U+EFFF stand for the bytes 0x80..0xFF of a name that is not UTF-8
_FOREIGN = re.compile("[\uef80-\uefff]")
_SURROGATE = re.compile("[\udc80-\udcff]")


def to_text(name: str) -> str:
    """A name or path of the disk (as Python has it: bytes that are no UTF-8 as surrogates) for JSON and URLs."""

    def apart(found: re.Match[str]) -> str:
        return "".join(chr(FOREIGN + byte) for byte in found[0].encode())

    return _SURROGATE.sub(lambda found: chr(ord(found[0]) - 0xDC00 + FOREIGN), _FOREIGN.sub(apart, name))


def from_text(text: str) -> str:
    """The reverse of `to_text`."""
    if _FOREIGN.search(text) is None:
        return text
    bytes_back = _FOREIGN.sub(lambda found: chr(ord(found[0]) - FOREIGN + 0xDC00), text)
    return bytes_back.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def aside_name(name: str, mark: str) -> str:
    """Under which a file lies beside its place until it is complete: no longer than a name may be (255 bytes). `mark`:
    ASCII."""
    tail = f".{mark}.part"
    raw = name.encode("utf-8", "surrogateescape")[: 255 - 1 - len(tail)]
    return f".{raw.decode(errors='ignore')}{tail}"


class Space(Value):
    """`inputs`, or `project:<id>`. `project` is empty for the input pool."""

    project: str = ""

    @classmethod
    def parse(cls, text: str) -> Space:
        kind, _, project = text.partition(":")
        if text == "inputs":
            return cls()
        if kind == "project" and project:
            return cls(project=project)
        raise Invalid(
            f"{text[:80]!r} is not a place for files; nothing was done.",
            hint="There are `inputs` and `project:<id>`.",
            code="space.unknown",
        )

    def __str__(self) -> str:
        return f"project:{self.project}" if self.project else "inputs"


class Area(Value):
    """A space as one person may use it. `project`: as it was when the person's right to it was checked."""

    who: Principal
    project: Project | None = None

    @property
    def space(self) -> Space:
        return Space(project=self.project.id if self.project is not None else "")


class Entry(Value):
    """A file or folder. `bytes` is 0 for folders. `tag` changes with the content. `link`: the text of a link, whose
    target `kind` is about where it can be followed. `writable`: whether a person may change it. `modified`: the start
    of 1970 for folders that are shown before they have been made."""

    name: str = Field(examples=["b.mp4"])
    path: str = Field(examples=["a/b.mp4"])
    kind: EntryKind
    bytes: int = 0
    modified: datetime
    tag: str = ""
    link: str = ""
    writable: bool = False
    mapped: bool = False
    groups: tuple[str, ...] = ()


class Listing(Value):
    """A page of a folder. `next`: give it as `after`; empty: this was the last page."""

    entries: tuple[Entry, ...]
    next: str = ""


class Opened(Protocol):
    """A file being read. Its descriptor leads to it whatever happens to its name."""

    entry: Entry

    @property
    def descriptor(self) -> int: ...

    def read(self, offset: int, count: int) -> bytes:
        """Fewer bytes only at its end."""
        ...

    def close(self) -> None: ...


class Text(Value):
    """Lines of a file. `first`: the number of the byte they begin with; `complete`: they are all of it."""

    text: str
    lines: int
    bytes: int
    first: int
    size: int
    encoding: str
    complete: bool


class Column(Value):
    name: str
    type: Literal["number", "time", "text"]
    missing: int
    unreadable: int


class Series(Value):
    """Rows of a table, thinned: those kept hold the extremes of every column of `y` in their part of the table.
    `x` in numbers (times: seconds since 1970), or row numbers where `x_name` is empty; None: missing."""

    columns: tuple[Column, ...]
    x_name: str
    x_type: Literal["number", "time", "text", "row"]
    x: tuple[float | None, ...]
    y: dict[str, tuple[float | None, ...]]
    rows: int
    thinned: bool


class SpaceUsage(Value):
    """`bytes` on the disk as of `counted` (None: not counted yet), those of each folder in `folders`. `free` and
    `total`: of the file system."""

    bytes: int = 0
    files: int = 0
    complete: bool = False
    counted: datetime | None = None
    folders: dict[str, int] = {}
    free: int
    total: int


class Trashed(Value):
    """Something that was deleted or replaced, and can be taken back until the trash is emptied."""

    id: str
    path: str
    why: str
    actor: str
    at: datetime


class Files(Protocol):
    """Every call may raise NotFound, Invalid, Refused, ShareUnavailable, and may take as long as the share does: it
    belongs into a lane with a deadline. What a person may not see is answered as if it were not there."""

    def place(self, space: Space, path: str) -> str:
        """Which file system it is about, as far as the name tells: what hangs in one leaves the others alone."""
        ...

    def may_read(self, who: Principal, path: str) -> bool:
        """Whether somebody may read all that a path of the input pool is or will be; nothing need be there. For values
        of parameters: what a stage is given, its people may read. The one call here with a deadline of its own."""
        ...

    def page(self, area: Area, path: str, *, sort: Sorting = "name", limit: int = 200, after: str = "") -> Listing:
        """A page of a folder, folders first. Names that come and go between two pages move no others."""
        ...

    def entry(self, area: Area, path: str) -> Entry: ...

    def open(self, area: Area, path: str) -> Opened: ...

    def archive(self, area: Area, path: str, form: ArchiveForm) -> Iterator[bytes]:
        """All of a folder as one stream, in steps of bounded work; links are left out. Close it to end it early."""
        ...

    def text(self, area: Area, path: str, *, lines: int, tail: bool, encoding: Encoding = "") -> Text: ...

    def series(self, area: Area, path: str, *, x: str, y: Sequence[str], points: int) -> Series: ...

    def usage(self, area: Area) -> SpaceUsage: ...

    def groups(self, area: Area, path: str) -> tuple[str, ...]: ...

    def set_groups(self, area: Area, path: str, groups: Iterable[str]) -> Entry: ...

    def make_folder(self, area: Area, path: str) -> Entry: ...

    def rename(self, area: Area, path: str, to: str, *, overwrite: bool = False) -> Entry: ...

    def trash(self, area: Area, path: str) -> str:
        """Out of sight, until the trash is emptied; answers the entry's id."""
        ...

    def trashed(self, area: Area) -> Sequence[Trashed]:
        """What people have deleted of a space, the newest first."""
        ...

    def restore(self, area: Area, identifier: str) -> Entry:
        """Back to where it was. Refused (path.taken) where something else is by now."""
        ...

    def unpack(self, area: Area, path: str, into: str) -> Operation:
        """Answers the operation that does it, once it is in the book."""
        ...


class Upload(Record):
    """A file on its way. `path`: where it goes, in its space; once it is there (`done`), where it is. It is given up
    when nobody has gone on with it by `expires`."""

    id: str
    owner: str
    space: str
    path: str
    length: int
    conflict: Conflict = "refuse"
    sha256: str = ""
    metadata: str = ""
    made: datetime
    offset: int = 0
    changed: datetime = Field(description="when the last of it came")
    expires: datetime
    done: bool = False


class Writing(Protocol):
    """A file that is being written, by one writer. `buffers`: two, to be filled in turn."""

    offset: int
    length: int

    @property
    def buffers(self) -> Sequence[memoryview]: ...

    def write(self, buffer: int, count: int) -> int:
        """The first `count` bytes of a buffer behind what is there; answers the new offset. Raises Conflict
        (upload.taken_over)."""
        ...

    def read(self, connection: int, count: int) -> bool:
        """The next `count` bytes that come on a connection (a descriptor, which stays the caller's). False: not all
        came, because the other side left, was too slow, or `stop` was called; `offset` tells what is written. Raises
        Conflict (upload.taken_over)."""
        ...

    def stop(self) -> None:
        """Ends a `read` that another thread waits for."""
        ...

    def verify(self, sha256: str) -> bool:
        """Whether what this writer has written has this sum (hex); if not, it is taken back."""
        ...

    def finish(self) -> str:
        """All is there: on the disk, its sum checked, and under its name; answers its path. Raises Conflict
        (upload.checksum, path.version), Refused (path.taken, stage.ended)."""
        ...

    def close(self) -> None:
        """What is written of an upload stays; of a small file it goes."""
        ...


class Uploads(Protocol):
    """Raises as Files does; NotFound (upload.not_found) also for those of other people."""

    largest: int  # bytes

    def begin(
        self, area: Area, path: str, length: int, *, conflict: Conflict = "refuse", sha256: str = "", metadata: str = ""
    ) -> Upload:
        """`metadata`: as it was sent, to be told again. Raises NoRoom, and Refused (path.taken) unless `conflict`
        says what to do."""
        ...

    def under_way(self) -> Sequence[Upload]:
        """Of everybody, those that are not complete; the one that went on last first, as many as can be told at
        once."""
        ...

    def look(self, who: Principal, identifier: str) -> Upload:
        """As it is on the disk; one that is complete is brought to its name first."""
        ...

    def write(self, area: Area, identifier: str, offset: int, *, verified: bool = False) -> Writing:
        """Goes on at `offset`. `verified`: what is written is dropped unless `verify` finds it right. Raises
        Conflict (upload.offset), Refused (upload.busy), TooMany."""
        ...

    def write_small(self, area: Area, path: str, length: int, *, replace: str = "") -> Writing:
        """At once, not to be resumed. replace: the tag of what is replaced; empty: nothing may be there."""
        ...

    def drop(self, who: Principal, identifier: str) -> None:
        """It is given up; what has come goes."""
        ...
