"""A folder as one stream: zip without compression, or tar.gz. Nothing is put on a disk, and no more than a block of
content is in memory at once.

Each step of the stream does a bounded piece of work, so that whoever takes it can stop between any two.
"""

from __future__ import annotations

import struct
import tarfile
import time
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
FULL = 0xFFFFFFFF  # in place of a number that stands in a field of 64 bits
UTF8, BEHIND = 0x800, 0x8  # of a member: its name; its sizes come behind its content
UNIX = 3 << 8 | 45
LOCAL = struct.Struct("<4s5H3I2H")
LARGE = struct.Struct("<HHQQ")
AFTER, AFTER_LARGE = struct.Struct("<4sIII"), struct.Struct("<4sIQQ")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END_LARGE = struct.Struct("<4sQ2H2I4Q")


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


def zipped(members: Members, top: str) -> Iterator[bytes]:
    """By the format's own description (APPNOTE 6.3.10): stored, sizes and sums behind each member, 64-bit fields where
    they are needed. zipfile would keep a kilobyte of each member until the end; here it is a few bytes, compressed."""
    directory = _Directory()
    at = 0
    for member, opened in members:
        name = to_text(f"{top}/{member.path}{'/' if opened is None else ''}").encode()
        large = member.size >= FULL
        when = _dos_time(member.modified)
        flags = UTF8 if opened is None else UTF8 | BEHIND
        needs = 45 if large else 20
        extra = LARGE.pack(1, 16, 0, 0) if large else b""
        sizes = FULL if large else 0
        begin = at
        block = LOCAL.pack(b"PK\3\4", needs, flags, 0, *when, 0, sizes, sizes, len(name), len(extra)) + name + extra
        at += len(block)
        yield block
        crc = size = 0
        if opened is not None:
            try:
                for block in _content(opened, member.size):
                    crc = zlib.crc32(block, crc)
                    size += len(block)
                    yield block
            finally:
                opened.close()
            block = (AFTER_LARGE if large else AFTER).pack(b"PK\7\10", crc, size, size)
            at += size + len(block)
            yield block
        directory.add(name, member, flags, when, crc, size, begin)
    yield from directory.written(at)


class _Directory:
    """What stands at the end of a zip, kept compressed until then."""

    def __init__(self) -> None:
        self._pack = zlib.compressobj(FAST)
        self._kept = bytearray()
        self._count = 0
        self._size = 0

    def add(
        self, name: bytes, member: Packed, flags: int, when: tuple[int, int], crc: int, size: int, begin: int
    ) -> None:
        wide = [n for n in (size, size, begin) if n >= FULL]
        extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        mode = 0o40755 if member.kind == "folder" else 0o100755 if member.executable else 0o100644
        entry = CENTRAL.pack(
            b"PK\1\2", UNIX, 45 if wide else 20, flags, 0, *when, crc, min(size, FULL), min(size, FULL), len(name),
            len(extra), 0, 0, 0, mode << 16 | (0x10 if member.kind == "folder" else 0), min(begin, FULL),
        )  # fmt: skip
        self._count += 1
        self._size += len(entry) + len(name) + len(extra)
        self._kept += self._pack.compress(entry + name + extra)

    def written(self, at: int) -> Iterator[bytes]:
        """`at`: where it begins."""
        self._kept += self._pack.flush()
        unpack = zlib.decompressobj()
        rest = bytes(self._kept)
        while rest:
            yield unpack.decompress(rest, BLOCK)
            rest = unpack.unconsumed_tail
        count, size = self._count, self._size
        if count >= 0xFFFF or at >= FULL or size >= FULL:
            yield END_LARGE.pack(b"PK\6\6", 44, UNIX, 45, 0, 0, count, count, size, at)
            yield struct.pack("<4sIQI", b"PK\6\7", 0, at + size, 1)
        few = min(count, 0xFFFF)
        yield struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, few, few, min(size, FULL), min(at, FULL), 0)


def _dos_time(seconds: float) -> tuple[int, int]:
    """Two numbers of 16 bits, time and date."""
    t = time.gmtime(min(max(seconds, EARLIEST), LATEST))
    return t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec // 2, (t.tm_year - 1980) << 9 | t.tm_mon << 5 | t.tm_mday


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
