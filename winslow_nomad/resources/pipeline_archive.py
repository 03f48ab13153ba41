"""A pipeline folder that comes as a zip file. Nothing in the file is trusted: names stay below the folder, there
are no links, and what it may become is counted while it is unpacked, not read from its headers."""

from __future__ import annotations

import io
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from winslow_nomad.core.errors import Invalid
from winslow_nomad.resources.definitions import FILE_NAME
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.pipeline_folder import MAX_BYTES, MAX_ENTRIES

_CHUNK = 1024 * 1024


@contextmanager
def unpacked(archive: bytes) -> Iterator[Path]:
    """The folder with pipeline.yaml, for as long as the block runs. One folder around everything is looked
    through. Raises Invalid (pipeline.archive)."""
    target = Path(tempfile.mkdtemp(prefix="winslow-pipeline-"))
    try:
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as opened:
                _unpack(opened, target)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise _wrong(f"cannot be read: {error}") from error
        yield _folder(target)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _unpack(opened: zipfile.ZipFile, target: Path) -> None:
    entries = opened.infolist()
    if len(entries) > MAX_ENTRIES:
        raise _wrong(f"has more than {MAX_ENTRIES} entries")
    left = MAX_BYTES
    for entry in entries:
        path = target / _path(entry)
        if entry.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("xb")
        except (FileExistsError, IsADirectoryError):
            raise _wrong(f"has {shown(entry.filename)} twice") from None
        with file, opened.open(entry) as source:
            while chunk := source.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise _wrong(f"becomes larger than {MAX_BYTES // 1_000_000} MB")
                file.write(chunk)
        if entry.external_attr >> 16 & 0o111:
            path.chmod(0o755)


def _path(entry: zipfile.ZipInfo) -> PurePosixPath:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _wrong(f"holds {shown(entry.filename)}, which is no file and no folder")
    path = PurePosixPath(entry.filename)
    parts = entry.filename.rstrip("/").split("/")
    if path.is_absolute() or "\\" in entry.filename or any(p in ("", ".", "..") for p in parts):
        raise _wrong(f"holds the name {shown(entry.filename)}, which leads elsewhere")
    if len(parts) > 32 or any(len(p.encode("utf-8", "surrogatepass")) > 255 for p in parts):
        raise _wrong(f"holds a name that is too long: {shown(entry.filename)}")
    return path


def _folder(target: Path) -> Path:
    if (target / FILE_NAME).is_file():
        return target
    inside = [p for p in target.iterdir() if p.name != "__MACOSX"]
    if len(inside) == 1 and (inside[0] / FILE_NAME).is_file():
        return inside[0]
    raise _wrong(f"has no {FILE_NAME}", f"Zip the folder that holds {FILE_NAME} and the code it runs.")


def _wrong(problem: str, hint: str = "") -> Invalid:
    return Invalid(f"The zip file {problem}. Nothing was kept.", hint=hint, code="pipeline.archive")
