"""What commands print for people: tables and sentences. Nothing here decides or fetches anything."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from winslow_nomad.cli import outputs, words
from winslow_nomad.cli.screen import shape
from winslow_nomad.core.begins import Begin
from winslow_nomad.core.client import Finding, Summary
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, Stage
from winslow_nomad.core.verdicts import NodeVerdict

SEVERITY = {"ok": "succeeded", "note": "idle", "warning": "waiting", "problem": "failed"}


def console(*, stderr: bool = False) -> Console:
    """Texts are never read as markup; lines are not broken where nobody looks."""
    found = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = 100_000  # a pipe has no edge
    return found


def grid(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_header=bool(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def show(table: Table) -> None:
    console().print(table)


def projects(found: Sequence[Summary], now: datetime) -> None:
    if not found:
        sys.stdout.write("There are no projects.\n")
        return
    out, table = console(), grid("", "project", "state", "pipeline", "name", "tags", "changed")
    for p in found:
        table.add_row(
            shape(out, p.state),
            p.id,
            p.state,
            words.safe(p.pipeline),
            words.safe(p.name),
            words.safe(" ".join(p.tags)),
            words.moment(p.updated, now),
        )
    show(table)


def project(
    found: Project, now: datetime, paths: Mapping[int, PurePath], begins: Mapping[int, Begin] | None = None
) -> None:
    out, said = console(), words.of_project(found)
    head = words.safe(f" {found.name} ({found.id}): {said.sentence}")
    out.print(Text.assemble(shape(out, said.look), head), soft_wrap=True)
    if found.trashed is not None:
        out.print("It is in the trash.")
    if found.values:
        out.print(Text(f"values: {words.pairs(found.values)}"), soft_wrap=True)
    table = grid("", "stage", "state", "took", "results", "why")
    for stage in words.every(found):
        words_of = words.of_stage(found, stage, now)
        table.add_row(
            shape(out, words_of.look),
            words.named(stage),
            words_of.word,
            took(stage, now),
            words.results(stage.results),
            words.safe(why(words_of.detail, (begins or {}).get(stage.number))),
        )
    if table.row_count:
        show(table)
    for comment in found.comments:
        where = f" on stage {comment.stage}" if comment.stage else ""
        line = f"{comment.actor}{where}, {words.moment(comment.at, now)}: {comment.text}"
        out.print(Text(words.safe(line)), soft_wrap=True)
    for number in outputs.final(found):
        if number in paths:
            out.print(Text(f"output of {found.ended[number].name}: {paths[number]}"), soft_wrap=True)


def why(detail: str, begin: Begin | None) -> str:
    """`a GPU: both are in use; may start in about 40 min: 14 runs of detect took 12 to 15 min, and it is next`"""
    if begin is None:
        return detail
    return f"{detail}; may start in {begin.text}" if detail else f"may start in {begin.text}"


def took(stage: Stage | EndedStage, now: datetime) -> str:
    if stage.started is None:
        return ""
    return words.duration(((stage.ended or now) - stage.started).total_seconds())


def end_of_run(out: Console, found: Project, now: datetime, paths: Mapping[int, PurePath]) -> None:
    """The last page of `winslow run`: what became of each stage, and where the results are."""
    said = words.of_project(found)
    head = f"{words.safe(found.name)} ({found.id}) {said.word}"
    head += f" after {words.duration((now - found.created).total_seconds())}" if said.word == "succeeded" else ""
    out.print()
    out.print(Text.assemble(shape(out, said.look), " ", (head, "bold")), soft_wrap=True)
    if said.detail:
        out.print(Text(words.safe(said.detail)), soft_wrap=True)
    table = grid("", "stage", "state", "took", "results")
    for stage in words.every(found):
        now_said = words.of_stage(found, stage, now)
        why = now_said.detail if stage.ended is None or not stage.results else ""
        table.add_row(
            shape(out, now_said.look),
            words.named(stage),
            now_said.word,
            took(stage, now),
            words.results(stage.results) or words.safe(why),
        )
    out.print(table)
    finals = [n for n in outputs.final(found) if n in paths]
    for number in finals:
        _files(out, found.ended[number].name, paths[number])
    others = [n for n in sorted(paths) if n not in finals]
    if others:
        out.print("Outputs of the other stages:")
    for number in others[:20]:
        out.print(Text(f"  {paths[number]}"), soft_wrap=True)
    if len(others) > 20:
        out.print(f"  and {len(others) - 20} more: winslow show {found.id} --json lists them")


def _files(out: Console, name: str, directory: PurePath) -> None:
    found = outputs.files(directory)
    out.print(Text(f"Results of {name}:"))
    if found is None:
        out.print(Text(f"  {directory} (cannot be read now)"), soft_wrap=True)
        return
    files, left_out = found
    for file in files:
        out.print(Text(f"  {words.safe(str(file.path))}  {words.size(file.size)}"), soft_wrap=True)
    if left_out:
        out.print(Text(f"  and {words.count(left_out, 'more file')} in {directory}"), soft_wrap=True)
    if not files:
        out.print(Text(f"  {directory} (no files)"), soft_wrap=True)


def verdicts(nodes: Sequence[NodeVerdict]) -> None:
    """What keeps a stage that waits from each node."""
    if not nodes:
        return
    table = grid("node", "could hold it", "has room", "what keeps it from there")
    for one in nodes:
        yes = [("yes" if so else "no") for so in (one.fits, one.free)]
        table.add_row(words.safe(one.node), *yes, words.safe(one.text))
    show(table)


def record(found: Mapping[str, Any]) -> None:
    """The record of a stage as it is on the share, key by key."""
    table = grid()
    table.show_header = False
    table.add_column()
    table.add_column(overflow="fold")
    for key, value in _flat("", found):
        table.add_row(Text(words.safe(key), style="dim"), Text(words.safe(str(value))))
    show(table)


def _flat(prefix: str, value: object) -> list[tuple[str, object]]:
    if isinstance(value, Mapping):
        return [row for k, v in value.items() for row in _flat(f"{prefix}.{k}" if prefix else str(k), v)]
    if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
        return [row for i, v in enumerate(value, 1) for row in _flat(f"{prefix}.{i}", v)]
    if value in (None, "", [], {}):
        return []
    return [(prefix, " ".join(map(str, value)) if isinstance(value, list) else value)]


def findings(found: Sequence[Finding]) -> None:
    out, table = console(), grid("", "", "what", "")
    table.show_header = False
    for f in found:
        look = SEVERITY[f.severity]
        text = f"{f.text} {f.fix}".strip()
        table.add_row(shape(out, look), f.severity, words.safe(f.subject), words.safe(text))
    show(table)
