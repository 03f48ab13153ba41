"""Arguments and options that several commands share. Imports only typer: it is loaded by `winslow --help`."""

from __future__ import annotations

from typing import Annotated

import typer

ProjectArgument = Annotated[
    str, typer.Argument(metavar="PROJECT", help="Its id, the start of its id, or its name (the newest of several).")
]
StageArgument = Annotated[str, typer.Argument(metavar="STAGE", help="Its number, or its id: the newest of that name.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout (docs/cli.md).")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A value for this run.")]
Env = Annotated[list[str] | None, typer.Option("--env", metavar="KEY=VALUE", help="An environment variable.")]
Command = Annotated[str, typer.Option("--command", metavar="TEXT", help="Run this instead; quotes group.")]
Image = Annotated[str, typer.Option("--image", help="Run in this image instead.")]
Cpu = Annotated[float | None, typer.Option("--cpu", metavar="CORES", help="Cores it needs.")]
Memory = Annotated[str, typer.Option("--memory", metavar="SIZE", help="Memory it needs, such as 4 GiB.")]
SweepOption = Annotated[
    list[str] | None,
    typer.Option("--sweep", metavar="KEY=VALUES", help="Several stages: KEY=1..5, KEY=0..1:0.1 or KEY=fast|exact."),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="PARAM=FILE", help="A file or folder; FILE alone if one parameter takes it."),
]
Sweeps = Annotated[
    list[str] | None,
    typer.Option("--sweep", metavar="KEY=1..5", help="Several stages; STAGE.KEY=... for another than the first."),
]
Secrets = Annotated[
    list[str] | None,
    typer.Option("--secret", metavar="NAME", help="A secret, from the variable of that name or asked for."),
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag of the project.")]
CommentOption = Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why; kept with the stage.")]
