"""Between a project and the small records it is stored as. No I/O.

Fields that have their default are left out, which keeps an ended stage below 300 bytes; a default in
the core may therefore only change together with FORMAT. Pipelines are written in full, because their
digest names them."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from winslow_nomad.core.errors import Invalid, StoreUnavailable
from winslow_nomad.core.model import Value
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, Stage

FORMAT = 1
ELSEWHERE = {"pipeline", "stages", "sealing", "ended"}


def write_head(project: Project) -> bytes:
    try:
        return project.model_dump_json(exclude=ELSEWHERE, exclude_defaults=True).encode()
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise _unwritable(f"project {project.id}", error) from error


def write_record(record: Value) -> bytes:
    """A stage, an ended stage, or an extract."""
    try:
        return record.model_dump_json(exclude_defaults=True).encode()
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise _unwritable(f"a {type(record).__name__}", error) from error


def write_row(row: Mapping[str, object]) -> bytes:
    """A line of a list, as plain values."""
    try:
        return to_json(row)
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise _unwritable("a line of a list", error) from error


def write_pipeline(pipeline: Pipeline) -> tuple[str, bytes]:
    """(digest, text)"""
    try:
        text = pipeline.model_dump_json().encode()
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise _unwritable(f"pipeline {pipeline.name!r}", error) from error
    return hashlib.sha256(text).hexdigest(), text


def read_stage(text: bytes) -> Stage:
    return Stage.model_validate_json(text)


def read_ended(text: bytes) -> EndedStage:
    return EndedStage.model_validate_json(text)


def read_head(head: bytes, pipeline: Pipeline) -> Project:
    """The project without its stages."""
    return Project.model_validate({**from_json(head), "pipeline": pipeline})


def assemble(
    head: Project,
    stages: Mapping[int, Stage],
    sealing: Mapping[int, Stage],
    ended: Mapping[int, EndedStage],
) -> Project:
    """Maps in the order of their numbers: what is computed from a project must not depend on how it was stored."""
    return head.model_copy(
        update={
            "stages": dict(sorted(stages.items())),
            "sealing": dict(sorted(sealing.items())),
            "ended": dict(sorted(ended.items())),
        }
    )


class Pipelines:
    """Parsed pipelines by digest: thousands of projects share a few."""

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._parsed: OrderedDict[str, Pipeline] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: str) -> Pipeline | None:
        with self._lock:
            found = self._parsed.get(digest)
            if found is not None:
                self._parsed.move_to_end(digest)
            return found

    def parse(self, digest: str, text: bytes) -> Pipeline:
        pipeline = Pipeline.model_validate_json(text)
        self.keep(digest, pipeline)
        return pipeline

    def keep(self, digest: str, pipeline: Pipeline) -> None:
        with self._lock:
            self._parsed[digest] = pipeline
            self._parsed.move_to_end(digest)
            while len(self._parsed) > self._size:
                self._parsed.popitem(last=False)


def unreadable(what: str, error: ValidationError | ValueError) -> StoreUnavailable:
    return StoreUnavailable(
        f"The store's record of {what} cannot be read: {error}. It was left as it is.",
        hint="Run `winslow doctor`; `winslow rebuild` restores it from the share.",
        code="store.unreadable",
    )


def _unwritable(what: str, error: Exception) -> Invalid:
    return Invalid(
        f"{what} holds a value that cannot be stored: {error}. Nothing was changed.",
        hint="Texts must be valid Unicode.",
        code="store.unwritable",
    )
