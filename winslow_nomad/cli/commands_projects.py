"""Declares the commands about a project as a whole."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from winslow_nomad.cli import doors, options


def register(app: typer.Typer) -> None:
    app.command("projects")(projects)
    app.command("show")(show)
    app.command("log")(log)
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("gate")(gate)
    app.command("set")(set_values)
    app.command("edit")(edit)
    app.command("comment")(comment)
    app.command("describe")(describe)
    app.command("clean")(clean)
    app.command("delete")(delete)
    app.command("restore")(restore)


def projects(
    context: typer.Context,
    state: Annotated[str, typer.Option("--state", help="Only those in this state.")] = "",
    tag: Annotated[str, typer.Option("--tag", help="Only those with this tag.")] = "",
    author: Annotated[str, typer.Option("--author", help="Only those of this user.")] = "",
    text: Annotated[str, typer.Option("--text", help="Only those whose name holds this.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 100,
    after: Annotated[str, typer.Option("--after", metavar="PROJECT", help="Go on behind this one.")] = "",
    json: options.Json = False,
) -> None:
    """List projects, newest change first."""
    from datetime import UTC, datetime

    from winslow_nomad.cli import as_json, tables
    from winslow_nomad.core.errors import Invalid
    from winslow_nomad.core.project import ProjectState
    from winslow_nomad.core.suggest import suggestion

    if state and state not in list(ProjectState):
        hint = suggestion(state, list(ProjectState))
        raise Invalid(f"{state!r} is not a state.", hint=hint, code="cli.unknown_state")
    with doors.of(context).client() as client:
        found = client.projects(state=state, tag=tag, author=author, text=text, limit=limit, after=after)
    if json:
        as_json.put({"projects": [as_json.summary(p) for p in found]})
    else:
        tables.projects(found, datetime.now(UTC))


def show(
    context: typer.Context,
    project: options.ProjectArgument,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="A stage's whole record.")] = "",
    json: options.Json = False,
) -> None:
    """Show a project, or everything about one stage."""
    from datetime import UTC, datetime

    from winslow_nomad.cli import as_json, given, outputs, tables
    from winslow_nomad.cli.sending import nobody, project_of

    with project_of(context, project) as sender:
        found = sender.project
        if stage:
            number = given.stage_number(found, stage)
            record = sender.client.record(found.id, number)
            nodes = sender.client.nodes_for(found.id, number) if number in found.stages else ()
            if json:
                more = {"nodes": [n.model_dump() for n in nodes]} if nodes else {}
                as_json.put({"project": found.id, "record": record, **more})
            else:
                tables.record(record)
                tables.verdicts(nodes)
            return
        paths = outputs.of_project(sender.client, found)
        begins = sender.client.begins(found.id) if found.stages else {}
        if json:
            as_json.put({"project": as_json.project(found, datetime.now(UTC), paths, begins)})
        else:
            tables.project(found, datetime.now(UTC), paths, begins)
        nobody(sender.client, found, sender.server)


def log(
    context: typer.Context,
    project: options.ProjectArgument,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="A stage; without it the newest that ran.")] = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until the attempt has ended.")] = False,
    attempt: Annotated[int, typer.Option("--attempt", min=0, help="An earlier attempt; 0 is the newest.")] = 0,
    stream: Annotated[str, typer.Option("--stream", metavar="out|err", help="Only one of the two.")] = "",
) -> None:
    """Print what a stage wrote.

    Byte for byte into a file or pipe; on a terminal without what would steer it.
    """
    from winslow_nomad.cli import logs
    from winslow_nomad.cli.sending import project_of

    if stream not in ("", "out", "err"):
        raise typer.BadParameter(f"{stream!r} is not a stream; there are out and err", param_hint="--stream")
    with project_of(context, project) as sender:
        number = logs.chosen(sender.project, stage)
        logs.write(sender.client.log(sender.project.id, number, attempt, follow=follow), stream)


def pause(
    context: typer.Context,
    project: options.ProjectArgument,
    text: Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why.")] = "",
    json: options.Json = False,
) -> None:
    """Start no further stage; what runs goes on."""
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.messages import PauseProject

    change(context, project, lambda _: PauseProject(text=text), "Paused:", as_json=json)


def resume(
    context: typer.Context,
    project: options.ProjectArgument,
    single: Annotated[bool, typer.Option("--single", help="Start one stage, then pause again.")] = False,
    json: options.Json = False,
) -> None:
    """End a pause."""
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.messages import ResumeProject

    change(context, project, lambda _: ResumeProject(single=single), "Goes on:", as_json=json)


def gate(
    context: typer.Context,
    project: options.ProjectArgument,
    which: Annotated[str, typer.Argument(metavar="GATE", help="Which question, if several are open.")] = "",
    go: Annotated[bool, typer.Option("--go", help="Let it run.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Go on without it.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End it here.")] = False,
    choose: Annotated[str, typer.Option("--choose", metavar="STAGE", help="Go on with this stage of a sweep.")] = "",
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A value asked for.")] = None,
    inputs: Annotated[list[str] | None, typer.Option("--input", metavar="PARAM=FILE", help="A file asked for.")] = None,
    json: options.Json = False,
) -> None:
    """Show the open questions, or answer one."""
    from winslow_nomad.cli import gates
    from winslow_nomad.cli.sending import project_of

    answer = gates.Answer(
        go=go, skip=skip, stop=stop, choose=choose, values=tuple(set_ or ()), inputs=tuple(inputs or ())
    )
    with project_of(context, project) as sender:
        gates.show_or_answer(sender, which, answer, as_json=json)


def set_values(
    context: typer.Context,
    project: options.ProjectArgument,
    values: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE...")] = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", metavar="KEY", help="Back to the default.")] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="NAME", help="A secret, from the variable of that name or asked for."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Change values and secrets for stages that start later."""
    from winslow_nomad.cli import given
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.errors import Invalid
    from winslow_nomad.core.messages import SetValues
    from winslow_nomad.core.project import Project

    if secret:
        give_secrets(context, project, tuple(secret), as_json=json and not values and not unset)
        if not values and not unset:
            return
    if not values and not unset:
        raise Invalid("No value is given.", hint="Write KEY=VALUE or --unset KEY.", code="cli.nothing_to_do")

    def make(found: Project) -> SetValues:
        changed = given.values(found.pipeline, values or ())
        for name in unset or ():
            given.known_name(found.pipeline, name)
            if name in changed:
                raise Invalid(f"{name} is set and unset at once.", hint="Do one of both.", code="cli.given_twice")
        return SetValues(values={**changed, **dict.fromkeys(unset or ())})

    change(context, project, make, "Changed:", as_json=json)


def give_secrets(context: typer.Context, project: str, names: tuple[str, ...], *, as_json: bool) -> None:
    """The text goes into the store, encrypted; the project gets a reference."""
    from winslow_nomad.cli.run import secret_texts
    from winslow_nomad.cli.sending import project_of, report
    from winslow_nomad.core.messages import SetSecrets

    with project_of(context, project) as sender:
        texts = secret_texts(sender.project.pipeline, names, only=True)
        references: dict[str, str | None] = {n: sender.client.put_secret(n, text) for n, text in texts.items()}
        report(sender, sender.send(SetSecrets(secrets=references)), "Given:", as_json=as_json)


def edit(
    context: typer.Context,
    project: options.ProjectArgument,
    file: Annotated[str, typer.Argument(metavar="PIPELINE", help="A pipeline file or folder.")],
    json: options.Json = False,
) -> None:
    """Give a project another pipeline.

    What ran keeps the definition it ran with.
    """
    from winslow_nomad.cli import given
    from winslow_nomad.cli.sending import project_of, report
    from winslow_nomad.core.messages import EditPipeline

    with project_of(context, project) as sender:
        pipeline = sender.client.pipeline(given.path_of(file))
        report(sender, sender.send(EditPipeline(pipeline=pipeline)), "Changed:", as_json=json)


def comment(
    context: typer.Context,
    project: options.ProjectArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    stage: Annotated[str, typer.Option("--stage", metavar="STAGE", help="About this stage.")] = "",
    json: options.Json = False,
) -> None:
    """Write something down for everybody."""
    from winslow_nomad.cli import given
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.errors import Invalid
    from winslow_nomad.core.messages import AddComment
    from winslow_nomad.core.project import Project

    if not text.strip():
        raise Invalid("The comment is empty.", hint="Write a text.", code="cli.nothing_to_do")

    def make(found: Project) -> AddComment:
        return AddComment(text=text, stage=given.stage_number(found, stage) if stage else 0)

    change(context, project, make, "Noted:", as_json=json)


def describe(
    context: typer.Context,
    project: options.ProjectArgument,
    name: Annotated[str, typer.Option("--name", help="Another name.")] = "",
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Add this tag.")] = None,
    untag: Annotated[list[str] | None, typer.Option("--untag", metavar="TAG", help="Take this tag away.")] = None,
    priority: Annotated[int | None, typer.Option("--priority", min=0, max=100, help="Higher comes first.")] = None,
    limit: Annotated[
        str | None,
        typer.Option(
            "--limit",
            metavar="LIMIT",
            help="What its stages may use at the same time: gpus=2 cpu=16 memory=64GiB stages=4, or none.",
        ),
    ] = None,
    keep_failed: Annotated[
        str | None,
        typer.Option("--keep-failed", metavar="DAYS", help="How long workspaces of failed stages stay, or default."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Change name, tags, priority, limits of a project."""
    from winslow_nomad.cli import given
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.errors import Invalid
    from winslow_nomad.core.messages import Describe
    from winslow_nomad.core.project import Project

    allowance = given.allowance(limit) if limit is not None else None
    days = given.days(keep_failed) if keep_failed is not None else None
    if not (name or tag or untag or priority is not None or limit is not None or keep_failed is not None):
        raise Invalid("There is nothing to change.", hint="Give --name, --tag, --limit ...", code="cli.nothing_to_do")

    def make(found: Project) -> Describe:
        tags = tuple(dict.fromkeys([*(t for t in found.tags if t not in (untag or ())), *(tag or ())]))
        return Describe(
            name=name or None,
            tags=tags if tag or untag else None,
            priority=priority,
            limit=allowance,
            keep=found.keep.but(failed_days=days) if keep_failed is not None else None,
        )

    change(context, project, make, "Changed:", as_json=json)


def clean(context: typer.Context, project: options.ProjectArgument) -> None:
    """Move what failed stages left behind to the trash now.

    Workspaces of stages that failed or were stopped, and superseded attempts; records, logs and outputs stay.
    """
    from winslow_nomad.cli import words
    from winslow_nomad.cli.sending import nobody_for_files, project_of

    with project_of(context, project) as sender:
        sender.client.clean(sender.project.id, actor=sender.actor)
        text = f"What failed stages of {sender.project.name} left behind goes to the trash."
        sys.stdout.write(words.safe(text) + "\n")
        nobody_for_files(sender.client, sender.server)


def delete(
    context: typer.Context,
    project: options.ProjectArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: options.Json = False,
) -> None:
    """Stop a project and put it into the trash."""
    from winslow_nomad.cli import terminal
    from winslow_nomad.cli.sending import project_of, report
    from winslow_nomad.core.errors import Refused
    from winslow_nomad.core.messages import TrashProject

    with project_of(context, project) as sender:
        if not yes and not terminal.present(sys.stderr):
            raise Refused(
                "Nobody can be asked; nothing was done.", hint="Repeat it with --yes.", code="cli.not_confirmed"
            )
        if not yes:
            asked = terminal.Terminal(lambda: True)
            asked.tell(f"{sender.project.name} ({sender.project.id}) is {sender.project.state.value}.")
            try:
                answer = asked.ask("Put it into the trash (type trash)?")
            except terminal.Withdrawn:
                answer = ""
            if answer != "trash":
                raise Refused("Nothing was done.", hint="Type trash to confirm.", code="cli.not_confirmed")
        report(sender, sender.send(TrashProject()), "In the trash:", as_json=json)


def restore(context: typer.Context, project: options.ProjectArgument, json: options.Json = False) -> None:
    """Take a project out of the trash."""
    from winslow_nomad.cli.sending import change
    from winslow_nomad.core.messages import RestoreProject

    change(context, project, lambda _: RestoreProject(), "Restored:", as_json=json)
