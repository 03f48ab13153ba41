"""A folder as one stream: zip without compression, or tar.gz. Nothing is put on a disk, and no more than a block of
content is in memory at once; of a zip also what its directory at the end says of each member.

Each step of the stream does a bounded piece of work, so that whoever takes it can stop between any two.
"""

from __future__ import annotations

import io
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Literal

from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.core.filing import ArchiveForm, Opened, to_text
from winslow_nomad.core.model import Value
from winslow_nomad.resources.names import shown

BLOCK = 1024 * 1024
FAST = 1  # of zlib: what is big here (video, images) does not become smaller
GZIP = 31  # of zlib: window bits that mean a gzip header
EARLIEST, LATEST = 315532800.0, 4354819198.0  # 1980 and 2107, which is what zip can say


class Packed(Value):
    """One member. `modified`: seconds since 1970."""

    path: str
    kind: Literal["file", "folder"]
    size: int = 0
    modified: float = 0.0
    executable: bool = False


Members = Iterable[tuple[Packed, Opened | None]]


def streamed(members: Members, form: ArchiveForm, top: str) -> Iterator[bytes]:
    """`top`: the folder that all of it is in. Raises ShareUnavailable where a file became shorter meanwhile."""
    return zipped(members, top) if form == "zip" else tarred(members, top)


class _Sink(io.RawIOBase):
    """Where zipfile writes to; taken away after each step."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zipped(members: Members, top: str) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as made:
        for member, opened in members:
            try:
                when = time.gmtime(min(max(member.modified, EARLIEST), LATEST))
                ending = "/" if member.kind == "folder" else ""
                info = zipfile.ZipInfo(to_text(f"{top}/{member.path}{ending}"), when[:6])
                if opened is None:
                    info.external_attr = 0o40755 << 16 | 0x10
                    made.writestr(info, b"")
                    continue
                info.external_attr = (0o100755 if member.executable else 0o100644) << 16
                info.file_size = member.size  # tells whether 64-bit sizes are needed; the true size comes behind it
                with made.open(info, "w") as target:
                    for block in _content(opened, member.size):
                        target.write(block)
                        yield sink.taken()
            finally:
                if opened is not None:
                    opened.close()
    yield sink.taken()


def tarred(members: Members, top: str) -> Iterator[bytes]:
    gzip = zlib.compressobj(FAST, zlib.DEFLATED, GZIP)
    for member, opened in members:
        try:
            info = tarfile.TarInfo(f"{top}/{member.path}")
            info.mtime = int(member.modified)
            info.mode = 0o755 if member.executable or opened is None else 0o644
            if opened is None:
                info.type = tarfile.DIRTYPE
                yield gzip.compress(info.tobuf(tarfile.PAX_FORMAT))
                continue
            info.size = member.size
            yield gzip.compress(info.tobuf(tarfile.PAX_FORMAT))
            got = 0
            for block in _content(opened, member.size):
                got += len(block)
                yield gzip.compress(block)
            if got < member.size:
                raise ShareUnavailable(
                    f"{shown(member.path)} became shorter while it was read; the archive ends in the middle.",
                    hint="Ask for it again.",
                    code="archive.changed",
                )
            yield gzip.compress(bytes(-got % tarfile.BLOCKSIZE))
        finally:
            if opened is not None:
                opened.close()
    yield gzip.compress(bytes(2 * tarfile.BLOCKSIZE)) + gzip.flush()


def _content(opened: Opened, size: int) -> Iterator[bytes]:
    """Not more than it had when it was opened: a file that grows as fast as it is read would never end."""
    at = 0
    while at < size and (block := opened.read(at, min(BLOCK, size - at))):
        at += len(block)
        yield block
