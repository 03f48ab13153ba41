"""A pipeline as the text of a file: what people edit when they change a project's own copy.

Reads back as the same pipeline (but for its folder, which no file names). Only what differs from the
defaults is written; comments and `defaults:` of the file it came from are not part of a pipeline."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import yaml

from winslow_nomad.core.pipeline import Pipeline, Resources, StageDefinition
from winslow_nomad.resources.pipeline_keys import FORMAT, PIPELINE, STAGE
from winslow_nomad.resources.sizes import format_duration, format_size


class _Dumper(yaml.SafeDumper):
    """Leaves every text plain that can be: the reader keeps source texts, so `010` needs no quotes."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text else "'"  # PyYAML would leave an empty text away
    if any(c in text for c in "\x85\u2028\u2029"):
        style = '"'  # line breaks of YAML 1.1: anywhere else they would be folded into spaces
    elif "\n" in text and all(line == line.rstrip() for line in text.split("\n")) and not text[:1].isspace():
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def write(pipeline: Pipeline) -> str:
    """YAML text; `parse` gives the same pipeline again."""
    fields = pipeline.model_dump(mode="json", exclude_defaults=True, exclude={"stages", "folder"})
    for name, parameter in fields.get("parameters", {}).items():
        fields["parameters"][name] = {"type": parameter.pop("kind"), **parameter}
    chain = _is_chain(pipeline)
    fields["stages"] = [_stage(s, first=n == 0, chain=chain) for n, s in enumerate(pipeline.stages)]
    fields["winslow"] = str(FORMAT)
    ordered = {key.name: _plain(fields[key.name]) for key in PIPELINE.keys if key.name in fields}
    return yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31, default_flow_style=None)


def _is_chain(pipeline: Pipeline) -> bool:
    ids = [s.id for s in pipeline.stages]
    return [s.needs for s in pipeline.stages] == [(), *((i,) for i in ids[:-1])]


def _stage(stage: StageDefinition, *, first: bool, chain: bool) -> dict[str, Any]:
    fields = stage.model_dump(mode="json", exclude_defaults=True)
    fields.pop("needs", None)
    if not chain and (stage.needs or not first):
        fields["needs"] = list(stage.needs)
    for key in ("timeout", "stop_grace", "patience"):
        if key in fields:
            fields[key] = format_duration(fields[key])
    if "delay" in fields.get("retry", {}):
        fields["retry"]["delay"] = format_duration(fields["retry"]["delay"])
    if "resources" in fields:
        fields["resources"] = _resources(stage.resources, fields["resources"])
    return {key.name: fields[key.name] for key in STAGE.keys if key.name in fields}


def _resources(resources: Resources, fields: dict[str, Any]) -> dict[str, Any]:
    for key in ("memory", "memory_max", "shm"):
        if key in fields:
            fields[key] = format_size(fields[key])
    if resources.gpu is not None:
        fields["gpu"] = {"count": resources.gpu.count}
        if resources.gpu.memory:
            fields["gpu"]["memory"] = format_size(resources.gpu.memory)
        if resources.gpu.model:
            fields["gpu"]["model"] = resources.gpu.model
    return fields


def _plain(value: Any) -> Any:
    """All scalars as texts."""
    match value:
        case dict():
            return {key: _plain(below) for key, below in value.items()}
        case list() | tuple():
            return [_plain(below) for below in value]
        case bool():
            return "true" if value else "false"
        case float():
            return f"{Decimal(repr(value)).normalize():f}"
        case _:
            return str(value)
