"""A stage's whole record, what happened, sizes, and stages beside one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from winslow_nomad.api.views.base import Answer, example
from winslow_nomad.api.views.hidden import MASK, masked, masked_record
from winslow_nomad.api.views.stages import Percent, StageView
from winslow_nomad.core.expand import WINSLOW_VARIABLES
from winslow_nomad.core.history import Part, Told
from winslow_nomad.core.images import Image
from winslow_nomad.core.layers import Layer, layers
from winslow_nomad.core.pipeline import StageDefinition
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Overrides
from winslow_nomad.core.verdicts import NodeVerdict

LITERAL = frozenset({"installation", "parameter", "project", "run", "sweep"})  # origins whose texts refer to nothing


class Variable(Answer):
    """What the process gets as `name`, and all layers that have it, the farthest first. `origin` empty: it is not set.
    Of an ended stage `value` and `origin` are as it ran; layers of project and installation as they are now."""

    name: str
    value: str | None
    origin: str
    secret: bool = False
    layers: list[Layer] = []
    help: str = ""


class StageRecord(Answer):
    """`record`: of an ended stage what its stage.json says, the same shape made up for an open one; secrets masked.
    `image`: what its image's name was found to stand for; null: no registry was asked, the name was used as it is."""

    stage: StageView
    environment: list[Variable]
    image: Image | None = None
    record: dict[str, Any]

    model_config = example(
        stage={"number": 2, "id": "detect", "name": "0002-detect", "state": "succeeded", "look": "succeeded",
               "word": "succeeded"},
        environment=[{"name": "MIN_AREA", "value": "340", "origin": "run",
                      "layers": [{"origin": "parameter", "value": "300"}, {"origin": "run", "value": "340"}]}],
        record={"number": 2, "node": "birch"},
    )  # fmt: skip


class HistoryPage(Answer):
    """The newest first."""

    items: list[Told]
    next: int = Field(description="give it as `before` for what was earlier; 0: there is no more")

    model_config = example(
        items=[{"version": 31, "at": "2026-11-24T14:32:00Z", "actor": "mara",
                "entries": [{"what": "stop_asked", "stage": 4, "id": "track", "attempt": 1, "text": "terminate"}]}],
        next=31,
    )  # fmt: skip


class Disk(Answer):
    """What lies on the share for a project, counted now and then. `complete` False: something is not counted yet."""

    bytes: int
    files: int
    complete: bool
    parts: list[Part]

    model_config = example(bytes=45742931968, files=1204, complete=True, parts=[])


class ProgressView(Answer):
    """By stage number."""

    stages: dict[int, Percent]

    model_config = example(stages={4: {"percent": 62.0, "cpu_seconds": 58000.0, "memory_bytes": 18400000000}})


class NodeVerdicts(Answer):
    """What each node says to a stage that waits for one, those that come nearest first; none for any other stage."""

    items: list[NodeVerdict]

    model_config = example(items=[{"node": "birch", "fits": True, "free": False, "text": "2 of 2 GPUs in use"}])


class Compared(Answer):
    """One line of a comparison: a value for each stage, null where it has none. `best`: places of the best values,
    where the pipeline says which those are."""

    group: str = Field(description="values, environment, results, run or definition")
    name: str
    values: list[Any]
    differs: bool


class Comparison(Answer):
    stages: list[StageView]
    lines: list[Compared]
    differing: int

    model_config = example(
        stages=[], differing=1,
        lines=[{"group": "values", "name": "MIN_AREA", "values": ["200", "300"], "differs": True}],
    )  # fmt: skip


def variables(project: Project, record: Mapping[str, Any], installation: Mapping[str, str]) -> list[Variable]:
    definition = StageDefinition.model_validate(record["definition"])
    overrides = Overrides.model_validate(record.get("overrides") or {})
    around = layers(project, definition, overrides, record.get("point") or {}, installation)
    fixed = {v["name"]: v for v in record.get("environment") or ()}
    found = []
    for name in sorted({*around, *fixed}):
        known = around.get(name, ())
        secret = name in definition.secrets or bool(fixed.get(name, {}).get("secret"))
        value: str | None
        if name in fixed:
            value, origin = _plain(fixed[name]), fixed[name]["origin"]
        else:
            value, origin = (known[-1].value, known[-1].origin) if known else (None, "")
        if secret or name in project.pipeline.secrets:
            value = MASK if value is not None or known else None
        found.append(Variable(name=name, value=value, origin=origin, secret=secret, layers=list(known)))
    given = [Variable(name=n, value=None, origin="winslow", help=h) for n, h in WINSLOW_VARIABLES.items()]
    return found + given


def _plain(variable: Mapping[str, Any]) -> str:
    value: str = variable["value"]
    return value.replace("$$", "$") if variable["origin"] in LITERAL else value


def stage_record(
    project: Project, stage: StageView, record: Mapping[str, Any], installation: Mapping[str, str]
) -> StageRecord:
    return StageRecord(
        stage=stage,
        environment=variables(project, record, installation),
        image=_image(record),
        record=masked_record(record, project.pipeline.secrets),
    )


def comparison(
    project: Project, stages: Sequence[StageView], records: Sequence[Mapping[str, Any]], installation: Mapping[str, str]
) -> Comparison:
    """`records` as they are; what is secret is masked here."""
    tables = [_table(project, s, r, installation) for s, r in zip(stages, records, strict=True)]
    places = list(dict.fromkeys(place for table in tables for place in table))
    lines = []
    for group, name in sorted(places, key=lambda p: GROUPS.index(p[0])):
        values = [table.get((group, name)) for table in tables]
        differs = any(v != values[0] for v in values[1:])
        lines.append(Compared(group=group, name=name, values=values, differs=differs))
    return Comparison(stages=list(stages), lines=lines, differing=sum(line.differs for line in lines))


GROUPS = ("values", "environment", "results", "run", "definition")


def _table(
    project: Project, stage: StageView, record: Mapping[str, Any], installation: Mapping[str, str]
) -> dict[tuple[str, str], Any]:
    definition = StageDefinition.model_validate(record["definition"])
    overrides = Overrides.model_validate(record.get("overrides") or {})
    found: dict[tuple[str, str], Any] = {}
    for variable in variables(project, record, installation):
        if variable.origin != "winslow":
            group = "values" if variable.name in project.pipeline.parameters else "environment"
            found[group, variable.name] = variable.value
    found |= {("results", name): value for name, value in sorted((record.get("results") or {}).items())}
    outcome = _outcome(record)
    run = {
        "state": stage.state,
        "seconds": stage.seconds,
        "waited": stage.waited,
        "node": stage.node,
        "attempts": len(record.get("attempts") or ()),
        "cpu_seconds": outcome.get("cpu_seconds"),
        "peak_memory_bytes": outcome.get("peak_memory_bytes"),
        "cause": outcome.get("cause"),
        "code": outcome.get("code"),
        "output_bytes": (record.get("output") or {}).get("bytes"),
        "inputs": stage.inputs,
    }
    found |= {("run", name): value for name, value in run.items()}
    ran = {
        "image": overrides.image or definition.image,
        "image_digest": image.digest if (image := _image(record)) is not None else None,
        "entrypoint": _either(overrides.entrypoint, definition.entrypoint),
        "command": _either(overrides.command, definition.command),
        "resources": (overrides.resources or definition.resources).model_dump(mode="json"),
        "timeout": overrides.timeout or definition.timeout,
        "workspace": overrides.workspace or definition.workspace,
        "pipeline": (record.get("pipeline") or {}).get("name", project.pipeline.name),
        "folder": record.get("folder"),
    }
    found |= {("definition", name): value for name, value in ran.items()}
    secret = {*definition.secrets, *project.pipeline.secrets}
    return {
        place: masked({place[1]: value}, secret)[place[1]] if isinstance(value, str) else value
        for place, value in found.items()
    }


def _either(first: tuple[str, ...] | None, second: tuple[str, ...] | None) -> list[str] | None:
    chosen = first if first is not None else second
    return list(chosen) if chosen is not None else None


def _image(record: Mapping[str, Any]) -> Image | None:
    """What ran, or runs; None: no registry was asked."""
    attempts = record.get("attempts") or ()
    image = attempts[-1].get("image") if attempts else None
    return Image.model_validate(image) if image else None


def _outcome(record: Mapping[str, Any]) -> dict[str, Any]:
    attempts = record.get("attempts") or ()
    return (attempts[-1].get("outcome") or {}) if attempts else {}
