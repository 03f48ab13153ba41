"""A pipeline of this machine on its way to a server: the text of a file, or a folder as a zip file.

What `.winslowignore` names stays here. Links are followed where they stay in the folder, since a zip file has none."""

from __future__ import annotations

import errno
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
    if os.path.isdir(path):  # noqa: PTH112 - a name that is too long is no folder; pathlib would raise
        return path
    return path.parent if path.name == FILE_NAME else None


def text_of(path: Path) -> str:
    """Of a pipeline file. Raises NotFound, Invalid."""
    file = path / FILE_NAME if folder_of(path) == path else path
    shown = str(file).encode("utf-8", "replace").decode()
    try:
        with open(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as opened:  # a pipe must not hold us
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise OSError(errno.EINVAL, "not a file")
            raw = opened.read(LARGEST_FILE + 1)
        text = raw.decode()
    except FileNotFoundError:
        raise NotFound(
            f"There is no {shown}.",
            hint=f"Name a pipeline file, or a folder with {FILE_NAME}.",
            code="pipeline.not_found",
        ) from None
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8"
        hint = "Nothing was done."
        raise Invalid(f"{shown} cannot be read: {why}.", hint=hint, code="pipeline.unreadable") from error
    if len(raw) > LARGEST_FILE:
        raise Invalid(f"{shown} is larger than {LARGEST_FILE} bytes.", code="pipeline.unreadable")
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
