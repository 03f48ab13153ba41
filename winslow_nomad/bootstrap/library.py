"""The library of pipelines: names and versions in the store, folders and a readable copy on the share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core.errors import Invalid, InvalidPipeline, NotFound, Problem, Unavailable
from winslow_nomad.core.library import Example, SavedChart, Shelf, Version
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Member
from winslow_nomad.resources import definitions, layout, library, samples, schema
from winslow_nomad.resources.definitions import FILE_NAME
from winslow_nomad.resources.pipeline_archive import unpacked
from winslow_nomad.resources.yaml_text import MAX_BYTES
from winslow_nomad.store.library import Shelves, Sources

log = logging.getLogger(__name__)
TAKEN = ("examples", "schema")  # GET /pipelines/<name> answers something else under these


class InstalledTexts:
    """core.library.PipelineTexts."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._sources = Sources(installation.state, installation.keys)

    def parse(self, text: str, *, folder: str | None = None) -> Pipeline:
        pipeline = definitions.parse(text, FILE_NAME, folder=folder)
        if folder is None and definitions.needs_folder(pipeline):
            problem = "${WINSLOW_PIPELINE} is the folder of the pipeline, and this is a single file"
            hint = "upload the folder as a zip file"
            raise InvalidPipeline((Problem(FILE_NAME, 0, 0, problem, hint, "pipeline.no_folder"),))
        return pipeline

    def write(self, pipeline: Pipeline) -> str:
        text = self._sources.get(pipeline)
        if text is None and pipeline.folder is not None:
            text = self._of_folder(pipeline, pipeline.folder)
        return text if text is not None else definitions.write(pipeline)

    def _of_folder(self, pipeline: Pipeline, digest: str) -> str | None:
        """The folder's own file, where the pipeline was read from that and not changed since."""
        try:
            raw = self._installation.reader.read(f"{layout.pipeline_folder(digest)}/{FILE_NAME}", MAX_BYTES)
            text = (raw or b"").decode()
            read = definitions.parse(text, FILE_NAME, folder=digest)
        except (Unavailable, Invalid, UnicodeDecodeError):
            return None  # then it is written anew
        return text if read == pipeline.but(version=0, edited=False) else None

    def remember(self, pipeline: Pipeline, text: str) -> None:
        self._sources.put(pipeline, text)

    def unpack(self, archive: bytes) -> tuple[str, str]:
        self._installation.scribe  # noqa: B018 - the share has to be established before anything is put there
        with unpacked(archive) as folder:
            try:
                pipeline = definitions.take(folder, self._installation.settings.share)
            except InvalidPipeline as error:  # where it was unpacked to is nobody's business
                raise InvalidPipeline(tuple(replace(p, file=FILE_NAME) for p in error.problems)) from None
        assert pipeline.folder is not None  # a folder always has a digest
        raw = self._installation.reader.read(f"{layout.pipeline_folder(pipeline.folder)}/{FILE_NAME}", MAX_BYTES)
        return (raw or b"").decode(), pipeline.folder

    def of_folder(self, digest: str) -> Pipeline:
        try:
            raw = self._installation.reader.read(f"{layout.pipeline_folder(digest)}/{FILE_NAME}", MAX_BYTES)
        except Invalid:
            raw = None
        if raw is None:
            raise NotFound(
                f"There is no folder of a pipeline {digest[:64]!r} here.",
                hint="Bring it in first, with POST /pipelines/validate/folder.",
                code="pipeline.folder_unknown",
            )
        return self.parse(raw.decode(), folder=digest)

    def schema(self) -> Mapping[str, Any]:
        return schema.schema()


class InstalledLibrary:
    """core.library.Library. The store decides; the share follows at once, or as soon as it can again."""

    def __init__(self, installation: Installation, texts: InstalledTexts) -> None:
        self._installation = installation
        self._texts = texts
        self._shelves = Shelves(installation.state, installation.clock, installation.keys)

    def shelves(self, *, trashed: bool = False) -> Sequence[Shelf]:
        return [s for s in self._shelves.all() if (s.trashed is not None) == trashed]

    def shelf(self, name: str) -> Shelf:
        return self._shelves.get(name)

    def version(self, name: str, number: int = 0) -> Version:
        return self._shelves.version(name, number)

    def versions(self, name: str) -> Sequence[Version]:
        self._shelves.get(name)
        return self._shelves.versions(name)

    def publish(
        self,
        text: str,
        folder: str | None,
        author: str,
        *,
        name: str = "",
        expected: int | None = None,
        comment: str = "",
    ) -> Version:
        pipeline = self._texts.parse(text, folder=folder)
        if name and pipeline.name != name:
            problem = f"the file is called {pipeline.name}, and this is the pipeline {name}"
            hint = f"write `name: {name}`, or publish it as a pipeline of its own"
            raise InvalidPipeline((Problem(FILE_NAME, 0, 0, problem, hint, "pipeline.other_name"),))
        if pipeline.name in TAKEN:
            problem = f"no pipeline of the library can be called {pipeline.name}: its address stands for something else"
            raise InvalidPipeline((Problem(FILE_NAME, 0, 0, problem, "choose another name", "pipeline.reserved"),))
        version = self._shelves.publish(pipeline, text, author, expected, comment)
        self._texts.remember(version.pipeline, text)
        self.mirror()
        return version

    def describe(
        self, name: str, *, author: str | None = None, participants: tuple[Member, ...] | None = None
    ) -> Shelf:
        changes = {"author": author, "participants": participants}
        return self._changed(name, lambda s: s.but(**{k: v for k, v in changes.items() if v is not None}))

    def draw(self, name: str, change: Callable[[Shelf], tuple[SavedChart, ...]]) -> Shelf:
        return self._changed(name, lambda s: s.but(charts=change(s)))

    def trash(self, name: str) -> Shelf:
        return self._changed(name, lambda s: s.but(trashed=self._installation.clock.now()))

    def restore(self, name: str) -> Shelf:
        return self._changed(name, lambda s: s.but(trashed=None))

    def _changed(self, name: str, change: Callable[[Shelf], Shelf]) -> Shelf:
        shelf = self._shelves.change(name, change)
        self.mirror()
        return shelf

    def mirror(self) -> None:
        """Bring what the share lacks; while it cannot be written to, it is left for the next time."""
        try:
            for name in self._shelves.unmirrored():
                shelf = self._shelves.get(name)
                steps = library.steps(shelf, self._shelves.versions(name))
                self._installation.scribe.perform(steps, f"the pipeline {name} was not written to the share")
                self._shelves.mirrored(shelf)
        except Unavailable as error:
            log.warning("the library waits for the share: %s", error)

    def examples(self, driver: str) -> Sequence[Example]:
        return samples.examples(driver)

    def take_example(self, name: str, author: str) -> Version:
        place = samples.folder(name)
        self._installation.scribe  # noqa: B018 - the share has to be established before anything is put there
        pipeline = definitions.take(place, self._installation.settings.share)
        return self.publish((place / FILE_NAME).read_text(encoding="utf-8"), pipeline.folder, author)

    def clip(self, name: str) -> bytes:
        return samples.clip(name)


def restore_library(installation: Installation) -> list[str]:
    """Back into the store from the share: what it lacks. Sentences."""
    shelves = Shelves(installation.state, installation.clock, installation.keys)
    sentences, restored = [], 0
    for found in library.read(installation.settings.share):
        if isinstance(found, str):
            sentences.append(found)
        else:
            restored += shelves.put(*found)
    return [*([f"{restored} pipelines were restored into the library."] if restored else []), *sentences]
