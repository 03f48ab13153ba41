"""Making a project: from which pipeline, with which values."""

from __future__ import annotations

from pydantic import Field, model_validator

from winslow_nomad.api.views.base import Request, example
from winslow_nomad.core.project import Member

Axis = list[str] | str


class PipelineChoice(Request):
    """One of the four. `version` 0: the newest; of a project that is the copy it has now."""

    library: str = Field(default="", max_length=100, description="name of a pipeline in the library")
    version: int = Field(default=0, ge=0)
    text: str = Field(default="", max_length=1_000_000, description="a pipeline file of its own")
    project: str = Field(default="", max_length=100, description="as another project has it")
    folder: str = Field(default="", max_length=64, description="digest of a folder that was checked")

    model_config = example(library="traffic", version=7)

    @model_validator(mode="after")
    def one(self) -> PipelineChoice:
        if sum(bool(x) for x in (self.library, self.text, self.project, self.folder)) != 1:
            raise ValueError("name one of library, text, project and folder")
        return self


class NewProject(Request):
    """`values` as texts; files by their path in the input pool. `secrets` are texts, encrypted at once. `sweeps`: stage
    id -> name -> values, as a list or as `100..500:100` or `fast|exact`. `participants` null: everybody here is a
    member, unless the installation says otherwise. `start`: begin at once."""

    name: str = Field(min_length=1, max_length=200)
    pipeline: PipelineChoice
    values: dict[str, str] = Field(default={}, max_length=500)
    secrets: dict[str, str] = Field(default={}, max_length=100)
    tags: list[str] = Field(default=[], max_length=50)
    priority: int = Field(default=50, ge=0, le=100)
    participants: list[Member] | None = Field(default=None, max_length=200)
    sweeps: dict[str, dict[str, Axis]] = Field(default={}, max_length=100)
    driver: str = Field(default="", max_length=40, description="empty: the installation's own")
    start: bool = False

    model_config = example(
        name="Neckartor, 17 Nov 16:30", pipeline={"library": "traffic"}, values={"VIDEO": "b14/neckartor.mp4"},
        tags=["b14-campaign"], start=True,
    )  # fmt: skip


class SweepAsked(Request):
    """Values by name, as a list or as people write them: `100..500:100`, `fast|exact`."""

    axes: dict[str, Axis] = Field(min_length=1, max_length=20)

    model_config = example(axes={"MIN_AREA": "100..500:100", "MODEL": "fast|exact"})
