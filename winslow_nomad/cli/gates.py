"""`winslow gate`: the open questions of a project, and answers from the command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from winslow_nomad.cli import as_json as stable
from winslow_nomad.cli import asking, given, words
from winslow_nomad.cli.sending import Sender, report
from winslow_nomad.core.errors import Invalid, NotFound, Refused
from winslow_nomad.core.messages import AnswerGate
from winslow_nomad.core.project import Gate, Project


@dataclass(frozen=True)
class Answer:
    """What was given on the command line; at most one kind of answer."""

    go: bool = False
    skip: bool = False
    stop: bool = False
    choose: str = ""
    values: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    def kinds(self) -> list[str]:
        given_ = {"go": self.go, "skip": self.skip, "stop": self.stop, "choose": self.choose}
        return [k for k, v in {**given_, "set": self.values or self.inputs}.items() if v]


def show_or_answer(sender: Sender, which: str, answer: Answer, *, as_json: bool) -> None:
    kinds = answer.kinds()
    if not kinds:
        show(sender, which, as_json=as_json)
        return
    if len(kinds) > 1 and kinds != ["go", "set"]:
        raise Invalid(f"--{' and --'.join(kinds)} are different answers.", hint="Give one.", code="gate.unclear")
    gate = chosen(sender.project, which)
    after = sender.send(command(sender, gate, answer))
    report(sender, after, "Answered:", as_json=as_json)


def chosen(project: Project, which: str) -> Gate:
    if which:
        for gate in project.gates:
            if gate.id == which:
                return gate
        listed = ", ".join(g.id for g in project.gates)
        raise NotFound(
            f"There is no open question {which!r}.", hint=f"Open: {listed}." if listed else "", code="gate.not_found"
        )
    if len(project.gates) == 1:
        return project.gates[0]
    if not project.gates:
        hint = f"See winslow show {project.id} for what it waits for."
        raise Refused(f"{project.name} asks nothing.", hint=hint, code="gate.none_open")
    questions = "; ".join(f"{g.id}: {g.question}" for g in project.gates)
    raise Invalid("Several questions are open.", hint=f"Name one of {questions}", code="gate.unclear")


def command(sender: Sender, gate: Gate, answer: Answer) -> AnswerGate:
    if gate.kind == "choice" and not (answer.choose or answer.stop):
        numbers = ", ".join(str(e.number) for e in asking.candidates(sender.project, gate.sweep))
        raise Invalid("A stage has to be chosen.", hint=f"Write --choose with one of {numbers}.", code="gate.unclear")
    if answer.choose and gate.kind != "choice":
        raise Invalid(
            f"{gate.question} There is no stage to choose.",
            hint=f"Answer with: {asking.how_to_answer(sender.project, gate)}",
            code="gate.unclear",
        )
    if answer.choose:
        return AnswerGate(gate=gate.id, stage=given.stage_number(sender.project, answer.choose))
    if answer.skip or answer.stop:
        return AnswerGate(gate=gate.id, answer="skip" if answer.skip else "stop")
    pipeline = sender.project.pipeline
    values = given.values(pipeline, answer.values)
    files = given.inputs(pipeline, answer.inputs, sender.client.bring_input)
    return AnswerGate(gate=gate.id, values={**values, **files})


def show(sender: Sender, which: str, *, as_json: bool) -> None:
    project = sender.project
    gates = [chosen(project, which)] if which else list(project.gates)
    paths = {g.id: asking.looked_at(sender.client, project, g) for g in gates}
    if as_json:
        entries = [{**stable.gate(g), "look_at": [str(p) for p in paths[g.id]]} for g in gates]
        stable.put({"project": project.id, "gates": entries})
        return
    if not gates:
        sys.stdout.write(words.safe(f"{project.name} asks nothing.") + "\n")
    for gate in gates:
        lines = [f"{gate.id}: {gate.question}", *(f"  look at {p}" for p in paths[gate.id])]
        if gate.kind == "choice":
            ended = asking.candidates(project, gate.sweep)
            lines += [f"  {e.number}  {words.pairs(e.point)}  {words.results(e.results)}" for e in ended]
        lines.append(f"  answer with: {asking.how_to_answer(project, gate)}")
        sys.stdout.write("".join(words.safe(line) + "\n" for line in lines))
