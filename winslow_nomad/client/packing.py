"""A pipeline of this machine on its way to a server: the text of a file, or a folder as a zip file.

What `.winslowignore` names stays here. Links are followed where they stay in the folder, since a zip file has none."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from winslow_nomad.core import ignoring
from winslow_nomad.core.errors import Invalid, NotFound

FILE_NAME = "pipeline.yaml"
LARGEST_FILE = 1_000_000  # bytes of a pipeline file
LARGEST = 50_000_000  # bytes of a folder
MOST = 10_000  # entries
BEGINNING = (1980, 1, 1, 0, 0, 0)  # of times in a zip file; times do not count


def folder_of(path: Path) -> Path | None:
    """The folder that goes with a pipeline: only a file called pipeline.yaml has its folder to itself."""
    if path.is_dir():
        return path
    return path.parent if path.name == FILE_NAME else None


def text_of(path: Path) -> str:
    """Of a pipeline file. Raises NotFound, Invalid."""
    file = path / FILE_NAME if path.is_dir() else path
    try:
        if not file.is_file():
            raise NotFound(
                f"There is no {file}.",
                hint=f"Name a pipeline file, or a folder with {FILE_NAME}.",
                code="pipeline.not_found",
            )
        raw = file.read_bytes()
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8"
        raise Invalid(f"{file} cannot be read: {why}.", hint="Nothing was done.", code="pipeline.unreadable") from error
    if len(raw) > LARGEST_FILE:
        raise Invalid(f"{file} is larger than {LARGEST_FILE} bytes.", code="pipeline.unreadable")
    return text


def zipped(folder: Path) -> bytes:
    """Raises Invalid (pipeline.folder)."""
    out = io.BytesIO()
    left = LARGEST
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for count, (name, file) in enumerate(_files(folder)):
                data = file.read_bytes()
                left -= len(data)
                if left < 0 or count >= MOST:
                    raise _wrong(folder, "is too large", _unneeded())
                entry = zipfile.ZipInfo(name, BEGINNING)
                entry.compress_type = zipfile.ZIP_DEFLATED
                runs = file.stat().st_mode & 0o111
                entry.external_attr = (stat.S_IFREG | (0o755 if runs else 0o644)) << 16
                archive.writestr(entry, data)
    except (OSError, UnicodeEncodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it has a name that is no text"
        raise _wrong(folder, f"cannot be read: {why}") from error
    return out.getvalue()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    root = folder.resolve()
    ignored = _ignored(folder)
    for place, folders, names in os.walk(root):
        folders[:] = sorted(n for n in folders if not ignoring.left_out(n, ignored))
        for name in sorted(names + [n for n in folders if (Path(place) / n).is_symlink()]):
            path = Path(place) / name
            if ignoring.left_out(name, ignored):
                continue
            if not path.resolve().is_relative_to(root) or not path.is_file():
                raise _wrong(
                    folder,
                    f"holds {path.relative_to(root)}, which is no file in it",
                    f"Remove it, or name it in {ignoring.FILE}.",
                )
            yield str(path.relative_to(root)), path


def _ignored(folder: Path) -> tuple[str, ...]:
    try:
        return ignoring.patterns((folder / ignoring.FILE).read_text("utf-8"))
    except FileNotFoundError:
        return ignoring.ALWAYS
    except ValueError as error:  # UnicodeDecodeError is one
        raise _wrong(folder, f"has a {ignoring.FILE} that cannot be read: {error}") from None


def _unneeded() -> str:
    return f"Name what its stages do not need in {ignoring.FILE}, one name a line; data belongs into the input pool."


def _wrong(folder: Path, problem: str, hint: str = "") -> Invalid:
    return Invalid(f"The pipeline folder {folder} {problem}. Nothing was sent.", hint=hint, code="pipeline.folder")
