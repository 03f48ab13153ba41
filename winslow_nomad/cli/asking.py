"""The questions of a project, asked at the terminal: what to look at, the answers, and the command that an
answer becomes. Sends nothing itself; whoever asked sends the command, and asks again when it is refused."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath, PurePosixPath
from tempfile import TemporaryDirectory

from winslow_nomad.cli import given, words
from winslow_nomad.cli.terminal import Terminal
from winslow_nomad.core.client import Client
from winslow_nomad.core.errors import Invalid, WinslowError
from winslow_nomad.core.messages import AnswerGate, AnyCommand, RedoStage
from winslow_nomad.core.pipeline import FILE_KINDS
from winslow_nomad.core.project import Gate, Project
from winslow_nomad.core.stage import EndedStage, Overrides, StageState

TABLE_ROWS = 12  # of a small table that is shown as it is
TABLE_BYTES = 4096


def looked_at(client: Client, project: Project, gate: Gate) -> list[PurePath]:
    """What a person should see before answering: absolute paths, or on a server locations for `winslow files get`."""
    found: list[PurePath] = []
    for entry in gate.show:
        directory, _, path = entry.partition("/output/")
        output = client.output(project.id, int(directory.partition("-")[0]))
        if output is not None:
            found.append(output / path)
        elif client.address(project.id):
            found.append(PurePosixPath(f"{project.id}:stages/{entry}"))
    return found


def here(client: Client, path: PurePath, aside: Path) -> Path:
    """What is looked at, on this machine; small tables of a server are fetched into `aside`."""
    project, colon, below = str(path).partition(":stages/")
    if not colon or path.is_absolute() or path.suffix != ".csv":
        return Path(path)
    target = aside / below.replace("/", "-")
    with suppress(WinslowError, OSError):
        if client.files.entry(f"project:{project}", f"stages/{below}").bytes <= TABLE_BYTES:
            client.files.get(f"project:{project}", f"stages/{below}", target)
    return target


def how_to_answer(project: Project, gate: Gate) -> str:
    """The command line that answers later, for who is not at a terminal."""
    answers = {
        "confirm": "--go (or --skip, --stop)",
        "condition": "--go (or --skip, --stop)",
        "values": " ".join(f"--set {name}=..." for name in gate.missing),
        "choice": "--choose STAGE",
    }
    return f"winslow gate {project.id} {gate.id} {answers[gate.kind]}"


def ask(client: Client, terminal: Terminal, project: Project, gate: Gate) -> AnyCommand:
    """The command for the person's answer. Raises terminal.Withdrawn."""
    terminal.tell()
    terminal.tell(gate.question)
    paths = looked_at(client, project, gate)
    if paths:
        terminal.tell("Look at")
    if paths and not paths[0].is_absolute():
        terminal.tell(f"  {client.address(project.id)}, or with winslow files get")
    with TemporaryDirectory(prefix="winslow-") as aside:
        for path in paths:
            local = here(client, path, Path(aside))
            missing = path.is_absolute() and not local.exists()
            terminal.tell(f"  {path}" + ("  (not there)" if missing else ""))
            for line in small_table(local) if local.exists() else ():
                terminal.tell(f"      {line}")
    if gate.kind == "values":
        return _values(client, terminal, project, gate)
    if gate.kind == "choice":
        return _choice(terminal, project, gate)
    return _confirm(terminal, project, gate)


def small_table(path: Path) -> list[str]:
    """The rows of a CSV file that is small enough to read at a glance, in columns."""
    try:
        if path.suffix != ".csv" or path.stat().st_size > TABLE_BYTES:
            return []
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    if len(rows) > TABLE_ROWS + 1 or not rows:
        return []
    columns = max(len(r) for r in rows)
    full = [[*r, *[""] * (columns - len(r))] for r in rows]
    widths = [max(len(r[i]) for r in full) for i in range(columns)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(r, widths, strict=True)) for r in full]


def _pick(terminal: Terminal, question: str, answers: Mapping[str, str]) -> str:
    """One of the answers by its word, the beginning of it, or its place."""
    for place, (word, meaning) in enumerate(answers.items(), 1):
        terminal.tell(f"  {place}  {word:<6} {meaning}")
    while True:
        text = terminal.ask(question).lower()
        found = [w for i, w in enumerate(answers, 1) if text and (w.startswith(text) or text == str(i))]
        if len(found) == 1 or text in found:
            return text if text in found else found[0]
        terminal.tell(f"Answer with one of {', '.join(answers)}.")


def _confirm(terminal: Terminal, project: Project, gate: Gate) -> AnyCommand:
    before = given.redoable(project, gate.stage)
    for number, _ in before:
        ended = project.ended[number]
        if ended.results:
            terminal.tell(f"  {ended.name}: {words.results(ended.results)}")
    name = project.stages[gate.stage].definition.id if gate.stage in project.stages else "the sweep"
    answers = {"go": f"let {name} run"}
    if before and gate.kind == "confirm":
        answers["redo"] = "redo an earlier stage with other values, and be asked again"
    answers |= {"skip": f"go on without {name}", "stop": f"stop {name} and what would follow it"}
    answer = _pick(terminal, "Answer:", answers)
    if answer == "redo":
        return _redo(terminal, project, before)
    return AnswerGate(gate=gate.id, answer="go" if answer == "go" else "skip" if answer == "skip" else "stop")


def _redo(terminal: Terminal, project: Project, before: list[tuple[int, str]]) -> AnyCommand:
    number, name = before[0]
    while len(before) > 1:
        text = terminal.ask(f"Redo which stage ({', '.join(i for _, i in before)})?")
        chosen = [(n, i) for n, i in before if text in (i, str(n))]
        if chosen:
            number, name = chosen[0]
            break
    ended = project.ended[number]
    now = {**_defaults(project), **project.values, **ended.point, **ended.overrides.values}
    if now:
        terminal.tell(f"{name} ran with {words.pairs(now)}")
    while True:
        text = terminal.ask(f"Redo {name} with (KEY=VALUE ..., empty: as it was):")
        try:
            values = given.values(project.pipeline, given.words(text))
        except Invalid as wrong:
            terminal.tell(str(wrong))
            continue
        return RedoStage(stage=number, overrides=Overrides(values=values))


def _defaults(project: Project) -> dict[str, str]:
    """Parameters with a default; files are named by their path in the input pool and not changed here."""
    return {
        n: p.default
        for n, p in project.pipeline.parameters.items()
        if p.default is not None and p.kind not in FILE_KINDS
    }


def _values(client: Client, terminal: Terminal, project: Project, gate: Gate) -> AnyCommand:
    found: dict[str, str] = {}
    for name in gate.missing:
        parameter = project.pipeline.parameters.get(name)
        about = [t for t in (parameter.title, parameter.help, ", ".join(parameter.options)) if t] if parameter else []
        while name not in found:
            text = terminal.ask(f"{name}" + (f" ({'; '.join(about)})" if about else "") + ":")
            try:
                if parameter is not None and parameter.kind in FILE_KINDS:
                    found |= given.inputs(project.pipeline, [f"{name}={text}"], client.bring_input)
                else:
                    found |= given.values(project.pipeline, [f"{name}={text}"])
            except WinslowError as wrong:
                terminal.tell(str(wrong))
    return AnswerGate(gate=gate.id, values=found)


def candidates(project: Project, sweep: int) -> list[EndedStage]:
    """Stages of a sweep with which the project can go on."""
    ended = (project.ended[n] for n in sorted(project.ended))
    return [e for e in ended if e.sweep == sweep and e.state is StageState.SUCCEEDED]


def _choice(terminal: Terminal, project: Project, gate: Gate) -> AnyCommand:
    stages = candidates(project, gate.sweep)
    for ended in stages:
        terminal.tell(f"  {ended.number:>4}  {words.pairs(ended.point)}  {words.results(ended.results)}")
    while True:
        text = terminal.ask("Go on with which stage (its number, or stop)?")
        if text == "stop":
            return AnswerGate(gate=gate.id, answer="stop")
        if text in {str(e.number) for e in stages}:
            return AnswerGate(gate=gate.id, stage=int(text))
