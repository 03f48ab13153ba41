"""Where a process finds its files: real paths for processes of this machine, fixed ones in a container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PlacesKind = Literal["local", "container"]


@dataclass(frozen=True, slots=True)
class Places:
    """Absolute paths as the process of an attempt sees them. `pipeline` is None where a pipeline is a
    single file and has no folder."""

    input: str
    pipeline: str | None
    workspace: str
    output: str
    stages: str
    results: str
    progress: str


def in_container(pipeline_folder: str | None) -> Places:
    """The attempt's own directory is /winslow there."""
    return Places(
        input="/input",
        pipeline="/pipeline" if pipeline_folder else None,
        workspace="/workspace",
        output="/output",
        stages="/stages",
        results="/winslow/results",
        progress="/winslow/progress",
    )


def on_this_machine(root: str, attempt: str, workspace: str, pipeline_folder: str | None) -> Places:
    """`root`: the share, absolute; the others relative to it."""
    directory = f"{root}/{attempt}"
    return Places(
        input=f"{root}/inputs",
        pipeline=f"{root}/{pipeline_folder}" if pipeline_folder else None,
        workspace=f"{root}/{workspace}",
        output=f"{directory}/output",
        stages=f"{directory}/stages",
        results=f"{directory}/results",
        progress=f"{directory}/progress",
    )
