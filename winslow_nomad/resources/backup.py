"""One file that holds what the store holds: written aside, read back and compared before it gets its name,
never over another file; and verified whole before anything of it is restored.

    manifest.json              format, and the SHA-256 of each of the others
    <number>-<kind>.json       one record each, in the order in which they are to be restored

What the records say is the store's business. The files of the projects are on the share and not in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from winslow_nomad.core.errors import Invalid, NotFound, Refused
from winslow_nomad.core.said import count
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.publish import rename_new, sync_folder
from winslow_nomad.resources.space import size

FORMAT = 1
MANIFEST = "manifest.json"


class Record(NamedTuple):
    """What a store hands out and takes back; see the store's dump."""

    kind: str
    name: str
    content: bytes


def write_backup(target: Path, records: Iterable[tuple[str, str, bytes]]) -> Sequence[str]:
    """`target`: a new file, or a folder in which one is made. Answers sentences. Raises Refused (codes
    backup.exists, backup.unwritable), Invalid (backup.damaged: the disk gives back something else), what
    `records` raises."""
    try:
        return _write(target, records)
    except OSError as error:
        if error.errno is None:  # not of a file, so of `records`
            raise
        raise Refused(
            f"{shown(str(target))} cannot be written: {error.strerror}. No backup was made.",
            hint="Name a new file in a folder that is there, that you may write to, and that has space.",
            code="backup.unwritable",
        ) from error


def _write(target: Path, records: Iterable[tuple[str, str, bytes]]) -> Sequence[str]:
    if target.is_dir():
        target = target / f"winslow-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip"
    if os.path.lexists(target):
        raise _exists(target)
    partial = target.with_name(f".{target.name[:200]}.{os.getpid()}.partial")
    counts: dict[str, int] = {}
    try:
        with partial.open("xb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
                entries = []
                for number, (kind, name, content) in enumerate(records):
                    entry = f"{number:07d}-{kind}.json"
                    archive.writestr(entry, content)
                    digest = hashlib.sha256(content).hexdigest()
                    entries.append({"entry": entry, "kind": kind, "name": name, "sha256": digest})
                    counts[kind] = counts.get(kind, 0) + 1
                archive.writestr(MANIFEST, json.dumps({"format": FORMAT, "entries": entries}))
            file.flush()
            os.fsync(file.fileno())
        for _ in _records(partial):
            pass
        try:
            rename_new(partial, target)
        except FileExistsError:
            raise _exists(target) from None
        sync_folder(target.parent)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
    projects = count(counts.get("project", 0), "project")
    written = f"{projects} written to {target} ({size(target.stat().st_size)}) and read back."
    return (
        written,
        "The files of the projects are on the share, and the key of the secrets is in its own file: neither is in it.",
    )


def read_backup(file: Path, load: Callable[[Iterator[Record]], Sequence[str]]) -> Sequence[str]:
    """Verify the whole file, then hand its records to `load`, whose answer is answered. Raises NotFound, Invalid
    (backup.damaged, backup.newer, backup.unreadable), what `load` raises."""
    try:
        if not file.is_file():
            raise NotFound(
                f"There is no backup {shown(str(file))}.", hint="Name the file of a backup.", code="backup.not_found"
            )
        for _ in _records(file):
            pass
    except OSError as error:
        raise Invalid(
            f"{shown(str(file))} cannot be read: {error.strerror}. Nothing was restored.",
            hint="Look at its owner and mode, and at those of the folders it lies in.",
            code="backup.unreadable",
        ) from error
    return load(_records(file))


def _records(file: Path) -> Iterator[Record]:
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            if manifest["format"] > FORMAT:
                raise Refused(
                    f"{shown(str(file))} was written by a newer Winslow. Nothing was restored.",
                    hint="Upgrade this Winslow.",
                    code="backup.newer",
                )
            for entry in manifest["entries"]:
                content = archive.read(entry["entry"])
                if hashlib.sha256(content).hexdigest() != entry["sha256"]:
                    raise _damaged(file, f"{entry['entry']} is not what was written")
                yield Record(entry["kind"], entry["name"], content)
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, NotImplementedError) as error:
        raise _damaged(file, str(error)) from error


def _damaged(file: Path, why: str) -> Invalid:
    return Invalid(
        f"{shown(str(file))} is not a whole backup: {why}. Nothing was restored from it.",
        hint="Take another backup file.",
        code="backup.damaged",
    )


def _exists(target: Path) -> Refused:
    return Refused(
        f"{shown(str(target))} is there already; it was not touched.", hint="Give a new name.", code="backup.exists"
    )
