"""Pipelines that are kept under a name for everybody: each with versions that never change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from winslow_nomad.core.model import Record, Value
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Member


class Version(Record):
    """`text`: as it was written, comments included. `pipeline.version` is `number`."""

    number: int
    text: str
    pipeline: Pipeline
    author: str = ""
    made: datetime
    comment: str = ""


class ChartSource(Value):
    """What is drawn of each execution of a stage. `file`: a CSV file in its output, or of a log parser, with `x` and
    `y` as columns; empty: results `y` of each execution, over its value or result `x`."""

    stage: str = Field(min_length=1, max_length=63)
    file: str = Field(default="", max_length=4096)
    x: str = Field(default="", max_length=200)
    y: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(min_length=1, max_length=16)


class SavedChart(Record):
    """A chart that every project of a pipeline shows. `best`: which value of the first `y` is marked."""

    id: str
    title: str
    look: Literal["lines", "points"] = "lines"
    sources: tuple[ChartSource, ...]
    best: Literal["", "min", "max"] = ""
    author: str = ""
    made: datetime


class Shelf(Record):
    """One pipeline of the library. `name` is the name in the file; `newest` the number of its last version."""

    name: str
    title: str = ""
    description: str = ""
    author: str = ""
    participants: tuple[Member, ...] = ()
    newest: int = 0
    stages: int = 0
    made: datetime
    updated: datetime
    trashed: datetime | None = None
    charts: tuple[SavedChart, ...] = ()


class Example(Value):
    """A pipeline to begin with. `code`: it comes with a folder, so it has to be taken into the library first; without,
    `text` stands for itself. `clip`: where a video for it lies in the input pool once it was brought; empty: it has
    none. `needs`: what is missing for running it here, in words."""

    name: str
    title: str
    description: str = ""
    text: str
    code: bool = False
    clip: str = ""
    needs: str = ""


class Library(Protocol):
    """Raises NotFound (pipeline.not_found), Conflict (pipeline.changed), InvalidPipeline, StoreUnavailable."""

    def shelves(self, *, trashed: bool = False) -> Sequence[Shelf]:
        """By name."""
        ...

    def shelf(self, name: str) -> Shelf: ...

    def version(self, name: str, number: int = 0) -> Version:
        """0: the newest."""
        ...

    def versions(self, name: str) -> Sequence[Version]:
        """The newest first."""
        ...

    def draw(self, name: str, change: Callable[[Shelf], tuple[SavedChart, ...]]) -> Shelf:
        """Other charts for it. `change` may be asked again where somebody else was quicker; it may raise."""
        ...

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
        """The next version of the pipeline that the text names, which must be `name` where one is given. The same text
        and folder as the newest again makes no new one. `expected`: the newest version that the author has seen (0:
        there is none)."""
        ...

    def describe(
        self, name: str, *, author: str | None = None, participants: tuple[Member, ...] | None = None
    ) -> Shelf: ...

    def trash(self, name: str) -> Shelf: ...

    def restore(self, name: str) -> Shelf: ...

    def examples(self, driver: str) -> Sequence[Example]:
        """`driver`: what would run them."""
        ...

    def take_example(self, name: str, author: str) -> Version:
        """The example with its code, published; a pipeline that is the same already stays as it is. Raises NotFound
        (example.unknown), ShareUnavailable."""
        ...

    def clip(self, name: str) -> bytes:
        """The video that comes with an example. Raises NotFound (example.unknown), Unavailable (example.no_clip)."""
        ...


class PipelineTexts(Protocol):
    """Between pipelines and the files that people write."""

    def parse(self, text: str, *, folder: str | None = None) -> Pipeline:
        """`folder`: digest of the one that it belongs to. Raises InvalidPipeline."""
        ...

    def write(self, pipeline: Pipeline) -> str:
        """The text that a pipeline was read from, as far as that is known; else one that reads back as the same."""
        ...

    def remember(self, pipeline: Pipeline, text: str) -> None:
        """`write` answers this text for this pipeline from now on."""
        ...

    def unpack(self, archive: bytes) -> tuple[str, str]:
        """Keep the folder in a zip file; (text of its pipeline file, digest of the folder). Raises Invalid,
        InvalidPipeline, ShareUnavailable."""
        ...

    def of_folder(self, digest: str) -> Pipeline:
        """Of a folder that is kept. Raises NotFound, InvalidPipeline, ShareUnavailable."""
        ...

    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of pipeline files, for editors."""
        ...
