"""The project's `output/`: a link for each stage definition to the output of its newest stage that
succeeded. A view and no more: it can be deleted and comes back with the next stage that is sealed.
"""

from __future__ import annotations

from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, StageState
from winslow_nomad.resources import layout, scribe
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.scribe import Step


def counting(project: Project) -> dict[str, EndedStage]:
    """The newest stage with a result by stage id."""
    newest: dict[str, EndedStage] = {}
    for _, ended in sorted(project.ended.items()):
        if ended.state is StageState.SUCCEEDED and ended.attempt:
            newest[ended.id] = ended
    return newest


def steps(project: Project, reader: Reader) -> list[Step]:
    """What is missing in the view or older than it should be. A link to a newer stage is never taken back:
    somebody else may know more than this copy of the project."""
    folder = f"{layout.project_folder(project.id)}/output"
    there = set(reader.names(folder))
    found = [] if there else [scribe.mkdir(folder)]
    for name, ended in counting(project).items():
        stage = layout.folder_of(project.id, ended)
        target = layout.link_from(folder, f"{layout.attempt_folder(stage, ended.attempt)}/output")
        path = f"{folder}/{name}"
        if name in there and _number(reader, path) >= ended.number:
            continue
        found.append(scribe.symlink(path, target, replace=True))
    return found if len(found) > 1 or there else []


def _number(reader: Reader, path: str) -> int:
    """The stage that a link of the view leads to; 0: it is no link of ours."""
    root = reader.root
    try:
        target = reader.call(lambda: (root / path).readlink(), path)
    except OSError:
        return 0
    parsed = layout.parse_stage(target.parts[2]) if len(target.parts) > 2 else None
    return parsed[0] if parsed else 0
