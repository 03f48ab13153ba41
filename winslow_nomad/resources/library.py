"""The library of pipelines as it lies on the share, for people and for making the store again:

    pipelines/library/<name>/shelf.json             who made it, who may change it
    pipelines/library/<name>/versions/7/pipeline.yaml    as it was written
    pipelines/library/<name>/versions/7/version.json     who, when, and what was read

Written by the scribe, read back by a rebuild. Never read while Winslow runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from winslow_nomad.core.library import Shelf, Version
from winslow_nomad.resources import layout, scribe
from winslow_nomad.resources.scribe import Step
from winslow_nomad.resources.work import share_conditions


def steps(shelf: Shelf, versions: list[Version]) -> list[Step]:
    """A version that is there is not written again."""
    folder = layout.library_folder(shelf.name)
    found = [scribe.mkdir(f"{folder}/versions")]
    for version in versions:
        at = f"{folder}/versions/{version.number}"
        found += [
            scribe.mkdir(at),
            scribe.create(f"{at}/pipeline.yaml", version.text),
            scribe.create(f"{at}/version.json", version.model_dump_json(exclude={"text"}) + "\n"),
        ]
    return [*found, scribe.write(f"{folder}/shelf.json", shelf.model_dump_json(indent=1) + "\n")]


def read(root: Path) -> Iterator[tuple[Shelf, list[Version]] | str]:
    """Every pipeline with its versions; a sentence for one that cannot be read."""
    with share_conditions():
        for name in _names(root / layout.LIBRARY):
            try:
                yield _read(root / layout.LIBRARY / name)
            except (OSError, ValidationError, ValueError) as error:
                yield f"The pipeline in {layout.LIBRARY}/{name} cannot be read: {error}"


def _read(folder: Path) -> tuple[Shelf, list[Version]]:
    shelf = Shelf.model_validate_json((folder / "shelf.json").read_bytes())
    versions = []
    for number in sorted(int(n) for n in _names(folder / "versions") if n.isdecimal()):
        at = folder / "versions" / str(number)
        record = json.loads((at / "version.json").read_bytes())
        versions.append(Version.model_validate({**record, "text": (at / "pipeline.yaml").read_bytes().decode()}))
    newest = max((v.number for v in versions), default=0)
    return shelf.but(newest=min(shelf.newest, newest)), versions


def _names(folder: Path) -> list[str]:
    try:
        return sorted(n for n in os.listdir(folder) if not n.startswith("."))  # noqa: PTH208 - names are wanted
    except FileNotFoundError:
        return []
